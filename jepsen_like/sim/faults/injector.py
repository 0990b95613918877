"""Runs a scenario's faults, each in its time, and writes each down with the effect that was seen.

Owns which ends of processes were to be expected, and the state everything is brought back to at the end; who may take which
process down is in `turns`. A fault that means nothing at its moment waits for a better one, for some seconds: until a process
runs that it can be done to, until there is a leader, until its effect shows. What a fault does is in `processes`, `links` and `disks`.
"""

from __future__ import annotations

import asyncio
import math
import random
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from jepsen_like.ledger import FaultRecord
from jepsen_like.sim.cluster import SimulatedCluster, SimulatedMember
from jepsen_like.sim.faults.turns import Turns
from jepsen_like.sim.scenario import FOLLOWER, LEADER, Fault
from jepsen_like.sim.streams import stream

if TYPE_CHECKING:
    from jepsen_like.sim.network import Network
    from jepsen_like.sim.world import SimulatedWorld


LOOK_S = 0.02
"""Between two looks at something that is waited for."""

ABLE_WITHIN_S = 10.0
"""How long a fault waits for a member that it can be done to. Longer than most faults keep one away, and than two elections."""

SEEN_WITHIN_S = 10.0
"""How long a fault goes on, beyond its time, for its effect to show."""


class SkippedError(Exception):
    """The fault meant nothing; the text says why."""


class UnseenError(Exception):
    """The fault was done and has shown no effect; the text says what was looked for."""


class Injury:
    """One fault while it lasts: what its act works with."""

    def __init__(self, injector: Injector, fault: Fault) -> None:
        self.injector = injector
        self.fault = fault
        self.cluster: SimulatedCluster = injector.cluster
        self.network: Network = injector.cluster.loop.network
        self.random = stream(injector.cluster.seed, "fault", fault.kind, fault.salt)
        self.targets: Sequence[SimulatedMember] = self._targets()

    def _targets(self) -> list[SimulatedMember]:
        members, leader = self.cluster.members, self.cluster.leader()
        found: dict[SimulatedMember, None] = {}
        for name in self.fault.targets:
            any_one = self.random.choice(members)
            if name == LEADER:
                found[leader or any_one] = None
            elif name == FOLLOWER:
                found[self.random.choice([m for m in members if m is not leader] or members)] = None
            else:
                found[members[int(name[1:]) % len(members)]] = None
        return list(found) or [self.random.choice(members)]

    @property
    def target(self) -> SimulatedMember:
        """The first."""
        return self.targets[0]

    def others(self, member: SimulatedMember) -> list[SimulatedMember]:
        """All members but one."""
        return [other for other in self.cluster.members if other is not member]

    async def last(self, share: float = 1.0) -> None:
        """Waits as long as the fault goes on, or a share of it."""
        await asyncio.sleep(self.fault.for_s * share)

    async def until(self, condition: Callable[[], object], within_s: float) -> bool:
        """Looks again and again; whether it came true in time."""
        loop = self.cluster.loop
        end_s = loop.now_s + within_s
        while not condition():
            if loop.now_s >= end_s:
                return False
            await asyncio.sleep(LOOK_S)
        return True

    async def seen(self, condition: Callable[[], object], what: str) -> None:
        """Waits until the effect shows.

        Raises:
            UnseenError: it did not.
        """
        if not await self.until(condition, SEEN_WITHIN_S):
            raise UnseenError(f"{what}: not within {SEEN_WITHIN_S:g} s")

    async def some(self, able: Callable[[SimulatedMember], object], what: str) -> SimulatedMember:
        """The first target that is able, or anybody else who is, as soon as there is one; it is the fault's target from then on.

        Raises:
            SkippedError: nobody was in time.
        """
        found: list[SimulatedMember] = []

        def look() -> bool:
            found[:] = [member for member in self.targets if able(member)]
            if not found:
                others = [member for member in self.cluster.members if able(member)]
                found[:] = [self.random.choice(others)] if others else []
            return bool(found)

        if not await self.until(look, ABLE_WITHIN_S):
            raise SkippedError(f"no member {what} within {ABLE_WITHIN_S:g} s")
        self.targets = found[:1]
        return found[0]

    async def leader(self) -> SimulatedMember:
        """Whoever leads, as soon as somebody does.

        Raises:
            SkippedError: nobody did in time.
        """
        if not await self.until(self.cluster.leader, ABLE_WITHIN_S):
            raise SkippedError(f"no leader within {ABLE_WITHIN_S:g} s")
        leader = self.cluster.leader()
        assert leader is not None
        return leader

    @asynccontextmanager
    async def hold(self, *members: SimulatedMember) -> AsyncIterator[None]:
        """These machines' processes are this fault's to end and start, once those have ended who asked before.

        Raises:
            SkippedError: the load ended before its turn.
        """
        async with self._turn([member.host for member in members]):
            yield

    @asynccontextmanager
    async def alone(self, what: str) -> AsyncIterator[None]:
        """One fault at a time does this to the cluster. Raises SkippedError, as `hold`."""
        async with self._turn([what]):
            yield

    @asynccontextmanager
    async def _turn(self, hosts: list[str]) -> AsyncIterator[None]:
        turns, loop = self.injector.turns, self.cluster.loop
        try:
            async with asyncio.timeout(max(0.0, self.injector.until_s - loop.now_s)):
                await turns.take(hosts)
        except TimeoutError:
            raise SkippedError(f"other faults had {', '.join(hosts)} until the load ended") from None
        try:
            yield
        finally:
            turns.give_back(hosts)


