"""A cluster of real members on a virtual loop: simulated files, threads, clocks and network, one seed.

The members are those of production (`raftkv.embedded.running_member`, transport included); only the seams differ. A crash
drops a member without running any of its clean-up; a power loss also takes what its files had not synced.
"""

from __future__ import annotations

import asyncio
import contextvars
import errno
import random
from collections.abc import Callable
from typing import Any, TypeVar

from raftkv.embedded import Environment, RunningMember, running_member
from raftkv.pb import rpc
from raftkv.server.bootstrap import Platform
from raftkv.server.settings import MemberSettings
from raftkv.storage.faulty_fs import Fault, FaultyFileSystem
from raftkv.storage.memory_backend import MemoryOpener
from raftkv.storage.memory_fs import MemoryFileSystem
from raftkv.transport.channel import Channel, RpcError
from raftkv.transport.grpc_wire import Code
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

    def __init__(self, loop: VirtualLoop, latency_s: Callable[[], tuple[float, float]]) -> None:
        self._loop = loop
        self._latency_s = latency_s
        self._free_s = 0.0
        self._closed = False

    def submit(self, job: Callable[[], T], report: Callable[[T | None, BaseException | None], None]) -> None:
        assert not self._closed, "submit after close"

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
        assert not self._closed, "closed twice"
        self._closed = True
        # Behind the last job's report, as a thread's is.
        self._at(lambda: self._loop.call_soon(report))

    def _at(self, callback: Callable[[], object]) -> None:
        low, high = self._latency_s()
        when = max(self._loop.time(), self._free_s) + low + (high - low) * self._loop.random.random()
        self._free_s = when
        self._loop.call_at(when, callback)


class SimulatedMember:
    """One machine: its files outlive its processes."""

    def __init__(self, cluster: SimulatedCluster, index: int) -> None:
        self.cluster = cluster
        self.host = f"m{index}"
        self.fs = MemoryFileSystem()
        self.disk_s: tuple[float, float] | None = None
        """How long a job of a worker takes; None: what the cluster says."""
        self.faulty: FaultyFileSystem | None = None
        """The running process's view of its files; add to its `faults` to make them fail."""
        self.life: Life | None = None
        self.running: RunningMember | None = None
        self.failed: BaseException | None = None
        self._ended: asyncio.Future[None] | None = None
        self._stop: asyncio.Event | None = None
        self._starts = 0
        self._context = contextvars.copy_context()

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
        context = self._context = contextvars.copy_context()
        context.run(HOST.set, self.host)
        context.run(LIFE.set, self.life)
        loop.create_task(self._run(), context=context, name=f"process {self.host}")

    async def _run(self) -> None:
        loop = self.cluster.loop
        assert self._stop is not None and self._ended is not None and self.life is not None
        self.faulty = FaultyFileSystem(self.fs)
        environment = Environment(
            Platform(self.faulty, MemoryOpener(self.faulty)),
            SimulatedClock(loop, self.cluster.seed * 1000 + self._starts * 10 + int(self.host[1:])),
            lambda name: SimulatedWorker(loop, lambda: self.disk_s or self.cluster.disk_s),
        )
        try:
            async with running_member(self.settings(), environment=environment) as member:
                self.running = member
                await self._stop.wait()
        except BaseException as error:
            self.failed = error
            if not self.life.over:
                self.cluster.failures.append((self.host, error))
            if not isinstance(error, Exception):
                raise
        finally:
            self.running = None
            if not self.life.over:
                self.life = None
                self._ended.set_result(None)

    def crash(self, *, power: bool = False, silent: bool = False) -> None:
        """kill -9, or with `power` a power cut of this machine; `silent`: no connection is reset."""
        if self.life is not None:
            self.life.over = True
        self.running = None
        if silent:
            self.cluster.loop.network.vanish(self.host)
        self.cluster.loop.network.crash(self.host)
        if power:
            self.fs.lose_power(self.cluster.loop.random)
        else:
            self.fs.kill()

    def run(self, act: Callable[[RunningMember], T]) -> T | None:
        """Does something inside the running process, if there is one, as a callback of its own would."""
        return None if self.running is None else self._context.copy().run(act, self.running)

    def pause(self) -> None:
        """SIGSTOP."""
        if self.life is not None:
            self.life.paused = True

    def resume(self) -> None:
        """SIGCONT."""
        if self.life is not None and self.life.paused:
            self.cluster.loop.resume(self.life)

    def fail_disk(self, after_calls: int, error: int = errno.EIO, short_bytes: int = 0) -> None:
        """Makes one of the coming calls that change files fail."""
        if self.faulty is not None:
            call = len(self.faulty.log) + after_calls
            self.faulty.faults[call] = Fault(call, error, short_bytes)

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
        channel = await self.channel(timeout_s)
        body = await channel.call(path, request.SerializeToString(), timeout_s=timeout_s)
        return response.FromString(body)  # type: ignore[attr-defined, no-any-return]

    async def channel(self, timeout_s: float) -> Channel:
        """The connection, made if there is none. Raises RpcError."""
        if self._channel is None or not self._channel.accepts_calls:
            self.close()
            self._channel = Channel((self._member.host, CLIENT_PORT))
            await self._channel.connect(timeout_s)
        return self._channel

    async def keep_alive(self, lease_id: int, timeout_s: float = 3.0) -> int:
        """One keepalive on a stream of its own; the TTL, 0 when the lease is not there. Raises RpcError."""
        channel = await self.channel(timeout_s)
        loop = asyncio.get_running_loop()
        answered: asyncio.Future[int] = loop.create_future()

        def on_message(body: bytes) -> None:
            if not answered.done():
                answered.set_result(rpc.LeaseKeepAliveResponse.FromString(body).TTL)

        def on_done(error: RpcError | None) -> None:
            if not answered.done():
                answered.set_exception(error or RpcError(Code.UNKNOWN, "no answer"))

        deadline_s = loop.time() + timeout_s
        call = channel.stream("/etcdserverpb.Lease/LeaseKeepAlive", on_message=on_message, on_done=on_done, deadline_s=deadline_s)
        call.send(rpc.LeaseKeepAliveRequest(ID=lease_id).SerializeToString())
        call.half_close()
        return await answered

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
        self.failures: list[tuple[str, BaseException]] = []
        """Every process that ended with an error, and which."""
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
        assert not loop.callback_errors, "callbacks raised:\n" + "\n".join(loop.callback_errors[:3])
        return loop
    finally:
        asyncio.set_event_loop(None)


__all__ = ["RpcError", "SimulatedClient", "SimulatedCluster", "SimulatedMember", "simulate"]
