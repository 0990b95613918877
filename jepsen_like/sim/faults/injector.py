"""Runs a scenario's faults, each in its time, and writes each down with the effect that was seen.

Owns who may take a process down (one fault at a time for each machine), which ends of processes were to be expected, and
the state everything is brought back to at the end. What a fault does is in `processes`, `links` and `disks`.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

from jepsen_like.ledger import FaultRecord
from jepsen_like.sim.cluster import SimulatedCluster, SimulatedMember
from jepsen_like.sim.scenario import FOLLOWER, LEADER, Fault
from jepsen_like.sim.streams import stream

if TYPE_CHECKING:
    from jepsen_like.sim.network import Network
    from jepsen_like.sim.world import SimulatedWorld


class SkippedError(Exception):
    """The fault means nothing now; the text says why."""


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

    @contextmanager
    def hold(self, *members: SimulatedMember) -> Iterator[None]:
        """These machines' processes are this fault's to end and start.

        Raises:
            SkippedError: another fault has one of them.
        """
        busy = [member.host for member in members if member.host in self.injector.held]
        if busy:
            raise SkippedError(f"another fault has {', '.join(busy)}")
        self.injector.held.update(member.host for member in members)
        try:
            yield
        finally:
            self.injector.held.difference_update(member.host for member in members)


Act = Callable[[Injury], Awaitable[str]]
"""Does a fault and takes it back; returns the effect it saw, "" when it saw none."""


class Injector:
    """The faults of one run."""

    def __init__(self, cluster: SimulatedCluster, world: SimulatedWorld, acts: Mapping[str, Act]) -> None:
        self.cluster = cluster
        self.world = world
        self.held: set[str] = set()
        self.blamed: set[str] = set()
        """Machines whose process may end with an error: something was done to its disk."""
        self.wiped = False
        """A machine runs with an empty disk."""
        self.records: list[FaultRecord] = []
        self.unexpected: list[str] = []
        """Processes that ended though nothing was wrong with their disks."""
        self._acts = acts

    async def run(self, faults: Sequence[Fault], began_s: float) -> None:
        """Until the last fault is healed."""
        async with asyncio.TaskGroup() as group:
            for number, fault in enumerate(faults):
                group.create_task(self._inject(fault, began_s), name=f"fault {number} {fault.kind}")

    async def _inject(self, fault: Fault, began_s: float) -> None:
        await asyncio.sleep(max(0.0, began_s + fault.at_s - self.cluster.loop.now_s))
        start_ns = self.world.now_ns()
        injury = Injury(self, fault)
        effect = skipped = ""
        try:
            effect = await self._acts[fault.kind](injury)
        except SkippedError as error:
            skipped = str(error)
        hosts = tuple(member.host for member in injury.targets)
        requested = f"{fault.for_s:g} s, amount {fault.amount:g}"
        record = FaultRecord(fault.kind, start_ns, self.world.now_ns(), hosts, requested, bool(effect), effect, skipped)
        self.records.append(record)
        self.world.recorder.write(record.to_mark())
        self.look_for_failures()

    def look_for_failures(self) -> None:
        """Notes processes that ended though nothing was done to their disks."""
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
