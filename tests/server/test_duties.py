"""A member's duties on simulated clusters: the watch over the log's disk, the bound of the log."""

from __future__ import annotations

import asyncio

import pytest

from jepsen_like.sim.client import SimulatedClient
from jepsen_like.sim.cluster import SimulatedCluster, SimulatedMember, simulate
from raftkv.transport.channel import RpcError

pytestmark = pytest.mark.slow

ELECTION_S = 1.0
HUNG_S = 1000.0


async def _leader(cluster: SimulatedCluster) -> SimulatedMember:
    cluster.start()
    await cluster.serving()
    await cluster.until(lambda: cluster.leader() is not None, what="a leader")
    leader = cluster.leader()
    assert leader is not None and leader.running is not None
    return leader


async def _put_in_vain(member: SimulatedMember) -> None:
    try:
        await SimulatedClient(member).put(b"k", b"v", timeout_s=0.5)
    except RpcError:
        return
    raise AssertionError("acknowledged by a member whose log has no disk")


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_leader_whose_log_disk_hangs_hands_over(seed: int) -> None:
    """The job is outstanding for two election timeouts: another member leads, and writes go on."""

    async def scenario(cluster: SimulatedCluster) -> None:
        old = await _leader(cluster)
        old.disk_s = (HUNG_S, HUNG_S)
        began_s = cluster.loop.time()
        await _put_in_vain(old)
        await cluster.until(lambda: cluster.leader() not in (None, old), 4 * ELECTION_S, "another leader")
        assert cluster.loop.time() - began_s >= 2 * ELECTION_S
        new = cluster.leader()
        assert new is not None and old.running is not None
        assert old.running.core.disk_watch.handed_over_total == 1
        await asyncio.sleep(0.2)
        await SimulatedClient(new).put(b"k", b"v2")

    simulate(seed, scenario)


def test_leader_whose_log_disk_is_slow_stays() -> None:
    """A disk that answers, however late, is no reason: the others may be no faster."""

    async def scenario(cluster: SimulatedCluster) -> None:
        old = await _leader(cluster)
        old.disk_s = (0.8 * ELECTION_S, ELECTION_S)
        client = SimulatedClient(old)
        for number in range(12):
            await client.put(b"k", b"%d" % number, timeout_s=5.0)
        assert cluster.leader() is old and old.running is not None
        assert old.running.core.disk_watch.handed_over_total == 0

    simulate(4, scenario)


def test_member_alone_with_a_hung_disk_has_nobody_to_hand_over_to() -> None:
    """It goes on waiting."""

    async def scenario(cluster: SimulatedCluster) -> None:
        only = await _leader(cluster)
        only.disk_s = (HUNG_S, HUNG_S)
        await _put_in_vain(only)
        await asyncio.sleep(5 * ELECTION_S)
        assert cluster.leader() is only and only.running is not None
        assert only.running.core.disk_watch.handed_over_total == 0

    simulate(5, scenario, 1)
