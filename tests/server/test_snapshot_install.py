"""A snapshot that arrives while the member goes on living: reads, slow disks, connections that die, stops."""

from __future__ import annotations

import asyncio

from jepsen_like.history import History
from jepsen_like.sim.client import RpcError, SimulatedClient
from jepsen_like.sim.cluster import SimulatedCluster, SimulatedMember, simulate
from jepsen_like.sim.world import SimulatedWorld
from raftkv.client import Prefix
from raftkv.pb import rpc
from raftkv.storage.backend import Table

SMALL = {"snapshot_count": 10, "snapshot_catchup_entries": 2, "wal_segment_bytes": 4096}


async def _roles(cluster: SimulatedCluster) -> tuple[SimulatedMember, SimulatedMember, SimulatedMember]:
    """Leader, another, and a third, which is to fall behind; all serve."""
    cluster.start()
    await cluster.serving()
    await cluster.until(cluster.leader, what="a leader")
    leader = cluster.leader()
    assert leader is not None
    lagging, other = [member for member in cluster.members if member is not leader]
    return leader, other, lagging


async def _behind(cluster: SimulatedCluster, value_bytes: int = 0) -> tuple[SimulatedMember, SimulatedMember, SimulatedMember]:
    """Leader, another, and a member that is cut off and so far behind that it needs a snapshot."""
    leader, other, lagging = await _roles(cluster)
    await _fall_behind(cluster, leader, other, lagging, value_bytes)
    return leader, other, lagging


async def _fall_behind(
    cluster: SimulatedCluster, leader: SimulatedMember, other: SimulatedMember, lagging: SimulatedMember, value_bytes: int = 0
) -> None:
    client = SimulatedClient(leader)
    for number in range(40):
        await client.put(b"k%d" % (number % 20), b"first %d" % number)
    cluster.loop.network.isolate(lagging.host, [leader.host, other.host])
    # Until the others have noticed: the log is kept for members that are connected.
    await asyncio.sleep(5)
    for number in range(60):
        await client.put(b"k%d" % (number % 20), b"%d" % number + bytes(value_bytes))
    await asyncio.sleep(0.5)


def _revision(member: SimulatedMember) -> int:
    return member.running.core.store.revision if member.running is not None else 0


def _texts(error: BaseException | None) -> str:
    return " ".join(map(_texts, error.exceptions)) if isinstance(error, BaseExceptionGroup) else str(error)


async def _caught_up(cluster: SimulatedCluster, member: SimulatedMember, revision: int, timeout_s: float = 20.0) -> None:
    await cluster.until(lambda: _revision(member) >= revision, timeout_s, f"{member.host} has revision {revision}")
    assert not cluster.failures, cluster.failures


def test_install_on_a_disk_slower_than_a_second_ends_well() -> None:
    """A snapshot that is being installed is not taken for one that was refused, however long its steps take."""

    async def scenario(cluster: SimulatedCluster) -> None:
        leader, _, lagging = await _behind(cluster)
        lagging.disk_s = (1.5, 2.0)
        cluster.loop.network.heal()
        await _caught_up(cluster, lagging, _revision(leader), 60.0)
        assert lagging.running is not None and lagging.running.core.transfers.received_total >= 1
        lagging.disk_s = None
        lagging.crash(power=True)
        lagging.start()
        await cluster.serving()
        await _caught_up(cluster, lagging, _revision(leader))

    simulate(31, scenario, **SMALL)


