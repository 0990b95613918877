"""What failpoints do to a simulated member: it ends or stands still, in virtual time.

The table of what is switched on (`raftkv.failpoints`) is one for the whole process, the members are several: `is_meant` picks
the one. A place that sleeps on a thread holds the whole member here, because a simulated thread's job has no duration
inside; a thread that is slow alone is the fault `slow-disk`.
"""

from __future__ import annotations

from collections.abc import Callable

from jepsen_like.sim.cluster import SimulatedCluster, SimulatedMember
from jepsen_like.sim.process import LIFE, NOWHERE, Life
from raftkv.failpoints import FAILPOINTS, switch_off

LOOK_S = 0.01


class StoppedHereError(BaseException):
    """The process ended at this place: nothing of it runs any more, so nobody is told."""


class SimulatedEffects:
    """`raftkv.failpoints.Effects` of one simulated member. `power_share`: of the panics that are power cuts of its machine."""

    def __init__(self, member: SimulatedMember, *, power_share: float = 0.0) -> None:
        self.member = member
        self._power_share = power_share
        self._loop = member.cluster.loop
        self._random = self._loop.streams.get("places", member.host)

    def is_meant(self) -> bool:
        """Whether the code that runs is this member's present process."""
        life = LIFE.get()
        return life is not None and life is self.member.life and not life.over

    def sleep(self, duration_s: float) -> None:
        """The process stands still from the end of the present callback on."""
        life = self.member.life
        assert life is not None
        self.member.pause()
        self._loop.call_later(duration_s, self._go_on, life, context=NOWHERE)

    def pause(self, is_over: Callable[[], bool]) -> None:
        """As `sleep`, until the place is switched off."""
        life = self.member.life
        assert life is not None
        self.member.pause()
        self._look(life, is_over)

    def panic(self, name: str) -> None:
        """kill -9, here, or a power cut."""
        self.member.crash(power=self._power_share > 0.0 and self._random.random() < self._power_share)
        raise StoppedHereError(name)

    def draw(self) -> float:
        """From the member's own stream."""
        return self._random.random()

    def _look(self, life: Life, is_over: Callable[[], bool]) -> None:
        if is_over():
            self._go_on(life)
        elif not life.over:
            self._loop.call_later(LOOK_S, self._look, life, is_over, context=NOWHERE)

    def _go_on(self, life: Life) -> None:
        if self.member.life is life and not life.over:
            self.member.resume()


def is_taken(name: str, member: SimulatedMember) -> bool:
    """Whether the place is switched on in the member's own run; what a former run left behind counts for nothing."""
    found = FAILPOINTS.get(name)
    return found is not None and is_of(found.effects, member.cluster)


def all_off(cluster: SimulatedCluster) -> None:
    """Switches off whatever a run left behind."""
    for name in [name for name, found in FAILPOINTS.items() if is_of(found.effects, cluster)]:
        switch_off(name)


def is_of(effects: object, cluster: SimulatedCluster) -> bool:
    """Whether these are the effects of one of the cluster's members."""
    return isinstance(effects, SimulatedEffects) and effects.member.cluster is cluster
