"""One member: everything wired together, and what happens when roles, time or the log say so.

`MemberCore` owns the parts and outlives none of them; what clients see of it is `service.Service`, what peers see is
`peer_port.PeerPort`. Loop only.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass

from raftkv import ETCD_VERSION
from raftkv.clock import Clock
from raftkv.errors import RaftKVError, StoppedError
from raftkv.failpoints import FAILPOINTS, hit
from raftkv.mvcc.watch_hub import WatchHub
from raftkv.pb import rpc
from raftkv.raft.confchange import decode_change
from raftkv.raft.config import RaftConfig
from raftkv.raft.messages import Entry, Message, Ready, Role, SoftState
from raftkv.raft.raw_node import RawNode
from raftkv.server import hello
from raftkv.server.applier import Applier
from raftkv.server.auto_compaction import AutoCompactor
from raftkv.server.bootstrap import Booted, StateParts
from raftkv.server.compactor import Compactor
from raftkv.server.duties import DiskWatch, LogCutter, Publisher, VersionKeeper, best_successor
from raftkv.server.jobs import CatchUpJob
from raftkv.server.leases import Leases
from raftkv.server.log_writer import Durable, LogWriter
from raftkv.server.members import Members
from raftkv.server.peer_codec import EntryBlobs
from raftkv.server.peers import Peers
from raftkv.server.pipeline import Pipeline
from raftkv.server.proposals import Proposals, RequestIds
from raftkv.server.quota import Quota
from raftkv.server.reads import Reads
from raftkv.server.settings import MemberSettings
from raftkv.server.snapshots import SnapshotTransfers
from raftkv.server.store_writer import StoreWriter
from raftkv.state.lease import ttl_s_min
from raftkv.state.membership import ChangeKind
from raftkv.state.membership import decode_change as decode_member_change
from raftkv.state.requests import RequestKind
from raftkv.storage.worker import Worker

log = logging.getLogger("raftkv.server")

APPEND_BYTES_MAX = 1 << 20
INFLIGHT_BYTES_MAX = 16 << 20
"""Entries on their way to one follower: half of what its connection may hold unsent."""

UNCOMMITTED_BYTES_MAX = 64 << 20

REMOVED_STOP_S = 1.0
"""How long a removed member stays after it has applied its removal, as etcd's does."""


@dataclass(frozen=True, slots=True)
class Workers:
    """The member's two threads."""

    log: Worker
    store: Worker


class TransferTimeoutError(RaftKVError):
    """Leadership did not move in time; etcd answers UNKNOWN with this text."""

    text = "etcdserver: request timed out, leader transfer took too long"


