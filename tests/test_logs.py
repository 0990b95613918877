"""Log records come out as etcd's do: same keys, same order, same time format."""

from __future__ import annotations

import json
import logging
import re
import subprocess
import sys

import pytest

from raftkv import logs


def record(level: int = logging.INFO, message: str = "m", fields: dict | None = None, name: str = "raftkv.server", exc_info=None):
    made = logging.LogRecord(name, level, "/x/raftkv/server/member.py", 7, message, (), exc_info)
    made.created = 1_700_000_000.25
    if fields is not None:
        made.fields = fields
    return made


def test_json_record_has_zaps_keys_in_zaps_order():
    """level, ts, logger, caller, msg, then the fields."""
    entry = json.loads(logs.JsonFormatter().format(record(fields={"term": 2, "key": b"a\xff"})))
    assert list(entry) == ["level", "ts", "logger", "caller", "msg", "term", "key"]
    assert entry["level"] == "info"
    assert entry["caller"] == "server/member.py:7"
    assert entry["key"] == "a\\xff"
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.250000(Z|[+-]\d{4})", entry["ts"])


def test_json_record_is_one_line_whatever_the_message_holds():
    """A line break in a message or key cannot forge a second record."""
    line = logs.JsonFormatter().format(record(message="a\nb", fields={"x\ny": "\u2028\n"}))
    assert "\n" not in line
    assert json.loads(line)["msg"] == "a\nb"


def test_reserved_field_name_does_not_replace_the_records_own():
    entry = json.loads(logs.JsonFormatter().format(record(fields={"level": 9, "msg": "x"})))
    assert (entry["level"], entry["level_"], entry["msg"], entry["msg_"]) == ("info", 9, "m", "x")


def test_root_logger_has_no_logger_key():
    assert "logger" not in json.loads(logs.JsonFormatter().format(record(name="raftkv")))


@pytest.mark.parametrize(
    ("number", "name"), [(10, "debug"), (20, "info"), (30, "warn"), (40, "error"), (45, "panic"), (50, "fatal"), (25, "info"), (5, "debug")]
)
def test_level_names_are_zaps(number, name):
    assert logs.level_name(number) == name


def test_console_record_is_tab_separated():
    columns = logs.ConsoleFormatter().format(record(fields={"a": 1})).split("\t")
    assert columns[1:] == ["info", "server", "server/member.py:7", "m", '{"a":1}']


def test_exception_becomes_error_and_stacktrace():
    try:
        raise ValueError("why")
    except ValueError:
        exc_info = sys.exc_info()
    entry = json.loads(logs.JsonFormatter().format(record(level=logging.ERROR, exc_info=exc_info)))
    assert entry["error"] == "why"
    assert entry["stacktrace"].endswith("ValueError: why")


@pytest.mark.slow
def test_configure_filters_by_level_and_writes_to_each_output(tmp_path):
    """In a process of its own, because logging is global to one."""
    code = (
        "import logging; from raftkv import logs; "
        f"logs.configure(logs.LogSettings(level='warn', outputs=('stderr', {str(tmp_path / 'log')!r}))); "
        "log = logging.getLogger('raftkv.x'); log.info('no'); log.warning('yes', extra={'fields': {'n': 1}}); "
        "logging.getLogger('asyncio').warning('below')"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=30, check=True)
    assert [json.loads(line)["msg"] for line in done.stderr.splitlines()] == ["yes", "below"]
    assert (tmp_path / "log").read_text() == done.stderr
    assert done.stdout == ""
