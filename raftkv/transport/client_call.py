"""One call as its caller sees it, and the error it may end with.

Sans-IO. Hot path: a unary call is one object, one append out, and one callback in. Completion is called once, from inside
`receive` or a deadline, never from inside the call that started it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from raftkv.errors import RaftKVError
from raftkv.transport import frames, grpc_wire
from raftkv.transport.call import pack_message
from raftkv.transport.frames import FLAG_END_HEADERS, FLAG_END_STREAM, FRAME_BYTES_DEFAULT, HEAD, HEADERS, ErrorCode
from raftkv.transport.grpc_wire import PREFIX, PREFIX_BYTES, Code, MessageFault, MessageReader
from raftkv.transport.hpack import Field
from raftkv.transport.stream import LOCAL_CLOSED, REMOTE_CLOSED, STARTED, Stream

if TYPE_CHECKING:
    from raftkv.transport.client import ClientConnection

ANSWERED = 16
"""State bit: the head of the answer has come."""
DONE = 32
"""State bit: the caller has been told the outcome."""


class RpcError(RaftKVError):
    """A call that did not succeed. `sent` is False only when the request certainly never reached the
    server's application. `trailers` leaves out HTTP/2's and gRPC's own."""

    def __init__(self, code: int, message: str, trailers: Sequence[Field] = (), *, sent: bool = True) -> None:
        super().__init__(message)
        self.code = int(code)
        self.message = message
        self.trailers = tuple(trailers)
        self.sent = sent

    def __str__(self) -> str:
        name = Code(self.code).name if self.code in set(Code) else str(self.code)
        return f"{name}: {self.message}" + ("" if self.sent else " (not sent)")


