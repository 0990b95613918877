"""Strict serializability by revision: every answer is held against the state its revision must have had.

The store's answers carry the revision at which they are true, so the only order in which everything can have happened is
known: operations are replayed in it once, and real time is checked beside it. Writes of unknown outcome stand where
somebody saw them (`placement`); those that nobody saw are first a possible reason of each effect alone, and then all have to
fit together (`makers`). Linear in the history but for two sorts. Source: spec/faults.md §4c (1), §5a K1-K9.

What it lets pass, all of it only where outcomes are unknown. Where `makers` decides, nothing. Where it does not, because the
history is longer than `makers.STEPS_MAX`, because too many unknown writes were seen by nobody, or because leases may expire: of a
hidden write one effect is held to account, on one key, so that one write may explain what it did to two, a revision of its
own may be given to a write that would have made none there, and a key's create revision and version may be anything once a
hidden write is known to have changed it; and a lease's expiry may take its keys one by one at any free revision. Of registers
`search`, which asks about each key alone, decides some of these.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Any

from jepsen_like.checker import real_time
from jepsen_like.checker.makers import STEPS_MAX, Candidate, Makers, Question
from jepsen_like.checker.placement import ANY, Placement, Seen
from jepsen_like.checker.real_time import Floor
from jepsen_like.checker.replay import HIDDEN_DELETE, HIDDEN_PUT, Replay
from jepsen_like.checker.verdict import Findings, Verdict
from jepsen_like.collection import uncollected
from jepsen_like.history import FAIL, OK, UNKNOWN, Event, KeyValue, Operation

READS = frozenset({"get", "range"})

FIRST = 2
"""The revision that a store's first write makes."""

SILENT = frozenset(
    {"compact", "grant", "keepalive", "lease-ttl", "hashkv", "members", "observe"}
    | {"member-add", "member-promote", "member-remove", "member-update", "member-list"}
)
"""Other calls that make no revision."""


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
        closed: nobody else wrote, so a revision that no operation can have made is an anomaly. Never held against a
            history that attaches leases, whose expiry makes revisions too, or has writes that are passed over.
    """
    with uncollected():
        return _checked(operations, events, initial or {}, closed=closed)


def _checked(operations: Sequence[Operation], events: Iterable[Event], known: Mapping[str, KeyValue], *, closed: bool) -> Verdict:
    findings = Findings()
    floor = Floor(operations)
    sorted_out = _Sorted(operations, findings)
    made = sorted_out.made
    if min(made, default=FIRST) < FIRST:
        first = made[min(made)]
        text = f"{first.f} of {first.key!r} made revision {first.revision}; a store's first write makes revision {FIRST}"
        findings.add("revision-reused", text, (first,), (first.key,))
    real_time.check(floor, set(map(id, made.values())), findings)
    if sorted_out.historical:
        real_time.check_window(operations, floor, findings)
    placement = Placement(operations, made, floor)
    leases = sorted_out.leases or any(kv.lease for kv in known.values())
    seen: list[Seen] = []
    if placement.any_unknown:
        since = max((kv.mod_revision for kv in known.values()), default=0)
        seen = _seen((*sorted_out.reads, *sorted_out.writes), events, made, since)
        placement.place_seen(seen, findings)
        leases = leases or any(operation.lease or operation.f == "revoke" for operation in placement.unknown)
    replay = Replay(placement, findings, known, sorted_out.failed)
    positions, steps = _ordered(sorted_out, placement)
    replay.run(zip(positions, steps, strict=True), ranged=sorted_out.ranged)
    replay.check_events(events)
    closed = closed and not leases and not sorted_out.foreign
    if closed:
        for revision in placement.unexplained(*_span(sorted_out)):
            findings.add("phantom-revision", f"revision {revision} was made by no operation of this history")
    if placement.any_unknown and not leases and not findings.count:
        _check_together(positions, steps, placement, seen, known, _span(sorted_out), closed, findings)
    return findings.verdict(len(sorted_out.writes) + len(sorted_out.reads))


def _check_together(
    positions: Sequence[int],
    steps: Sequence[Operation],
    placement: Placement,
    seen: Iterable[Seen],
    known: Mapping[str, KeyValue],
    span: tuple[int, int],
    closed: bool,
    findings: Findings,
) -> None:
    """Each effect has a possible reason; whether all can have theirs at once, as far as that can be decided."""
    lowest, highest = span
    candidates = [Candidate(operation, placement.floor_of(operation)) for operation in placement.left]
    # Below what was shown first somebody may have written before the history: there a gap may be nobody's.
    first = max(FIRST, min((one.floor + 1 for one in candidates), default=lowest))
    answers = list(islice((place for place, one in enumerate(steps) if one[1] not in (HIDDEN_PUT, HIDDEN_DELETE)), STEPS_MAX))
    if len(answers) == STEPS_MAX:
        highest = positions[answers[-1]] >> 1
    gaps = [revision for revision in range(min(first, lowest), highest + 1) if revision not in placement.made]
    sights: dict[int, list[tuple[str, str | None]]] = {}
    for one in seen:
        sights.setdefault(one.revision, []).append((one.key, one.value))
    asked = [steps[place] for place in answers]
    closed_from = lowest if closed else highest + 1
    question = Question([positions[place] for place in answers], asked, gaps, candidates, sights, known, closed_from)
    answer = Makers(question).search()
    if answer.explained is False:
        stuck = asked[answer.furthest]
        text = (
            f"no choice of the writes of unknown outcome for the {len(gaps)} revisions that no answer made explains all answers; "
            f"none comes past {stuck.f} of {stuck.key!r} by process {stuck.process} at revision {stuck.revision}"
        )
        findings.add("no-placement", text, (stuck,), (stuck.key,))


def _span(sorted_out: _Sorted) -> tuple[int, int]:
    """The first and the last revision that must have been made within the history: above the lowest shown, up to the highest."""
    shown = [one.revision for one in sorted_out.reads if one.revision]
    lowest = min(min(shown, default=1 << 62) + 1, min(sorted_out.made, default=1 << 62))
    return lowest, max(max(shown, default=0), max(sorted_out.made, default=0))


class _Sorted:
    """The history's operations by what they are to the check, found in one pass."""

    def __init__(self, operations: Sequence[Operation], findings: Findings) -> None:
        self.made: dict[int, Operation] = {}
        """Revision -> the acknowledged write that made it."""
        self.writes: list[Operation] = []
        self.reads: list[Operation] = []
        self.failed: list[Operation] = []
        """Writes that certainly did not happen."""
        self.leases = self.historical = self.ranged = False
        """Whether keys can expire; whether old revisions were read; whether anything touches several keys."""
        self.foreign = False
        """Whether there are calls that this checker passes over and that may make revisions."""
        made, writes, reads = self.made, self.writes, self.reads
        for operation in operations:
            f = operation[1]
            if operation[7] != OK:
                self._not_ok(f, operation)
            elif f == "get":
                reads.append(operation)
                if operation[3]:
                    self.historical = True
            elif f == "put" or f in _WRITES:
                if operation[11] or f == "revoke":
                    self.leases = True
                if f != "put" and not _WRITES[f](operation):
                    reads.append(operation)
                else:
                    writes.append(operation)
                    if f != "revoke" and made.setdefault(operation[8], operation) is not operation:
                        _note_reused(made[operation[8]], operation, findings)
                if f == "delete" or f == "txn":
                    self.ranged = self.ranged or _is_ranged(operation)
            elif f == "range":
                reads.append(operation)
                self.ranged = True
                if operation[3][2]:
                    self.historical = True
            elif f not in SILENT:
                self.foreign = True

    def _not_ok(self, f: str, operation: Operation) -> None:
        if f in READS:
            self.historical = self.historical or operation[7] == FAIL
        elif f in _WRITES:
            self.ranged = self.ranged or _is_ranged(operation)
            if operation[7] == FAIL:
                self.failed.append(operation)
        elif f not in SILENT and operation[7] == UNKNOWN:
            self.foreign = True


