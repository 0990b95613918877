"""One gRPC method as served: admits, decodes and answers, so that a service is left with its own subject.

Owns the boundary at which an exception becomes a status; refuses to know any message, and leaves counting calls to the
transport, which sees those that never get here. Hot path (every put passes `UnaryMethod.handle` and `_done`): per call
one partial object, no closure, no task, no timer; 0.45 µs beside the decoding (tests/bench/test_rpc_unary.py).
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from functools import partial
from typing import Generic, TypeVar

from google.protobuf.message import DecodeError, Message

from raftkv.errors import RaftKVError
from raftkv.metrics import Metrics
from raftkv.rpc.call import Call
from raftkv.rpc.guard import Guard, LeaderMonitor
from raftkv.rpc.status import Code, outcome_of, status_of
from raftkv.server.api import Done, MemberApi, Result

_log = logging.getLogger("raftkv.rpc")

M = TypeVar("M", bound=Message)

MALFORMED_UNARY = "grpc: error unmarshalling request: proto: cannot parse invalid wire-format data"
MALFORMED_STREAM = "grpc: failed to unmarshal the received message: proto: cannot parse invalid wire-format data"
MANY_REQUESTS = "cardinality violation: received multiple request messages for non-client-streaming RPC"
NO_REQUEST = "cardinality violation: received no request message from non-client-streaming RPC"
"""grpc-go's texts."""


class Calls:
    """What all methods of one member share: the guard, the leader monitor, and the place where our own bugs are counted."""

    __slots__ = ("_internal_errors", "api", "guard", "monitor", "streams")

    def __init__(self, api: MemberApi, metrics: Metrics, guard: Guard, monitor: LeaderMonitor) -> None:
        self.api = api
        self.guard = guard
        self.monitor = monitor
        self._internal_errors = metrics.internal_errors
        self.streams: dict[Stream, None] = {}
        """Open streams, oldest first."""

    def end_streams(self, error: BaseException) -> None:
        """Ends every open stream with the error: they would outlast any drain."""
        for stream in list(self.streams):
            stream.fail(error)

    def status_of(self, error: BaseException) -> tuple[Code, str]:
        """The status of an error; one that is a bug of ours is logged and counted here."""
        code, text = status_of(error)
        if not isinstance(error, RaftKVError):
            self._internal_errors.value += 1
            _log.error("a call ended by a bug", exc_info=error)
            code = Code.INTERNAL
        return code, text


class UnaryMethod(Generic[M]):
    """A method of one request and one answer: decodes `message`, has `serve` answer, adds the header."""

    __slots__ = ("_admit", "_calls", "_decode", "_finish", "_header", "_serve")

    def __init__(
        self,
        calls: Calls,
        message: type[M],
        serve: Callable[[bytes, M, Done], None],
        *,
        with_header: bool = True,
    ) -> None:
        """`serve(raw, request, done)` has MemberApi's contract for done. Without header the result's revision is not used."""
        self._calls = calls
        self._admit = calls.guard.admit_unary
        self._decode = message.FromString
        self._serve = serve
        self._header = calls.api.header if with_header else _no_header
        self._finish = self._done

    def handle(self, call: Call, body: bytes) -> None:
        """The transport's handler of the method."""
        refusal = self._admit(call.metadata)
        if refusal is not None:
            self._fail(call, refusal)
            return
        try:
            request = self._decode(body)
        except DecodeError:
            call.fail(Code.INTERNAL, MALFORMED_UNARY)
            return
        try:
            self._serve(body, request, partial(self._finish, call))
        except Exception as error:  # the boundary of the call; status_of() logs what is not ours
            self._fail(call, error)

    def _done(self, call: Call, result: Result | None, error: Exception | None) -> None:
        if result is not None:
            call.reply(result[1], self._header(result[0]))
        else:
            assert error is not None
            self._fail(call, error)

    def _fail(self, call: Call, error: BaseException) -> None:
        call.fail(*self._calls.status_of(error), outcome_of(error))


