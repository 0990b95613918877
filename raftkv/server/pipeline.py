"""The turn: everything a member does on its loop, in a fixed order and within a budget.

Hot path. The first item of work arms one `call_soon(turn)`; the turn takes all that is queued (design §3): durability
reports, raft messages and ticks; then new proposals, so that the disk works while this turn applies; then committed
entries; then reads; then one write per connection. After a millisecond it writes what it has and arms itself again, so
that the loop reads its sockets in between.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable
from typing import Protocol

from raftkv.errors import StoppedError
from raftkv.failpoints import FAILPOINTS, hit
from raftkv.raft.messages import Message, MessageKind, Ready, Role, SoftState
from raftkv.raft.proposals import ProposalDroppedError
from raftkv.raft.raw_node import RawNode
from raftkv.server.applier import Applier
from raftkv.server.log_writer import Durable, LogWriter
from raftkv.server.peers import Peers
from raftkv.server.proposals import Proposals
from raftkv.server.reads import Reads, Serve

log = logging.getLogger("raftkv.server")

TURN_BUDGET_S = 0.001
"""Work one turn does before it lets the loop go round."""

READ_SLICE = 16
"""Reads served between two looks at the clock."""


class Slices(Protocol):
    """Long work that goes on in later turns: a long range, a watch catch-up, a hash."""

    @property
    def again(self) -> Serve | None:
        """Begins the request anew, or ends it with an error; None for work that nobody asked for."""

    def step(self) -> bool:
        """Does about a quarter of a millisecond of work; False when there is nothing left. What it raises ends the member."""

    def close(self) -> None:
        """Lets go of what it reads from; there are no more steps."""


class PipelineHooks(Protocol):
    """What the turn asks of the member around it."""

    def on_soft_state(self, state: SoftState) -> None:
        """The leader or the role changed."""

    def on_snapshot(self, ready: Ready) -> None:
        """Consensus took a received snapshot: install it, then report its write durable."""

    def send_snapshot(self, message: Message) -> None:
        """A follower needs the state rather than entries."""

    def after_turn(self) -> None:
        """Commits, flushes."""

    def on_fatal(self, error: BaseException) -> None:
        """The turn raised: the member ends."""


class Pipeline:
    """Owner of the turn.

    Invariants: 1. at most one turn is armed; 2. proposals enter the log only while no log write is under way, so what
    gathers during a sync is one batch; 3. nothing of a turn runs inside another.
    """

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        node: RawNode,
        writer: LogWriter,
        applier: Applier,
        peers: Peers,
        proposals: Proposals,
        reads: Reads,
        hooks: PipelineHooks,
    ) -> None:
        self._loop = loop
        self.node = node
        self.writer = writer
        self.applier = applier
        self._peers = peers
        self.proposals = proposals
        self.reads = reads
        self._hooks = hooks
        self._armed = False
        self._running = False
        self._refused = False
        self.stopped = False
        self.suspended = False
        """The store is being replaced: nothing is read from it."""
        self._durable: list[Durable] = []
        self._incoming: deque[Message] = deque()
        self._ticks = 0
        self._serving: deque[Serve] = deque()
        self._slices: deque[Slices] = deque()
        self.turns_total = 0
        self.turn_s_max = 0.0

    # Inputs: each queues and wakes.

    def wake(self) -> None:
        """Arms a turn unless one is armed."""
        if not self._armed:
            self._armed = True
            self._loop.call_soon(self._turn)

    def on_durable(self, reports: list[Durable]) -> None:
        """Log writes returned from disk."""
        self._durable.extend(reports)
        if not self._running:
            self.wake()

    def on_message(self, message: Message) -> None:
        """A raft message arrived."""
        self._incoming.append(message)
        self.wake()

    def tick(self) -> None:
        """One heartbeat interval went by."""
        self._ticks += 1
        self.wake()

    def serve_local(self, serve: Serve) -> None:
        """A read that needs no round: served in the next turn, after what is applied by then."""
        if self.stopped:
            self._loop.call_soon(serve, StoppedError())
            return
        self._serving.append(serve)
        self.wake()

    def add_slices(self, work: Slices) -> None:
        """Long work, done a slice a turn."""
        self._slices.append(work)
        self.wake()

    def suspend(self) -> None:
        """The store is about to be replaced: no read is served until `resume`, and long ones begin anew then."""
        if self.suspended:
            return
        self.suspended = True
        standing: deque[Slices] = deque()
        for work in self._slices:
            if work.again is None:
                standing.append(work)
            else:
                work.close()
                self._serving.append(work.again)
        self._slices = standing

    def resume(self) -> None:
        """Another store is in place."""
        self.suspended = False
        self.wake()

    # The turn.

    def _turn(self) -> None:
        self._armed = False
        if self.stopped:
            return
        now = self._loop.time
        started_s = now()
        deadline_s = started_s + TURN_BUDGET_S
        self._running = True
        try:
            self._step_consensus()
            # Proposed before the first Ready is taken: a new batch carries the commit index that a message of its own would.
            self._propose()
            self._advance()
            self.applier.run(now, deadline_s)
            self._read(now, deadline_s)
            self._long_work()
            self._advance()
            self._peers.flush()
            self._hooks.after_turn()
        except Exception as error:  # The boundary where our own faults end the member.
            log.exception("a turn failed")
            self._hooks.on_fatal(error)
            return
        finally:
            self._running = False
        self.turns_total += 1
        took_s = now() - started_s
        if took_s > self.turn_s_max:
            self.turn_s_max = took_s
        if self._more():
            self.wake()

    def _more(self) -> bool:
        if self._durable or self._incoming or self._ticks:
            return True
        if not self.suspended and (self._serving or self._slices or self.reads.is_due(self.applier.applied)):
            return True
        if self.applier.paused:
            return False
        if self.applier.queue:
            return True
        # What consensus refused is tried again when something happens, at the latest at the next tick.
        return bool(self.proposals.queue) and self.writer.idle and self.node.leader_id != 0 and not self._refused

    def _step_consensus(self) -> None:
        node = self.node
        self._report_durable()
        incoming = self._incoming
        while incoming:
            node.step(incoming.popleft())
        while self._ticks:
            self._ticks -= 1
            node.tick()

    def _report_durable(self) -> None:
        node = self.node
        while self._durable:
            reports, self._durable = self._durable, []
            if FAILPOINTS:
                hit("raftBeforeAdvance")
            for report in reports:
                if report.write_number:
                    node.persisted(report.write_number, report.term, report.index)
                if report.held:
                    if FAILPOINTS and node.role != Role.LEADER:
                        hit("raftBeforeFollowerSend")
                    self._peers.send(report.held)

    def _advance(self) -> None:
        """Takes Readys until there is none, and starts the log's next write."""
        node, writer = self.node, self.writer
        while True:
            while node.has_ready():
                self._handle_ready()
            writer.kick()
            if not self._durable:
                return
            self._report_durable()

    def _handle_ready(self) -> None:
        ready = self.node.ready()
        if ready.soft_state is not None:
            self._hooks.on_soft_state(ready.soft_state)
        if ready.messages:
            self._send(ready.messages)
        if ready.snapshot is not None:
            self._hooks.on_snapshot(ready)
            assert not ready.entries, "a Ready with a snapshot has no entries"
        elif ready.write_number:
            self.writer.write(ready)
        elif ready.held and not self.writer.hold(ready.held):
            self._peers.send(ready.held)
        if ready.committed:
            self.applier.add(ready.committed)
        if ready.read_states:
            self.reads.answered(ready.read_states)

    def _send(self, messages: tuple[Message, ...]) -> None:
        if FAILPOINTS and self.node.role == Role.LEADER:
            hit("raftBeforeLeaderSend")
        for message in messages:
            if message.kind == MessageKind.SNAPSHOT:
                self._hooks.send_snapshot(message)
        self._peers.send(m for m in messages if m.kind != MessageKind.SNAPSHOT)

    def _propose(self) -> None:
        proposals = self.proposals
        self._refused = False
        if not proposals.queue or not self.writer.idle or self.applier.paused:
            return
        node = self.node
        if node.leader_id == 0:
            return
        if node.role != Role.LEADER and not self._peers.reaches(node.leader_id):
            # Sent now it would be lost, and its caller would wait in vain: what was never sent may wait.
            self._refused = True
            return
        batch = proposals.peek_batch()
        try:
            node.propose(batch)
        except ProposalDroppedError:
            self._refused = True
            return
        proposals.drop_batch(len(batch), node.term)

    def _read(self, now: Callable[[], float], deadline_s: float) -> None:
        node, reads = self.node, self.reads
        if reads.waiting or reads.is_unasked:
            # Also without a leader: the round's time runs, and the next leader is asked.
            context = reads.start_round(node.term, now()) or reads.take_unasked(node.term, now())
            if context is not None:
                self._ask_read_index(context)
        if self.suspended:
            return
        serving = self._serving
        serving.extend(reads.take_ready(self.applier.applied))
        count = 0
        while serving:
            serving.popleft()(None)
            count += 1
            if count % READ_SLICE == 0 and now() >= deadline_s:
                return

    def ask_again(self, now_s: float) -> None:
        """Once a tick: a read round that got no answer is asked under a new context."""
        context = self.reads.retry(self.node.term, now_s)
        if context is not None:
            self._ask_read_index(context)
            self.wake()

    def _ask_read_index(self, context: bytes) -> None:
        self.node.read_index(context)
        while self.node.has_ready():
            self._handle_ready()

    def _long_work(self) -> None:
        slices = self._slices
        if self.suspended:
            return
        for _ in range(min(2, len(slices))):
            work = slices.popleft()
            if work.step():
                slices.append(work)

    def is_leader(self) -> bool:
        """True when this member leads in its term, as far as it knows."""
        return self.node.role == Role.LEADER

    def stop(self) -> None:
        """No turn runs after this; whoever waits for a read is told."""
        self.stopped = True
        for work in self._slices:
            work.close()
            if work.again is not None:
                self._serving.append(work.again)
        self._slices.clear()
        while self._serving:
            self._serving.popleft()(StoppedError())
