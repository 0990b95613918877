"""Failpoints as a fault: one member ends, loses power, stands still or sees an error at a named place inside."""

from __future__ import annotations

import asyncio
from typing import NamedTuple

from jepsen_like.sim.faults.injector import Injury, SkippedError
from jepsen_like.sim.places import SimulatedEffects, is_taken
from raftkv.failpoints import FAILPOINTS, switch_off, switch_on


class Choice(NamedTuple):
    """What may happen at a place."""

    place: str
    action: str


CHOICES = (
    *(Choice(place, "panic") for place in (
        "raftBeforeSave", "raftAfterSave", "walBeforeSync", "walAfterSync", "raftBeforeAdvance", "raftBeforeLeaderSend",
        "raftBeforeFollowerSend", "beforeApplyOneEntryNormal", "commitBeforePreCommitHook", "commitAfterPreCommitHook",
        "beforeCommit", "afterCommit", "beforeWritebackBuf", "afterWritebackBuf", "raftBeforeWALSaveSnapshot", "raftAfterWALRelease",
        "raftBeforeSaveSnap", "raftAfterSaveSnap", "raftBeforeApplySnap", "raftAfterApplySnap", "applyBeforeOpenSnapshot",
        "applyAfterOpenSnapshot", "compactBeforeCommitScheduledCompact", "compactAfterCommitScheduledCompact",
        "compactAfterAcquiredBatchTxLock", "compactBeforeSetFinishedCompact", "compactAfterSetFinishedCompact", "beforeSyncWatchers",
        "beforeSendWatchResponse",
    )),
    *(Choice(place, "sleep(300)") for place in ("raftBeforeSave", "beforeCommit", "raftBeforeLeaderSend", "beforeSyncWatchers")),
    Choice("walBeforeSync", "error(EIO)"),
    Choice("beforeCommit", "error(EIO)"),
    Choice("raftDropHeartbeat", "return"),
)  # fmt: skip


POWER_SHARE = 0.5
"""Of the ends: the machine loses its power at the place, not the process alone."""


async def place(injury: Injury) -> str:
    """One place acts with a chance of one in four each time a member comes by, until it has ended or the time is up."""
    name, action = injury.random.choice(CHOICES)
    member = injury.target
    with injury.hold(member):
        if member.is_down:
            raise SkippedError(f"{member.host} does not run")
        if is_taken(name, member):
            raise SkippedError(f"{name} is switched on already")
        switch_on(name, f"25%{action}", SimulatedEffects(member, power_share=POWER_SHARE))
        point = FAILPOINTS[name]
        if "error" in action:
            injury.injector.blamed.add(member.host)
        try:
            await injury.last()
        finally:
            switch_off(name)
        if point.hits and "error" in action:
            # What the error ended may still be on its way down.
            member.crash()
        if member.is_down:
            injury.injector.look_for_failures()
            await asyncio.sleep(injury.random.uniform(0.05, 0.5))
            member.start()
    return f"{name} acted {point.hits} times: {action}" if point.hits else ""
