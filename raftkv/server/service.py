"""The `MemberApi` of one member: checks a request, then hands it to the log, the reads or the leases.

Hot path in `put` and `range`. A refusal decided here is reported on the next turn of the loop, so that `done` never runs
inside the call that was given it. Loop only.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from raftkv.errors import (
    BadLeaderTransfereeError,
    LeaseNotFoundError,
    NoSpaceError,
    NotLeaderError,
    NotSupportedForLearnerError,
    RaftKVError,
    RequestTooManyRequestsError,
    StoppedError,
)
from raftkv.pb import rpc
from raftkv.server.api import Done, LeaseTTL, MemberChangeDone, MemberChangeKind
from raftkv.server.jobs import BodyJob
from raftkv.server.local_view import LocalView
from raftkv.state import lease as lease_rules
from raftkv.state import quota, txn, validation
from raftkv.state.membership import ChangeKind
from raftkv.state.requests import RequestKind

if TYPE_CHECKING:
    from raftkv.server.member import MemberCore

APPLY_LAG_MAX = 5000
"""Committed entries that may wait to be applied before writes are refused with `too many requests`, as etcd does."""


class Service(LocalView):
    """See `MemberApi`. Invariant: every `done` given to a method is called exactly once."""

    def __init__(self, core: MemberCore, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__(core, loop)
        self._proposals = core.proposals
        self._reads = core.reads
        self._pipeline = core.pipeline
        self._applier = core.applier
        self._node = core.node
        self._max_txn_ops = core.settings.max_txn_ops

    # The log.

    def put(self, raw: bytes, request: rpc.PutRequest, done: Done) -> None:
        """See `MemberApi`."""
        try:
            validation.check_put(request)
            self._check_write(quota.put_bytes(request))
            self._proposals.submit(RequestKind.PUT, raw, request, done)
        except RaftKVError as error:
            self._refuse(done, error)

    def delete_range(self, raw: bytes, request: rpc.DeleteRangeRequest, done: Done) -> None:
        """See `MemberApi`."""
        try:
            validation.check_delete(request)
            self._check_write(0)
            self._proposals.submit(RequestKind.DELETE_RANGE, raw, request, done)
        except RaftKVError as error:
            self._refuse(done, error)

    def txn(self, raw: bytes, request: rpc.TxnRequest, done: Done) -> None:
        """See `MemberApi`."""
        try:
            validation.check_txn(request, self._max_txn_ops)
            self.txns_total += 1
            if txn.is_read_only(request):
                self._check_voter()
                self._read(txn.is_serializable(request), done, lambda: self._core.machine.read_txn(request))
            else:
                self._check_write(quota.txn_bytes(request))
                self._proposals.submit(RequestKind.TXN, raw, request, done)
        except RaftKVError as error:
            self._refuse(done, error)

    def compact(self, raw: bytes, request: rpc.CompactionRequest, done: Done) -> None:
        """See `MemberApi`."""
        finish = done
        if request.physical:

            def finish(result: tuple[int, bytes] | None, error: Exception | None) -> None:
                if error is not None:
                    done(None, error)
                else:
                    self._core.compactor.when_done(lambda: done(result, None))

        self._submit(RequestKind.COMPACT, raw, request, finish)

    def lease_grant(self, request: rpc.LeaseGrantRequest, done: Done) -> None:
        """See `MemberApi`. The id and the TTL are settled here, so that applying depends on the log alone."""
        try:
            self._check_write(quota.LEASE_GRANT_BYTES)
            ttl_s = lease_rules.granted_ttl_s(request.TTL, self._core.lease_ttl_s_min)
            lease_id = request.ID
            while lease_id == 0 or (request.ID == 0 and lease_id in self._core.machine.lessor):
                lease_id = self._proposals.new_request_id() & 0x7FFF_FFFF_FFFF_FFFF
            settled = rpc.LeaseGrantRequest(TTL=ttl_s, ID=lease_id)
            self._proposals.submit(RequestKind.LEASE_GRANT, settled.SerializeToString(), settled, done)
        except RaftKVError as error:
            self._refuse(done, error)

    def lease_revoke(self, raw: bytes, request: rpc.LeaseRevokeRequest, done: Done) -> None:
        """See `MemberApi`."""
        if request.ID == 0:
            self._refuse(done, LeaseNotFoundError())
        else:
            self._submit(RequestKind.LEASE_REVOKE, raw, request, done)

    def alarm(self, raw: bytes, request: rpc.AlarmRequest, done: Done) -> None:
        """See `MemberApi`."""
        self._core.quota.refresh()
        self._submit(RequestKind.ALARM, raw, request, done)

    def _submit(self, kind: RequestKind, raw: bytes, request: Any, done: Done) -> None:
        try:
            self._check_write(0)
            self._proposals.submit(kind, raw, request, done)
        except RaftKVError as error:
            self._refuse(done, error)

    def _check_write(self, cost_bytes: int) -> None:
        core = self._core
        if core.stopping:
            raise StoppedError
        if len(self._applier.queue) > APPLY_LAG_MAX:
            raise RequestTooManyRequestsError
        if self._node.conf_state.learners:
            self._check_voter()
        if cost_bytes and not core.quota.admits(cost_bytes):
            raise NoSpaceError

    def _check_voter(self) -> None:
        if self._core.is_learner:
            raise NotSupportedForLearnerError

    def _refuse(self, done: Callable[[Any, Exception], None], error: Exception) -> None:
        self._loop.call_soon(done, None, error)

    # Reads.

    def range(self, request: rpc.RangeRequest, done: Done) -> None:
        """See `MemberApi`."""
        try:
            validation.check_range(request)
            self.ranges_total += 1
            if not request.serializable:
                self._check_voter()
            self._read(request.serializable, done, lambda: self._core.machine.range(request))
        except RaftKVError as error:
            self._refuse(done, error)

    def read_barrier(self, done: Done) -> None:
        """See `MemberApi`."""

        def serve(error: Exception | None) -> None:
            if error is not None:
                done(None, error)
            else:
                done((self._core.machine.store.revision, b""), None)

        try:
            self._check_voter()
            self._reads.submit(serve)
        except RaftKVError as error:
            self._refuse(done, error)

    def _read(self, local: bool, done: Done, start: Callable[[], Any]) -> None:
        def serve(error: Exception | None) -> None:
            if error is not None:
                done(None, error)
                return
            try:
                answer = start()
            except RaftKVError as refused:
                done(None, refused)
                return
            if type(answer) is tuple:
                done(answer, None)
            else:
                self._pipeline.add_slices(BodyJob(answer, done, serve))

        if self._core.stopping:
            raise StoppedError
        if local:
            self._pipeline.serve_local(serve)
        else:
            self._reads.submit(serve)

    # Leases.

    def lease_keep_alive(self, lease_id: int, done: Callable[[int, Exception | None], None]) -> None:
        """See `MemberApi`."""
        self._core.leases.keep_alive(lease_id, done)

    def lease_time_to_live(self, lease_id: int, keys: bool, done: Callable[[LeaseTTL | None, Exception | None], None]) -> None:
        """See `MemberApi`."""
        self._core.leases.time_to_live(lease_id, keys, done)

    # The cluster.

    def change_member(
        self, change: MemberChangeKind, member_id: int, peer_urls: tuple[str, ...], is_learner: bool, done: MemberChangeDone
    ) -> None:
        """See `MemberApi`."""
        if self._core.is_learner:
            self._loop.call_soon(done, 0, NotSupportedForLearnerError())
        else:
            self._core.members.change(ChangeKind[change.name], member_id, peer_urls, is_learner, done)

    # The member itself.

    def move_leader(self, target_id: int, done: Callable[[Exception | None], None]) -> None:
        """See `MemberApi`."""
        core = self._core
        if not self._pipeline.is_leader():
            self._loop.call_soon(done, NotLeaderError())
        elif target_id not in core.voters():
            self._loop.call_soon(done, BadLeaderTransfereeError())
        elif target_id == self.member_id:
            self._loop.call_soon(done, None)
        else:
            core.transfer_leader(target_id, done)

    def defragment(self, done: Callable[[Exception | None], None]) -> None:
        """See `MemberApi`."""

        def committed() -> None:
            # An operator disarms next, and must not be met by the size of before.
            self._core.quota.refresh()
            self._loop.call_soon(done, None)

        self._core.store_writer.when_written(committed)
        self._pipeline.wake()
