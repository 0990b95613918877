"""The servers that are measured: how each is started, and what the kernel says a running one uses.

Knows of a server its command line, its ports and its process; both systems take the same flags, because raftkv's are etcd's.
Whatever was started is ended by `Cluster.stop`, each process by its own id.
"""

from __future__ import annotations

import asyncio
import asyncio.subprocess
import os
import pathlib
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from typing import BinaryIO, NamedTuple

from raftkv.pb import rpc
from raftkv.transport.channel import Channel, RpcError

HOST = "127.0.0.1"
ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
TICKS_PER_S = os.sysconf("SC_CLK_TCK")
SERVING_WITHIN_S = 60.0
STOPPED_WITHIN_S = 20.0
ASK_EVERY_S = 0.002
LOG_CHARS_SHOWN = 2000
QUOTA_BYTES = 8 << 30
"""A full run writes more than the default quota of 2 GiB holds."""

COMMON_FLAGS = ("--initial-cluster-state", "new", "--quota-backend-bytes", str(QUOTA_BYTES), "--logger", "zap", "--log-level", "error")


class BenchError(Exception):
    """The measurement cannot go on, or is void; the text says why."""


class System(NamedTuple):
    """One of the two that are compared."""

    name: str
    version: str
    command: tuple[str, ...]
    folder: pathlib.Path
    """Where it is started: for raftkv, the checkout whose code runs."""


def raftkv(checkout: pathlib.Path = ROOT, name: str = "raftkv") -> System:
    """The code of a checkout, run by this interpreter."""
    try:
        said = subprocess.run(["git", "-C", str(checkout), "describe", "--always", "--dirty"], capture_output=True, text=True, timeout=10)
        version = said.stdout.strip()
    except (OSError, subprocess.SubprocessError):
        version = ""
    return System(name, version or "not under version control", (sys.executable, "-m", "raftkv", "server"), checkout)


def etcd() -> System | str:
    """Debian's etcd, or why there is none."""
    path = shutil.which("etcd")
    if path is None:
        return "not available: there is no `etcd` in PATH (Debian: apt-get install etcd-server)"
    try:
        said = subprocess.run([path, "--version"], capture_output=True, text=True, timeout=10).stdout
    except (OSError, subprocess.SubprocessError) as exc:
        return f"not available: {path} --version failed: {exc}"
    return System("etcd", said.splitlines()[0].rpartition(" ")[2] if said else "?", (path,), ROOT)


class Ports:
    """Port numbers that were free when they were taken: from `base` on, or from the kernel."""

    def __init__(self, base: int = 0) -> None:
        self._candidates: Iterator[int] = iter(range(base, base + 500)) if base else iter(lambda: 0, 1)

    def take(self) -> int:
        """The next free one."""
        for candidate in self._candidates:
            with socket.socket() as probe:
                try:
                    probe.bind((HOST, candidate))
                except OSError:
                    continue
                return int(probe.getsockname()[1])
        raise BenchError("no free port is left in the range")


class Usage(NamedTuple):
    """What a process used, now or since its start."""

    cpu_s: float
    rss_bytes: int


def usage_of(pid: int) -> Usage:
    """CPU time since the start, in steps of 10 ms, and resident memory, from /proc."""
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return Usage((int(fields[11]) + int(fields[12])) / TICKS_PER_S, int(fields[21]) * os.sysconf("SC_PAGE_SIZE"))


class Member:
    """One server process."""

    def __init__(self, name: str, folder: pathlib.Path, client_port: int, peer_port: int) -> None:
        self.name = name
        self.folder = folder
        self.client_port, self.peer_port = client_port, peer_port
        self.process: asyncio.subprocess.Process | None = None
        self.started_s = 0.0

    @property
    def usage(self) -> Usage:
        """Of the running process."""
        if self.process is None or self.process.returncode is not None:
            raise BenchError(f"{self.name} is not running; the end of its log:\n{self.log_end()}")
        return usage_of(self.process.pid)

    def open_log(self) -> BinaryIO:
        """To be appended to; its folder is made."""
        self.folder.mkdir(parents=True, exist_ok=True)
        return open(self.folder / "log", "ab")

    def log_end(self) -> str:
        """For the error that ends a measurement."""
        return (self.folder / "log").read_text(encoding="utf-8", errors="replace")[-LOG_CHARS_SHOWN:]


