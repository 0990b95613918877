"""Leases: what is granted, which keys hang on each, and when the leader finds one expired.

The granted part (id, TTL, checkpointed remainder) is replicated and stands in `Table.LEASE`; the keys are rebuilt from
the store's records. Deadlines are the leader's alone and are never stored: every method that needs the time is given
it as `now_s`, the caller's monotonic clock, so nothing that is applied depends on a clock. The caller proposes what
`expired` returns; a lease ends only when its revoke is applied. Source: spec/etcd-behaviour.md §1.4, design §4 rule 12.
"""

from __future__ import annotations

import heapq
import math
import struct
from collections.abc import Iterable

from raftkv.errors import CorruptionError, LeaseExistError, LeaseNotFoundError, LeaseTTLTooLargeError
from raftkv.storage.backend import Table, Tables

TTL_S_MAX = 9_000_000_000
"""Largest TTL that may be granted."""

EXPIRY_RETRY_S = 3.0
"""An expired lease is handed out again after this long when its revoke was not applied."""

_ID = struct.Struct(">Q")
_ROW = struct.Struct(">qq")
_MASK_64 = 0xFFFF_FFFF_FFFF_FFFF


def ttl_s_min(election_timeout_s: float) -> int:
    """The shortest TTL a cluster grants: one and a half election timeouts, in whole seconds."""
    return math.ceil(1.5 * election_timeout_s)


def granted_ttl_s(asked_s: int, min_s: int) -> int:
    """The TTL to propose for the one asked. The proposer raises it: apply must not know a member's settings.

    Raises LeaseTTLTooLargeError.
    """
    if asked_s > TTL_S_MAX:
        raise LeaseTTLTooLargeError
    return max(asked_s, min_s)


class _Lease:
    __slots__ = ("deadline_s", "expiring", "keys", "remaining_s", "ttl_s")

    def __init__(self, ttl_s: int, remaining_s: int) -> None:
        self.ttl_s = ttl_s
        self.remaining_s = remaining_s
        self.keys: set[bytes] = set()
        self.deadline_s = math.inf
        self.expiring = False

    def armed_s(self) -> int:
        return self.remaining_s or self.ttl_s


