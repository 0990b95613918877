"""Watch fan-out: one writer, a thousand watchers of one prefix, and how long after the put each sees its event.

The writer keeps its pace whatever the server does, and latency counts from the instant a put was due. Every event that arrives
is counted; the run is void when one is missing. The events' values end in the put's number, so the watching side does nothing for
an event but read eight bytes; what it costs all the same is part of both systems' latency, for both run against the same client.
"""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Callable
from typing import NamedTuple

from raftkv.pb import rpc
from raftkv.transport.channel import RpcError
from tests.bench.counters import control
from tests.bench.raw_connection import GeneratorError, RawConnection, request_payload
from tests.bench.results import percentile
from tests.bench.systems import HOST, BenchError, Member

PREFIX = b"bench/watch/"
VALUE_BYTES = 256
BUCKET_S = 0.0001
BUCKETS = 200_000
"""20 s; what takes longer counts as that."""
CREATED_WITHIN_S = 30.0
DRAINED_WITHIN_S = 60.0
_MARK = re.compile(rb"#(\d{8})#")
_MARK_BYTES = 10


class Fan(NamedTuple):
    """The size of the load."""

    connections: int = 100
    streams: int = 10
    puts_per_s: int = 500
    seconds: float = 10.0

    @property
    def watchers(self) -> int:
        """One on each stream."""
        return self.connections * self.streams


class Seen(NamedTuple):
    """The outcome."""

    p50_ms: float
    p99_ms: float
    max_ms: float
    events_per_s: float
    server_cpu_percent: float
    client_cpu_percent: float
    rss_bytes: int


class _Arrivals:
    """When puts were due, and how late their events came."""

    def __init__(self, fan: Fan) -> None:
        self.due_s: list[float] = []
        self.buckets = [0] * BUCKETS
        self.events = 0
        self.created = 0
        self.broken: GeneratorError | None = None
        self.wanted = fan.watchers * round(fan.puts_per_s * fan.seconds)

    def on_broken(self, error: GeneratorError) -> None:
        self.broken = self.broken or error

    async def until(self, reached: Callable[[], bool], within_s: float, what: str) -> None:
        until_s = time.perf_counter() + within_s
        while not reached():
            if self.broken is not None:
                raise BenchError(f"a watcher's connection broke: {self.broken}")
            if time.perf_counter() > until_s:
                raise BenchError(f"{what}: not within {within_s:.0f} s ({self.events} of {self.wanted} events)")
            await asyncio.sleep(0.02)


class _Watchers(RawConnection):
    """The watch streams of one connection."""

    def __init__(self, arrivals: _Arrivals, authority: str, streams: int) -> None:
        super().__init__("/etcdserverpb.Watch/Watch", authority, arrivals.on_broken)
        self._arrivals = arrivals
        self._streams = streams
        self._created: set[int] = set()
        self._tails: dict[int, bytes] = {}

    def on_ready(self) -> None:
        create = rpc.WatchCreateRequest(key=PREFIX, range_end=PREFIX[:-1] + b"0")
        payload = request_payload(rpc.WatchRequest(create_request=create).SerializeToString())
        for _ in range(self._streams):
            self.request(payload, half_close=False)

    def on_end(self, stream_id: int, status: str) -> None:
        self._arrivals.on_broken(GeneratorError(f"a watch ended with grpc-status {status}"))

    def on_data(self, stream_id: int, data: bytes, begin: int, end: int) -> None:
        if stream_id not in self._created:
            self._created.add(stream_id)
            self._arrivals.created += 1
            return
        size = end - begin
        if size < 2 * VALUE_BYTES and stream_id not in self._tails and int.from_bytes(data[begin + 1 : begin + 5], "big") == size - 5:
            # A message of one event, whose value is its last field: nearly all of them are.
            self._count((data[end - 9 : end - 1],))
            return
        text = self._tails.pop(stream_id, b"") + data[begin:end]
        marks = list(_MARK.finditer(text))
        self._count([mark[1] for mark in marks])
        rest = text[max(marks[-1].end() if marks else 0, len(text) - _MARK_BYTES + 1) :]
        if rest:
            self._tails[stream_id] = rest

    def _count(self, numbers: list[bytes] | tuple[bytes, ...]) -> None:
        arrivals = self._arrivals
        now_s, buckets, due_s = time.perf_counter(), arrivals.buckets, arrivals.due_s
        for text in numbers:
            buckets[min(int((now_s - due_s[int(text)]) / BUCKET_S), BUCKETS - 1)] += 1
        arrivals.events += len(numbers)