Act = Callable[[Injury], Awaitable[str]]
"""Does a fault and takes it back; returns the effect it saw, "" when it saw none."""


class Injector:
    """The faults of one run."""

    def __init__(self, cluster: SimulatedCluster, world: SimulatedWorld, acts: Mapping[str, Act], *, loads: Sequence[str] = ()) -> None:
        self.cluster = cluster
        self.world = world
        self.loads = loads
        """Names of the workloads."""
        self.may_compact = "lease" not in loads
        """The loads' checks can do without history that is gone."""
        self.turns = Turns()
        self.until_s = math.inf
        """When the load ends: a fault whose turn comes later has nothing to meet."""
        self.blamed: set[str] = set()
        """Machines whose process may end with an error: something was done to its disk."""
        self.records: list[FaultRecord] = []
        self.unexpected: list[str] = []
        """Processes that ended though nothing was wrong with their disks."""
        self._acts = acts

    async def run(self, faults: Sequence[Fault], began_s: float, until_s: float) -> None:
        """Until the last fault is healed; the load lasts from `began_s` to `until_s`."""
        self.until_s = until_s
        async with asyncio.TaskGroup() as group:
            for number, fault in enumerate(faults):
                group.create_task(self._inject(fault, began_s), name=f"fault {number} {fault.kind}")

    async def _inject(self, fault: Fault, began_s: float) -> None:
        await asyncio.sleep(max(0.0, began_s + fault.at_s - self.cluster.loop.now_s))
        start_ns = self.world.now_ns()
        injury = Injury(self, fault)
        effect = skipped = ""
        verified = False
        try:
            effect = await self._acts[fault.kind](injury)
            verified = bool(effect)
        except SkippedError as error:
            skipped = str(error)
        except UnseenError as error:
            effect = str(error)
        hosts = tuple(member.host for member in injury.targets)
        requested = f"{fault.for_s:g} s, amount {fault.amount:g}"
        record = FaultRecord(fault.kind, start_ns, self.world.now_ns(), hosts, requested, verified, effect, skipped)
        self.records.append(record)
        self.world.recorder.write(record.to_mark())
        self.look_for_failures()

    def look_for_failures(self) -> None:
        """Notes processes that ended though nothing was done to their disks, and such as wrote on where a write had failed."""
        for member in self.cluster.members:
            if member.disk is not None and member.disk.written_after_failure:
                self.unexpected.append(f"{member.host} wrote to {member.disk.written_after_failure.pop()} after a write to it had failed")
                member.disk.written_after_failure.clear()
        for host, error in self.cluster.failures:
            member = next(one for one in self.cluster.members if one.host == host)
            if host not in self.blamed and not (member.disk is not None and member.disk.fired):
                self.unexpected.append(f"the process of {host} ended with {error!r}: {texts(error)}")
        self.cluster.failures.clear()

    def heal(self) -> None:
        """Everything is whole again, and every machine runs."""
        self.cluster.loop.network.heal()
        for member in self.cluster.members:
            self.cluster.loop.network.accept_again(member.host)
            member.disk_s = None
            member.wall_offset_s = 0.0
            if member.rate != 1.0:
                member.set_rate(1.0)
            if member.is_down:
                member.start()


def texts(error: BaseException | None) -> str:
    """All that an error, or a group of them, says."""
    if isinstance(error, BaseExceptionGroup):
        return "; ".join(texts(inner) for inner in error.exceptions)
    return f"{type(error).__name__}: {error}"


def chance(rng: random.Random, share: float) -> bool:
    """True with that probability."""
    return rng.random() < share
