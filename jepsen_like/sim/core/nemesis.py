"""The faults of a scenario, put into force and taken back: crashes, power cuts, pauses, disks, links, clocks, changes.

Each kind is one function that begins it and names what ends it; whom it meets is decided when it begins, because only
then is it known who leads. Counts what really happened, by family.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from jepsen_like.sim.core.scenario import EVERYBODY, LEADER, Fault
from jepsen_like.sim.reached import reached
from jepsen_like.sim.streams import stream
from raftkv.errors import RaftKVError
from raftkv.raft.confchange import ChangeKind, ChangeStep, ConfChange, Transition

if TYPE_CHECKING:
    from jepsen_like.sim.core.member import Member
    from jepsen_like.sim.core.simulation import Simulation

_End = Callable[[], None]
FLAPS_MS = (50, 500)
"""How long a flapping cut lasts or pauses."""
MEMBERS_MAX = 9
"""Changes add no member beyond this."""


class Nemesis:
    """Invariant: `active` is the number of faults that began and have not ended."""

    def __init__(self, world: Simulation) -> None:
        self.world = world
        self.active = 0
        self.begun = 0
        self.counts: Counter[str] = Counter()
        """Faults begun, by kind."""

        self.weather: Counter[str] = Counter()
        """What came of them."""

        self._random = stream(world.scenario.seed, "nemesis")
        self._ends: dict[int, _End] = {}
        self._kinds: dict[str, Callable[[int, Fault, list[Member]], _End | None]] = {
            "crash": self._crash,
            "power_cut": self._power_cut,
            "pause": self._pause,
            "slow_disk": self._slow_disk,
            "disk_error": self._disk_error,
            "skew": self._skew,
            "isolate": self._isolate,
            "one_way": self._one_way,
            "ring": self._ring,
            "bridge": self._bridge,
            "flapping": self._flapping,
            "slow_network": self._slow_network,
            "lossy": self._lossy,
            "replay": self._replay,
            "transfer": self._transfer,
            "campaign": self._campaign,
            "snapshot": self._snapshot,
            "change": self._change,
        }

    def begin(self, number: int) -> None:
        """The fault of that number begins."""
        fault = self.world.scenario.faults[number]
        end = self._kinds[fault.kind](number, fault, self._met(fault.members))
        self.begun += 1
        self.counts[fault.kind] += 1
        if end is not None:
            self.active += 1
            self._ends[number] = end
            self.world.after(fault.for_ms * 1000, "fault_end", number)

    def end(self, number: int) -> None:
        """It ends, if it has not already."""
        end = self._ends.pop(number, None)
        if end is not None:
            self.active -= 1
            end()

    def end_all(self) -> None:
        """Every fault ends now."""
        for number in list(self._ends):
            self.end(number)

    def _met(self, ids: tuple[int, ...]) -> list[Member]:
        world = self.world
        if ids == EVERYBODY:
            return list(world.members.values())
        leader = world.leader()
        found = [leader if one == LEADER else world.members.get(one) for one in ids]
        return [member for member in dict.fromkeys(found) if member is not None]

    def _crash(self, _: int, __: Fault, members: list[Member]) -> _End:
        return self._down(members, power=False)

    def _power_cut(self, _: int, __: Fault, members: list[Member]) -> _End:
        if len(members) == len(self.world.members):
            reached("power_cut_of_all")
        return self._down(members, power=True)

    def _down(self, members: list[Member], *, power: bool) -> _End:
        stopped = [member for member in members if member.node is not None]
        for member in stopped:
            self.world.stop(member, power=power)

        def end() -> None:
            for member in stopped:
                self.world.restart(member)

        return end

    def _pause(self, _: int, __: Fault, members: list[Member]) -> _End:
        epochs = [(member, member.epoch) for member in members if member.node is not None]
        for member, _epoch in epochs:
            member.paused = True

        def end() -> None:
            for member, epoch in epochs:
                if member.epoch == epoch and member.node is not None:
                    self.world.resume(member)

        return end

    def _slow_disk(self, _: int, fault: Fault, members: list[Member]) -> _End:
        for member in members:
            member.disk.slow_us = int(fault.amount * 1000)

        def end() -> None:
            for member in members:
                member.disk.slow_us = 0

        return end

    def _disk_error(self, _: int, __: Fault, members: list[Member]) -> _End:
        for member in members:
            member.disk.error_due = True

        def end() -> None:
            for member in members:
                member.disk.error_due = False
                self.world.restart(member)

        return end

    def _skew(self, _: int, fault: Fault, members: list[Member]) -> _End:
        tick_us = self.world.scenario.tick_ms * 1000
        for member in members:
            member.tick_us = max(1000, int(tick_us * fault.amount))

        def end() -> None:
            for member in members:
                member.tick_us = tick_us

        return end

    def _cut(self, number: int, links: Iterator[tuple[int, int]] | set[tuple[int, int]]) -> _End:
        self.world.set_cut(number, links)
        return lambda: self.world.set_cut(number, ())

    def _isolate(self, number: int, _: Fault, members: list[Member]) -> _End:
        return self._cut(number, self._around(members))

    def _around(self, members: list[Member]) -> set[tuple[int, int]]:
        inside = {member.id for member in members}
        outside = set(self.world.members) - inside
        return {link for one in inside for other in outside for link in ((one, other), (other, one))}

    def _one_way(self, number: int, fault: Fault, members: list[Member]) -> _End:
        """With amount 1 they hear nothing, with 0 nobody hears them."""
        inside = {member.id for member in members}
        links = {link for link in self._around(members) if (link[1] in inside) == bool(fault.amount)}
        return self._cut(number, links)

    def _ring(self, number: int, _: Fault, __: list[Member]) -> _End:
        """Everybody reaches a majority, no two the same."""
        ids = sorted(self.world.members)
        reach = len(ids) // 4 + 1
        near = {(ids[at], ids[(at + step) % len(ids)]) for at in range(len(ids)) for step in range(-reach, reach + 1)}
        return self._cut(number, {(one, other) for one in ids for other in ids if (one, other) not in near})

    def _bridge(self, number: int, _: Fault, members: list[Member]) -> _End:
        """Two halves that only one member connects."""
        ids = [member.id for member in members] + sorted(set(self.world.members) - {member.id for member in members})
        middle = len(ids) // 2
        left, right = ids[:middle], ids[middle + 1 :]
        return self._cut(number, {link for one in left for other in right for link in ((one, other), (other, one))})

    def _flapping(self, number: int, fault: Fault, members: list[Member]) -> _End:
        links = self._around(members)
        self.world.flap(number, links)

        def end() -> None:
            self.world.set_cut(number, ())

        return end

    def is_active(self, number: int) -> bool:
        """Whether the fault of that number is in force."""
        return number in self._ends

    def next_flap_us(self) -> int:
        """How long a flapping cut stays as it is."""
        return self._random.randint(*FLAPS_MS) * 1000

    def _slow_network(self, _: int, fault: Fault, __: list[Member]) -> _End:
        network = self.world.network
        network.worsen(slow_us=int(fault.amount * 1000))

        def end() -> None:
            network.worsen(slow_us=-int(fault.amount * 1000))

        return end

    def _lossy(self, _: int, fault: Fault, __: list[Member]) -> _End:
        network = self.world.network
        network.worsen(loss=fault.amount)

        def end() -> None:
            network.worsen(loss=-fault.amount)

        return end

    def _replay(self, _: int, __: Fault, ___: list[Member]) -> None:
        self.world.replay_old(count=20)

    def _transfer(self, _: int, fault: Fault, members: list[Member]) -> None:
        leader = self.world.leader()
        for member in members:
            asked = leader if leader is not None and fault.amount < 0.7 else member
            if asked.node is not None and not asked.paused:
                if asked.node.transfer_leader(member.id):
                    reached("transfer_asked")
                self.world.arm(asked)

    def _campaign(self, _: int, __: Fault, members: list[Member]) -> None:
        for member in members:
            if member.node is not None and not member.paused:
                member.node.campaign()
                self.world.arm(member)

    def _snapshot(self, _: int, __: Fault, members: list[Member]) -> None:
        for member in members:
            if member.node is not None and not member.paused:
                member.cut_log(keep=0)

    def _change(self, _: int, fault: Fault, __: list[Member]) -> None:
        leader = self.world.leader()
        if leader is None or leader.node is None or leader.paused:
            return
        conf = leader.node.conf_state
        pick = fault.members[0] if fault.members else 1
        change = self._new_change(pick, fault.amount, voters=conf.voters, learners=conf.learners)
        if change is None:
            return
        asked = leader
        if fault.amount % 1 > 0.8:
            others = [member for member in self.world.running() if not member.paused]
            asked = others[pick % len(others)] if others else leader
        assert asked.node is not None
        try:
            asked.node.propose_change(change)
            self.weather["change proposed"] += 1
        except RaftKVError:
            reached("change_refused")
        self.world.arm(asked)

    def _new_change(self, pick: int, amount: float, *, voters: tuple[int, ...], learners: tuple[int, ...]) -> ConfChange | None:
        """The whole part of the amount chooses what changes; pick chooses whom."""
        what = int(amount) % 6
        room = len(self.world.members) - len(self.world.retired) < MEMBERS_MAX
        voter = voters[pick % len(voters)]
        if what == 0 and room:
            return ConfChange((ChangeStep(ChangeKind.ADD_LEARNER, self.world.join().id),))
        if what == 1 and learners:
            return ConfChange((ChangeStep(ChangeKind.ADD_VOTER, learners[pick % len(learners)]),))
        if what == 2 and room:
            return ConfChange((ChangeStep(ChangeKind.ADD_VOTER, self.world.join().id),))
        if what == 3 and len(voters) > 1:
            return ConfChange((ChangeStep(ChangeKind.REMOVE, voter),))
        if what == 4 and len(voters) > 1:
            return ConfChange((ChangeStep(ChangeKind.ADD_LEARNER, voter),), Transition.JOINT_IMPLICIT)
        if what == 5 and room and len(voters) > 1:
            steps = (ChangeStep(ChangeKind.REMOVE, voter), ChangeStep(ChangeKind.ADD_VOTER, self.world.join().id))
            return ConfChange(steps, Transition.JOINT_IMPLICIT if pick % 2 else Transition.AUTO)
        return None


KINDS = (
    "crash",
    "power_cut",
    "pause",
    "slow_disk",
    "disk_error",
    "skew",
    "isolate",
    "one_way",
    "ring",
    "bridge",
    "flapping",
    "slow_network",
    "lossy",
    "replay",
    "transfer",
    "campaign",
    "snapshot",
    "change",
)
"""What a fault can be."""
