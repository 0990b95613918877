"""The sending half of one connection: what may leave now, under both windows, and in which order streams share it.

Sans-IO. Hot path: an answer that fits takes `allowance` and appends to `chunks`; everything else queues on its stream
and leaves through `take`, which the I/O half calls once per turn. Receiving windows stand in `connection` and `stream`.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from typing import Any, Protocol

from raftkv.transport.frames import DATA, FLAG_END_STREAM, FRAME_BYTES_DEFAULT, HEAD, WINDOW_DEFAULT

TURN_BYTES_MAX = 1 << 20
"""DATA one connection may put into one write; more waits for the next turn, so that long answers share the loop."""
QUANTUM_BYTES = 1 << 16
"""DATA one stream may send before the next waiting stream has its turn."""
VIEW_BYTES_MIN = 2048
"""Below this a slice costs no more than a view."""


class SendQueue:
    """What one stream has not yet been allowed to send: data, then perhaps its end."""

    __slots__ = ("bytes", "end_block", "end_on_data", "pieces", "unwritable")

    def __init__(self) -> None:
        self.pieces: deque[bytes | memoryview] = deque()
        self.bytes = 0
        self.end_block: bytes | None = None
        """Whole frames that end the stream (trailers), sent after the last piece."""
        self.end_on_data = False
        """Whether the last piece ends the stream."""
        self.unwritable = False
        """Whether the owner saw `writable` be false and waits to be told."""


class SendingStream(Protocol):
    """What the sender knows of a stream."""

    id: int
    offset: int
    queue: SendQueue | None

    def on_queue_empty(self) -> None:
        """Everything queued has left, its end included. Must not call into user code."""


class Sender:
    """Windows and queues of one connection.

    1. `_granted - allowance` DATA bytes have been put into `chunks` since the last grant and are not yet charged to `_window`.
    2. `allowance` is 0 while the transport is paused or streams wait for the connection's window: nobody overtakes them.
    3. A stream's window is `initial_window + stream.offset`; what is queued on it is counted in `unsent_bytes`.
    4. `ready` holds exactly the streams with a queue and an open window of their own.
    """

    __slots__ = (
        "_granted",
        "_mark",
        "_window",
        "_writable_bytes",
        "allowance",
        "chunks",
        "dirty",
        "frame_bytes_max",
        "initial_window",
        "paused",
        "quick_bytes_max",
        "ready",
        "sent_count",
        "unsent_bytes",
    )

    def __init__(self, mark: Callable[[], None], *, writable_bytes: int) -> None:
        self._mark = mark
        self._writable_bytes = writable_bytes
        self._window = WINDOW_DEFAULT
        self.initial_window = WINDOW_DEFAULT
        self.frame_bytes_max = FRAME_BYTES_DEFAULT
        self.quick_bytes_max = FRAME_BYTES_DEFAULT
        """The longest first DATA frame of any stream: no stream that sent nothing has a smaller window."""
        self.chunks: list[bytes | memoryview] = []
        self.dirty = False
        self.paused = False
        self.ready: dict[SendingStream, None] = {}
        self.unsent_bytes = 0
        self.sent_count = 0
        """HEADERS and DATA frames sent, roughly: what keepalive and window-update policing measure pings against."""
        self.allowance = self._granted = min(self._window, TURN_BYTES_MAX)

    def check_invariants(self) -> None:
        """Assert the class's invariants, as far as they are seen from here."""
        assert 0 <= self.allowance <= self._granted and self.window >= 0
        assert not (self.paused and self.allowance)
        assert all(stream.queue is not None and stream.queue.bytes > 0 for stream in self.ready)
        assert all(self.initial_window + stream.offset > 0 for stream in self.ready)

    @property
    def window(self) -> int:
        """What the peer allows the connection to send, exactly."""
        return self._window - (self._granted - self.allowance)

    def mark(self) -> None:
        """Have `take` called in this turn."""
        if not self.dirty:
            self.dirty = True
            self._mark()

    def write(self, frames: bytes) -> None:
        """Append frames that no window governs."""
        if not self.dirty:
            self.mark()
        self.chunks.append(frames)

    def open_window(self, increment: int) -> None:
        """The peer's WINDOW_UPDATE for the connection, already checked."""
        self._window += increment
        self._regrant()
        if self.ready:
            self.mark()

    def open_stream(self, stream: SendingStream) -> None:
        """The stream's own window may have opened."""
        if stream.queue is not None and self.initial_window + stream.offset > 0:
            self.ready[stream] = None
            self._regrant()
            self.mark()

    def configure(self, *, initial_window: int | None = None, frame_bytes_max: int | None = None) -> None:
        """The peer's SETTINGS; the caller re-opens streams after a change of the window."""
        if initial_window is not None:
            self.initial_window = initial_window
        if frame_bytes_max is not None:
            self.frame_bytes_max = frame_bytes_max
        self.quick_bytes_max = min(self.initial_window, self.frame_bytes_max)

    def reopen(self, streams: Iterable[SendingStream]) -> None:
        """Every stream's window has moved."""
        self.ready = {stream: None for stream in streams if stream.queue is not None and self.initial_window + stream.offset > 0}
        self._regrant()
        if self.ready:
            self.mark()

    def pause(self) -> None:
        """The transport's buffer is full."""
        self.paused = True
        self._regrant()

    def resume(self) -> None:
        """The transport's buffer has room again."""
        self.paused = False
        self._regrant()
        if self.ready:
            self.mark()

    def enqueue(self, stream: SendingStream, *pieces: bytes) -> SendQueue:
        """Queue data behind what the stream has queued."""
        queue = stream.queue
        if queue is None:
            queue = stream.queue = SendQueue()
        queue.pieces.extend(piece for piece in pieces if piece)
        added = sum(map(len, pieces))
        queue.bytes += added
        self.unsent_bytes += added
        self.open_stream(stream)
        return queue

    def forget(self, stream: SendingStream) -> None:
        """The stream is gone; so is what it had queued."""
        queue = stream.queue
        if queue is not None:
            self.unsent_bytes -= queue.bytes
            stream.queue = None
            if self.ready.pop(stream, self) is None and not self.ready:
                self._regrant()

    def take(self) -> tuple[list[bytes | memoryview], list[Any]]:
        """What is to be written now, and the streams to tell that they are writable. Marks again if more could leave next turn."""
        writable: list[SendingStream] = []
        self.dirty = False
        if self.ready and not self.paused:
            self._serve(writable)
        chunks = self.chunks
        self.chunks = []
        self._regrant()
        if self.ready and not self.paused and self._window > 0:
            self.mark()
        return chunks, writable

    def _regrant(self) -> None:
        self._window -= self._granted - self.allowance
        if self.paused or self.ready:
            self.allowance = self._granted = 0
        else:
            self.allowance = self._granted = min(max(self._window, 0), TURN_BYTES_MAX)

    def _serve(self, writable: list[SendingStream]) -> None:
        """Round robin over the ready streams, a quantum each, until windows or the turn's share are used up."""
        turn_bytes = TURN_BYTES_MAX
        ready = self.ready
        while ready:
            # Charged anew each round: the end of a stream may have let another one send.
            self._window -= self._granted - self.allowance
            self.allowance = self._granted = 0
            budget = min(self._window, turn_bytes)
            if budget <= 0:
                break
            stream = next(iter(ready))
            del ready[stream]
            queue = stream.queue
            assert queue is not None
            sent = self._emit(stream, queue, min(budget, QUANTUM_BYTES, self.initial_window + stream.offset))
            turn_bytes -= sent
            self._window -= sent
            if queue.unwritable and queue.bytes <= self._writable_bytes:
                queue.unwritable = False
                writable.append(stream)
            if not queue.bytes:
                if queue.end_block is not None:
                    self.chunks.append(queue.end_block)
                stream.queue = None
                stream.on_queue_empty()
            elif self.initial_window + stream.offset > 0:
                ready[stream] = None

    def _emit(self, stream: SendingStream, queue: SendQueue, room: int) -> int:
        """Move up to `room` bytes of the queue into DATA frames; returns how many."""
        sent = 0
        chunks, pieces = self.chunks, queue.pieces
        while queue.bytes and sent < room:
            size = min(room - sent, self.frame_bytes_max, queue.bytes)
            ends = queue.end_on_data and size == queue.bytes
            chunks.append(HEAD.pack(size << 8 | DATA, FLAG_END_STREAM if ends else 0, stream.id))
            need = size
            while need:
                piece = pieces.popleft()
                if len(piece) > need:
                    if len(piece) >= VIEW_BYTES_MIN and not isinstance(piece, memoryview):
                        piece = memoryview(piece)
                    pieces.appendleft(piece[need:])
                    piece = piece[:need]
                chunks.append(piece)
                need -= len(piece)
            queue.bytes -= size
            sent += size
            self.sent_count += 1
        stream.offset -= sent
        self.unsent_bytes -= sent
        return sent