class Cluster:
    """One or three members of one system.

    Invariants: 1. a member's port and folder stay the same over restarts. 2. After `stop` no process is left.
    """

    def __init__(self, system: System, folder: pathlib.Path, ports: Ports, size: int) -> None:
        self.system = system
        self.members = [Member(f"m{n}", folder / f"m{n}", ports.take(), ports.take()) for n in range(1, size + 1)]

    def command(self, member: Member) -> list[str]:
        """As a person could type it."""
        client, peer = f"http://{HOST}:{member.client_port}", f"http://{HOST}:{member.peer_port}"
        every = ",".join(f"{other.name}=http://{HOST}:{other.peer_port}" for other in self.members)
        return [
            *(*self.system.command, "--name", member.name, "--data-dir", str(member.folder / "data")),
            *("--listen-client-urls", client, "--advertise-client-urls", client),
            *("--listen-peer-urls", peer, "--initial-advertise-peer-urls", peer, "--initial-cluster", every),
            *COMMON_FLAGS,
        ]

    async def start(self) -> float:
        """Starts every member and waits until each has answered a linearizable range; seconds from the first exec to then."""
        began_s = time.perf_counter()
        for member in self.members:
            with member.open_log() as output:
                member.started_s = time.perf_counter()
                member.process = await asyncio.create_subprocess_exec(
                    *self.command(member),
                    stdin=asyncio.subprocess.DEVNULL,
                    stdout=output,
                    stderr=output,
                    cwd=self.system.folder,
                    start_new_session=True,
                )
        for member in self.members:
            await self._wait_until_serving(member)
        return time.perf_counter() - began_s

    async def _wait_until_serving(self, member: Member) -> None:
        while True:
            if await answers(member.client_port):
                return
            if member.process is None or member.process.returncode is not None:
                raise BenchError(f"{self.system.name} {member.name} ended while starting:\n{member.log_end()}")
            if time.perf_counter() - member.started_s > SERVING_WITHIN_S:
                raise BenchError(f"{self.system.name} {member.name} does not serve after {SERVING_WITHIN_S:.0f} s:\n{member.log_end()}")
            await asyncio.sleep(ASK_EVERY_S)

    async def stop(self) -> None:
        """SIGTERM to each, then SIGKILL to what is left."""
        running = [m.process for m in self.members if m.process is not None and m.process.returncode is None]
        for process in running:
            process.terminate()
        for process in running:
            try:
                async with asyncio.timeout(STOPPED_WITHIN_S):
                    await process.wait()
            except TimeoutError:
                process.kill()
                await process.wait()

    def usages(self) -> list[Usage]:
        """Of every member."""
        return [member.usage for member in self.members]

    async def leader_and_followers(self) -> tuple[Member, Sequence[Member]]:
        """Whom the members name as leader; raises BenchError when they do not agree."""
        leader, leader_ids = None, set()
        for member in self.members:
            status = await status_of(member.client_port)
            leader_ids.add(status.leader)
            if status.leader == status.header.member_id:
                leader = member
        if leader is None or len(leader_ids) != 1:
            raise BenchError(f"{self.system.name}: the members do not agree who leads")
        return leader, [member for member in self.members if member is not leader]


async def answers(port: int) -> bool:
    """True when a linearizable range of one key was answered with status 0."""
    channel = Channel((HOST, port))
    try:
        await channel.connect(1.0)
        await channel.call("/etcdserverpb.KV/Range", rpc.RangeRequest(key=b"x").SerializeToString(), timeout_s=1.0)
    except RpcError:
        return False
    finally:
        channel.close()
    return True


async def status_of(port: int) -> rpc.StatusResponse:
    """Maintenance.Status."""
    channel = Channel((HOST, port))
    await channel.connect()
    try:
        body = await channel.call("/etcdserverpb.Maintenance/Status", b"", timeout_s=10.0)
    finally:
        channel.close()
    return rpc.StatusResponse.FromString(body)
