"""A member in this process, on real sockets."""

from __future__ import annotations

import asyncio
import dataclasses
import errno
import json

import pytest

from jepsen_like.sim.client import SimulatedClient
from jepsen_like.sim.cluster import SimulatedCluster, simulate
from raftkv.embedded import private_member, running_member
from raftkv.errors import RequestError
from raftkv.server.settings import MemberSettings
from raftkv.transport.channel import RpcError

ANY = ("http://127.0.0.1:0",)


async def _get(port: int, path: str) -> tuple[int, bytes]:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        writer.write(f"GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode())
        head, _, body = (await reader.read()).partition(b"\r\n\r\n")
        return int(head.split()[1]), body
    finally:
        writer.close()


@pytest.mark.slow
def test_metrics_urls_are_listened_on_besides_the_others(tmp_path):
    """Three kinds of ports; that of the metrics takes no client's calls, that of the peers tells who they are."""
    settings = MemberSettings(
        name="m",
        data_dir=str(tmp_path / "data"),
        initial_cluster=(("m", ANY[0]),),
        initial_advertise_peer_urls=ANY,
        advertise_client_urls=ANY,
        listen_peer_urls=ANY,
        listen_client_urls=ANY,
        listen_metrics_urls=ANY,
    )

    async def body() -> None:
        async with running_member(settings) as member:
            await member.ready.wait()
            ports = [listener.sockets[0].getsockname()[1] for listener in member.listeners]  # type: ignore[attr-defined]
            assert len(set(ports)) == 3
            status, metrics = await _get(ports[2], "/metrics")
            assert status == 200 and b"\netcd_server_has_leader 1\n" in metrics
            assert await _get(ports[2], "/health") == (200, b'{"health":"true","reason":""}')
            assert (await _get(ports[2], "/version"))[0] == 404
            assert (await _get(ports[1], "/debug/vars"))[0] == 200
            status, members = await _get(ports[0], "/members")
            assert status == 200 and [one["name"] for one in json.loads(members)] == ["m"]
            assert (await _get(ports[0], "/version"))[0] == 200
            assert (await _get(ports[0], "/health"))[0] == 404

    asyncio.run(body())


@pytest.mark.parametrize("count", [1, 3])
def test_member_whose_disk_is_full_ends_at_once(count):
    """After the fatal line nothing is answered any more, so the calls in progress are not waited for: its supervisor can act."""

    async def scenario(cluster: SimulatedCluster) -> None:
        cluster.start()
        await cluster.serving()
        await cluster.until(cluster.leader, what="a leader")
        leader = cluster.leader()
        assert leader is not None
        await SimulatedClient(leader).put(b"k", b"v")
        leader.fail_disk(1, errno.ENOSPC)
        began_s = cluster.loop.time()
        with pytest.raises(RpcError):
            await SimulatedClient(leader).put(b"k", b"w", timeout_s=20.0)
        await cluster.until(lambda: leader.is_down, what="the process has ended")
        assert cluster.loop.time() - began_s < 0.5
        assert [error.errno for _, error in cluster.failures for error in _leaves(error)] == [errno.ENOSPC]

    simulate(1, scenario, count)


def _leaves(error: BaseException) -> list[BaseException]:
    if isinstance(error, BaseExceptionGroup):
        return [leaf for inner in error.exceptions for leaf in _leaves(inner)]
    return [error]


@pytest.mark.slow
def test_store_that_reached_its_quota_is_written_again_after_compaction(tmp_path):
    """What the operators' page says: compact, then disarm. The file does not shrink, and must not count for what it once was."""
    settings = dataclasses.replace(private_member(str(tmp_path / "data")), quota_backend_bytes=4_000_000)

    async def body() -> None:
        async with running_member(settings) as member, member.client() as client:
            for _ in range(2):
                written = 0
                with pytest.raises(RequestError, match="database space exceeded"):
                    while written < 1000:
                        await client.put(f"k{written % 10}", bytes(10_000))
                        written += 1
                assert written > 100, "hardly anything could be written"
                status = await client.maintenance.status()
                await client.compact(status.header.revision, physical=True)
                await client.maintenance.defragment()
                (alarm,) = (await client.maintenance.alarms()).alarms
                await client.maintenance.disarm(alarm)
                await client.put("k", b"v")

    asyncio.run(body())
