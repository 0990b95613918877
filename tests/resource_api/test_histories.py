"""Random histories of a whole registry with crashes: what every answer, list and watch says is held against the store's own log.

Over the store in memory, where most examples are played, and over an embedded member, whose every batch, lease, watch and restart is the
product's own; both on virtual time, one seed one run. `RAFTKV_API_HISTORIES=N` runs more.
"""

from __future__ import annotations

import asyncio
import os
import pathlib
import random
import tempfile

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jepsen_like.sim.loop import VirtualLoop
from tests.resource_api.histories import HAPPENINGS, PROGRAMS, Client, Informer, Server, check, play
from tests.resource_api.logs import History, Log, MemberLog, MemoryLog, Trouble
from tests.resource_api.world import WorldClock

EXAMPLES = int(os.environ.get("RAFTKV_API_HISTORIES", "60"))


async def run(log: Log, group: asyncio.TaskGroup, clock: WorldClock, programs: list, happenings: list[str]) -> None:
    """One history, and the judgement."""
    server = Server(log, group, clock)
    clients = [Client(server, number, program) for number, program in enumerate(programs)]
    informers = [Informer(server), Informer(server)]
    await play(server, clients, informers, happenings)
    server.world.stop()
    check(log.history, clients, informers)


@pytest.mark.slow
@given(PROGRAMS, HAPPENINGS, st.integers(0, 2**16))
@settings(max_examples=EXAMPLES, deadline=None, derandomize=EXAMPLES == 60)
def test_every_history_is_that_of_the_store(programs, happenings, seed):
    """No update is lost, no event is told twice or skipped, every list is a state that was, and the collector ends its work."""
    loop = VirtualLoop(seed)

    async def body() -> None:
        async with asyncio.TaskGroup() as group:
            await run(MemoryLog(Trouble(random.Random(seed))), group, WorldClock(loop, seed), programs, happenings)

    loop.run_until_complete(asyncio.wait_for(body(), 100_000))
    assert not loop.callback_errors, loop.callback_errors


@pytest.mark.slow
@given(PROGRAMS, HAPPENINGS, st.integers(0, 2**16))
@settings(max_examples=max(1, EXAMPLES // 5), deadline=None, derandomize=EXAMPLES == 60)
def test_every_history_is_that_of_an_embedded_member(programs, happenings, seed):
    """The same through the client, the channel in memory, consensus of one, LMDB; the member stops and starts with its server."""
    over_a_member(programs, happenings, seed)


@pytest.mark.slow
def test_history_of_an_embedded_member_is_the_same_each_time():
    """A found seed can be played again."""
    programs = [[("create", "a", 0), ("hold", "a", 1), ("adopt", "a", 1), ("delete", "a", 3), ("release", "a", 0)], [("patch", "a", 1)] * 5]
    happenings = ["pause", "restart", "outage", "compact", "abandon", "restart"]
    first, second = (over_a_member(programs, happenings, 7) for _ in range(2))
    assert first.changes == second.changes
    assert len(first.changes) >= 3


def over_a_member(programs: list, happenings: list[str], seed: int) -> History:
    """Plays and judges it."""
    loop = VirtualLoop(seed)

    async def body(folder: pathlib.Path) -> History:
        clock = WorldClock(loop, seed)
        async with asyncio.TaskGroup() as group:
            log = MemberLog(folder, Trouble(random.Random(seed)), loop, group, clock)
            await log.start()
            await run(log, group, clock, programs, happenings)
            await log.stop()
        return log.history

    with tempfile.TemporaryDirectory() as folder:
        history = loop.run_until_complete(asyncio.wait_for(body(pathlib.Path(folder)), 100_000))
    assert not loop.callback_errors, loop.callback_errors
    return history
