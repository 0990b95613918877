"""Servers that the RPC tests can be run against, each as one address.

`RAFTKV_RPC_SERVERS` chooses, separated by commas: `memory` (the services over a memory member, in this process),
`raftkv` (a member as users start it), `etcd` (the one installed), or host:port of something that is running already.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import pathlib
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, TypeVar

import grpc

from raftkv.metrics import Metrics
from raftkv.pb import rpc
from raftkv.rpc.services import ClientServices, ServiceSettings
from raftkv.transport.server import GrpcServer, ServerLimits
from tests.rpc.client import Client
from tests.rpc.memory_member import MemoryMember
from tests.support.ports import free_port

CHOICES = os.environ.get("RAFTKV_RPC_SERVERS", "memory,raftkv").split(",")

COMMANDS = {"raftkv": (sys.executable, "-m", "raftkv"), "etcd": ("etcd",)}
"""Both take etcd's flags."""

WITHIN_S = 60.0
"""For whatever takes a moment on an idle machine."""

T = TypeVar("T")


@dataclass
class Running:
    """A server under test. `memory` is what stands behind it when it is ours to reach into."""

    address: str
    version: tuple[int, ...]
    memory: MemoryServer | None = None


class MemoryServer:
    """The services over a memory member, on a loop of their own thread."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._started = threading.Event()
        self._thread = threading.Thread(target=self._main, name="rpc-server", daemon=True)
        self._thread.start()
        assert self._started.wait(WITHIN_S)

    def on_loop(self, work: Callable[[], T]) -> T:
        """Runs `work` on the server's loop, where all of it lives."""

        async def call() -> T:
            return work()

        return asyncio.run_coroutine_threadsafe(call(), self._loop).result(WITHIN_S)

    def close(self) -> None:
        """Ends the server and its thread."""
        self._loop.call_soon_threadsafe(self._stop.set_result, None)
        self._thread.join(WITHIN_S)
        self._loop.close()

    def _main(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.run_until_complete(self._serve())

    async def _serve(self) -> None:
        loop = self._loop
        self._stop: asyncio.Future[None] = loop.create_future()
        self.member = MemoryMember(loop.call_soon)
        self.metrics = Metrics(version="0.1.0", etcd_version="3.7.0")
        self.services = ClientServices(self.member, self.metrics, ServiceSettings(election_timeout_ms=20), loop)
        self.server = GrpcServer(loop, self.services.routes, ServerLimits(), http1=self.services.http1, http2_plain=self.services.plain)
        self.services.count_calls(self.server.statistics)
        listener = await loop.create_server(self.server.protocol_factory, "127.0.0.1", 0)
        self.port: int = listener.sockets[0].getsockname()[1]
        self._started.set()
        await self._stop
        listener.close()
        self.server.close()
        await self.services.http1.close()
        await asyncio.sleep(0)


@contextlib.contextmanager
def running(choice: str, data_dir: pathlib.Path) -> Iterator[Running]:
    """The chosen server; `data_dir` is for one that is started."""
    if choice == "memory":
        memory = MemoryServer()
        try:
            yield Running(f"127.0.0.1:{memory.port}", (3, 7, 0), memory)
        finally:
            memory.close()
    elif choice in COMMANDS:
        with _process(COMMANDS[choice], data_dir) as address:
            yield Running(address, _version(address))
    else:
        yield Running(choice, _version(choice))


@contextlib.contextmanager
def _process(program: tuple[str, ...], data_dir: pathlib.Path) -> Iterator[str]:
    client, peer = free_port(), free_port()
    url, peer_url = f"http://127.0.0.1:{client}", f"http://127.0.0.1:{peer}"
    command: list[Any] = [*program, "--data-dir", data_dir, "--listen-client-urls", url, "--advertise-client-urls", url]
    command += ["--listen-peer-urls", peer_url, "--initial-advertise-peer-urls", peer_url, "--initial-cluster", f"default={peer_url}"]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        with grpc.insecure_channel(f"127.0.0.1:{client}") as channel:
            grpc.channel_ready_future(channel).result(WITHIN_S)
        _wait_for_leader(f"127.0.0.1:{client}")
        yield f"127.0.0.1:{client}"
    finally:
        process.kill()
        process.wait()


def _wait_for_leader(address: str) -> None:
    """Until a linearizable read is answered."""
    with Client(address) as client:
        deadline_s = time.monotonic() + WITHIN_S
        while time.monotonic() < deadline_s:
            try:
                client.range(b"\0")
                return
            except grpc.RpcError:
                time.sleep(0.1)  # another process starts; there is nothing to be told by
    raise AssertionError(f"no leader at {address}")


def _version(address: str) -> tuple[int, ...]:
    with Client(address) as client:
        status = client.call("/etcdserverpb.Maintenance/Status", rpc.StatusRequest(), rpc.StatusResponse)
    return tuple(int(part) for part in status.version.split("-")[0].split("."))
