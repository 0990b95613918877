"""A cluster of member processes that a test may kill, stop and start again.

Owns the processes, their ports, folders and logs; knows of a member what its flags, its exit status and its answers say.
Whatever was started is ended by `close`, and a failure shows the end of every log.
"""

from __future__ import annotations

import asyncio
import fcntl
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Self

from raftkv.client import AsyncClient
from raftkv.errors import RaftKVError

HOST = "127.0.0.1"
PORTS = range(24000, 24500)
"""Below the range the kernel takes for outgoing connections, so that no client sits on a member's port."""

PORTS_PER_BLOCK = 10

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
LOG_LINES_SHOWN = 15
LOG_LINE_CHARS_SHOWN = 400
POLL_S = 0.01
WITHIN_S = 60.0
"""For what takes a second on an idle machine: long enough for a very busy one."""

SERVER = (sys.executable, "-m", "raftkv", "server")


class ClusterError(AssertionError):
    """The cluster did not do in time what a test waits for; the text holds the members' logs."""


class MemberProcess:
    """One member: where it lives, and its process while it runs."""

    def __init__(self, name: str, folder: pathlib.Path, client_port: int, peer_port: int) -> None:
        self.name = name
        self.folder = folder
        self.data = folder / "data"
        self.log = folder / "log"
        self.client_port, self.peer_port = client_port, peer_port
        self.process: subprocess.Popen[bytes] | None = None
        self.starts_total = 0

    @property
    def endpoint(self) -> str:
        """Where clients reach it."""
        return f"{HOST}:{self.client_port}"

    @property
    def peer_url(self) -> str:
        """Where members reach it."""
        return f"http://{HOST}:{self.peer_port}"

    @property
    def running(self) -> bool:
        """True while there is a process that has not ended."""
        return self.process is not None and self.process.poll() is None

    @property
    def status(self) -> int | None:
        """What the last process ended with, as a shell says it: 128 + n for signal n. None while it runs."""
        assert self.process is not None, "never started"
        code = self.process.poll()
        return 128 - code if code is not None and code < 0 else code

    def log_text(self) -> str:
        """All it ever wrote, over all its starts."""
        return self.log.read_text(encoding="utf-8", errors="replace") if self.log.exists() else ""

    def log_tail(self) -> str:
        """The end of its log, for people."""
        return "\n".join(f"    {line[:LOG_LINE_CHARS_SHOWN]}" for line in self.log_text().splitlines()[-LOG_LINES_SHOWN:])


