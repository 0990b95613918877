"""Faults of processes: killed, stopped in order, paused, starved."""

from __future__ import annotations

import signal

from jepsen_like.cluster.member import MemberProcess
from jepsen_like.nemesis.fault import RECOVER_WITHIN_S, Fault

KILLED = 128 + signal.SIGKILL
TERMINATED = 128 + signal.SIGTERM


class Kill(Fault):
    """kill -9 of one member, a minority or a majority; started again at the end."""

    name = "kill"
    row = 1
    verified_by = "exit status 137, a refused connection, a new process after the heal"
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
        self.expect(not wrong, f"exit status {wrong or KILLED}")

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
