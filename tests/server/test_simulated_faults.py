"""How soon a cluster serves again after its leader crashed. Whole runs under faults are in tests/jepsen_like/sim."""

from __future__ import annotations

import asyncio

import pytest

from jepsen_like.sim.client import RpcError, SimulatedClient
from jepsen_like.sim.cluster import SimulatedCluster, simulate

ELECTION_S = 1.0


@pytest.mark.slow
def test_failover_after_a_leader_crash_takes_at_most_three_election_timeouts() -> None:
    """In 99 % of simulated leader crashes another member acknowledges a write within three election timeouts."""
    took: list[float] = []

    async def scenario(cluster: SimulatedCluster) -> None:
        cluster.start()
        await cluster.serving()
        for _ in range(5):
            await cluster.until(cluster.leader, what="a leader")
            await asyncio.sleep(0.5)
            leader = cluster.leader()
            assert leader is not None
            survivor = next(m for m in cluster.members if m is not leader)
            client = SimulatedClient(survivor)
            await client.put(b"k", b"before")
            leader.crash(power=True)
            crashed = cluster.loop.time()
            while True:
                try:
                    await client.put(b"k", b"after", timeout_s=0.2)
                    break
                except RpcError:
                    continue
            took.append(cluster.loop.time() - crashed)
            leader.start()
            await cluster.serving()

    for seed in range(100, 108):
        simulate(seed, scenario)
    slow = [value for value in took if value > 3 * ELECTION_S]
    assert len(slow) <= len(took) // 100, f"{slow} of {len(took)}"
