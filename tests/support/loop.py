"""A seeded event loop on virtual time, with a network of its own.

The same member code that runs on asyncio and uvloop runs here: nothing waits, nothing depends on the machine, and one
seed gives one order of events. Unlike asyncio's, its tasks and futures are hashed by a counter, because sets of them are
iterated (`asyncio.wait`, TaskGroup) and an address-based hash would give each run another order.
"""

from __future__ import annotations

import asyncio
import contextvars
import hashlib
import heapq
import random
import traceback
from asyncio import base_events, events, transports
from collections.abc import Callable
from typing import Any

LIFE: contextvars.ContextVar[Any] = contextvars.ContextVar("simulated_life", default=None)
"""The process the running code belongs to; None for the test itself."""

HOST: contextvars.ContextVar[str] = contextvars.ContextVar("simulated_host", default="client")
"""Name of the machine the running code belongs to; new connections come from it."""


class Life:
    """One run of one simulated process. When it is over, nothing of it runs any more, not even clean-up."""

    def __init__(self) -> None:
        self.over = False
        self.paused = False
        self.due: list[Any] = []
        """Handles that came due during a pause."""
        self.arrived: list[Callable[[], None]] = []
        """What came over the network during a pause."""


class CountedTask(asyncio.Task[Any]):
    """A task whose hash is its number."""

    _next = 0

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        # Before the base class: it puts the task in a set.
        CountedTask._next += 1
        self._number = CountedTask._next
        super().__init__(*args, **kwargs)

    def __hash__(self) -> int:
        return self._number


class CountedFuture(asyncio.Future[Any]):
    """A future whose hash is its number."""

    _next = 0

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        # Before the base class: it puts the task in a set.
        CountedFuture._next += 1
        self._number = CountedFuture._next
        super().__init__(*args, **kwargs)

    def __hash__(self) -> int:
        return self._number


class Deadlock(RuntimeError):
    """Nothing is runnable and no timer is set."""


class Livelock(RuntimeError):
    """Callbacks go on arming callbacks while time stands still: a real loop would burn a processor."""


ROUNDS_PER_INSTANT_MAX = 20_000
"""Rounds of the loop at one instant; the busiest scenarios need some hundred."""


class VirtualLoop(base_events.BaseEventLoop):
    """Callbacks due at the same instant run in a seeded order; time jumps to the next timer when nothing is due."""

    def __init__(self, seed: int) -> None:
        super().__init__()
        self.random = random.Random(seed)
        self.network = Network(self)
        self._now_s = 1000.0
        self._sequence = 0
        self._timers: list[tuple[float, int, asyncio.TimerHandle]] = []
        self._digest = hashlib.sha256()
        self.events_total = 0
        self.callback_errors: list[str] = []
        """What callbacks raised: a real loop would log it and nobody would be told."""
        self._rounds = 0
        self.set_task_factory(lambda loop, coro, **kwargs: CountedTask(coro, loop=loop, **kwargs))

    def trace_hash(self) -> str:
        """Names the order of everything that ran so far."""
        return self._digest.hexdigest()

    def note(self, text: str) -> None:
        """Adds to the trace."""
        self._digest.update(text.encode())

    def call_exception_handler(self, context: dict[str, Any]) -> None:
        """Remembers errors of callbacks; `simulate` fails with them."""
        if context.get("exception") is not None and ("handle" in context or "callback" in context.get("message", "")):
            self.callback_errors.append("".join(traceback.format_exception(context["exception"])))
        super().call_exception_handler(context)

    # Time and callbacks.

    def time(self) -> float:
        return self._now_s

    def create_future(self) -> asyncio.Future[Any]:
        return CountedFuture(loop=self)

    def call_at(  # type: ignore[override]  # typeshed ties the arguments to the callback
        self, when: float, callback: Callable[..., Any], *args: Any, context: Any = None
    ) -> asyncio.TimerHandle:
        handle = asyncio.TimerHandle(when, callback, args, self, context)
        self._sequence += 1
        heapq.heappush(self._timers, (when, self._sequence, handle))
        handle._scheduled = True  # type: ignore[attr-defined]
        return handle

    def _timer_handle_cancelled(self, handle: asyncio.TimerHandle) -> None:
        """Cancelled timers are skipped when they come up."""

    def call_soon_threadsafe(  # type: ignore[override]  # as call_at
        self, callback: Callable[..., Any], *args: Any, context: Any = None
    ) -> asyncio.Handle:
        raise AssertionError("a simulated member has no threads")

    def run_in_executor(self, executor: Any, func: Any, *args: Any) -> Any:  # type: ignore[override]  # as call_at
        raise AssertionError("a simulated member has no threads")

    def _process_events(self, event_list: Any) -> None:
        """There is no selector."""

    def _write_to_self(self) -> None:
        """There is no selector."""

    def _run_once(self) -> None:
        ready: Any = vars(self)["_ready"]
        timers = self._timers
        if not ready:
            while timers and timers[0][2].cancelled():
                heapq.heappop(timers)
            if not timers:
                if vars(self)["_stopping"]:
                    return
                raise Deadlock("nothing is runnable and no timer is set")
            if timers[0][0] > self._now_s:
                self._now_s = timers[0][0]
                self._rounds = 0
        self._rounds += 1
        if self._rounds > ROUNDS_PER_INSTANT_MAX:
            raise Livelock(f"{ROUNDS_PER_INSTANT_MAX} rounds at {self._now_s:.6f}: {[str(handle) for handle in ready][:5]}")
        while timers and timers[0][0] <= self._now_s:
            handle = heapq.heappop(timers)[2]
            if not handle.cancelled():
                ready.append(handle)
        batch = list(ready)
        ready.clear()
        self._digest.update(b"%.9f %d;" % (self._now_s, len(batch)))
        for handle in batch:
            if handle.cancelled():
                continue
            life = getattr(handle, "_context").get(LIFE)  # noqa: B009 - typeshed does not know the attribute
            if life is not None:
                if life.over:
                    continue
                if life.paused:
                    life.due.append(handle)
                    continue
            self.events_total += 1
            handle._run()

    def run_forever(self) -> None:
        self._check_running()  # type: ignore[attr-defined]
        events._set_running_loop(self)
        self._thread_id = 1
        try:
            while True:
                self._run_once()
                if vars(self)["_stopping"]:
                    break
        finally:
            self._stopping = False
            vars(self)["_thread_id"] = None
            events._set_running_loop(None)

    def _check_thread(self) -> None:
        """There is one thread."""

    def resume(self, life: Life) -> None:
        """Ends a pause: what came due and what arrived meanwhile runs now, one before the other as the seed says."""
        life.paused = False
        due, life.due = life.due, []
        arrived, life.arrived = life.arrived, []
        timers_first = self.random.random() < 0.5
        if timers_first:
            vars(self)["_ready"].extend(due)
        for callback in arrived:
            self.call_soon(callback)
        if not timers_first:
            vars(self)["_ready"].extend(due)

    # Sockets.

    async def create_server(self, protocol_factory: Any, host: Any = None, port: Any = None, **kwargs: Any) -> Any:
        return self.network.listen(protocol_factory, str(host), int(port or 0))

    async def create_connection(self, protocol_factory: Any, host: Any = None, port: Any = None, **kwargs: Any) -> Any:
        return await self.network.connect(protocol_factory, HOST.get(), str(host), int(port or 0))


