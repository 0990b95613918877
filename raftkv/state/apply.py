"""The replicated state machine: applies committed entries to the store, the leases, the members and the alarms.

Deterministic: what an entry does depends on the log before it and on nothing else, so every member's tables hold the
same bytes after the same entry (design §4 rule 5). The driver (`server/`) owns the order, the clock, the buffers and
the answers; it calls from the loop, once for each entry, in order, and skips entries at or below `applied_index`.
Hot path: `apply` of a put.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol, TypeAlias

from raftkv.errors import CorruptError, LeaseNotFoundError, NoSpaceError, RequestError
from raftkv.mvcc.kv import KV
from raftkv.pb import rpc
from raftkv.state import bodies, quota, reads, requests, txn, writes
from raftkv.state.alarms import Alarms
from raftkv.state.lease import Lessor
from raftkv.state.membership import MemberChange, Membership
from raftkv.state.meta import ConfStateTuple, Meta
from raftkv.state.requests import RequestKind
from raftkv.storage.backend import Tables

Applied: TypeAlias = tuple[int, bytes, Exception | None]
"""Store revision for the answer's header, the response message without its header, and why it failed (then no body)."""

_Handler: TypeAlias = Callable[[Any], Applied]

_CHANGES = (
    RequestKind.PUT,
    RequestKind.DELETE_RANGE,
    RequestKind.TXN,
    RequestKind.COMPACT,
    RequestKind.LEASE_GRANT,
    RequestKind.LEASE_REVOKE,
    RequestKind.LEASE_EXPIRE,
)
"""What a CORRUPT alarm refuses."""


class Store(KV, Protocol):
    """The store as the state machine needs it: a KV that can forget."""

    def compact(self, revision: int) -> object:
        """Makes `revision` the oldest that can be read, at once. Raises CompactedError, FutureRevError."""


