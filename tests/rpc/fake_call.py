"""A call without a transport, and turns without a loop: what the services say is written down."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any

from raftkv.metrics import Metrics
from raftkv.rpc.call import Metadata
from raftkv.rpc.services import ClientServices, ServiceSettings
from tests.rpc.memory_member import MemoryMember


class FakeCall:
    """See `raftkv.rpc.call.Call`. `ended` is None, "ok" or (code, message)."""

    def __init__(self, metadata: Metadata | None = None) -> None:
        self.metadata: Metadata = {} if metadata is None else metadata
        self.cancelled = False
        self.writable = True
        self.paused = False
        self.sent: list[bytes] = []
        self.ended: Any = None

    def pause(self) -> None:
        self.paused = True

    def resume(self) -> None:
        self.paused = False

    def reply(self, body: bytes, lead: bytes = b"") -> None:
        body = lead + body
        self.send(body)
        self.finish()

    def send(self, body: bytes) -> None:
        assert self.ended is None, "said something after the end"
        if self.cancelled:
            return
        self.sent.append(body)

    def finish(self) -> None:
        assert self.ended is None, "ended twice"
        self.ended = "cancelled" if self.cancelled else "ok"

    def fail(self, code: int, message: str, trailers=()) -> None:
        assert self.ended is None, "ended twice"
        self.ended = (int(code), message)


class FakeTimer:
    def __init__(self, when_s: float, callback: Callable[[], None]) -> None:
        self.when_s = when_s
        self.callback = callback
        self.cancelled = False

    def cancel(self) -> None:
        self.cancelled = True


class Turns:
    """The two things of an event loop that services use, run by hand."""

    def __init__(self) -> None:
        self.now_s = 0.0
        self.timers: list[FakeTimer] = []
        self._ready: deque[tuple[Callable[..., Any], tuple[Any, ...]]] = deque()

    def call_soon(self, callback: Callable[..., Any], *args: Any) -> None:
        self._ready.append((callback, args))

    def call_later(self, delay_s: float, callback: Callable[[], None]) -> FakeTimer:
        timer = FakeTimer(self.now_s + delay_s, callback)
        self.timers.append(timer)
        return timer

    def run(self) -> None:
        """Until nothing is ready."""
        while self._ready:
            callback, args = self._ready.popleft()
            callback(*args)

    def advance(self, seconds: float) -> None:
        """Moves time; timers fire in order."""
        end_s = self.now_s + seconds
        while due := [one for one in self.timers if one.when_s <= end_s and not one.cancelled]:
            timer = min(due, key=lambda one: one.when_s)
            self.timers.remove(timer)
            self.now_s = max(self.now_s, timer.when_s)
            timer.callback()
            self.run()
        self.now_s = end_s


class Bench:
    """A memory member behind its services, with calls made by hand."""

    def __init__(self, **settings: int) -> None:
        self.turns = Turns()
        self.member = MemoryMember(self.turns.call_soon)
        self.metrics = Metrics(version="0.1.0", etcd_version="3.7.0")
        self.services = ClientServices(self.member, self.metrics, ServiceSettings(**settings), self.turns)  # type: ignore[arg-type]

    def start(self, path: str, body: bytes, metadata: Metadata | None = None) -> FakeCall:
        """Begins a unary call; it may be answered in a later turn."""
        call = FakeCall(metadata)
        self.services.routes[path].handler(call, body)
        return call

    def unary(self, path: str, request: Any, metadata: Metadata | None = None) -> FakeCall:
        """A unary call run to its end."""
        call = self.start(path, request.SerializeToString(), metadata)
        self.turns.run()
        assert call.ended is not None
        return call

    def stream(self, path: str, metadata: Metadata | None = None) -> tuple[FakeCall, Any]:
        """Opens a streaming call: the call and its handler."""
        call = FakeCall(metadata)
        return call, self.services.routes[path].handler(call)
