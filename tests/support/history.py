"""What clients saw, held against what the store says happened: linearizability by revision order.

etcd's answers carry the store's revision, so the one order in which everything must have happened is known and the check
is linear: every acknowledged write stands in the store's history at the revision it was told, every read saw the state
of its own revision, and revisions never go back in real time. Source: spec/faults.md §0.6, §4.
"""

from __future__ import annotations

from bisect import bisect_right
from typing import NamedTuple


class Operation(NamedTuple):
    """One completed call. `ok` False: its outcome is not known."""

    kind: str
    """`put`, `delete`, `get`, or `stale`: a serializable read, which may be of any past state but only of one that was."""

    key: bytes
    value: bytes
    """Written, or read (b"" when there was none, and of a delete)."""

    mod_revision: int
    """Of a read: of the key it saw, 0 for none."""

    revision: int
    """Of the answer's header."""

    started_s: float
    ended_s: float
    ok: bool


Version = tuple[int, bytes]
"""Revision and value; b"" where the key was deleted."""

WRITES = ("put", "delete")


def check(operations: list[Operation], store: dict[bytes, list[Version]]) -> list[str]:
    """Every way in which the history cannot have happened, one sentence each; empty when it can.

    `store` maps each key to its versions in revision order, without compaction.
    """
    faults = _written(operations, store) + _read(operations, store)
    return faults + _in_real_time([operation for operation in operations if operation.ok and operation.kind != "stale"])


def _written(operations: list[Operation], store: dict[bytes, list[Version]]) -> list[str]:
    faults = []
    # Writes of one transaction share a revision and both their times.
    by_revision: dict[int, Operation] = {}
    for operation in operations:
        if operation.kind not in WRITES or not operation.ok:
            continue
        if (operation.revision, operation.value) not in store.get(operation.key, ()):
            faults.append(f"acknowledged write lost: {operation}")
        other = by_revision.setdefault(operation.revision, operation)
        if (other.started_s, other.ended_s) != (operation.started_s, operation.ended_s):
            faults.append(f"revision {operation.revision} given twice: {operation} and {other}")
    attempts: dict[tuple[bytes, bytes], int] = {}
    for operation in operations:
        if operation.kind in WRITES:
            attempts[operation.key, operation.value] = attempts.get((operation.key, operation.value), 0) + 1
    for key, versions in store.items():
        for revision, value in versions:
            if attempts.get((key, value), 0) < 1:
                faults.append(f"the store holds what nobody wrote, or twice: {key!r} = {value!r} at {revision}")
            else:
                attempts[key, value] -= 1
    return faults


def _read(operations: list[Operation], store: dict[bytes, list[Version]]) -> list[str]:
    faults = []
    for operation in operations:
        if operation.kind not in ("get", "stale") or not operation.ok:
            continue
        versions = store.get(operation.key, [])
        place = bisect_right(versions, operation.revision, key=lambda version: version[0])
        seen = versions[place - 1] if place and versions[place - 1][1] else (0, b"")
        if seen != (operation.mod_revision, operation.value):
            faults.append(f"a read at revision {operation.revision} must have seen {seen}: {operation}")
    return faults


def _in_real_time(operations: list[Operation]) -> list[str]:
    """What began after something ended must not carry a lower revision; a write must carry a higher one."""
    faults = []
    by_end = sorted(operations, key=lambda operation: operation.ended_s)
    newest: Operation | None = None
    place = 0
    for operation in sorted(operations, key=lambda operation: operation.started_s):
        while place < len(by_end) and by_end[place].ended_s < operation.started_s:
            if newest is None or by_end[place].revision > newest.revision:
                newest = by_end[place]
            place += 1
        if newest is None:
            continue
        floor = newest.revision + (1 if operation.kind in WRITES else 0)
        if operation.revision < floor:
            faults.append(f"went back in time: {operation} began after {newest} had ended")
    return faults
