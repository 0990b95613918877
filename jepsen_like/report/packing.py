"""The timeline's data: operations as columns of variable-length numbers in base64, ten bytes an operation.

Owns the packed form, which `page.js` unpacks; decides which client shares which lane and what is left out of a run too large
for one page. Columns are in order of invocation: a number is seven bits a byte, the lowest first, the high bit set on all
but the last byte; signed numbers are zigzagged.
"""

from __future__ import annotations

import base64
import heapq
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from jepsen_like import ledger
from jepsen_like.checker.verdict import Verdict
from jepsen_like.history import OK, UNKNOWN, History, KeyValue, Mark, Operation, Watch, WatchResponse
from jepsen_like.report.numbers import Numbers, error_class

OPERATIONS_MAX = 100_000
"""Drawn; of more, those without success and then every nth of the others are kept."""

DETAILS_MAX = 12_000
"""Operations that keep their arguments and results as text."""

DETAIL_LENGTH = 90
NAMES_MAX = 20_000
"""Different keys, and different errors; more are drawn without a name."""

MARKS_MAX = 3_000
"""Of one kind."""

OUTCOMES = (OK, UNKNOWN, "fail")


def timeline(history: History, verdict: Verdict, numbers: Numbers) -> dict[str, Any]:
    """What the page's script draws, ready for JSON. Times are microseconds after the first."""
    operations = _kept(history.operations, verdict)
    lanes, count = lanes_of(operations)
    base = numbers.start_ns
    calls, keys, members, errors = _Names(), _Names(), _Names(), _Names()
    columns: dict[str, list[int]] = {name: [] for name in ("at", "took", "lane", "call", "key", "member", "error", "revision")}
    before = revision = 0
    for operation, lane in zip(operations, lanes, strict=True):
        at = (operation.invoke_ns - base) // 1000
        columns["at"].append(at - before)
        columns["took"].append((operation.complete_ns - operation.invoke_ns) // 1000)
        columns["lane"].append(lane)
        columns["call"].append(calls.place(operation.f) * 3 + OUTCOMES.index(operation.outcome))
        columns["key"].append(keys.place(operation.key))
        columns["member"].append(members.place(operation.member))
        columns["error"].append(errors.place(error_class(operation.error)) if operation.error else 0)
        columns["revision"].append(_zigzag(operation.revision - revision) if operation.revision else 0)
        before = at
        revision = operation.revision or revision
    details = [detail(operation) for operation in operations] if len(operations) <= DETAILS_MAX else []
    return {
        "count": len(operations),
        "total": len(history.operations),
        "lanes": count,
        "end": (numbers.end_ns - base) // 1000,
        "columns": {name: packed(values) for name, values in columns.items()},
        "calls": calls.names,
        "keys": keys.names,
        "members": members.names,
        "errors": errors.names,
        "details": details,
        "faults": [
            [one.name, one.group, list(one.targets), _us(one.start_ns, base), _us(one.end_ns, base), one.status, one.requested, one.effect]
            for one in numbers.faults[:MARKS_MAX]
            if not one.skipped
        ],
        "leaders": _marks(history.marks, ledger.LEADER, ("member", "term"), base),
        "states": _marks(history.marks, ledger.MEMBER, ("member", "state"), base),
        "phases": _marks(history.marks, ledger.PHASE, ("name",), base),
        "notes": [
            [str(mark.detail)[:200], _us(mark.start_ns, base), _us(mark.end_ns, base)]
            for mark in history.marks
            if mark.kind == ledger.NOTE or mark.kind not in ledger.KINDS
        ][:MARKS_MAX],
        "anomalies": [[one.kind, *_around(one.operations, base)] for one in verdict.anomalies],
    }


def lanes_of(operations: Sequence[Operation]) -> tuple[list[int], int]:
    """A lane for every operation, and how many there are: clients that are not there at one time share one.

    A client gets a new number after every unknown outcome; one lane a number would be thousands of almost empty ones.
    """
    spans: dict[int, list[int]] = {}
    for operation in operations:
        span = spans.setdefault(operation.process, [operation.invoke_ns, operation.complete_ns])
        span[1] = max(span[1], operation.complete_ns)
    free: list[tuple[int, int]] = []
    busy: list[tuple[int, int]] = []
    lanes: dict[int, int] = {}
    for process, (start, end) in sorted(spans.items(), key=lambda item: (item[1][0], item[0])):
        while busy and busy[0][0] <= start:
            heapq.heappush(free, (heapq.heappop(busy)[1], 0))
        lane = heapq.heappop(free)[0] if free else len(busy)
        heapq.heappush(busy, (end, lane))
        lanes[process] = lane
    return [lanes[operation.process] for operation in operations], max(lanes.values(), default=-1) + 1


def packed(values: Iterable[int]) -> str:
    """Non-negative numbers as base64 text."""
    raw = bytearray()
    append = raw.append
    for value in values:
        while value > 127:
            append(value & 127 | 128)
            value >>= 7
        append(value)
    return base64.b64encode(raw).decode("ascii")


def detail(operation: Operation) -> str:
    """What was asked and answered, short."""
    asked = "" if operation.argument in (None, 0, "") else str(_plain(operation.argument))
    answered = f" → {_plain(operation.result)}" if operation.outcome == OK and operation.result not in (None, ()) else ""
    text = f"{asked}{answered}"
    return text if len(text) <= DETAIL_LENGTH else text[: DETAIL_LENGTH - 1] + "…"


def _plain(value: Any) -> Any:
    """Records as their essence: a key's as value@revision."""
    if isinstance(value, KeyValue):
        return f"{value.value}@{value.mod_revision}"
    if isinstance(value, tuple):
        return "(" + ", ".join(str(_plain(one)) for one in value[:12]) + (", …)" if len(value) > 12 else ")")
    return value


class _Names:
    """Text -> place in a table; 0 is the empty one, and everything once the table is full."""

    def __init__(self) -> None:
        self.names = [""]
        self._places = {"": 0}

    def place(self, name: str) -> int:
        place = self._places.get(name)
        if place is None:
            if len(self.names) >= NAMES_MAX:
                return 0
            place = self._places[name] = len(self.names)
            self.names.append(name[:60])
        return place


def _kept(operations: Sequence[Operation], verdict: Verdict) -> list[Operation]:
    """In order of invocation, thinned to `OPERATIONS_MAX` where there are more; those of anomalies always stay."""
    kept = sorted(operations, key=lambda one: one.invoke_ns)
    if len(kept) <= OPERATIONS_MAX:
        return kept
    proof = {id(record) for anomaly in verdict.anomalies for record in anomaly.operations}
    outcomes = Counter(one.outcome for one in kept)
    room = OPERATIONS_MAX - len(proof)
    strides = {}
    for outcome in (UNKNOWN, "fail", OK):
        share = min(outcomes[outcome], room if outcome == OK else room // 3)
        strides[outcome] = -(-outcomes[outcome] // share) if share else 0
        room -= share
    seen: Counter[str] = Counter()
    thinned = []
    for one in kept:
        seen[one.outcome] += 1
        stride = strides[one.outcome]
        if id(one) in proof or (stride and seen[one.outcome] % stride == 0):
            thinned.append(one)
    return thinned


def _us(when_ns: int, base_ns: int) -> int:
    return (when_ns - base_ns) // 1000


def _zigzag(value: int) -> int:
    return value * 2 if value >= 0 else -value * 2 - 1


def _marks(marks: Sequence[Mark], kind: str, fields: tuple[str, ...], base: int) -> list[list[Any]]:
    found = []
    for mark in marks:
        if mark.kind == kind and isinstance(mark.detail, Mapping):
            found.append([*(mark.detail.get(field, "") for field in fields), _us(mark.start_ns, base), _us(mark.end_ns, base)])
    return found[:MARKS_MAX]


def _around(records: Iterable[Any], base: int) -> tuple[int, int]:
    """The span of the records that have one."""
    stamps = [stamp for record in records for stamp in stamps_of(record)]
    return (_us(min(stamps), base), _us(max(stamps), base)) if stamps else (0, 0)


def stamps_of(record: Any) -> tuple[int, ...]:
    """When a record of a history began and ended."""
    if isinstance(record, Operation):
        return (record.invoke_ns, record.complete_ns)
    return tuple(stamp for name in ("time_ns", "opened_ns", "start_ns", "end_ns") if isinstance(stamp := getattr(record, name, None), int))


def keys_of(record: Any) -> tuple[str, ...]:
    """The keys a record of a history names: its own, or those of its steps and events."""
    if isinstance(record, WatchResponse):
        return tuple(event.kv.key for event in record.events)
    if isinstance(record, Watch):
        return (record.key,)
    if not isinstance(record, Operation):
        return ()
    if record.f == "txn":
        return tuple(one[0] for one in record.argument[0]) + tuple(step[1] for steps in record.argument[1:] for step in steps)
    return tuple(step[1] for step in record.argument) if record.f == "append" else (record.key,)