class ClientCall(Stream):
    """One call of any kind. Everything about it happens on the loop.

    1. `on_done` is called exactly once, unless `cancel` was called before it; after either, nothing is called.
    2. What was sent before the call had a stream (the server allows only so many) waits in `_early`.
    """

    __slots__ = (
        "_bytes_max",
        "_deadline_slot",
        "_early",
        "_half_closed",
        "_on_done",
        "_on_message",
        "_on_writable",
        "_reader",
        "_unary_body",
        "connection",
        "deadline_s",
        "headers",
        "is_unary",
        "metadata",
        "path",
    )

    connection: ClientConnection

    def __init__(
        self,
        connection: ClientConnection,
        path: str,
        metadata: tuple[Field, ...],
        *,
        on_message: Callable[[bytes], None] | None,
        on_done: Callable[[bytes | None, RpcError | None], None],
        on_writable: Callable[[], None] | None = None,
        bytes_max: int,
    ) -> None:
        super().__init__(connection, 0)
        self.connection = connection
        self.path = path
        self.metadata = metadata
        self.headers: Sequence[Field] = ()
        """The answer's head, when it has come."""
        self.deadline_s: float | None = None
        self.is_unary = on_message is None
        self._on_message = on_message
        self._on_done = on_done
        self._on_writable = on_writable
        self._bytes_max = bytes_max
        self._reader: MessageReader | None = None
        self._unary_body: bytes | None = None
        self._early: list[bytes] = []
        self._half_closed = False

    # The caller's side.

    def send(self, body: bytes) -> None:
        """One message. Never waits and never drops while the call lasts; after its end it does nothing."""
        sender = self.sender
        size = len(body) + PREFIX_BYTES
        if self.state & (DONE | LOCAL_CLOSED) or self._half_closed:
            return
        if not self.state & STARTED:
            self._early.append(body)
        elif (
            self.queue is None
            and size <= sender.allowance
            and size <= sender.frame_bytes_max
            and size <= sender.initial_window + self.offset
        ):
            sender.allowance -= size
            self.offset -= size
            sender.sent_count += 1
            if not sender.dirty:
                sender.mark()
            sender.chunks.append(pack_message(size << 8, 0, self.id, 0, len(body)) + body)
        else:
            sender.enqueue(self, PREFIX.pack(0, len(body)), body)

    def half_close(self) -> None:
        """No more messages of ours; the answer may go on."""
        if self.state & (DONE | LOCAL_CLOSED) or self._half_closed:
            return
        self._half_closed = True
        if self.state & STARTED:
            self._end()

    def cancel(self) -> None:
        """Forget the call: nothing is called any more. The server may have served it, or may yet."""
        if not self.state & DONE:
            self._settle()
            self.connection.drop(self)

    def on_deadline(self) -> None:
        """The deadline has passed."""
        if not self.state & DONE:
            sent = bool(self.state & STARTED)
            self.connection.drop(self)
            self._complete(RpcError(Code.DEADLINE_EXCEEDED, "Deadline Exceeded", sent=sent))

    def arm(self, deadline_s: float) -> None:
        """Set the deadline, loop time."""
        self.deadline_s = deadline_s
        self._deadline_slot = self.connection.deadlines.add(deadline_s, self)

    def refuse(self, error: RpcError) -> None:
        """End the call before it has a stream."""
        if not self.state & DONE:
            self._complete(error)

    # The connection's side.

    def start(self, stream_id: int, block: bytes) -> None:
        """Open the stream and send what there is to send."""
        self.id = stream_id
        self.state |= STARTED
        sender = self.sender
        sender.sent_count += 1
        early = self._early
        if self._half_closed and len(early) == 1 and len(block) <= FRAME_BYTES_DEFAULT:
            body = early[0]
            size = len(body) + PREFIX_BYTES
            if size <= sender.allowance and size <= sender.quick_bytes_max:
                sender.allowance -= size
                self.state |= LOCAL_CLOSED
                self._early = []
                if not sender.dirty:
                    sender.mark()
                sender.chunks.append(
                    b"%b%b%b%b"
                    % (
                        HEAD.pack(len(block) << 8 | HEADERS, FLAG_END_HEADERS, stream_id),
                        block,
                        pack_message(size << 8, FLAG_END_STREAM, stream_id, 0, size - PREFIX_BYTES),
                        body,
                    )
                )
                return
        sender.write(frames.headers(stream_id, block, end_stream=False, frame_bytes_max=sender.frame_bytes_max))
        for body in early:
            sender.enqueue(self, PREFIX.pack(0, len(body)), body)
        self._early = []
        if self._half_closed:
            self._end()

    def on_chunk(self, chunk: bytes) -> None:
        """See `Stream`."""
        if not self.state & ANSWERED:
            self._break(Code.INTERNAL, "DATA before the answer's head")
            return
        reader = self._reader
        if reader is None:
            reader = self._reader = MessageReader(self._bytes_max)
        connection = self.connection
        connection.partial_bytes -= reader.held_bytes
        try:
            messages = reader.feed(chunk)
        except MessageFault as fault:
            reader.held_bytes = 0
            self._break(fault.code, str(fault))
            return
        connection.partial_bytes += reader.held_bytes
        for body in messages:
            self._deliver(body)
            if self.state & DONE:
                return

    def on_data(self, data: bytes, at: int, end: int, flags: int) -> None:
        """See `Stream`; the common case is one whole message in one frame that renews no window."""
        inbound = self.inbound
        if flags == 0 and self.is_unary and inbound is None and self._reader is None and self.state & ANSWERED and end - at >= PREFIX_BYTES:
            compressed, length = PREFIX.unpack_from(data, at)
            if not compressed and at + PREFIX_BYTES + length == end and length <= self._bytes_max and self._unary_body is None:
                # One frame is far below half the window: nothing to renew, and no account to open for it.
                self._unary_body = data[at + PREFIX_BYTES : end]
                return
        self._receive(data[at:end], flags)

    def on_end(self) -> None:
        """END_STREAM on DATA: gRPC ends with trailers."""
        if not self.state & DONE:
            self._break(Code.INTERNAL, "server closed the stream without sending trailers")

    def on_headers(self, fields: list[Field], end_stream: bool) -> None:
        """The answer's head, or its trailers, or both in one."""
        if self.state & REMOTE_CLOSED:
            self.connection.reset(self, ErrorCode.STREAM_CLOSED, "HEADERS after END_STREAM")
            return
        if not self.state & ANSWERED:
            status = next((value for name, value in fields if name == ":status"), "")
            if len(status) == 3 and status[0] == "1" and not end_stream:
                return
            self.state |= ANSWERED
            self.headers = fields
            if not self._check_head(status, fields, end_stream):
                return
        elif not end_stream:
            self._break(Code.INTERNAL, "a second head in the answer")
            return
        if end_stream:
            self.state |= REMOTE_CLOSED
            self._finish(fields)

    def on_lost(self, code: int, text: str) -> None:
        """See `Stream`."""
        if self.state & DONE:
            return
        if self.connection.closing:
            self._complete(RpcError(Code.UNAVAILABLE, text))
        elif code == ErrorCode.CANCEL and self.deadline_s is not None and self.connection.now() >= self.deadline_s:
            self._complete(RpcError(Code.DEADLINE_EXCEEDED, "Deadline Exceeded"))
        else:
            name = ErrorCode(code).name if code in set(ErrorCode) else str(code)
            refused = code == ErrorCode.REFUSED_STREAM
            text = f"stream terminated by RST_STREAM with error code: {name}"
            self._complete(RpcError(grpc_wire.code_of_reset(code), text, sent=not refused))

    def on_writable(self) -> None:
        """See `Stream`."""
        if self._on_writable is not None and not self.state & (DONE | LOCAL_CLOSED):
            try:
                self._on_writable()
            except Exception as exc:
                self.connection.on_callback_error(exc)

    @property
    def unsent_bytes(self) -> int:
        """What waits for the windows or for a stream, bytes."""
        return sum(map(len, self._early)) if self._early else super().unsent_bytes

    def _check_head(self, status: str, fields: list[Field], end_stream: bool) -> bool:
        """Whether the answer is gRPC; else the call ends."""
        content_type = next((value for name, value in fields if name == "content-type"), "")
        if status == "200" and content_type.startswith("application/grpc"):
            return True
        if end_stream and any(name == "grpc-status" for name, _ in fields):
            return True
        code = grpc_wire.code_of_http(int(status)) if status.isdigit() and status != "200" else Code.UNKNOWN
        self._break(code, f'unexpected HTTP status code received from server: {status}; content-type "{content_type}"')
        return False

    def _deliver(self, body: bytes) -> None:
        if self._on_message is not None:
            try:
                self._on_message(body)
            except Exception as exc:
                self.connection.on_callback_error(exc)
        elif self._unary_body is None:
            self._unary_body = body
        else:
            self._break(Code.INTERNAL, "more than one message in the answer of a unary call")

    def _finish(self, trailers: list[Field]) -> None:
        """The server has said how it ended."""
        status, message = "", ""
        for name, value in trailers:
            if name == "grpc-status":
                status = value
            elif name == "grpc-message":
                message = value
        if self.state & LOCAL_CLOSED and self.queue is None:
            self.connection.close(self)
        else:
            self.connection.abandon(self, ErrorCode.CANCEL)
        if status != "0":
            code = int(status) if status.isascii() and status.isdigit() and len(status) < 4 else Code.UNKNOWN
            told = [field for field in trailers if field[0][0] != ":" and field[0] not in grpc_wire.RESERVED]
            self._complete(RpcError(code, grpc_wire.decode_message(message), told))
        elif self._reader is not None and self._reader.held_bytes:
            self._complete(RpcError(Code.INTERNAL, "the answer ends inside a message"))
        elif self.is_unary and self._unary_body is None:
            self._complete(RpcError(Code.INTERNAL, "no message in the answer of a unary call"))
        else:
            self._complete(None)

    def _break(self, code: int, message: str) -> None:
        """End the call for the server's fault."""
        self.connection.drop(self)
        self._complete(RpcError(code, message))

    def _end(self) -> None:
        """Send END_STREAM behind everything queued."""
        self.state |= LOCAL_CLOSED
        if self.queue is not None:
            self.queue.end_on_data = True
        else:
            self.sender.write(frames.frame(frames.DATA, FLAG_END_STREAM, self.id, b""))

    def _close_local(self) -> None:
        """The queue's end has left; the answer is still to come."""

    def _settle(self) -> None:
        """Nothing more is called."""
        self.state |= DONE
        if self._reader is not None:
            self.connection.partial_bytes -= self._reader.held_bytes
            self._reader = None
        if self.deadline_s is not None:
            self.connection.deadlines.discard(self._deadline_slot, self)

    def _complete(self, error: RpcError | None) -> None:
        self._settle()
        try:
            self._on_done(self._unary_body if error is None else None, error)
        except Exception as exc:
            self.connection.on_callback_error(exc)
