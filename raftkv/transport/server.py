"""The listening half: sniffs each connection, feeds its bytes to the protocol, writes once per connection and turn.

Asyncio. Hot path: `data_received` and `flush`. Uses of the loop only what asyncio, uvloop and the simulated loop all have.
HTTP/1.1 is somebody else's: a connection that does not begin with HTTP/2's preface is handed to the `http1` factory.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from raftkv.transport import frames
from raftkv.transport.call import Kind, Route, ServerCall, StreamHandler
from raftkv.transport.deadlines import Deadlines
from raftkv.transport.frames import PREFACE, ErrorCode
from raftkv.transport.limits import ServerLimits
from raftkv.transport.plain import PlainRequest
from raftkv.transport.request import MethodCounters
from raftkv.transport.serving import KEEPALIVE_PING, Interceptor, ServerConnection, Services

__all__ = ["GrpcServer", "Kind", "PlainRequest", "Route", "ServerCall", "ServerLimits", "ServerStatistics", "StreamHandler"]

logger = logging.getLogger(__name__)

WRITE_BUFFER_BYTES = 1 << 20
"""What one connection's transport may hold unwritten before DATA for it waits in its streams."""
GATHER_BYTES_MIN = 128 << 10
"""From here on what one flush writes is gathered by the kernel and not joined first."""
SWEEPS_PER_TIMEOUT = 8
"""Timeouts of connections are looked at this often within the shortest of them, so they are met to an eighth."""
SWEEP_MIN_S, SWEEP_MAX_S = 0.01, 1.0
HTTP1_REFUSAL = b"HTTP/1.1 505 HTTP Version Not Supported\r\nconnection: close\r\ncontent-length: 0\r\n\r\n"


class ServerStatistics(NamedTuple):
    """Counts since the start, but for `connection_count` and `call_count`."""

    connection_count: int
    call_count: int
    accepted_count: int
    received_bytes: int
    sent_bytes: int
    handler_error_count: int
    methods: Mapping[str, MethodCounters]
    unknown_methods: MethodCounters


class GrpcServer:
    """All connections of one server. Listen with `loop.create_server(server.protocol_factory, …)`.

    1. A connection is in `_dirty` exactly when its sender is marked and not yet flushed.
    2. While `_dirty` is not empty, a flush is armed on the loop.
    """

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        routes: Mapping[str, Route],
        limits: ServerLimits,
        *,
        http1: Callable[[], asyncio.Protocol] | None = None,
        http2_plain: Callable[[PlainRequest], None] | None = None,
        interceptor: Interceptor | None = None,
    ) -> None:
        """`http2_plain` is given each complete HTTP/2 request that is not gRPC. `interceptor` sees each call before its handler and may
        refuse it with (code, message)."""
        limits.validate()
        self._loop = loop
        self.limits = limits
        self.http1 = http1
        self._deadlines = Deadlines(loop)
        self.services = Services(
            routes, self._deadlines, interceptor=interceptor, plain=http2_plain, on_handler_error=self._on_handler_error
        )
        self._protocols: dict[ServerProtocol, None] = {}
        self._dirty: list[ServerProtocol] = []
        self._sweep_timer: asyncio.TimerHandle | None = None
        timeouts = (limits.preface_timeout_s, limits.headers_timeout_s, limits.stall_timeout_s, limits.keepalive_timeout_s)
        self._sweep_s = min(max(min(timeouts) / SWEEPS_PER_TIMEOUT, SWEEP_MIN_S), SWEEP_MAX_S)
        self._drained: asyncio.Future[None] | None = None
        self._closed = False
        self._accepted_count = self._received_bytes = self._sent_bytes = 0

    def protocol_factory(self) -> asyncio.Protocol:
        """For `create_server`; one per connection."""
        return ServerProtocol(self, self._loop)

    def flush(self) -> None:
        """Write every connection that has something to say now. Else the loop does it at the end of its turn."""
        dirty = self._dirty
        if dirty:
            self._dirty = []
            for protocol in dirty:
                protocol.flush()

    async def drain(self, grace_s: float) -> None:
        """Refuse new calls and wait up to `grace_s` for the open ones to end, then `close`. Safe to cancel: closes as well.

        The listening sockets are the caller's, to be closed before.
        """
        self._drained = self._loop.create_future()
        timer = self._loop.call_later(grace_s, self._end_drain)
        try:
            for protocol in list(self._protocols):
                protocol.drain()
            self._check_drained()
            await self._drained
        finally:
            timer.cancel()
            self.close()

    def close(self) -> None:
        """Tell every client GOAWAY, end every call as cancelled, close every connection."""
        self._closed = True
        for protocol in list(self._protocols):
            protocol.shut_down()
        self._deadlines.close()
        if self._sweep_timer is not None:
            self._sweep_timer.cancel()
            self._sweep_timer = None

    def statistics(self) -> ServerStatistics:
        """See `ServerStatistics`."""
        connections = [protocol.connection for protocol in self._protocols if protocol.connection is not None]
        return ServerStatistics(
            connection_count=len(self._protocols),
            call_count=sum(len(connection.streams) for connection in connections),
            accepted_count=self._accepted_count,
            received_bytes=self._received_bytes + sum(connection.received_bytes for connection in connections),
            sent_bytes=self._sent_bytes,
            handler_error_count=self.services.handler_error_count,
            methods=self.services.counters,
            unknown_methods=self.services.unknown,
        )

    def describe(self) -> str:
        """One line per connection, for people."""
        return "\n".join(protocol.describe() for protocol in self._protocols)

    # For the protocols.

    def adopt(self, protocol: ServerProtocol) -> bool:
        """A connection was made; false when the server is going away or full."""
        if self._closed or self._drained is not None or len(self._protocols) >= self.limits.connections_max:
            return False
        self._accepted_count += 1
        self._protocols[protocol] = None
        if self._sweep_timer is None:
            self._sweep_timer = self._loop.call_later(self._sweep_s, self._sweep)
        return True

    def disown(self, protocol: ServerProtocol) -> None:
        """A connection is gone, or speaks HTTP/1.1."""
        if protocol in self._protocols:
            del self._protocols[protocol]
            if protocol.connection is not None:
                self._received_bytes += protocol.connection.received_bytes
            self._check_drained()

    def mark(self, protocol: ServerProtocol) -> None:
        """The connection has something to write in this turn."""
        if not self._dirty:
            self._loop.call_soon(self.flush)
        self._dirty.append(protocol)

    def count_sent(self, size: int) -> None:
        """Bytes given to a transport."""
        self._sent_bytes += size

    def _end_drain(self) -> None:
        if self._drained is not None and not self._drained.done():
            self._drained.set_result(None)

    def _check_drained(self) -> None:
        if not self._protocols:
            self._end_drain()

    def _sweep(self) -> None:
        """Look at every connection's timeouts."""
        self._sweep_timer = None
        now_s = self._loop.time()
        for protocol in list(self._protocols):
            protocol.sweep(now_s)
        if self._protocols and self._sweep_timer is None and not self._closed:
            self._sweep_timer = self._loop.call_later(self._sweep_s, self._sweep)

    def _on_handler_error(self, path: str, exc: Exception) -> None:
        logger.error("handler of %s failed", path, exc_info=exc)


