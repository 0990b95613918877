"""Files that hold something else than histories are refused with the place and what was expected: no store is blamed for them."""

from __future__ import annotations

import gzip
import json
import pathlib

import pytest
from click.testing import CliRunner

from jepsen_like import hashes, shapes
from jepsen_like.checker import lease
from jepsen_like.history import MalformedHistoryError, load_file
from jepsen_like.main import cli
from jepsen_like.workload import catalog, keyspace, watching

KV = ["k", "v", 2, 3, 1, 0]
WATCH = ["watch", 1, 9, "k", "", 1, 0]

GOOD: list[list[object]] = [
    ["op", 1, "get", "k", 0, KV, 1, 2, "ok", 3],
    ["op", 1, "put", "k", "w", [KV], 3, 4, "ok", 4],
    ["op", 1, "range", "k", ["l"], [[KV], 1], 5, 6, "ok", 4],
    ["op", 1, "txn", "", [[["k", "mod", "=", 3]], [["get", "k"], ["put", "k", "x"]], []], [True, [None, []]], 7, 8, "ok", 5],
    ["op", 1, "txn", "", [[], [["range", "k", "l"], ["delete", "k", ""]], []], [True, [[[], 0, False], 1]], 9, 10, "ok", 6],
    ["op", 1, "append", "k", [["r", "k"], ["append", "k", 1]], [[1], None], 11, 12, "ok", 7],
    ["op", 1, "cas", "k", [None, "v"], [False, None], 13, 14, "ok", 7],
    ["op", 1, "observe", "l", 0, ["p", 3], 15, 16, "ok", 7],
    ["op", 1, "somebody's own", "l", {"any": 1}, ["thing"], 17, 18, "ok", 7],
    WATCH,
    ["response", 1, 5, 3, [["put", KV, None, True], ["delete", ["k", "", 0, 4, 0], KV], ["put", KV]]],
    ["mark", "fault", 1, 2, {"name": "kill", "targets": ["n1"], "verified": True}],
    ["mark", "phase", 1, 2, {"name": "load"}],
    ["mark", "clock", 1, 1, {"member": "n1", "offset_s": -0.5}],
    ["mark", "note", 1, 2, None],
    ["mark", "of another tool", 1, 2, 7],
]


def _written(path: pathlib.Path, *records: list[object], stamp: object = 1, end: object = None) -> pathlib.Path:
    lines = [{"history": stamp, "about": {"workload": "register"}}, *records, {"end": len(records) if end is None else end}]
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return path


def test_records_of_every_shape_are_read(tmp_path: pathlib.Path) -> None:
    """What is promised is accepted, fields left out at the end included."""
    history = load_file(_written(tmp_path / "h.jsonl", *GOOD))
    assert (len(history.operations), len(history.watches), len(history.responses), len(history.marks)) == (9, 1, 1, 5)
    assert [event.is_create for event in history.responses[0].events] == [True, False, False]


def _get(kv: object, revision: object = 3) -> list[object]:
    return ["op", 1, "get", "k", 0, kv, 1, 2, "ok", revision]


def _shown(*event: object) -> list[object]:
    return ["response", 1, 5, 3, [list(event)]]


