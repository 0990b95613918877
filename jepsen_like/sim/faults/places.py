"""Failpoints as a fault: one member ends, loses power, stands still or sees an error at a named place inside."""

from __future__ import annotations

import asyncio
import contextlib
from typing import NamedTuple

from jepsen_like.sim.cluster import SimulatedMember
from jepsen_like.sim.faults.injector import SEEN_WITHIN_S, Injury, SkippedError, UnseenError
from jepsen_like.sim.faults.links import BEHIND_WITHIN_S, left_behind
from jepsen_like.sim.faults.processes import running
from jepsen_like.sim.faults.requests import compacted
from jepsen_like.sim.places import SimulatedEffects, is_taken
from raftkv.client.selection import ALL
from raftkv.errors import RaftKVError
from raftkv.failpoints import FAILPOINTS, switch_off, switch_on

ANYBODY, LEADS, FOLLOWS = "runs", "leads", "follows"
"""Which member comes by a place."""

COMPACTION, SNAPSHOT, WATCHER = "compaction", "snapshot", "watcher"
"""What brings a member to a place that the load alone seldom does."""


class Choice(NamedTuple):
    """What may happen at a place."""

    place: str
    action: str
    who: str = ANYBODY
    needs: str = ""


CHOICES = (
    *(Choice(place, "panic") for place in (
        "raftBeforeSave", "raftAfterSave", "walBeforeSync", "walAfterSync", "raftBeforeAdvance", "beforeApplyOneEntryNormal",
        "commitBeforePreCommitHook", "commitAfterPreCommitHook", "beforeCommit", "afterCommit", "beforeWritebackBuf", "afterWritebackBuf",
    )),
    Choice("raftBeforeLeaderSend", "panic", LEADS),
    Choice("raftBeforeFollowerSend", "panic", FOLLOWS),
    *(Choice(place, "panic", FOLLOWS, SNAPSHOT) for place in (
        "raftBeforeWALSaveSnapshot", "raftBeforeSaveSnap", "raftAfterSaveSnap", "raftBeforeApplySnap", "raftAfterApplySnap",
        "applyBeforeOpenSnapshot", "applyAfterOpenSnapshot",
    )),
    # Every member's log is cut after so many entries; what a snapshot needs makes the others write them.
    Choice("raftAfterWALRelease", "panic", LEADS, SNAPSHOT),
    *(Choice(place, "panic", ANYBODY, COMPACTION) for place in (
        "compactBeforeCommitScheduledCompact", "compactAfterCommitScheduledCompact", "compactAfterAcquiredBatchTxLock",
        "compactBeforeSetFinishedCompact", "compactAfterSetFinishedCompact",
    )),
    *(Choice(place, "panic", ANYBODY, WATCHER) for place in ("beforeSyncWatchers", "beforeSendWatchResponse")),
    Choice("raftBeforeSave", "sleep(300)"),
    Choice("beforeCommit", "sleep(300)"),
    Choice("raftBeforeLeaderSend", "sleep(300)", LEADS),
    Choice("beforeSyncWatchers", "sleep(300)", ANYBODY, WATCHER),
    Choice("walBeforeSync", "error(EIO)"),
    Choice("beforeCommit", "error(EIO)"),
    Choice("raftDropHeartbeat", "return", LEADS),
)  # fmt: skip


POWER_SHARE = 0.5
"""Of the ends: the machine loses its power at the place, not the process alone."""

WATCHED_S = 1.0
"""Between two watchers that are opened at a member to bring it to a place."""


async def place(injury: Injury) -> str:
    """One place acts with a chance of one in four each time a member comes by, until it has ended or the time is up."""
    choice = injury.random.choice(_possible(injury))
    name, action, who, needs = choice
    member = await injury.some(lambda one: one.running is not None and _is(injury, one, who) and not is_taken(name, one), who)
    async with injury.hold(member):
        await running(injury, member)
        if is_taken(name, member):
            raise SkippedError(f"{name} is switched on already")
        switch_on(name, f"25%{action}", SimulatedEffects(member, power_share=POWER_SHARE))
        point = FAILPOINTS[name]
        if "error" in action:
            injury.injector.blamed.add(member.host)
        try:
            async with asyncio.TaskGroup() as group:
                provoking = group.create_task(_provoke(injury, member, needs), name=f"on the way to {name}")
                await injury.last()
                await injury.until(lambda: point.hits, SEEN_WITHIN_S + (BEHIND_WITHIN_S if needs == SNAPSHOT else 0.0))
                provoking.cancel()
        finally:
            switch_off(name)
        if point.hits and "error" in action:
            # What the error ended may still be on its way down.
            member.crash()
        if member.is_down:
            injury.injector.look_for_failures()
            await asyncio.sleep(injury.random.uniform(0.05, 0.5))
            member.start()
    if not point.hits:
        raise UnseenError(f"{member.host} did not come by {name}")
    return f"{name} acted {point.hits} times: {action}"


def _possible(injury: Injury) -> list[Choice]:
    """Without followers no place of theirs, and nobody needs a snapshot; leases forbid compactions."""
    alone = len(injury.cluster.members) < 3
    found = [one for one in CHOICES if not (alone and (one.who == FOLLOWS or one.needs == SNAPSHOT))]
    return [one for one in found if one.needs != COMPACTION or injury.injector.may_compact]


def _is(injury: Injury, member: SimulatedMember, who: str) -> bool:
    return who == ANYBODY or (member is injury.cluster.leader()) == (who == LEADS)


async def _provoke(injury: Injury, member: SimulatedMember, needs: str) -> None:
    """Does what brings the member to its place, again and again, until it is cancelled; what cannot be done now may be possible later."""
    while needs:
        with contextlib.suppress(SkippedError, UnseenError, RaftKVError):
            if needs == COMPACTION:
                await compacted(injury, 0)
            elif needs == SNAPSHOT:
                behind = member if member is not injury.cluster.leader() else injury.random.choice(injury.others(member))
                await left_behind(injury, behind)
            else:
                await _watch(injury, member)
        await asyncio.sleep(WATCHED_S)


async def _watch(injury: Injury, member: SimulatedMember) -> None:
    """Watches everything from the first revision that is left, for a while, so that the member has to read it."""
    first = member.running.core.store.compact_revision + 1 if member.running is not None else 1
    client = injury.injector.world.client(member.host)
    async with client, client.watch(ALL, since=first) as watch:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(WATCHED_S):
                while True:
                    await watch.receive()
