"""A cluster of `RawNode`s on a network and disks that a test moves by hand, or a seed at random.

Each member's writes stay on their way until the test lets them become durable; a crash loses those that are, or keeps
some prefix of them unreported. The oracle looks on at every event.
"""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, replace

from raftkv.raft.confchange import ConfChange, decode_change
from raftkv.raft.config import RaftConfig
from raftkv.raft.messages import ConfState, Entry, EntryKind, Message, MessageKind, Ready
from raftkv.raft.raw_node import RawNode
from raftkv.raft.storage import MemoryStorage
from raftkv.raft.trace import TraceEvent
from tests.raft.oracle import Oracle

History = list[tuple[int, bytes]]


@dataclass(slots=True)
class Write:
    """One write on its way to a disk."""

    ready: Ready
    history: History | None


@dataclass(slots=True)
class Packet:
    """One message on the network, with the state that travels beside a snapshot."""

    message: Message
    history: History | None = None


class Member:
    """One member: its disk, its state machine, and while it runs its node."""

    def __init__(self, config: RaftConfig, conf: ConfState, oracle: Oracle, seed: int, trace: Callable[[TraceEvent], None] | None) -> None:
        self.id = config.member_id
        self.config = config
        self.storage = MemoryStorage(conf)
        self.node: RawNode | None = None
        self.writes: deque[Write] = deque()
        self.held: deque[tuple[int, tuple[Message, ...]]] = deque()
        self.history: History = []
        self.confs: dict[int, ConfState] = {0: conf}
        self.arrived: dict[int, History] = {}
        self.read_states: list[tuple[int, bytes]] = []
        self._oracle = oracle
        self._random = random.Random(seed * 1009 + self.id)
        self._trace = trace
        self.start(0)

    @property
    def running(self) -> RawNode:
        """The node of a member that is up."""
        assert self.node is not None
        return self.node

    def term_at(self, index: int) -> int:
        """Term of the log at index, stable or not."""
        return self.running._core.log.term(index)

    def first_index(self) -> int:
        """First index whose term is known to be an entry's."""
        return self.running._core.log.first_index

    def has_entry(self, index: int, term: int) -> bool:
        """True when the log holds that entry."""
        return self.running._core.log.matches(index, term)

    def start(self, applied: int) -> None:
        """Starts on what the disk holds, with a state machine that stands at `applied`."""
        self.history = [one for one in self.history if one[0] <= applied]
        self.confs = {index: conf for index, conf in self.confs.items() if index <= applied}
        self.storage.conf_state = self.confs[max(self.confs)]
        self.writes.clear()
        self.held.clear()
        self.arrived.clear()
        self._oracle.on_start(self)
        self.node = RawNode(self.config, self.storage, applied=applied, randrange=self._random.randrange, trace=self._trace)

    def crash(self, survives: int) -> None:
        """Stops; of the writes on their way the first `survives` reached the disk, unreported."""
        for write in list(self.writes)[:survives]:
            self._to_disk(write)
        self.node = None
        self.writes.clear()
        self.held.clear()

    def take_ready(self) -> tuple[Ready, list[Message]]:
        """Takes one Ready, applies what is committed, and returns it with the messages that may leave."""
        node = self.running
        ready = node.ready()
        self._oracle.on_written(self, ready.entries)
        if ready.write_number:
            history = self.arrived.get(ready.snapshot.index) if ready.snapshot is not None else None
            self.writes.append(Write(ready, history))
        if ready.held:
            assert ready.held_after > 0
            self.held.append((ready.held_after, ready.held))
        for entry in ready.committed:
            self._apply(node, entry)
        for state in ready.read_states:
            self._oracle.on_read_state(state)
            self.read_states.append((state.index, state.context))
        return ready, list(ready.messages)

    def make_durable(self) -> list[Message]:
        """The oldest write reaches the disk and is reported; returns the messages that waited for it."""
        write = self.writes.popleft()
        self._to_disk(write)
        ready = write.ready
        last = ready.entries[-1] if ready.entries else ready.snapshot
        self.running.persisted(ready.write_number, last.term if last else 0, last.index if last else 0)
        released: list[Message] = []
        while self.held and self.held[0][0] <= ready.write_number:
            released += self.held.popleft()[1]
        return released

    def make_snapshot(self, keep: int) -> None:
        """Snapshots the applied state and cuts the log, keeping `keep` entries below it."""
        applied = self.running.applied
        if applied <= self.storage.snapshot().index or applied > self.storage.last_index():
            return
        if self.running._core.log.has_pending_snapshot:
            return
        self.storage.make_snapshot(applied, self.confs[max(index for index in self.confs if index <= applied)])
        self.storage.compact(max(applied - keep, 0))

    def _to_disk(self, write: Write) -> None:
        ready = write.ready
        self.storage.write(ready.hard_state, ready.snapshot, ready.entries)
        self.storage.check_invariants()
        assert self.storage.hard_state.commit <= self.storage.last_index(), "the disk commits what it does not hold"
        if ready.snapshot is not None:
            assert write.history is not None
            self.history = list(write.history)
            self.confs = {ready.snapshot.index: ready.snapshot.conf_state}

    def _apply(self, node: RawNode, entry: Entry) -> None:
        self._oracle.on_applied(self, entry)
        if entry.kind == EntryKind.CONF_CHANGE:
            conf = node.apply_change(decode_change(entry.data))
            self.confs[entry.index] = conf
            self._oracle.on_conf(entry.index, conf)
        elif entry.data:
            self.history.append((entry.index, entry.data))
        node.applied_to(entry.index)


