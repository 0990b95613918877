"""One connection to one server, for callers on the loop.

Asyncio. A channel lives as long as its connection: who wants another makes another. Uses of the loop only what asyncio,
uvloop and the simulated loop all have. Writes once per turn.
"""

from __future__ import annotations

import asyncio
import ssl as ssl_module
from collections.abc import Callable, Iterable
from typing import Any

from raftkv.transport import frames
from raftkv.transport.client import USER_AGENT, ClientCall, ClientConnection, RpcError
from raftkv.transport.deadlines import Deadlines
from raftkv.transport.frames import ErrorCode
from raftkv.transport.grpc_wire import Code, metadata_fields
from raftkv.transport.limits import ChannelLimits

__all__ = ["Channel", "ChannelLimits", "ClientCall", "Code", "RpcError"]

WRITE_BUFFER_BYTES = 1 << 20
"""What the transport may hold unwritten before DATA waits in its streams."""
CONNECT_TIMEOUT_S = 5.0
KEEPALIVE_PING = b"raftkvKA"

Metadata = Iterable[tuple[str, str | bytes]]
Done = Callable[[bytes | None, RpcError | None], None]


class Channel:
    """Calls over one connection.

    1. Every call's completion is called exactly once, on the loop, never from inside the method that started it; a cancelled call's never.
    2. `on_closed` is called once, after every call has ended, if `connect` had succeeded.
    """

    def __init__(
        self,
        address: tuple[str, int] | str,
        *,
        loop: asyncio.AbstractEventLoop | None = None,
        ssl: ssl_module.SSLContext | None = None,
        server_hostname: str | None = None,
        authority: str | None = None,
        user_agent: str = USER_AGENT,
        limits: ChannelLimits | None = None,
        on_closed: Callable[[RpcError], None] | None = None,
        connector: Callable[[asyncio.Protocol], None] | None = None,
    ) -> None:
        """`address` is (host, port), or the path of a Unix socket. `authority` is what `:authority` says, host:port by default.

        A `connector` (`pair.connector`) joins our protocol to a server of this process; the address is then only a name.
        """
        self._limits = limits or ChannelLimits()
        self._limits.validate()
        self._address = address
        self._loop = loop or asyncio.get_running_loop()
        self._ssl = ssl
        self._server_hostname = server_hostname
        self._authority = authority or (address if isinstance(address, str) else "{}:{}".format(*address))
        if isinstance(address, str) and authority is None:
            self._authority = "localhost"
        self._user_agent = user_agent
        self._on_closed = on_closed
        self._connector = connector
        self._deadlines = Deadlines(self._loop)
        self._protocol: _ChannelProtocol | None = None
        self._connecting = False

    async def connect(self, timeout_s: float = CONNECT_TIMEOUT_S) -> None:
        """Connect, and wait for the server's SETTINGS. Raises RpcError(UNAVAILABLE, sent=False); may be tried again."""
        if self._protocol is not None or self._connecting:
            raise RuntimeError("a channel connects once")
        self._connecting = True
        protocol = _ChannelProtocol(self, self._loop)
        try:
            async with asyncio.timeout(timeout_s):
                await self._create(lambda: protocol)
                await protocol.settled
            if protocol.is_lost:
                raise RpcError(Code.UNAVAILABLE, "lost at once")
        except (OSError, TimeoutError, RpcError) as exc:
            protocol.abort()
            reason = f"no answer within {timeout_s:g} s" if isinstance(exc, TimeoutError) and not str(exc) else str(exc)
            raise RpcError(Code.UNAVAILABLE, f"connection to {self._authority} failed: {reason}", sent=False) from exc
        except BaseException:
            protocol.abort()
            raise
        finally:
            self._connecting = False
        self._protocol = protocol

    @property
    def accepts_calls(self) -> bool:
        """Whether a new call has a chance: connected, and the server has not said that it is going away."""
        connection = self._connection
        return connection is not None and not connection.closing and not connection.draining

    @property
    def call_count(self) -> int:
        """Calls that are not over."""
        connection = self._connection
        return 0 if connection is None else connection.call_count

    @property
    def bytes_counted(self) -> tuple[int, int]:
        """(received, sent) on this connection."""
        protocol = self._protocol
        return (0, 0) if protocol is None or protocol.connection is None else (protocol.connection.received_bytes, protocol.sent_bytes)

    def unary(
        self,
        path: str,
        body: bytes,
        done: Done,
        *,
        metadata: Metadata = (),
        deadline_s: float | None = None,
        body_bytes_max: int | None = None,
    ) -> ClientCall:
        """One message each way; `done(body, None)` or `done(None, error)`. `deadline_s` is loop time."""
        call = self._call(path, metadata, None, done, None, body_bytes_max)
        call.send(body)
        call.half_close()
        return self._open(call, deadline_s)

    def stream(
        self,
        path: str,
        *,
        on_message: Callable[[bytes], None],
        on_done: Callable[[RpcError | None], None],
        metadata: Metadata = (),
        deadline_s: float | None = None,
        on_writable: Callable[[], None] | None = None,
        body_bytes_max: int | None = None,
    ) -> ClientCall:
        """A call of any kind: send, half_close and cancel are the call's; messages come in order, then on_done once."""
        call = self._call(path, metadata, on_message, lambda _, error: on_done(error), on_writable, body_bytes_max)
        return self._open(call, deadline_s)

    async def call(self, path: str, body: bytes, *, metadata: Metadata = (), timeout_s: float | None = None) -> bytes:
        """`unary`, awaited. Cancelling the wait cancels the call, whose request may still take effect."""
        future: asyncio.Future[bytes] = self._loop.create_future()

        def done(answer: bytes | None, error: RpcError | None) -> None:
            if future.done():
                return
            if error is not None:
                future.set_exception(error)
            else:
                assert answer is not None
                future.set_result(answer)

        deadline_s = None if timeout_s is None else self._loop.time() + timeout_s
        call = self.unary(path, body, done, metadata=metadata, deadline_s=deadline_s)
        try:
            return await future
        finally:
            if not future.done() or future.cancelled():
                call.cancel()

    def flush(self) -> None:
        """Write what there is now; else the loop does it at the end of its turn."""
        if self._protocol is not None:
            self._protocol.flush()

    def close(self) -> None:
        """End every call with UNAVAILABLE and the connection with them."""
        if self._protocol is not None:
            self._protocol.close(RpcError(Code.UNAVAILABLE, "the channel was closed"))

    # Inside.

    @property
    def _connection(self) -> ClientConnection | None:
        return None if self._protocol is None else self._protocol.connection

    async def _create(self, factory: Callable[[], asyncio.Protocol]) -> None:
        if self._connector is not None:
            self._connector(factory())
        elif isinstance(self._address, str):
            await self._loop.create_unix_connection(factory, self._address, ssl=self._ssl, server_hostname=self._server_hostname)
        elif self._ssl is None:
            await self._loop.create_connection(factory, *self._address)
        else:
            await self._loop.create_connection(factory, *self._address, ssl=self._ssl, server_hostname=self._server_hostname)

    def make_connection(self, mark: Callable[[], None]) -> ClientConnection:
        """For the protocol."""
        return ClientConnection(
            self._limits,
            self._loop.time,
            mark,
            self._deadlines,
            authority=self._authority,
            on_callback_error=self._on_callback_error,
            scheme="http" if self._ssl is None else "https",
            user_agent=self._user_agent,
        )

    def on_lost(self, protocol: _ChannelProtocol, error: RpcError) -> None:
        """For the protocol: the connection is gone and its calls have been told."""
        self._deadlines.close()
        if protocol is self._protocol and self._on_closed is not None:
            self._on_closed(error)

    def _on_callback_error(self, exc: Exception) -> None:
        self._loop.call_exception_handler({"message": "a callback of a call failed", "exception": exc})

    @property
    def limits(self) -> ChannelLimits:
        """As given."""
        return self._limits

    def _call(
        self,
        path: str,
        metadata: Metadata,
        on_message: Callable[[bytes], None] | None,
        on_done: Done,
        on_writable: Callable[[], None] | None,
        body_bytes_max: int | None,
    ) -> ClientCall:
        connection = self._connection
        if connection is None:
            # A connection that never was: it refuses the call like one that is over.
            connection = self.make_connection(_nothing)
            connection.closing = True
        return ClientCall(
            connection,
            path,
            tuple(metadata_fields(metadata)) if metadata else (),
            on_message=on_message,
            on_done=on_done,
            on_writable=on_writable,
            bytes_max=body_bytes_max or self._limits.message_bytes_max,
        )

    def _open(self, call: ClientCall, deadline_s: float | None) -> ClientCall:
        if deadline_s is not None:
            call.arm(deadline_s)
        error = call.connection.open(call)
        if error is not None:
            self._loop.call_soon(call.refuse, error)
        return call


