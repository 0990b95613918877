"""Strict serializability by revision: every answer is held against the state its revision must have had.

The store's answers carry the revision at which they are true, so the only order in which everything can have happened is
known: operations are replayed in it once, and real time is checked beside it. Writes of unknown outcome stand where
somebody saw them (`placement`). Linear in the history but for two sorts. Source: spec/faults.md §4c (1), §5a K1-K9.

What it lets pass, all of it only where outcomes are unknown: of a hidden write (`placement`) one effect is held to account,
on one key, and a lease's expiry may take its keys one by one at any free revision.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

from jepsen_like.checker import real_time
from jepsen_like.checker.placement import ANY, Placement, Seen
from jepsen_like.checker.real_time import Floor
from jepsen_like.checker.replay import HIDDEN_PUT, Replay
from jepsen_like.checker.verdict import Findings, Verdict
from jepsen_like.history import FAIL, OK, UNKNOWN, Event, KeyValue, Operation

READS = frozenset({"get", "range"})


def check(
    operations: Sequence[Operation],
    *,
    events: Iterable[Event] = (),
    initial: Mapping[str, KeyValue] | None = None,
    closed: bool = True,
) -> Verdict:
    """Whether the history is strictly serializable in the order of its revisions.

    Args:
        operations: the run; operations that are not of the key-value API are passed over.
        events: what watchers were shown, in any order, repeats allowed: they place unknown writes exactly.
        initial: what the store held before; empty when left out.
        closed: nobody else wrote, so a revision that no operation can have made is an anomaly. Never held
            against a history that attaches leases, whose expiry makes revisions too.
    """
    findings = Findings()
    floor = Floor(operations)
    made: dict[int, Operation] = {}
    leases = bool(initial) and any(kv.lease for kv in (initial or {}).values())
    writes: list[Operation] = []
    reads: list[Operation] = []
    historical = False
    for operation in operations:
        if operation[7] != OK:
            continue
        f = operation[1]
        if f == "get" or f == "range":
            reads.append(operation)
            historical = historical or bool(operation[3] if f == "get" else operation[3][2])
            continue
        kind = _WRITES.get(f)
        if kind is None:
            continue
        if operation[11] or f == "revoke":
            leases = True
        if not kind(operation):
            reads.append(operation)
            continue
        writes.append(operation)
        if f != "revoke":
            other = made.setdefault(operation[8], operation)
            if other is not operation:
                text = f"revision {operation.revision} was given to two writes: {other.f} {other.key!r} and {operation.f} {operation.key!r}"
                findings.add("revision-reused", text, (other, operation), (other.key, operation.key))
    real_time.check(floor, set(map(id, made.values())), findings)
    if historical or any(one[7] == FAIL and one[1] in READS for one in operations):
        real_time.check_window(operations, floor, findings)
    placement = Placement(operations, made, floor)
    if placement.any_unknown:
        placement.place_seen(_seen(reads, writes, events), findings)
        leases = leases or any(operation.lease for operation, _sight in placement.placed.values())
    replay = Replay(placement, findings, initial or {}, [one for one in operations if one[7] == FAIL and one[1] in _WRITES])
    replay.run(_ordered(writes, reads, placement), ranged=any(_is_ranged(one) for one in operations))
    replay.check_events(events)
    if closed and not leases:
        for revision in placement.unexplained():
            findings.add("phantom-revision", f"revision {revision} was made by no operation of this history")
    return findings.verdict(len(writes) + len(reads))


def _ordered(writes: list[Operation], reads: list[Operation], placement: Placement) -> list[tuple[int, Operation]]:
    """Everything with the revision it stands at, writes before the reads of their revision."""
    steps = [(operation[8] * 2, operation) for operation in writes]
    steps += [(revision * 2, operation) for revision, (operation, _sight) in placement.placed.items()]
    for operation in reads:
        f, argument = operation[1], operation[3]
        asked = argument if f == "get" else argument[2] if f == "range" else 0
        steps.append(((asked or operation[8]) * 2 + 1, operation))
    for revision, key in sorted(placement.hidden_puts):
        steps.append((revision * 2, Operation(-1, HIDDEN_PUT, key, "", None, 0, 0, UNKNOWN)))
    steps.sort(key=_position)
    return steps


def _position(step: tuple[int, Operation]) -> int:
    return step[0]


def _is_ranged(operation: Operation) -> bool:
    f = operation[1]
    if f == "get" or f == "put" or f == "cas":
        return False
    if f == "range" or (f == "delete" and operation[3] != ""):
        return True
    return f == "txn" and any(step[0] in ("range", "delete") for step in (*operation[3][1], *operation[3][2]))


def _txn_writes(operation: Operation) -> bool:
    succeeded, responses = operation.result
    steps = operation.argument[1 if succeeded else 2]
    return any(step[0] == "put" or (step[0] == "delete" and response > 0) for step, response in zip(steps, responses, strict=True))


_WRITES: Mapping[str, Callable[[Operation], bool]] = {
    "put": lambda _operation: True,
    "delete": lambda operation: bool(operation.result > 0),
    "cas": lambda operation: bool(operation.result[0]),
    "txn": _txn_writes,
    "revoke": lambda _operation: True,
}
"""Writing calls -> whether this one, by its answer, made a revision."""


def _seen(reads: Sequence[Operation], writes: Sequence[Operation], events: Iterable[Event]) -> list[Seen]:
    """Every change that an answer or a watcher shows."""
    found: set[tuple[int, str, str | None]] = set()
    seen = []
    for operation in (*reads, *writes):
        for sight in _sights(operation):
            if sight not in found:
                found.add(sight)
                seen.append(Seen(*sight, operation))
    for event in events:
        sight = (event.kv.mod_revision, event.kv.key, event.kv.value if event.type == "put" else None)
        if sight not in found:
            found.add(sight)
            seen.append(Seen(*sight, None))
    return seen


def _sights(operation: Operation) -> Iterator[tuple[int, str, str | None]]:
    for kv in _shown(operation):
        yield kv[3], kv[0], kv[1]
        if kv[2] != kv[3]:
            yield kv[2], kv[0], ANY
    if operation.f == "txn" and operation.result[0]:
        for key, target, sign, operand in operation.argument[0]:
            if target in ("mod", "create") and sign == "=" and operand:
                yield operand, key, ANY


def _shown(operation: Operation) -> Iterable[KeyValue]:
    f, result = operation[1], operation[4]
    if f == "get":
        return () if result is None else (result,)
    if f == "range":
        kvs: tuple[KeyValue, ...] = result[0]
        return kvs
    if f == "put":
        return tuple(kv for kv in result if kv is not None)
    if f == "cas":
        return tuple(kv for kv in result[1:] if kv is not None)
    if f == "txn":
        return tuple(kv for response in result[1] for kv in _of_response(response))
    return ()


def _of_response(response: Any) -> tuple[KeyValue, ...]:
    if not isinstance(response, tuple) or not response:
        return ()
    return response[0] if isinstance(response[0], tuple) else (response,)
