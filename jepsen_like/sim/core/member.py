"""One member: consensus, its disk, its store, the calls that wait at it, and the turn that drives them.

The turn follows server/pipeline.py: durability reports, messages, ticks, proposals (only while no sync runs), Readys,
applying, reads. A crash drops all of it except the disk and the store's last commit. Hot path: a turn is most of a run.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from random import Random
from struct import Struct
from typing import Protocol

from jepsen_like.sim.core.disk import Disk, to_disk
from jepsen_like.sim.core.invariants import InvariantError, Invariants
from jepsen_like.sim.core.operations import FAILED, OK, PENDING, Operation
from jepsen_like.sim.core.scenario import Scenario
from jepsen_like.sim.core.store import Checkpoint, Store
from jepsen_like.sim.reached import reached
from raftkv.errors import CorruptionError
from raftkv.raft.confchange import ConfChangeInvalidError, decode_change
from raftkv.raft.config import RaftConfig
from raftkv.raft.messages import ConfState, Entry, Message, MessageKind, ReadState, Role
from raftkv.raft.proposals import ProposalDroppedError
from raftkv.raft.raw_node import RawNode
from raftkv.raft.storage import MemoryStorage
from raftkv.raft.trace import Trace

_APPEND_REPLY = int(MessageKind.APPEND_REPLY)
_VOTES = frozenset({int(MessageKind.VOTE), int(MessageKind.PRE_VOTE)})
_HEARTBEAT_REPLY = int(MessageKind.HEARTBEAT_REPLY)
_LEADER = Role.LEADER
_CONTEXT = Struct(">QQ")
_STATES_KEPT = 3
"""Snapshots whose state can still be sent: a message may name one that is no longer the newest."""

READ_RETRY_TICKS = 10
"""A read round that nobody answered is asked again, under a fresh context, after so many ticks."""


class Surroundings(Protocol):
    """What a member acts upon."""

    now_us: int

    def arm(self, member: Member) -> None:
        """Have the member take a turn soon."""

    def send(self, member: Member, messages: tuple[Message, ...]) -> None:
        """Messages leave."""

    def done(self, operation: Operation, outcome: int) -> None:
        """A call ended."""

    def changed(self, member: Member, before: ConfState, after: ConfState) -> None:
        """A member put a configuration in force."""


class Member:
    """Invariants: 1. `core` and `log` are those of `node`, which is None while the member is down; 2. at most one turn is
    armed; 3. the store stands at or below consensus's applied index; 4. `saved` is at or above every cut of the log."""

    __slots__ = (
        "arrived",
        "armed",
        "config",
        "core",
        "disk",
        "epoch",
        "heard",
        "held",
        "id",
        "inbox",
        "invariants",
        "led_last",
        "led_term",
        "led_ticks",
        "led_truncations",
        "log",
        "missed_ticks",
        "node",
        "outcomes",
        "paused",
        "pending",
        "proposals",
        "random",
        "read_calls",
        "reading",
        "reports",
        "restarted_commit",
        "rounds",
        "save_at",
        "saved",
        "scenario",
        "seen_applied",
        "seen_commit",
        "seen_stable",
        "seen_term",
        "states",
        "storage",
        "store",
        "sync_missed",
        "tick_us",
        "ticks",
        "to_apply",
        "trace",
        "world",
    )

    def __init__(
        self,
        member_id: int,
        conf: ConfState,
        scenario: Scenario,
        world: Surroundings,
        invariants: Invariants,
        *,
        random: Random,
        start_sync: Callable[[int], None],
        disk_random: Random,
        trace: Trace,
    ) -> None:
        self.id = member_id
        self.scenario = scenario
        self.world = world
        self.invariants = invariants
        self.random = random
        self.trace = trace
        self.storage = MemoryStorage(conf)
        self.store = Store(conf)
        self.keep(self.store.checkpoint())
        self.states: dict[int, Checkpoint] = {}
        self.disk = Disk(
            disk_random,
            fsync_us=scenario.fsync_us,
            tail=scenario.fsync_tail,
            tail_factor=scenario.tail_factor,
            start_sync=start_sync,
        )
        self.tick_us = scenario.tick_ms * 1000
        self.config = RaftConfig(
            member_id,
            election_ticks=scenario.election_ticks,
            append_bytes_max=scenario.append_bytes_max,
            inflight_max=scenario.inflight_max,
            inflight_bytes_max=max(scenario.append_bytes_max, 64 << 20),
            uncommitted_bytes_max=scenario.uncommitted_bytes_max,
            committed_bytes_max=scenario.committed_bytes_max,
            pre_vote=scenario.pre_vote,
            check_quorum=scenario.check_quorum,
        )
        self.epoch = 0
        self.node: RawNode | None = None
        self.start()

    def start(self) -> None:
        """Start on what the disk and the store's last commit hold."""
        self.epoch += 1
        self.inbox: list[Message] = []
        self.reports: list[tuple[int, int, int]] = []
        self.outcomes: list[tuple[int, bool | None]] = []
        self.held: deque[tuple[int, tuple[Message, ...]]] = deque()
        self.to_apply: deque[Entry] = deque()
        self.arrived: dict[int, Checkpoint] = {}
        self.proposals: list[Operation] = []
        self.pending: dict[bytes, Operation] = {}
        self.reading: list[Operation] = []
        self.rounds: dict[bytes, tuple[list[Operation], int, int]] = {}
        self.read_calls: list[tuple[int, list[Operation]]] = []
        self.armed = False
        self.paused = False
        self.ticks = 0
        self.missed_ticks = 0
        self.sync_missed = False
        self.store.restore(self.saved)
        self.storage.conf_state = self.saved.conf
        self.node = node = RawNode(self.config, self.storage, applied=self.saved.index, randrange=self.random.randrange, trace=self.trace)
        self.core = node.inside
        self.log = node.inside.log
        self.seen_term = self.storage.hard_state.term
        self.seen_commit = self.seen_applied = self.seen_stable = 0
        self.restarted_commit = self.log.commit
        self.led_term = self.led_last = self.led_truncations = self.led_ticks = 0
        self.heard: dict[int, int] = {}
        self.invariants.on_turn(self)

    def stop(self, *, power: bool, survival: Random) -> int:
        """End without a word; returns how many writes are gone."""
        self.node = None
        kept, lost = self.disk.lose(survival, power=power)
        for write in kept:
            to_disk(self, write)
        return lost

    def on_synced(self) -> None:
        """A sync returned: what it wrote is durable, and the member will be told."""
        for write in self.disk.take_synced():
            to_disk(self, write)
            ready, checkpoint = write
            last = ready.entries[-1] if ready.entries else ready.snapshot
            if last is None:
                self.reports.append((ready.write_number, 0, 0))
            else:
                self.reports.append((ready.write_number, last.term, last.index))
            if checkpoint is not None:
                self.store.restore(checkpoint)
        self.disk.kick()

    def tick(self) -> bool:
        """One tick; True when a turn is wanted."""
        node = self.node
        assert node is not None
        node.tick()
        if self.core.role is _LEADER:
            self.invariants.on_leader_tick(self)
        if self.rounds or self.reading:
            self._retry_reads()
        return node.has_ready() or bool(self.proposals) or bool(self.reading)

    def turn(self) -> None:
        """Deal with everything that came since the last."""
        self.armed = False
        node = self.node
        if node is None or self.paused:
            return
        if self.reports:
            self._take_reports(node)
        if self.inbox:
            self._take_messages(node)
        if self.outcomes:
            self._take_outcomes(node)
        if self.ticks:
            for _ in range(self.ticks):
                node.tick()
                if self.core.role is _LEADER:
                    self.invariants.on_leader_tick(self)
            self.ticks = 0
        if self.proposals and self.disk.idle and self.core.leader_id:
            self._propose(node)
        if self.reading and self.core.leader_id:
            self._ask(node)
        if self.to_apply:
            self._apply(node)
        while node.has_ready():
            # Only what is applied, or was kept back behind a snapshot, can make another Ready within the turn.
            is_more = self._take_ready(node)
            if self.to_apply:
                self._apply(node)
            elif not is_more:
                break
        if self.disk.waiting:
            self.disk.kick()
        self.invariants.on_turn(self)
        if self.read_calls:
            self._serve()
        if self.store.applied >= self.save_at:
            self._save()
        if self.to_apply or (self.proposals and self.disk.idle and self.core.leader_id):
            self.world.arm(self)

    def _take_reports(self, node: RawNode) -> None:
        reports, self.reports = self.reports, []
        held = self.held
        for number, term, index in reports:
            node.persisted(number, term, index)
            if self.log.commit != self.seen_commit:
                self.invariants.on_commit(self)
            while held and held[0][0] <= number:
                self.world.send(self, held.popleft()[1])

    def _take_messages(self, node: RawNode) -> None:
        inbox, self.inbox = self.inbox, []
        core, log, step = self.core, self.log, node.step
        for message in inbox:
            kind = message.kind
            if message.term < core.term:
                self.invariants.on_late(self, message, step)
            elif kind in _VOTES:
                self.invariants.on_vote_asked(self, message, step)
            elif kind == _HEARTBEAT_REPLY and message.context:
                self.invariants.on_round_answered(self, message, step)
            else:
                step(message)
            if log.commit != self.seen_commit:
                self.invariants.on_commit_told(self, message)
                self.invariants.on_commit(self)
            if core.role is _LEADER:
                self.heard[message.sender] = self.led_ticks
                if kind == _APPEND_REPLY:
                    self.invariants.on_match(self, message.sender)

    def _take_outcomes(self, node: RawNode) -> None:
        outcomes, self.outcomes = self.outcomes, []
        for peer, ok in outcomes:
            if ok is None:
                node.report_unreachable(peer)
            else:
                node.report_snapshot(peer, ok)

    def _propose(self, node: RawNode) -> None:
        calls, self.proposals = self.proposals[: self.scenario.batch_max], self.proposals[self.scenario.batch_max :]
        calls = [call for call in calls if call.outcome == PENDING]
        if not calls:
            return
        try:
            node.propose([call.data for call in calls])
        except ProposalDroppedError:
            reached("proposal_refused")
            for call in calls:
                self.invariants.refused.add(call.data)
                self.world.done(call, FAILED)
            return
        for call in calls:
            self.pending[call.data] = call

    def _ask(self, node: RawNode) -> None:
        """All reads that wait join one round."""
        calls, self.reading = self.reading, []
        context = _CONTEXT.pack(self.world.now_us, calls[0].number)
        if node.read_index(context):
            self.rounds[context] = (calls, self.invariants.commit, self.world.now_us)
        else:
            self.reading = calls

    def _retry_reads(self) -> None:
        overdue_us = self.world.now_us - READ_RETRY_TICKS * self.tick_us
        self.reading = [call for call in self.reading if call.outcome == PENDING]
        for context, (calls, _, asked_us) in list(self.rounds.items()):
            if asked_us <= overdue_us:
                del self.rounds[context]
                waiting = [call for call in calls if call.outcome == PENDING]
                if waiting:
                    reached("read_asked_again")
                    self.reading += waiting

    def _take_ready(self, node: RawNode) -> bool:
        """Do one Ready's work; True when it may not have been all there is."""
        ready = node.ready()
        number, _, entries, snapshot, messages, held, committed, read_states, _, _, held_after = ready
        if snapshot is not None:
            # What was handed out to be applied lies below the snapshot, whose state takes its place.
            if self.to_apply:
                reached("snapshot_while_applying")
                self.to_apply.clear()
            if not self.disk.idle:
                reached("snapshot_behind_running_sync")
            self.disk.write(ready, self.arrived[snapshot.index])
            self.arrived.clear()
        elif number:
            if entries:
                self.invariants.on_written(self, entries)
            self.disk.waiting.append((ready, None))
        if held:
            self.held.append((held_after, held))
        if messages:
            self.world.send(self, messages)
        if committed:
            self.to_apply.extend(committed)
        for state in read_states:
            self._on_read_state(state)
        return snapshot is not None or bool(committed)

    def _on_read_state(self, state: ReadState) -> None:
        found = self.rounds.pop(state.context, None)
        if found is None:
            reached("read_answered_too_late")
            return
        calls, floor, _ = found
        self.invariants.on_read_state(self, state, floor)
        self.read_calls.append((state.index, calls))

    def _apply(self, node: RawNode) -> None:
        to_apply = self.to_apply
        store = self.store
        pending = self.pending
        on_applied = self.invariants.on_applied
        for _ in range(min(len(to_apply), self.scenario.apply_max)):
            entry = to_apply.popleft()
            on_applied(self, entry)
            store.apply(entry)
            if entry.kind:
                self._apply_change(node, entry)
            elif entry.data in pending:
                call = pending.pop(entry.data)
                call.index = entry.index
                if call.outcome == PENDING:
                    self.world.done(call, OK)
                else:
                    reached("write_applied_after_its_timeout")
        node.applied_to(store.applied)

    def _apply_change(self, node: RawNode, entry: Entry) -> None:
        try:
            conf = node.apply_change(decode_change(entry.data))
        except (ConfChangeInvalidError, CorruptionError):
            reached("change_applied_without_effect")
            node.applied_to(entry.index)
            return
        if self.log.commit != self.seen_commit:
            self.invariants.on_commit(self)
        before, self.store.conf = self.store.conf, conf
        self.invariants.on_conf(self, entry.index, conf)
        self.invariants.on_own_conf(self, before, conf)
        self.world.changed(self, before, conf)
        node.applied_to(entry.index)

    def _serve(self) -> None:
        store = self.store
        waiting = []
        for index, calls in self.read_calls:
            if index > store.applied:
                waiting.append((index, calls))
                continue
            for call in calls:
                if call.outcome == PENDING:
                    item = store.items.get(call.data)
                    call.index = item.index if item is not None else 0
                    if call.index < call.floor:
                        raise InvariantError(
                            "acknowledged writes are read",
                            f"member {self.id}: key {call.data!r} at {call.index}, {call.floor} was acknowledged",
                        )
                    self.world.done(call, OK)
        self.read_calls = waiting

    def _save(self) -> None:
        """The store commits; when enough was applied since, its state becomes the snapshot and the log is cut below it."""
        self.keep(self.store.checkpoint())
        if self.saved.index - self.storage.snapshot().index >= self.scenario.snapshot_count:
            self.cut_log(keep=self.scenario.catch_up)

    def keep(self, checkpoint: Checkpoint) -> None:
        """What a restart will begin with."""
        self.saved = checkpoint
        self.save_at = checkpoint.index + self.scenario.store_every

    def cut_log(self, keep: int) -> None:
        """Make a snapshot of the store as it stands and cut the log, but for `keep` entries below it."""
        storage = self.storage
        if self.log.has_pending_snapshot or self.store.applied <= storage.snapshot().index:
            return
        saved = self.store.checkpoint()
        self.keep(saved)
        storage.make_snapshot(saved.index, saved.conf)
        storage.compact(max(saved.index - keep, storage.first_index() - 1))
        states = self.states
        states[saved.index] = saved
        if len(states) > _STATES_KEPT:
            del states[min(states)]
        reached("log_cut")
