"""Faults of processes: killed, stopped in order, paused, starved."""

from __future__ import annotations

import asyncio
import os
import signal

from jepsen_like.cluster.member import MemberProcess
from jepsen_like.nemesis.fault import RECOVER_WITHIN_S, Fault

KILLED = 128 + signal.SIGKILL
TERMINATED = 128 + signal.SIGTERM

SLICE_S = 0.1
"""Of a starved member: shorter than a heartbeat's interval by default."""


class Kill(Fault):
    """kill -9 of one member, a minority or a majority; started again at the end."""

    name = "kill"
    row = 1
    verified_by = "exit status 137, and a question to each that stays without an answer"
    state = "down"

    async def apply(self) -> None:
        """See Fault."""
        size = len(self.cluster.members)
        count = self.rng.choice((1, 1, 1, max(1, (size - 1) // 2), size // 2 + 1))
        victims = [await self.pick_member()] if count == 1 else self.pick(count)
        self.target(*victims)
        self.requested = f"kill -9 of {', '.join(self.targets)}"
        self.cluster.kill(*victims)

    async def verify(self) -> None:
        """See Fault."""
        wrong = {member.name: member.status for member in self.members() if member.status != KILLED}
        heard = [member.name for member in self.members() if await self.answers(member.place.admin)]
        self.expect(not wrong and not heard, f"exit status {wrong or KILLED}, {' '.join(heard) or 'nobody'} answers")

    async def heal(self) -> None:
        """See Fault."""
        await self.restarted(self.members())


class KillAll(Kill):
    """kill -9 of every member at once."""

    name = "kill-all"

    async def apply(self) -> None:
        """See Fault."""
        self.target(*self.cluster.members)
        self.requested = "kill -9 of all"
        self.cluster.kill()


class RollingRestart(Fault):
    """Every member is stopped in order and started again, one after the other."""

    name = "restart-rolling"
    row = 2
    hold_s = (0.0, 0.0)
    verified_by = "each ends by SIGTERM in order (143), and answers a linearizable read before the next goes"

    async def apply(self) -> None:
        """See Fault."""
        members = self.rng.sample(self.cluster.members, len(self.cluster.members))
        self.target(*members)
        self.requested = f"SIGTERM and start of {', '.join(self.targets)} in turn"
        for member in members:
            await self._restart(member)

    async def _restart(self, member: MemberProcess) -> None:
        self.cluster.terminate(member)
        status = await self.cluster.wait_ended(member, RECOVER_WITHIN_S)
        self.cluster.start(member)
        await self.cluster.wait_healthy(member, within_s=RECOVER_WITHIN_S)
        # The control's servers end with status 0 after some signals.
        if status in (TERMINATED, 0):
            self.saw(f"{member.name} ended with {status} and came back")

    async def verify(self) -> None:
        """See Fault."""
        seen = self.effect.count("came back")
        if seen != len(self.targets):
            self.missed(f"{seen} of {len(self.targets)} members ended in order")

    async def heal(self) -> None:
        """See Fault."""
        await self.restarted(self.members())


class Pause(Fault):
    """SIGSTOP of one member or two together."""

    name = "pause"
    row = 3
    hold_s = (0.01, 3.0)
    verified_by = "the kernel's state T, and processor time that stands still"
    state = "paused"

    def _count(self) -> int:
        return self.rng.choice((1, 1, 2))

    async def apply(self) -> None:
        """See Fault."""
        count = self._count()
        victims = [await self.pick_member()] if count == 1 else self.pick(count)
        self.target(*victims)
        self.requested = f"SIGSTOP of {', '.join(self.targets)}"
        self.cluster.pause(*victims)
        await self.cluster.until(lambda: all(member.paused for member in victims), "the kernel stops them", 5.0)
        self._ticks = {member.name: member.cpu_ticks for member in victims}

    async def verify(self) -> None:
        """See Fault."""
        states = {member.name: member.state for member in self.members()}
        ran = {member.name: member.cpu_ticks - self._ticks[member.name] for member in self.members()}
        self.expect(set(states.values()) == {"T"} and not any(ran.values()), f"states {states}, processor ticks {ran}")

    async def heal(self) -> None:
        """See Fault."""
        self.cluster.resume(*self.members())


class PauseAll(Pause):
    """SIGSTOP of every member: on waking, all timers are due at once."""

    name = "pause-all"

    def _count(self) -> int:
        return len(self.cluster.members)


class Starve(Fault):
    """One member gets a fraction of a processor: it is stopped for most of every slice."""

    name = "starve"
    row = 32
    hold_s = (1.0, 4.0)
    verified_by = "slices in which the kernel had it stopped, and the processor time it got"
    state = "slow"

    async def apply(self) -> None:
        """See Fault."""
        member = await self.pick_member()
        self.target(member)
        self._share = self.rng.choice((0.05, 0.1, 0.3))
        self._slices = self._stopped = 0
        self.requested = f"{member.name} runs {100 * self._share:.0f} % of every {SLICE_S * 1000:.0f} ms"
        self._ticks = member.cpu_ticks

    async def hold(self, seconds: float) -> None:
        """See Fault."""
        (member,) = self.members()
        loop = asyncio.get_running_loop()
        until_s = loop.time() + seconds
        while loop.time() < until_s:
            self.cluster.pause(member)
            await asyncio.sleep(SLICE_S * (1 - self._share))
            self._slices += 1
            self._stopped += member.paused
            self.cluster.resume(member)
            await asyncio.sleep(SLICE_S * self._share)

    async def verify(self) -> None:
        """See Fault."""
        (member,) = self.members()
        got_ms = (member.cpu_ticks - self._ticks) * 1000 // os.sysconf("SC_CLK_TCK")
        seen = 0 < self._slices == self._stopped
        self.expect(seen, f"stopped in {self._stopped} of {self._slices} slices, {got_ms} ms of processor time")

    async def heal(self) -> None:
        """See Fault."""
        self.cluster.resume(*self.members())
