"""A cluster of real members on a virtual loop: simulated files, threads, clocks and network, one seed.

The members are those of production (`raftkv.embedded.running_member`, transport included); only the seams differ. A crash
drops a member without running any of its clean-up; a power loss also takes what its files had not synced.
"""

from __future__ import annotations

import asyncio
import contextvars
import random
from collections.abc import Callable
from typing import Any, TypeVar

from raftkv.embedded import Environment, RunningMember, running_member
from raftkv.pb import rpc
from raftkv.server.bootstrap import Platform
from raftkv.server.settings import MemberSettings
from raftkv.storage.memory_backend import MemoryOpener
from raftkv.storage.memory_fs import MemoryFileSystem
from raftkv.transport.channel import Channel, RpcError
from tests.support.loop import HOST, LIFE, Life, VirtualLoop

T = TypeVar("T")

CLIENT_PORT = 2379
PEER_PORT = 2380


class SimulatedClock:
    """Virtual time; the wall clock is ahead of it by a constant."""

    def __init__(self, loop: VirtualLoop, seed: int) -> None:
        self._loop = loop
        self._random = random.Random(seed)

    def monotonic_s(self) -> float:
        return self._loop.time()

    def wall_s(self) -> float:
        return 1_800_000_000.0 + self._loop.time()

    def random(self) -> random.Random:
        return self._random


class SimulatedWorker:
    """Runs each job after a latency; jobs of one worker in order, one at a time."""

    def __init__(self, loop: VirtualLoop, latency_s: tuple[float, float]) -> None:
        self._loop = loop
        self._latency_s = latency_s
        self._free_s = 0.0
        self._last = 0

    def submit(self, job: Callable[[], T], report: Callable[[T | None, BaseException | None], None]) -> None:
        def run() -> None:
            result: Any = None
            failure: BaseException | None = None
            try:
                result = job()
            except Exception as error:
                failure = error
            self._loop.call_soon(report, result, failure)

        self._at(run)

    def close(self, report: Callable[[], None]) -> None:
        self._at(report)

    def _at(self, callback: Callable[[], None]) -> None:
        low, high = self._latency_s
        when = max(self._loop.time(), self._free_s) + low + (high - low) * self._loop.random.random()
        self._free_s = when
        self._loop.call_at(when, callback)


class SimulatedMember:
    """One machine: its files outlive its processes."""

    def __init__(self, cluster: SimulatedCluster, index: int) -> None:
        self.cluster = cluster
        self.host = f"m{index}"
        self.fs = MemoryFileSystem()
        self.life: Life | None = None
        self.running: RunningMember | None = None
        self.failed: BaseException | None = None
        self._ended: asyncio.Future[None] | None = None
        self._stop: asyncio.Event | None = None
        self._starts = 0

    def settings(self) -> MemberSettings:
        return MemberSettings(
            name=self.host,
            data_dir="/data",
            initial_cluster=tuple((member.host, f"http://{member.host}:{PEER_PORT}") for member in self.cluster.members),
            initial_advertise_peer_urls=(f"http://{self.host}:{PEER_PORT}",),
            advertise_client_urls=(f"http://{self.host}:{CLIENT_PORT}",),
            listen_peer_urls=(f"http://{self.host}:{PEER_PORT}",),
            listen_client_urls=(f"http://{self.host}:{CLIENT_PORT}",),
            **self.cluster.settings,
        )

    def start(self) -> None:
        """Starts a process on this machine."""
        assert self.life is None or self.life.over
        loop = self.cluster.loop
        self._starts += 1
        self.life = Life()
        self.failed = None
        self._stop, self._ended = asyncio.Event(), loop.create_future()
        context = contextvars.copy_context()
        context.run(HOST.set, self.host)
        context.run(LIFE.set, self.life)
        loop.create_task(self._run(), context=context, name=f"process {self.host}")

    async def _run(self) -> None:
        loop = self.cluster.loop
        assert self._stop is not None and self._ended is not None and self.life is not None
        environment = Environment(
            Platform(self.fs, MemoryOpener(self.fs), lambda _: None),
            SimulatedClock(loop, self.cluster.seed * 1000 + self._starts * 10 + int(self.host[1:])),
            lambda name: SimulatedWorker(loop, self.cluster.disk_s),
        )
        try:
            async with running_member(self.settings(), environment=environment) as member:
                self.running = member
                await self._stop.wait()
        except BaseException as error:
            self.failed = error
            if not isinstance(error, Exception):
                raise
        finally:
            self.running = None
            if not self.life.over:
                self.life = None
                self._ended.set_result(None)

    def crash(self, *, power: bool = False) -> None:
        """kill -9, or with `power` a power cut of this machine."""
        if self.life is not None:
            self.life.over = True
        self.running = None
        self.cluster.loop.network.crash(self.host)
        if power:
            self.fs.lose_power(self.cluster.loop.random)
        else:
            self.fs.kill()

    async def stop(self) -> None:
        """SIGTERM."""
        assert self._stop is not None and self._ended is not None
        self._stop.set()
        await self._ended


