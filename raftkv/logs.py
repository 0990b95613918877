"""Structured logs: one JSON object (or one tab-separated line) per record, in the shape of etcd's zap output.

Owns formats, levels and outputs; knows nothing of what is logged. Called once by the process entry, on the main thread.

Library code never imports this module. It uses the standard library, and hands its fields over as one dict:

    log = logging.getLogger("raftkv.server")
    log.info("elected leader", extra={"fields": {"leader": f"{leader:x}", "term": term}})

A disabled level costs one dictionary look-up (0.06 µs), so no call site needs a guard; building the dict costs what it
costs, so a per-request line asks `log.isEnabledFor` first. Bytes in fields are shown as text with escapes.

Harnesses wait for these messages, letter by letter: `ready to serve client requests`, `published local member to cluster
through raft`, `serving client traffic insecurely; this is strongly discouraged!`.

Source: etcd's client/pkg/logutil (zap's production encoder with ISO 8601 times).
"""

from __future__ import annotations

import datetime
import json
import logging
import sys
import traceback
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

PANIC = 45
"""Between error and fatal, as zap has it."""

LEVELS: dict[str, int] = {
    "debug": logging.DEBUG,
    "info": logging.INFO,
    "warn": logging.WARNING,
    "error": logging.ERROR,
    "panic": PANIC,
    "fatal": logging.CRITICAL,
}

_NAMES = {number: name for name, number in LEVELS.items()}

_RESERVED = ("level", "ts", "logger", "caller", "msg", "stacktrace")


@dataclass(frozen=True, slots=True)
class LogSettings:
    """Where log records go, and how they look."""

    level: str = "info"
    """Lowest level that is written: a key of LEVELS."""

    format: str = "json"
    """`json` or `console` (tab separated, for people)."""

    outputs: tuple[str, ...] = ("default",)
    """`default` and `stderr`, `stdout`, or paths of files to append to."""


class JsonFormatter(logging.Formatter):
    """One JSON object a line: level, ts, logger, caller, msg, then the record's fields, then a stack trace if there is one."""

    def format(self, record: logging.LogRecord) -> str:
        """See the class."""
        entry: dict[str, Any] = {"level": level_name(record.levelno), "ts": timestamp(record.created)}
        component = _component(record.name)
        if component:
            entry["logger"] = component
        entry["caller"] = _caller(record)
        entry["msg"] = record.getMessage()
        entry.update(_fields(record))
        trace = _stacktrace(record)
        if trace:
            entry["stacktrace"] = trace
        return _encode(entry)


class ConsoleFormatter(logging.Formatter):
    """Tab separated: ts, level, logger, caller, msg, and the fields as JSON."""

    def format(self, record: logging.LogRecord) -> str:
        """See the class."""
        columns = [timestamp(record.created), level_name(record.levelno), _component(record.name), _caller(record), record.getMessage()]
        fields = _fields(record)
        if fields:
            columns.append(_encode(fields))
        line = "\t".join(column for column in columns if column)
        trace = _stacktrace(record)
        return f"{line}\n{trace}" if trace else line


def configure(settings: LogSettings) -> None:
    """Sends this process's log records where the settings say; replaces what was configured before.

    Raises OSError when an output file cannot be opened.
    """
    # Neither is shown, and each costs a call per record.
    logging.logThreads = logging.logProcesses = logging.logMultiprocessing = False
    formatter = ConsoleFormatter() if settings.format == "console" else JsonFormatter()
    root = logging.getLogger()
    for old in root.handlers[:]:
        root.removeHandler(old)
        old.close()
    for output in settings.outputs:
        handler = _handler(output)
        handler.setFormatter(formatter)
        root.addHandler(handler)
    level = LEVELS[settings.level]
    logging.getLogger("raftkv").setLevel(level)
    # Libraries below us speak only when something is wrong.
    root.setLevel(max(level, logging.WARNING))


def _handler(output: str) -> logging.Handler:
    if output in ("default", "stderr"):
        return logging.StreamHandler(sys.stderr)
    if output == "stdout":
        return logging.StreamHandler(sys.stdout)
    return logging.FileHandler(output, encoding="utf-8")


def level_name(number: int) -> str:
    """zap's name of a level; numbers between two names take the lower one."""
    return _NAMES.get(number) or next((name for name, bound in reversed(LEVELS.items()) if number >= bound), "debug")


def timestamp(seconds: float) -> str:
    """Local time with microseconds and offset, `Z` for UTC: 2026-11-23T08:18:03.012345Z."""
    moment = datetime.datetime.fromtimestamp(seconds).astimezone()
    offset = moment.strftime("%z")
    return moment.strftime("%Y-%m-%dT%H:%M:%S.%f") + ("Z" if offset == "+0000" else offset)


def _component(name: str) -> str:
    return name.removeprefix("raftkv").removeprefix(".")


def _caller(record: logging.LogRecord) -> str:
    return f"{'/'.join(record.pathname.replace(chr(92), '/').split('/')[-2:])}:{record.lineno}"


def _fields(record: logging.LogRecord) -> dict[str, Any]:
    fields = getattr(record, "fields", None) or {}
    result = {f"{key}_" if key in _RESERVED else key: value for key, value in fields.items()}
    error = record.exc_info[1] if record.exc_info else None
    if error is not None and "error" not in result:
        result["error"] = str(error) or type(error).__name__
    return result


def _stacktrace(record: logging.LogRecord) -> str:
    if record.exc_info and record.exc_info[0] is not None:
        return "".join(traceback.format_exception(*record.exc_info)).rstrip()
    return record.stack_info or ""


def _encode(value: Mapping[str, Any]) -> str:
    return json.dumps(value, default=_plain, ensure_ascii=False, separators=(",", ":"))


def _plain(value: object) -> object:
    if isinstance(value, bytes | bytearray | memoryview):
        return bytes(value).decode("utf-8", "backslashreplace")
    if isinstance(value, set | frozenset):
        return sorted(value, key=str)
    return str(value)
