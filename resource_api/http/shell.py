"""aiohttp's HTTP/1.1 server as a shell: it parses requests, the handler answers them, the bytes of the answer are made here.

The only module that knows aiohttp's server. Its body limit, its Server header, its access log and its own response classes are not used:
an answer is one write of head and body. Loop only. Hot path: `_Written.write_eof` (a `web.Response` costs 9 µs more).
"""

from __future__ import annotations

import asyncio
import logging
import resource
import socket
import sys
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any

from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError, LineTooLong

from raftkv.connection_log import connection_log
from resource_api.errors import bad_request, too_large
from resource_api.http.lingering import linger
from resource_api.http.messages import BODY_BYTES_MAX, Answer, ClientGoneError, Request, Response, Stream
from resource_api.http.status import REASONS
from resource_api.http.websocket import ClientFrames, closing

HEADER_BYTES_MAX = 64 * 1024
"""Of one header line: a service-account token or a last-applied annotation in a URL passes."""

IDLE_CONNECTION_S = 180.0
"""A connection without a request is closed after this."""

STREAM_END_S = 2.0
"""How long streams have for their clean end when the server stops."""

FULL_AGAIN = 0.9
"""Below this part of the most it is worth a word again when there are too many."""

DESCRIPTORS_KEPT = 128
"""Of those the process may have open, so many are no connection's: the store beneath, its log's next file, certificates read anew."""

STALLED_S = 60.0
"""A connection whose client takes nothing of what waits for it is cut after this: it holds memory, and its watch is over long since."""

_log = logging.getLogger("resource_api.http")

Serve = Callable[[Request], Awaitable[Answer]]


def connections_max() -> int:
    """How many there may be at once, by what this process may have open."""
    limit, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return sys.maxsize if limit == resource.RLIM_INFINITY else max(1, limit - DESCRIPTORS_KEPT)


class Shell:
    """Connections of one server, all listeners together."""

    def __init__(self, serve: Serve, loop: asyncio.AbstractEventLoop, *, request_end_s: float) -> None:
        """`request_end_s` is how long requests have to be finished when the server stops."""
        self._serve = serve
        self._loop = loop
        self._request_end_s = request_end_s
        self._streams: dict[object, tuple[asyncio.Task[object], Stream]] = {}
        """By connection, the stream it carries."""
        self._server = _Server(self._handle, self._on_lost, loop, connections_max())
        self._stopping = False

    def protocol(self) -> asyncio.Protocol:
        """For one connection."""
        return self._server()

    async def close(self) -> None:
        """Ends streams cleanly, then waits for requests, then cuts what is left. Listeners must be closed before."""
        self._stopping = True
        for _, stream in list(self._streams.values()):
            stream.stop()
        running = [task for task, _ in self._streams.values()]
        if running:
            _, late = await asyncio.wait(running, timeout=STREAM_END_S)
            for task in late:
                task.cancel()
        self._server.pre_shutdown()
        await self._server.shutdown(self._request_end_s)

    async def _handle(self, message: web.BaseRequest) -> web.StreamResponse:
        transport = message.transport
        reads = message.method in ("GET", "HEAD")
        if transport is None or reads and transport.is_closing():
            return _Streamed(keep=False)
        target = message.raw_path
        if not target.startswith("/"):
            target = _origin_form(target)
        request = Request(
            message.method,
            target,
            message.headers,  # type: ignore[arg-type]  # its get() has a wider signature
            lambda: _read(message),
            secure=transport.get_extra_info("ssl_object") is not None,
            remote=message.remote or "",
            peer_certificate=lambda: _certificate(transport),
        )
        connection = message.protocol
        assert isinstance(connection, _Connection)
        connection.serving = message
        if reads:
            connection.reading = asyncio.current_task()
        try:
            answer = await self._serve(request)
            if isinstance(answer, Response):
                return _Written(answer, connection)
            return await self._stream(message, transport, connection, answer)
        finally:
            connection.serving = connection.reading = None

    async def _stream(
        self, message: web.BaseRequest, transport: asyncio.Transport, connection: _Connection, stream: Stream
    ) -> web.StreamResponse:
        task = asyncio.current_task()
        assert task is not None
        if transport.is_closing():
            # The client went while the stream was opened: nobody would ever tell it to end.
            stream.stop()
            return _Streamed(keep=False)
        chunked = message.version >= (1, 1) and stream.websocket is None
        outlet = _WebSocketOutlet(message, transport) if stream.websocket is not None else _Outlet(message, transport, chunked)
        framing = "Transfer-Encoding: chunked" if chunked else "" if stream.websocket is not None else "Connection: close"
        transport.write(_head(stream.status, stream.content_type, stream.headers, framing))
        if isinstance(outlet, _WebSocketOutlet):
            connection.set_parser(_Incoming(outlet, stream))  # type: ignore[arg-type]  # aiohttp calls two of a reader's methods
        self._streams[connection] = (task, stream)
        connection.is_streaming = True
        if self._stopping or connection.has_ended:
            stream.stop()
        try:
            await stream.run(outlet)
        except ConnectionError:
            return _Streamed(keep=False)
        except Exception as error:
            # A fault of ours after the head is out: what is missing must not look like a clean end, nor be answered a second time.
            _log.error("%s %s failed in its midst", message.method, message.path, exc_info=error)
            transport.abort()
            return _Streamed(keep=False)
        finally:
            self._streams.pop(connection, None)
            connection.is_streaming = False
        outlet.end()
        return _Streamed(keep=chunked and message.keep_alive)

    def _on_lost(self, connection: _Connection) -> None:
        """The client went: nobody reads the stream any more, nor what is being read for it. What it had asked to change goes on."""
        found = self._streams.pop(connection, None)
        task = found[0] if found is not None else connection.reading
        if task is not None:
            task.cancel()


