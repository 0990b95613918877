"""What waits for a leader, a connection or a hand-over: how long, at what cost, and what it is told."""

from __future__ import annotations

import asyncio

import pytest

from jepsen_like.sim.client import RpcError, SimulatedClient
from jepsen_like.sim.cluster import SimulatedCluster, SimulatedMember, simulate
from raftkv.pb import rpc


async def _start(cluster: SimulatedCluster) -> tuple[SimulatedMember, list[SimulatedMember]]:
    cluster.start()
    await cluster.serving()
    await cluster.until(cluster.leader, what="a leader")
    leader = cluster.leader()
    assert leader is not None
    return leader, [member for member in cluster.members if member is not leader]


def test_read_that_arrives_without_a_leader_times_out() -> None:
    """etcd behaviour 1.1: a linearizable read without quorum ends with `request timed out` after 5 s and two election timeouts."""

    async def scenario(cluster: SimulatedCluster) -> None:
        leader, (lone, other) = await _start(cluster)
        cluster.loop.network.isolate(lone.host, [leader.host, other.host])
        await cluster.until(lambda: lone.running and not lone.running.core.node.leader_id, what="no leader is known")
        await asyncio.sleep(1)
        started = cluster.loop.time()
        with pytest.raises(RpcError) as caught:
            await SimulatedClient(lone).get(b"k", timeout_s=30.0)
        assert (caught.value.code, caught.value.message) == (14, "etcdserver: request timed out")
        assert 6.9 <= cluster.loop.time() - started <= 7.3

    simulate(51, scenario)


def test_read_that_arrived_without_a_leader_is_served_by_the_next() -> None:
    """A round that nobody could be asked is asked of the leader as soon as there is one."""

    async def scenario(cluster: SimulatedCluster) -> None:
        leader, others = await _start(cluster)
        await SimulatedClient(leader).put(b"k", b"v")
        lone = others[0]
        cluster.loop.network.isolate(lone.host, [leader.host, others[1].host])
        await cluster.until(lambda: lone.running and not lone.running.core.node.leader_id, what="no leader is known")
        read = cluster.loop.create_task(SimulatedClient(lone).get(b"k", timeout_s=30.0))
        await asyncio.sleep(0.5)
        cluster.loop.network.heal()
        await cluster.until(lambda: lone.running and lone.running.core.node.leader_id, what="a leader is known")
        known = cluster.loop.time()
        assert (await read).kvs[0].value == b"v"
        assert cluster.loop.time() - known <= 0.1

    simulate(52, scenario)


def test_write_during_a_hand_over_waits_without_turning_the_loop() -> None:
    """Consensus refuses proposals while it hands over; they are tried again once a tick, not in every turn."""

    async def scenario(cluster: SimulatedCluster) -> None:
        leader, (target, _) = await _start(cluster)
        assert leader.running is not None and target.running is not None
        target_id = target.running.member_id
        target.pause()
        leader.run(lambda running: running.core.transfer_leader(target_id, lambda error: None))
        turns = leader.running.core.pipeline.turns_total
        await SimulatedClient(leader).put(b"k", b"v", timeout_s=5.0)
        # About an election timeout of ten ticks, and what heartbeats and their answers wake.
        assert leader.running.core.pipeline.turns_total - turns < 200
        target.resume()

    simulate(53, scenario)


def test_write_while_the_way_to_the_leader_is_being_made_waits_for_it() -> None:
    """A proposal that would be dropped for want of a connection stays in the queue: nothing of it was sent (rule 13)."""

    async def scenario(cluster: SimulatedCluster) -> None:
        leader, (follower, _) = await _start(cluster)
        client = SimulatedClient(follower)
        await client.put(b"k", b"0")
        cluster.loop.network.cut(follower.host, leader.host)
        cluster.loop.network.reset(follower.host, leader.host)
        await asyncio.sleep(0.2)
        assert follower.running is not None and follower.running.core.node.leader_id
        started = cluster.loop.time()
        write = cluster.loop.create_task(client.put(b"k", b"1", timeout_s=10.0))
        await asyncio.sleep(0.3)
        cluster.loop.network.heal()
        await write
        assert cluster.loop.time() - started < 3

    simulate(54, scenario)


def test_write_that_raises_the_alarm_when_too_much_waits_does_not_silence_it() -> None:
    """An alarm that could not be proposed is raised by the next refusal."""

    async def scenario(cluster: SimulatedCluster) -> None:
        leader, _ = await _start(cluster)
        assert leader.running is not None
        core = leader.running.core
        core.quota.limit_bytes = 1
        core.quota.compare(2)
        core.proposals.waiting.update({-number: (lambda result, error: None, None) for number in range(1, 50_001)})
        client = SimulatedClient(leader)
        with pytest.raises(RpcError):
            await client.put(b"k", b"v")
        for number in range(1, 50_001):
            core.proposals.waiting.pop(-number, None)
        with pytest.raises(RpcError):
            await client.put(b"k", b"v")
        await cluster.until(lambda: core.machine.alarms.no_space, what="the alarm stands")

    simulate(55, scenario)


def test_stop_tells_everyone_who_waits() -> None:
    """Every call ends when its member stops: writes, reads in a round, long ranges, hashes and hand-overs."""

    async def scenario(cluster: SimulatedCluster) -> None:
        leader, (follower, other) = await _start(cluster)
        client = SimulatedClient(follower)
        await client.put(b"k", b"v")
        cluster.loop.network.isolate(follower.host, [leader.host, other.host])
        told: list[str] = []

        def done(name: str) -> object:
            return lambda *results: told.append(f"{name}: {results[-1]}")

        def ask(running: object) -> None:
            service = follower.running.service  # type: ignore[union-attr]
            raw = rpc.PutRequest(key=b"k").SerializeToString()
            service.put(raw, rpc.PutRequest(key=b"k"), done("put"))
            service.range(rpc.RangeRequest(key=b"k"), done("range"))
            service.read_barrier(done("barrier"))
            service.lease_keep_alive(7, done("keepalive"))

        await asyncio.sleep(3)
        follower.run(ask)
        await asyncio.sleep(0.01)
        await follower.stop()
        assert sorted(text.split(":")[0] for text in told) == ["barrier", "keepalive", "put", "range"], told

    simulate(56, scenario)


def test_write_that_is_durable_is_taken_up_at_once() -> None:
    """A turn follows the disk's answer, not the next tick: a member alone acknowledges twenty writes in less than five ticks."""

    async def scenario(cluster: SimulatedCluster) -> None:
        leader, _ = await _start(cluster)
        client = SimulatedClient(leader)
        started = cluster.loop.time()
        for number in range(20):
            await client.put(b"k", b"%d" % number)
        assert cluster.loop.time() - started < 0.5

    simulate(57, scenario, 1)
