"""The last part of a run: faults end, first for a quorum alone, then for everybody, and the cluster must come back in time.

A core of members that can decide is made whole while the others stay down, cut off, deaf or mute; a write called after
that must succeed within the bound (the core need not have been quiet before). Then everybody is made whole, and all
members of the configuration must come to stand at one point with one state.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from jepsen_like.sim.core.invariants import InvariantError, is_quorum
from jepsen_like.sim.streams import stream
from raftkv.raft.messages import ConfState, EntryKind

if TYPE_CHECKING:
    from jepsen_like.sim.core.member import Member
    from jepsen_like.sim.core.simulation import Simulation

CORE_HEALS_AT = 0.8
"""Part of a run's time after which a core is made whole."""
ALL_HEAL_AT = 0.9
"""Part of a run's time before which those outside the core stay as they are: cut off, they stand for elections."""
BOUND_TIMEOUTS = 20
"""Election timeouts within which a whole core must have done a write; of 100 seeds two need more than three."""
_LOOK_US = 100_000
_LEFT = -2
"""The number under which the network knows the cut of this phase."""


class Recovery:
    """Invariant: `stage` only grows: 0 faults, 1 a core is whole, 2 everybody is."""

    def __init__(self, world: Simulation) -> None:
        self.world = world
        self.stage = 0
        self.begins_us = int(world.scenario.virtual_s * 1_000_000 * CORE_HEALS_AT)
        self.core: tuple[int, ...] = ()
        self.left = ""
        """How those outside the core were left."""
        self.core_timeouts = 0.0
        """Election timeouts from the core's healing to its first write."""
        self.all_timeouts = 0.0
        """Election timeouts from everybody's healing until all stood at one point."""
        self._since_us = 0
        self._goal = 0
        self._random = stream(world.scenario.seed, "recovery")

    @property
    def has_begun(self) -> bool:
        """Whether faults have ended."""
        return self.stage > 0

    def step(self) -> None:
        """Look whether the present stage is over; fail when it takes too long."""
        world = self.world
        if self.stage == 0:
            self._heal_core()
        elif self.stage == 1 and world.load.last_put_us >= self._since_us:
            if not self.core_timeouts:
                self.core_timeouts = self._timeouts()
            if world.now_us >= world.scenario.virtual_s * 1_000_000 * ALL_HEAL_AT:
                self._heal_all()
        elif self.stage == 2 and self._is_together():
            if not self.all_timeouts:
                self.all_timeouts = self._timeouts()
            if world.now_us >= world.scenario.virtual_s * 1_000_000:
                world.finished = True
                return
            # What follows is a calm run to the end; the members must still be together then.
            self._since_us = int(world.scenario.virtual_s * 1_000_000)
            world.after(max(_LOOK_US, self._since_us - world.now_us), "phase", 0)
            return
        elif self._timeouts() > BOUND_TIMEOUTS:
            raise InvariantError("progress after the faults ended", self._describe())
        world.after(_LOOK_US, "phase", 0)

    def _timeouts(self) -> float:
        scenario = self.world.scenario
        return (self.world.now_us - self._since_us) / (scenario.election_ticks * scenario.tick_ms * 1000)

    def _heal_core(self) -> None:
        world = self.world
        self.stage = 1
        world.nemesis.end_all()
        world.network.calm()
        self._retire_removed()
        core = self._choose_core()
        self.core = tuple(member.id for member in core)
        others = [member for member in world.members.values() if member not in core and member.id not in world.retired]
        scenario = world.scenario
        choices = ["down", "cut", "mute"] + (["deaf"] if scenario.pre_vote and scenario.check_quorum else [])
        self.left = self._random.choice(choices) if others else "nobody"
        outside = {member.id for member in others}
        inside = set(self.core)
        links = set()
        if self.left in ("cut", "deaf"):
            links |= {(one, other) for one in inside for other in outside}
        if self.left in ("cut", "mute"):
            links |= {(one, other) for one in outside for other in inside}
        world.set_cut(_LEFT, links)
        for member in others:
            if member.node is not None and self.left == "down":
                world.stop(member, power=True)
        for member in core:
            world.restart(member)
        self._since_us = world.now_us

    def _heal_all(self) -> None:
        world = self.world
        self.stage = 2
        world.set_cut(_LEFT, ())
        for member in list(world.members.values()):
            world.restart(member)
        self._since_us = world.now_us
        self._goal = world.invariants.commit

    def _is_together(self) -> bool:
        """All members of the configuration have applied the goal; where two stand at one index they hold the same."""
        world = self.world
        self._retire_removed()
        conf = world.invariants.newest_conf
        members = [world.members[one] for one in sorted({*conf.voters, *conf.learners})]
        if conf.voters_outgoing or any(member.node is None or member.store.applied < self._goal for member in members):
            return False
        states: dict[int, tuple[object, ...]] = {}
        for member in members:
            store = member.store
            state = (store.digest, store.revision, store.items)
            if states.setdefault(store.applied, state) != state:
                raise InvariantError("same log, same state", f"member {member.id} at {store.applied}")
        return True

    def _retire_removed(self) -> None:
        """Members that a change removed are stopped by their operator; a leaver that never learned of it is one, too."""
        world = self.world
        present = ids_of(world.invariants.newest_conf)
        once = {one for conf in world.invariants.confs.values() for one in ids_of(conf)}
        for one in sorted(once - present):
            if one in world.members:
                world.retire(world.members[one])

    def _choose_core(self) -> list[Member]:
        """A smallest set, by a random order of leaving, that is a quorum of every configuration any member may act upon."""
        world = self.world
        members = [member for member in world.members.values() if member.id not in world.retired]
        confs = [world.invariants.newest_conf]
        for member in members:
            conf = member.store.conf if member.node is not None else member.saved.conf
            confs.append(conf)
            if self._has_unapplied_change(member):
                return members
        core = {member.id for member in members}
        order = sorted(core)
        self._random.shuffle(order)
        for one in order:
            without = core - {one}
            if all(is_quorum(conf, without) for conf in confs if conf.voters):
                core = without
        return [member for member in members if member.id in core]

    def _has_unapplied_change(self, member: Member) -> bool:
        storage = member.storage
        applied = member.store.applied if member.node is not None else member.saved.index
        last = member.log.last_index if member.node is not None else storage.last_index()
        if member.node is not None:
            return member.log.find_change(max(applied + 1, member.log.first_index), last + 1) > 0
        low = max(applied + 1, storage.first_index())
        return any(entry.kind == EntryKind.CONF_CHANGE for entry in (storage.entries(low, last + 1, 1 << 60) if low <= last else ()))

    def _describe(self) -> str:
        world = self.world
        lines = [
            f"stage {self.stage} since {self._since_us / 1e6:.3f} s, core {self.core}, others {self.left}, goal {self._goal},"
            f" configuration {world.invariants.newest_conf}"
        ]
        for member in world.members.values():
            if member.node is None:
                lines.append(f"member {member.id}: down" + (", removed" if member.id in world.retired else ""))
            else:
                lines.append(member.node.describe())
        return "\n".join(lines)


def ids_of(conf: ConfState) -> set[int]:
    """Every member of a configuration."""
    return {*conf.voters, *conf.voters_outgoing, *conf.learners, *conf.learners_next}
