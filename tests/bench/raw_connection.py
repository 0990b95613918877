"""A client's half of HTTP/2 and gRPC with as little work per call as a generator of load can afford.

Sends requests from ready-made bytes and looks at three things in an answer: its frames' heads, the grpc-status of its
trailers, and whatever a subclass wants of the DATA. It keeps both flow-control windows, SETTINGS and PING; what it does not
know (CONTINUATION, padding, a compressed answer) ends the connection with an error and is never counted as an answer.
"""

from __future__ import annotations

import asyncio
import struct
from collections import deque
from collections.abc import Callable

from raftkv.transport import frames
from raftkv.transport.frames import FLAG_ACK, FLAG_END_HEADERS, FLAG_END_STREAM, HEAD, HEAD_BYTES
from raftkv.transport.hpack import Decoder

_FIRST_INDEX = 62
"""Of the dynamic table (RFC 7541 §2.3.3); the newest entry has it."""
_WINDOW_BYTES = (1 << 31) - 1
_REFILL_BYTES = 1 << 29
_REQUEST_BYTES_MAX = 16_384 - 5
_LENGTH = struct.Struct(">BI")


class GeneratorError(Exception):
    """The server broke off, or sent what this client does not understand."""


def request_payload(message: bytes) -> bytes:
    """The payload of the one DATA frame of a request: gRPC's prefix and the message."""
    if len(message) > _REQUEST_BYTES_MAX:
        raise ValueError(f"a request of {len(message)} bytes does not fit one frame")
    return _LENGTH.pack(0, len(message)) + message


def header_blocks(path: str, authority: str) -> tuple[bytes, bytes]:
    """The header block of a connection's first request, which fills the server's table, and that of every later one."""

    def text(value: str) -> bytes:
        assert len(value) < 127
        return bytes([len(value)]) + value.encode("ascii")

    first = b"\x83\x86" + b"\x41" + text(authority) + b"\x44" + text(path)
    first += b"\x5f" + text("application/grpc") + b"\x40" + text("te") + text("trailers")
    later = b"\x83\x86" + bytes(0x80 | _FIRST_INDEX + offset for offset in (3, 2, 1, 0))
    return first, later


