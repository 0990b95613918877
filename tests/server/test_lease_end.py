"""The moment a lease ends: nobody is told that it is gone before its keys are, and only who leads for certain says anything."""

from __future__ import annotations

import asyncio

import pytest

from jepsen_like.history import History
from jepsen_like.sim.client import SimulatedClient
from jepsen_like.sim.cluster import SimulatedCluster, SimulatedMember, simulate
from jepsen_like.sim.world import SimulatedWorld
from raftkv.client import AsyncClient
from raftkv.errors import LeaseNotFoundError
from raftkv.pb import rpc
from raftkv.server.reads import WAITING_MAX

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


async def _started(cluster: SimulatedCluster) -> tuple[SimulatedMember, list[SimulatedMember]]:
    cluster.start()
    await cluster.serving()
    await cluster.until(cluster.leader, what="a leader")
    leader = cluster.leader()
    assert leader is not None
    return leader, [member for member in cluster.members if member is not leader]


def _cut_off(cluster: SimulatedCluster, inside: list[SimulatedMember]) -> None:
    outside = [member.host for member in cluster.members if member not in inside]
    for member in inside:
        cluster.loop.network.isolate(member.host, outside)


def _ask(member: SimulatedMember, told: list[int | Exception]) -> None:
    """Asks a member to keep the lease alive; `told` gets the TTL, or why not."""
    member.run(lambda running: running.service.lease_keep_alive(LEASE, lambda ttl_s, error: told.append(error or ttl_s)))


@pytest.mark.parametrize("through_follower", [False, True], ids=["leader", "follower"])
def test_keepalive_is_answered_only_by_a_leader_that_leads_for_certain(through_follower):
    """Design §4 rule 12: another leader may have ended the lease meanwhile, so one that is cut off must not say that it lives."""
    told: list[int | Exception] = []

    async def scenario(cluster: SimulatedCluster) -> None:
        leader, others = await _started(cluster)
        async with SimulatedWorld(cluster, History()).client(leader.host, timeout_s=10.0) as client:
            await client.leases.grant(30, lease_id=LEASE)
        await asyncio.sleep(0.5)
        _cut_off(cluster, [leader, others[0]])
        _ask(others[0] if through_follower else leader, told)
        await asyncio.sleep(20)

    simulate(6, scenario, 5)
    assert len(told) == 1 and isinstance(told[0], Exception)


def test_leader_that_is_cut_off_proposes_no_expiry():
    """Design §4 rule 12: it asks the others first, whether or not its proposals could ever be committed."""

    async def scenario(cluster: SimulatedCluster) -> None:
        leader, _ = await _started(cluster)
        async with SimulatedWorld(cluster, History()).client(leader.host, timeout_s=10.0) as client:
            granted = await client.leases.grant(2, lease_id=LEASE)
        assert leader.running is not None
        leases = leader.running.core.leases
        await asyncio.sleep(granted.ttl_s - 0.1)
        _cut_off(cluster, [leader])
        await cluster.until(lambda: leases.lessor.is_expiring(LEASE), 1.0, "the lease is found")
        await asyncio.sleep(3)
        assert leases.expired_total == 0

    simulate(7, scenario)


def test_keepalive_after_a_look_that_could_not_be_confirmed_is_served():
    """Design §4 rule 12: a look that was refused leaves the leases as they were."""
    told: list[int | Exception] = []

    async def scenario(cluster: SimulatedCluster) -> None:
        leader, _ = await _started(cluster)
        assert leader.running is not None
        core = leader.running.core
        async with SimulatedWorld(cluster, History()).client(leader.host, timeout_s=10.0) as client:
            granted = await client.leases.grant(2, lease_id=LEASE)

            def look(_: object) -> None:
                core.leases._next_look_s = 0.0
                waiting, core.reads.waiting = core.reads.waiting, [lambda error: None] * WAITING_MAX
                core.leases.tick()
                core.reads.waiting = waiting
                assert core.leases.lessor.is_expiring(LEASE)

            core.leases._next_look_s = float("inf")
            await asyncio.sleep(granted.ttl_s + 0.5)
            leader.run(look)
            await asyncio.sleep(0.1)
            _ask(leader, told)
            await asyncio.sleep(0.5)
            assert told == [granted.ttl_s]

    simulate(8, scenario)


def test_keepalive_that_waited_while_the_leader_stood_still_is_served_before_the_lease_ends():
    """Design §4 rule 12: what came in time is not lost to a pause of the leader's, whichever of the two it sees first."""
    for seed in range(9, 15):
        told: list[int] = []

        async def scenario(cluster: SimulatedCluster, told: list[int] = told) -> None:
            leader, _ = await _started(cluster)
            client = SimulatedClient(leader)
            request = rpc.LeaseGrantRequest(TTL=4, ID=LEASE)
            await client.call("/etcdserverpb.Lease/LeaseGrant", request, rpc.LeaseGrantResponse)
            await asyncio.sleep(3.5)
            leader.pause()
            answer = cluster.loop.create_task(client.keep_alive(LEASE, timeout_s=10.0))
            await asyncio.sleep(1.2)
            leader.resume()
            told.append(await answer)

        simulate(seed, scenario, election_timeout_ms=2000)
        assert told == [4], seed
