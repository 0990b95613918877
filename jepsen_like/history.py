"""What clients saw: one frozen record per call, watch response or fault, and the file they are kept in.

Owns the shape of histories and their JSON-lines form; knows no checker and no server. A file starts with a stamp of the
format's version and ends with the number of its records, so that a run cut short is never taken for a whole one, and an
old file is read by a newer checker or refused by name. Keys and values are text; bytes are mapped one to one by latin-1.

What `argument` and `result` hold is fixed by `f` (`result` is None unless the outcome is ok):

| f | argument | result |
|---|---|---|
| put | value | `()`, or `(previous,)` when the previous record was asked for |
| get | 0, or the revision asked for | `KeyValue` or None |
| range | `RangeArgument` | `RangeResult` |
| delete | range end, "" for one key | number of keys deleted |
| cas | (expected value or None for absent, new value) | `(True,)`, `(False,)` or `(False, KeyValue or None)` |
| txn | `TxnArgument` | `TxnResult` |
| compact | revision | None |
| append | `(("r", key), ("append", key, element), ...)` | per step the elements read, None for an append; elements are integers or texts |
| add, members | element; None | None; tuple of elements (a grow-only set) |
| grant, keepalive, lease-ttl | seconds asked for; 0; 0 (`key` is the lease) | seconds granted or left; 0 or less: it is gone |
| revoke | 0 | None |
| acquire, release | 0; fencing token | fencing token; None (`key` is the lock or the election) |
| guarded | fencing token | None: a write that the token protects was accepted |
| observe | 0 | (leader, fencing token) |
| hashkv | revision | (hash, compact revision) |
"""

from __future__ import annotations

import json
import pathlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import IO, Any, NamedTuple

from jepsen_like import shapes
from jepsen_like.lines import UnreadableError, decoded, opened

VERSION = 1
"""Of the file format; raised when an old reader would misunderstand a new file."""

OK = "ok"
"""The answer says that it happened."""
FAIL = "fail"
"""It certainly did not happen, and never will."""
UNKNOWN = "unknown"
"""It may have happened, or happen at any later time, or never."""

OUTCOMES = (OK, FAIL, UNKNOWN)

FILTERS = ("noput", "nodelete")
"""What a watcher may ask not to be shown."""


class MalformedHistoryError(ValueError):
    """The file is not a history, or breaks a rule of the format; the text names the line and the rule, and the file where there is one."""


class KeyValue(NamedTuple):
    """One key as a server showed it."""

    key: str
    value: str
    create_revision: int
    mod_revision: int
    version: int
    lease: int = 0


class RangeArgument(NamedTuple):
    """A read of several keys; `key` of the operation is where it starts."""

    range_end: str
    limit: int = 0
    revision: int = 0
    """0: the newest."""

    serializable: bool = False
    """May be stale, but is a state that existed."""


class RangeResult(NamedTuple):
    """In key order; `total` is of the whole range, whatever the limit."""

    kvs: tuple[KeyValue, ...]
    total: int
    more: bool = False


class TxnArgument(NamedTuple):
    """Compares are `(key, target, sign, operand)`: target value|mod|create|version|lease, sign =|!|<|>.

    Steps are `("put", key, value)`, `("get", key)`, `("delete", key, range_end)` or `("range", key, range_end)`.
    """

    compares: tuple[tuple[str, str, str, str | int], ...]
    success: tuple[tuple[str, ...], ...]
    failure: tuple[tuple[str, ...], ...] = ()


class TxnResult(NamedTuple):
    """Per step: () of a put, `KeyValue` or None of a get, a number of a delete, `RangeResult` of a range."""

    succeeded: bool
    responses: tuple[Any, ...]


class Operation(NamedTuple):
    """One call of one client. The shapes of `argument` and `result` are in the module's table and checked at reading."""

    process: int
    """The client; it has one call at a time, and a new number after an unknown outcome."""

    f: str
    key: str
    argument: Any
    result: Any
    invoke_ns: int
    """Stamped before the first byte left."""

    complete_ns: int
    """Stamped after the last byte came; with an unknown outcome, when the client gave up."""

    outcome: str
    revision: int = 0
    """Of the answer's header; 0 when there was none."""

    member: str = ""
    error: str = ""
    lease: int = 0
    """Attached by a put."""