class SimulatedClient:
    """One connection to one member, made again when it breaks; no retries of calls."""

    def __init__(self, member: SimulatedMember) -> None:
        self._member = member
        self._channel: Channel | None = None

    async def call(self, path: str, request: Any, response: type[T], timeout_s: float = 3.0) -> T:
        """One unary call. Raises RpcError."""
        if self._channel is None or not self._channel.accepts_calls:
            if self._channel is not None:
                self._channel.close()
            self._channel = Channel((self._member.host, CLIENT_PORT))
            await self._channel.connect(timeout_s)
        body = await self._channel.call(path, request.SerializeToString(), timeout_s=timeout_s)
        return response.FromString(body)  # type: ignore[attr-defined, no-any-return]

    async def put(self, key: bytes, value: bytes, timeout_s: float = 3.0) -> rpc.PutResponse:
        return await self.call("/etcdserverpb.KV/Put", rpc.PutRequest(key=key, value=value), rpc.PutResponse, timeout_s)

    async def get(self, key: bytes, timeout_s: float = 3.0) -> rpc.RangeResponse:
        return await self.call("/etcdserverpb.KV/Range", rpc.RangeRequest(key=key), rpc.RangeResponse, timeout_s)

    def close(self) -> None:
        if self._channel is not None:
            self._channel.close()
            self._channel = None


class SimulatedCluster:
    """N machines on one loop."""

    def __init__(self, loop: VirtualLoop, seed: int, count: int = 3, **settings: Any) -> None:
        self.loop = loop
        self.seed = seed
        self.settings = settings
        self.disk_s = (0.0001, 0.002)
        self.members: list[SimulatedMember] = []
        self.members += [SimulatedMember(self, index) for index in range(count)]

    def start(self) -> None:
        for member in self.members:
            member.start()

    def leader(self) -> SimulatedMember | None:
        """The member that leads in the highest term, if one runs."""
        leading = [m for m in self.members if m.running is not None and m.running.core.pipeline.is_leader()]
        return max(leading, key=lambda m: m.running.core.node.term, default=None)  # type: ignore[union-attr]

    async def until(self, condition: Callable[[], Any], timeout_s: float = 30.0, what: str = "condition") -> None:
        """Waits in virtual time, looking every 10 ms."""
        deadline = self.loop.time() + timeout_s
        while not condition():
            if self.loop.time() >= deadline:
                raise AssertionError(f"{what}: not within {timeout_s} virtual seconds")
            await asyncio.sleep(0.01)

    async def serving(self, timeout_s: float = 30.0) -> None:
        """Waits until every running member has published itself."""
        await self.until(
            lambda: all(m.life is None or m.life.over or (m.running is not None and m.running.ready.is_set()) for m in self.members),
            timeout_s,
            "every member serves",
        )


def simulate(seed: int, scenario: Callable[[SimulatedCluster], Any], count: int = 3, **settings: Any) -> VirtualLoop:
    """Runs a scenario to its end and returns the loop, for its trace hash."""
    loop = VirtualLoop(seed)
    asyncio.set_event_loop(loop)
    try:
        cluster = SimulatedCluster(loop, seed, count, **settings)
        loop.run_until_complete(loop.create_task(scenario(cluster)))
        for member in cluster.members:
            if member.life is not None:
                member.life.over = True
        return loop
    finally:
        asyncio.set_event_loop(None)


__all__ = ["RpcError", "SimulatedClient", "SimulatedCluster", "SimulatedMember", "simulate"]
