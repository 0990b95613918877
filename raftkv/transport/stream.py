"""One HTTP/2 stream, the same for both roles: its state, its receive window, what it has queued.

Sans-IO. Subclassed by the server's and the client's calls, and by plain HTTP/2 requests; those add what the bytes mean.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from raftkv.transport import frames
from raftkv.transport.flow import SendQueue
from raftkv.transport.frames import FLAG_END_STREAM, FLAG_PADDED, ErrorCode

if TYPE_CHECKING:
    from raftkv.transport.connection import Connection

REMOTE_CLOSED = 1
"""The peer has sent its END_STREAM."""
STARTED = 2
"""We have sent our HEADERS."""
LOCAL_CLOSED = 4
"""We have sent our END_STREAM, or queued it: nothing may be added."""
GONE = 8
"""Closed both ways, reset, or lost with its connection: no longer known to the connection."""


class Inbound:
    """The receive side of a stream that did not arrive in one frame."""

    __slots__ = ("left", "paused")

    def __init__(self, window_bytes: int) -> None:
        self.left = window_bytes
        self.paused = False


class Stream:
    """The states of RFC 9113 §5.1 as bits that are only ever added.

    1. The connection's `streams` holds it exactly until GONE.
    2. A stream that is GONE has no queue.
    3. The window it may send into is `sender.initial_window + offset`.
    """

    __slots__ = ("connection", "id", "inbound", "offset", "queue", "sender", "state")

    def __init__(self, connection: Connection, stream_id: int) -> None:
        self.connection = connection
        self.sender = connection.sender
        self.id = stream_id
        self.state = 0
        self.offset = 0
        self.queue: SendQueue | None = None
        self.inbound: Inbound | None = None

    def on_data(self, data: bytes, at: int, end: int, flags: int) -> None:
        """A DATA frame whose payload is data[at:end]; the connection's window is already charged."""
        self._receive(data[at:end], flags)

    def on_chunk(self, chunk: bytes) -> None:
        """Payload bytes in order."""
        raise NotImplementedError

    def on_end(self) -> None:
        """The peer sent its END_STREAM. Called once."""
        raise NotImplementedError

    def on_headers(self, fields: list[tuple[str, str]], end_stream: bool) -> None:
        """A header block on the open stream: an answer's head, or trailers."""
        raise NotImplementedError

    def on_lost(self, code: int, text: str) -> None:
        """Reset by the peer or by us for the peer's fault, or lost with the connection. Called at most once; the stream is GONE."""
        raise NotImplementedError

    def on_writable(self) -> None:
        """The queue has shrunk to half the bound above which the stream was not writable."""

    @property
    def unsent_bytes(self) -> int:
        """What is queued behind the windows, bytes."""
        return 0 if self.queue is None else self.queue.bytes

    @property
    def writable(self) -> bool:
        """False while more than `stream_unsent_bytes_max` is queued; `on_writable` is called once after it was read as false."""
        queue = self.queue
        if queue is None or queue.bytes < self.connection.limits.stream_unsent_bytes_max:
            return True
        queue.unwritable = True
        return False

    def pause(self) -> None:
        """Stop renewing the stream's receive window: the peer may send what is left of it and no more."""
        if self.inbound is None:
            self.inbound = Inbound(self.connection.limits.stream_window_bytes)
        self.inbound.paused = True

    def resume(self) -> None:
        """Renew the window again."""
        if self.inbound is not None and self.inbound.paused:
            self.inbound.paused = False
            self._renew(self.inbound)

    def _receive(self, payload: bytes, flags: int) -> None:
        """A DATA frame that is not one whole message: windows, padding, then `on_chunk` and `on_end`."""
        connection = self.connection
        if self.state & REMOTE_CLOSED:
            connection.reset(self, ErrorCode.STREAM_CLOSED, "DATA after END_STREAM")
            return
        inbound = self.inbound
        if inbound is None:
            inbound = self.inbound = Inbound(connection.limits.stream_window_bytes)
        inbound.left -= len(payload)
        if inbound.left < 0:
            connection.reset(self, ErrorCode.FLOW_CONTROL_ERROR, "stream window exceeded")
            return
        if flags & FLAG_PADDED:
            payload = frames.unpad(payload)
        if payload:
            self.on_chunk(payload)
        elif not flags & FLAG_END_STREAM:
            connection.glitch("empty DATA")
        if self.state & GONE:
            return
        if flags & FLAG_END_STREAM:
            self.state |= REMOTE_CLOSED
            self.on_end()
        elif not inbound.paused:
            self._renew(inbound)

    def _renew(self, inbound: Inbound) -> None:
        window = self.connection.limits.stream_window_bytes
        if inbound.left <= window >> 1 and not self.state & (REMOTE_CLOSED | GONE):
            self.sender.write(frames.window_update(self.id, window - inbound.left))
            inbound.left = window

    def on_queue_empty(self) -> None:
        """See `flow.SendingStream`."""
        if self.state & LOCAL_CLOSED:
            self._close_local()

    def _close_local(self) -> None:
        """Our END_STREAM has been written."""
        self.connection.close(self)
