"""A cluster of real members on a virtual loop: simulated files, threads, clocks and network, one seed.

The members are those of production (`raftkv.embedded.running_member`, transport included); only the seams differ. A crash
drops a member without running any of its clean-up; a power loss also takes what its files had not synced.
"""

from __future__ import annotations

import asyncio
import contextvars
import errno
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

from jepsen_like.sim.loop import VirtualLoop
from jepsen_like.sim.machine import Rot, SimulatedClock, SimulatedDisk, SimulatedWorker
from jepsen_like.sim.process import HOST, LIFE, Life
from raftkv.embedded import Environment, RunningMember, running_member
from raftkv.server.bootstrap import Platform
from raftkv.server.settings import MemberSettings
from raftkv.storage.faulty_fs import Fault
from raftkv.storage.memory_backend import MemoryOpener
from raftkv.storage.memory_fs import MemoryFileSystem

T = TypeVar("T")

CLIENT_PORT = 2379
PEER_PORT = 2380


class SimulatedMember:
    """One machine: its files outlive its processes."""

    def __init__(self, cluster: SimulatedCluster, index: int) -> None:
        self.cluster = cluster
        self.index = index
        self.host = f"m{index}"
        self.fs = MemoryFileSystem()
        self.disk_s: tuple[float, float] | None = None
        """How long a job of a worker takes; None: what the cluster says."""
        self.wall_offset_s = 0.0
        self.rot: Rot | None = None
        """What the next process reads instead of its files' bytes."""
        self.rate = 1.0
        """Of the monotonic clock, from the next start on; `set_rate` changes a running process's."""
        self.disk: SimulatedDisk | None = None
        """The running process's view of its files, or the last one's."""
        self._calls_before = 0
        self.life: Life | None = None
        self.running: RunningMember | None = None
        self.failed: BaseException | None = None
        self.starts = 0
        self.joins: tuple[tuple[str, str], ...] = ()
        """Names and peer URLs of the running cluster that it joins at its next start; empty: it is one of the founders."""
        self._ended: asyncio.Future[None] | None = None
        self._stop: asyncio.Event | None = None
        self._workers: list[SimulatedWorker] = []
        self._context = contextvars.copy_context()
        self._random = cluster.loop.streams.get("machine", self.host)

    @property
    def peer_url(self) -> str:
        """Where members reach it."""
        return f"http://{self.host}:{PEER_PORT}"

    def settings(self) -> MemberSettings:
        """What the member is told."""
        return MemberSettings(
            name=self.host,
            data_dir="/data",
            initial_cluster=self.joins or tuple((member.host, member.peer_url) for member in self.cluster.members),
            initial_cluster_state="existing" if self.joins else "new",
            initial_advertise_peer_urls=(self.peer_url,),
            advertise_client_urls=(f"http://{self.host}:{CLIENT_PORT}",),
            listen_peer_urls=(self.peer_url,),
            listen_client_urls=(f"http://{self.host}:{CLIENT_PORT}",),
            **self.cluster.settings,
        )

    @property
    def is_down(self) -> bool:
        """No process runs on this machine."""
        return self.life is None or self.life.over

    @property
    def jobs_count(self) -> int:
        """Jobs of the thread that has most of them to do: the first is under way."""
        return max((worker.jobs_count for worker in self._workers), default=0)

    @property
    def disk_calls(self) -> int:
        """Calls that changed files, of all its processes so far."""
        return self._calls_before + (len(self.disk.log) if self.disk is not None else 0)

    def start(self) -> None:
        """Starts a process on this machine."""
        assert self.is_down
        loop = self.cluster.loop
        self.starts += 1
        self.life = Life()
        if self.rate != 1.0:
            self.life.set_rate(self.rate, loop.now_s)
        self.failed = None
        self._stop, self._ended = asyncio.Event(), loop.create_future()
        context = self._context = contextvars.copy_context()
        context.run(HOST.set, self.host)
        context.run(LIFE.set, self.life)
        loop.create_task(self._run(self.life, self._stop, self._ended), context=context, name=f"process {self.host}")

    async def _run(self, life: Life, stop: asyncio.Event, ended: asyncio.Future[None]) -> None:
        self._calls_before = self.disk_calls
        disk = self.disk = SimulatedDisk(self.fs)
        disk.rot = self.rot
        try:
            async with running_member(self.settings(), environment=self._environment(disk)) as member:
                self.running = member
                # The HTTP/1.1 shell is aiohttp's and stays outside the simulation.
                member.services.http1.load = _nothing  # type: ignore[method-assign]
                self.cluster.on_running(self)
                await stop.wait()
        except BaseException as error:
            self.failed = error
            if not life.over:
                self.cluster.failures.append((self.host, error))
            if not isinstance(error, Exception):
                raise
        finally:
            if not life.over:
                self.running = None
                life.probe = None
                self.life = None
                ended.set_result(None)

    def _environment(self, disk: SimulatedDisk) -> Environment:
        loop = self.cluster.loop
        self._workers = []

        def worker(name: str) -> SimulatedWorker:
            rng = loop.streams.get("worker", self.host, name)
            self._workers.append(SimulatedWorker(loop, rng, lambda: self.disk_s or self.cluster.disk_s))
            return self._workers[-1]

        clock = SimulatedClock(loop, loop.streams.get("member", self.host, self.starts), lambda: self.wall_offset_s)
        return Environment(Platform(disk, MemoryOpener(disk)), clock, worker)

    def crash(self, *, power: bool = False, silent: bool = False) -> None:
        """kill -9, or with `power` a power cut of this machine; `silent`: no connection is reset."""
        if self.life is not None:
            self.cluster.loop.bury(self.life)
        self.running = None
        if silent:
            self.cluster.loop.network.vanish(self.host)
        self.cluster.loop.network.crash(self.host)
        if power:
            for worker in self._workers:
                assert self.disk is not None
                worker.lose_power(self.disk, self._random)
            self.fs.lose_power(self._random)
        else:
            self.fs.kill()
        self._workers = []

    def run(self, act: Callable[[RunningMember], T]) -> T | None:
        """Does something inside the running process, if there is one, as a callback of its own would."""
        return None if self.running is None else self._context.copy().run(act, self.running)

    def set_rate(self, rate: float) -> None:
        """The machine's monotonic clock runs so fast from now on."""
        self.rate = rate
        if self.life is not None and not self.life.over:
            self.life.set_rate(rate, self.cluster.loop.now_s)

    def pause(self) -> None:
        """SIGSTOP."""
        if self.life is not None:
            self.life.paused = True

    def resume(self) -> None:
        """SIGCONT."""
        if self.life is not None and self.life.paused:
            self.cluster.loop.resume(self.life)
            self.cluster.loop.network.accept_again(self.host)

    def fail_disk(self, after_calls: int, error: int = errno.EIO, short_bytes: int = 0) -> None:
        """Makes one of the coming calls that change files fail."""
        if self.disk is not None:
            call = len(self.disk.log) + after_calls
            self.disk.faults[call] = Fault(call, error, short_bytes)

    async def stop(self) -> None:
        """SIGTERM."""
        assert self._stop is not None and self._ended is not None
        self._stop.set()
        await self._ended


