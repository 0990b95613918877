"""One HTTP/2 connection, the same for both roles (RFC 9113): frames in, control frames answered, streams called.

Sans-IO. Hot path: `receive` is fed all bytes that arrived and calls the streams; what is to be written gathers in
`sender`. A role subclasses it and decides what a header block means. Every peer's fault ends in a GOAWAY or RST_STREAM
with its code, never in an exception out of `receive`.
"""

from __future__ import annotations

from collections.abc import Callable

from raftkv.transport import frames, hpack
from raftkv.transport.flow import Sender
from raftkv.transport.frames import (
    CONTINUATION,
    DATA,
    FLAG_ACK,
    FLAG_END_HEADERS,
    FLAG_END_STREAM,
    FLAG_PADDED,
    FLAG_PRIORITY,
    FRAME_BYTES_DEFAULT,
    GOAWAY,
    HEAD,
    HEAD_BYTES,
    HEADERS,
    PING,
    PRIORITY,
    PUSH_PROMISE,
    RST_STREAM,
    SETTINGS,
    STREAM_ID_MAX,
    WINDOW_DEFAULT,
    WINDOW_MAX,
    WINDOW_UPDATE,
    ConnectionFault,
    ErrorCode,
)
from raftkv.transport.limits import ConnectionLimits, TokenBucket
from raftkv.transport.stream import GONE, Stream

_WORD_LIMIT = (FRAME_BYTES_DEFAULT + 1) << 8
_SPECIAL_HEADERS = FLAG_PADDED | FLAG_PRIORITY | FLAG_END_HEADERS
RESET_MEMORY_COUNT = 512
"""Streams we reset that are remembered: what the peer sent before it knew is dropped without penalty."""
SETTINGS_COST = 10
"""Glitches that one SETTINGS counts: it may touch every open stream. Stock clients send about ten in a connection's life."""
WINDOW_UPDATES_FREE = 1000
"""WINDOW_UPDATE frames beyond four per frame we sent before each counts as a glitch."""


class _Partial:
    """A header block that lacks its end."""

    __slots__ = ("count", "end_stream", "fragments", "size", "stream_id")

    def __init__(self, stream_id: int, fragment: bytes, end_stream: bool) -> None:
        self.stream_id = stream_id
        self.fragments = [fragment]
        self.size = len(fragment)
        self.count = 0
        self.end_stream = end_stream