class Network:
    """Byte streams between simulated machines, in order and without loss, like TCP; a cut link holds what is sent.

    A machine is known by its host name; `cut` is one-way.
    """

    def __init__(self, loop: VirtualLoop, delay_s: tuple[float, float] = (0.0002, 0.002)) -> None:
        self.loop = loop
        self._delay_s = delay_s
        self._listeners: dict[tuple[str, int], Listener] = {}
        self._cuts: set[tuple[str, str]] = set()
        self._held: list[tuple[str, str, Callable[..., None], tuple[Any, ...]]] = []
        self._streams: list[Stream] = []
        self.sent_total = 0

    def listen(self, factory: Callable[[], asyncio.Protocol], host: str, port: int) -> Listener:
        if (host, port) in self._listeners:
            raise OSError(98, f"address {host}:{port} already in use")
        listener = self._listeners[host, port] = Listener(self, factory, host, port)
        return listener

    async def connect(self, factory: Callable[[], asyncio.Protocol], source: str, host: str, port: int) -> Any:
        connected = self.loop.create_future()

        def arrive() -> None:
            listener = self._listeners.get((host, port))
            if connected.done():
                return
            if listener is None:
                connected.set_exception(ConnectionRefusedError(111, f"{host}:{port} refused the connection"))
                return
            near, far = Stream(self, source, host), Stream(self, host, source)
            near.peer, far.peer = far, near
            self._streams += [near, far]
            near.protocol, far.protocol = factory(), listener.factory()
            far.context, near.context = listener.context, contextvars.copy_context()
            far.context.run(far.protocol.connection_made, far)
            near.protocol.connection_made(near)
            connected.set_result((near, near.protocol))

        self.deliver(source, host, arrive)
        return await connected

    def deliver(self, source: str, target: str, callback: Callable[..., None], *args: Any, after_s: float = 0.0) -> float:
        """Runs the callback after the link's delay, never before `after_s`; returns when."""
        self.sent_total += 1
        if (source, target) in self._cuts:
            self._held.append((source, target, callback, args))
            return after_s
        low, high = self._delay_s
        when = self.loop.time() + low + (high - low) * self.loop.random.random()
        when = max(when, after_s + 1e-9)
        self.loop.call_at(when, callback, *args)
        return when

    def cut(self, source: str, target: str) -> None:
        """Holds everything from one machine to another."""
        self._cuts.add((source, target))

    def isolate(self, host: str, others: list[str]) -> None:
        """Cuts a machine off from others, both ways."""
        for other in others:
            self.cut(host, other)
            self.cut(other, host)

    def heal(self) -> None:
        """Restores every link; what was held arrives now, in order."""
        self._cuts.clear()
        held, self._held = self._held, []
        last: dict[tuple[str, str], float] = {}
        for source, target, callback, args in held:
            last[source, target] = self.deliver(source, target, callback, *args, after_s=last.get((source, target), 0.0))

    def reset(self, host: str, other: str) -> None:
        """Breaks every connection between two machines; what was on its way is lost."""
        for stream in [stream for stream in self._streams if (stream.host, stream.remote) == (host, other)]:
            for end in (stream, stream.peer):
                self.loop.call_soon(end._peer_gone, ConnectionResetError(104, "connection reset"))

    def vanish(self, host: str) -> None:
        """The machine lost its power: nobody is told. Whoever writes to it later hears of it when it runs again, or never."""
        for stream in [stream for stream in self._streams if stream.host == host]:
            stream.vanish(silent=True)

    def crash(self, host: str) -> None:
        """The machine is gone: its sockets are reset at the other ends, and nothing more is delivered to it."""
        for key in [key for key in self._listeners if key[0] == host]:
            del self._listeners[key]
        for stream in [stream for stream in self._streams if stream.host == host]:
            stream.vanish()
        self._held = [item for item in self._held if host not in (item[0], item[1])]

    def is_up(self, host: str) -> bool:
        """True when a process listens on the machine."""
        return any(key[0] == host for key in self._listeners)

    def forget(self, stream: Stream) -> None:
        if stream in self._streams:
            self._streams.remove(stream)

    def unlisten(self, listener: Listener) -> None:
        self._listeners.pop((listener.host, listener.port), None)


