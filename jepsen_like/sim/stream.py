"""One end of a simulated connection: asyncio's transport over a `Link`. Hot path.

Owns order, back-pressure and the ways a connection ends. What was written and not yet read at the other end counts against
the socket's and then the transport's buffer, so a link that holds its bytes makes the writer pause as TCP would.
"""

from __future__ import annotations

import contextvars
from asyncio import transports
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from jepsen_like.sim.process import LIFE, NOWHERE

if TYPE_CHECKING:
    from jepsen_like.sim.network import Link, Network

SOCKET_BYTES = 256 << 10
"""What the two kernels between the ends hold before the transport's own buffer fills."""

WRITE_HIGH_BYTES = 64 << 10
"""asyncio's default."""


class Stream(transports.Transport):
    """See the module. Invariant: `unread_bytes` is what was written here and not yet handed to the other end's protocol."""

    def __init__(self, network: Network, link: Link, context: contextvars.Context) -> None:
        super().__init__({"sockname": (link.source, 0), "peername": (link.target, 0)})
        self.network, self.host, self.remote = network, link.source, link.target
        self.peer: Stream
        self.protocol: Any = None
        self.context = context.copy()
        self.life = context.get(LIFE)
        self.gone = False
        self.unread_bytes = 0
        self._link = link
        self._closed = False
        self._reading = True
        self._backlog: list[bytes] = []
        self.arrives_s = 0.0
        """When the last that was sent from here, the end included, arrives there, unless a cut holds it."""
        self._high_bytes = WRITE_HIGH_BYTES
        self._writer_paused = False
        self._half_closed = False

    def join(self, peer: Stream, protocol: Any, peer_protocol: Any) -> None:
        """Makes the connection; the accepting end hears of it first."""
        self.peer, peer.peer = peer, self
        self.protocol, peer.protocol = protocol, peer_protocol
        self.network.streams[self] = self.network.streams[peer] = None
        peer.enter(peer_protocol.connection_made, peer)
        self.enter(protocol.connection_made, self)

    def enter(self, callback: Callable[..., object], *args: Any) -> None:
        """Runs a callback as this end's process, the way asyncio does: what it raises goes to the loop's handler."""
        loop, life = self.network.loop, self.life
        before, loop.life = loop.life, life
        loop.events_total += 1
        try:
            self.context.run(callback, *args)
        except Exception as error:
            loop.call_exception_handler({"message": "Exception in callback of a transport", "exception": error})
        loop.life = before
        if life is not None and life.probe is not None:
            life.probe()

    def get_protocol(self) -> Any:
        """The protocol."""
        return self.protocol

    def set_protocol(self, protocol: Any) -> None:
        """Another one takes over."""
        self.protocol = protocol

    def is_closing(self) -> bool:
        """Closed at this end."""
        return self._closed

    def write(self, data: Any) -> None:
        """Sends; never waits."""
        if self._closed or not data:
            return
        body = bytes(data)
        self.network.note(body)
        size = len(body)
        self.unread_bytes += size
        self.arrives_s = self._link.deliver(self.peer.receive, (body,), size, self.arrives_s)
        if not self._writer_paused and self.unread_bytes > SOCKET_BYTES + self._high_bytes:
            self._writer_paused = True
            self.protocol.pause_writing()

    def taken(self, size: int) -> None:
        """The other end read so many bytes."""
        self.unread_bytes -= size
        if self._writer_paused and not self._closed and self.unread_bytes <= SOCKET_BYTES + self._high_bytes // 4:
            self._writer_paused = False
            self.network.loop.call_soon(self._resume_writer, context=self.context)

    def _resume_writer(self) -> None:
        if not self._closed and not self._writer_paused:
            self.protocol.resume_writing()

    def _waits(self, callback: Callable[[], None]) -> bool:
        """True when the process at this end is paused; the callback runs when it goes on."""
        life = self.life
        if life is None or not life.paused:
            return False
        life.arrived.append(callback)
        return True

    def receive(self, data: bytes) -> None:
        """Bytes arrived."""
        if self.gone and self.network.is_up(self.host):
            # Another process of that machine answers: there is no such connection.
            self._link.deliver(self.peer.peer_gone, (ConnectionResetError(104, "connection reset"),), 0)
        if self._closed or self._waits(lambda: self.receive(data)):
            return
        if not self._reading or self._backlog:
            self._backlog.append(data)
        else:
            self.peer.taken(len(data))
            self.enter(self.protocol.data_received, data)

    def close(self) -> None:
        """Ends this end; the other reads what was sent, then the end."""
        if not self._closed:
            self._closed = True
            self.network.streams.pop(self, None)
            self.arrives_s = self._link.deliver(self.peer.peer_gone, (None,), 0, self.arrives_s)
            self.network.loop.call_soon(self.protocol.connection_lost, None, context=self.context)

    def abort(self) -> None:
        """As `close`."""
        self.close()

    def vanish(self, *, silent: bool = False) -> None:
        """The process is gone: no callback runs here; the other end sees a reset, unless it is `silent`."""
        self._closed = True
        self.network.streams.pop(self, None)
        self.gone = True
        if not silent:
            self._link.deliver(self.peer.peer_gone, (ConnectionResetError(104, "connection reset"),), 0)

    def peer_gone(self, error: Exception | None) -> None:
        """The other end closed, or the connection broke."""
        if self._closed or self._waits(lambda: self.peer_gone(error)):
            return
        if error is None and not self._reading and self._backlog:
            # What was sent before the end is read before it.
            self._half_closed = True
            return
        self._closed = True
        self.network.streams.pop(self, None)
        if error is None:
            self.enter(self.protocol.eof_received)
        self.enter(self.protocol.connection_lost, error)

    def pause_reading(self) -> None:
        """Keeps what arrives."""
        self._reading = False

    def resume_reading(self) -> None:
        """Hands on what arrived meanwhile, soon."""
        if not self._reading:
            self._reading = True
            self.network.loop.call_soon(self._catch_up, context=NOWHERE)

    def _catch_up(self) -> None:
        backlog, self._backlog = self._backlog, []
        for position, data in enumerate(backlog):
            if not self._reading:
                self._backlog = backlog[position:] + self._backlog
                return
            self.receive(data)
        if self._half_closed:
            self.peer_gone(None)

    def is_reading(self) -> bool:
        """Not paused."""
        return self._reading

    def get_write_buffer_size(self) -> int:
        """What the sockets would not take."""
        return max(0, self.unread_bytes - SOCKET_BYTES)

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        """When the writer is paused; `low` is always a quarter."""
        self._high_bytes = WRITE_HIGH_BYTES if high is None else high

    def can_write_eof(self) -> bool:
        """Not here."""
        return False