class Connection:
    """Either half of a connection, from the byte after the client's preface.

    1. `streams` holds every stream that is not GONE.
    2. `_left` is the receive window the peer still has; it is renewed before it falls below half.
    3. Once `closing`, nothing received is looked at and every stream has been told.
    """

    __slots__ = (
        "_glitches",
        "_goaway_id",
        "_left",
        "_left_min",
        "must_begin",
        "_our_resets",
        "_partial",
        "_resets",
        "_tail",
        "_window_updates",
        "closing",
        "decoder",
        "draining",
        "headers_since_s",
        "last_stream_id",
        "limits",
        "now",
        "partial_bytes",
        "read_count",
        "received_bytes",
        "sender",
        "streams",
    )

    def __init__(self, limits: ConnectionLimits, now: Callable[[], float], mark: Callable[[], None]) -> None:
        self.limits = limits
        self.now = now
        self.sender = Sender(mark, writable_bytes=limits.stream_unsent_bytes_max >> 1)
        self.decoder = hpack.Decoder(list_bytes_max=limits.header_list_bytes_max)
        self.streams: dict[int, Stream] = {}
        self.last_stream_id = 0
        """The highest stream the peer opened: what a GOAWAY of ours says. 0 for ever at a client, which accepts none."""
        self.closing = False
        self.draining = False
        self.partial_bytes = 0
        """Bytes of incomplete messages over all streams."""
        self.read_count = 0
        self.received_bytes = 0
        self._tail = b""
        self._goaway_id = STREAM_ID_MAX
        self.must_begin = True
        """Whether the peer's first SETTINGS are still awaited."""
        self.headers_since_s: float | None = None
        """Since when a header block lacks its end, if one does."""
        self._partial: _Partial | None = None
        self._left = limits.connection_window_bytes
        self._left_min = limits.connection_window_bytes >> 1
        self._our_resets: dict[int, None] = {}
        self._window_updates = 0
        self._glitches = TokenBucket(now, burst=limits.glitch_burst, per_s=limits.glitches_per_s)
        self._resets = TokenBucket(now, burst=limits.reset_burst, per_s=limits.resets_per_s)

    def check_invariants(self) -> None:
        """Assert the class's invariants."""
        assert not any(stream.state & GONE for stream in self.streams.values())
        assert self.closing or self._left_min <= self._left <= self.limits.connection_window_bytes
        assert not (self.closing and self.streams)
        self.sender.check_invariants()

    # What a role adds.

    def on_block(self, stream_id: int, block: bytes, end_stream: bool) -> None:
        """A complete header block; it must be given to the decoder, whatever else happens."""
        raise NotImplementedError

    def on_settings(self, values: dict[int, int]) -> None:
        """Settings that the base does not look at."""

    def on_ping(self, data: bytes, *, ack: bool) -> None:
        """The peer's PING, already answered, or its answer to ours."""

    def on_goaway(self, last_stream_id: int, code: int, text: str) -> None:
        """The peer's GOAWAY."""

    def on_stream_closed(self, stream: Stream) -> None:
        """A stream became GONE in any way."""

    def is_idle(self, stream_id: int) -> bool:
        """Whether the stream has not been opened yet by whoever opens such streams."""
        raise NotImplementedError

    # Towards the peer.

    def announce(self, settings: dict[int, int]) -> None:
        """Send our SETTINGS and open the connection's window."""
        settings = {
            frames.INITIAL_WINDOW_SIZE: self.limits.stream_window_bytes,
            frames.MAX_HEADER_LIST_SIZE: self.limits.header_list_bytes_max,
            **settings,
        }
        opening = frames.settings(settings)
        if self._left > WINDOW_DEFAULT:
            opening += frames.window_update(0, self._left - WINDOW_DEFAULT)
        self.sender.write(opening)

    def fail(self, code: ErrorCode, text: str) -> None:
        """End the connection: GOAWAY, and every stream is told. The I/O half writes what is left and closes."""
        if not self.closing:
            self.send_goaway(code, text)
            self.lose(code, text)

    def send_goaway(self, code: ErrorCode, text: str) -> None:
        """A GOAWAY whose last stream never rises from one to the next (RFC 9113 §6.8)."""
        self._goaway_id = min(self._goaway_id, self.last_stream_id)
        self.sender.write(frames.goaway(self._goaway_id, code, text))

    def lose(self, code: int, text: str) -> None:
        """The connection is over: tell every stream."""
        self.closing = True
        self._tail = b""
        self._partial = self.headers_since_s = None
        for stream in list(self.streams.values()):
            if not stream.state & GONE:
                self.close(stream)
                stream.on_lost(code, text)

    def reset(self, stream: Stream, code: ErrorCode, text: str) -> None:
        """End one stream for a fault of the peer's, and tell it. Counts as a reset by the peer: it costs us as much.

        Only from inside `receive`: it may raise ConnectionFault.
        """
        self._spend_reset()
        self.abandon(stream, code)
        stream.on_lost(code, text)

    def abandon(self, stream: Stream, code: ErrorCode) -> None:
        """RST_STREAM from us; the stream's owner knows."""
        self.reset_unknown(stream.id, code)
        self.close(stream)

    def reset_unknown(self, stream_id: int, code: ErrorCode) -> None:
        """RST_STREAM for a stream that has no object (any more)."""
        self.sender.write(frames.rst_stream(stream_id, code))
        self._our_resets[stream_id] = None
        if len(self._our_resets) > RESET_MEMORY_COUNT:
            del self._our_resets[next(iter(self._our_resets))]

    def close(self, stream: Stream) -> None:
        """The stream is over in every direction; it is not told."""
        stream.state |= GONE
        del self.streams[stream.id]
        self.sender.forget(stream)
        self.on_stream_closed(stream)

    def glitch(self, what: str, cost: int = 1) -> None:
        """Count a frame that made no progress; raises ConnectionFault when there were too many."""
        if not self._glitches.spend(cost):
            raise ConnectionFault(ErrorCode.ENHANCE_YOUR_CALM, f"too many frames without progress, last: {what}")

    def take(self) -> list[bytes | memoryview]:
        """What is to be written in this turn. Tells streams that became writable, and they may send again."""
        chunks, writable = self.sender.take()
        for stream in writable:
            if not stream.state & GONE:
                stream.on_writable()
        self.on_taken()
        return chunks

    def on_taken(self) -> None:
        """Something may have left."""

    # From the peer.

    def receive(self, data: bytes) -> None:
        """All bytes that arrived, in order. Never raises for what the peer did."""
        if self.closing:
            return
        self.read_count += 1
        self.received_bytes += len(data)
        try:
            self._receive(self._tail + data if self._tail else data)
        except ConnectionFault as fault:
            self.fail(fault.code, str(fault))

    def _receive(self, data: bytes) -> None:
        at, size = 0, len(data)
        streams, head = self.streams, HEAD.unpack_from
        while size - at >= HEAD_BYTES:
            word, flags, stream_id = head(data, at)
            if word >= _WORD_LIMIT:
                raise ConnectionFault(ErrorCode.FRAME_SIZE_ERROR, "frame longer than 16384 bytes")
            end = at + HEAD_BYTES + (word >> 8)
            if end > size:
                break
            kind = word & 0xFF
            stream_id &= STREAM_ID_MAX
            if self._partial is not None or self.must_begin:
                self._check_expected(kind, flags, stream_id)
            if kind == DATA:
                self._left -= end - at - HEAD_BYTES
                if self._left < self._left_min:
                    self._renew()
                stream = streams.get(stream_id)
                if stream is not None:
                    stream.on_data(data, at + HEAD_BYTES, end, flags)
                else:
                    self._on_stray(stream_id, "DATA", empty=word < 1 << 8)
            elif kind == HEADERS and flags & _SPECIAL_HEADERS == FLAG_END_HEADERS and stream_id:
                self.on_block(stream_id, data[at + HEAD_BYTES : end], flags & FLAG_END_STREAM == FLAG_END_STREAM)
            else:
                self._on_other(kind, flags, stream_id, data[at + HEAD_BYTES : end])
            if self.closing:
                return
            at = end
        self._tail = data[at:] if at < size else b""

    def _renew(self) -> None:
        if self._left < 0:
            raise ConnectionFault(ErrorCode.FLOW_CONTROL_ERROR, "connection window exceeded")
        self.sender.write(frames.window_update(0, self.limits.connection_window_bytes - self._left))
        self._left = self.limits.connection_window_bytes

    def _check_expected(self, kind: int, flags: int, stream_id: int) -> None:
        if self.must_begin:
            if kind != SETTINGS or flags & FLAG_ACK:
                raise ConnectionFault(ErrorCode.PROTOCOL_ERROR, "the first frame is not SETTINGS")
            self.must_begin = False
        elif kind != CONTINUATION or self._partial is None or stream_id != self._partial.stream_id:
            raise ConnectionFault(ErrorCode.PROTOCOL_ERROR, "a frame inside a header block")

    def _on_other(self, kind: int, flags: int, stream_id: int, payload: bytes) -> None:
        if kind == WINDOW_UPDATE:
            self._on_window_update(stream_id, payload)
        elif kind == HEADERS:
            self._on_special_headers(flags, stream_id, payload)
        elif kind == RST_STREAM:
            self._on_rst_stream(stream_id, payload)
        elif kind == PING:
            self._on_ping(flags, stream_id, payload)
        elif kind == SETTINGS:
            self._on_settings(flags, stream_id, payload)
        elif kind == CONTINUATION:
            self._on_continuation(flags, payload)
        elif kind == GOAWAY:
            if stream_id:
                raise ConnectionFault(ErrorCode.PROTOCOL_ERROR, "GOAWAY on a stream")
            self.glitch("GOAWAY")
            self.on_goaway(*frames.parse_goaway(payload))
        elif kind == PRIORITY:
            self._on_priority(stream_id, payload)
        elif kind == PUSH_PROMISE:
            raise ConnectionFault(ErrorCode.PROTOCOL_ERROR, "PUSH_PROMISE is not allowed")
        else:
            self.glitch("unknown type")

    def _on_stray(self, stream_id: int, what: str, *, empty: bool = False) -> None:
        """A frame for a stream that is not open: ours to ignore if we reset it or it just ended, a fault if it never was."""
        if stream_id == 0 or self.is_idle(stream_id):
            raise ConnectionFault(ErrorCode.PROTOCOL_ERROR, f"{what} on an idle stream")
        if what == "RST_STREAM":
            self._spend_reset()  # It crossed our end of the stream.
        elif stream_id not in self._our_resets:
            self.glitch(f"{what} on a closed stream")
            self.reset_unknown(stream_id, ErrorCode.STREAM_CLOSED)
        elif empty:
            self.glitch("empty DATA")

    def _on_special_headers(self, flags: int, stream_id: int, payload: bytes) -> None:
        if stream_id == 0:
            raise ConnectionFault(ErrorCode.PROTOCOL_ERROR, "HEADERS on stream 0")
        fragment = frames.header_fragment(payload, flags, stream_id)
        end_stream = bool(flags & FLAG_END_STREAM)
        if flags & FLAG_END_HEADERS:
            self.on_block(stream_id, fragment, end_stream)
        else:
            self._partial = _Partial(stream_id, fragment, end_stream)
            self.headers_since_s = self.now()

    def _on_continuation(self, flags: int, payload: bytes) -> None:
        partial = self._partial
        if partial is None:
            raise ConnectionFault(ErrorCode.PROTOCOL_ERROR, "CONTINUATION without HEADERS")
        partial.fragments.append(payload)
        partial.size += len(payload)
        partial.count += 1
        if partial.size > self.limits.header_list_bytes_max or partial.count > self.limits.continuations_max:
            raise ConnectionFault(ErrorCode.ENHANCE_YOUR_CALM, "header block too long")
        if flags & FLAG_END_HEADERS:
            self._partial = self.headers_since_s = None
            self.on_block(partial.stream_id, b"".join(partial.fragments), partial.end_stream)

    def _on_window_update(self, stream_id: int, payload: bytes) -> None:
        if len(payload) != 4:
            raise ConnectionFault(ErrorCode.FRAME_SIZE_ERROR, "WINDOW_UPDATE is not 4 bytes")
        sender = self.sender
        self._window_updates += 1
        if self._window_updates > 4 * sender.sent_count + WINDOW_UPDATES_FREE:
            self.glitch("WINDOW_UPDATE")
        increment = frames.U32.unpack(payload)[0] & WINDOW_MAX
        if stream_id == 0:
            if increment == 0:
                raise ConnectionFault(ErrorCode.PROTOCOL_ERROR, "WINDOW_UPDATE of 0")
            if sender.window + increment > WINDOW_MAX:
                raise ConnectionFault(ErrorCode.FLOW_CONTROL_ERROR, "connection window above 2^31-1")
            sender.open_window(increment)
            return
        stream = self.streams.get(stream_id)
        if stream is None:
            if self.is_idle(stream_id):
                raise ConnectionFault(ErrorCode.PROTOCOL_ERROR, "WINDOW_UPDATE on an idle stream")
        elif increment == 0:
            self.reset(stream, ErrorCode.PROTOCOL_ERROR, "WINDOW_UPDATE of 0")
        elif sender.initial_window + stream.offset + increment > WINDOW_MAX:
            self.reset(stream, ErrorCode.FLOW_CONTROL_ERROR, "stream window above 2^31-1")
        else:
            stream.offset += increment
            sender.open_stream(stream)

    def _on_rst_stream(self, stream_id: int, payload: bytes) -> None:
        if len(payload) != 4:
            raise ConnectionFault(ErrorCode.FRAME_SIZE_ERROR, "RST_STREAM is not 4 bytes")
        stream = self.streams.get(stream_id)
        if stream is None:
            self._on_stray(stream_id, "RST_STREAM")
            return
        self._spend_reset()
        self.close(stream)
        stream.on_lost(frames.U32.unpack(payload)[0], "reset by the peer")

    def _spend_reset(self) -> None:
        if not self._resets.spend():
            raise ConnectionFault(ErrorCode.ENHANCE_YOUR_CALM, "too many streams reset")

    def _on_ping(self, flags: int, stream_id: int, payload: bytes) -> None:
        if stream_id:
            raise ConnectionFault(ErrorCode.PROTOCOL_ERROR, "PING on a stream")
        if len(payload) != 8:
            raise ConnectionFault(ErrorCode.FRAME_SIZE_ERROR, "PING is not 8 bytes")
        if flags & FLAG_ACK:
            self.glitch("PING acknowledgement")
        else:
            self.sender.write(frames.ping(payload, ack=True))
        self.on_ping(payload, ack=bool(flags & FLAG_ACK))

    def _on_priority(self, stream_id: int, payload: bytes) -> None:
        if stream_id == 0:
            raise ConnectionFault(ErrorCode.PROTOCOL_ERROR, "PRIORITY on stream 0")
        if len(payload) != 5:
            raise ConnectionFault(ErrorCode.FRAME_SIZE_ERROR, "PRIORITY is not 5 bytes")
        self.glitch("PRIORITY")

    def _on_settings(self, flags: int, stream_id: int, payload: bytes) -> None:
        if stream_id:
            raise ConnectionFault(ErrorCode.PROTOCOL_ERROR, "SETTINGS on a stream")
        self.glitch("SETTINGS", SETTINGS_COST)
        if flags & FLAG_ACK:
            if payload:
                raise ConnectionFault(ErrorCode.FRAME_SIZE_ERROR, "SETTINGS acknowledgement with a payload")
            return
        values = frames.parse_settings(payload)
        for key, value in values:
            if key == frames.INITIAL_WINDOW_SIZE:
                self._on_initial_window(value)
            elif key == frames.MAX_FRAME_SIZE:
                self.sender.configure(frame_bytes_max=value)
        self.on_settings(dict(values))
        self.sender.write(frames.SETTINGS_ACK)

    def _on_initial_window(self, window: int) -> None:
        """Every open stream's window moves with it, also below zero (RFC 9113 §6.9.2)."""
        sender = self.sender
        if window > sender.initial_window and any(window + stream.offset > WINDOW_MAX for stream in self.streams.values()):
            raise ConnectionFault(ErrorCode.FLOW_CONTROL_ERROR, "SETTINGS opens a stream window above 2^31-1")
        if window != sender.initial_window:
            sender.configure(initial_window=window)
            sender.reopen(self.streams.values())
