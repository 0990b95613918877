"""A watcher whose client stops reading: what it costs, and that it misses nothing (a stock gRPC client on a real process)."""

from __future__ import annotations

import asyncio
import pathlib

import grpc
import pytest

from jepsen_like.cluster import Cluster
from raftkv.client import AsyncClient
from raftkv.pb import rpc

CHANGES = 6_000
VALUE = b"x" * 4_000
GROWTH_BYTES_MAX = 48 << 20


def _anonymous_bytes(pid: int) -> int:
    """Memory of a process that no file stands behind."""
    for line in pathlib.Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("RssAnon:"):
            return int(line.split()[1]) * 1024
    raise AssertionError("the kernel does not tell RssAnon")


@pytest.mark.slow
def test_watcher_that_stops_reading_costs_bounded_memory_and_misses_nothing(tmp_path: pathlib.Path) -> None:
    """24 MB of events to each of four clients that do not read: the member keeps none of it, and each gets all of it later."""
    asyncio.run(_scenario(tmp_path))


async def _scenario(folder: pathlib.Path) -> None:
    async with Cluster(folder, size=1) as cluster:
        cluster.start()
        await cluster.wait_healthy()
        member = cluster.members[0]
        assert member.process is not None
        channels = [grpc.insecure_channel(member.endpoint) for _ in range(4)]
        streams = [_watch(channel) for channel in channels]
        for stream in streams:
            assert next(stream).created
        async with AsyncClient(member.endpoint) as client:
            for number in range(200):
                await client.put(b"k", b"%d " % number + VALUE)
            before = _anonymous_bytes(member.process.pid)
            for number in range(200, CHANGES):
                await client.put(b"k", b"%d " % number + VALUE)
            grown = _anonymous_bytes(member.process.pid) - before
        assert grown < GROWTH_BYTES_MAX, f"grew by {grown >> 20} MiB while {CHANGES * len(VALUE) * 4 >> 20} MiB of events waited"
        for stream in streams:
            assert await asyncio.to_thread(_numbers, stream) == list(range(CHANGES))
        for channel in channels:
            channel.close()


def _watch(channel: grpc.Channel):
    call = channel.stream_stream(
        "/etcdserverpb.Watch/Watch",
        request_serializer=lambda request: request.SerializeToString(),
        response_deserializer=rpc.WatchResponse.FromString,
    )
    return call(iter([rpc.WatchRequest(create_request=rpc.WatchCreateRequest(key=b"k"))]))


def _numbers(stream) -> list[int]:
    found: list[int] = []
    while len(found) < CHANGES:
        found += [int(event.kv.value.split()[0]) for event in next(stream).events]
    return found