class Cluster:
    """Members, the packets between them, and the oracle."""

    def __init__(
        self,
        conf: ConfState,
        *,
        config: RaftConfig | None = None,
        seed: int = 0,
        trace: Callable[[TraceEvent], None] | None = None,
    ) -> None:
        self.oracle = Oracle()
        self.conf = conf
        self.packets: list[Packet] = []
        self.cut: set[tuple[int, int]] = set()
        self.members: dict[int, Member] = {}
        self.on_sent: Callable[[Message], None] | None = None
        self._config = config or RaftConfig(1)
        self._seed = seed
        self._trace = trace
        self.oracle.on_conf(0, conf)
        for member_id in sorted({*conf.voters, *conf.voters_outgoing, *conf.learners, *conf.learners_next}):
            self.add_member(member_id)

    def add_member(self, member_id: int) -> Member:
        """A member with an empty disk, which knows the first configuration only."""
        config = replace(self._config, member_id=member_id)
        member = Member(config, self.conf, self.oracle, self._seed, self._trace)
        self.members[member_id] = member
        return member

    def up(self) -> list[Member]:
        """Members that run."""
        return [member for member in self.members.values() if member.node is not None]

    def act(self, member: Member) -> None:
        """Lets the oracle look at a member after something happened to it."""
        if member.node is not None:
            self.oracle.on_event(member, self.members)

    def take_ready(self, member: Member) -> Ready:
        """Takes one Ready; what may leave at once goes to the network."""
        ready, messages = member.take_ready()
        self._send(member, messages)
        self.act(member)
        return ready

    def make_durable(self, member: Member) -> None:
        """The oldest write becomes durable; what waited for it goes to the network."""
        self._send(member, member.make_durable())
        self.act(member)

    def deliver(self, packet: Packet) -> None:
        """Hands one packet to its receiver, unless the link or the receiver is down."""
        message = packet.message
        receiver = self.members.get(message.to)
        is_lost = (message.sender, message.to) in self.cut or receiver is None or receiver.node is None
        if not is_lost:
            assert receiver is not None
            if message.snapshot is not None and packet.history is not None:
                receiver.arrived[message.snapshot.index] = packet.history
            receiver.running.step(message)
            self.act(receiver)
        if message.kind == MessageKind.SNAPSHOT:
            self._report_snapshot(message, ok=not is_lost)

    def lose(self, packet: Packet) -> None:
        """Drops one packet."""
        if packet.message.kind == MessageKind.SNAPSHOT:
            self._report_snapshot(packet.message, ok=False)

    def settle(self, *, only: set[int] | None = None, limit: int = 10_000) -> None:
        """Runs everything there is to do, in order, until nothing is left."""
        for _ in range(limit):
            if not self._settle_once(only):
                return
        raise AssertionError("the cluster does not come to rest")

    def tick(self, count: int = 1) -> None:
        """Ticks every running member, settling after each tick."""
        for _ in range(count):
            for member in self.up():
                member.running.tick()
                self.act(member)
            self.settle()

    def leader(self) -> Member | None:
        """The running leader of the highest term."""
        leaders = [member for member in self.up() if member.running.leader_id == member.id]
        return max(leaders, key=lambda member: member.running.term, default=None)

    def elect(self, member_id: int) -> Member:
        """Makes a member lead."""
        member = self.members[member_id]
        member.running.campaign()
        self.settle()
        assert member.running.leader_id == member_id
        return member

    def propose(self, member_id: int, *datas: bytes) -> None:
        """Proposes at a member."""
        member = self.members[member_id]
        member.running.propose(datas)
        self.act(member)

    def change(self, member_id: int, change: ConfChange) -> None:
        """Proposes a change at a member."""
        member = self.members[member_id]
        member.running.propose_change(change)
        self.act(member)

    def read(self, member_id: int, context: bytes) -> bool:
        """Starts a read at a member."""
        self.oracle.on_read(context)
        return self.members[member_id].running.read_index(context)

    def isolate(self, member_id: int) -> None:
        """Cuts a member off in both directions."""
        for other in self.members:
            self.cut |= {(member_id, other), (other, member_id)}

    def heal(self) -> None:
        """Every link works again."""
        self.cut.clear()

    def _settle_once(self, only: set[int] | None) -> bool:
        busy = False
        for member in self.up():
            if only is not None and member.id not in only:
                continue
            while member.node is not None and (member.running.has_ready() or member.writes):
                busy = True
                if member.running.has_ready():
                    self.take_ready(member)
                while member.writes:
                    self.make_durable(member)
        packets, self.packets = self.packets, []
        for packet in packets:
            if only is not None and packet.message.to not in only:
                self.packets.append(packet)
                continue
            busy = True
            self.deliver(packet)
        return busy

    def _send(self, member: Member, messages: list[Message]) -> None:
        for message in messages:
            self.oracle.on_released(member, message)
            if self.on_sent is not None:
                self.on_sent(message)
            history = None
            if message.snapshot is not None:
                history = [one for one in member.history if one[0] <= message.snapshot.index]
            self.packets.append(Packet(message, history))

    def _report_snapshot(self, message: Message, *, ok: bool) -> None:
        sender = self.members[message.sender]
        if sender.node is not None:
            sender.node.report_snapshot(message.to, ok)
            self.act(sender)