class StateMachine:
    """Everything that is replicated. Building one over tables that hold a state is how that state is opened again.

    Invariants:
        1. `applied_index` is that of the last entry given to `apply` or `apply_member_change`, and rises by each.
        2. A request that fails has changed nothing.
    """

    def __init__(self, tables: Tables, store: Store) -> None:
        self.store = store
        self.lessor = Lessor(tables, store.leased_keys())
        self.members = Membership(tables)
        self.alarms = Alarms(tables)
        self._meta = Meta(tables)
        self._attached = self.lessor.attached
        self.applied_index, self.applied_term = self._meta.applied()
        self.cluster_version = self._meta.cluster_version()
        self._handlers = self._handlers_now()

    def apply(self, term: int, index: int, data: bytes, decoded: Any = None) -> Applied:
        """Applies one entry. `decoded` is the request message when this member has it already, else it is read from `data`.

        A request's failure is part of the answer, never raised. Raises CorruptionError when the entry cannot be read:
        the member must stop.
        """
        assert index > self.applied_index, f"entry {index} comes again, {self.applied_index} is applied"
        self.applied_index = index
        self.applied_term = term
        if not data:
            return self.store.revision, b"", None
        if decoded is None:
            decoded = requests.decode_body(data)
        try:
            return self._handlers[data[0]](decoded)
        except RequestError as error:
            # The traceback would keep the request and these frames alive with the error.
            return self.store.revision, b"", error.with_traceback(None)

    def apply_member_change(self, term: int, index: int, change: MemberChange) -> Applied:
        """Applies the member half of a configuration entry. On an error the driver must leave consensus's half out too."""
        assert index > self.applied_index, f"entry {index} comes again, {self.applied_index} is applied"
        self.applied_index = index
        self.applied_term = term
        try:
            self.members.check(change)
        except RequestError as error:
            return self.store.revision, b"", error.with_traceback(None)
        self.members.apply(change)
        return self.store.revision, b"", None

    def note_applied(self, index: int, term: int) -> None:
        """Writes the applied index into the buffer that holds the changes. Once a batch, before the buffer is sealed."""
        self.applied_index = index
        self.applied_term = term
        self._meta.save_applied(index, term)

    # Reads.

    def range(self, request: rpc.RangeRequest, keys_max: int = reads.SLICE_KEYS) -> tuple[int, bytes] | reads.RangeJob:
        """Revision and body; or, of a range longer than `keys_max`, a job that has done its first slice.

        Raises FutureRevError, CompactedError.
        """
        return reads.start(self.store, request, keys_max)

    def read_txn(self, request: rpc.TxnRequest, keys_max: int = reads.SLICE_KEYS) -> tuple[int, bytes] | txn.ReadTxnJob:
        """As `range`, for a txn that `txn.is_read_only`."""
        job = txn.ReadTxnJob(self.store, request)
        return (job.revision, job.body) if job.step(keys_max) else job

    # Configuration.

    def conf_state(self) -> ConfStateTuple | None:
        """Consensus's configuration as of the applied index; None before the first."""
        return self._meta.conf_state()

    def save_conf_state(self, conf_state: ConfStateTuple) -> None:
        """Into the same buffer as the member change it belongs to."""
        self._meta.save_conf_state(conf_state)

    def describe(self) -> str:
        """For people."""
        alarms = ", ".join(f"{member_id:x}: {rpc.AlarmType.Name(alarm)}" for member_id, alarm in self.alarms.standing()) or "none"
        return (
            f"state: applied {self.applied_index} (term {self.applied_term}), revision {self.store.revision}, "
            f"compacted {self.store.compact_revision}, leases {len(self.lessor)}, members {len(self.members.all())}, "
            f"alarms {alarms}, cluster version {self.cluster_version or 'undecided'}"
        )

    # One handler for each kind of request.

    def _handlers_now(self) -> dict[int, _Handler]:
        """By kind. While an alarm stands, refused kinds have a refusal for a handler, so that nobody else asks for alarms."""
        handlers: dict[int, _Handler] = {
            RequestKind.PUT: self._put,
            RequestKind.DELETE_RANGE: self._delete_range,
            RequestKind.TXN: self._txn,
            RequestKind.COMPACT: self._compact,
            RequestKind.LEASE_GRANT: self._lease_grant,
            RequestKind.LEASE_REVOKE: self._lease_revoke,
            RequestKind.LEASE_EXPIRE: self._lease_expire,
            RequestKind.LEASE_CHECKPOINT: self._lease_checkpoint,
            RequestKind.ALARM: self._alarm,
            RequestKind.MEMBER_PUBLISH: self._member_publish,
            RequestKind.CLUSTER_VERSION: self._cluster_version,
        }
        assert set(handlers) == set(RequestKind), "every kind has a handler"
        if self.alarms.corrupt:
            handlers.update(dict.fromkeys(_CHANGES, self._refuse_corrupt))
        elif self.alarms.no_space:
            handlers[RequestKind.PUT] = handlers[RequestKind.LEASE_GRANT] = self._refuse_no_space
            handlers[RequestKind.TXN] = self._txn_no_space
        return handlers

    def _put(self, request: rpc.PutRequest) -> Applied:
        lease = request.lease
        if lease and lease not in self.lessor:
            raise LeaseNotFoundError
        if request.prev_kv or request.ignore_value or request.ignore_lease:
            return self._put_with_options(request)
        key = request.key
        revision = self.store.put(key, request.value, lease)
        if lease or key in self._attached:
            self.lessor.attach(key, lease)
        return revision, b"", None

    def _put_with_options(self, request: rpc.PutRequest) -> Applied:
        writes.check_put(self.store, self.lessor, request)
        write = self.store.begin()
        body = writes.put(self.store, self.lessor, write, request)
        return write.end(), body, None

    def _delete_range(self, request: rpc.DeleteRangeRequest) -> Applied:
        write = self.store.begin()
        body = writes.delete_range(self.store, self.lessor, write, request)
        return write.end(), body, None

    def _txn(self, request: rpc.TxnRequest) -> Applied:
        branch = txn.choose(self.store, request)
        txn.check(self.store, self.lessor, branch)
        write = self.store.begin()
        body = txn.run(self.store, self.lessor, write, branch)
        return write.end(), body, None

    def _txn_no_space(self, request: rpc.TxnRequest) -> Applied:
        if quota.txn_bytes(request):
            raise NoSpaceError
        return self._txn(request)

    def _compact(self, request: rpc.CompactionRequest) -> Applied:
        self.store.compact(request.revision)
        return self.store.revision, b"", None

    def _lease_grant(self, request: rpc.LeaseGrantRequest) -> Applied:
        self.lessor.grant(request.ID, request.TTL)
        return self.store.revision, bodies.of_lease_grant(request.ID, request.TTL), None

    def _lease_revoke(self, request: rpc.LeaseRevokeRequest) -> Applied:
        return self._end_lease(request.ID)

    def _lease_expire(self, request: requests.LeaseExpiry) -> Applied:
        if request.term != self.applied_term:
            # The leader that found the lease expired was deposed before this entry stood in the log; another one has
            # re-armed the lease since.
            return self.store.revision, b"", None
        return self._end_lease(request.lease_id)

    def _end_lease(self, lease_id: int) -> Applied:
        keys = self.lessor.revoke(lease_id)
        write = self.store.begin()
        for key in keys:
            write.delete_range(key, b"")
        return write.end(), b"", None

    def _lease_checkpoint(self, request: rpc.LeaseCheckpointRequest) -> Applied:
        for checkpoint in request.checkpoints:
            self.lessor.checkpoint(checkpoint.ID, checkpoint.remaining_TTL)
        return self.store.revision, b"", None

    def _alarm(self, request: rpc.AlarmRequest) -> Applied:
        body = self.alarms.apply(request)
        self._handlers = self._handlers_now()
        return self.store.revision, body, None

    def _member_publish(self, request: requests.Publication) -> Applied:
        self.members.publish(request)
        return self.store.revision, b"", None

    def _cluster_version(self, request: requests.ClusterVersion) -> Applied:
        self.cluster_version = request.version
        self._meta.save_cluster_version(request.version)
        return self.store.revision, b"", None

    def _refuse_no_space(self, request: object) -> Applied:
        raise NoSpaceError

    def _refuse_corrupt(self, request: object) -> Applied:
        return self.store.revision, b"", CorruptError()
