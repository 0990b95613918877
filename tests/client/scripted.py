"""Links whose server side is a script, on virtual time: what each endpoint answers is written down, what it was asked is kept."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

from jepsen_like.sim.loop import VirtualLoop
from raftkv.client import AsyncClient, Endpoint
from raftkv.client.link import Metadata
from raftkv.pb import rpc
from raftkv.transport.client import RpcError
from raftkv.transport.grpc_wire import Code

T = TypeVar("T")

TICK_S = 0.001

Answer = bytes | RpcError | float
"""A response, a failure, or silence for so many seconds and then a lost connection."""


class LoopClock:
    """The virtual loop's time, and jitter that is always in the middle."""

    class _Middle(random.Random):
        def random(self) -> float:
            return 0.5

    def __init__(self, loop: VirtualLoop) -> None:
        self._loop = loop

    def monotonic_s(self) -> float:
        return self._loop.time()

    def wall_s(self) -> float:
        return self._loop.time()

    def random(self) -> random.Random:
        return self._Middle()


class ScriptedStream:
    """One stream: what the client sent, and hands to deliver with."""

    def __init__(self, on_message: Callable[[bytes], None], on_done: Callable[[RpcError | None], None], metadata: Metadata) -> None:
        self.deliver = on_message
        self.end = on_done
        self.metadata = metadata
        self.sent: list[bytes] = []
        self.cancelled = False

    def send(self, body: bytes) -> None:
        self.sent.append(body)

    def cancel(self) -> None:
        self.cancelled = True

    def created(self, revision: int) -> None:
        """The answer to a watch's creation."""
        self.deliver(rpc.WatchResponse(header=rpc.ResponseHeader(cluster_id=1, revision=revision), created=True).SerializeToString())

    def events(self, revisions: list[int], *, header: int = 0, fragment: bool = False) -> None:
        """A batch with one put per revision."""
        message = rpc.WatchResponse(header=rpc.ResponseHeader(cluster_id=1, revision=header or revisions[-1]), fragment=fragment)
        for revision in revisions:
            message.events.add(kv={"key": b"k", "mod_revision": revision})
        self.deliver(message.SerializeToString())

    def progress(self, revision: int, *, watch_id: int = 0) -> None:
        """An event-less report."""
        header = rpc.ResponseHeader(cluster_id=1, revision=revision)
        self.deliver(rpc.WatchResponse(header=header, watch_id=watch_id).SerializeToString())


class ScriptedLink:
    """One endpoint. An empty script refuses connections."""

    def __init__(self, cluster: ScriptedCluster, endpoint: Endpoint) -> None:
        self._cluster = cluster
        self._endpoint = endpoint

    async def call(self, path: str, body: bytes, *, metadata: Metadata = (), timeout_s: float | None = None) -> bytes:
        cluster = self._cluster
        cluster.asked.append((self._endpoint.text, path, metadata))
        script = cluster.scripts.get(self._endpoint.text, [])
        answer: Answer = script.pop(0) if script else RpcError(Code.UNAVAILABLE, "connection refused", sent=False)
        if isinstance(answer, float):
            if timeout_s is not None and timeout_s < answer:
                await asyncio.sleep(timeout_s)
                raise RpcError(Code.DEADLINE_EXCEEDED, "Deadline Exceeded")
            await asyncio.sleep(answer)
            raise RpcError(Code.UNAVAILABLE, "connection lost")
        if isinstance(answer, RpcError):
            raise answer
        return answer

    async def stream(
        self, path: str, *, on_message: Callable[[bytes], None], on_done: Callable[[RpcError | None], None], metadata: Metadata = ()
    ) -> ScriptedStream:
        cluster = self._cluster
        cluster.asked.append((self._endpoint.text, path, metadata))
        if self._endpoint.text in cluster.down:
            raise RpcError(Code.UNAVAILABLE, "connection refused", sent=False)
        stream = ScriptedStream(on_message, on_done, metadata)
        cluster.streams.append(stream)
        return stream

    async def aclose(self) -> None:
        self._cluster.closed.append(self._endpoint.text)


class ScriptedCluster:
    """The endpoints of a client, their scripts, and what happened."""

    def __init__(self, **scripts: list[Answer]) -> None:
        self.loop = VirtualLoop(0)
        self.scripts = scripts
        self.asked: list[tuple[str, str, Metadata]] = []
        self.streams: list[ScriptedStream] = []
        self.down: set[str] = set()
        self.closed: list[str] = []

    @property
    def endpoints_asked(self) -> list[str]:
        """In order."""
        return [endpoint for endpoint, _, _ in self.asked]

    def client(self, **options: Any) -> AsyncClient:
        """A client of it."""
        return AsyncClient(
            list(self.scripts), clock=LoopClock(self.loop), open_link=lambda endpoint: ScriptedLink(self, endpoint), **options
        )

    def run(self, coroutine: Coroutine[Any, Any, T]) -> T:
        """Runs on virtual time, once; returns what it returns."""
        try:
            return self.loop.run_until_complete(coroutine)
        finally:
            self.loop._thread_id = None  # By this the base class tells whether a loop runs and may not be closed.
            self.loop.close()

    def elapsed_s(self) -> float:
        """Virtual seconds since the loop was made."""
        return self.loop.time() - 1000.0

    async def until(self, condition: Callable[[], bool]) -> None:
        """Waits until something has come about."""
        # Virtual time; what is waited for is the client's doing, and it tells nobody.
        while not condition():  # noqa: ASYNC110
            await asyncio.sleep(TICK_S)
