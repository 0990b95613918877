"""Three members of production code on a seeded virtual loop: what holds under crashes, and that one seed is one run."""

from __future__ import annotations

from jepsen_like.sim.client import RpcError, SimulatedClient
from jepsen_like.sim.cluster import SimulatedCluster, simulate


async def _start(cluster: SimulatedCluster) -> None:
    cluster.start()
    await cluster.serving()


def test_cluster_started_serves_through_every_member() -> None:
    """A write at any member is read at any other at once (design §4 rules 1, 11)."""

    async def scenario(cluster: SimulatedCluster) -> None:
        await _start(cluster)
        clients = [SimulatedClient(member) for member in cluster.members]
        revisions = []
        for index, client in enumerate(clients):
            revisions.append((await client.put(b"key", b"%d" % index)).header.revision)
            for other in clients:
                assert (await other.get(b"key")).kvs[0].value == b"%d" % index
        assert revisions == [2, 3, 4]

    simulate(1, scenario)


def _traced(seed: int) -> str:
    async def scenario(cluster: SimulatedCluster) -> None:
        await _start(cluster)
        client = SimulatedClient(cluster.members[1])
        for index in range(20):
            await client.put(b"k%d" % (index % 3), b"%d" % index)
        cluster.members[0].crash(power=True)
        for index in range(20):
            try:
                await client.put(b"k%d" % (index % 3), b"later %d" % index)
            except RpcError:
                continue
        cluster.members[0].start()
        await cluster.serving()

    return simulate(seed, scenario).trace_hash()


def test_simulation_one_seed_is_one_run() -> None:
    """Two runs of one seed do the same things in the same order; another seed does not."""
    assert _traced(7) == _traced(7)
    assert _traced(7) != _traced(8)


def test_round_trip_to_every_member_is_measured() -> None:
    """etcd's metric of that name, by the other's id; a member that is cut off adds nothing."""

    async def scenario(cluster: SimulatedCluster) -> None:
        await _start(cluster)
        seen: list[tuple[int, float]] = []
        first = cluster.members[0].running
        assert first is not None
        first.core.peers.observe_round_trip = lambda peer_id, took_s: seen.append((peer_id, took_s))
        others = {member.running.core.member_id for member in cluster.members[1:] if member.running is not None}
        await cluster.until(lambda: len(seen) >= 4, what="two rounds of probes")
        assert {peer_id for peer_id, _ in seen} == others
        assert all(0 < took_s < 1 for _, took_s in seen)

    simulate(3, scenario)