class Event(NamedTuple):
    """One change a watcher was shown. A delete's `kv` holds key and mod revision."""

    type: str
    kv: KeyValue
    previous: KeyValue | None = None
    is_create: bool = False


class Watch(NamedTuple):
    """What a watcher asked for."""

    watch: int
    """Unique in the history."""

    process: int
    key: str
    range_end: str
    start_revision: int
    """0: from now, which is the created response's revision + 1."""

    opened_ns: int
    member: str = ""
    prev_kv: bool = False
    filters: tuple[str, ...] = ()
    """Of `FILTERS`."""


class WatchResponse(NamedTuple):
    """What a watcher was sent, in order of arrival; a response without events is a progress notification unless created or cancelled."""

    watch: int
    time_ns: int
    revision: int
    events: tuple[Event, ...] = ()
    created: bool = False
    cancelled: bool = False
    compact_revision: int = 0
    fragment: bool = False
    """More of the same response follows."""

    reason: str = ""


class Mark(NamedTuple):
    """Something the harness did or saw: a fault, a phase, a leader change. Checkers do not read it; reports draw it."""

    kind: str
    start_ns: int
    end_ns: int
    detail: Any = None


Record = Operation | Watch | WatchResponse | Mark

_LINES: Mapping[str, type[Record]] = {"op": Operation, "watch": Watch, "response": WatchResponse, "mark": Mark}
_NAMES = {kind: name for name, kind in _LINES.items()}


@dataclass(frozen=True, slots=True)
class History:
    """A whole run, in the order it was recorded, which is the order of completion."""

    operations: list[Operation] = field(default_factory=list)
    watches: list[Watch] = field(default_factory=list)
    responses: list[WatchResponse] = field(default_factory=list)
    marks: list[Mark] = field(default_factory=list)
    about: Mapping[str, Any] = field(default_factory=dict)
    """Seed, versions, command: whatever the writer stamped."""

    whole: bool = True
    """False: its file has no end, and calls that ended after the last record are missing, whatever they did."""


class HistoryWriter:
    """Writes records as they come. `close()` ends the history; without it a reader calls the file cut short."""

    def __init__(self, stream: IO[str], about: Mapping[str, Any] | None = None) -> None:
        self._stream = stream
        self._count = 0
        stream.write(json.dumps({"history": VERSION, "about": dict(about or {})}) + "\n")

    def write(self, record: Record) -> None:
        """Append one record."""
        self._stream.write(line_of(record))
        self._count += 1

    def close(self) -> None:
        """Write the closing line; the stream stays the caller's."""
        self._stream.write(json.dumps({"end": self._count}) + "\n")
        self._stream.flush()


def line_of(record: Record) -> str:
    """The record as one JSON line: its kind and its fields in order, those at the end that equal their defaults left out."""
    kind = type(record)
    defaults = kind._field_defaults
    fields = list(record)
    names = kind._fields
    while len(fields) > 1 and names[len(fields) - 1] in defaults and fields[-1] == defaults[names[len(fields) - 1]]:
        fields.pop()
    return json.dumps([_NAMES[kind], *fields], separators=(",", ":"), ensure_ascii=False) + "\n"


def records(lines: Iterable[str], *, allow_truncated: bool = False) -> Iterator[Record]:
    """The records of a file one at a time, each checked for shape.

    Raises:
        MalformedHistoryError: wrong version, a line that is no record, or an end that does not agree.
    """
    for item in _records(lines, allow_truncated):
        if isinstance(item, tuple):
            yield item


def load(lines: Iterable[str], *, allow_truncated: bool = False) -> History:
    """A history in memory, checked across records as well: one call at a time per process, watches known.

    Raises:
        MalformedHistoryError: see `records`, and `check_processes`.
    """
    about: Mapping[str, Any] = {}
    operations: list[Operation] = []
    watches: list[Watch] = []
    responses: list[WatchResponse] = []
    marks: list[Mark] = []
    whole = False
    for item in _records(lines, allow_truncated):
        if item is None:
            whole = True
        elif isinstance(item, Operation):
            operations.append(item)
        elif isinstance(item, WatchResponse):
            responses.append(item)
        elif isinstance(item, Watch):
            watches.append(item)
        elif isinstance(item, Mark):
            marks.append(item)
        else:
            about = item
    check_processes(operations)
    _check_watches(watches, responses)
    return History(operations, watches, responses, marks, about, whole)