def test_install_serves_local_reads_and_hashes_before_and_after() -> None:
    """While the store is replaced no read touches it: reads, long ones and hashes wait and see the new one; nobody is told of a fault."""

    async def scenario(cluster: SimulatedCluster) -> None:
        leader, _, lagging = await _behind(cluster)
        answers: list[int] = []
        stopping = False

        async def read() -> None:
            client = SimulatedClient(lagging)
            while not stopping:
                try:
                    found = await client.call(
                        "/etcdserverpb.KV/Range", rpc.RangeRequest(key=b"k", range_end=b"l", serializable=True), rpc.RangeResponse
                    )
                    answers.append(found.header.revision)
                    past = rpc.RangeRequest(key=b"k", range_end=b"l", serializable=True, revision=15)
                    assert len((await client.call("/etcdserverpb.KV/Range", past, rpc.RangeResponse)).kvs) == 14
                    await client.call("/etcdserverpb.Maintenance/Hash", rpc.HashRequest(), rpc.HashResponse)
                    await client.call("/etcdserverpb.Maintenance/HashKV", rpc.HashKVRequest(), rpc.HashKVResponse)
                    await client.call("/etcdserverpb.Maintenance/Status", rpc.StatusRequest(), rpc.StatusResponse)
                except RpcError as error:
                    raise AssertionError(f"a local read failed: {error}") from error
                await asyncio.sleep(0.0005)

        lagging.disk_s = (0.2, 0.3)
        cluster.loop.network.heal()
        readers = [cluster.loop.create_task(read()) for _ in range(4)]
        await _caught_up(cluster, lagging, _revision(leader), 60.0)
        await asyncio.sleep(0.5)
        stopping = True
        for reader in readers:
            await reader
        assert answers == sorted(answers) or len(set(answers)) > 1
        assert max(answers) == _revision(leader)
        assert lagging.running is not None and lagging.running.core.transfers.received_total >= 1

    simulate(32, scenario, **SMALL)


def test_snapshot_whose_acknowledgement_was_lost_does_not_block_the_follower() -> None:
    """A follower refuses a snapshot it has passed already, and its leader learns from that where it stands (raft's on_snapshot)."""

    async def scenario(cluster: SimulatedCluster) -> None:
        leader, other, lagging = await _behind(cluster)
        other.crash()
        network = cluster.loop.network
        network.heal()
        # What the follower says of the state it gets is held back, then lost with its connections.
        lagging.disk_s = (0.02, 0.03)
        await _receiving(lagging)
        network.cut(lagging.host, leader.host)
        await cluster.until(lambda: _revision(lagging) == _revision(leader), what="installed")
        network.reset(lagging.host, leader.host)
        await asyncio.sleep(0.01)
        network.heal()
        revision = (await _put_until_ok(SimulatedClient(leader), b"after", b"x")).header.revision
        await _caught_up(cluster, lagging, revision)

    simulate(33, scenario, **SMALL)


async def _receiving(member: SimulatedMember) -> None:
    """Waits until the first chunk is there, and not a millisecond longer."""
    while True:
        if member.running is not None and member.running.core.transfers.is_receiving:
            return
        await asyncio.sleep(0.0003)


async def _put_until_ok(client: SimulatedClient, key: bytes, value: bytes) -> rpc.PutResponse:
    for _ in range(5):
        try:
            return await client.put(key, value, timeout_s=5.0)
        except RpcError:
            await asyncio.sleep(0.2)
    raise AssertionError("no write succeeds with two of three members up")


def test_snapshot_sender_that_vanished_does_not_block_the_next() -> None:
    """A machine that lost its power in the middle of sending never closes its connection; the receiver must give it up."""

    async def scenario(cluster: SimulatedCluster) -> None:
        leader, other, lagging = await _behind(cluster, value_bytes=200_000)
        cluster.loop.network.heal()
        await _receiving(lagging)
        leader.crash(power=True, silent=True)
        revision = (await _put_until_ok(SimulatedClient(other), b"after", b"x")).header.revision
        await _caught_up(cluster, lagging, revision, 40.0)

    simulate(34, scenario, **SMALL)


