"""What clients of a cluster asked and were told, and whether that can be true.

The order of all writes is the cluster's own: the events of a watch from revision 1. Against it every operation is checked by its
header revision, in time linear in their number (etcd promises that the revision is the total order; faults.md, 4c rule 1).
Values are unique, so an event names the write that made it.
"""

from __future__ import annotations

import bisect
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import NamedTuple


class Kind(Enum):
    """What was asked."""

    PUT = "put"
    DELETE = "delete"
    READ = "read"


class Outcome(Enum):
    """What the client was told."""

    ACKNOWLEDGED = "acknowledged"
    UNKNOWN = "unknown"
    """It may have happened, or may yet."""

    REFUSED = "refused"
    """The client was promised that it had no effect."""


@dataclass(slots=True)
class Operation:
    """One call. Times are monotonic seconds; `revision` is the answer's header revision, 0 without an answer."""

    kind: Kind
    key: bytes
    value: bytes = b""
    """Of a put what was written, of a read what was found."""

    called_s: float = 0.0
    returned_s: float = 0.0
    outcome: Outcome = Outcome.UNKNOWN
    revision: int = 0
    found: bool = False
    """Of a delete or read: the key existed."""

    error: str = ""

    @property
    def wrote(self) -> bool:
        """Acknowledged, and made a revision."""
        return self.outcome is Outcome.ACKNOWLEDGED and (self.kind is Kind.PUT or (self.kind is Kind.DELETE and self.found))

    def __str__(self) -> str:
        what = f"{self.kind.value} {self.key!r} {self.value[:24]!r}"
        return f"{what} called at {self.called_s:.4f}, {self.outcome.value} at {self.returned_s:.4f}, revision {self.revision}"


class WriteEvent(NamedTuple):
    """One write in the cluster's own order."""

    kind: Kind
    key: bytes
    value: bytes
    revision: int
    create_revision: int
    version: int


@dataclass(slots=True)
class History:
    """Operations in no order."""

    operations: list[Operation] = field(default_factory=list)

    def count(self, outcome: Outcome) -> int:
        """Writes with the outcome."""
        return sum(op.outcome is outcome for op in self.operations if op.kind is not Kind.READ)

    def faults(self, events: Sequence[WriteEvent]) -> list[str]:
        """Everything that cannot be true if the events are all the writes there were, from the first revision on; empty if nothing."""
        by_revision = {event.revision: event for event in events}
        return [
            *_faults_of_order(events),
            *_faults_of_writes(self.operations, by_revision),
            *_faults_of_events(self.operations, events),
            *_faults_of_time(self.operations, events),
            *_faults_of_reads(self.operations, events),
        ]


def _faults_of_order(events: Sequence[WriteEvent]) -> list[str]:
    """Revisions follow each other without a gap; versions and create revisions are what the writes before make them."""
    faults = []
    keys: dict[bytes, tuple[int, int]] = {}
    for before, event in zip((None, *events), events, strict=False):
        if before is not None and event.revision != before.revision + 1:
            faults.append(f"revision {event.revision} follows {before.revision}")
        if event.kind is Kind.DELETE:
            if keys.pop(event.key, None) is None:
                faults.append(f"revision {event.revision} deletes {event.key!r}, which did not exist")
            continue
        created, version = keys.get(event.key, (event.revision, 0))
        keys[event.key] = (created, version + 1)
        if (event.create_revision, event.version) != (created, version + 1):
            faults.append(
                f"{event.key!r} at revision {event.revision} has create revision {event.create_revision} and version {event.version}, "
                f"not {created} and {version + 1}"
            )
    return faults


def _faults_of_writes(operations: Iterable[Operation], by_revision: dict[int, WriteEvent]) -> list[str]:
    """Every acknowledged write stands at its revision, alone."""
    faults = []
    acknowledged: dict[int, Operation] = {}
    for op in operations:
        if not op.wrote:
            continue
        other = acknowledged.setdefault(op.revision, op)
        if other is not op:
            faults.append(f"revision {op.revision} was given to two writes: {other}; {op}")
        event = by_revision.get(op.revision)
        if event is None:
            faults.append(f"lost: {op}: there is no such revision")
        elif (event.kind, event.key, event.value) != (op.kind, op.key, op.value):
            faults.append(f"lost: {op}: that revision is {event.kind.value} {event.key!r} {event.value[:24]!r}")
    return faults


def _faults_of_events(operations: Iterable[Operation], events: Sequence[WriteEvent]) -> list[str]:
    """Every event was asked for, once, by a call that was not refused."""
    faults = []
    puts: dict[bytes, Operation] = {}
    deleted: set[int] = set()
    unknown_deletes: Counter[bytes] = Counter()
    for op in operations:
        if op.kind is Kind.PUT:
            assert op.value not in puts, "values are unique"
            puts[op.value] = op
        elif op.kind is Kind.DELETE and op.wrote:
            deleted.add(op.revision)
        elif op.kind is Kind.DELETE and op.outcome is Outcome.UNKNOWN:
            unknown_deletes[op.key] += 1
    for event in events:
        if event.kind is Kind.PUT:
            put = puts.pop(event.value, None)
            if put is None:
                faults.append(f"revision {event.revision} puts {event.value[:24]!r}, which nobody asked for, or which was there before")
            elif put.outcome is Outcome.REFUSED:
                faults.append(f"refused, and yet it happened at revision {event.revision}: {put} ({put.error})")
        elif event.revision not in deleted:
            unknown_deletes[event.key] -= 1
            if unknown_deletes[event.key] < 0:
                faults.append(f"revision {event.revision} deletes {event.key!r}, which nobody asked for")
    return faults


def _faults_of_time(operations: Sequence[Operation], events: Sequence[WriteEvent]) -> list[str]:
    """A call sees every revision that was answered before it began; a write comes after them."""
    revision_of = {event.value: event.revision for event in events if event.kind is Kind.PUT}
    answered = sorted((op.returned_s, op.revision) for op in operations if op.outcome is Outcome.ACKNOWLEDGED)
    faults = []
    newest = position = 0
    for op in sorted(operations, key=lambda op: op.called_s):
        while position < len(answered) and answered[position][0] < op.called_s:
            newest = max(newest, answered[position][1])
            position += 1
        if op.outcome is Outcome.ACKNOWLEDGED:
            if op.revision < newest + op.wrote:
                faults.append(f"back in time: {op}, although revision {newest} was answered before")
        elif op.kind is Kind.PUT and 0 < revision_of.get(op.value, 0) <= newest:
            faults.append(f"back in time: {op}, happened at revision {revision_of[op.value]}, although {newest} was answered before")
    return faults


def _faults_of_reads(operations: Iterable[Operation], events: Sequence[WriteEvent]) -> list[str]:
    """A read, or a delete that found nothing, saw the store as it was at its revision."""
    revisions: dict[bytes, list[int]] = {}
    values: dict[bytes, list[bytes | None]] = {}
    for event in events:
        revisions.setdefault(event.key, []).append(event.revision)
        values.setdefault(event.key, []).append(event.value if event.kind is Kind.PUT else None)
    faults = []
    for op in operations:
        if op.outcome is not Outcome.ACKNOWLEDGED or op.wrote:
            continue
        before = bisect.bisect_right(revisions.get(op.key, []), op.revision)
        value = values[op.key][before - 1] if before else None
        if (op.value if op.found else None) != value:
            faults.append(f"wrong: {op}: found {op.value[:24] if op.found else None!r}, was {value[:24] if value is not None else None!r}")
    return faults