async def _write(fan: Fan, arrivals: _Arrivals, port: int) -> None:
    """Puts at an even pace; raises BenchError when one is refused."""
    loop = asyncio.get_running_loop()
    async with control(port) as writer:
        refused: list[RpcError] = []
        answered = 0

        def done(body: bytes | None, error: RpcError | None) -> None:
            nonlocal answered
            answered += 1
            if error is not None:
                refused.append(error)

        began_s = time.perf_counter()
        count = round(fan.puts_per_s * fan.seconds)
        while len(arrivals.due_s) < count:
            while len(arrivals.due_s) < count and (due_s := began_s + len(arrivals.due_s) / fan.puts_per_s) <= time.perf_counter():
                number = len(arrivals.due_s)
                arrivals.due_s.append(due_s)
                value = b"#%08d#" % number
                put = rpc.PutRequest(key=PREFIX + b"%06d" % (number % 1000), value=value.rjust(VALUE_BYTES, b"v"))
                writer.channel.unary("/etcdserverpb.KV/Put", put.SerializeToString(), done, deadline_s=loop.time() + DRAINED_WITHIN_S)
            await asyncio.sleep(max(0.0, began_s + len(arrivals.due_s) / fan.puts_per_s - time.perf_counter()))
        await arrivals.until(lambda: answered == count, DRAINED_WITHIN_S, "answers to puts")
        if refused:
            raise BenchError(f"{len(refused)} puts were refused: {refused[0]}")


async def watch_fan_out(member: Member, fan: Fan) -> Seen:
    """Runs the load against one member; raises BenchError unless every watcher saw every put exactly once."""
    arrivals, loop, authority = _Arrivals(fan), asyncio.get_running_loop(), f"{HOST}:{member.client_port}"
    connections: list[_Watchers] = []
    try:
        for _ in range(fan.connections):
            connection = _Watchers(arrivals, authority, fan.streams)
            connections.append(connection)
            await loop.create_connection(lambda made=connection: made, HOST, member.client_port)
        await arrivals.until(lambda: arrivals.created == fan.watchers, CREATED_WITHIN_S, "watches created")
        used, client_cpu_s, began_s = member.usage, time.process_time(), time.perf_counter()
        await _write(fan, arrivals, member.client_port)
        await arrivals.until(lambda: arrivals.events >= arrivals.wanted, DRAINED_WITHIN_S, "events")
        seconds, now_used = time.perf_counter() - began_s, member.usage
        client_cpu_s = time.process_time() - client_cpu_s
    except OSError as exc:
        raise BenchError(f"port {member.client_port}: {exc}") from exc
    finally:
        for connection in connections:
            connection.close()
    if arrivals.events != arrivals.wanted:
        raise BenchError(f"{arrivals.events} events arrived, {arrivals.wanted} were sent")
    most = max(bucket for bucket, count in enumerate(arrivals.buckets) if count)
    return Seen(
        p50_ms=percentile(arrivals.buckets, 0.5) * BUCKET_S * 1000,
        p99_ms=percentile(arrivals.buckets, 0.99) * BUCKET_S * 1000,
        max_ms=most * BUCKET_S * 1000,
        events_per_s=arrivals.events / seconds,
        server_cpu_percent=(now_used.cpu_s - used.cpu_s) / seconds * 100,
        client_cpu_percent=client_cpu_s / seconds * 100,
        rss_bytes=now_used.rss_bytes,
    )