class RawConnection(asyncio.Protocol):
    """One connection, all of whose calls have one method.

    Invariants: 1. DATA is sent only within the server's connection window. 2. `on_end` is called once for each stream.
    """

    def __init__(self, path: str, authority: str, on_broken: Callable[[GeneratorError], None]) -> None:
        self._first_block, self._block = header_blocks(path, authority)
        self._on_broken = on_broken
        self._decoder = Decoder(list_bytes_max=1 << 16)
        self._blocks: dict[bytes, str | None] = {}
        self._changes = 0
        self._transport: asyncio.Transport | None = None
        self._tail = b""
        self._window_bytes = frames.WINDOW_DEFAULT
        self._waiting: deque[bytes] = deque()
        self._taken_bytes = 0
        self._next_id = 1
        self.out: list[bytes] = []
        """What leaves with the next `write_out`."""

    # What a subclass does with answers.

    def on_data(self, stream_id: int, data: bytes, begin: int, end: int) -> None:
        """The payload of a DATA frame is `data[begin:end]`."""

    def on_end(self, stream_id: int, status: str) -> None:
        """The stream ended with this grpc-status."""

    def on_ready(self) -> None:
        """The server's SETTINGS have come."""

    # Requests.

    def request(self, payload: bytes, *, half_close: bool = True) -> int:
        """A call with `request_payload` bytes; the stream's id."""
        stream_id, self._next_id = self._next_id, self._next_id + 2
        block, self._first_block = self._first_block or self._block, b""
        out = self.out
        out.append(HEAD.pack(len(block) << 8 | frames.HEADERS, FLAG_END_HEADERS, stream_id))
        out.append(block)
        data = HEAD.pack(len(payload) << 8 | frames.DATA, FLAG_END_STREAM if half_close else 0, stream_id) + payload
        if self._waiting or self._window_bytes < len(payload):
            self._waiting.append(data)
        else:
            self._window_bytes -= len(payload)
            out.append(data)
        return stream_id

    def write_out(self) -> None:
        """One write for all that gathered."""
        out = self.out
        if out and self._transport is not None:
            self.out = []
            self._transport.write(b"".join(out))

    def close(self) -> None:
        """Ends the connection; its open streams are forgotten."""
        if self._transport is not None:
            self._transport.abort()
            self._transport = None

    # What the loop calls.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport  # type: ignore[assignment]  # uvloop's transports are not asyncio's by type.
        opening = frames.settings({frames.ENABLE_PUSH: 0, frames.INITIAL_WINDOW_SIZE: _WINDOW_BYTES})
        self.out += [frames.PREFACE, opening, frames.window_update(0, _WINDOW_BYTES - frames.WINDOW_DEFAULT)]
        self.write_out()

    def connection_lost(self, exc: Exception | None) -> None:
        if self._transport is not None:
            self._transport = None
            self._on_broken(GeneratorError(f"the server closed a connection: {exc}"))

    def data_received(self, data: bytes) -> None:
        if self._transport is None:
            return
        try:
            self._walk(self._tail + data if self._tail else data)
        except GeneratorError as error:
            self.close()
            self._on_broken(error)
            return
        self.write_out()

    def _walk(self, data: bytes) -> None:
        at, size = 0, len(data)
        head, on_data = HEAD.unpack_from, self.on_data
        while size - at >= HEAD_BYTES:
            word, flags, stream_id = head(data, at)
            begin = at + HEAD_BYTES
            end = begin + (word >> 8)
            if end > size:
                break
            kind = word & 0xFF
            if kind == frames.DATA and not flags & ~FLAG_END_STREAM:
                self._taken_bytes += end - begin
                on_data(stream_id, data, begin, end)
            elif kind == frames.HEADERS and flags & ~FLAG_END_STREAM == FLAG_END_HEADERS:
                status = self._status(data[begin:end])
                if flags & FLAG_END_STREAM:
                    self.on_end(stream_id, status or "missing")
            else:
                self._control(kind, flags, stream_id, data[begin:end])
            at = end
        self._tail = data[at:]
        if self._taken_bytes > _REFILL_BYTES:
            self.out.append(frames.window_update(0, self._taken_bytes))
            self._taken_bytes = 0

    def _status(self, block: bytes) -> str | None:
        """The grpc-status in a header block. A block that changed no table means the same while the table stays."""
        if block in self._blocks:
            return self._blocks[block]
        decoder = self._decoder
        fields = dict(decoder.decode(block))
        if fields.get(":status", "200") != "200":
            raise GeneratorError(f"HTTP status {fields[':status']}")
        if decoder.changes != self._changes:
            self._changes = decoder.changes
            self._blocks.clear()
        else:
            self._blocks[block] = fields.get("grpc-status")
        return fields.get("grpc-status")

    def _control(self, kind: int, flags: int, stream_id: int, payload: bytes) -> None:
        if kind == frames.SETTINGS:
            if not flags & FLAG_ACK:
                self.out.append(frames.SETTINGS_ACK)
                self.on_ready()
        elif kind == frames.PING:
            if not flags & FLAG_ACK:
                self.out.append(frames.ping(payload, ack=True))
        elif kind == frames.WINDOW_UPDATE:
            # One of a stream is ignored: no request is as long as the smallest window a server starts with.
            if not stream_id:
                self._window_bytes += frames.U32.unpack(payload)[0]
                self._send_waiting()
        elif kind == frames.GOAWAY:
            raise GeneratorError(f"the server sent GOAWAY {frames.parse_goaway(payload)}")
        else:
            raise GeneratorError(f"the server sent a frame of type {kind} with flags {flags:#x}")

    def _send_waiting(self) -> None:
        waiting = self._waiting
        while waiting:
            size = len(waiting[0]) - HEAD_BYTES
            if size > self._window_bytes:
                return
            self._window_bytes -= size
            self.out.append(waiting.popleft())
