"""Byte streams between simulated machines, in order and without loss inside a connection, like TCP.

Owns links, what they do to bytes, and both ends of every connection. A cut link holds what is sent until it is mended: no
byte of a TCP stream is ever lost without the connection. A machine is known by its host name; every link is one-way and has
its own stream of draws. Hot path.
"""

from __future__ import annotations

import asyncio
import contextvars
import zlib
from collections import Counter
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from jepsen_like.sim.process import HOST, LIFE, NOWHERE
from jepsen_like.sim.stream import Stream

if TYPE_CHECKING:
    from jepsen_like.sim.loop import VirtualLoop

DELAY_S = (0.0002, 0.002)
"""One way, between any two machines."""


class Delivery:
    """Something on its way; run by the loop in no process's context, since the sender may be dead and the receiver paused."""

    __slots__ = ("_args", "_callback", "_cancelled", "_context")

    def __init__(self, callback: Callable[..., None], args: tuple[Any, ...]) -> None:
        self._callback = callback
        self._args = args
        self._cancelled = False
        self._context = NOWHERE

    def _run(self) -> None:
        self._callback(*self._args)


class Link:
    """One direction between two machines."""

    __slots__ = (
        "_loop",
        "cuts",
        "free_s",
        "held",
        "held_until_s",
        "low_s",
        "random",
        "rate_bytes_s",
        "sent",
        "source",
        "span_s",
        "tail",
        "tail_s",
        "target",
    )

    def __init__(self, loop: VirtualLoop, source: str, target: str, delay_s: tuple[float, float]) -> None:
        self._loop = loop
        self.source, self.target = source, target
        self.random = loop.streams.get("net", source, target).random
        self.cuts = 0
        """Faults that hold this link closed now."""
        self.held: list[tuple[Callable[..., None], tuple[Any, ...], int, float]] = []
        self.held_until_s = 0.0
        """When the last of what was held has arrived: what is sent later does not overtake it, as no byte of a connection may."""
        self.low_s, self.span_s = delay_s[0], delay_s[1] - delay_s[0]
        self.tail = 0.0
        """Share of deliveries that take up to `tail_s` longer."""
        self.tail_s = 0.0
        self.rate_bytes_s = 0.0
        """0: unlimited."""
        self.free_s = 0.0
        self.sent = 0
        """Deliveries so far."""

    def shape(self, delay_s: tuple[float, float], *, tail: float = 0.0, tail_s: float = 0.0, rate_bytes_s: float = 0.0) -> None:
        """What the link does to everything sent from now on."""
        self.low_s, self.span_s = delay_s[0], delay_s[1] - delay_s[0]
        self.tail, self.tail_s, self.rate_bytes_s = tail, tail_s, rate_bytes_s

    def deliver(self, callback: Callable[..., None], args: tuple[Any, ...], size: int, after_s: float = 0.0) -> float:
        """Runs the callback after the link's delay, never before `after_s`; returns when."""
        if self.cuts:
            self.held.append((callback, args, size, after_s))
            return after_s
        loop = self._loop
        self.sent += 1
        when = loop.now_s + self.low_s + self.span_s * self.random()
        if self.tail and self.random() < self.tail:
            when += self.tail_s * self.random()
        if self.rate_bytes_s:
            self.free_s = max(self.free_s, loop.now_s) + size / self.rate_bytes_s
            when = max(when, self.free_s)
        after_s = max(after_s, self.held_until_s)
        if when <= after_s:
            when = after_s + 1e-9
        loop.push(when, Delivery(callback, args))
        return when

    def cut(self) -> None:
        """Holds everything from now on, until as many `mend`s."""
        self.cuts += 1

    def mend(self) -> None:
        """Ends one cut; after the last what was held arrives, in order."""
        self.cuts = max(0, self.cuts - 1)
        if self.cuts:
            return
        held, self.held = self.held, []
        for callback, args, size, after_s in held:
            self.held_until_s = self.deliver(callback, args, size, after_s)