def test_disk_that_fails_under_a_snapshot_ends_the_member_also_when_the_sender_vanished() -> None:
    """Design §4 rule 2: whether somebody is there to be told of it or not (found by seed 79 of 60 s)."""

    async def scenario(cluster: SimulatedCluster) -> None:
        leader, _, lagging = await _behind(cluster, value_bytes=200_000)
        cluster.loop.network.heal()
        await _receiving(lagging)
        assert lagging.disk is not None
        disk = lagging.disk
        lagging.fail_disk(1)
        await cluster.until(lambda: disk.failed, what="a write fails")
        leader.crash()
        await cluster.until(lambda: lagging.failed is not None, 10.0, "the member ends")
        assert "/snap/" in _texts(lagging.failed)

    simulate(46, scenario, **SMALL)


def test_stop_in_the_middle_of_an_install_leaves_nothing_behind() -> None:
    """A stop ends at any moment of an installation without an error, and the next start finishes it."""

    async def scenario(cluster: SimulatedCluster, wait_s: float) -> None:
        leader, _, lagging = await _behind(cluster)
        lagging.disk_s = (0.1, 0.15)
        cluster.loop.network.heal()
        await _receiving(lagging)
        await asyncio.sleep(wait_s)
        await lagging.stop()
        assert not cluster.failures, cluster.failures
        lagging.disk_s = None
        lagging.start()
        await _caught_up(cluster, lagging, _revision(leader))

    for step in range(6):
        simulate(35 + step, lambda cluster: scenario(cluster, step * 0.19), **SMALL)  # noqa: B023 - called at once


def test_refused_snapshot_is_not_sent_again_for_an_election_timeout(caplog) -> None:
    """Each answer to a heartbeat would begin another, and reads make those frequent: the store would be sent over and over."""
    refused_s: list[float] = []

    async def scenario(cluster: SimulatedCluster) -> None:
        leader, _, lagging = await _behind(cluster)
        assert lagging.running is not None
        transfers = lagging.running.core.transfers
        # Another transfer has the place: every one that comes is refused.
        other_intake = transfers.intake()
        assert transfers.begin(other_intake)
        cluster.loop.network.heal()
        client, seen = SimulatedClient(leader), 0
        ends_s = cluster.loop.time() + 6.0
        while cluster.loop.time() < ends_s:
            await client.get(b"k1")
            await asyncio.sleep(0.001)
            count = sum(record.message == "failed to send database snapshot" for record in caplog.records)
            refused_s.extend([cluster.loop.time()] * (count - seen))
            seen = count
        transfers.release(other_intake)
        await _caught_up(cluster, lagging, _revision(leader))

    simulate(37, scenario, **SMALL)
    assert 3 <= len(refused_s) <= 6
    assert all(later - earlier >= 0.9 for earlier, later in zip(refused_s, refused_s[1:], strict=False))


def test_watcher_of_a_member_that_installs_a_snapshot_is_shown_every_event_once() -> None:
    """faults §5c 62: what the snapshot skipped is read from the new store, and nothing comes again."""
    shown: list[int] = []

    async def scenario(cluster: SimulatedCluster) -> None:
        leader, other, lagging = await _roles(cluster)

        async def watch() -> None:
            async with SimulatedWorld(cluster, History()).client(lagging.host) as client:
                async for event in client.watch(Prefix("k"), require_leader=False):
                    shown.append(event.kv.mod_revision)

        watching = cluster.loop.create_task(watch())
        await asyncio.sleep(0.2)
        await _fall_behind(cluster, leader, other, lagging)
        assert len(shown) == 40
        cluster.loop.network.heal()
        await _caught_up(cluster, lagging, _revision(leader))
        await _put_until_ok(SimulatedClient(leader), b"k", b"last")
        await cluster.until(lambda: len(shown) >= 101, what="every event is shown")
        await asyncio.sleep(0.5)
        assert lagging.running is not None and lagging.running.core.transfers.received_total >= 1
        watching.cancel()

    simulate(41, scenario, **SMALL)
    assert shown == list(range(2, 103))