class ProcessCluster:
    """Members of one cluster.

    Invariants: 1. at most one process per member; 2. none runs after `close`; 3. its ports are its own until then.
    """

    def __init__(self, folder: pathlib.Path, *, size: int = 3, flags: Sequence[str] = ()) -> None:
        self.folder = folder
        self.flags = list(flags)
        self.command: Callable[[MemberProcess], Sequence[str]] = lambda member: SERVER
        """What stands before a member's flags; replaced by tests that run members on other files or disks."""
        self._ports = PortBlock(2 * size)
        ports = self._ports.ports
        self.members = [MemberProcess(f"m{i}", folder / f"m{i}", ports[2 * i], ports[2 * i + 1]) for i in range(size)]
        for member in self.members:
            member.folder.mkdir(parents=True, exist_ok=True)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if error is not None:
            error.add_note(self.describe())
        self.close()

    @property
    def endpoints(self) -> list[str]:
        """Every member's client address."""
        return [member.endpoint for member in self.members]

    def describe(self) -> str:
        """For people: every member's state and the end of its log."""
        return "\n".join(
            f"  {member.name}: {'runs' if member.running else f'ended with {member.status}' if member.process else 'never started'}, "
            f"started {member.starts_total} times, log {member.log}:\n{member.log_tail()}"
            for member in self.members
        )

    def arguments(self, member: MemberProcess) -> list[str]:
        """A member's whole command line."""
        cluster = ",".join(f"{other.name}={other.peer_url}" for other in self.members)
        client_url = f"http://{member.endpoint}"
        return [
            *self.command(member),
            *("--name", member.name, "--data-dir", str(member.data)),
            *("--listen-client-urls", client_url, "--advertise-client-urls", client_url),
            *("--listen-peer-urls", member.peer_url, "--initial-advertise-peer-urls", member.peer_url),
            *("--initial-cluster", cluster, "--initial-cluster-token", "crash"),
            *self.flags,
        ]

    def start(self, *members: MemberProcess) -> None:
        """Starts the members, all when none is named. Returns before they serve."""
        environment = {key: value for key, value in os.environ.items() if not key.startswith(("ETCD_", "RAFTKV_"))}
        for member in members or self.members:
            assert not member.running, f"{member.name} runs"
            with member.log.open("ab") as output:
                member.process = subprocess.Popen(
                    self.arguments(member),
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=output,
                    cwd=ROOT,
                    env=environment,
                )
            member.starts_total += 1

    def terminate(self, *members: MemberProcess) -> None:
        """Sends SIGTERM to the members that run, all when none is named; they end in order, later."""
        self._signal(signal.SIGTERM, members)

    def kill(self, *members: MemberProcess) -> None:
        """kill -9, all at once when none is named; they have ended when it returns."""
        self._signal(signal.SIGKILL, members)
        for member in members or self.members:
            if member.process is not None:
                member.process.wait()

    def _signal(self, number: signal.Signals, members: Sequence[MemberProcess]) -> None:
        for member in members or self.members:
            if member.running:
                assert member.process is not None
                member.process.send_signal(number)

    def close(self) -> None:
        """Ends whatever runs, for good. Idempotent."""
        self.kill()
        self._ports.close()

    def wipe(self, member: MemberProcess) -> None:
        """The member's disk is lost."""
        assert not member.running
        shutil.rmtree(member.data)

    async def wait_ended(self, member: MemberProcess, within_s: float = WITHIN_S) -> int:
        """The member's exit status, as a shell says it."""
        await self.until(lambda: not member.running, f"{member.name} ends", within_s)
        assert member.status is not None
        return member.status

    async def wait_healthy(self, *members: MemberProcess, within_s: float = WITHIN_S) -> None:
        """Waits until each of the members, all when none is named, answers a linearizable read."""
        deadline_s = time.monotonic() + within_s
        for member in members or self.members:
            async with AsyncClient(member.endpoint, timeout_s=1.0) as client:
                while True:
                    try:
                        await client.get(b"health")
                        break
                    except RaftKVError as error:
                        if not member.running:
                            raise ClusterError(f"{member.name} ended with {member.status} while it was waited for") from error
                        if time.monotonic() > deadline_s:
                            raise ClusterError(f"{member.name} is not healthy after {within_s:.0f} s: {error}") from error
                    await asyncio.sleep(POLL_S)

    async def leader(self, within_s: float = WITHIN_S) -> MemberProcess:
        """The member that says it leads, in the newest term that any running member knows."""
        deadline_s = time.monotonic() + within_s
        while time.monotonic() < deadline_s:
            said = [status for member in self.members if member.running and (status := await self._status(member)) is not None]
            newest = max((term for term, _, _ in said), default=0)
            for term, leads, member in said:
                if leads and term == newest:
                    return member
            await asyncio.sleep(POLL_S)
        raise ClusterError(f"no leader after {within_s:.0f} s")

    async def _status(self, member: MemberProcess) -> tuple[int, bool, MemberProcess] | None:
        """(term, leads, member), or None when it does not answer."""
        async with AsyncClient(member.endpoint, timeout_s=1.0, require_leader=False) as client:
            try:
                status = await client.maintenance.status()
            except RaftKVError:
                return None
        return status.raft_term, status.leader == status.header.member_id, member

    async def until(self, condition: Callable[[], bool], what: str, within_s: float = WITHIN_S) -> None:
        """Waits for something this process can see. Raises ClusterError."""
        deadline_s = time.monotonic() + within_s
        while not condition():
            if time.monotonic() > deadline_s:
                raise ClusterError(f"not within {within_s:.0f} s: {what}")
            await asyncio.sleep(POLL_S)


class PortBlock:
    """Ports nobody listens on, and which no other test takes before `close`, while members are down."""

    def __init__(self, count: int) -> None:
        blocks = range(PORTS.start, PORTS.stop - count, PORTS_PER_BLOCK)
        # Tests that run beside each other begin their search at different blocks.
        first = os.getpid() % len(blocks)
        for base in (*blocks[first:], *blocks[:first]):
            self._lock = os.open(f"{tempfile.gettempdir()}/raftkv-test-ports-{base}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
            try:
                fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                self.ports = [port for port in range(base, base + count) if _is_free(port)]
                if len(self.ports) == count:
                    return
            except BlockingIOError:
                pass
            os.close(self._lock)
        raise ClusterError(f"no {count} free ports in a row")

    def close(self) -> None:
        """Others may have them. Idempotent."""
        if self._lock >= 0:
            lock, self._lock = self._lock, -1
            os.close(lock)


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError:
            return False
    return True