class Network:
    """All links, listeners and connections."""

    def __init__(self, loop: VirtualLoop, delay_s: tuple[float, float] = DELAY_S) -> None:
        self.loop = loop
        self.delay_s = delay_s
        """Of links nobody used yet."""
        self.checksum = 0
        """Of all bytes sent so far, in order."""
        self.stalled: Counter[str] = Counter()
        """Machine -> faults that keep its listeners from taking a connection now; who asks waits."""
        self.streams: dict[Stream, None] = {}
        self._links: dict[tuple[str, str], Link] = {}
        self._listeners: dict[tuple[str, int], Listener] = {}
        self._waiting: list[tuple[str, Callable[[], None]]] = []

    def link(self, source: str, target: str) -> Link:
        """The link from one machine to another."""
        found = self._links.get((source, target))
        if found is None:
            found = self._links[source, target] = Link(self.loop, source, target, self.delay_s)
        return found

    def listen(self, factory: Callable[[], asyncio.Protocol], host: str, port: int) -> Listener:
        """A listener on the machine. Raises OSError when there is one."""
        if (host, port) in self._listeners:
            raise OSError(98, f"address {host}:{port} already in use")
        listener = self._listeners[host, port] = Listener(self, factory, host, port)
        return listener

    async def connect(self, factory: Callable[[], asyncio.Protocol], host: str, port: int) -> Any:
        """A connection from the running code's machine. Raises ConnectionRefusedError."""
        source = HOST.get()
        connected = self.loop.create_future()
        context = contextvars.copy_context()

        def arrive() -> None:
            life = context.get(LIFE)
            if connected.done() or (life is not None and life.over):
                return
            if life is not None and life.paused:
                life.arrived.append(arrive)
                return
            listener = self._listeners.get((host, port))
            if listener is None:
                connected.set_exception(ConnectionRefusedError(111, f"{host}:{port} refused the connection"))
                return
            server = listener.context.get(LIFE)
            if self.stalled[host] or (server is not None and server.paused):
                self._waiting.append((host, arrive))
                return
            near = Stream(self, self.link(source, host), context)
            far = Stream(self, self.link(host, source), listener.context)
            near.join(far, context.run(factory), listener.factory())
            connected.set_result((near, near.protocol))

        self.link(source, host).deliver(arrive, (), 0)
        return await connected

    def accept_again(self, host: str) -> int:
        """Lets in who waited at the machine's listeners, unless it is stalled; returns how many waited."""
        waiting, self._waiting = self._waiting, []
        for target, arrive in waiting:
            if target == host:
                self.loop.push(self.loop.now_s, Delivery(arrive, ()))
            else:
                self._waiting.append((target, arrive))
        return len(waiting) - len(self._waiting)

    def waiting(self, host: str) -> int:
        """Connections that wait at the machine's listeners."""
        return sum(target == host for target, _arrive in self._waiting)

    def connected(self, host: str) -> list[str]:
        """The machines it has connections with, in the order of the oldest."""
        return list(dict.fromkeys(stream.remote for stream in self.streams if stream.host == host))

    def arrived_s(self, source: str, target: str) -> float:
        """When what was sent so far over the connections that the target still has with the source has arrived, ends included.

        No cut may hold any of it. Bytes get their moment when they are sent, as packets do in netem's queue: what waits for a slow link
        waits on when that is over, and an end of connection waits behind them.
        """
        moments = [stream.peer.arrives_s for stream in self.streams if (stream.host, stream.remote) == (target, source)]
        return max(self.loop.now_s, self.link(source, target).held_until_s, *moments)

    def cut(self, source: str, target: str) -> None:
        """Holds everything from one machine to another."""
        self.link(source, target).cut()

    def mend(self, source: str, target: str) -> None:
        """Takes back one `cut`."""
        self.link(source, target).mend()

    def isolate(self, host: str, others: list[str]) -> None:
        """Cuts a machine off from others, both ways."""
        for other in others:
            self.cut(host, other)
            self.cut(other, host)

    def heal(self) -> None:
        """Restores every link and listener; what was held arrives now, in order."""
        self.stalled.clear()
        for link in self._links.values():
            if link.cuts:
                link.cuts = 1
                link.mend()

    def reset(self, host: str, other: str) -> int:
        """Breaks every connection between two machines, and says how many; what was on its way is lost."""
        broken = [stream for stream in self.streams if (stream.host, stream.remote) == (host, other)]
        for stream in broken:
            for end in (stream, stream.peer):
                self.loop.push(self.loop.now_s, Delivery(end.peer_gone, (ConnectionResetError(104, "connection reset"),)))
        return len(broken)

    def vanish(self, host: str) -> None:
        """The machine lost its power: nobody is told. Whoever writes to it later hears of it when it runs again, or never."""
        for stream in [stream for stream in self.streams if stream.host == host]:
            stream.vanish(silent=True)

    def crash(self, host: str) -> None:
        """The process is gone: its sockets are reset at the other ends, and nothing more is delivered to it."""
        for key in [key for key in self._listeners if key[0] == host]:
            del self._listeners[key]
        for stream in [stream for stream in self.streams if stream.host == host]:
            stream.vanish()

    def is_up(self, host: str) -> bool:
        """True when a process listens on the machine."""
        return any(key[0] == host for key in self._listeners)

    def unlisten(self, listener: Listener) -> None:
        """The listener takes no more connections."""
        if self._listeners.get((listener.host, listener.port)) is listener:
            del self._listeners[listener.host, listener.port]

    def note(self, data: bytes) -> None:
        """Adds what was sent to the checksum."""
        self.checksum = zlib.crc32(data, self.checksum)


class Listener(asyncio.AbstractServer):
    """What create_server returns."""

    def __init__(self, network: Network, factory: Callable[[], asyncio.Protocol], host: str, port: int) -> None:
        self.network, self.factory, self.host, self.port = network, factory, host, port
        self.context = contextvars.copy_context()
        self.sockets: tuple[Any, ...] = ()

    def close(self) -> None:
        """No more connections."""
        self.network.unlisten(self)

    def get_loop(self) -> asyncio.AbstractEventLoop:
        """The simulated loop."""
        return self.network.loop

    def is_serving(self) -> bool:
        """Always."""
        return True

    async def start_serving(self) -> None:
        """It serves from the start."""

    async def serve_forever(self) -> None:
        """Waits for ever."""
        await self.network.loop.create_future()

    async def wait_closed(self) -> None:
        """Nothing to wait for."""