def load_file(path: pathlib.Path, *, allow_truncated: bool = False) -> History:
    """`load` from a file; a name that ends in .gz is unpacked.

    Raises:
        MalformedHistoryError: as `load`, and for what cannot be unpacked or is no UTF-8.
    """
    try:
        with opened(path) as stream:
            return load(stream, allow_truncated=allow_truncated)
    except MalformedHistoryError as exc:
        raise MalformedHistoryError(f"{path}, {exc}") from exc
    except UnreadableError as exc:
        raise MalformedHistoryError(str(exc)) from exc


def line_of_call(path: pathlib.Path, index: int) -> int:
    """Where in a file that can be loaded the call stands that is `operations[index]`; 0: nowhere."""
    with opened(path) as stream:
        for number, line in enumerate(stream, 1):
            index -= number > 1 and json.loads(line)[0] == "op"
            if index < 0:
                return number
    return 0


def check_processes(operations: Iterable[Operation]) -> None:
    """Refuse a process that has two calls at once, or goes on after an unknown outcome: its order would mean nothing."""
    last: dict[int, Operation] = {}
    for operation in sorted(operations, key=lambda one: one.invoke_ns):
        before = last.get(operation.process)
        if before is not None and before.complete_ns > operation.invoke_ns:
            raise MalformedHistoryError(f"process {operation.process} has two calls at once: {before} and {operation}")
        if before is not None and before.outcome == UNKNOWN:
            raise MalformedHistoryError(f"process {operation.process} went on after an unknown outcome: {before} and {operation}")
        last[operation.process] = operation


def _check_watches(watches: list[Watch], responses: list[WatchResponse]) -> None:
    known = {watch.watch for watch in watches}
    if len(known) != len(watches):
        raise MalformedHistoryError("two watches of one number")
    for response in responses:
        if response.watch not in known:
            raise MalformedHistoryError(f"a response to a watch nobody opened: {response}")


def _records(lines: Iterable[str], allow_truncated: bool) -> Iterator[Record | Mapping[str, Any] | None]:
    """The stamp, the records, and None for the end."""
    count = 0
    number = 0
    ended = False
    for number, line in enumerate(lines, 1):
        if ended:
            raise MalformedHistoryError(f"line {number}: something follows the end")
        try:
            data = decoded(line)
        except ValueError as exc:
            if allow_truncated and not line.endswith("\n"):
                return
            raise MalformedHistoryError(f"line {number}: not JSON: {exc}") from exc
        if number == 1:
            yield _about(data)
        elif isinstance(data, dict):
            if type(data.get("end")) is not int or data["end"] != count:
                raise MalformedHistoryError(f"line {number}: the end says {data.get('end')} records, there were {count}")
            ended = True
            yield None
        else:
            yield _record(data, number)
            count += 1
    if not number:
        raise MalformedHistoryError("line 1: the file is empty")
    if not ended and not allow_truncated:
        raise MalformedHistoryError(f"line {number}: the history has no end: its run was cut short")


def _about(data: object) -> Mapping[str, Any]:
    if not isinstance(data, dict) or "history" not in data:
        raise MalformedHistoryError("line 1: not a history: the version stamp is missing")
    if type(data["history"]) is not int or data["history"] != VERSION:
        raise MalformedHistoryError(f"line 1: a history of version {data['history']!r}; this reader knows version {VERSION}")
    about = data.get("about", {})
    if not isinstance(about, dict):
        raise MalformedHistoryError("line 1: `about` is not an object")
    return about


