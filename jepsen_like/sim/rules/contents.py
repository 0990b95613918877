"""What the members' stores hold when a run has ended, held against each other, against their own changes and against the clients.

Owns the looks of an onlooker who can open every store: all keys at the newest revision and at the oldest readable one, what
the changes between make of them, and the hashes that members would compare. Source: spec/faults.md §5a M1, §5c 55, 58 and 61.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING

from jepsen_like.checker.verdict import Findings
from jepsen_like.history import OK, Operation
from jepsen_like.sim.cluster import SimulatedMember
from raftkv.mvcc.hash import HashKV
from raftkv.pb import rpc

if TYPE_CHECKING:
    from raftkv.mvcc.store import Store

ALL = (b"\0", b"\0")
"""Every key, as a range is asked for."""

Contents = Mapping[bytes, bytes]
"""Key -> its record as a read gives it."""


def compare(members: Sequence[SimulatedMember], operations: Sequence[Operation], findings: Findings) -> None:
    """Looks at every store; all members must run and stand at one revision."""
    stores = {member.host: _store(member) for member in members}
    if len({store.revision for store in stores.values()}) > 1:
        return  # That is a finding of its own, and nothing below could be compared.
    revisions = _revisions(list(stores.values()))
    newest: Contents = {}
    for place, (host, store) in enumerate(stores.items()):
        views = [_contents(store, revision) for revision in revisions]
        hashes = [_hash(store, revision) for revision in revisions]
        _find_unmade(host, store, revisions, views, findings)
        for (before, one), (after, other) in pairwise(zip(revisions, hashes, strict=True)):
            if one == other:
                findings.add("hash-blind", f"{host} has one hash, {one}, of the revisions {before} and {after}, though they differ")
        if place == 0:
            reference, newest = (host, views, hashes), views[-1]
            continue
        for revision, own, others in zip(revisions, views, reference[1], strict=True):
            if own != others:
                text = f"at revision {revision} {host} and {reference[0]} differ in {_told(own, others)}"
                findings.add("members-differ", text)
        if hashes != reference[2] and views == reference[1]:
            findings.add(
                "hash-divergence", f"the hashes of {host} and {reference[0]} differ at {revisions}, though what is read is the same"
            )
    _find_stale(newest, operations, findings)


def _store(member: SimulatedMember) -> Store:
    assert member.running is not None
    return member.running.core.store


def _revisions(stores: Sequence[Store]) -> list[int]:
    """The oldest that all can read, one between, and the newest."""
    last = stores[0].revision
    first = max(1, *(store.compact_revision for store in stores))
    return sorted({first, (first + last) // 2, last})


def _contents(store: Store, revision: int) -> dict[bytes, bytes]:
    return {_key(record): record for record in store.range(*ALL, revision=revision).records}


def _key(record: bytes) -> bytes:
    return rpc.RangeResponse.FromString(record).kvs[0].key


def _hash(store: Store, revision: int) -> int:
    hashing = HashKV(store, revision)
    while hashing.step():
        pass
    return hashing.result.hash


def _find_unmade(host: str, store: Store, revisions: Sequence[int], views: Sequence[Contents], findings: Findings) -> None:
    """The changes after a revision make of what is read at it what is read at a later one."""
    held = dict(views[0])
    events = list(store.replay(revisions[0] + 1, revisions[-1]))
    for (first, last), view in zip(pairwise(revisions), views[1:], strict=True):
        for event in events:
            if first < event.revision <= last:
                if event.is_delete:
                    held.pop(event.key, None)
                else:
                    held[event.key] = event.record
        if held != view:
            text = f"{host}'s own changes up to revision {last} do not make what it shows there: {_told(held, view)}"
            findings.add("contents-unmade", text)


def _told(one: Contents, other: Contents) -> str:
    """Keys that two contents differ in."""
    keys = sorted(key for key in {*one, *other} if one.get(key) != other.get(key))
    return f"{len(keys)} keys: {b', '.join(keys[:5]).decode('latin-1')}"


def _find_stale(newest: Contents, operations: Sequence[Operation], findings: Findings) -> None:
    """No key stands as it was before an acknowledged write of it."""
    written: dict[str, Operation] = {}
    for operation in operations:
        if operation.f in ("put", "delete") and operation.outcome == OK and not (operation.f == "delete" and operation.argument):
            before = written.get(operation.key)
            if before is None or before.revision < operation.revision:
                written[operation.key] = operation
    for key, operation in written.items():
        record = newest.get(key.encode("latin-1"))
        if record is None:
            continue
        kv = rpc.RangeResponse.FromString(record).kvs[0]
        # Also a delete that found nothing says that the key was not there at its revision.
        if kv.mod_revision < operation.revision + (operation.f == "delete"):
            text = f"{key!r} stands as of revision {kv.mod_revision}, older than its {operation.f} of revision {operation.revision}"
            findings.add("stale-contents", text, (operation,), (key,))