def _note_reused(first: Operation, second: Operation, findings: Findings) -> None:
    text = f"revision {first.revision} was given to two writes: {first.f} {first.key!r} and {second.f} {second.key!r}"
    findings.add("revision-reused", text, (first, second), (first.key, second.key))


def _ordered(sorted_out: _Sorted, placement: Placement) -> tuple[list[int], list[Operation]]:
    """Everything in order of the revision it stands at, writes before the reads of their revision; twice the revision first."""
    writes, reads = sorted_out.writes, sorted_out.reads
    steps = [*writes, *(operation for operation, _sight in placement.placed.values())]
    positions = [operation[8] * 2 for operation in writes]
    positions += [revision * 2 for revision in placement.placed]
    for (revision, key), value in sorted(placement.hidden_puts.items()):
        steps.append(Operation(-1, HIDDEN_PUT, key, value, None, 0, 0, UNKNOWN))
        positions.append(revision * 2)
    for revision, key in sorted(placement.hidden_deletes):
        steps.append(Operation(-1, HIDDEN_DELETE, key, "", None, 0, 0, UNKNOWN))
        positions.append(revision * 2)
    if sorted_out.historical:
        for operation in reads:
            f, argument = operation[1], operation[3]
            asked = argument if f == "get" else argument[2] if f == "range" else 0
            positions.append((asked or operation[8]) * 2 + 1)
    else:
        positions += [operation[8] * 2 + 1 for operation in reads]
    steps += reads
    # By index: a million pairs more would cost more than the sort.
    order = sorted(range(len(positions)), key=positions.__getitem__)
    return list(map(positions.__getitem__, order)), list(map(steps.__getitem__, order))


def _is_ranged(operation: Operation) -> bool:
    if operation.f == "delete":
        return bool(operation.argument != "")
    return operation.f == "txn" and any(step[0] in ("range", "delete") for step in (*operation.argument[1], *operation.argument[2]))


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


def _seen(answers: Iterable[Operation], events: Iterable[Event], made: Mapping[int, Operation], since: int) -> list[Seen]:
    """Every change that an answer or a watcher shows at a revision above `since` without an acknowledged maker."""
    found: dict[tuple[int, str, str | None], Seen] = {}
    for operation in answers:
        f, result = operation[1], operation[4]
        if f == "get":
            if result is None or (result[3] in made and result[2] in made):
                continue
        elif f == "cas":
            kv = result[1] if len(result) == 2 else None
            if kv is None or (kv[3] in made and kv[2] in made):
                continue
        elif f == "delete" or (f == "put" and not result):
            continue
        for sight in _sights(operation):
            if sight[0] not in made and sight[0] > since and sight not in found:
                found[sight] = Seen(*sight, operation)
    for event in events:
        kv = event.kv
        sight = (kv.mod_revision, kv.key, kv.value if event.type == "put" else None)
        if sight[0] not in made and sight[0] > since and sight not in found:
            found[sight] = Seen(*sight, None)
    return list(found.values())


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
