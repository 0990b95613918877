"""Failpoints of simulated members: virtual time, one member of several, and nothing left behind."""

from __future__ import annotations

import asyncio

import pytest

from jepsen_like.sim.cluster import SimulatedCluster, virtual_time
from jepsen_like.sim.loop import VirtualLoop
from jepsen_like.sim.places import SimulatedEffects
from raftkv.failpoints import FAILPOINTS, switch_off, switch_on


@pytest.fixture(autouse=True)
def _all_off():
    yield
    FAILPOINTS.clear()


def run(scenario):
    loop = VirtualLoop(7)
    with virtual_time(loop):
        cluster = SimulatedCluster(loop)

        async def main():
            cluster.start()
            await cluster.serving()
            await scenario(cluster)

        loop.run_until_complete(loop.create_task(main()))
        assert not loop.callback_errors
        for member in cluster.members:
            member.crash()
    for task in (*loop.graveyard, *asyncio.all_tasks(loop)):
        task._log_destroy_pending = False
    loop.close()


def test_panic_ends_the_one_member_at_the_place_and_it_starts_again():
    """The others pass the same place and go on."""

    async def scenario(cluster):
        victim = cluster.leader()
        switch_on("raftBeforeLeaderSend", "panic", SimulatedEffects(victim))
        await cluster.until(lambda: victim.is_down, 10, "the member ended")
        assert FAILPOINTS["raftBeforeLeaderSend"].hits == 1
        assert not any(member.is_down for member in cluster.members if member is not victim)
        switch_off("raftBeforeLeaderSend")
        victim.start()
        await cluster.serving()
        assert not cluster.failures

    run(scenario)


def test_sleep_holds_the_member_in_virtual_time():
    """For as long as it says, and without a second of real time."""

    async def scenario(cluster):
        victim = cluster.leader()
        switch_on("raftBeforeLeaderSend", '1*sleep("100s")', SimulatedEffects(victim))
        await cluster.until(lambda: victim.life.paused, 10, "it sleeps")
        began_s = cluster.loop.now_s
        await cluster.until(lambda: not victim.life.paused, 200, "it is awake")
        assert 99 < cluster.loop.now_s - began_s < 101

    run(scenario)


def test_pause_lasts_until_it_is_switched_off():
    """And whatever waited goes on."""

    async def scenario(cluster):
        victim = cluster.leader()
        switch_on("raftBeforeLeaderSend", "pause", SimulatedEffects(victim))
        await cluster.until(lambda: victim.life.paused, 10, "it is paused")
        await asyncio.sleep(50)
        assert victim.life.paused
        switch_off("raftBeforeLeaderSend")
        await cluster.until(lambda: not victim.life.paused, 1, "it goes on")
        await cluster.serving()

    run(scenario)