def _record(data: object, number: int) -> Record:
    if not isinstance(data, list) or not data or not isinstance(data[0], str) or data[0] not in _LINES:
        raise MalformedHistoryError(f"line {number}: not a record: {str(data)[:80]}")
    try:
        if data[0] == "op":
            return _operation(data)
        if data[0] == "response":
            return _response(data)
        return _watch(data) if data[0] == "watch" else _mark(data)
    except (TypeError, ValueError, IndexError) as exc:
        raise MalformedHistoryError(f"line {number}: {exc}") from exc
    except RecursionError as exc:
        raise MalformedHistoryError(f"line {number}: a record is nested too deeply") from exc


def _watch(data: list[Any]) -> Watch:
    watch = Watch(*data[1:])
    shapes.check(Watch._fields, watch)
    return watch._replace(filters=shapes.texts(watch.filters, FILTERS, "filters"))


def _mark(data: list[Any]) -> Mark:
    mark = Mark(*(shapes.frozen(item) for item in data[1:]))
    shapes.check(Mark._fields, mark)
    if mark.end_ns < mark.start_ns:
        raise ValueError("a mark ended before it started")
    shapes.check_mark(mark.kind, mark.detail)
    return mark


def _operation(data: list[Any]) -> Operation:
    operation = Operation(*data[1:])
    shapes.check(Operation._fields, operation)
    if operation.outcome not in OUTCOMES:
        raise ValueError(f"outcome {operation.outcome!r} is none of {', '.join(OUTCOMES)}")
    if operation.complete_ns < operation.invoke_ns:
        raise ValueError("an operation completed before it was invoked")
    argument = _ARGUMENTS.get(operation.f, shapes.frozen)(operation.argument)
    result = _RESULTS.get(operation.f, shapes.frozen)(operation.result) if operation.outcome == OK else None
    shapes.check_call(operation.f, argument, result, completed=operation.outcome == OK)
    return operation._replace(argument=argument, result=result)


def _response(data: list[Any]) -> WatchResponse:
    response = WatchResponse(*data[1:])
    shapes.check(WatchResponse._fields, response)
    events: Any = response.events
    if not isinstance(events, list | tuple):
        raise ValueError(f"events must be a list, not {str(events)[:80]}")
    return response._replace(events=tuple(map(_event, events)))


def _event(data: object) -> Event:
    if not isinstance(data, list) or not 2 <= len(data) <= 4 or data[0] not in ("put", "delete"):
        raise ValueError(f"an event must be [put or delete, key, previous key or null, whether it is a creation], not {str(data)[:80]}")
    kind, kv, previous, is_create = [*data, None, False] if len(data) == 2 else [*data, False] if len(data) == 3 else data
    if type(is_create) is not bool:
        raise ValueError(f"whether an event is a creation must be true or false, not {is_create!r}")
    return Event(kind, _certain_kv(kv), _kv(previous), is_create)


def _kv(data: list[Any] | None) -> KeyValue | None:
    if data is None:
        return None
    return _certain_kv(data)


def _certain_kv(data: object) -> KeyValue:
    if not isinstance(data, list) or not 5 <= len(data) <= 6:
        raise ValueError(f"a key must be [key, value, create revision, mod revision, version, lease], not {str(data)[:80]}")
    kv = KeyValue(*data)
    shapes.check(KeyValue._fields, kv)
    return kv


def _range_result(data: list[Any]) -> RangeResult:
    kvs, *rest = data
    return RangeResult(tuple(map(_certain_kv, kvs)), *rest)


def _txn_result(data: list[Any]) -> TxnResult:
    succeeded, responses = data
    return TxnResult(succeeded, tuple(_response_of_step(response) for response in responses))


def _response_of_step(data: object) -> object:
    if not isinstance(data, list) or not data:
        return shapes.frozen(data)
    return _range_result(data) if isinstance(data[0], list) else _kv(data)


_ARGUMENTS: Mapping[str, Any] = {
    "range": lambda data: RangeArgument(*data),
    "txn": lambda data: TxnArgument(*(shapes.frozen(part) for part in data)),
}

_RESULTS: Mapping[str, Any] = {
    "get": _kv,
    "put": lambda data: tuple(_kv(item) for item in data),
    "cas": lambda data: (data[0], *(_kv(item) for item in data[1:])),
    "range": _range_result,
    "txn": _txn_result,
}
