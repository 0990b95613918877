"""Faults that are requests of an operator, under load: history is compacted, leadership is handed over."""

from __future__ import annotations

import asyncio

from jepsen_like.sim.cluster import SimulatedMember
from jepsen_like.sim.faults.injector import SEEN_WITHIN_S, Injury, UnseenError, chance
from jepsen_like.workload.session import Session

KEEP_REVISIONS = 50

COMPACT_PAUSE_S = 0.2
"""Between two members that are asked: one that lags or has no leader refuses."""

AT_EXPIRY_SHARE = 0.6
"""Of hand-overs, where there are leases."""

AT_EXPIRY_WITHIN_S = 2.0

EXPIRY_LOOK_S = 0.0005
"""To be confirmed as the leader takes a round of messages."""


async def compact(injury: Injury) -> str:
    """History is forgotten up to 0 to 50 revisions before the newest."""
    revision = await compacted(injury, int(KEEP_REVISIONS * injury.fault.amount))
    return f"compacted at {revision}"


async def compacted(injury: Injury, keep: int) -> int:
    """Asks one member after another, the target first, until one does it; the revision.

    Raises:
        UnseenError: nobody did in time.
    """
    loop = injury.cluster.loop
    end_s = loop.now_s + SEEN_WITHIN_S
    members = [*injury.targets[:1], *injury.others(injury.target)]
    asked = 0
    while loop.now_s < end_s:
        member = members[asked % len(members)]
        revision = _compactable(injury, keep)
        if revision and member.running is not None:
            session = Session(injury.injector.world, member.host)
            try:
                if await session.compact(revision) is not None:
                    return revision
            finally:
                await session.aclose()
        asked += 1
        await asyncio.sleep(COMPACT_PAUSE_S)
    raise UnseenError(f"nobody compacted within {SEEN_WITHIN_S:g} s")


def _compactable(injury: Injury, keep: int) -> int:
    """The revision `keep` before the leader's newest, or the newest when there are so few; 0: there is nothing to forget."""
    leader = injury.cluster.leader()
    if leader is None or leader.running is None:
        return 0
    store = leader.running.core.store
    revision = store.revision - keep if store.revision - keep > max(1, store.compact_revision) else store.revision
    return revision if revision > max(1, store.compact_revision) else 0


async def transfer(injury: Injury) -> str:
    """The leader is asked to hand over to another member; again after a moment with a larger `amount`. By chance it is just about to
    end leases that ran out: what it then found is for the next leader to refuse."""
    leader = await injury.leader()
    if chance(injury.random, AT_EXPIRY_SHARE) and "lease" in injury.injector.loads:
        await _until_expiry(injury)
        leader = await injury.leader()
    target = await injury.some(lambda one: one.running is not None and one is not injury.cluster.leader(), "follows")
    assert target.running is not None
    target_id = target.running.member_id
    before = leader.host
    for _ in range(1 + int(injury.fault.amount * 3)):
        _ask(injury, target_id)
        await asyncio.sleep(injury.random.uniform(0.05, 0.5))

    def moved() -> SimulatedMember | None:
        # One that a fault keeps from the others is asked for again: the leader gives up after an election timeout.
        _ask(injury, target_id)
        now = injury.cluster.leader()
        return now if now is not None and (now is target or now.host != before) else None

    await injury.seen(moved, f"{before} hands over to {target.host}")
    after = injury.cluster.leader()
    return f"{before} to {after.host if after is not None else target.host}"


async def _until_expiry(injury: Injury) -> None:
    """Until the leader asks whether it still leads, to end a lease; it looks for some twice a second."""
    loop = injury.cluster.loop
    end_s = loop.now_s + AT_EXPIRY_WITHIN_S
    while loop.now_s < end_s:
        leader = injury.cluster.leader()
        if leader is not None and leader.running is not None and leader.running.core.leases._looking:
            return
        await asyncio.sleep(EXPIRY_LOOK_S)


def _ask(injury: Injury, target_id: int) -> None:
    """Everybody: who does not lead refuses."""
    for member in injury.cluster.members:
        member.run(lambda running: running.core.transfer_leader(target_id, lambda error: None))
