"""A whole member in memory, as naive as it can be: the second implementation of `MemberApi`, for tests of the services.

It keeps every version of every key in lists and looks through them. Nothing is replicated; time stands still unless a
test moves it. Completion comes in a later turn, as the contract says.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from raftkv import errors
from raftkv.pb import kv, rpc
from raftkv.server.api import (
    Alarm,
    LeaseTTL,
    Member,
    MemberChangeKind,
    MemberMeasures,
    MemberStatus,
    ProgressView,
    RaftView,
    WatchSink,
    WatchSpec,
)
from raftkv.wire import varint
from tests.rpc.memory_watch import MemoryWatchStream

Schedule = Callable[..., Any]

MIN_TTL_S = 2
MAX_TTL_S = 9_000_000_000
MAX_TXN_OPS = 128
MAX_REQUEST_BYTES = 1_572_864


def in_range(key: bytes, start: bytes, end: bytes) -> bool:
    if not end:
        return key == start
    return key >= start and (end == b"\0" or key < end)


@dataclass
class Change:
    """One version of one key; `kv` is None for a deletion."""

    revision: int
    key: bytes
    kv: kv.KeyValue | None
    prev: kv.KeyValue | None


@dataclass
class Lease:
    id: int
    ttl_s: int
    deadline_s: float
    keys: set[bytes] = field(default_factory=set)


class MemoryMember:
    """See the module. `leader_id` 0 means no leader is known; `now_s` is the member's clock."""

    def __init__(self, schedule: Schedule) -> None:
        self.member_id = 0x8E9E05C52164694D
        self.cluster_id = 0xCDF818194E3A8C32
        self.leader_id = self.member_id
        self.term = 2
        self.now_s = 0.0
        self.learner = False
        self.revision = 1
        self.compact_revision = -1
        self.alarms: list[Alarm] = []
        self.barrier_error: Exception | None = None
        self.hold_keep_alives: list[Callable[[], None]] | None = None
        self.db_size_bytes = 20480
        self._schedule = schedule
        self._changes: list[Change] = []
        self._current: dict[bytes, kv.KeyValue] = {}
        self._leases: dict[int, Lease] = {}
        self.watch_streams: list[MemoryWatchStream] = []

    # Contract of MemberApi.

    def header(self, revision: int) -> bytes:
        body = rpc.ResponseHeader(cluster_id=self.cluster_id, member_id=self.member_id, revision=revision, raft_term=self.term)
        encoded = body.SerializeToString()
        return b"\x0a" + varint(len(encoded)) + encoded

    def has_leader(self) -> bool:
        return self.leader_id != 0

    def is_learner(self) -> bool:
        return self.learner

    def put(self, raw, request, done):
        self._write(done, raw, lambda: self._checked(rpc.RequestOp(request_put=request)))

    def delete_range(self, raw, request, done):
        self._write(done, raw, lambda: self._checked(rpc.RequestOp(request_delete_range=request)))

    def txn(self, raw, request, done):
        self._write(done, raw, lambda: self._checked(rpc.RequestOp(request_txn=request)))

    def compact(self, raw, request, done):
        def apply() -> bytes:
            if request.revision <= self.compact_revision:
                raise errors.CompactedError()
            if request.revision > self.revision:
                raise errors.FutureRevError()
            self.compact_revision = request.revision
            return b""

        self._write(done, raw, apply)

    def lease_grant(self, request, done):
        def apply() -> bytes:
            if request.ID in self._leases:
                raise errors.LeaseExistError()
            if request.TTL > MAX_TTL_S:
                raise errors.LeaseTTLTooLargeError()
            lease_id = request.ID or 7_587_000_000_000_000_000 + len(self._leases) + 1
            ttl_s = max(request.TTL, MIN_TTL_S)
            self._leases[lease_id] = Lease(lease_id, ttl_s, self.now_s + ttl_s)
            return rpc.LeaseGrantResponse(ID=lease_id, TTL=ttl_s).SerializeToString()

        self._write(done, b"", apply)

    def lease_revoke(self, raw, request, done):
        def apply() -> bytes:
            lease = self._leases.pop(request.ID, None)
            if lease is None:
                raise errors.LeaseNotFoundError()
            for key in sorted(lease.keys):
                self._set(key, None)
            return b""

        self._write(done, raw, apply)

    def alarm(self, raw, request, done):
        def apply() -> bytes:
            chosen = Alarm(request.memberID, request.alarm)
            if request.action == rpc.AlarmRequest.GET:
                shown = [one for one in self.alarms if request.alarm in (rpc.NONE, one.type)]
            elif request.action == rpc.AlarmRequest.ACTIVATE:
                shown = [chosen]
                self.alarms = [*(one for one in self.alarms if one != chosen), chosen]
            else:
                shown = [one for one in self.alarms if one == chosen]
                self.alarms = [one for one in self.alarms if one != chosen]
            alarms = [rpc.AlarmMember(memberID=one.member_id, alarm=one.type) for one in shown]
            return rpc.AlarmResponse(alarms=alarms).SerializeToString()

        self._write(done, raw, apply)

    def range(self, request, done):
        if not request.serializable and not self.has_leader():
            self._schedule(done, None, errors.TimeoutError())
            return
        self._answer(done, lambda: self._checked(rpc.RequestOp(request_range=request)))

    def read_barrier(self, done):
        if self.barrier_error is not None or not self.has_leader():
            self._schedule(done, None, self.barrier_error or errors.TimeoutError())
        else:
            self._answer(done, lambda: b"")

    def lease_keep_alive(self, lease_id, done):
        def answer() -> None:
            if not self.has_leader():
                done(0, errors.NoLeaderError())
                return
            lease = self._leases.get(lease_id)
            if lease is not None:
                lease.deadline_s = self.now_s + lease.ttl_s
            done(lease.ttl_s if lease else 0, None)

        if self.hold_keep_alives is not None:
            self.hold_keep_alives.append(answer)
        else:
            self._schedule(answer)

    def lease_time_to_live(self, lease_id, keys, done):
        if not self.has_leader():
            self._schedule(done, None, errors.NoLeaderError())
            return
        lease = self._leases.get(lease_id)
        if lease is None:
            found = LeaseTTL(-1, 0, ())
        else:
            found = LeaseTTL(int(lease.deadline_s - self.now_s), lease.ttl_s, tuple(sorted(lease.keys)) if keys else ())
        self._schedule(done, found, None)

    def leases(self):
        return [lease.id for lease in sorted(self._leases.values(), key=lambda lease: (lease.deadline_s, lease.id))]

    def watch(self, sink: WatchSink) -> MemoryWatchStream:
        stream = MemoryWatchStream(self, sink)
        self.watch_streams.append(stream)
        return stream

    def change_member(self, change, member_id, peer_urls, is_learner, done):
        error: Exception = errors.MemberNotFoundError()
        is_url = re.compile(r"https?://[^/]+:\d+").fullmatch
        if change in (MemberChangeKind.ADD, MemberChangeKind.UPDATE) and not all(is_url(one) for one in peer_urls or ("",)):
            error = errors.MemberBadURLsError()
        elif change is MemberChangeKind.REMOVE and member_id == self.member_id:
            error = errors.MemberNotEnoughStartedError()
        elif change is MemberChangeKind.PROMOTE and member_id == self.member_id:
            error = errors.MemberNotLearnerError()
        self._schedule(done, 0, error)

    def members(self):
        return (Member(self.member_id, "default", ("http://localhost:2380",), ("http://localhost:2379",), False),)

    def status(self):
        return MemberStatus(
            leader_id=self.leader_id,
            raft_index=self.revision + 3,
            raft_term=self.term,
            applied_index=self.revision + 3,
            db_size_bytes=self.db_size_bytes,
            db_size_in_use_bytes=16384,
            quota_bytes=2 << 30,
            is_learner=False,
            revision=self.revision,
            compact_revision=max(self.compact_revision, 0),
            alarms=tuple(self.alarms),
            cluster_version="3.7.0",
        )

    def raft(self):
        return RaftView(self.member_id, self.term, 7, 5, self.leader_id, "LEADER", 4, (ProgressView(7, 5, 6, "REPLICATE"),), 0)

    def current_revision(self):
        return self.revision

    def measures(self):
        zeros = dict.fromkeys(MemberMeasures._fields, 0)
        return MemberMeasures(**{**zeros, "peers": ()})

    def hash(self, done):
        self._answer(done, lambda: rpc.HashResponse(hash=self._hash(self.revision)).SerializeToString())

    def hash_kv(self, revision, done):
        def answer() -> bytes:
            at = self._readable(revision)
            return rpc.HashKVResponse(hash=self._hash(at), compact_revision=self.compact_revision, hash_revision=at).SerializeToString()

        self._answer(done, answer)

    def move_leader(self, target_id, done):
        self._schedule(done, None if target_id == self.member_id else errors.BadLeaderTransfereeError())

    def defragment(self, done):
        self._schedule(done, None)

    # Inside.

    def _write(self, done: Any, raw: bytes, apply: Callable[[], bytes]) -> None:
        if len(raw) > MAX_REQUEST_BYTES:
            self._schedule(done, None, errors.RequestTooLargeError())
        elif not self.has_leader():
            self._schedule(done, None, errors.DeadlineExceededError())
        else:
            self._answer(done, apply)

    def _answer(self, done: Any, work: Callable[[], bytes]) -> None:
        before = len(self._changes)
        try:
            body = work()
        except errors.RaftKVError as error:
            self._schedule(done, None, error)
            return
        if len(self._changes) > before:
            self.revision += 1
            for stream in list(self.watch_streams):
                self._schedule(stream.pump)
        self._schedule(done, (self.revision, body), None)

    def _set(self, key: bytes, value: kv.KeyValue | None) -> None:
        prev = self._current.get(key)
        if prev is not None and prev.lease:
            self._leases.get(prev.lease, Lease(0, 0, 0)).keys.discard(key)
        if value is None:
            self._current.pop(key, None)
        else:
            self._current[key] = value
            if value.lease:
                self._leases[value.lease].keys.add(key)
        self._changes.append(Change(self.revision + 1, key, value, prev))

    def _readable(self, revision: int) -> int:
        if revision > self.revision:
            raise errors.FutureRevError()
        if 0 < revision < self.compact_revision:
            raise errors.CompactedError()
        return revision if revision > 0 else self.revision + 1

    def _at(self, revision: int) -> dict[bytes, kv.KeyValue]:
        found: dict[bytes, kv.KeyValue] = {}
        for change in self._changes:
            if change.revision <= revision:
                if change.kv is None:
                    found.pop(change.key, None)
                else:
                    found[change.key] = change.kv
        return found

    def _hash(self, revision: int) -> int:
        return hash(b"".join(one.SerializeToString() for _, one in sorted(self._at(revision).items()))) & 0xFFFF_FFFF

    def _checked(self, op: rpc.RequestOp) -> bytes:
        self._check(op)
        succeeded: list[bool] = []
        if op.WhichOneof("request") == "request_txn":
            self._choose(op.request_txn, succeeded)
        kind = op.WhichOneof("request")
        response = self._run(op, iter(succeeded))
        return getattr(response, kind.replace("request", "response")).SerializeToString()

    def _check(self, op: rpc.RequestOp, ops_max: int = MAX_TXN_OPS) -> None:
        kind = op.WhichOneof("request")
        if kind == "request_range":
            if not op.request_range.key:
                raise errors.EmptyKeyError()
            if op.request_range.sort_order not in (0, 1, 2) or op.request_range.sort_target not in range(5):
                raise errors.InvalidSortOptionError()
        elif kind == "request_put":
            self._check_put(op.request_put)
        elif kind == "request_delete_range":
            if not op.request_delete_range.key:
                raise errors.EmptyKeyError()
        elif kind == "request_txn":
            txn = op.request_txn
            longest = max(len(txn.compare), len(txn.success), len(txn.failure))
            if longest > ops_max:
                raise errors.TooManyOpsError()
            if any(not compare.key for compare in txn.compare):
                raise errors.EmptyKeyError()
            for branch in (txn.success, txn.failure):
                put = [one.request_put.key for one in branch if one.WhichOneof("request") == "request_put"]
                if len(put) != len(set(put)):
                    raise errors.DuplicateKeyError()
                for one in branch:
                    self._check(one, ops_max - longest)
        else:
            raise errors.KeyNotFoundError()

    def _check_put(self, put: rpc.PutRequest) -> None:
        if not put.key:
            raise errors.EmptyKeyError()
        if put.ignore_value and put.value:
            raise errors.ValueProvidedError()
        if put.ignore_lease and put.lease:
            raise errors.LeaseProvidedError()
        if (put.ignore_value or put.ignore_lease) and put.key not in self._current:
            raise errors.KeyNotFoundError()
        if put.lease and put.lease not in self._leases:
            raise errors.LeaseNotFoundError()

    def _choose(self, txn: rpc.TxnRequest, succeeded: list[bool]) -> None:
        chosen = all(self._holds(compare) for compare in txn.compare)
        succeeded.append(chosen)
        for one in txn.success if chosen else txn.failure:
            if one.WhichOneof("request") == "request_txn":
                self._choose(one.request_txn, succeeded)

    def _holds(self, compare: rpc.Compare) -> bool:
        found = [one for key, one in self._current.items() if in_range(key, compare.key, compare.range_end)]
        name = rpc.Compare.CompareTarget.Name(compare.target).lower()
        given_name = {"create": "create_revision", "mod": "mod_revision"}.get(name, name)
        if not found and name == "value":
            return False
        given = getattr(compare, given_name)
        for one in found or [kv.KeyValue()]:
            stored = getattr(one, given_name)
            order = (stored > given) - (stored < given)
            if not (order == 0, order > 0, order < 0, order != 0)[compare.result]:
                return False
        return True

    def _run(self, op: rpc.RequestOp, succeeded: Any) -> rpc.ResponseOp:
        kind = op.WhichOneof("request")
        if kind == "request_range":
            return rpc.ResponseOp(response_range=self._range(op.request_range))
        if kind == "request_put":
            put = op.request_put
            prev = self._current.get(put.key)
            new = kv.KeyValue(
                key=put.key,
                value=prev.value if put.ignore_value and prev else put.value,
                create_revision=prev.create_revision if prev else self.revision + 1,
                mod_revision=self.revision + 1,
                version=prev.version + 1 if prev else 1,
                lease=prev.lease if put.ignore_lease and prev else put.lease,
            )
            self._set(put.key, new)
            return rpc.ResponseOp(response_put=rpc.PutResponse(prev_kv=prev if put.prev_kv else None))
        if kind == "request_delete_range":
            request = op.request_delete_range
            keys = sorted(key for key in self._current if in_range(key, request.key, request.range_end))
            prevs = [self._current[key] for key in keys]
            for key in keys:
                self._set(key, None)
            response = rpc.DeleteRangeResponse(deleted=len(keys), prev_kvs=prevs if request.prev_kv else [])
            return rpc.ResponseOp(response_delete_range=response)
        txn = op.request_txn
        chosen = next(succeeded)
        responses = [self._run(one, succeeded) for one in (txn.success if chosen else txn.failure)]
        for response in responses:
            inner = getattr(response, response.WhichOneof("response"))
            if response.WhichOneof("response") != "response_txn":
                inner.header.revision = self.revision + (len(self._changes) > 0 and self._changes[-1].revision > self.revision)
        return rpc.ResponseOp(response_txn=rpc.TxnResponse(succeeded=chosen, responses=responses))

    def _range(self, request: rpc.RangeRequest) -> rpc.RangeResponse:
        at = self._at(self._readable(request.revision))
        found = [one for key, one in sorted(at.items()) if in_range(key, request.key, request.range_end)]
        if request.count_only:
            return rpc.RangeResponse(count=len(found))
        fields = ("key", "version", "create_revision", "mod_revision", "value")
        if request.sort_order or request.sort_target:
            name = fields[request.sort_target]
            found.sort(key=lambda one: getattr(one, name), reverse=request.sort_order == rpc.RangeRequest.DESCEND)
        kept = [one for one in found if _within(one, request)]
        cut = kept[: request.limit] if request.limit > 0 else kept
        if request.keys_only:
            cut = [kv.KeyValue(key=o.key, create_revision=o.create_revision, mod_revision=o.mod_revision, version=o.version) for o in cut]
        return rpc.RangeResponse(kvs=cut, count=len(found), more=len(cut) < len(kept))

    def changes_for(self, spec: WatchSpec, start: int) -> dict[int, list[bytes]]:
        """Encoded event fields by revision, from `start` on."""
        found: dict[int, list[bytes]] = {}
        for change in self._changes:
            dropped = spec.no_put if change.kv is not None else spec.no_delete
            if start <= change.revision <= self.revision and in_range(change.key, spec.key, spec.range_end) and not dropped:
                kept = spec.prev_kv and change.prev is not None and change.prev.mod_revision >= self.compact_revision
                event = kv.Event(
                    type=kv.Event.PUT if change.kv is not None else kv.Event.DELETE,
                    kv=change.kv if change.kv is not None else kv.KeyValue(key=change.key, mod_revision=change.revision),
                    prev_kv=change.prev if kept else None,
                ).SerializeToString()
                found.setdefault(change.revision, []).append(b"\x5a" + varint(len(event)) + event)
        return found

    def forget(self, stream: MemoryWatchStream) -> None:
        self.watch_streams.remove(stream)


def _within(one: kv.KeyValue, request: rpc.RangeRequest) -> bool:
    for value, low, high in (
        (one.mod_revision, request.min_mod_revision, request.max_mod_revision),
        (one.create_revision, request.min_create_revision, request.max_create_revision),
    ):
        if (low and value < low) or (high and value > high):
            return False
    return True
