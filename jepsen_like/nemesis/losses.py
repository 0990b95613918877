"""Faults of power: what members had not synced is lost, or torn, and names that no directory sync covers come undone.

On traced files something is always at stake: the victims' log is held between a write and its sync when the power goes.
On loop devices a marker that was never synced shows that the disk forgot.
"""

from __future__ import annotations

import asyncio
from typing import ClassVar

from jepsen_like.cluster.cluster import Cluster
from jepsen_like.cluster.instrumented.traced_files import Loss
from jepsen_like.cluster.member import MemberProcess
from jepsen_like.cluster.power import LoopPower, TracedPower
from jepsen_like.nemesis.failing import Places
from jepsen_like.nemesis.fault import Fault

POWER = "power"
HELD_AT = "walBeforeSync"
HELD_WITHIN_S = 2.0


class PowerCut(Fault):
    """One member loses everything it had not synced."""

    name = "power-cut"
    row = 23
    hold_s = (0.0, 1.0)
    instruments = frozenset({POWER})
    verified_by = "unsynced bytes cut off, by the trace of its files; on ext4 an unsynced marker that is gone"
    state = "down"
    losses: ClassVar[tuple[Loss, ...]] = (Loss.ALL,)

    @classmethod
    def unavailable_because(cls, cluster: Cluster) -> str:
        """See Fault."""
        return "" if cluster.power is not None else "the members' disks cannot lose power"

    async def victims(self) -> list[MemberProcess]:
        """Whose power goes."""
        return [await self.pick_member()]

    async def apply(self) -> None:
        """See Fault."""
        victims = await self.victims()
        self.target(*victims)
        power = self.cluster.power
        assert power is not None
        self.requested = f"power cut of {', '.join(self.targets)}, {power.name}"
        if isinstance(power, TracedPower):
            await self._hold_syncs(victims)
            lost = power.take(victims, self.rng, self.losses)
            self.expect(lost.bytes > 0, f"{lost.bytes} unsynced bytes in {lost.files} files at stake, {lost.names} changes of names undone")
        else:
            text = power.cut(victims, self.rng)
            self.expect(not text.startswith("0 "), text)

    async def _hold_syncs(self, victims: list[MemberProcess]) -> None:
        """Returns when each of the victims has written something and waits before the sync of it, if that can be had."""
        if not self.cluster.has_failpoints:
            return
        places = [Places(member) for member in victims]
        for one in places:
            await one.switch_on(HELD_AT, "pause")
        loop = asyncio.get_running_loop()
        until_s = loop.time() + HELD_WITHIN_S
        while loop.time() < until_s and not all([await one.count(HELD_AT) for one in places]):
            await self.poke()

    async def verify(self) -> None:
        """See Fault; it was seen when it was done."""

    async def heal(self) -> None:
        """See Fault."""
        # A member that was not cut off may still wait where it was held.
        self.cluster.kill(*self.members())
        await self.restarted(self.members())


class TornWrite(PowerCut):
    """One member keeps any part of what it had not synced: a prefix that ends at any byte, or single sectors."""

    name = "torn-write"
    row = 22
    verified_by = "unsynced bytes at stake, by the trace of its files, of which a prefix or single sectors are left"
    losses = (Loss.TORN, Loss.SECTORS)

    @classmethod
    def unavailable_because(cls, cluster: Cluster) -> str:
        """See Fault."""
        return "" if isinstance(cluster.power, TracedPower) else "the members' files are not traced"


class LostNames(PowerCut):
    """One member's disk forgets a rename whose directory was not synced."""

    name = "lost-names"
    row = 24
    verified_by = "a file renamed without a sync of its directory that has its old name again"

    @classmethod
    def unavailable_because(cls, cluster: Cluster) -> str:
        """See Fault."""
        return (
            ""
            if isinstance(cluster.power, LoopPower)
            else "needs ext4 on a loop device: members sync names at once, so that others lose none"
        )

    async def apply(self) -> None:
        """See Fault."""
        victims = await self.victims()
        self.target(*victims)
        power = self.cluster.power
        assert isinstance(power, LoopPower)
        self.requested = f"power cut of {', '.join(self.targets)} after a rename"
        kept = power.cut_after_rename(victims, self.rng)
        self.expect(kept == 0, f"{len(victims) - kept} of {len(victims)} renames forgotten")


class PowerCutAll(PowerCut):
    """Every member loses power at once."""

    name = "power-cut-all"
    row = 33
    losses = tuple(Loss)

    async def victims(self) -> list[MemberProcess]:
        """See PowerCut."""
        return self.rng.sample(self.cluster.members, len(self.cluster.members))
