"""The moment a lease ends: nobody is told that it is gone before its keys are."""

from __future__ import annotations

import pytest

from jepsen_like.history import History
from jepsen_like.sim.cluster import SimulatedCluster, simulate
from jepsen_like.sim.world import SimulatedWorld
from raftkv.client import AsyncClient
from raftkv.errors import LeaseNotFoundError

LEASE = 77


async def _expiring(cluster: SimulatedCluster, client: AsyncClient) -> None:
    """Leaves the lease with a key at the point where its revoke was proposed and the disks take their time."""
    granted = await client.leases.grant(2, lease_id=LEASE)
    await client.put("k", "v", lease=LEASE)
    await cluster.until(
        lambda: (
            (leader := cluster.leader()) is not None
            and leader.running is not None
            and leader.running.core.leases.lessor.remaining_s(LEASE, cluster.loop.time()) == 0
        ),
        granted.ttl_s + 5.0,
    )
    for member in cluster.members:
        member.disk_s = (0.3, 0.3)
    leader = cluster.leader()
    assert leader is not None and leader.running is not None
    lessor = leader.running.core.leases.lessor
    await cluster.until(lambda: lessor.is_expiring(LEASE), 5.0, "the lease is found")


@pytest.mark.parametrize("follower", [False, True], ids=["leader", "follower"])
def test_keepalive_of_lease_being_revoked_is_refused_only_when_its_keys_are_gone(follower):
    """Who is told "no such lease" finds none of its keys by any later read, at the leader as through a follower."""
    told = []

    async def scenario(cluster: SimulatedCluster) -> None:
        cluster.start()
        await cluster.serving()
        leader = cluster.leader()
        assert leader is not None
        member = next(one for one in cluster.members if (one is not leader) == follower)
        async with SimulatedWorld(cluster, History()).client(member.host, timeout_s=10.0) as client:
            await _expiring(cluster, client)
            with pytest.raises(LeaseNotFoundError):
                await client.leases.keep_alive_once(LEASE)
            told.append(await client.get("k"))

    simulate(5, scenario)
    assert told == [None]


def test_time_to_live_of_lease_being_revoked_is_zero_and_names_its_keys():
    """Until the revoke is applied the lease is there, without time."""
    told = []

    async def scenario(cluster: SimulatedCluster) -> None:
        cluster.start()
        await cluster.serving()
        async with SimulatedWorld(cluster, History()).client("m0", timeout_s=10.0) as client:
            await _expiring(cluster, client)
            told.append(await client.leases.time_to_live(LEASE, keys=True))

    simulate(5, scenario)
    assert (told[0].ttl_s, told[0].keys) == (0, [b"k"])
