"""One run: members, network, clients and faults on a heap of events in virtual time.

There is no asyncio and no wall clock here: events come by their time and then by their number (`events.py`), and everything
random comes from the scenario's seed. Hot path: a run of a minute is a hundred thousand events.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from heapq import heappop
from typing import Any

from jepsen_like.sim.core.events import BURST, DELIVER, FAULT, FAULT_END, FLAP, PHASE, REPLAY, RETIRE, SYNCED, TICK, TURN, Events
from jepsen_like.sim.core.invariants import Invariants
from jepsen_like.sim.core.load import Load
from jepsen_like.sim.core.member import Member
from jepsen_like.sim.core.nemesis import Nemesis
from jepsen_like.sim.core.network import Network, Transfer
from jepsen_like.sim.core.operations import Operation
from jepsen_like.sim.core.points import on_changed, on_trace, on_truncated
from jepsen_like.sim.core.recovery import Recovery, ids_of
from jepsen_like.sim.core.scenario import Scenario
from jepsen_like.sim.core.trace import FLUSH_AT, TraceHash
from jepsen_like.sim.reached import reached
from jepsen_like.sim.streams import stream
from raftkv.raft.messages import ConfState, Message, Role, SnapshotMeta
from raftkv.raft.trace import TraceEvent, TraceKind

_LEADER = Role.LEADER
RETIRE_US = 500_000
"""A member that learned of its removal runs on for so long."""


class Simulation:
    """Invariants: 1. the time never goes back; 2. nothing happens to a member that is down, whatever is still on its way."""

    def __init__(self, scenario: Scenario, *, keep_trace: bool = False) -> None:
        self.scenario = scenario
        self.now_us = 0
        self.trace = TraceHash(keep=keep_trace)
        self.members: dict[int, Member] = {}
        self.retired: set[int] = set()
        voters = tuple(range(1, scenario.voters + 1))
        self.conf = ConfState(voters, tuple(range(scenario.voters + 1, scenario.voters + 1 + scenario.learners)))
        self.invariants = Invariants(self.members, self.conf)
        self.events = Events()
        self.network = Network(scenario, self.events)
        self.load = Load(scenario)
        self.nemesis = Nemesis(self)
        self.recovery = Recovery(self)
        self.finished = False
        self._turn_us = scenario.turn_us
        self._random = stream(scenario.seed, "simulation")
        self._survival = stream(scenario.seed, "survival")
        self._next_id = 1
        for _ in range(scenario.voters + scenario.learners):
            self.join()
        for number, fault in enumerate(scenario.faults):
            self.events.push(fault.at_ms * 1000, FAULT, number)
        self.events.push(self.load.next_gap_us(), BURST, 0)
        self.after(self.recovery.begins_us, "phase", 0)

    # What happens next.

    def run(self) -> None:
        """Run to the end. Raises InvariantError, and whatever consensus raises."""
        events, members, network = self.events, self.members, self.network
        heap, turns = events.heap, events.turns
        turn_us = self._turn_us
        numbers, flush = self.trace.numbers, self.trace.flush
        others: dict[int, Callable[[int, Any], None]] = {
            SYNCED: self._on_synced,
            BURST: self._on_burst,
            FAULT: self._on_fault,
            FAULT_END: self._on_fault_end,
            FLAP: self._on_flap,
            RETIRE: self._on_retire,
            PHASE: self._on_phase,
            REPLAY: self._on_replay,
        }
        while True:
            if turns and turns[0] < heap[0]:
                now, _, member, epoch = turns.popleft()
                self.now_us = now
                if epoch == member.epoch:
                    member.turn()
                    numbers += (now, member.id << 4 | TURN, (member.log.commit << 32) + member.store.digest)
                continue
            now, _, kind, subject, what, more = heappop(heap)
            self.now_us = now
            if kind == DELIVER:
                numbers += (now, subject << 4, what[0] + (what[3] << 8) + (what[5] << 32))
                member = members.get(subject)
                if (network.cut and (what.sender, subject) in network.cut) or member is None or member.node is None:
                    self._on_lost(what, more, member)
                    continue
                member.inbox.append(what)
                if more is not None:
                    self._on_state(member, what, more)
                if not member.armed:
                    # As `arm` does it, which would cost as much as the rest of the event.
                    member.armed = True
                    events.number = number = events.number + 1
                    turns.append((now + turn_us, number, member, member.epoch))
            elif kind == TICK:
                member = members[subject]
                if what == member.epoch and member.node is not None:
                    self._on_tick(member)
            else:
                numbers += (now, subject << 4 | kind, self.load.ok)
                others[kind](subject, what)
                if len(numbers) >= FLUSH_AT:
                    flush()
                if self.finished:
                    return

    def close(self) -> None:
        """Let go of what refers back to this run, so that all of it is freed at once and not when garbage is looked for."""
        self.members.clear()
        self.events.turns.clear()
        del self.nemesis.world, self.recovery.world

    def after(self, delay_us: int, what: str, subject: int) -> None:
        """Have something happen later: `phase`, `fault_end`."""
        self.events.push(self.now_us + delay_us, PHASE if what == "phase" else FAULT_END, subject)

    # What members ask for.

    def arm(self, member: Member) -> None:
        """Have the member take a turn soon."""
        if not member.armed and member.node is not None:
            member.armed = True
            self.events.turn(self.now_us + self._turn_us, member)

    def send(self, member: Member, messages: tuple[Message, ...]) -> None:
        """Messages leave."""
        if not self.invariants.on_released(member, messages):
            self.network.send(member.id, messages, None, self.now_us)
            return
        for message in messages:
            if message.snapshot is not None:
                self._send_state(member, message, message.snapshot)
            else:
                self.network.send(member.id, (message,), None, self.now_us)

    def _send_state(self, member: Member, message: Message, snapshot: SnapshotMeta) -> None:
        checkpoint = member.states.get(snapshot.index)
        if checkpoint is None:
            member.outcomes.append((message.to, False))
            return
        transfer = Transfer(checkpoint, member.epoch)
        if not self.network.send(member.id, (message,), transfer, self.now_us):
            self._tell(message, transfer, ok=False)

    def done(self, operation: Operation, outcome: int) -> None:
        """A call ended."""
        # What is left broken while a core heals is no fault of the run's: it would be one in every run.
        self.load.done(operation, outcome, self.now_us, operation.faults if self.recovery.has_begun else self._fault_clock())

    def changed(self, member: Member, before: ConfState, after: ConfState) -> None:
        """A member put a configuration in force."""
        on_changed(member, before, after)
        # A member that joins replays configurations it is not in yet.
        if member.id in ids_of(before) and member.id not in ids_of(after):
            self.events.push(self.now_us + RETIRE_US, RETIRE, member.id)

    # What faults do.

    def running(self) -> list[Member]:
        """Members that are up."""
        return [member for member in self.members.values() if member.node is not None]

    def leader(self) -> Member | None:
        """The running leader of the highest term."""
        leaders = [member for member in self.running() if member.core.role is _LEADER]
        return max(leaders, key=lambda member: member.core.term, default=None)

    def join(self) -> Member:
        """A new member with an empty disk, which knows the first configuration only."""
        member_id = self._next_id
        self._next_id += 1
        seed = self.scenario.seed
        member = Member(
            member_id,
            self.conf,
            self.scenario,
            self,
            self.invariants,
            random=stream(seed, "member", member_id),
            start_sync=lambda took_us: self.events.push(self.now_us + took_us, SYNCED, member_id, self.members[member_id].epoch),
            disk_random=stream(seed, "disk", member_id),
            trace=self._on_trace,
        )
        self.members[member_id] = member
        self.events.push(self.now_us + self._random.randrange(member.tick_us), TICK, member_id, member.epoch)
        return member

    def stop(self, member: Member, *, power: bool) -> None:
        """The member ends without a word."""
        if member.core.role is _LEADER:
            reached("leader_crashed")
        lost = member.stop(power=power, survival=self._survival)
        if lost:
            reached("writes_lost_in_crash")

    def restart(self, member: Member) -> None:
        """A member that is down starts again."""
        if member.node is None and member.id not in self.retired:
            member.start()
            self.events.push(self.now_us + self._random.randrange(member.tick_us), TICK, member.id, member.epoch)
            self.arm(member)

    def resume(self, member: Member) -> None:
        """A paused member goes on: what came meanwhile is there at once, and of the missed ticks one, or all."""
        member.paused = False
        ticks, member.missed_ticks = member.missed_ticks, 0
        if ticks and self._random.random() < 0.5:
            ticks = 1
        if self._random.random() < 0.5:
            member.ticks += ticks
        else:
            reached("ticks_before_messages_after_a_pause")
            for _ in range(ticks):
                member.tick()
        if member.sync_missed:
            member.sync_missed = False
            member.on_synced()
        self.arm(member)

    def set_cut(self, number: int, links: Iterable[tuple[int, int]]) -> None:
        """A fault cuts these links; what waited at one that is whole again goes on."""
        for message, transfer in self.network.set_cut(number, links):
            reached("held_message_released")
            self.events.push(self.now_us + 1 + self._random.randrange(5_000), DELIVER, message.to, message, transfer)

    def flap(self, number: int, links: set[tuple[int, int]]) -> None:
        """A cut that comes and goes."""
        self.set_cut(number, links)
        self.events.push(self.now_us + self.nemesis.next_flap_us(), FLAP, number, links)

    def replay_old(self, count: int) -> None:
        """Old messages come again."""
        for _ in range(count):
            old = self.network.take_old()
            if old is None:
                return
            self.events.push(self.now_us + 1 + self._random.randrange(5_000), DELIVER, old[0].to, *old)
            self.network.hits += 1
            newest = self.members.get(old[0].to)
            if newest is not None and newest.core.term > old[0].term:
                reached("message_of_an_older_term_came_again")

    # Events.

    def _fault_clock(self) -> int:
        """Changes with every fault, and is never the same while one is in force."""
        if self.nemesis.active:
            return -1
        return self.network.hits + self.nemesis.begun

    def _on_trace(self, event: TraceEvent) -> None:
        on_trace(event)
        if event.kind is TraceKind.LOG_TRUNCATED:
            on_truncated(self.members[event.member_id])

    def _on_tick(self, member: Member) -> None:
        if member.paused:
            member.missed_ticks += 1
        elif member.tick():
            self.arm(member)
        self.events.push(self.now_us + member.tick_us, TICK, member.id, member.epoch)

    def _on_synced(self, member_id: int, epoch: int) -> None:
        member = self.members[member_id]
        if epoch != member.epoch or member.node is None:
            return
        if member.disk.error_due:
            reached("sync_failed")
            self.nemesis.weather["disk error met"] += 1
            self.stop(member, power=False)
        elif member.paused:
            member.sync_missed = True
        else:
            member.on_synced()
            self.arm(member)

    def _on_burst(self, _: int, __: int) -> None:
        faults = self._fault_clock()
        self.load.expire(self.now_us, faults)
        # Clients keep to whoever takes itself for the leader, one that was deposed and does not know it included.
        running, leaders = [], []
        for member in self.members.values():
            if member.node is not None:
                running.append(member)
                if member.core.role is _LEADER:
                    leaders.append(member)
        called = self.load.call(running, leaders, self.now_us, max(faults, 0))
        if called is not None:
            self.arm(called)
        self.events.push(self.now_us + self.load.next_gap_us(), BURST, 0)

    def _on_fault(self, number: int, _: int) -> None:
        if not self.recovery.has_begun:
            self.nemesis.begin(number)

    def _on_fault_end(self, number: int, _: int) -> None:
        self.nemesis.end(number)

    def _on_flap(self, number: int, links: set[tuple[int, int]]) -> None:
        if self.nemesis.is_active(number):
            self.set_cut(number, () if self.network.cuts.get(number) else links)
            self.events.push(self.now_us + self.nemesis.next_flap_us(), FLAP, number, links)

    def _on_retire(self, member_id: int, _: int) -> None:
        self.retire(self.members[member_id])

    def retire(self, member: Member) -> None:
        """A member that was removed ends for good."""
        if member.id not in self.retired:
            self.retired.add(member.id)
            if member.node is not None:
                self.stop(member, power=False)

    def _on_phase(self, _: int, __: int) -> None:
        self.recovery.step()

    def _on_replay(self, _: int, __: int) -> None:
        self.replay_old(count=1)

    def _on_state(self, member: Member, message: Message, transfer: Transfer) -> None:
        assert message.snapshot is not None
        member.arrived[message.snapshot.index] = transfer.checkpoint
        self._tell(message, transfer, ok=True)

    def _on_lost(self, message: Message, transfer: Transfer | None, receiver: Member | None) -> None:
        if not self.recovery.has_begun:
            self.network.hits += 1
        is_cut = receiver is not None and receiver.node is not None
        if is_cut and self.network.at_cut(message, transfer):
            return
        if transfer is not None:
            self._tell(message, transfer, ok=False)
        elif self._random.random() < 0.1:
            sender = self.members[message.sender]
            if sender.node is not None:
                sender.outcomes.append((message.to, None))

    def _tell(self, message: Message, transfer: Transfer, *, ok: bool) -> None:
        if transfer.told:
            return
        transfer.told = True
        sender = self.members[message.sender]
        if sender.node is not None and sender.epoch == transfer.epoch:
            sender.outcomes.append((message.to, ok))
            self.arm(sender)

    def fault_counts(self) -> dict[str, int]:
        """The faults that were injected, by kind."""
        return dict(self.nemesis.counts)

    def weather_counts(self) -> dict[str, int]:
        """What came of them, and of a network that is never quite good."""
        counts: Counter[str] = Counter(self.nemesis.weather)
        if self.network.hits:
            counts["messages"] = self.network.hits
        return dict(counts)