def _no_header(revision: int) -> bytes:
    return b""


class Stream:
    """One streaming call: ends once, and tells its owner that it ended, however it did.

    Invariants: 1. `on_end` runs exactly once. 2. After it nothing is sent. 3. The leader monitor holds only open streams.
    """

    __slots__ = ("_call", "_calls", "_guarded_end", "_on_end", "open")

    def __init__(self, calls: Calls, call: Call) -> None:
        self._calls = calls
        self._call = call
        self._on_end: Callable[[], None] | None = None
        self._guarded_end: Callable[[RaftKVError], None] | None = None
        self.open = True
        require_leader, refusal = calls.guard.admit_stream(call.metadata)
        if refusal is not None:
            self.fail(refusal)
            return
        calls.streams[self] = None
        if require_leader:
            self._guarded_end = self.fail
            calls.monitor.add(self._guarded_end)

    @property
    def writable(self) -> bool:
        """See Call; a stream that ended takes everything, and drops it."""
        return not self.open or self._call.writable

    def pause(self) -> None:
        """See Call."""
        if self.open:
            self._call.pause()

    def resume(self) -> None:
        """See Call."""
        if self.open:
            self._call.resume()

    def when_ended(self, on_end: Callable[[], None]) -> None:
        """Sets what releases the owner's side; at most one."""
        assert self._on_end is None
        self._on_end = on_end

    def decode(self, message: type[M], body: bytes) -> M | None:
        """One received message; None when it ended the stream because it is malformed, or came after the end."""
        if not self.open:
            return None
        try:
            return message.FromString(body)
        except DecodeError:
            self.fail_with(Code.INTERNAL, MALFORMED_STREAM)
            return None

    def send(self, body: bytes) -> None:
        """One message; dropped after the end."""
        if self.open:
            self._call.send(body)

    def finish(self) -> None:
        """Ends with status OK."""
        if self.open:
            self._end()
            self._call.finish()

    def fail(self, error: BaseException) -> None:
        """Ends with the error's status."""
        self.fail_with(*self._calls.status_of(error))

    def fail_with(self, code: Code, text: str) -> None:
        """Ends with a status that is no error class of ours."""
        if self.open:
            self._end()
            self._call.fail(code, text)

    def cancelled(self) -> None:
        """The client went away."""
        if self.open:
            self._end()

    def _end(self) -> None:
        self.open = False
        self._calls.streams.pop(self, None)
        if self._guarded_end is not None:
            self._calls.monitor.discard(self._guarded_end)
        on_end, self._on_end = self._on_end, None
        if on_end is not None:
            on_end()


class OneRequest(Generic[M]):
    """The handler of a server stream: takes its one request and leaves the rest to who serves it."""

    __slots__ = ("_message", "_serve", "_stream", "_taken", "_wake")

    def __init__(self, stream: Stream, message: type[M], serve: Callable[[Stream, M], Callable[[], None]]) -> None:
        """`serve(stream, request)` returns what is called when a stream that was not writable is again."""
        self._stream = stream
        self._message = message
        self._serve = serve
        self._taken = False
        self._wake: Callable[[], None] | None = None

    def on_message(self, body: bytes) -> None:
        """The request; a second one is the client's mistake."""
        if self._taken:
            self._stream.fail_with(Code.INTERNAL, MANY_REQUESTS)
            return
        self._taken = True
        request = self._stream.decode(self._message, body)
        if request is not None:
            self._wake = self._serve(self._stream, request)

    def on_half_close(self) -> None:
        """The request is complete; one that never came is the client's mistake."""
        if not self._taken:
            self._stream.fail_with(Code.INTERNAL, NO_REQUEST)

    def on_cancel(self) -> None:
        """The client went away."""
        self._stream.cancelled()

    def on_writable(self) -> None:
        """The client has read most of what waited."""
        if self._wake is not None and self._stream.open:
            self._wake()
