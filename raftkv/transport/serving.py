"""The server's half of a connection: header blocks become calls, calls reach their handlers.

Sans-IO. Hot path: a header block that was seen before costs one dictionary look-up, and a unary call one object.
Calls its handlers from inside `receive`; they queue and return. What a handler raises ends its call with INTERNAL.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Protocol

from raftkv.transport import frames, grpc_wire, hpack
from raftkv.transport.call import SERVED, Kind, Route, ServerCall
from raftkv.transport.connection import Connection
from raftkv.transport.frames import ConnectionFault, ErrorCode
from raftkv.transport.grpc_wire import Code
from raftkv.transport.limits import ServerLimits
from raftkv.transport.plain import PlainRequest
from raftkv.transport.request import MethodCounters, RequestHead
from raftkv.transport.stream import GONE, LOCAL_CLOSED, REMOTE_CLOSED, Stream

HEADS_MAX = 64
"""Header blocks and parsed heads remembered per connection; then forgotten all at once and learned again."""
DRAIN_PING = b"raftkvGO"
KEEPALIVE_PING = b"raftkvKA"

Interceptor = Callable[[ServerCall], tuple[int, str] | None]


class Deadlines(Protocol):
    """`deadlines.Deadlines`."""

    def add(self, deadline_s: float, item: ServerCall) -> int:
        """See there."""

    def discard(self, slot: int, item: ServerCall) -> None:
        """See there."""


class Services:
    """What all connections of a server share: its routes, hooks and counters."""

    __slots__ = ("_names", "counters", "deadlines", "handler_error_count", "interceptor", "on_handler_error", "plain", "routes", "unknown")

    def __init__(
        self,
        routes: Mapping[str, Route],
        deadlines: Deadlines,
        *,
        interceptor: Interceptor | None = None,
        plain: Callable[[PlainRequest], None] | None = None,
        on_handler_error: Callable[[str, Exception], None],
    ) -> None:
        self.routes = routes
        self.deadlines = deadlines
        self.interceptor = interceptor
        self.plain = plain
        self.on_handler_error = on_handler_error
        self.handler_error_count = 0
        self.counters = {path: MethodCounters() for path in routes}
        self.unknown = MethodCounters()
        """Calls of methods there are not."""
        self._names = frozenset(path[1:].rpartition("/")[0] for path in routes)

    def resolve(self, head: RequestHead) -> None:
        """Find out how requests with this head are served."""
        if head.malformed is not None or (self.plain is not None and not head.is_grpc):
            return
        head.refusal = head.find_refusal(self._names, self.routes)
        head.counters = self.counters.get(head.path, self.unknown)
        route = self.routes.get(head.path)
        if head.refusal is None and route is not None:
            head.is_unary = route.kind is Kind.UNARY
            head.handler = route.handler
            head.is_special = not head.is_unary or self.interceptor is not None


class ServerConnection(Connection):
    """One client's connection.

    1. `_blocks` is true of the decoder's table as it is: it is emptied when the table changes.
    2. `unanswered` counts the unary calls in their handlers' hands.
    3. `held` are complete unary requests that wait until answers have left; nothing is served past them.
    """

    __slots__ = (
        "_blocks",
        "_changes",
        "_heads",
        "_ping_at_s",
        "_ping_sent_count",
        "_ping_strikes",
        "_streams_max",
        "deadlines",
        "held",
        "message_bytes_max",
        "peer_address",
        "server_limits",
        "services",
        "tls_common_name",
        "unanswered",
        "user_agent",
    )

    def __init__(
        self,
        services: Services,
        limits: ServerLimits,
        now: Callable[[], float],
        mark: Callable[[], None],
        *,
        peer_address: str = "",
        tls_common_name: str | None = None,
    ) -> None:
        super().__init__(limits, now, mark)
        self.services = services
        self.server_limits = limits
        self.message_bytes_max = limits.message_bytes_max
        self.deadlines = services.deadlines
        self.peer_address = peer_address
        self.tls_common_name = tls_common_name
        self.user_agent = ""
        self.unanswered = 0
        self.held: dict[ServerCall, bytes] = {}
        self._streams_max = limits.max_concurrent_streams
        self._blocks: dict[bytes, tuple[RequestHead, str | None]] = {}
        self._heads: dict[tuple[hpack.Field, ...], RequestHead] = {}
        self._changes = 0
        self._ping_at_s = float("-inf")
        self._ping_sent_count = 0
        self._ping_strikes = 0
        streams = limits.announced_streams
        self.announce({} if streams is None else {frames.MAX_CONCURRENT_STREAMS: streams})

    def is_idle(self, stream_id: int) -> bool:
        """See `Connection`: we push nothing, so even ids are never opened."""
        return stream_id > self.last_stream_id or not stream_id & 1

    # Opening calls.

    def on_block(self, stream_id: int, block: bytes, end_stream: bool) -> None:
        """See `Connection`."""
        head, timeout = self._blocks.get(block) or self._learn(block)
        if stream_id <= self.last_stream_id or not stream_id & 1:
            self._on_late_block(stream_id, head, end_stream)
            return
        streams = self.streams
        if head.is_special or end_stream or self.draining or len(streams) >= self._streams_max:
            self._open(stream_id, head, timeout, end_stream)
        else:
            self.last_stream_id = stream_id
            call = streams[stream_id] = ServerCall(self, stream_id, head, head.handler)
            head.counters.started += 1
            if timeout is not None:
                self._arm(call, timeout)

    def _learn(self, block: bytes) -> tuple[RequestHead, str | None]:
        """Decode a block; remember what it means if it will mean the same the next time."""
        decoder = self.decoder
        changes = decoder.changes
        fields = decoder.decode(block)
        timeout = None
        names = [field[0] for field in fields]
        if "grpc-timeout" in names:
            timeout = fields.pop(names.index("grpc-timeout"))[1]
        key = tuple(fields)
        head = None if decoder.oversized else self._heads.get(key)
        if head is None:
            head = RequestHead(key)
            if decoder.oversized:
                head.malformed = "header list too large"
            self.services.resolve(head)
            if head.user_agent and not self.user_agent:
                self.user_agent = head.user_agent
            if len(self._heads) >= HEADS_MAX:
                self._heads.clear()
            if not decoder.oversized:
                self._heads[key] = head
        if decoder.changes != self._changes:
            self._changes = decoder.changes
            self._blocks.clear()
        # A block that left the table as it was means the same the next time, unless one of its literals varies.
        if decoder.changes == changes and not decoder.oversized and (timeout is None or hpack.is_indexed_only(block)):
            if len(self._blocks) >= HEADS_MAX:
                self._blocks.clear()
            self._blocks[block] = (head, timeout)
        return head, timeout

    def _on_late_block(self, stream_id: int, head: RequestHead, end_stream: bool) -> None:
        """HEADERS on a stream that is not new: trailers, or misuse."""
        stream = self.streams.get(stream_id)
        if stream is not None:
            stream.on_headers([], end_stream)
        elif not stream_id & 1:
            raise ConnectionFault(ErrorCode.PROTOCOL_ERROR, "a client's stream has an even id")
        elif stream_id in self._our_resets:
            self.glitch("HEADERS on a closed stream")
        else:
            raise ConnectionFault(ErrorCode.STREAM_CLOSED, "HEADERS on a closed stream")

    def _open(self, stream_id: int, head: RequestHead, timeout: str | None, end_stream: bool) -> None:
        """Open a stream in the uncommon cases."""
        self.last_stream_id = stream_id
        if self.draining or len(self.streams) >= self._streams_max:
            self._spend_reset()
            self.reset_unknown(stream_id, ErrorCode.REFUSED_STREAM)
            return
        if head.malformed is not None:
            self._spend_reset()
            self.reset_unknown(stream_id, ErrorCode.ENHANCE_YOUR_CALM if self.decoder.oversized else ErrorCode.PROTOCOL_ERROR)
            return
        if self.services.plain is not None and not head.is_grpc:
            request = PlainRequest(self, stream_id, head)
            self.streams[stream_id] = request
            if end_stream:
                request.state = REMOTE_CLOSED
                request.on_end()
            return
        head.counters.started += 1
        call = ServerCall(self, stream_id, head, head.handler if head.is_unary else None)
        self.streams[stream_id] = call
        if end_stream:
            call.state = REMOTE_CLOSED
        if self._admit(call, head, timeout):
            if not head.is_unary:
                self._start(call, head)
            if end_stream and not call.state & (GONE | LOCAL_CLOSED):
                call.on_end()

    def _admit(self, call: ServerCall, head: RequestHead, timeout: str | None) -> bool:
        """Refuse the call, or give it its deadline."""
        if head.refusal is not None:
            refusal = head.refusal
            call.refuse(refusal.code, refusal.message, refusal.trailers, refusal.http_status)
            return False
        if timeout is not None and not self._arm(call, timeout):
            return False
        interceptor = self.services.interceptor
        if interceptor is not None:
            refused = interceptor(call)
            if refused is not None:
                call.fail(*refused)
                return False
        return True

    def _arm(self, call: ServerCall, timeout: str) -> bool:
        """Give the call its deadline; false, and the call ended, when the text is none."""
        try:
            call.arm(self.now() + grpc_wire.parse_timeout(timeout))
        except ValueError as exc:
            call.refuse(Code.INTERNAL, f"malformed grpc-timeout: {exc}", (), "400")
            return False
        return True

    def _start(self, call: ServerCall, head: RequestHead) -> None:
        assert head.handler is not None
        try:
            call.handler = head.handler(call)
        except Exception as exc:
            self._on_handler_error(call, exc)

    # Serving calls.

    def serve(self, call: ServerCall, body: bytes) -> None:
        """A unary request is complete."""
        if self.held or self.sender.unsent_bytes > self.limits.unsent_bytes_max:
            self.held[call] = body
            self.partial_bytes += len(body)
            return
        self._hand_over(call, body)

    def _hand_over(self, call: ServerCall, body: bytes) -> None:
        call.state |= SERVED
        self.unanswered += 1
        call.head.counters.received += 1
        try:
            call.handler(call, body)
        except Exception as exc:
            self._on_handler_error(call, exc)

    def on_taken(self) -> None:
        """See `Connection`: answers have left, so go on with the requests that waited."""
        bound = self.limits.unsent_bytes_max >> 1
        while self.held and self.sender.unsent_bytes <= bound:
            call = next(iter(self.held))
            body = self.held.pop(call)
            self.partial_bytes -= len(body)
            self._hand_over(call, body)

    def on_message(self, call: ServerCall, body: bytes) -> None:
        """A message of a call that did not come in one frame, or is a stream."""
        if not call.head.is_unary:
            call.head.counters.received += 1
            self.guard(call, call.handler.on_message, body)
        elif call.request is not None:
            call.break_off(Code.INTERNAL, "cardinality violation: received multiple request messages for non-client-streaming RPC")
        else:
            call.request = body
            self.partial_bytes += len(body)

    def on_half_close(self, call: ServerCall) -> None:
        """The client sends no more."""
        if not call.head.is_unary:
            self.guard(call, call.handler.on_half_close)
            return
        body = call.request
        if body is None:
            call.break_off(Code.INTERNAL, "cardinality violation: received no request message from non-client-streaming RPC")
        else:
            self.partial_bytes -= len(body)
            call.request = None
            self.serve(call, body)

    def serve_plain(self, request: PlainRequest) -> None:
        """A plain request is complete."""
        assert self.services.plain is not None
        try:
            self.services.plain(request)
        except Exception as exc:
            self._report(request.head.path, exc)
            if not request.state & (GONE | LOCAL_CLOSED):
                self.abandon(request, ErrorCode.INTERNAL_ERROR)

    def guard(self, call: ServerCall, callback: Callable[..., None], *args: Any) -> None:
        """Call a handler; what it raises ends its call alone."""
        try:
            callback(*args)
        except Exception as exc:
            self._on_handler_error(call, exc)

    def _on_handler_error(self, call: ServerCall, exc: Exception) -> None:
        self._report(call.head.path, exc)
        call.break_off(Code.INTERNAL, "internal error")

    def _report(self, path: str, exc: Exception) -> None:
        self.services.handler_error_count += 1
        self.services.on_handler_error(path, exc)

    # The connection's own life.

    @property
    def wants_pause(self) -> bool:
        """Whether more is unanswered than the connection's share."""
        return self.unanswered > self.server_limits.queued_calls_max

    @property
    def may_resume(self) -> bool:
        """Whether enough has been answered to be read again."""
        return self.unanswered <= self.server_limits.queued_calls_max >> 1

    def on_ping(self, data: bytes, *, ack: bool) -> None:
        """grpc-go's policing: a ping is free if we sent something since the one before; else it must keep its distance."""
        if ack:
            if data == DRAIN_PING:
                self.end_drain()
            return
        limits = self.server_limits
        now_s, sent_count = self.now(), self.sender.sent_count
        at_s, self._ping_at_s = self._ping_at_s, now_s
        if sent_count != self._ping_sent_count:
            self._ping_sent_count = sent_count
            self._ping_strikes = 0
            return
        interval_s = limits.ping_interval_min_s if self.streams or limits.ping_without_stream else limits.idle_ping_interval_min_s
        if now_s - at_s < interval_s:
            self._ping_strikes += 1
            if self._ping_strikes > limits.ping_strikes_max:
                raise ConnectionFault(ErrorCode.ENHANCE_YOUR_CALM, "too_many_pings")

    def begin_drain(self) -> None:
        """First of two GOAWAYs: no new streams, please; those already on their way are served (RFC 9113 §6.8).

        The answer to the PING behind it says that what the client sent before it saw the first has arrived.
        """
        if not self.closing:
            self.sender.write(frames.goaway(frames.STREAM_ID_MAX, ErrorCode.NO_ERROR, "graceful_stop"))
            self.sender.write(frames.ping(DRAIN_PING, ack=False))

    def end_drain(self) -> None:
        """From here on, new streams are refused."""
        if not self.draining and not self.closing:
            self.draining = True
            self.send_goaway(ErrorCode.NO_ERROR, "graceful_stop")

    def on_stream_closed(self, stream: Stream) -> None:
        """See `Connection`: a request that ends while it waits is forgotten."""
        if self.held and isinstance(stream, ServerCall):
            body = self.held.pop(stream, None)
            if body is not None:
                self.partial_bytes -= len(body)