def test_leases_of_a_member_that_installed_a_snapshot_are_those_of_the_snapshot() -> None:
    """One granted while the member was away ends by its clock when it comes to lead."""

    async def scenario(cluster: SimulatedCluster) -> None:
        leader, other, lagging = await _roles(cluster)
        await _fall_behind(cluster, leader, other, lagging)
        client = SimulatedClient(leader)
        granted = await client.call("/etcdserverpb.Lease/LeaseGrant", rpc.LeaseGrantRequest(TTL=5), rpc.LeaseGrantResponse)
        await client.call("/etcdserverpb.KV/Put", rpc.PutRequest(key=b"leased", value=b"v", lease=granted.ID), rpc.PutResponse)
        for number in range(20):
            await client.put(b"k", b"%d" % number)
        cluster.loop.network.heal()
        await _caught_up(cluster, lagging, _revision(leader))
        assert lagging.running is not None and lagging.running.core.transfers.received_total >= 1
        target_id = lagging.running.member_id
        leader.run(lambda running: running.core.transfer_leader(target_id, lambda error: None))
        await cluster.until(lambda: cluster.leader() is lagging, what="it leads")
        await asyncio.sleep(8)
        assert cluster.leader() is lagging
        assert (await SimulatedClient(lagging).get(b"leased")).count == 0

    simulate(42, scenario, **SMALL)


def test_store_is_replaced_only_when_its_last_commit_has_returned() -> None:
    """faults §5c 52: a commit that runs when the snapshot is marked ends before the store goes."""

    async def scenario(cluster: SimulatedCluster) -> None:
        leader, _, lagging = await _behind(cluster)
        lagging.disk_s = (0.2, 0.2)
        cluster.loop.network.heal()
        await cluster.until(lambda: lagging.running and lagging.running.core.transfers._installing, 60.0, "it is installed")
        assert lagging.running is not None
        core = lagging.running.core
        core.store_writer.tables.put(Table.META, b"noted", b"last")
        lagging.run(lambda running: core.store_writer.maybe_commit(core.applier.applied, force=True))
        assert core.store_writer.busy
        await _caught_up(cluster, lagging, _revision(leader), 60.0)

    simulate(43, scenario, **SMALL)


def test_another_snapshot_is_refused_until_the_last_is_in_place() -> None:
    """etcd #18055: leadership moves while a snapshot is installed, and the next leader sends one, too."""

    async def scenario(cluster: SimulatedCluster) -> None:
        leader, other, lagging = await _behind(cluster)
        lagging.disk_s = (0.5, 0.6)
        cluster.loop.network.heal()
        await _receiving(lagging)
        assert lagging.running is not None and other.running is not None
        transfers, target_id = lagging.running.core.transfers, other.running.member_id
        leader.run(lambda running: running.core.transfer_leader(target_id, lambda error: None))
        await cluster.until(lambda: transfers._complete or transfers._installing, what="it is taken")
        while transfers.is_receiving:
            assert not transfers.begin(transfers.intake())
            await asyncio.sleep(0.01)
        lagging.disk_s = None
        await _caught_up(cluster, lagging, _revision(leader), 60.0)

    simulate(44, scenario, **SMALL)


def test_installed_store_is_in_place_for_good_before_the_log_is_reset() -> None:
    """Design §4 rule 8: a later own snapshot's mark says nothing of the received one, so its store's name must be durable by then."""

    async def scenario(cluster: SimulatedCluster) -> None:
        leader, _, lagging = await _behind(cluster)
        cluster.loop.network.heal()
        await _caught_up(cluster, lagging, _revision(leader))
        for number in range(30):
            await SimulatedClient(leader).put(b"k", b"%d" % number)
        await _caught_up(cluster, lagging, _revision(leader))
        await asyncio.sleep(0.5)
        lagging.crash(power=True)
        lagging.start()
        await cluster.serving()
        await _caught_up(cluster, lagging, _revision(leader))

    for seed in range(45, 49):
        simulate(seed, scenario, **SMALL)
