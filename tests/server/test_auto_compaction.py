"""Compaction by itself on simulated members: etcd's windows, in virtual time."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from jepsen_like.sim.client import SimulatedClient
from jepsen_like.sim.cluster import SimulatedCluster, SimulatedMember, simulate

pytestmark = pytest.mark.slow

TICK_S = 10.0
SLOW = {"heartbeat_interval_ms": 1000, "election_timeout_ms": 10_000}
"""Timeouts that keep hours of virtual time cheap."""


async def _started(cluster: SimulatedCluster) -> tuple[SimulatedMember, float]:
    cluster.start()
    await cluster.until(lambda: cluster.leader() is not None, 120, what="a leader")
    await cluster.serving(120)
    leader = cluster.leader()
    assert leader is not None
    return leader, cluster.loop.time()


def _marks(cluster: SimulatedCluster) -> list[int]:
    return [member.running.core.store.compact_revision for member in cluster.members if member.running is not None]


async def _write_and_watch(cluster: SimulatedCluster, member: SimulatedMember, duration_s: float) -> list[tuple[float, int, int]]:
    """Writes every ten seconds; each change of the compact revision with the time and the revision it came at."""
    client, began_s = SimulatedClient(member), cluster.loop.time()
    changes: list[tuple[float, int, int]] = []
    mark = _marks(cluster)[member.index]
    while cluster.loop.time() - began_s < duration_s:
        response = await client.put(b"k", b"v")
        await asyncio.sleep(TICK_S)
        if (now := _marks(cluster)[member.index]) != mark:
            mark = now
            changes.append((cluster.loop.time() - began_s, mark, response.header.revision))
    return changes


def _run(seed: int, scenario: Any, count: int = 1, **settings: Any) -> None:
    simulate(seed, scenario, count, **SLOW, **settings)


def test_period_drops_what_is_older_once_a_period_after_the_first() -> None:
    """Retention of 30 minutes: first after 30, then each 30; always to the revision of half an hour ago."""

    async def scenario(cluster: SimulatedCluster) -> None:
        leader, _ = await _started(cluster)
        changes = await _write_and_watch(cluster, leader, 95 * 60)
        assert [round(at_s / 60) for at_s, _, _ in changes] == [30, 60, 90]
        for _, mark, revision in changes[1:]:
            assert 1750 / TICK_S <= revision - mark <= 2000 / TICK_S

    _run(1, scenario, auto_compaction_period_s=1800.0)


def test_period_of_hours_is_looked_at_every_hour() -> None:
    """Retention of two hours: first after two, then each hour."""

    async def scenario(cluster: SimulatedCluster) -> None:
        leader, _ = await _started(cluster)
        changes = await _write_and_watch(cluster, leader, 4.2 * 3600)
        assert [round(at_s / 3600, 1) for at_s, _, _ in changes] == [2, 3, 4]
        for _, mark, revision in changes[1:]:
            assert 7100 / TICK_S <= revision - mark <= 7700 / TICK_S

    _run(2, scenario, auto_compaction_period_s=7200.0)


def test_revisions_are_counted_every_five_minutes() -> None:
    """Retention of 20 revisions, one written every 10 s."""

    async def scenario(cluster: SimulatedCluster) -> None:
        leader, _ = await _started(cluster)
        changes = await _write_and_watch(cluster, leader, 16 * 60)
        assert [round(at_s / 60) for at_s, _, _ in changes] == [5, 10, 15]
        assert all(20 <= revision - mark <= 21 for _, mark, revision in changes)

    _run(3, scenario, auto_compaction_revisions=20)


def test_new_leader_goes_on_with_what_it_sampled_as_a_follower() -> None:
    """Only the leader proposes, and a change of leader does not begin the period anew."""

    async def scenario(cluster: SimulatedCluster) -> None:
        leader, _ = await _started(cluster)
        assert await _write_and_watch(cluster, leader, 8 * 60) == []
        leader.crash()
        await cluster.until(lambda: cluster.leader() not in (None, leader), 120, what="another leader")
        new = cluster.leader()
        assert new is not None
        began_s = cluster.loop.time()
        await cluster.until(lambda: min(_marks(cluster)) > 0, 3 * 60, what="a compaction")
        assert cluster.loop.time() - began_s > 60

    _run(4, scenario, 3, auto_compaction_period_s=600.0)


def test_nothing_new_is_not_compacted_again_and_off_is_off() -> None:
    """An idle store gets one compaction, not an entry every period; without a retention there is none."""

    async def idle(cluster: SimulatedCluster) -> None:
        leader, _ = await _started(cluster)
        client = SimulatedClient(leader)
        for _ in range(5):
            await client.put(b"k", b"v")
        await asyncio.sleep(50 * 60)
        assert leader.running is not None
        index = leader.running.core.applier.applied
        await asyncio.sleep(120 * 60)
        assert leader.running.core.applier.applied == index

    _run(5, idle, auto_compaction_period_s=1200.0)

    async def off(cluster: SimulatedCluster) -> None:
        leader, _ = await _started(cluster)
        assert await _write_and_watch(cluster, leader, 20 * 60) == []

    _run(6, off)
