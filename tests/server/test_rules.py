"""Design §4 items 11 to 16, each on a simulated cluster of production members."""

from __future__ import annotations

import asyncio

import pytest

from jepsen_like.sim.client import RpcError, SimulatedClient
from jepsen_like.sim.cluster import SimulatedCluster, SimulatedMember, simulate
from raftkv.embedded import RunningMember
from raftkv.errors import ConfigError, RemoteProtocolError
from raftkv.pb import peer, rpc
from raftkv.server import hello

ELECTION_S = 1.0


async def _start(cluster: SimulatedCluster) -> SimulatedMember:
    cluster.start()
    await cluster.serving()
    await cluster.until(cluster.leader, what="a leader")
    leader = cluster.leader()
    assert leader is not None
    return leader


def _others(cluster: SimulatedCluster, member: SimulatedMember) -> list[SimulatedMember]:
    return [other for other in cluster.members if other is not member]


def _isolate(cluster: SimulatedCluster, member: SimulatedMember) -> None:
    cluster.loop.network.isolate(member.host, [other.host for other in _others(cluster, member)])


async def _new_leader(cluster: SimulatedCluster, old: SimulatedMember) -> SimulatedMember:
    await cluster.until(lambda: cluster.leader() not in (None, old), what="another leader")
    leader = cluster.leader()
    assert leader is not None
    return leader


async def _put_until_ok(client: SimulatedClient, key: bytes, value: bytes, attempts: int = 20) -> rpc.PutResponse:
    for _ in range(attempts):
        try:
            return await client.put(key, value)
        except RpcError:
            await asyncio.sleep(0.1)
    raise AssertionError("the put never succeeded")


def test_read_index_deposed_leader_serves_no_stale_read() -> None:
    """Rule 11: a member that leads no more cannot confirm a read, so it never answers with what it still holds."""

    async def scenario(cluster: SimulatedCluster) -> None:
        old = await _start(cluster)
        stale_client = SimulatedClient(old)
        await stale_client.put(b"k", b"old")
        _isolate(cluster, old)
        pending = cluster.loop.create_task(stale_client.get(b"k", timeout_s=20.0))
        new = await _new_leader(cluster, old)
        await _put_until_ok(SimulatedClient(new), b"k", b"new")
        await asyncio.sleep(1)
        cluster.loop.network.heal()
        try:
            answer = await pending
        except RpcError:
            answer = await _get_until_ok(stale_client, b"k")
        assert answer.kvs[0].value == b"new"

    simulate(11, scenario)


async def _get_until_ok(client: SimulatedClient, key: bytes) -> rpc.RangeResponse:
    for _ in range(20):
        try:
            return await client.get(key)
        except RpcError:
            await asyncio.sleep(0.1)
    raise AssertionError("the get never succeeded")


def test_read_index_serializable_read_answers_without_leader() -> None:
    """A serializable read needs nobody else (etcd behaviour 1.1), a linearizable one ends with `request timed out`."""

    async def scenario(cluster: SimulatedCluster) -> None:
        leader = await _start(cluster)
        await SimulatedClient(leader).put(b"k", b"v")
        lone = _others(cluster, leader)[0]
        await cluster.until(lambda: lone.running and lone.running.core.store.revision == 2)
        _isolate(cluster, lone)
        client = SimulatedClient(lone)
        request = rpc.RangeRequest(key=b"k", serializable=True)
        answer = await client.call("/etcdserverpb.KV/Range", request, rpc.RangeResponse)
        assert answer.kvs[0].value == b"v"
        with pytest.raises(RpcError) as caught:
            await client.get(b"k", timeout_s=30.0)
        assert (caught.value.code, caught.value.message) == (14, "etcdserver: request timed out")

    simulate(12, scenario)


async def _grant(client: SimulatedClient, ttl_s: int) -> int:
    answer = await client.call("/etcdserverpb.Lease/LeaseGrant", rpc.LeaseGrantRequest(TTL=ttl_s), rpc.LeaseGrantResponse)
    return int(answer.ID)


async def _ttl(client: SimulatedClient, lease_id: int) -> rpc.LeaseTimeToLiveResponse:
    request = rpc.LeaseTimeToLiveRequest(ID=lease_id, keys=True)
    return await client.call("/etcdserverpb.Lease/LeaseTimeToLive", request, rpc.LeaseTimeToLiveResponse)


async def _put_leased(client: SimulatedClient, key: bytes, lease_id: int) -> None:
    await client.call("/etcdserverpb.KV/Put", rpc.PutRequest(key=key, value=b"v", lease=lease_id), rpc.PutResponse)