class Listener(asyncio.AbstractServer):
    """What create_server returns."""

    def __init__(self, network: Network, factory: Callable[[], asyncio.Protocol], host: str, port: int) -> None:
        self.network, self.factory, self.host, self.port = network, factory, host, port
        self.context = contextvars.copy_context()
        self.sockets: tuple[Any, ...] = ()

    def close(self) -> None:
        self.network.unlisten(self)

    def get_loop(self) -> asyncio.AbstractEventLoop:
        return self.network.loop

    def is_serving(self) -> bool:
        return True

    async def start_serving(self) -> None:
        return

    async def serve_forever(self) -> None:
        await self.network.loop.create_future()

    async def wait_closed(self) -> None:
        return


class Stream(transports.Transport):
    """One end of a connection."""

    def __init__(self, network: Network, host: str, remote: str) -> None:
        super().__init__({"sockname": (host, 0), "peername": (remote, 0)})
        self.network, self.host, self.remote = network, host, remote
        self.peer: Stream
        self.protocol: Any = None
        self.context: contextvars.Context = contextvars.copy_context()
        self._closed = False
        self.gone = False
        self._paused = False
        self._backlog: list[bytes] = []
        self._last_s = 0.0

    def get_protocol(self) -> Any:
        return self.protocol

    def set_protocol(self, protocol: Any) -> None:
        self.protocol = protocol

    def is_closing(self) -> bool:
        return self._closed

    def write(self, data: Any) -> None:
        if not self._closed and data:
            self._last_s = self.network.deliver(self.host, self.remote, self.peer._receive, bytes(data), after_s=self._last_s)

    def _waits(self, callback: Callable[[], None]) -> bool:
        """True when the process at this end is paused; the callback runs when it goes on."""
        life = self.context.get(LIFE)
        if life is None or not life.paused:
            return False
        life.arrived.append(callback)
        return True

    def _receive(self, data: bytes) -> None:
        if self.gone and self.network.is_up(self.host):
            # Another process of that machine answers: there is no such connection.
            self.network.deliver(self.host, self.remote, self.peer._peer_gone, ConnectionResetError(104, "connection reset"))
        if self._closed or self._waits(lambda: self._receive(data)):
            return
        if self._paused:
            self._backlog.append(data)
        else:
            self.context.run(self.protocol.data_received, data)

    def close(self) -> None:
        if not self._closed:
            self._closed = True
            self.network.forget(self)
            self.network.deliver(self.host, self.remote, self.peer._peer_gone, None, after_s=self._last_s)
            self.network.loop.call_soon(self.protocol.connection_lost, None, context=self.context)

    def abort(self) -> None:
        self.close()

    def vanish(self, *, silent: bool = False) -> None:
        """The machine crashed: no callback runs here; the other end sees a reset, unless it is `silent`."""
        self._closed = True
        self.network.forget(self)
        self.gone = True
        if silent:
            return
        self.network.deliver(self.host, self.remote, self.peer._peer_gone, ConnectionResetError(104, "connection reset"))

    def _peer_gone(self, error: Exception | None) -> None:
        if self._closed or self._waits(lambda: self._peer_gone(error)):
            return
        self._closed = True
        self.network.forget(self)
        if error is None:
            self.context.run(self.protocol.eof_received)
        self.context.run(self.protocol.connection_lost, error)

    def pause_reading(self) -> None:
        self._paused = True

    def resume_reading(self) -> None:
        self._paused = False
        backlog, self._backlog = self._backlog, []
        for data in backlog:
            self._receive(data)

    def is_reading(self) -> bool:
        return not self._paused

    def get_write_buffer_size(self) -> int:
        return 0

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        """Writes never wait here."""

    def can_write_eof(self) -> bool:
        return False
