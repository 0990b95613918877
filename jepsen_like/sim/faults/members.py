"""A member is replaced under load: removed, its disk lost, added again under a new id, started, and promoted if it came as a learner."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence

from jepsen_like.checker.membership import JOINING, VOTER, Listed
from jepsen_like.sim.cluster import SimulatedMember
from jepsen_like.sim.faults.injector import Injury, SkippedError, UnseenError, chance
from jepsen_like.sim.faults.processes import EMPTY_DISK, running
from jepsen_like.sim.reached import reached
from jepsen_like.workload.operator import add_member, list_members, promote_member, remove_member
from jepsen_like.workload.session import Answer, Session
from raftkv.storage.memory_fs import MemoryFileSystem

AGAIN_S = (0.1, 0.5)
"""Between two tries of a change: members refuse it until they have all been connected for long enough."""

ASK_TIMEOUT_S = 2.0

CHANGED_WITHIN_S = 60.0
"""For each step. Other faults end after some seconds, and five seconds after the last of them nobody refuses any more."""

LEARNER_SHARE = 0.7

UP_WITHIN_S = 5.0

Ask = Callable[[Session, Listed | None], Awaitable[Answer | None] | None]
"""What to ask for, given the member as it is listed; None when there is nothing left to ask for."""


async def replace(injury: Injury) -> str:
    """See the module; by chance the process runs while it is removed, or is gone before."""
    member, rng = injury.target, injury.random
    if len(injury.cluster.members) < 3:
        raise SkippedError("the cluster is too small to go on with one member less")
    role = JOINING if chance(rng, LEARNER_SHARE) else VOTER
    async with injury.hold(member), injury.alone(EMPTY_DISK):
        await running(injury, member)
        old = _own(await _until(injury, member, _nothing), member)
        assert old is not None, f"{member.host} is no member, and nobody removed it"
        injury.injector.blamed.add(member.host)
        if chance(rng, 0.5):
            member.crash()
        await _until(injury, member, lambda session, listed: remove_member(session, listed) if listed is not None else None)
        member.crash()
        member.fs = MemoryFileSystem()
        await asyncio.sleep(rng.uniform(0.0, 0.5))
        await _until(injury, member, lambda session, listed: add_member(session, member.peer_url, role) if listed is None else None)
        new = await _join(injury, member)
        if role == JOINING:
            await _until(injury, member, lambda session, listed: promote_member(session, listed) if listed and listed.is_learner else None)
            reached("learner_promoted")
        injury.injector.look_for_failures()
        injury.injector.blamed.discard(member.host)
    if new.id == old.id:
        raise UnseenError(f"{member.host} is {new.id:x} as before")
    return f"{member.host} was {old.id:x} and is {new.id:x}, {'promoted' if role == JOINING else 'added as a voter'}"


async def _join(injury: Injury, member: SimulatedMember) -> Listed:
    """Starts it with the members there are, again with those there are then when the list has changed meanwhile; as whom it serves."""
    end_s = injury.cluster.loop.now_s + CHANGED_WITHIN_S
    hosts = {one.peer_url: one.host for one in injury.cluster.members}
    while True:
        members = await _until(injury, member, _nothing)
        new = _own(members, member)
        assert new is not None, f"{member.host} is no member any more, and nobody removed it"
        member.joins = tuple((hosts.get(one.peer_url, f"{one.id:x}"), one.peer_url) for one in members)
        member.start()
        await injury.until(lambda: member.is_down or member.running is not None, UP_WITHIN_S)
        if member.running is not None:
            break
        assert injury.cluster.loop.now_s < end_s, f"{member.host} did not start: {member.failed!r}"
        member.crash()
        await asyncio.sleep(injury.random.uniform(*AGAIN_S))
    member.joins = ()
    return new


async def _until(injury: Injury, member: SimulatedMember, ask: Ask) -> Sequence[Listed]:
    """Asks the others in turn until there is nothing left to ask for; the members as they are listed then."""
    end_s = injury.cluster.loop.now_s + CHANGED_WITHIN_S
    while True:
        host = injury.random.choice(injury.others(member)).host
        session = Session(injury.injector.world, host, timeout_s=ASK_TIMEOUT_S)
        try:
            answer = await list_members(session)
            if answer is not None:
                asked = ask(session, _own(answer.result, member))
                if asked is None:
                    return list(answer.result)
                await asked
        finally:
            await session.aclose()
        assert injury.cluster.loop.now_s < end_s, f"the members of the cluster could not be changed: {session.last_error}"
        await asyncio.sleep(injury.random.uniform(*AGAIN_S))


def _nothing(_session: Session, _listed: Listed | None) -> None:
    return None


def _own(members: Sequence[Listed], member: SimulatedMember) -> Listed | None:
    return next((one for one in members if one.peer_url == member.peer_url), None)