@pytest.mark.parametrize(
    ("record", "expected"),
    [
        (_shown("put", ["k", "v", 2, 3, "x", 0]), "version must be an integer, not 'x'"),
        (_shown("put", None), r"a key must be \[key, value, create revision"),
        (_shown("put", KV, [1, 2, 3, 4, 5, 6]), "key must be a text, not 1"),
        (_shown("put", KV, None, 1), "whether an event is a creation must be true or false"),
        (_shown("touch", KV), "an event must be"),
        (["response", 1, 5, 3, {"put": 1}], "events must be a list"),
        (_get(["k", 7, 2, 3, 1, 0]), "value must be a text, not 7"),
        (_get(["k", "v", "2", 3, 1, 0]), "create_revision must be an integer, not '2'"),
        (_get(["k", "v", True, 3, 1, 0]), "create_revision must be an integer, not True"),
        (_get("v"), "a key must be"),
        (_get(["k", "v", 2, -3, 1, 0]), "mod_revision must not be below zero, but is -3"),
        (_get(KV, -5), "revision must not be below zero, but is -5"),
        (["op", 1, "get", "k", -1, KV, 1, 2, "ok", 3], "the argument of get must be an integer of 0 or more, not -1"),
        (["op", 1, "put", "k", "w", [KV, KV], 3, 4, "ok", 4], r"the result of put must be \[\] or"),
        (["op", 1, "range", "k", ["l"], [[None], 1], 5, 6, "ok", 4], "a key must be"),
        (["op", 1, "range", "k", ["l"], [[KV], 1, "no"], 5, 6, "ok", 4], "the result of range must be"),
        (["op", 1, "range", "k", ["l", 0, 0, 1], [[KV], 1], 5, 6, "ok", 4], "the argument of range must be"),
        (["op", 1, "txn", "", [[["k", "mod", "=", "x"]], [], []], [True, []], 7, 8, "ok", 5], "the argument of txn must be"),
        (["op", 1, "txn", "", [[], [["get", "k"]], []], [True, []], 7, 8, "ok", 5], "must answer each of its 1 steps, not 0"),
        (["op", 1, "txn", "", [[], [["get", "k"]], []], [True, [1]], 7, 8, "ok", 5], "must hold .* for a get, not 1"),
        (["op", 1, "append", "k", [["r", "k"]], [None], 11, 12, "ok", 7], "the elements read for each r"),
        (["op", 1, "observe", "l", 0, [1, "p"], 15, 16, "ok", 7], r"the result of observe must be \[leader, fencing token\]"),
        (["watch", 1, 9, "k", "", 1, 0, "", False, "noput"], "filters must be a list of noput or nodelete"),
        (["watch", 1, 9, "k", "", -1, 0], "start_revision must not be below zero"),
        (["mark", "fault", 1, 2, {"nope": 1}], "the detail of a fault mark must have name, a text"),
        (["mark", "fault", 1, 2, {"name": "kill", "verified": "yes"}], "verified of a fault mark must be true or false"),
        (["mark", "fault", 1, 2, {"name": "kill", "targets": "n1"}], "targets of a fault mark must be a list of texts"),
        (["mark", "phase", 1, 2, None], "the detail of a phase mark must be an object with name, not None"),
        (["mark", "leader", 1, 2, {"member": "n1", "term": -1}], "term of a leader mark must be an integer of 0 or more"),
        (["mark", "note", 2, 1], "a mark ended before it started"),
        (["op", 1, "append", "k", [["append", "k", {}]], [None], 11, 12, "ok", 7], "the argument of append must be"),
        (["op", 1, "append", "k", [["r", "k"]], [[1, {}]], 11, 12, "ok", 7], "the elements read for each r"),
        (["op", 1, "add", "k", {}, None, 11, 12, "ok", 7], "the argument of add must be an integer or a text"),
        (["op", 1, "add", "k", True, None, 11, 12, "ok", 7], "the argument of add must be an integer or a text"),
        (["op", 1, "members", "k", None, [[1]], 11, 12, "ok", 7], "the result of members must be a list of integers or texts"),
        (["op", 1, "cache", "k", 4, [["k", 2], ["l", None]], 11, 12, "ok", 7], "the result of cache must be"),
        (["op", 1, "member-list", "", None, [[7, "u"]], 11, 12, "ok", 7], "the result of member-list must be"),
        (["op", 1, "member-add", "u", "learner", [], 11, 12, "ok", 7], "the result of member-add must be"),
        (["op", 1, "member-remove", "u", "7", None, 11, 12, "ok", 7], "the argument of member-remove must be"),
        (["mark", "note", 1, 1, {"base revision": "1"}], "base revision of a note mark must be an integer of 0 or more, not '1'"),
        (["mark", "note", 1, 1, {"awaited watches": [[1, None]]}], r"awaited watches of a note mark must be a list of \[watch, revision\]"),
        (["mark", "note", 1, 1, {"kept watches": [True]}], "kept watches of a note mark must be a list of watches"),
        (["mark", "note", 1, 1, {"leases listed": "7"}], "leases listed of a note mark must be a list of leases"),
        (["mark", "clock", 1, 1, {"member": "n1", "offset_s": float("nan")}], "not JSON: NaN is no number of JSON"),
        (_get(["k", "\ud800", 2, 3, 1, 0]), r"a text holds '\\ud800', which is half a character"),
        (["mark", "note", 1, 1, [[]]], "nested too deeply"),
    ],
)
def test_record_of_another_shape_is_refused(tmp_path: pathlib.Path, record: list[object], expected: str) -> None:
    """With file and line; before a checker says that a store gave it."""
    path = _written(tmp_path / "h.jsonl", WATCH, record)
    path.write_text(path.read_text().replace("[[]]", "[" * 100_000))
    with pytest.raises(MalformedHistoryError, match=f"h.jsonl, line 3: .*{expected}"):
        load_file(path)


@pytest.mark.parametrize("name", ["h.jsonl", "h.jsonl.gz"])
def test_bytes_that_are_no_text_are_told_with_file_and_line(tmp_path: pathlib.Path, name: str) -> None:
    """A block that is decoded at a time ends far behind the line."""
    path = tmp_path / name
    whole = _written(tmp_path / "whole", WATCH, *([GOOD[0]] * 5)).read_bytes().replace(b'"v"', b'"\xff"', 1)
    path.write_bytes(gzip.compress(whole) if name.endswith(".gz") else whole)
    with pytest.raises(MalformedHistoryError, match=f"{name}, line 3: not UTF-8: invalid start byte"):
        load_file(path)


def test_notes_that_checkers_read_are_known_by_their_names() -> None:
    assert set(shapes.NOTES) == {keyspace.BASE, watching.AWAITED, watching.KEPT, lease.LISTED, hashes.ASKED, hashes.NOT_OFFERED}


def test_calls_that_checkers_read_have_a_shape() -> None:
    """What a checker takes apart it must not have to look at first."""
    read = catalog.ANYWHERE.union(*(entry.own | entry.also for entry in catalog.WORKLOADS))
    assert read - catalog.REFINED <= set(shapes.CALLS)


def test_stamp_and_end_are_numbers(tmp_path: pathlib.Path) -> None:
    """What JSON calls true is not one."""
    with pytest.raises(MalformedHistoryError, match=r"h.jsonl, line 1: a history of version True; this reader knows version 1"):
        load_file(_written(tmp_path / "h.jsonl", stamp=True))
    with pytest.raises(MalformedHistoryError, match=r"h.jsonl, line 3: the end says True records, there were 1"):
        load_file(_written(tmp_path / "h.jsonl", GOOD[0], end=True))


def test_check_of_another_shape_is_an_error_of_use(tmp_path: pathlib.Path) -> None:
    """Status 2: nothing was judged, and nothing is wrong with the store."""
    path = _written(tmp_path / "h.jsonl", _get(["k", "v", 2, 3, "x", 0]))
    shown = CliRunner().invoke(cli, ["check", str(path)])
    assert (shown.exit_code, f"{path}, line 2: version must be an integer" in shown.stderr) == (2, True), shown.output
