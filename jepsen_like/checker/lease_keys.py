"""What keys tell about the leases they are attached to: a lease's keys go in one revision, and none stays behind.

Owns which lease a key belonged to at a revision, and which deletes only a lease's end can have made. Keys that a write of
unknown outcome may have touched tell nothing from then on, so that no guess raises an alarm. Source: spec/faults.md §5a L2.

| kind | the rule it breaks |
|---|---|
| lease-keys-piecemeal | two revisions deleted keys of one lease, or another one than its revoke's |
| lease-keys-survived | a key of a lease was there after the revision that took the others |
| lease-keys-attached-late | a put was given a lease at a later revision than the one that ended it |
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from jepsen_like.checker.changes import Change, Changes, told
from jepsen_like.checker.placement import effects, may_delete
from jepsen_like.checker.verdict import Findings
from jepsen_like.history import OK, UNKNOWN, History, KeyValue, Operation, Record


class Evidence(NamedTuple):
    """Something that needs a lease alive, or gone, at an instant between two stamps."""

    alive: bool
    invoke_ns: int
    complete_ns: int
    what: str
    record: Record


def lease_of(operation: Operation) -> int:
    """The lease that a call is about, or attaches; 0: none."""
    if operation.lease or operation.f not in ("grant", "keepalive", "lease-ttl", "revoke"):
        return operation.lease
    try:
        return int(operation.key)
    except ValueError:
        # Named by other than a number: any number will do that is the same in every process, and no lease's.
        return -int.from_bytes(b"\1" + operation.key.encode("utf-8", "surrogatepass"), "big")


def attaches(operation: Operation) -> bool:
    """Whether the acknowledged call put a key with its lease."""
    if not operation.lease or operation.f == "put":
        return bool(operation.lease)
    if operation.f == "cas":
        return bool(operation.result[0])
    steps = operation.argument[1 if operation.result[0] else 2]
    return any(step[0] == "put" for step in steps)


def check(history: History, initial: Mapping[str, KeyValue], findings: Findings) -> list[tuple[int, Evidence]]:
    """Hold deletes against leases; the result is what keys say about when leases were alive or gone."""
    operations = history.operations
    changes = Changes(operations, initial, findings)
    times: dict[int, int] = {}
    for response in history.responses:
        for event in response.events:
            changes.see(event, response)
            times[event.kv.mod_revision] = min(times.get(event.kv.mod_revision, response.time_ns), response.time_ns)
    changes.settle()
    doubtful = _Doubtful(operations)
    revoked = {lease_of(one): one for one in operations if one.f == "revoke" and one.outcome == OK}
    ends: dict[int, dict[int, Change]] = {}
    evidence: list[tuple[int, Evidence]] = []
    for change in changes.known.values():
        if change.put or change.revision in changes.made or doubtful.may_touch(change.key):
            continue
        before = changes.before(change.key, change.revision)
        if before is not None and before.put and before.lease > 0 and change.source is not None:
            ends.setdefault(before.lease, {})[change.revision] = change
            when = times.get(change.revision, 0)
            evidence.append((before.lease, Evidence(False, when, when, "delete event", change.source)))
    for number, revoke in revoked.items():
        if number not in ends and revoke.revision:
            ends[number] = {}
    keys: dict[int, set[str]] = {}
    for change in changes.known.values():
        if change.lease > 0:
            keys.setdefault(change.lease, set()).add(change.key)
    for number, deletes in ends.items():
        chains = {key: changes.of_key[key] for key in sorted(keys.get(number, ()))}
        _check_end(number, deletes, revoked.get(number), chains, doubtful, findings)
    evidence.extend(_reads(operations, changes, ends, revoked, doubtful, findings))
    return evidence


class _Doubtful:
    """Keys that a write of unknown outcome may touch."""

    def __init__(self, operations: Sequence[Operation]) -> None:
        unknown = [one for one in operations if one.outcome == UNKNOWN and one.f in ("put", "cas", "txn", "delete")]
        self._named = {key for one in unknown for key, _value in effects(one)}
        self._ranged = [one for one in unknown if one.f == "txn" or (one.f == "delete" and one.argument)]

    def may_touch(self, key: str) -> bool:
        """Whether nothing certain can be said of the key."""
        return key in self._named or any(may_delete(one, key) for one in self._ranged)


def _check_end(
    number: int,
    deletes: Mapping[int, Change],
    revoke: Operation | None,
    chains: Mapping[str, Sequence[Change]],
    doubtful: _Doubtful,
    findings: Findings,
) -> None:
    """One revision takes all keys, no key is attached later, and no key goes on as if nothing had been.

    `chains` are the changes of the keys that ever had the lease.
    """
    revisions = sorted(deletes)
    sources: list[Record] = [one.source for one in deletes.values() if one.source is not None]
    if len(revisions) > 1 or (revoke is not None and revisions and revisions[0] != revoke.revision):
        text = f"keys of lease {number} were deleted at revisions {', '.join(map(str, revisions))}"
        text += f", it was revoked at {revoke.revision}" if revoke is not None else ", all of them by its one end"
        findings.add("lease-keys-piecemeal", text, (*([revoke] if revoke is not None else []), *sources[:2]))
        return
    ended = revisions[0] if revisions else revoke.revision if revoke is not None else 0
    for key, chain in chains.items():
        attached: Change | None = None
        for change in chain:
            if change.put and change.lease == number and change.revision > ended:
                text = f"{told(change)} was given lease {number} at revision {change.revision}, which had ended by {ended}"
                findings.add("lease-keys-attached-late", text, _records(change, sources), (key,))
            if change.revision < ended:
                attached = change
            elif change.revision > ended and change.version > 1 and change.create < ended and attached is not None:
                if attached.put and attached.lease == number and not doubtful.may_touch(key):
                    text = f"{told(change)} at revision {change.revision} goes on from before {ended}, when lease {number} took its keys"
                    findings.add("lease-keys-survived", text, _records(change, sources), (key,))
                break


def _records(change: Change, sources: Sequence[Record]) -> tuple[Record, ...]:
    return (*([change.source] if change.source is not None else []), *sources[:1])


def _reads(
    operations: Sequence[Operation],
    changes: Changes,
    ends: Mapping[int, Mapping[int, Change]],
    revoked: Mapping[int, Operation],
    doubtful: _Doubtful,
    findings: Findings,
) -> Iterator[tuple[int, Evidence]]:
    """Reads that show a key of a lease, or miss it though nobody deleted it."""
    ended = {number: min(deletes, default=revoked[number].revision if number in revoked else 0) for number, deletes in ends.items()}
    for operation in operations:
        for key, shown, revision in _looks(operation):
            if shown is not None and shown.lease:
                end = ended.get(shown.lease, 0)
                if end and shown.mod_revision < end <= revision:
                    text = f"{key!r} of lease {shown.lease} was read at revision {revision}, though its keys went at {end}"
                    sources = [one.source for one in ends[shown.lease].values() if one.source is not None]
                    proof = [*([revoked[shown.lease]] if shown.lease in revoked else []), *sources, operation]
                    findings.add("lease-keys-survived", text, proof, (key,))
                elif not end or revision < end:
                    yield shown.lease, Evidence(True, operation.invoke_ns, operation.complete_ns, "read", operation)
            elif shown is None and not doubtful.may_touch(key):
                before = changes.before(key, revision + 1)
                if before is None or not before.put or before.lease <= 0 or before.revision >= revision:
                    continue
                if changes.in_deleted_range(key, before.revision, revision):
                    continue
                number = before.lease
                if ended.get(number, 0) > revision:
                    text = f"{key!r} of lease {number} was gone at revision {revision}, before its keys went at {ended[number]}"
                    findings.add("lease-keys-piecemeal", text, (operation,), (key,))
                else:
                    yield number, Evidence(False, operation.invoke_ns, operation.complete_ns, "read", operation)


def _looks(operation: Operation) -> Iterator[tuple[str, KeyValue | None, int]]:
    """What a linearizable read of the newest state shows: key, record, revision."""
    if operation.outcome != OK or not operation.revision:
        return
    if operation.f == "get" and not operation.argument:
        yield operation.key, operation.result, operation.revision
    elif operation.f == "range" and not operation.argument.revision and not operation.argument.serializable:
        for kv in operation.result.kvs:
            yield kv.key, kv, operation.revision