class ServerProtocol(asyncio.Protocol):
    """One connection: first the sniffer, then the bytes' way in and out of a `ServerConnection`."""

    __slots__ = (
        "_control_bytes",
        "_loop",
        "_pinged_at_s",
        "_read_at_s",
        "_read_count",
        "_reading",
        "_sent_at_s",
        "_sent_count",
        "_server",
        "_sniffed",
        "_transport",
        "connection",
    )

    def __init__(self, server: GrpcServer, loop: asyncio.AbstractEventLoop) -> None:
        self._server = server
        self._loop = loop
        self._transport: asyncio.Transport | None = None
        self._sniffed = b""
        self._reading = True
        self._control_bytes = 0
        self._read_count = self._sent_count = 0
        self._read_at_s = self._sent_at_s = loop.time()
        self._pinged_at_s: float | None = None
        self.connection: ServerConnection | None = None

    # What the transport calls.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """See asyncio.Protocol."""
        self._transport = transport  # type: ignore[assignment]  # uvloop's transports are not asyncio's by type.
        if not self._server.adopt(self):
            transport.close()

    def data_received(self, data: bytes) -> None:
        """See asyncio.Protocol."""
        connection = self.connection
        if connection is None:
            self._sniff(data)
            return
        connection.receive(data)
        if connection.unanswered > connection.server_limits.queued_calls_max and self._reading and self._transport is not None:
            self._reading = False
            self._transport.pause_reading()

    def eof_received(self) -> bool:
        """See asyncio.Protocol: a client that shuts down its sending half has gone."""
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        """See asyncio.Protocol."""
        self._transport = None
        if self.connection is not None:
            self.connection.lose(ErrorCode.CANCEL, "connection lost")
        self._server.disown(self)

    def pause_writing(self) -> None:
        """See asyncio.Protocol."""
        if self.connection is not None:
            self._control_bytes = 0
            self.connection.sender.pause()

    def resume_writing(self) -> None:
        """See asyncio.Protocol."""
        if self.connection is not None:
            self.connection.sender.resume()

    # What the server calls.

    def flush(self) -> None:
        """Write everything that may leave now, at once."""
        connection, transport = self.connection, self._transport
        assert connection is not None
        chunks = connection.take()
        if transport is None or transport.is_closing():
            # A transport that is closed or cut tells its protocol later, and may refuse writes meanwhile.
            return
        if chunks:
            size = len(chunks[0]) if len(chunks) == 1 else sum(map(len, chunks))
            if connection.sender.paused:
                self._control_bytes += size
                if self._control_bytes > connection.limits.control_bytes_max:
                    transport.abort()
                    return
            self._server.count_sent(size)
            if len(chunks) == 1:
                transport.write(chunks[0])
            elif size >= GATHER_BYTES_MIN:
                # A long answer's pieces go to the kernel from where they lie: the join would cost what the send does.
                transport.writelines(chunks)
            else:
                transport.write(b"".join(chunks))
        if connection.closing or (connection.draining and not connection.streams):
            transport.close()
        elif not self._reading and connection.may_resume:
            self._reading = True
            transport.resume_reading()

    def drain(self) -> None:
        """Begin the graceful end."""
        if self.connection is None:
            self.shut_down()
        else:
            self.connection.begin_drain()

    def shut_down(self) -> None:
        """End now; what is in the transport's buffer still leaves."""
        if self.connection is not None:
            self.connection.fail(ErrorCode.NO_ERROR, "server stopped")
        elif self._transport is not None:
            self._transport.close()

    def sweep(self, now_s: float) -> None:
        """Look at the timeouts: handshake, header block, stall, silence."""
        connection, limits, transport = self.connection, self._server.limits, self._transport
        if transport is None:
            return
        if connection is None or connection.must_begin:
            if now_s - self._read_at_s > limits.preface_timeout_s:
                transport.abort()
            return
        if connection.closing:
            transport.abort()  # It had a whole sweep to take the GOAWAY.
            return
        sender = connection.sender
        if sender.sent_count != self._sent_count or sender.unsent_bytes < limits.unsent_bytes_max:
            self._sent_count, self._sent_at_s = sender.sent_count, now_s
        elif now_s - self._sent_at_s > limits.stall_timeout_s:
            connection.fail(ErrorCode.ENHANCE_YOUR_CALM, "answers are not being taken")
        if connection.headers_since_s is not None and now_s - connection.headers_since_s > limits.headers_timeout_s:
            connection.fail(ErrorCode.ENHANCE_YOUR_CALM, "header block without an end")
        self._keep_alive(connection, transport, now_s)

    def describe(self) -> str:
        """One line for people."""
        connection = self.connection
        if connection is None:
            return "new connection"
        return (
            f"{connection.peer_address}: {len(connection.streams)} streams, {connection.unanswered} unanswered, "
            f"{len(connection.held)} held, {connection.sender.unsent_bytes} bytes unsent, {connection.user_agent}"
        )

    def _keep_alive(self, connection: ServerConnection, transport: asyncio.Transport, now_s: float) -> None:
        limits = self._server.limits
        if connection.read_count != self._read_count or not self._reading:
            self._read_count, self._read_at_s, self._pinged_at_s = connection.read_count, now_s, None
        elif self._pinged_at_s is not None:
            if now_s - self._pinged_at_s > limits.keepalive_timeout_s:
                transport.abort()
        elif now_s - self._read_at_s > limits.keepalive_s:
            self._pinged_at_s = now_s
            connection.sender.write(frames.ping(KEEPALIVE_PING, ack=False))

    def _mark(self) -> None:
        self._server.mark(self)

    def _sniff(self, data: bytes) -> None:
        """Gather bytes until they tell HTTP/2 from HTTP/1.1."""
        data = self._sniffed = self._sniffed + data
        if data.startswith(PREFACE):
            self._sniffed = b""
            self._begin_http2(data[len(PREFACE) :])
        elif not PREFACE.startswith(data):
            self._sniffed = b""
            self._hand_to_http1(data)

    def _begin_http2(self, rest: bytes) -> None:
        transport = self._transport
        assert transport is not None
        transport.set_write_buffer_limits(high=WRITE_BUFFER_BYTES)
        self.connection = ServerConnection(
            self._server.services,
            self._server.limits,
            self._loop.time,
            self._mark,
            peer_address=_address(transport.get_extra_info("peername")),
            tls_common_name=_common_name(transport.get_extra_info("peercert")),
        )
        if rest:
            self.data_received(rest)

    def _hand_to_http1(self, data: bytes) -> None:
        transport, factory = self._transport, self._server.http1
        assert transport is not None
        if factory is None:
            transport.write(HTTP1_REFUSAL)
            transport.close()
            return
        self._server.disown(self)
        protocol = factory()
        transport.set_protocol(protocol)
        protocol.connection_made(transport)
        protocol.data_received(data)


def _address(peername: Any) -> str:
    """A peer's address as host:port; a path, or nothing, for a Unix socket."""
    if isinstance(peername, tuple):
        host, port = peername[:2]
        return f"[{host}]:{port}" if ":" in str(host) else f"{host}:{port}"
    return peername if isinstance(peername, str) else ""


def _common_name(certificate: Any) -> str | None:
    """The common name of a verified client certificate, as `ssl` describes it."""
    if not certificate:
        return None
    for attributes in certificate.get("subject", ()):
        for name, value in attributes:
            if name == "commonName":
                return str(value)
    return None
