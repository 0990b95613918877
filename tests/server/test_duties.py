"""A member's duties on simulated clusters: the watch over the log's disk, the bound of the log."""

from __future__ import annotations

import asyncio

import pytest

from jepsen_like.sim.client import SimulatedClient
from jepsen_like.sim.cluster import SimulatedCluster, SimulatedMember, simulate
from raftkv.storage.raft_storage import ENTRY_OVERHEAD_BYTES
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


def test_log_is_kept_for_a_connected_follower_up_to_a_number_of_bytes() -> None:
    """Within the bound it is served from the log, whatever the catch-up entries say; beyond it the log goes, and a snapshot comes."""
    interval, most = 10, 100

    async def scenario(cluster: SimulatedCluster) -> None:
        leader = await _leader(cluster)
        lagging = next(member for member in cluster.members if member is not leader)
        assert leader.running is not None and lagging.running is not None
        core, client = leader.running.core, SimulatedClient(leader)
        await client.put(b"k", b"v")
        entry = core.raft_storage.entries(core.applier.applied, core.applier.applied + 1, 1)[0]
        core.cutter.lag_bytes_max = most * (ENTRY_OVERHEAD_BYTES + len(entry.data))
        lagging.disk_s = (HUNG_S, HUNG_S)
        stuck = lagging.running.core.node.stable
        for _ in range(most - 2 * interval):
            await client.put(b"k", b"v")
        await asyncio.sleep(0.5)
        assert lagging.running.core.member_id in core.peers.connected()
        assert core.cutter.snapshots_total >= 7
        assert core.raft_storage.first_index() <= stuck + 1, "the log was cut below a follower within the bound"
        for _ in range(4 * interval):
            await client.put(b"k", b"v")
        await asyncio.sleep(0.5)
        behind = core.applier.applied - core.raft_storage.first_index()
        assert core.raft_storage.first_index() > stuck + 1, "the log is kept for ever"
        assert most - 2 * interval <= behind <= most + 2 * interval

    simulate(6, scenario, snapshot_count=interval, snapshot_catchup_entries=2)