class MemberCore:
    """The parts of one member.

    Invariants: 1. after `fail` nothing is written or answered; 2. the leader's duties run only while this member leads.
    """

    def __init__(
        self,
        settings: MemberSettings,
        booted: Booted,
        workers: Workers,
        clock: Clock,
        loop: asyncio.AbstractEventLoop,
        *,
        observe_fsync_s: Callable[[float], None] | None = None,
        observe_commit_s: Callable[[float], None] | None = None,
    ) -> None:
        self.settings = settings
        self.booted = booted
        self.clock = clock
        self.loop = loop
        self.workers = workers
        self.member_id = booted.member_id
        self.cluster_id = booted.cluster_id
        self.machine = booted.state.machine
        self.store = booted.state.store
        self.on_published: Callable[[], None] = lambda: None
        self.raft_storage = booted.raft_storage
        self.stopping = False
        self.failure: asyncio.Future[None] = loop.create_future()
        self.leader_changes_total = 0
        self._soft = SoftState(0, Role.FOLLOWER)
        self._transfer: tuple[int, float, Callable[[Exception | None], None]] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._alarm_pending = False
        self._may_hurry = settings.initial_election_tick_advance
        self._build(observe_fsync_s, observe_commit_s)

    def _build(self, observe_fsync_s: Callable[[float], None] | None, observe_commit_s: Callable[[float], None] | None) -> None:
        settings, booted, loop = self.settings, self.booted, self.loop
        now_s = loop.time
        election_s = settings.election_timeout_ms / 1000
        self.transfer_timeout_s = timeout_s = 5.0 + 2 * election_s
        rng = self.clock.random()
        self.node = RawNode(
            RaftConfig(
                member_id=self.member_id,
                election_ticks=settings.election_timeout_ms // settings.heartbeat_interval_ms,
                heartbeat_ticks=1,
                append_bytes_max=APPEND_BYTES_MAX,
                inflight_bytes_max=INFLIGHT_BYTES_MAX,
                uncommitted_bytes_max=UNCOMMITTED_BYTES_MAX,
                pre_vote=settings.pre_vote,
            ),
            booted.raft_storage,
            applied=self.machine.applied_index,
            randrange=rng.randrange,
        )
        blobs = EntryBlobs()
        ids = RequestIds(self.member_id, int(self.clock.wall_s() * 1000))
        self.proposals = Proposals(ids, timeout_s=timeout_s, bytes_max=settings.max_request_bytes, wake=self._wake)
        self.reads = Reads(timeout_s=timeout_s, wake=self._wake, first_context=ids.take())
        self.writer = LogWriter(booted.wal, booted.raft_storage, self.workers.log, blobs, on_durable=self._on_durable, on_failure=self.fail)
        self.store_writer = StoreWriter(
            booted.state.backend,
            booted.state.tables,
            self.workers.store,
            interval_s=settings.backend_batch_interval_ms / 1000,
            records_max=settings.backend_batch_limit,
            durable_index=self.machine.applied_index,
            on_failure=self.fail,
            observe_s=observe_commit_s,
            now_s=now_s,
        )
        self.hub = WatchHub(
            self.store,
            progress_interval_s=settings.watch_progress_notify_interval_ms / 1000,
            on_runnable=self._catch_up,
        )
        self._catch_up_job = CatchUpJob(self.hub)
        self.applier = Applier(self.machine, self.hub, self.proposals, apply_change=self._apply_change, on_applied=self._on_applied)
        self.peers = Peers(hello.Self(self.cluster_id, self.member_id, ETCD_VERSION), self, blobs, rng)
        self.pipeline = Pipeline(loop, self.node, self.writer, self.applier, self.peers, self.proposals, self.reads, self)
        self.leases = Leases(
            self.machine.lessor,
            self.pipeline,
            self.proposals,
            now_s=now_s,
            election_s=election_s,
            timeout_s=timeout_s,
            peers=self.peers,
        )
        self.lease_ttl_s_min = ttl_s_min(election_s)
        self.quota = Quota(settings.quota_backend_bytes, self._store_size, self._raise_no_space)
        self.compactor = Compactor(
            loop,
            lambda: self.store.compaction,
            lambda: self.store_writer,
            lambda: self.applier.applied,
            batch_limit=settings.compaction_batch_limit,
            pause_s=settings.compaction_sleep_interval_ms / 1000,
            guarded=self.guarded,
        )
        self.transfers = SnapshotTransfers(self)
        self.members = Members(self, timeout_s=timeout_s, strict=settings.strict_reconfig_check, learners_max=settings.max_learners)
        self._heartbeat_s = settings.heartbeat_interval_ms / 1000
        self._build_duties()

    def _build_duties(self) -> None:
        settings = self.settings
        self.cutter = LogCutter(self, settings.snapshot_count, settings.snapshot_catchup_entries)
        self.publisher = Publisher(self, lambda: self.on_published())
        self.version_keeper = VersionKeeper(self)
        self.auto_compactor = AutoCompactor(self)
        self.disk_watch = DiskWatch(self)

    # Life.

    def start(self, group: asyncio.TaskGroup) -> None:
        """Begins to tick and to talk to peers. Peers and transfers run as tasks of the group."""
        self.quota.refresh()
        self._set_peers()
        self.peers.start(group)
        self.transfers.start(group)
        self.compactor.kick()
        if self.settings.initial_election_tick_advance and self.voters() == (self.member_id,):
            # Nobody else can lead, so there is nothing to wait for.
            self.node.campaign()
        self._next_tick_s = self.loop.time() + self._heartbeat_s
        self._timer = self.loop.call_at(self._next_tick_s, self._on_timer)
        self.pipeline.wake()

    async def stop(self) -> None:
        """Refuses new requests, commits what is applied, and lets both threads finish."""
        self.stopping = True
        if self._timer is not None:
            self._timer.cancel()
        self.compactor.stop()
        self.pipeline.stop()
        self.proposals.stop()
        self.reads.stop()
        self.members.stop()
        self.peers.stop()
        self.transfers.stop()
        if self._transfer is not None:
            self._end_transfer(StoppedError())
        await self._close_workers()

    async def _close_workers(self) -> None:
        log_closed, store_closed = self.loop.create_future(), self.loop.create_future()
        self.workers.log.close(lambda: log_closed.set_result(None))
        await log_closed
        if not self.failure.done():
            committed: asyncio.Future[None] = self.loop.create_future()
            self.store_writer.when_durable(self.applier.applied, lambda: committed.set_result(None))
            while not committed.done() and not self.failure.done():
                if not self.store_writer.maybe_commit(self.applier.applied, force=True) and not self.store_writer.busy:
                    break
                await asyncio.sleep(0.001)
        self.workers.store.close(lambda: store_closed.set_result(None))
        await store_closed
        self.booted.close()

    async def hand_over(self) -> None:
        """Moves leadership to the member that is furthest, if this one leads."""
        target = best_successor(self)
        if target == 0:
            return
        moved: asyncio.Future[None] = self.loop.create_future()

        def done(error: Exception | None) -> None:
            if not moved.done():
                moved.set_result(None)

        log.info("leadership is handed over before the stop", extra={"fields": {"transferee": f"{target:x}"}})
        self.transfer_leader(target, done)
        try:
            async with asyncio.timeout(self.settings.election_timeout_ms / 1000 * 2):
                await moved
        except TimeoutError:
            log.warning("leadership could not be handed over in time")

    def fail(self, error: BaseException) -> None:
        """The member cannot go on: nothing more is written or answered."""
        if not self.failure.done():
            log.critical("the member stops", extra={"fields": {"error": str(error) or type(error).__name__}})
            self.stopping = True
            self.pipeline.stopped = True
            self.failure.set_exception(error)

    # Time.

    def guarded(self, act: Callable[[], object]) -> None:
        """Runs a callback of the loop: what it raises ends the member, instead of vanishing in the loop's log."""
        try:
            act()
        except Exception as error:
            log.exception("a callback failed")
            self.fail(error)

    def _on_timer(self) -> None:
        now_s = self.loop.time()
        self._next_tick_s = max(self._next_tick_s + self._heartbeat_s, now_s + self._heartbeat_s / 2)
        self._timer = self.loop.call_at(self._next_tick_s, self._on_timer)
        if not self.failure.done():
            self.guarded(self._tick)

    def _tick(self) -> None:
        now_s = self.loop.time()
        self.pipeline.tick()
        self.proposals.expire(now_s)
        self.members.tick(now_s)
        self.peers.probe(self.loop.time)
        self.pipeline.ask_again(now_s)
        self.leases.tick()
        self.publisher.tick(now_s)
        self.version_keeper.tick(now_s)
        self.auto_compactor.tick(now_s)
        self.disk_watch.tick(now_s)
        self.quota.refresh()
        self.hub.tick_progress(now_s)
        self.store_writer.maybe_commit(self.applier.applied)
        if self._transfer is not None and now_s >= self._transfer[1]:
            self._end_transfer(TransferTimeoutError())

    def _store_size(self) -> int | None:
        # In use, not the file's size: pages that compaction freed are used again, and the file never shrinks.
        return None if self.pipeline.suspended else self.store_writer.backend.size_in_use_bytes()

    def _catch_up(self) -> None:
        if not self._catch_up_job.queued:
            self._catch_up_job.queued = True
            self.pipeline.add_slices(self._catch_up_job)

    def _wake(self) -> None:
        self.pipeline.wake()

    def _on_durable(self, reports: list[Durable]) -> None:
        self.pipeline.on_durable(reports)

    # What the turn asks (PipelineHooks).

    def on_soft_state(self, state: SoftState) -> None:
        """The leader or the role changed."""
        before, self._soft = self._soft, state
        fields = {"local-member-id": f"{self.member_id:x}", "term": self.node.term}
        if state.role == Role.LEADER and before.role != Role.LEADER:
            log.info("%x became leader at term %d", self.member_id, self.node.term, extra={"fields": fields})
            self.leases.become_leader()
        elif before.role == Role.LEADER and state.role != Role.LEADER:
            self.leases.become_follower()
        if state.leader == before.leader:
            return
        if before.leader:
            self.proposals.leader_lost()
        if state.leader:
            self.leader_changes_total += 1
            log.info("elected leader", extra={"fields": {**fields, "leader": f"{state.leader:x}"}})
            self.loop.call_soon(self.guarded, self._begin_duties)
            if self._transfer is not None and state.leader == self._transfer[0]:
                self._end_transfer(None)
        else:
            log.warning("lost leader", extra={"fields": {**fields, "leader": f"{before.leader:x}"}})
        self.reads.leader_changed(known=state.leader != 0)

    def _begin_duties(self) -> None:
        """A leader is known: what waits for one need not wait for the next tick."""
        now_s = self.loop.time()
        self.publisher.tick(now_s)
        self.version_keeper.tick(now_s)

    def on_snapshot(self, ready: Ready) -> None:
        """See `PipelineHooks`."""
        self.transfers.install(ready)

    def send_snapshot(self, message: Message) -> None:
        """See `PipelineHooks`."""
        self.transfers.send(message)

    def after_turn(self) -> None:
        """See `PipelineHooks`."""
        if not self.publisher.published:
            # It waits for the log's first write, which is not worth a heartbeat interval of every start.
            self.publisher.tick(self.loop.time())
        self.store_writer.maybe_commit(self.applier.applied)
        self.booted.flush()

    def on_fatal(self, error: BaseException) -> None:
        """See `PipelineHooks` and `PeerView`."""
        self.fail(error)

    # What applying asks.

    def _on_applied(self, index: int, term: int) -> None:
        self.node.applied_to(index)
        self.proposals.term_applied(term)
        self.machine.lessor.arm_fresh(self.loop.time())
        self.cutter.after_apply(index, term)
        if self.store.compaction.is_active:
            self.compactor.kick()

    def _apply_change(self, entry: Entry) -> None:
        if FAILPOINTS:
            hit("beforeApplyOneConfChange")
        change = decode_change(entry.data)
        asked = decode_member_change(change.context) if change.context else None
        error = self.machine.apply_member_change(entry.term, entry.index, asked)[2] if asked is not None else None
        if error is None:
            conf = self.node.apply_change(change)
            self.machine.save_conf_state(conf)
            self._set_peers()
        if asked is None:
            return
        self.members.applied(asked, entry.index, error)
        if error is None and asked.kind == ChangeKind.REMOVE and asked.member.id == self.member_id:
            # The others have to hear of the commit first.
            self.loop.call_later(REMOVED_STOP_S, self.fail, hello.MemberRemovedError())

    def _set_peers(self) -> None:
        self.peers.set_members({member.id: member.peer_urls for member in self.machine.members.all() if member.id != self.member_id})

    def use_state(self, state: StateParts, index: int) -> None:
        """A received snapshot replaced the store: everything reads from the new one."""
        self.booted.state = state
        self.machine, self.store = state.machine, state.store
        self.store_writer.replace(state.backend, state.tables, index)
        self.applier.use_machine(state.machine)
        self.proposals.state_replaced()
        self.hub.restored(state.store)
        self.leases.lessor = state.machine.lessor
        if self.pipeline.is_leader():
            self.leases.become_leader()
        self._set_peers()

    # What peers ask (PeerView).

    def peer_state(self, member_id: int) -> tuple[bool, bool, bool]:
        """See `PeerView`."""
        member = self.machine.members.get(member_id)
        started = member is not None and member.started
        if self.pipeline.is_leader() and not started:
            progress = self.node.status().progress.get(member_id)
            started = progress is not None and progress.match > hello.BOOTSTRAP_INDEX
        return member is not None, self.machine.members.is_removed(member_id), started

    def last_index(self) -> int:
        """See `PeerView`."""
        return self.node.last_index

    def on_message(self, message: Message) -> None:
        """See `PeerView`."""
        self.pipeline.on_message(message)

    def on_connected(self) -> None:
        """See `PeerView`. With a quorum in reach for the first time, the first election need not wait for its whole timeout
        (etcd's advanceTicks); pre-vote keeps this from disturbing a leader there is.
        """
        if self._may_hurry and len(self.peers.connected()) + 1 > len(self.voters()) // 2:
            self._may_hurry = False
            if not self.node.leader_id:
                for _ in range(self.settings.election_timeout_ms // self.settings.heartbeat_interval_ms - 1):
                    self.pipeline.tick()

    def on_unreachable(self, member_id: int) -> None:
        """See `PeerView`."""
        self.node.report_unreachable(member_id)

    # What the service asks.

    def voters(self) -> tuple[int, ...]:
        """Ids of the voting members."""
        return self.node.conf_state.voters

    @property
    def is_learner(self) -> bool:
        """True while this member may not vote."""
        return self.member_id in self.node.conf_state.learners

    def transfer_leader(self, target: int, done: Callable[[Exception | None], None]) -> None:
        """Asks consensus to move leadership; done once it moved or the time is up."""
        if self._transfer is not None:
            self._end_transfer(TransferTimeoutError())
        self._transfer = (target, self.loop.time() + self.transfer_timeout_s, done)
        self.node.transfer_leader(target)
        self.pipeline.wake()

    def _end_transfer(self, error: Exception | None) -> None:
        assert self._transfer is not None
        done, self._transfer = self._transfer[2], None
        done(error)

    def _raise_no_space(self) -> None:
        if self._alarm_pending or self.machine.alarms.no_space:
            return
        request = rpc.AlarmRequest(action=rpc.AlarmRequest.ACTIVATE, memberID=self.member_id, alarm=rpc.NOSPACE)

        def done(result: object, error: Exception | None) -> None:
            self._alarm_pending = False

        self.proposals.submit(RequestKind.ALARM, request.SerializeToString(), request, done)
        self._alarm_pending = True
        log.warning("alarm raised", extra={"fields": {"alarm": "NOSPACE", "raised-by": f"{self.member_id:x}"}})

    def describe(self) -> str:
        """For people."""
        return "\n".join(
            (
                f"member {self.member_id:x} of cluster {self.cluster_id:x}: {self.node.role.name.lower()}, term {self.node.term}, "
                f"leader {self.node.leader_id:x}, commit {self.node.commit}, stable {self.node.stable}, applied {self.applier.applied}",
                self.machine.describe(),
                f"proposals: {len(self.proposals.queue)} queued, {len(self.proposals.waiting)} waiting; "
                f"reads: {len(self.reads.waiting)} waiting; "
                f"turns {self.pipeline.turns_total}, longest {self.pipeline.turn_s_max * 1000:.1f} ms",
                f"peers connected: {', '.join(f'{i:x}' for i in self.peers.connected()) or 'none'}",
            )
        )