class _Connection(web.RequestHandler):
    """One connection, which answers what is no HTTP as Go's server does: nothing of aiohttp's and no echo of what came.

    A client that has said all it will still hears the answers to what it asked, except the rest of a stream. One that takes nothing for
    `STALLED_S` is cut: its watch is long over by then, and only the connection is left.
    """

    __slots__ = ("_stalled", "has_ended", "is_streaming", "reading", "serving")

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """See asyncio."""
        self._stalled: asyncio.TimerHandle | None = None
        self.has_ended = False
        self.is_streaming = False
        self.serving: web.BaseRequest | None = None
        self.reading: asyncio.Task[object] | None = None
        """What answers the request that is being served, if that changes nothing."""
        super().connection_made(transport)
        _bound_in_kernel(transport)

    def pause_writing(self) -> None:
        """More waits for the client than it takes."""
        super().pause_writing()
        if self.transport is not None:
            self._stalled = self._loop.call_later(STALLED_S, self.transport.abort)

    def resume_writing(self) -> None:
        """It took most of it."""
        self._forget_stall()
        super().resume_writing()

    def eof_received(self) -> bool:  # type: ignore[override]  # aiohttp's says nothing, which closes the connection
        """The client sends no more. Whether the connection stays, for answers; TLS does not allow it."""
        last = self._messages[-1][1] if self._messages else self.serving.content if self.serving is not None else None
        self.has_ended = last is not None and last.is_eof() and not self.is_streaming
        return self.has_ended

    @property
    def is_last(self) -> bool:
        """Nothing comes after the request that is being served."""
        return self.has_ended and not self._messages

    def connection_lost(self, exc: BaseException | None) -> None:
        """See asyncio."""
        self._forget_stall()
        super().connection_lost(exc)

    def _forget_stall(self) -> None:
        if self._stalled is not None:
            self._stalled.cancel()
            self._stalled = None

    def handle_error(
        self, request: web.BaseRequest, status: int = 500, exc: BaseException | None = None, message: str | None = None
    ) -> web.StreamResponse:
        """See aiohttp; only what its parser refuses is told otherwise. The connection is closed afterwards."""
        if status != 400:
            return super().handle_error(request, status, exc, message)
        self.log_exception("Error handling request", exc_info=exc)
        return _NoRequest(self, 431 if isinstance(exc, LineTooLong) else 400)