class Lessor:
    """All leases of the cluster, as applied here. Loop only.

    Invariants:
        1. `_lease_of[key] == id` exactly when `key in _leases[id].keys`.
        2. On a primary every lease is in the heap once, or in `_fresh`; elsewhere both are empty.
        3. A lease's row in the table holds its TTL and remainder.
    """

    def __init__(self, tables: Tables, leased_keys: Iterable[tuple[bytes, int]]) -> None:
        """Opens the leases in the tables. Raises CorruptionError when a key hangs on a lease that is not there."""
        self._tables = tables
        self._leases: dict[int, _Lease] = {}
        self._lease_of: dict[bytes, int] = {}
        self._primary = False
        self.granted_total = 0
        """Since the start, as applied here."""
        self.revoked_total = 0
        """Since the start, by clients and by expiry."""
        self._heap: list[tuple[float, int]] = []
        self._fresh: list[int] = []
        for key, row in tables.scan(Table.LEASE, b"", None):
            lease_id = _ID.unpack(key)[0]
            self._leases[lease_id - (1 << 64) if lease_id >> 63 else lease_id] = _Lease(*_ROW.unpack(row))
        for key, lease_id in leased_keys:
            if lease_id not in self._leases:
                raise CorruptionError(f"key {key!r} is attached to lease {lease_id & _MASK_64:016x}, which is not stored")
            self.attach(key, lease_id)

    # What is applied.

    def grant(self, lease_id: int, ttl_s: int) -> None:
        """Adds a lease. Raises LeaseNotFoundError for id 0, LeaseTTLTooLargeError, LeaseExistError."""
        if lease_id == 0:
            raise LeaseNotFoundError
        if ttl_s > TTL_S_MAX:
            raise LeaseTTLTooLargeError
        if lease_id in self._leases:
            raise LeaseExistError
        self._leases[lease_id] = _Lease(ttl_s, 0)
        self.granted_total += 1
        self._save(lease_id)
        if self._primary:
            self._fresh.append(lease_id)

    def checkpoint(self, lease_id: int, remaining_s: int) -> None:
        """Sets what is left of a TTL when another leader takes over; 0 for all of it. Unknown leases are ignored."""
        lease = self._leases.get(lease_id)
        if lease is not None:
            lease.remaining_s = remaining_s
            self._save(lease_id)

    def revoke(self, lease_id: int) -> list[bytes]:
        """Forgets a lease and returns its keys in order, for the caller to delete. Raises LeaseNotFoundError."""
        lease = self._leases.pop(lease_id, None)
        if lease is None:
            raise LeaseNotFoundError
        self.revoked_total += 1
        for key in lease.keys:
            del self._lease_of[key]
        self._tables.delete(Table.LEASE, _ID.pack(lease_id & _MASK_64))
        return sorted(lease.keys)

    def attach(self, key: bytes, lease_id: int) -> None:
        """The key was put with this lease (0: with none); it leaves the one it hung on. The lease must exist."""
        old = self._lease_of.get(key, 0)
        if old == lease_id:
            return
        if old:
            self._leases[old].keys.discard(key)
            del self._lease_of[key]
        if lease_id:
            self._leases[lease_id].keys.add(key)
            self._lease_of[key] = lease_id

    def detach(self, keys: Iterable[bytes]) -> None:
        """The keys were deleted."""
        if not self._lease_of:
            return
        for key in keys:
            lease_id = self._lease_of.pop(key, 0)
            if lease_id:
                self._leases[lease_id].keys.discard(key)

    # What is known everywhere.

    def __contains__(self, lease_id: int) -> bool:
        return lease_id in self._leases

    def __len__(self) -> int:
        return len(self._leases)

    @property
    def attached(self) -> dict[bytes, int]:
        """Key to lease, for every key that has one. Not to be changed; the put path looks keys up in it."""
        return self._lease_of

    def ttl_s(self, lease_id: int) -> int:
        """The granted TTL; -1 when there is no such lease."""
        lease = self._leases.get(lease_id)
        return -1 if lease is None else lease.ttl_s

    def keys(self, lease_id: int) -> tuple[bytes, ...]:
        """The keys that hang on a lease, in order."""
        lease = self._leases.get(lease_id)
        return () if lease is None else tuple(sorted(lease.keys))

    def ids(self) -> list[int]:
        """By deadline, then id; where nothing is armed, by id."""
        leases = self._leases
        return sorted(leases, key=lambda lease_id: (leases[lease_id].deadline_s, lease_id))

    # The leader's clock.

    def promote(self, now_s: float, extend_s: float) -> None:
        """This member leads: every lease gets its full (or checkpointed) TTL and `extend_s` of slack from now on."""
        self._primary = True
        self._fresh = []
        self._heap = []
        for lease_id, lease in self._leases.items():
            lease.deadline_s = now_s + lease.armed_s() + extend_s
            lease.expiring = False
            self._heap.append((lease.deadline_s, lease_id))
        heapq.heapify(self._heap)

    def demote(self) -> None:
        """This member leads no more: nothing expires here."""
        self._primary = False
        self._fresh = []
        self._heap = []
        for lease in self._leases.values():
            lease.deadline_s = math.inf
            lease.expiring = False

    def arm_fresh(self, now_s: float) -> None:
        """Starts the clock of leases granted since the last call. Call it after each batch that was applied."""
        for lease_id in self._fresh:
            lease = self._leases.get(lease_id)
            if lease is not None and lease.deadline_s == math.inf:
                lease.deadline_s = now_s + lease.armed_s()
                heapq.heappush(self._heap, (lease.deadline_s, lease_id))
        self._fresh.clear()

    def renew(self, lease_id: int, now_s: float) -> int:
        """A keepalive: the deadline moves to a full TTL from now. Returns the TTL, or 0 when the lease is not there or is
        already being revoked. Only for a leader confirmed after the keepalive arrived.
        """
        self.arm_fresh(now_s)
        lease = self._leases.get(lease_id)
        if lease is None or lease.expiring or not self._primary:
            return 0
        # The heap keeps the old deadline; `expired` meets it there and puts the new one in.
        lease.deadline_s = now_s + lease.ttl_s
        return lease.ttl_s

    def expired(self, now_s: float, limit: int) -> list[int]:
        """At most `limit` leases past their deadline, to be revoked; each is handed out again after EXPIRY_RETRY_S.

        From here on keepalives of them are refused; `release` takes that back.
        """
        self.arm_fresh(now_s)
        found: list[int] = []
        heap = self._heap
        while heap and heap[0][0] <= now_s and len(found) < limit:
            lease_id = heap[0][1]
            lease = self._leases.get(lease_id)
            if lease is None:
                heapq.heappop(heap)
            elif lease.deadline_s > now_s:
                heapq.heapreplace(heap, (lease.deadline_s, lease_id))
            else:
                lease.expiring = True
                found.append(lease_id)
                heapq.heapreplace(heap, (now_s + EXPIRY_RETRY_S, lease_id))
        return found

    def release(self, lease_ids: Iterable[int]) -> None:
        """Leases handed out by `expired` whose revoke was not proposed: keepalives count again until the next look."""
        for lease_id in lease_ids:
            lease = self._leases.get(lease_id)
            if lease is not None:
                lease.expiring = False

    def is_expiring(self, lease_id: int) -> bool:
        """Whether it was handed out by `expired` and is still there."""
        lease = self._leases.get(lease_id)
        return lease is not None and lease.expiring

    def remaining_s(self, lease_id: int, now_s: float) -> int:
        """Whole seconds left, never below 0; -1 when there is no such lease.

        NB: one that is being revoked is still there, with its keys: who was told that it is gone would find them by a later read.
        """
        self.arm_fresh(now_s)
        lease = self._leases.get(lease_id)
        if lease is None:
            return -1
        if lease.deadline_s == math.inf:
            return lease.armed_s()
        return max(0, math.floor(lease.deadline_s - now_s))

    # For tests and people.

    def check_invariants(self) -> None:
        """Asserts the invariants of the class docstring."""
        assert self._lease_of == {key: lease_id for lease_id, lease in self._leases.items() for key in lease.keys}
        queued = {lease_id for _, lease_id in self._heap} | set(self._fresh)
        assert not queued or self._primary
        assert not self._primary or set(self._leases) <= queued
        rows = {_ID.unpack(key)[0]: _ROW.unpack(row) for key, row in self._tables.scan(Table.LEASE, b"", None)}
        assert rows == {lease_id & _MASK_64: (lease.ttl_s, lease.remaining_s) for lease_id, lease in self._leases.items()}

    def _save(self, lease_id: int) -> None:
        lease = self._leases[lease_id]
        self._tables.put(Table.LEASE, _ID.pack(lease_id & _MASK_64), _ROW.pack(lease.ttl_s, lease.remaining_s))