class _ChannelProtocol(asyncio.Protocol):
    """The connection's bytes in and out, its keepalive, and its end."""

    def __init__(self, channel: Channel, loop: asyncio.AbstractEventLoop) -> None:
        self._channel = channel
        self._loop = loop
        self._transport: asyncio.Transport | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._read_count = -1
        self._error: RpcError | None = None
        self.settled: asyncio.Future[None] = loop.create_future()
        """Done when the server's SETTINGS have come."""
        self.connection: ClientConnection | None = None
        self.sent_bytes = 0

    @property
    def is_lost(self) -> bool:
        """Whether the connection is gone."""
        return self._transport is None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """See asyncio.Protocol."""
        self._transport = transport  # type: ignore[assignment]  # uvloop's transports are not asyncio's by type.
        transport.set_write_buffer_limits(high=WRITE_BUFFER_BYTES)  # type: ignore[attr-defined]
        self.connection = self._channel.make_connection(self._mark)
        if self._channel.limits.keepalive_s is not None:
            self._timer = self._loop.call_later(self._channel.limits.keepalive_s, self._on_quiet)

    def data_received(self, data: bytes) -> None:
        """See asyncio.Protocol."""
        connection = self.connection
        assert connection is not None
        connection.receive(data)
        if not self.settled.done() and not connection.must_begin:
            self.settled.set_result(None)

    def connection_lost(self, exc: Exception | None) -> None:
        """See asyncio.Protocol."""
        self._transport = None
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        error = self._error or RpcError(Code.UNAVAILABLE, f"connection lost: {exc}" if exc else "connection closed by the server")
        if self.connection is not None:
            self.connection.lose(ErrorCode.CANCEL, error.message)
        if not self.settled.done():
            self.settled.set_exception(RpcError(Code.UNAVAILABLE, error.message, sent=False))
            self.settled.exception()  # Nobody may be waiting any more.
        self._channel.on_lost(self, error)

    def pause_writing(self) -> None:
        """See asyncio.Protocol."""
        if self.connection is not None:
            self.connection.sender.pause()

    def resume_writing(self) -> None:
        """See asyncio.Protocol."""
        if self.connection is not None:
            self.connection.sender.resume()

    def flush(self) -> None:
        """Write everything that may leave now, at once."""
        connection, transport = self.connection, self._transport
        assert connection is not None
        chunks = connection.take()
        if transport is None or transport.is_closing():
            # A transport that is closed or cut tells its protocol later, and refuses writes meanwhile.
            return
        if chunks:
            data = chunks[0] if len(chunks) == 1 else b"".join(chunks)
            self.sent_bytes += len(data)
            transport.write(data)
        if connection.closing or (connection.draining and not connection.call_count):
            transport.close()

    def close(self, error: RpcError) -> None:
        """End the connection for our reason."""
        if self._error is None:
            self._error = error
        if self.connection is not None:
            self.connection.fail(ErrorCode.NO_ERROR, error.message)
        self.flush()

    def abort(self) -> None:
        """Cut the connection, if there is one."""
        if self._transport is not None:
            self._transport.abort()

    def _mark(self) -> None:
        self._loop.call_soon(self.flush)

    def _on_quiet(self) -> None:
        """Every `keepalive_s`: ping when nothing was read since the last time."""
        connection, limits = self.connection, self._channel.limits
        assert connection is not None and limits.keepalive_s is not None
        quiet = connection.read_count == self._read_count
        self._read_count = connection.read_count
        if quiet and (limits.keepalive_without_calls or connection.call_count):
            connection.sender.write(frames.ping(KEEPALIVE_PING, ack=False))
            self._timer = self._loop.call_later(limits.keepalive_timeout_s, self._on_silence)
        else:
            self._timer = self._loop.call_later(limits.keepalive_s, self._on_quiet)

    def _on_silence(self) -> None:
        """The ping has had its time."""
        connection, limits = self.connection, self._channel.limits
        assert connection is not None and limits.keepalive_s is not None
        if connection.read_count == self._read_count:
            self._error = RpcError(Code.UNAVAILABLE, "keepalive ping failed to receive ACK within timeout")
            self.abort()
        else:
            self._timer = self._loop.call_later(limits.keepalive_s, self._on_quiet)


def _nothing(*_: Any) -> None:
    """A connection that never was has nothing to write."""
