"""Keeping leases alive on our own clock."""

from __future__ import annotations

import asyncio

import pytest

from raftkv import errors
from raftkv.client import AsyncClient
from raftkv.pb import rpc
from raftkv.transport.client import RpcError
from raftkv.transport.grpc_wire import Code
from tests.client.scripted import ScriptedCluster

LEASE = 7


def renewed(ttl_s: int) -> bytes:
    return rpc.LeaseKeepAliveResponse(header=rpc.ResponseHeader(cluster_id=1), ID=LEASE, TTL=ttl_s).SerializeToString()


async def _serve(cluster: ScriptedCluster, ttls_s: list[int | RpcError | None]) -> None:
    """Answers one renewal after the other; `None` not at all."""
    for number, ttl_s in enumerate(ttls_s):
        await cluster.until(lambda: len(cluster.streams) > number)  # noqa: B023  Awaited before the number changes.
        stream = cluster.streams[number]
        assert rpc.LeaseKeepAliveRequest.FromString(stream.sent[0]).ID == LEASE
        if isinstance(ttl_s, RpcError):
            stream.end(ttl_s)
        elif ttl_s is not None:
            stream.deliver(renewed(ttl_s))


async def _keep(client: AsyncClient, times: list[float], cluster: ScriptedCluster, count: int) -> None:
    async for _ in client.leases.keep_alive(LEASE):
        times.append(round(cluster.elapsed_s(), 1))
        if len(times) == count:
            return


def _run(cluster: ScriptedCluster, answers: list[int | RpcError | None], count: int) -> list[float]:
    times: list[float] = []

    async def body() -> None:
        async with asyncio.TaskGroup() as tasks:
            server = tasks.create_task(_serve(cluster, answers))
            try:
                await _keep(cluster.client(), times, cluster, count)
            finally:
                server.cancel()

    try:
        cluster.run(body())
    except ExceptionGroup as group:
        raise group.exceptions[0] from None
    return times


def test_lease_is_renewed_every_third_of_its_ttl():
    """Two renewals may be lost before it expires."""
    assert _run(ScriptedCluster(a=[]), [9, 9, 9, 9], 4) == [0.0, 3.0, 6.0, 9.0]


def test_lease_that_the_server_does_not_know_ends_the_loop():
    """TTL 0 on an open stream is how a server says so."""
    with pytest.raises(errors.LeaseNotFoundError):
        _run(ScriptedCluster(a=[]), [9, 0], 5)


def test_lost_renewal_is_repeated_at_another_endpoint():
    """Renewing twice harms nobody."""
    cluster = ScriptedCluster(a=[], b=[])
    assert _run(cluster, [9, RpcError(Code.UNAVAILABLE, "connection lost"), 9], 2) == [0.0, 3.0]
    assert cluster.endpoints_asked == ["a", "a", "b"]


def test_lease_that_cannot_be_renewed_is_given_up_when_it_expires_by_our_clock():
    """Counted from when the last answered renewal was sent, so that we stop before the server frees it."""
    cluster = ScriptedCluster(a=[])
    with pytest.raises(errors.LeaseNotFoundError):
        _run(cluster, [9, None], 5)
    assert cluster.elapsed_s() == pytest.approx(9.0, abs=0.1)


def test_renewal_once_respects_the_deadline():
    """A server that says nothing is not waited for longer than asked."""
    cluster = ScriptedCluster(a=[])
    with pytest.raises(errors.DeadlineExceededError):
        cluster.run(cluster.client(timeout_s=2.0).leases.keep_alive_once(LEASE))
    assert cluster.elapsed_s() == pytest.approx(2.0)
