"""The random part of a run: single requests of every service, and sessions on a watch stream between them."""

from __future__ import annotations

from collections.abc import Callable
from random import Random

from raftkv.pb import rpc
from tests.differential.kv_requests import KvRequests, prefix_end
from tests.differential.lockstep import Lockstep
from tests.differential.watching import SENTINEL_ID, TwinWatch

MAX_TTL_S = 9_000_000_000

LEASES_MAX = 25
"""So many are alive at once."""

LONG_TTLS_S = (1_000, 5_000, 20_000, 100_000, MAX_TTL_S)
"""Far from each other, so that leases sort by expiry the same however long the run takes, and none expires in it."""

SESSION_EVERY = 110
"""Requests between two watch sessions."""


class RandomRequests:
    """Asks one random request after another."""

    def __init__(self, lockstep: Lockstep, seed: int) -> None:
        self._lockstep = lockstep
        self._view = lockstep.view
        self._random = Random(seed)
        self._kv = KvRequests(self._random, lockstep.view)
        self.named_leases = False
        """Whether leases may be granted whose ids the servers choose; then hashes can no longer be compared."""
        kinds: dict[Callable[[], object], int] = {
            self._put: 260,
            self._range: 270,
            self._delete: 70,
            self._txn: 250,
            self._compact: 14,
            self._grant: 30,
            self._grant_short: 6,
            self._revoke: 18,
            self._time_to_live: 25,
            self._keep_alive: 20,
            self._leases: 8,
            self._member_list: 6,
            self._status: 6,
            self._hash_kv: 15,
            self._hash: 2,
            self._alarms: 4,
            self._auth_status: 3,
        }
        self._kinds, self._weights = list(kinds), list(kinds.values())
        self._keep_alives = [side.converse("LeaseKeepAlive") for side in lockstep.sides]

    def close(self) -> None:
        """Ends the keep-alive streams."""
        for stream in self._keep_alives:
            stream.cancel()

    def run(self, count: int) -> None:
        """At least so many requests, unless the run is hopeless."""
        verdict = self._lockstep.verdict
        end = verdict.requests + count
        session = verdict.requests + SESSION_EVERY
        while verdict.requests < end and not verdict.hopeless:
            self._random.choices(self._kinds, self._weights)[0]()
            if verdict.requests >= session:
                self._watch_session()
                session = verdict.requests + SESSION_EVERY

    # KV.

    def _put(self) -> None:
        self._lockstep.ask("Put", self._kv.put())

    def _range(self) -> None:
        self._lockstep.ask("Range", self._kv.range())

    def _delete(self) -> None:
        self._lockstep.ask("DeleteRange", self._kv.delete())

    def _txn(self) -> None:
        self._lockstep.ask("Txn", self._kv.txn())

    def _compact(self) -> None:
        self._lockstep.ask("Compact", self._kv.compact())

    # Leases.

    def _grant(self) -> None:
        if len(self._view.leases) >= LEASES_MAX:
            self._revoke()
            return
        ttl_s = self._random.choice(LONG_TTLS_S)
        if self._kv.chance(12):
            ttl_s = self._random.choice((MAX_TTL_S + 1, 1 << 62))
        server_chooses = self.named_leases and self._kv.chance(60)
        lease_id = 0 if server_chooses else self._random.choice((*range(1, 30), *range(-5, 0)))
        self._lockstep.ask("LeaseGrant", rpc.LeaseGrantRequest(TTL=ttl_s, ID=lease_id))

    def _grant_short(self) -> None:
        """A TTL below the least one; given back at once, as nobody can say just when it ends."""
        ttl_s = self._random.choice((0, 0, 1, 2, -1, -(1 << 62)))
        self._lockstep.ask("LeaseGrant", rpc.LeaseGrantRequest(TTL=ttl_s, ID=500))
        self._lockstep.ask("LeaseRevoke", rpc.LeaseRevokeRequest(ID=500))

    def _revoke(self) -> None:
        lease_id = 0 if self._kv.chance(10) else self._kv.lease()
        self._lockstep.ask("LeaseRevoke", rpc.LeaseRevokeRequest(ID=lease_id))

    def _time_to_live(self) -> None:
        self._lockstep.ask("LeaseTimeToLive", rpc.LeaseTimeToLiveRequest(ID=self._kv.lease(), keys=self._kv.chance(60)))

    def _leases(self) -> None:
        self._lockstep.ask("LeaseLeases", rpc.LeaseLeasesRequest())

    def _keep_alive(self) -> None:
        self._lockstep.keep_alive(self._keep_alives, self._kv.lease())

    # The rest.

    def _member_list(self) -> None:
        self._lockstep.ask("MemberList", rpc.MemberListRequest(linearizable=self._kv.chance(50)))

    def _status(self) -> None:
        self._lockstep.ask("Status", rpc.StatusRequest())

    def _hash_kv(self) -> None:
        self._lockstep.ask("HashKV", rpc.HashKVRequest(revision=0 if self._kv.chance(50) else max(0, self._kv.revision())))

    def _hash(self) -> None:
        self._lockstep.ask("Hash", rpc.HashRequest())

    def _alarms(self) -> None:
        self._lockstep.ask("Alarm", rpc.AlarmRequest(memberID=self._random.choice((0, 1)), alarm=self._random.randrange(3)))

    def _auth_status(self) -> None:
        self._lockstep.ask("AuthStatus", rpc.AuthStatusRequest())

    # Watch.

    def _watch_session(self) -> None:
        """A stream of its own, and about a dozen things done on it and beside it, each judged before the next."""
        with TwinWatch(self._lockstep) as watch:
            watch.create_sentinel()
            ids = [SENTINEL_ID]
            for _ in range(self._random.randint(6, 14)):
                choice = self._random.randrange(100)
                if choice < 40:
                    self._create(watch, ids)
                elif choice < 50:
                    self._cancel(watch, ids)
                elif choice < 60:
                    self._progress(watch)
                elif choice < 65:
                    watch.send(rpc.WatchRequest())
                elif choice < 70:
                    self._compact()
                else:
                    for _ in range(self._random.randint(1, 6)):
                        self._random.choice((self._put, self._put, self._delete, self._txn, self._revoke))()
                watch.barrier()
                watch.compare()
                if self._lockstep.verdict.hopeless:
                    return

    def _create(self, watch: TwinWatch, ids: list[int]) -> None:
        """A watcher with any options. One of the past is waited for, by a put and a deletion that it has to see."""
        random, view = self._random, self._view
        key, range_end = self._watched()
        filters = random.choice(([], [], [], [rpc.WatchCreateRequest.NOPUT], [rpc.WatchCreateRequest.NODELETE], [0, 1], [7], [1, 1]))
        start = random.choice((0, 0, self._kv.revision(), self._kv.revision(), view.compact_revision, view.revision + random.randint(1, 4)))
        watch_id = random.choice((0, 0, 0, 0, 1, 2, 3, 77, -5, *ids))
        marker = key or b"\0"
        put = self._lockstep.ask("Put", rpc.PutRequest(key=marker, value=b"marker"))
        deleted = self._lockstep.ask("DeleteRange", rpc.DeleteRangeRequest(key=marker))
        seen = put if rpc.WatchCreateRequest.NODELETE in filters else deleted
        if seen.etcd.body is None:
            return
        blind = {rpc.WatchCreateRequest.NOPUT, rpc.WatchCreateRequest.NODELETE} <= set(filters)
        last = 0 if blind else seen.etcd.body["header"]["revision"]
        if last < start <= view.revision:
            start = 0  # nothing would tell when it has seen the past, and how its next events are cut is a matter of time until then
        created = watch.create(
            key=key,
            range_end=range_end,
            start_revision=max(0, start),
            filters=filters,
            prev_kv=self._kv.chance(50),
            watch_id=watch_id,
            fragment=self._kv.chance(20),
            progress_notify=self._kv.chance(20),
        )
        if created is None:
            return
        ids.append(created)
        if 0 < start <= last:
            watch.wait_event(created, last)

    def _watched(self) -> tuple[bytes, bytes]:
        """A range as watches have it: no key stands for the least one."""
        choice = self._random.randrange(10)
        if choice == 0:
            return b"", self._random.choice((b"", b"\0", b"b"))
        key, range_end = self._kv.span(single=30)
        return (key, range_end) if choice < 7 else (key, prefix_end(key) if key else b"\0")

    def _cancel(self, watch: TwinWatch, ids: list[int]) -> None:
        """One of the stream's own, but for the sentinel; or one that nobody has."""
        if len(ids) == 1 or self._kv.chance(20):
            watch.cancel(424_242, known=False)
        else:
            watch.cancel(ids.pop(self._random.randrange(1, len(ids))))

    def _progress(self, watch: TwinWatch) -> None:
        """After the barrier before it, every watcher of the stream has what there is."""
        watch.request_progress()
        watch.wait_progress()