def test_lease_expires_through_the_log_on_every_member() -> None:
    """Rule 12: the key is gone after the TTL, by one revision that all members apply."""

    async def scenario(cluster: SimulatedCluster) -> None:
        leader = await _start(cluster)
        client = SimulatedClient(_others(cluster, leader)[0])
        lease_id = await _grant(client, 5)
        await _put_leased(client, b"k", lease_id)
        await asyncio.sleep(4)
        assert (await client.get(b"k")).count == 1
        assert 0 <= (await _ttl(client, lease_id)).TTL <= 1
        await asyncio.sleep(3)
        assert (await client.get(b"k")).count == 0
        assert (await _ttl(client, lease_id)).TTL == -1
        revisions = {m.running.core.store.revision for m in cluster.members if m.running}
        assert revisions == {3}

    simulate(13, scenario)


def test_lease_new_leader_gives_the_full_ttl() -> None:
    """Rule 12: whoever becomes leader re-arms every lease."""

    async def scenario(cluster: SimulatedCluster) -> None:
        leader = await _start(cluster)
        follower = _others(cluster, leader)[0]
        client = SimulatedClient(follower)
        lease_id = await _grant(client, 10)
        await _put_leased(client, b"k", lease_id)
        await asyncio.sleep(8)
        leader.crash()
        await _new_leader(cluster, leader)
        await asyncio.sleep(5)
        assert (await _get_until_ok(client, b"k")).count == 1
        assert (await _ttl(client, lease_id)).TTL >= 4

    simulate(14, scenario)


def test_lease_deposed_leader_expires_nothing() -> None:
    """Rule 12: a leader that cannot confirm itself revokes nothing; the other side's keepalives count."""

    async def scenario(cluster: SimulatedCluster) -> None:
        old = await _start(cluster)
        client = SimulatedClient(_others(cluster, old)[0])
        lease_id = await _grant(client, 5)
        await _put_leased(client, b"k", lease_id)
        _isolate(cluster, old)
        new = await _new_leader(cluster, old)
        for _ in range(8):
            await asyncio.sleep(1)
            assert await _keep_alive(new, lease_id) == 5
        cluster.loop.network.heal()
        await asyncio.sleep(3)
        assert (await _get_until_ok(client, b"k")).count == 1

    simulate(15, scenario)


async def _keep_alive(member: SimulatedMember, lease_id: int) -> int:
    assert member.running is not None
    answered: asyncio.Future[int] = asyncio.get_running_loop().create_future()

    def done(ttl_s: int, error: Exception | None) -> None:
        if error is not None:
            answered.set_exception(error)
        else:
            answered.set_result(ttl_s)

    member.running.service.lease_keep_alive(lease_id, done)
    return await answered


def test_proposal_forwarded_to_a_lost_leader_takes_effect_at_most_once() -> None:
    """Rule 13: a member never sends a proposal again whose fate it does not know."""

    async def scenario(cluster: SimulatedCluster) -> None:
        leader = await _start(cluster)
        follower = _others(cluster, leader)[0]
        client = SimulatedClient(follower)
        attempts = acknowledged = 0
        for _ in range(3):
            for index in range(10):
                attempts += 1
                try:
                    await client.put(b"counted", b"%d" % index, timeout_s=0.5)
                    acknowledged += 1
                except RpcError:
                    pass
                if index == 4:
                    current = cluster.leader()
                    if current is not None and current is not follower:
                        cluster.loop.network.cut(current.host, follower.host)
                if index == 7:
                    cluster.loop.network.heal()
            await asyncio.sleep(3)
        await asyncio.sleep(10)
        version = (await _get_until_ok(client, b"counted")).kvs[0].version
        assert acknowledged <= version <= attempts
        assert acknowledged >= 15

    simulate(16, scenario)


def test_peer_of_another_cluster_is_refused_naming_both() -> None:
    """Rule 14: no raft message is read before both sides have proved who they are."""
    me = hello.Self(cluster_id=0xC1, member_id=0xA, version="3.7.0")
    good = me.hello(0xA, last_index=7)
    good.sender_id = 0xB
    assert hello.refusal(me, good, known=True, removed=False, started=True) == ("", False)

    def text(**changes: int) -> str:
        wrong = peer.Hello.FromString(good.SerializeToString())
        for name, value in changes.items():
            setattr(wrong, name, value)
        return hello.refusal(me, wrong, known=True, removed=False, started=True)[0]

    assert "cluster c2" in text(cluster_id=0xC2) and "cluster c1" in text(cluster_id=0xC2)
    assert "--initial-cluster-token" in text(cluster_id=0xC2)
    assert "member dd" in text(receiver_id=0xDD) and "member a" in text(receiver_id=0xDD)
    assert "peer protocol 9" in text(protocol=9)
    assert "not a member" in hello.refusal(me, good, known=False, removed=False, started=False)[0]
    assert "was removed" in hello.refusal(me, good, known=False, removed=True, started=False)[0]


def test_wiped_member_is_refused_and_stops() -> None:
    """Rule 15: a member whose disk was lost does not vote again under its old id."""

    async def scenario(cluster: SimulatedCluster) -> None:
        leader = await _start(cluster)
        await SimulatedClient(leader).put(b"k", b"v")
        victim = _others(cluster, leader)[0]
        victim.crash()
        victim.fs = type(victim.fs)()
        victim.start()
        await cluster.until(lambda: victim.failed is not None, what="the wiped member stops")
        assert isinstance(victim.failed, ConfigError)
        assert "has already been bootstrapped" in str(victim.failed)
        assert "add it again" in str(victim.failed)

    simulate(17, scenario)


