"""A member is replaced: removed, its disk lost, added again under a new id, and promoted if it came as a learner.

Every call is written to the run's history: what the workloads' checks know of members' coming and going, they know from it.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable, Sequence

from jepsen_like.checker.membership import JOINING, VOTER, Listed
from jepsen_like.cluster.cluster import Cluster, ClusterError
from jepsen_like.cluster.member import MemberProcess
from jepsen_like.nemesis.admin import AdminWorld
from jepsen_like.nemesis.fault import RECOVER_WITHIN_S, Fault
from jepsen_like.recorder import Recorder
from jepsen_like.workload.operator import add_member, list_members, promote_member, remove_member
from jepsen_like.workload.session import Answer, Session
from raftkv.client import AsyncClient
from raftkv.errors import RaftKVError

CHANGE_TIMEOUT_S = 5.0

AGAIN_S = 0.5
"""Between two tries of a change: members refuse it until they have all been connected for long enough."""

LEARNER_SHARE = 0.7

POLL_S = 0.05

Ask = Callable[[Session, Listed | None], Awaitable[Answer | None] | None]
"""What to ask for, given the member as it is listed; None when there is nothing left to ask for."""


class Replace(Fault):
    """One member is removed, loses its disk, is added again under a new id, most times as a learner, and catches up."""

    name = "member-replace"
    row = 27
    members_min = 2
    hold_s = (0.0, 1.0)
    verified_by = "the member lists: its old id is gone, its new one is there, a voter, and it serves"
    state = "joining"

    def __init__(self, cluster: Cluster, rng: random.Random, recorder: Recorder) -> None:
        super().__init__(cluster, rng, recorder)
        self._admin = AdminWorld(cluster, recorder, rng)
        self._role = JOINING if rng.random() < LEARNER_SHARE else VOTER
        self._old_id = self._new_id = 0
        self._wiped = self._joined = False

    async def apply(self) -> None:
        """See Fault."""
        member = await self.pick_member()
        self.target(member)
        self.requested = f"{member.name} removed, wiped and added again as a {'learner' if self._role == JOINING else 'voter'}"
        self._old_id = _id(await self._until(member, _nothing), member)
        await self._until(member, lambda session, listed: remove_member(session, listed) if listed is not None else None)
        self.cluster.kill(member)
        member.wipe()
        self._wiped = True
        await asyncio.sleep(self.rng.uniform(0.0, 0.5))
        await self._join(member)

    async def _join(self, member: MemberProcess) -> None:
        await self._until(member, lambda session, listed: add_member(session, member.peer_url, self._role) if listed is None else None)
        await self._start(member)
        await self._until(member, lambda session, listed: promote_member(session, listed) if listed and listed.is_learner else None)
        await self.cluster.wait_healthy(member, within_s=RECOVER_WITHIN_S)
        member.joins = ""
        self._joined = True

    async def _start(self, member: MemberProcess) -> None:
        """With the members there are; again when somebody else has changed them meanwhile, which a newcomer refuses."""
        loop = asyncio.get_running_loop()
        until_s = loop.time() + RECOVER_WITHIN_S
        names = {one.peer_url: one.name for one in self.cluster.members}
        while True:
            members = await self._until(member, _nothing)
            self._new_id = _id(members, member)
            member.joins = ",".join(f"{names.get(one.peer_url, f'{one.id:x}')}={one.peer_url}" for one in members)
            if not member.running:
                self.cluster.start(member)
            while member.running:
                if await self.answers(member.place.admin):
                    return
                if loop.time() > until_s:
                    raise ClusterError(f"{member.name} does not answer after {RECOVER_WITHIN_S:.0f} s:\n{member.describe()}")
                await asyncio.sleep(POLL_S)
            if loop.time() > until_s:
                raise ClusterError(f"{member.name} ended with {member.status} while it joined:\n{member.describe()}")

    async def _until(self, member: MemberProcess, ask: Ask) -> Sequence[Listed]:
        """Asks the others in turn until there is nothing left to ask for; the members as they are listed then.

        Raises:
            ClusterError: they refused for too long.
        """
        loop = asyncio.get_running_loop()
        until_s = loop.time() + RECOVER_WITHIN_S
        while True:
            others = [other.name for other in self.cluster.members if other is not member and other.running]
            session = Session(self._admin, self.rng.choice(others), timeout_s=CHANGE_TIMEOUT_S)
            try:
                answer = await list_members(session)
                if answer is not None:
                    asked = ask(session, next((one for one in answer.result if one.peer_url == member.peer_url), None))
                    if asked is None:
                        return list(answer.result)
                    await asked
            finally:
                await session.aclose()
            if loop.time() > until_s:
                raise ClusterError(f"the members could not be changed within {RECOVER_WITHIN_S:.0f} s: {session.last_error}")
            await asyncio.sleep(AGAIN_S)

    async def verify(self) -> None:
        """See Fault."""
        (member,) = self.members()
        async with AsyncClient(member.place.admin, timeout_s=CHANGE_TIMEOUT_S) as client:
            try:
                listed = {one.id: one for one in (await client.cluster.members()).members}
                own = (await client.maintenance.status()).header.member_id
            except RaftKVError as error:
                self.missed(str(error))
                return
        right = self._old_id not in listed and own == self._new_id and own in listed and not listed[own].is_learner
        how = "promoted" if self._role == JOINING else "added as a voter"
        self.expect(right, f"{member.name} was {self._old_id:x} and is {own:x}, {how}, of {len(listed)} members")

    async def heal(self) -> None:
        """See Fault."""
        for member in self.members():
            # With what it has, if it was started: it may have voted, and never comes back empty again.
            if self._wiped and not self._joined:
                await self._join(member)
        await self.restarted(self.members())


def _nothing(_session: Session, _listed: Listed | None) -> None:
    return None


def _id(members: Sequence[Listed], member: MemberProcess) -> int:
    """The id under which the others know it; 0 when they do not."""
    return next((one.id for one in members if one.peer_url == member.peer_url), 0)