def _nothing() -> None:
    return


class SimulatedCluster:
    """N machines on one loop."""

    def __init__(self, loop: VirtualLoop, count: int = 3, **settings: Any) -> None:
        self.loop = loop
        self.seed = loop.seed
        self.settings = settings
        self.disk_s = (0.0001, 0.002)
        self.failures: list[tuple[str, BaseException]] = []
        """Every process that ended with an error, and which."""
        self.on_running: Callable[[SimulatedMember], None] = lambda member: None
        """Told when a process listens."""
        self.members: list[SimulatedMember] = []
        self.members += [SimulatedMember(self, index) for index in range(count)]

    def start(self) -> None:
        """Starts every machine."""
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
            lambda: all(m.is_down or (m.running is not None and m.running.ready.is_set()) for m in self.members),
            timeout_s,
            "every member serves",
        )


@contextmanager
def virtual_time(loop: VirtualLoop) -> Iterator[VirtualLoop]:
    """The loop is this thread's; what is left of it at the end never runs."""
    asyncio.set_event_loop(loop)
    try:
        yield loop
    finally:
        asyncio.set_event_loop(None)


def simulate(seed: int, scenario: Callable[[SimulatedCluster], Any], count: int = 3, **settings: Any) -> VirtualLoop:
    """Runs a scenario to its end and returns the loop, for its trace hash."""
    with virtual_time(VirtualLoop(seed)) as loop:
        cluster = SimulatedCluster(loop, count, **settings)
        loop.run_until_complete(loop.create_task(scenario(cluster)))
        for member in cluster.members:
            if member.life is not None:
                member.life.over = True
        assert not loop.callback_errors, "callbacks raised:\n" + "\n".join(loop.callback_errors[:3])
        return loop
