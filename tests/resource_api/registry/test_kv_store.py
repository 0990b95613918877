"""The store over a client whose servers are scripts: failover, what is repeated and what is not, where a watch goes on, leases."""

from __future__ import annotations

import asyncio

import pytest

from raftkv.pb import rpc
from raftkv.transport.client import RpcError
from raftkv.transport.grpc_wire import Code
from resource_api.registry.kv_store import KvStore
from resource_api.registry.store import CompactedError, OutcomeUnknownError, StoreUnavailableError
from tests.client.scripted import LoopClock, ScriptedCluster

REFUSED = RpcError(Code.UNAVAILABLE, "connection refused", sent=False)
LOST = RpcError(Code.UNAVAILABLE, "connection lost")


def header(revision: int) -> rpc.ResponseHeader:
    return rpc.ResponseHeader(cluster_id=1, revision=revision)


def written(revision: int) -> bytes:
    return rpc.TxnResponse(header=header(revision), succeeded=True).SerializeToString()


def granted(lease: int) -> bytes:
    return rpc.LeaseGrantResponse(header=header(1), ID=lease, TTL=60).SerializeToString()


def play(cluster: ScriptedCluster, scenario) -> None:
    """Runs a scenario with a store of the cluster."""

    async def body() -> None:
        async with cluster.client() as client:
            await scenario(KvStore(client, clock=LoopClock(cluster.loop)))

    cluster.run(body())


def test_write_that_was_not_sent_goes_to_the_next_endpoint():
    """And one whose fate nobody knows goes nowhere again."""
    cluster = ScriptedCluster(a=[REFUSED], b=[written(7), LOST])

    async def scenario(store):
        assert await store.create("pods/a", b"{}") == 7
        with pytest.raises(OutcomeUnknownError):
            await store.update("pods/a", b"{}", expected_revision=7)

    play(cluster, scenario)
    assert cluster.endpoints_asked == ["a", "b", "b"]


def test_read_is_repeated_until_its_time_is_over():
    """A lost connection does no harm to it."""
    found = rpc.RangeResponse(header=header(9), count=0).SerializeToString()
    cluster = ScriptedCluster(a=[LOST], b=[found])

    async def scenario(store):
        assert await store.revision() == 9
        with pytest.raises(StoreUnavailableError):
            await store.revision()

    play(cluster, scenario)


def test_objects_share_a_lease_while_it_outlives_their_ttl():
    """At most a thousand, and none gets less than its TTL."""
    answers = [granted(5)] + [written(1)] * 1000 + [granted(6), written(2)]
    cluster = ScriptedCluster(a=answers)

    async def scenario(store):
        for number in range(1001):
            await store.create(f"events/{number}", b"{}", ttl_s=3600)

    play(cluster, scenario)
    assert [path for _, path, _ in cluster.asked].count("/etcdserverpb.Lease/LeaseGrant") == 2


def test_lease_that_is_gone_is_replaced_once():
    """The put was refused without effect, so it is made again."""
    gone = RpcError(Code.NOT_FOUND, "etcdserver: requested lease not found")
    cluster = ScriptedCluster(a=[granted(5), gone, granted(6), written(3)])

    async def scenario(store):
        assert await store.create("events/a", b"{}", ttl_s=60) == 3

    play(cluster, scenario)


def test_watch_that_fell_behind_a_compaction_says_so():
    """With the revision that is readable again."""
    status = rpc.StatusResponse(header=header(1), version="3.6.0").SerializeToString()
    cluster = ScriptedCluster(a=[status])

    async def scenario(store):
        async with store.watch("pods/", after_revision=3) as watch:
            changes = aiter(watch)
            await watch.request_progress()

            async def deliver() -> None:
                await cluster.until(lambda: bool(cluster.streams))
                stream = cluster.streams[0]
                create = rpc.WatchRequest.FromString(stream.sent[0]).create_request
                assert (create.key, create.range_end, create.start_revision) == (b"/registry/pods/", b"/registry/pods0", 4)
                assert (create.prev_kv, create.progress_notify, list(create.filters)) == (True, True, [])
                assert rpc.WatchRequest.FromString(stream.sent[1]).HasField("progress_request")
                stream.created(9)
                message = rpc.WatchResponse(header=header(0), canceled=True, compact_revision=8)
                stream.deliver(message.SerializeToString())

            async with asyncio.TaskGroup() as group:
                group.create_task(deliver())
                with pytest.raises(CompactedError) as error:
                    await anext(changes)
            assert error.value.compact_revision == 8

    play(cluster, scenario)


def test_watch_goes_on_elsewhere_behind_what_was_delivered():
    """After a lost connection: the next endpoint, from the last revision on; nothing twice."""
    status = rpc.StatusResponse(header=header(1), version="3.4.20").SerializeToString()
    cluster = ScriptedCluster(a=[status], b=[])

    async def scenario(store):
        async with store.watch("", after_revision=3) as watch:
            changes = aiter(watch)

            async def deliver() -> None:
                await cluster.until(lambda: bool(cluster.streams))
                cluster.streams[0].created(9)
                cluster.streams[0].events([5, 6], header=9)
                cluster.streams[0].end(LOST)
                await cluster.until(lambda: len(cluster.streams) == 2)
                create = rpc.WatchRequest.FromString(cluster.streams[1].sent[0]).create_request
                assert create.start_revision == 7
                cluster.streams[1].created(9)
                cluster.streams[1].progress(8, watch_id=-1)
                cluster.streams[1].events([9])

            async with asyncio.TaskGroup() as group:
                group.create_task(deliver())
                assert [change.revision for change in (await anext(changes)).events] == [5, 6]
                # NB: 3.4.20 answers a request for progress before it has told everything below, so the answer is not believed.
                assert not await watch.request_progress()
                assert [change.revision for change in (await anext(changes)).events] == [9]

    play(cluster, scenario)
    assert cluster.endpoints_asked[-1] == "b"
