"""A request over HTTP/2 that is not gRPC: /health, /metrics, the JSON gateway.

Sans-IO. The body is gathered whole; the answer may be sent whole or in chunks.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from raftkv.errors import LocalProtocolError
from raftkv.transport import frames, hpack
from raftkv.transport.frames import ErrorCode
from raftkv.transport.request import RequestHead
from raftkv.transport.stream import GONE, LOCAL_CLOSED, REMOTE_CLOSED, STARTED, Stream

if TYPE_CHECKING:
    from raftkv.transport.serving import ServerConnection


class PlainRequest(Stream):
    """One request and its answer: `respond`, or `send_head`, `send` …, `finish`. Loop only."""

    __slots__ = ("_chunks", "_size", "connection", "head", "on_cancel")

    connection: ServerConnection

    def __init__(self, connection: ServerConnection, stream_id: int, head: RequestHead) -> None:
        super().__init__(connection, stream_id)
        self.connection = connection
        self.head = head
        self._chunks: list[bytes] = []
        self._size = 0
        self.on_cancel = _nothing
        """May be replaced by who answers in chunks; called once when the client goes away before the end."""

    @property
    def method(self) -> str:
        """GET, POST …"""
        return self.head.method

    @property
    def path(self) -> str:
        """Without the query."""
        return self.head.path.partition("?")[0]

    @property
    def query(self) -> str:
        """What follows the question mark, undecoded."""
        return self.head.path.partition("?")[2]

    @property
    def headers(self) -> list[tuple[str, str]]:
        """Lower-case names, in order, without the pseudo fields; `host` is the authority."""
        fields = [(name, value) for name, value in self.head.fields if name[0] != ":" and name != "host"]
        return [("host", self.head.authority), *fields]

    @property
    def body(self) -> bytes:
        """The whole body."""
        return b"".join(self._chunks)

    def respond(self, status: int, headers: Sequence[tuple[str, str]], body: bytes) -> None:
        """The whole answer. Does nothing when the client is gone."""
        self.send_head(status, [*headers, ("content-length", str(len(body)))])
        if body and self.head.method != "HEAD":
            self.send(body)
        self.finish()

    def send_head(self, status: int, headers: Sequence[tuple[str, str]]) -> None:
        """Status and headers; names in any case."""
        if self.state & (STARTED | LOCAL_CLOSED):
            raise LocalProtocolError(f"{self.head.path}: the answer has begun already")
        self.state |= STARTED
        if not self.state & GONE:
            block = hpack.stateless([(":status", str(status)), *((name.lower(), value) for name, value in headers)])
            self.sender.sent_count += 1
            self.sender.write(frames.headers(self.id, block, end_stream=False, frame_bytes_max=self.sender.frame_bytes_max))

    def send(self, chunk: bytes) -> None:
        """A piece of the body; `writable` says when to wait."""
        if not self.state & STARTED or self.state & LOCAL_CLOSED:
            raise LocalProtocolError(f"{self.head.path}: not between head and end")
        if not self.state & GONE and chunk:
            self.sender.enqueue(self, chunk)

    def finish(self) -> None:
        """The end of the answer."""
        self.state |= LOCAL_CLOSED
        if self.state & GONE:
            return
        if self.queue is not None:
            self.queue.end_on_data = True
        else:
            self.sender.write(frames.frame(frames.DATA, frames.FLAG_END_STREAM, self.id, b""))
            self._close_local()

    def _close_local(self) -> None:
        if self.state & REMOTE_CLOSED:
            self.connection.close(self)
        else:
            self.connection.abandon(self, ErrorCode.NO_ERROR)

    def on_chunk(self, chunk: bytes) -> None:
        """See `Stream`."""
        if self.state & LOCAL_CLOSED:
            return
        connection = self.connection
        self._size += len(chunk)
        connection.partial_bytes += len(chunk)
        if self._size > connection.message_bytes_max or connection.partial_bytes > connection.limits.partial_bytes_max:
            self._release()
            self.respond(413, [], b"")
        else:
            self._chunks.append(chunk)

    def on_end(self) -> None:
        """See `Stream`."""
        if not self.state & LOCAL_CLOSED:
            self._release(keep=True)
            self.connection.serve_plain(self)

    def on_headers(self, fields: list[tuple[str, str]], end_stream: bool) -> None:
        """Trailers: their content means nothing to us."""
        if self.state & REMOTE_CLOSED or not end_stream:
            self.connection.reset(self, ErrorCode.PROTOCOL_ERROR, "unexpected HEADERS")
        else:
            self.state |= REMOTE_CLOSED
            self.on_end()

    def on_lost(self, code: int, text: str) -> None:
        """See `Stream`."""
        self._release()
        if not self.state & LOCAL_CLOSED:
            self.on_cancel()

    def _release(self, *, keep: bool = False) -> None:
        """The body is no longer being gathered."""
        self.connection.partial_bytes -= self._size
        self._size = 0
        if not keep:
            self._chunks.clear()


def _nothing() -> None:
    """Nobody waits for the client's going away."""