def test_wiped_member_is_refused_by_the_hello_when_the_others_were_down_at_its_start() -> None:
    """Rule 15: also when nobody could be asked before it started."""

    async def scenario(cluster: SimulatedCluster) -> None:
        leader = await _start(cluster)
        await SimulatedClient(leader).put(b"k", b"v")
        victim, other = _others(cluster, leader)
        for member in cluster.members:
            member.crash()
        victim.fs = type(victim.fs)()
        victim.start()
        await asyncio.sleep(2)
        leader.start()
        other.start()
        await cluster.until(lambda: victim.failed is not None, what="the wiped member stops")
        assert "has already been bootstrapped" in _texts(victim.failed)
        assert (await _get_until_ok(SimulatedClient(other), b"k")).kvs[0].value == b"v"

    simulate(18, scenario)


def test_member_is_known_as_started_only_when_its_log_holds_something() -> None:
    """Rule 15: or it would be refused like one whose disk was lost, at its next connection (found by seed 42 of 10 s)."""

    async def scenario(cluster: SimulatedCluster) -> None:
        cluster.loop.network.delay_s = (0.001, 0.1)
        cluster.start()

        def is_started(running: RunningMember, member_id: int) -> bool:
            member = running.core.machine.members.get(member_id)
            return member is not None and member.started

        for _ in range(1500):
            await asyncio.sleep(0.001)
            running = [member.running for member in cluster.members if member.running is not None]
            for one in running:
                if one.core.node.stable <= hello.BOOTSTRAP_INDEX:
                    assert not any(is_started(other, one.member_id) for other in running)

    simulate(191, scenario, 5, election_timeout_ms=300, heartbeat_interval_ms=29)


def test_hello_read_late_does_not_end_a_member_that_has_acknowledged_since() -> None:
    """Rule 15: a hello waits on the way while its sender gets a log and is published; what it says is old then (seed 155 of 10 s)."""

    async def scenario(cluster: SimulatedCluster) -> None:
        leader = await _start(cluster)
        member = _others(cluster, leader)[0]
        assert leader.running is not None and member.running is not None
        sender, reader = member.running.core.peers, leader.running.core.peers
        late = sender.me.hello(reader.me.member_id, hello.BOOTSTRAP_INDEX)
        answer = reader.greet(late)
        assert answer.bootstrapped, "it is told what whoever lost its disk is told"
        lane = next(lane for lane in sender.lanes() if lane.peer_id == reader.me.member_id)
        with pytest.raises(RemoteProtocolError, match="already been bootstrapped"):
            lane.hear(answer, "http://late")
        await SimulatedClient(member).put(b"k", b"v")
        assert cluster.failures == []

    simulate(192, scenario)


def test_defragment_answers_when_what_a_compaction_removed_is_written() -> None:
    """An operator disarms next: the size of before would raise the alarm again. No log index tells of what is removed."""

    async def scenario(cluster: SimulatedCluster) -> None:
        leader = await _start(cluster)
        client = SimulatedClient(leader)
        for number in range(50):
            revision = (await client.put(b"k", b"%d" % number)).header.revision
        assert leader.running is not None
        core = leader.running.core
        leader.run(lambda running: core.store_writer.maybe_commit(core.applier.applied, force=True))
        await cluster.until(lambda: core.store_writer.durable_index >= core.applier.applied, what="all of the log is in the store")
        await client.call("/etcdserverpb.KV/Compact", rpc.CompactionRequest(revision=revision), rpc.CompactionResponse)
        answered = cluster.loop.create_future()
        await cluster.until(lambda: core.store_writer.tables.pending_records, what="something is removed")
        removed = core.store_writer.tables.pending_records
        core.store_writer.when_written(lambda: answered.set_result(core.store_writer.tables.uncommitted_records))
        leader.run(lambda running: core.pipeline.wake())
        assert removed and await answered < removed

    simulate(194, scenario, backend_batch_interval_ms=60_000)


def _texts(error: BaseException | None) -> str:
    if isinstance(error, BaseExceptionGroup):
        return " ".join(_texts(inner) for inner in error.exceptions)
    return str(error)


def test_configuration_after_a_restart_is_the_applied_one() -> None:
    """Rule 16: what the flags say does not matter once a data directory exists."""

    async def scenario(cluster: SimulatedCluster) -> None:
        leader = await _start(cluster)
        assert leader.running is not None
        before = leader.running.core.node.conf_state
        members = leader.running.service.members()
        await leader.stop()
        cluster.settings["initial_cluster_token"] = "something else"
        leader.start()
        await cluster.serving()
        assert leader.running.core.node.conf_state == before
        assert leader.running.service.members() == members

    simulate(19, scenario)