class _Server(web.Server):
    """Tells when a connection is gone, and makes requests with our body limit."""

    def __init__(
        self,
        handle: Callable[[web.BaseRequest], Awaitable[web.StreamResponse]],
        on_lost: Callable[[_Connection], None],
        loop: asyncio.AbstractEventLoop,
        connections_max: int,
    ) -> None:
        def make_request(*parts: object) -> web.BaseRequest:
            message, payload, protocol, writer, task = parts
            return web.BaseRequest(message, payload, protocol, writer, task, loop, client_max_size=BODY_BYTES_MAX)  # type: ignore[arg-type]

        super().__init__(handle, request_factory=make_request, loop=loop)
        self._settings: dict[str, Any] = {
            "loop": loop,
            "logger": connection_log("resource_api.http.connection"),
            "access_log": None,
            "keepalive_timeout": IDLE_CONNECTION_S,
            "max_line_size": HEADER_BYTES_MAX,
            "max_field_size": HEADER_BYTES_MAX,
        }
        self._on_lost = on_lost
        self._connections_max = connections_max
        self._count = 0
        self._is_full = False

    def __call__(self) -> web.RequestHandler:
        """For one connection."""
        return _Connection(self, **self._settings)

    def connection_made(self, handler: web.RequestHandler, transport: asyncio.Transport) -> None:
        """See aiohttp. One too many is cut, not the store's files: without a descriptor for its next one the log could not go on."""
        super().connection_made(handler, transport)
        self._count += 1
        if self._count > self._connections_max:
            if not self._is_full:
                _log.error("too many connections for the limit of open files", extra={"fields": {"connections": self._connections_max}})
            self._is_full = True
            transport.abort()

    def connection_lost(self, handler: web.RequestHandler, exc: BaseException | None = None) -> None:
        """See aiohttp."""
        assert isinstance(handler, _Connection)
        self._count -= 1
        self._is_full = self._is_full and self._count > self._connections_max * FULL_AGAIN
        self._on_lost(handler)
        super().connection_lost(handler, exc)


class _Written(web.StreamResponse):
    """A complete answer. Takes aiohttp's place for a response; none of its machinery runs."""

    def __init__(self, answer: Response, connection: _Connection) -> None:
        # aiohttp's own constructor makes headers and cookies that nothing here reads; what its server asks of a response is below.
        self._answer = answer
        self._connection = connection
        self._keep = True
        self._request: web.BaseRequest | None = None

    @property
    def keep_alive(self) -> bool:
        """Whether the connection takes another request."""
        return self._keep

    async def prepare(self, request: web.BaseRequest) -> None:
        """Called once before `write_eof`."""
        self._request = request
        self._keep = request.keep_alive and not self._connection.is_last and request.content.exception() is None

    async def write_eof(self, data: bytes = b"") -> None:
        """Head and body in one write."""
        request, answer = self._request, self._answer
        assert request is not None
        transport = request.transport
        if transport is None or transport.is_closing():
            raise ConnectionResetError("the client is gone")
        body = answer.body
        length = f"Content-Length: {len(body)}"
        if not self._keep:
            length += "\r\nConnection: close"
        elif request.version < (1, 1):
            length += "\r\nConnection: keep-alive"
        head = _head(answer.status, answer.content_type, answer.headers, length)
        if request.method == "HEAD" or answer.status == 304:
            body = b""
        transport.write(head + body if len(body) < 65536 else head)
        if len(body) >= 65536:
            transport.write(body)
            await request.writer.drain()
        if request.content.exception() is not None:
            # The body was none, and what follows it cannot be told from it: the connection ends here.
            await linger(transport, self._connection)


class _Streamed(web.StreamResponse):
    """An answer that was sent already."""

    def __init__(self, *, keep: bool) -> None:
        self._keep = keep

    @property
    def keep_alive(self) -> bool:
        """Whether the connection takes another request."""
        return self._keep

    async def prepare(self, request: web.BaseRequest) -> None:
        """Nothing is left to do."""

    async def write_eof(self, data: bytes = b"") -> None:
        """Nothing is left to do."""


class _NoRequest(_Streamed):
    """The answer to bytes that are no HTTP; the connection ends with it."""

    def __init__(self, connection: _Connection, status: int) -> None:
        super().__init__(keep=False)
        self._connection = connection
        self._status = status
        self._request: web.BaseRequest | None = None

    async def prepare(self, request: web.BaseRequest) -> None:
        """Called once before `write_eof`."""
        self._request = request

    async def write_eof(self, data: bytes = b"") -> None:
        """Head and body in one write."""
        assert self._request is not None
        transport = self._request.transport
        if transport is not None and not transport.is_closing():
            text = f"{self._status} {REASONS[self._status]}"
            transport.write(_head(self._status, "text/plain; charset=utf-8", [], "Connection: close") + text.encode())
            await linger(transport, self._connection)


