"""One closed-loop load against one server: so many connections, so many calls in flight on each, until so many were answered.

Two generators with one interface: `h2load` (Debian: nghttp2-client) where it is installed, and our own, which can also send
a different request each time. Both say what CPU time they used themselves, because on a small machine that is time the server does not get.
h2load looks at HTTP statuses alone, so what it counts is checked against the server's own counters (tests/bench/counters.py).
"""

from __future__ import annotations

import asyncio
import asyncio.subprocess
import pathlib
import re
import resource
import shutil
import tempfile
import time
from collections.abc import Sequence
from typing import NamedTuple

from tests.bench.raw_connection import GeneratorError, RawConnection, request_payload
from tests.bench.systems import HOST, BenchError

LOAD_WITHIN_S = 120.0
"""A load that takes this long ends the measurement: it was sized for a few seconds."""


class Load(NamedTuple):
    """What to send. With several messages they are sent in turn."""

    path: str
    messages: Sequence[bytes]
    connections: int
    streams: int
    requests: int


class Outcome(NamedTuple):
    """What came of it: every request was answered, or there is no Outcome."""

    seconds: float
    client_cpu_s: float


class OwnGenerator:
    """asyncio on one core. A closed loop: each answer starts the next call of its connection."""

    name = "own generator"

    async def run(self, port: int, load: Load) -> Outcome:
        """Raises BenchError unless every call ended with grpc-status 0."""
        return await _Run(port, load).finish()


class _Run:
    """State of one run of the own generator."""

    def __init__(self, port: int, load: Load) -> None:
        self._port = port
        self._load = load
        self._payloads = [request_payload(message) for message in load.messages]
        self._unsent = load.requests
        self._unanswered = load.requests
        self._over: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._unsettled = load.connections
        self._settled: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    async def finish(self) -> Outcome:
        loop, authority = asyncio.get_running_loop(), f"{HOST}:{self._port}"
        connections: list[_Generator] = []
        try:
            for _ in range(self._load.connections):
                connection = _Generator(self, self._load.path, authority)
                connections.append(connection)
                await loop.create_connection(lambda made=connection: made, HOST, self._port)
            async with asyncio.timeout(LOAD_WITHIN_S):
                await self._settled
                cpu_s, began_s = time.process_time(), time.perf_counter()
                for connection in connections:
                    connection.begin(self._load.streams)
                await self._over
                return Outcome(time.perf_counter() - began_s, time.process_time() - cpu_s)
        except (OSError, TimeoutError, GeneratorError) as exc:
            raise BenchError(f"{self._load.path}: {exc or 'not all calls were answered in time'}") from exc
        finally:
            for connection in connections:
                connection.close()

    def on_settled(self) -> None:
        self._unsettled -= 1
        if not self._unsettled and not self._settled.done():
            self._settled.set_result(None)

    def next_payload(self) -> bytes | None:
        """None when all were sent."""
        if not self._unsent:
            return None
        self._unsent -= 1
        return self._payloads[self._unsent % len(self._payloads)]

    def on_answer(self, status: str) -> None:
        if status != "0":
            self.on_broken(GeneratorError(f"a call ended with grpc-status {status}"))
        self._unanswered -= 1
        if not self._unanswered and not self._over.done():
            self._over.set_result(None)

    def on_broken(self, error: GeneratorError) -> None:
        for waited in (self._settled, self._over):
            if not waited.done():
                waited.set_exception(error)
                waited.exception()  # Only one of the two may be waited for any more.


class _Generator(RawConnection):
    def __init__(self, run: _Run, path: str, authority: str) -> None:
        super().__init__(path, authority, run.on_broken)
        self._run = run

    def on_ready(self) -> None:
        self._run.on_settled()

    def begin(self, streams: int) -> None:
        for _ in range(streams):
            self._send_one()
        self.write_out()

    def on_end(self, stream_id: int, status: str) -> None:
        self._run.on_answer(status)
        self._send_one()

    def _send_one(self) -> None:
        payload = self._run.next_payload()
        if payload is not None:
            self.request(payload)


class H2load:
    """nghttp2's generator, a process with one thread."""

    name = "h2load"

    def __init__(self, path: str) -> None:
        self._path = path

    async def run(self, port: int, load: Load) -> Outcome:
        """Raises BenchError unless every request was answered with HTTP status 200; gRPC's status it does not see."""
        if len(load.messages) != 1:
            raise ValueError("h2load sends one request over and over")
        with tempfile.TemporaryDirectory() as folder:
            body = pathlib.Path(folder) / "body"
            body.write_bytes(request_payload(load.messages[0]))
            before = resource.getrusage(resource.RUSAGE_CHILDREN)
            process = await asyncio.create_subprocess_exec(
                *(self._path, "-n", str(load.requests), "-c", str(load.connections), "-m", str(load.streams), "-d", str(body)),
                *("-H", "content-type: application/grpc", "-H", "te: trailers", f"http://{HOST}:{port}{load.path}"),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.STDOUT,
            )
            try:
                async with asyncio.timeout(LOAD_WITHIN_S):
                    said, _ = await process.communicate()
            except TimeoutError as exc:
                raise BenchError(f"h2load did not end within {LOAD_WITHIN_S:.0f} s") from exc
            finally:
                if process.returncode is None:
                    process.kill()
                    await process.wait()
            after = resource.getrusage(resource.RUSAGE_CHILDREN)
        cpu_s = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
        return Outcome(h2load_seconds(said.decode("utf-8", "replace"), load.requests), cpu_s)


_FINISHED = re.compile(r"finished in ([\d.]+)(us|ms|s|min|h)?,")
_SUCCEEDED = re.compile(r"requests: \d+ total, \d+ started, \d+ done, (\d+) succeeded")
_STATUSES = re.compile(r"status codes: (\d+) 2xx")
_SCALE = {"us": 1e-6, "ms": 1e-3, "s": 1.0, "min": 60.0, "h": 3600.0}


def h2load_seconds(said: str, requests: int) -> float:
    """Seconds the load took, from h2load's output. Raises BenchError when not every request succeeded."""
    finished, succeeded, statuses = _FINISHED.search(said), _SUCCEEDED.search(said), _STATUSES.search(said)
    if finished is None or succeeded is None or statuses is None:
        raise BenchError(f"h2load said what is not understood:\n{said[-1000:]}")
    if int(succeeded[1]) != requests or int(statuses[1]) != requests:
        raise BenchError(f"h2load: of {requests} requests {succeeded[1]} succeeded, {statuses[1]} with status 2xx")
    return float(finished[1]) * _SCALE[finished[2] or "s"]


def find_h2load() -> H2load | str:
    """The installed h2load, or why there is none."""
    path = shutil.which("h2load")
    return H2load(path) if path else "not available: there is no `h2load` in PATH (Debian: apt-get install nghttp2-client)"
