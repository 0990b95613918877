"""What a fault is: something done to a real cluster, seen to have worked, and undone.

A fault is one object per injection. `apply` does it, `verify` looks for the effect where it must show (the kernel, a counter, a
log, a file), `heal` undoes it and may look again. What was looked for and not found stays unverified: a fault that silently does
nothing must never count. Source of the rows: the fault table of the documentation (docs/FAULTS.md).
"""

from __future__ import annotations

import asyncio
import random
from abc import ABC, abstractmethod
from collections.abc import Iterable
from typing import ClassVar

from jepsen_like.cluster.cluster import Cluster
from jepsen_like.cluster.member import MemberProcess
from jepsen_like.ledger import FaultRecord
from jepsen_like.recorder import Recorder
from raftkv.client import AsyncClient
from raftkv.errors import RaftKVError

RECOVER_WITHIN_S = 30.0
"""From the end of a fault until every member serves again."""

POKE_TTL_S = 60

PROBE_S = 0.3
"""How long a question waits that ought to stay without an answer."""


class Fault(ABC):
    """One injection. Invariants: 1. `heal` may be called after any part of `apply`; 2. `verified` only after something was seen."""

    name: ClassVar[str]
    row: ClassVar[int]
    """Of the fault table."""

    hold_s: ClassVar[tuple[float, float]] = (0.5, 2.5)
    """Between which lengths it lasts."""

    verified_by: ClassVar[str]
    """For the table: where its effect is looked for."""

    state: ClassVar[str] = ""
    """What its targets are meanwhile, for the report's member lanes."""

    members_min: ClassVar[int] = 1
    """In a smaller cluster there is nobody to do it to, or its quorum could not come back from it."""

    instruments: ClassVar[frozenset[str]] = frozenset()
    """What has to stand below the members, of `Cluster`'s instruments; `power` for either kind of disk that can lose power."""

    flags: ClassVar[tuple[str, ...]] = ()
    """Without which it has no effect that could be seen."""

    def __init__(self, cluster: Cluster, rng: random.Random, recorder: Recorder) -> None:
        self.cluster = cluster
        self.rng = rng
        self.recorder = recorder
        """Of the run: for calls the checks must know of, and for marks besides the fault's own."""
        self.targets: tuple[str, ...] = ()
        self.requested = ""
        self.verified = False
        self.effect = ""

    @classmethod
    def unavailable_because(cls, cluster: Cluster) -> str:
        """Why it cannot be done to this cluster on this machine; empty when it can."""
        return ""

    @classmethod
    def impossible_because(cls, cluster: Cluster) -> str:
        """The same, or that the cluster is too small for it."""
        few = len(cluster.members) < cls.members_min
        return f"needs at least {cls.members_min} members" if few else cls.unavailable_because(cluster)

    @abstractmethod
    async def apply(self) -> None:
        """Takes effect. Raises when it cannot; `heal` is called all the same."""

    async def hold(self, seconds: float) -> None:
        """Lasts so long."""
        await asyncio.sleep(seconds)

    @abstractmethod
    async def verify(self) -> None:
        """Looks for the effect, while it lasts; says what it `saw` or `missed`."""

    @abstractmethod
    async def heal(self) -> None:
        """Undoes it."""

    def saw(self, text: str) -> None:
        """The effect, as it was seen."""
        self.verified = True
        self.effect = f"{self.effect}; {text}" if self.effect else text

    def missed(self, text: str) -> None:
        """What was looked for and was not there; outweighs whatever else was seen."""
        self.verified = False
        self.effect = f"not seen: {text}"

    def expect(self, seen: bool, text: str) -> None:
        """`saw` or `missed`."""
        (self.saw if seen else self.missed)(text)

    def target(self, *members: MemberProcess) -> None:
        """These are hit."""
        self.targets = tuple(member.name for member in members)

    def members(self) -> list[MemberProcess]:
        """Those that are hit."""
        return [self.cluster.member(name) for name in self.targets]

    def pick(self, count: int = 1) -> list[MemberProcess]:
        """So many members that run."""
        running = [member for member in self.cluster.members if member.running]
        return self.rng.sample(running, min(count, len(running)))

    async def pick_member(self) -> MemberProcess:
        """The leader half of the time, anybody else otherwise."""
        if self.rng.random() < 0.5:
            return await self.cluster.leader()
        return self.pick()[0]

    async def answers(self, endpoint: str, within_s: float = PROBE_S) -> bool:
        """Whether a client that asks there is told anything."""
        async with AsyncClient(endpoint, timeout_s=within_s, dial_timeout_s=within_s, require_leader=False) as client:
            try:
                await client.maintenance.status()
            except RaftKVError:
                return False
        return True

    async def poke(self, count: int = 1) -> None:
        """Has the cluster write so many entries to its log that change no key and no revision; whatever fails, fails."""
        endpoints = [member.place.admin for member in self.cluster.members if member.running and not member.paused]
        if not endpoints:
            return
        async with AsyncClient(endpoints, timeout_s=PROBE_S, dial_timeout_s=PROBE_S) as client, asyncio.TaskGroup() as group:
            for number in range(count):
                group.create_task(_grant(client), name=f"poke {number}")

    async def restarted(self, members: Iterable[MemberProcess]) -> None:
        """Starts those of the members that do not run, and waits until they serve."""
        stopped = [member for member in members if not member.running]
        if stopped:
            self.cluster.start(*stopped)
            await self.cluster.wait_healthy(*stopped, within_s=RECOVER_WITHIN_S)

    def record(self, start_ns: int, end_ns: int) -> FaultRecord:
        """For the ledger."""
        return FaultRecord(self.name, start_ns, end_ns, self.targets, self.requested, self.verified, self.effect)

    @classmethod
    def skipped(cls, why: str, at_ns: int) -> FaultRecord:
        """For the ledger, when it was not available."""
        return FaultRecord(cls.name, at_ns, at_ns, skipped=why)


async def _grant(client: AsyncClient) -> None:
    try:
        lease = await client.leases.grant(POKE_TTL_S)
        await client.leases.revoke(lease.id)
    except RaftKVError:
        # The member it was meant for may be just what was broken.
        return