class _Outlet:
    """The way of a stream to its client: chunks, or bytes until the end of the connection for HTTP/1.0."""

    def __init__(self, message: web.BaseRequest, transport: asyncio.Transport, chunked: bool) -> None:
        self._message = message
        self._transport = transport
        self._chunked = chunked

    def write(self, data: bytes) -> None:
        """See `Outlet`."""
        if data and not self._transport.is_closing():
            self._transport.write(b"%x\r\n%b\r\n" % (len(data), data) if self._chunked else data)

    async def drain(self) -> None:
        """See `Outlet`."""
        await self._message.writer.drain()

    def end(self) -> None:
        """The last chunk."""
        if self._chunked and not self._transport.is_closing():
            self._transport.write(b"0\r\n\r\n")


class _WebSocketOutlet(_Outlet):
    """Messages come framed; the end is a close frame, once."""

    def __init__(self, message: web.BaseRequest, transport: asyncio.Transport) -> None:
        super().__init__(message, transport, False)
        self.closed = False

    def write(self, data: bytes) -> None:
        """See `Outlet`. After the close frame nothing follows."""
        if not self.closed:
            super().write(data)

    def pong(self, data: bytes) -> None:
        """What a ping is answered with; a client that does not read gets none."""
        if self._transport.get_write_buffer_size() < HEADER_BYTES_MAX:
            self.write(data)

    def end(self) -> None:
        """The close frame."""
        self.write(closing())
        self.closed = True


class _Incoming:
    """What the client sends on a WebSocket. Takes the place of aiohttp's reader of WebSocket frames."""

    def __init__(self, outlet: _WebSocketOutlet, stream: Stream) -> None:
        self._outlet = outlet
        self._stream = stream
        self._frames = ClientFrames()

    def feed_data(self, data: bytes) -> tuple[bool, bytes]:
        """Never says that the connection is to be closed: the stream's end does that."""
        self._outlet.pong(self._frames.feed(data))
        if self._frames.ended:
            self._outlet.closed = True
            self._stream.stop()
        return False, b""

    def feed_eof(self) -> None:
        """The connection is gone: `Shell` is told of it otherwise."""


def _head(status: int, content_type: str, headers: list[tuple[str, str]], framing: str) -> bytes:
    lines = [f"HTTP/1.1 {status} {REASONS.get(status, '')}"]
    if framing:
        lines.append(framing)
    if content_type:
        lines.append(f"Content-Type: {content_type}")
    for name, value in headers:
        if "\n" in value or "\r" in value:
            value = value.replace("\r", " ").replace("\n", " ")
        lines.append(f"{name}: {value}")
    lines.append("\r\n")
    return "\r\n".join(lines).encode()


async def _read(message: web.BaseRequest) -> bytes:
    transport = message.transport
    if transport is not None and message.headers.get("Expect", "").lower() == "100-continue":
        transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
    try:
        return await message.read()
    except web.HTTPRequestEntityTooLarge as error:
        raise too_large(BODY_BYTES_MAX) from error
    except (ConnectionError, web.RequestPayloadError, HttpProcessingError) as error:
        if message.transport is None or message.transport.is_closing():
            raise ClientGoneError("the client is gone") from error
        raise bad_request(f"the body cannot be read: {error}") from error


def _bound_in_kernel(transport: asyncio.BaseTransport) -> None:
    """What is too little to be noticed here the kernel notices: bytes that nobody takes, or a client that is gone without a word."""
    found = transport.get_extra_info("socket")
    if found is not None and hasattr(socket, "TCP_USER_TIMEOUT"):
        with suppress(OSError):
            found.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, int(STALLED_S * 1000))


def _certificate(transport: asyncio.Transport) -> bytes | None:
    tls = transport.get_extra_info("ssl_object")
    return tls.getpeercert(binary_form=True) if tls is not None else None


def _origin_form(target: str) -> str:
    """The path of a target that came with scheme and host."""
    _, _, rest = target.partition("://")
    return "/" + rest.partition("/")[2]
