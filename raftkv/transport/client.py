"""The client's half of a connection: calls become streams, header blocks become answers.

Sans-IO. Hot path: a request's header block is encoded once and sent again while our table stands still; an answer's is
decoded once and recognised again while the server's does.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Protocol

from raftkv.transport import frames, grpc_wire, hpack
from raftkv.transport.client_call import ClientCall, RpcError
from raftkv.transport.connection import Connection
from raftkv.transport.frames import STREAM_ID_MAX, ErrorCode
from raftkv.transport.grpc_wire import Code
from raftkv.transport.hpack import Field
from raftkv.transport.limits import ChannelLimits
from raftkv.transport.stream import GONE, STARTED, Stream

__all__ = ["USER_AGENT", "ClientCall", "ClientConnection", "RpcError"]

USER_AGENT = "raftkv-python"
BLOCKS_MAX = 64
"""Header blocks remembered per connection and direction; then forgotten all at once."""


class Deadlines(Protocol):
    """`deadlines.Deadlines`."""

    def add(self, deadline_s: float, item: ClientCall) -> int:
        """See there."""

    def discard(self, slot: int, item: ClientCall) -> None:
        """See there."""


class ClientConnection(Connection):
    """Our connection to one server.

    1. A call is in `streams` from its start to its end, or in `_waiting`, or over.
    2. Stream ids only rise, in the order in which header blocks are encoded.
    """

    __slots__ = (
        "_authority",
        "_blocks",
        "_changes",
        "_encoder",
        "_newest_id",
        "_requests",
        "_scheme",
        "_streams_max",
        "_user_agent",
        "_waiting",
        "_waiting_max",
        "deadlines",
        "on_callback_error",
    )

    def __init__(
        self,
        limits: ChannelLimits,
        now: Callable[[], float],
        mark: Callable[[], None],
        deadlines: Deadlines,
        *,
        authority: str,
        on_callback_error: Callable[[Exception], None],
        scheme: str = "http",
        user_agent: str = USER_AGENT,
    ) -> None:
        """`on_callback_error` is told what a caller's callback raised; the connection goes on."""
        super().__init__(limits, now, mark)
        self.on_callback_error = on_callback_error
        self.deadlines = deadlines
        self._authority, self._scheme, self._user_agent = authority, scheme, user_agent
        self._encoder = hpack.Encoder()
        self._requests: dict[tuple[str, tuple[Field, ...]], tuple[int, bytes]] = {}
        self._blocks: dict[bytes, list[Field]] = {}
        self._changes = 0
        self._streams_max = STREAM_ID_MAX
        self._waiting: deque[ClientCall] = deque()
        self._waiting_max = limits.waiting_calls_max
        self._newest_id = -1
        self.sender.write(frames.PREFACE)
        self.announce({frames.ENABLE_PUSH: 0})

    def open(self, call: ClientCall) -> RpcError | None:
        """Start a call, or queue it; the error if that is impossible."""
        if self.closing or self.draining or self._newest_id >= STREAM_ID_MAX - 1:
            return RpcError(Code.UNAVAILABLE, "the connection takes no more calls", sent=False)
        if self._waiting or len(self.streams) >= self._streams_max:
            if len(self._waiting) >= self._waiting_max:
                return RpcError(Code.UNAVAILABLE, "too many calls wait for the server", sent=False)
            self._waiting.append(call)
        else:
            self._start(call)
        return None

    def drop(self, call: ClientCall) -> None:
        """The caller lost interest."""
        if not call.state & STARTED:
            if call in self._waiting:
                self._waiting.remove(call)
        elif not call.state & GONE:
            self.abandon(call, ErrorCode.CANCEL)

    @property
    def call_count(self) -> int:
        """Open and waiting calls."""
        return len(self.streams) + len(self._waiting)

    def is_idle(self, stream_id: int) -> bool:
        """See `Connection`: even ids would be pushed streams, which we forbid."""
        return stream_id > self._newest_id or not stream_id & 1

    def _start(self, call: ClientCall) -> None:
        block = self._encode(call.path, call.metadata)
        if call.deadline_s is not None:
            block += hpack.literal("grpc-timeout", grpc_wire.format_timeout(call.deadline_s - self.now()))
        stream_id = self._newest_id = self._newest_id + 2
        self.streams[stream_id] = call
        call.start(stream_id, block)

    def _encode(self, path: str, metadata: tuple[Field, ...]) -> bytes:
        """The request's block without its timeout; the same bytes again while our table stands still."""
        key = (path, metadata)
        encoder = self._encoder
        known = self._requests.get(key)
        if known is not None and known[0] == encoder.changes:
            return known[1]
        block = encoder.encode(
            (
                (":method", "POST"),
                (":scheme", self._scheme),
                (":path", path),
                (":authority", self._authority),
                ("te", "trailers"),
                ("content-type", "application/grpc"),
                ("user-agent", self._user_agent),
                *metadata,
            )
        )
        if hpack.is_indexed_only(block):
            if len(self._requests) >= BLOCKS_MAX:
                self._requests.clear()
            self._requests[key] = (encoder.changes, block)
        return block

    def on_block(self, stream_id: int, block: bytes, end_stream: bool) -> None:
        """See `Connection`."""
        fields = self._blocks.get(block)
        if fields is None:
            fields = self._learn(block)
        stream = self.streams.get(stream_id)
        if stream is None:
            self._on_stray(stream_id, "HEADERS")
        elif self.decoder.oversized:
            self.reset(stream, ErrorCode.ENHANCE_YOUR_CALM, "header list too large")
        else:
            stream.on_headers(fields, end_stream)

    def _learn(self, block: bytes) -> list[Field]:
        """Decode a block; remember it if it left the table as it was, for then it will mean the same again."""
        decoder = self.decoder
        fields = decoder.decode(block)
        if decoder.changes != self._changes:
            self._changes = decoder.changes
            self._blocks.clear()
        elif not decoder.oversized:
            if len(self._blocks) >= BLOCKS_MAX:
                self._blocks.clear()
            self._blocks[block] = fields
        return fields

    def on_settings(self, values: dict[int, int]) -> None:
        """See `Connection`."""
        if values.get(frames.ENABLE_PUSH):
            raise frames.ConnectionFault(ErrorCode.PROTOCOL_ERROR, "a server announces SETTINGS_ENABLE_PUSH")
        self._streams_max = values.get(frames.MAX_CONCURRENT_STREAMS, self._streams_max)
        if frames.HEADER_TABLE_SIZE in values:
            self._encoder.resize(values[frames.HEADER_TABLE_SIZE])
        self._start_waiting()

    def on_goaway(self, last_stream_id: int, code: int, text: str) -> None:
        """See `Connection`: what the server has not processed fails as unsent, the rest goes on."""
        self.draining = True
        waiting, self._waiting = self._waiting, deque()
        reason = f"server sent GOAWAY: {text}" if text else "server sent GOAWAY"
        for stream_id in [stream_id for stream_id in self.streams if stream_id > last_stream_id]:
            stream = self.streams.get(stream_id)
            if isinstance(stream, ClientCall):
                self.close(stream)
                stream.refuse(RpcError(Code.UNAVAILABLE, reason, sent=False))
        for call in waiting:
            call.refuse(RpcError(Code.UNAVAILABLE, reason, sent=False))
        self.sender.mark()

    def lose(self, code: int, text: str) -> None:
        """See `Connection`."""
        waiting, self._waiting = self._waiting, deque()
        super().lose(code, text)
        for call in waiting:
            call.refuse(RpcError(Code.UNAVAILABLE, text, sent=False))

    def on_stream_closed(self, stream: Stream) -> None:
        """See `Connection`: room for one that waits."""
        if self._waiting or self.draining:
            self._start_waiting()
            self.sender.mark()

    def _start_waiting(self) -> None:
        while self._waiting and len(self.streams) < self._streams_max and not self.closing:
            self._start(self._waiting.popleft())
