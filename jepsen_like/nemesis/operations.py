"""What operators do to a cluster at the wrong moment: compaction, hand-over of leadership, a member that needs a snapshot."""

from __future__ import annotations

import asyncio
import random
import re

from jepsen_like.cluster.cluster import Cluster
from jepsen_like.cluster.member import MemberProcess
from jepsen_like.nemesis.admin import AdminWorld
from jepsen_like.nemesis.fault import RECOVER_WITHIN_S, Fault
from jepsen_like.nemesis.partitions import apart
from jepsen_like.recorder import Recorder
from jepsen_like.workload.session import Session
from raftkv.client import AsyncClient
from raftkv.errors import RaftKVError

KEPT_REVISIONS = 20
SNAPSHOT_COUNT_MAX = 1000


class Compaction(Fault):
    """The history is compacted again and again, up to a few revisions before now, and stores are defragmented.

    Each compaction stands in the run's history: what a watcher that was behind is shown may lack what was compacted meanwhile.
    """

    name = "compaction"
    row = 29
    verified_by = "the compact revision every member reports with its hash, which grew"

    async def apply(self) -> None:
        """See Fault."""
        self.target(*self.cluster.members)
        self.requested = f"compaction to {KEPT_REVISIONS} revisions before now every 100 to 200 ms, one defragmentation"
        self._done = 0
        self._reached = 0

    async def hold(self, seconds: float) -> None:
        """See Fault."""
        loop = asyncio.get_running_loop()
        until_s = loop.time() + seconds
        session = Session(AdminWorld(self.cluster, self.recorder, self.rng), None)
        try:
            while loop.time() < until_s:
                await self._compact(session)
                await asyncio.sleep(self.rng.uniform(0.1, 0.2))
        finally:
            await session.aclose()
        async with AsyncClient(self.pick()[0].place.admin, timeout_s=5.0) as client:
            await client.maintenance.defragment()

    async def _compact(self, session: Session) -> None:
        try:
            revision = (await session.client.maintenance.status()).header.revision - KEPT_REVISIONS
        except RaftKVError:
            return
        # Refused when somebody compacted further meanwhile, or there is no leader just now.
        if revision > self._reached and await session.compact(revision) is not None:
            self._reached = revision
            self._done += 1

    async def verify(self) -> None:
        """See Fault."""
        seen = {}
        for member in self.members():
            async with AsyncClient(member.place.admin, timeout_s=5.0) as client:
                await client.get(b"health")
                seen[member.name] = (await client.maintenance.hash_kv()).compact_revision
        right = self._done > 0 and min(seen.values()) >= self._reached
        self.expect(right, f"{self._done} compactions; compact revisions {seen}" if self._done else "too few revisions to compact")

    async def heal(self) -> None:
        """See Fault; history that is gone stays gone."""


class LeaderMoves(Fault):
    """Leadership is handed from member to member."""

    name = "leader-moves"
    row = 30
    members_min = 2
    verified_by = "the leader that members report after each hand-over"

    async def apply(self) -> None:
        """See Fault."""
        self.target(*self.cluster.members)
        self.requested = "MoveLeader every 0.2 to 1 s"
        self._moves: list[str] = []
        await self._move()

    async def hold(self, seconds: float) -> None:
        """See Fault."""
        loop = asyncio.get_running_loop()
        until_s = loop.time() + seconds
        while loop.time() < until_s:
            await asyncio.sleep(min(self.rng.uniform(0.2, 1.0), max(0.0, until_s - loop.time())))
            await self._move()

    async def _move(self) -> None:
        said = await self.cluster.said()
        leader = next((one for one in said if one.leads), None)
        others = [one for one in said if not one.leads]
        if leader is None or not others:
            return
        target = self.rng.choice(others)
        async with AsyncClient(leader.member.place.admin, timeout_s=5.0) as client:
            try:
                await client.maintenance.move_leader(target.id)
            except RaftKVError:
                return
        if await self.cluster.leader(5.0) is target.member:
            self._moves.append(f"{leader.member.name} → {target.member.name}")

    async def verify(self) -> None:
        """See Fault."""
        self.expect(bool(self._moves), f"{len(self._moves)} hand-overs: {', '.join(self._moves[:5])}")

    async def heal(self) -> None:
        """See Fault; whoever leads may go on."""


class SnapshotInstall(Fault):
    """One follower hears nothing until the log it lacks is gone, and is sent a snapshot while the others go on."""

    name = "snapshot-install"
    row = 28
    members_min = 3
    hold_s = (0.0, 0.5)
    flags = ("--snapshot-count=100", "--snapshot-catchup-entries=50")
    verified_by = "the member's own word that it applied a snapshot from the leader"
    state = "partitioned"

    def __init__(self, cluster: Cluster, rng: random.Random, recorder: Recorder) -> None:
        super().__init__(cluster, rng, recorder)
        self._log_start = 0

    @classmethod
    def unavailable_because(cls, cluster: Cluster) -> str:
        """See Fault."""
        if "cut" not in cluster.network.shapes:
            return "nothing stands between the members"
        counts = [int(flag.partition("=")[2]) for flag in cluster.flags if flag.startswith("--snapshot-count=")]
        if not counts or counts[-1] > SNAPSHOT_COUNT_MAX or not any("catchup-entries" in flag for flag in cluster.flags):
            return f"needs a --snapshot-count of at most {SNAPSHOT_COUNT_MAX} and few catch-up entries"
        return ""

    async def apply(self) -> None:
        """See Fault."""
        leader = await self.cluster.leader()
        follower = self.rng.choice([member for member in self.cluster.members if member is not leader and member.running])
        self.target(follower)
        self.requested = f"{follower.name} hears nothing until the others' logs no longer have what it lacks"
        self._log_start = follower.log_size()
        rest = [member.name for member in self.cluster.members if member is not follower]
        await self.cluster.partition(apart([follower.name], rest))
        behind = next(one.applied_index for one in await self.cluster.said() if one.member is follower)
        loop = asyncio.get_running_loop()
        until_s = loop.time() + RECOVER_WITHIN_S
        # Anybody of the rest may lead by the time it is let back.
        others = [member for member in self.cluster.members if member is not follower]
        while loop.time() < until_s and min(map(compacted_to, others)) <= behind + 1:
            await self.poke(30)
        # What connections still hold for it would reach it after the heal, and might be all it lacks.
        await self.cluster.network.reset([(follower.name, name) for name in rest])
        await self.cluster.partition({})

    async def verify(self) -> None:
        """See Fault."""
        (member,) = self.members()
        await self.cluster.until(lambda: "applied database snapshot" in member.log_text(self._log_start), "a snapshot is applied", 20.0)
        lines = [line for line in member.log_text(self._log_start).splitlines() if "applied database snapshot" in line]
        self.saw(f"{member.name} applied {len(lines)} snapshot{'s' * (len(lines) > 1)}")

    async def heal(self) -> None:
        """See Fault."""
        await self.cluster.partition({})


def compacted_to(member: MemberProcess) -> int:
    """The index up to which the member's log was cut, as its log says."""
    indexes = [int(text) for text in re.findall(r'"compact-index":(\d+)', member.log_text())]
    return max(indexes, default=0)
