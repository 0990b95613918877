"""One gRPC method as served: admits, decodes, counts and answers, so that a service is left with its own subject.

Owns the counters behind the grpc_server_* metrics and the boundary at which an exception becomes a status; refuses to
know any message. Hot path (every put passes `UnaryMethod.handle` and `_done`): per call one partial object, no closure,
no task, no timer.
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
from raftkv.rpc.status import Code, status_of
from raftkv.server.api import Done, MemberApi, Result

_log = logging.getLogger("raftkv.rpc")

M = TypeVar("M", bound=Message)

MALFORMED_UNARY = "grpc: error unmarshalling request: proto: cannot parse invalid wire-format data"
MALFORMED_STREAM = "grpc: failed to unmarshal the received message: proto: cannot parse invalid wire-format data"
"""grpc-go's texts."""

GO_CODES = {
    Code.OK: "OK",
    Code.CANCELLED: "Canceled",
    Code.UNKNOWN: "Unknown",
    Code.INVALID_ARGUMENT: "InvalidArgument",
    Code.DEADLINE_EXCEEDED: "DeadlineExceeded",
    Code.NOT_FOUND: "NotFound",
    Code.ALREADY_EXISTS: "AlreadyExists",
    Code.PERMISSION_DENIED: "PermissionDenied",
    Code.RESOURCE_EXHAUSTED: "ResourceExhausted",
    Code.FAILED_PRECONDITION: "FailedPrecondition",
    Code.ABORTED: "Aborted",
    Code.OUT_OF_RANGE: "OutOfRange",
    Code.UNIMPLEMENTED: "Unimplemented",
    Code.INTERNAL: "Internal",
    Code.UNAVAILABLE: "Unavailable",
    Code.DATA_LOSS: "DataLoss",
    Code.UNAUTHENTICATED: "Unauthenticated",
}
"""The label values of grpc_code."""


class Counters:
    """What one method has done. `handled` is by code; of a unary method `received` is `started` and `sent` is handled[OK]."""

    __slots__ = ("handled", "kind", "method", "received", "sent", "service", "started")

    def __init__(self, service: str, method: str, kind: str) -> None:
        self.service = service
        self.method = method
        self.kind = kind
        self.started = 0
        self.received = 0
        self.sent = 0
        self.handled = [0] * len(Code)


class Calls:
    """What all methods of one member share: the guard, the leader monitor, the counters and the place for our own bugs."""

    def __init__(self, api: MemberApi, metrics: Metrics, guard: Guard, monitor: LeaderMonitor) -> None:
        self.api = api
        self.guard = guard
        self.monitor = monitor
        self._metrics = metrics
        self._counters: list[Counters] = []
        metrics.collect_with(self._collect)

    def counters(self, path: str, kind: str) -> Counters:
        """Counters of a new method; its series exist from now on. `path` is /service/method."""
        _, service, method = path.split("/")
        counters = Counters(service, method, kind)
        self._counters.append(counters)
        return counters

    def status_of(self, error: BaseException) -> tuple[Code, str]:
        """The status of an error; one that is a bug of ours is logged and counted here."""
        code, text = status_of(error)
        if not isinstance(error, RaftKVError):
            self._metrics.internal_errors.value += 1
            _log.error("a call ended by a bug", exc_info=error)
            code = Code.INTERNAL
        return code, text

    def _collect(self) -> None:
        started = self._metrics.family("grpc_server_started_total")
        received = self._metrics.family("grpc_server_msg_received_total")
        sent = self._metrics.family("grpc_server_msg_sent_total")
        handled = self._metrics.family("grpc_server_handled_total")
        for one in self._counters:
            labels = (one.kind, one.service, one.method)
            started.number(*labels).value = one.started
            received.number(*labels).value = one.received if one.kind != "unary" else one.started
            sent.number(*labels).value = one.sent if one.kind != "unary" else one.handled[Code.OK]
            for code, name in GO_CODES.items():
                handled.number(*labels, name).value = one.handled[code]


class UnaryMethod(Generic[M]):
    """A method of one request and one answer: decodes `message`, has `serve` answer, adds the header."""

    __slots__ = ("_admit", "_calls", "_counters", "_decode", "_finish", "_handled", "_header", "_serve")

    def __init__(
        self,
        calls: Calls,
        counters: Counters,
        message: type[M],
        serve: Callable[[bytes, M, Done], None],
        *,
        with_header: bool = True,
    ) -> None:
        """`serve(raw, request, done)` has MemberApi's contract for done. Without header the result's revision is not used."""
        self._calls = calls
        self._counters = counters
        self._handled = counters.handled
        self._admit = calls.guard.admit_unary
        self._decode = message.FromString
        self._serve = serve
        self._header = calls.api.header if with_header else _no_header
        self._finish = self._done

    def handle(self, call: Call, body: bytes) -> None:
        """The transport's handler of the method."""
        self._counters.started += 1
        refusal = self._admit(call.metadata)
        if refusal is not None:
            self._fail(call, refusal)
            return
        try:
            request = self._decode(body)
        except DecodeError:
            self._handled[Code.INTERNAL] += 1
            call.fail(Code.INTERNAL, MALFORMED_UNARY)
            return
        try:
            self._serve(body, request, partial(self._finish, call))
        except Exception as error:  # the boundary of the call; status_of() logs what is not ours
            self._fail(call, error)

    def _done(self, call: Call, result: Result | None, error: Exception | None) -> None:
        if call.cancelled:
            self._handled[Code.CANCELLED] += 1
        elif result is not None:
            self._handled[0] += 1
            call.reply(self._header(result[0]) + result[1])
        else:
            assert error is not None
            self._fail(call, error)

    def _fail(self, call: Call, error: BaseException) -> None:
        code, text = self._calls.status_of(error)
        self._handled[code] += 1
        call.fail(code, text)


def _no_header(revision: int) -> bytes:
    return b""


class Stream:
    """One streaming call: counts, ends once, and tells its owner that it ended, however it did.

    Invariants: 1. `on_end` runs exactly once. 2. After it nothing is sent. 3. The leader monitor holds only open streams.
    """

    __slots__ = ("_call", "_calls", "_counters", "_guarded_end", "_on_end", "open")

    def __init__(self, calls: Calls, counters: Counters, call: Call) -> None:
        self._calls = calls
        self._counters = counters
        self._call = call
        self._on_end: Callable[[], None] | None = None
        self._guarded_end: Callable[[RaftKVError], None] | None = None
        self.open = True
        counters.started += 1
        require_leader, refusal = calls.guard.admit_stream(call.metadata)
        if refusal is not None:
            self.fail(refusal)
        elif require_leader:
            self._guarded_end = self.fail
            calls.monitor.add(self._guarded_end)

    @property
    def unsent_bytes(self) -> int:
        """See Call."""
        return self._call.unsent_bytes

    def when_ended(self, on_end: Callable[[], None]) -> None:
        """Sets what releases the owner's side; at most one."""
        assert self._on_end is None
        self._on_end = on_end

    def decode(self, message: type[M], body: bytes) -> M | None:
        """One received message; None when it ended the stream because it is malformed, or came after the end."""
        if not self.open:
            return None
        self._counters.received += 1
        try:
            return message.FromString(body)
        except DecodeError:
            self.fail_with(Code.INTERNAL, MALFORMED_STREAM)
            return None

    def send(self, body: bytes) -> None:
        """One message; dropped after the end."""
        if self.open:
            self._counters.sent += 1
            self._call.send(body)

    def finish(self) -> None:
        """Ends with status OK."""
        if self.open:
            self._end(Code.OK)
            self._call.finish()

    def fail(self, error: BaseException) -> None:
        """Ends with the error's status."""
        self.fail_with(*self._calls.status_of(error))

    def fail_with(self, code: Code, text: str) -> None:
        """Ends with a status that is no error class of ours."""
        if self.open:
            self._end(code)
            self._call.fail(code, text)

    def cancelled(self) -> None:
        """The client went away."""
        if self.open:
            self._end(Code.CANCELLED)

    def _end(self, code: Code) -> None:
        self.open = False
        self._counters.handled[code] += 1
        if self._guarded_end is not None:
            self._calls.monitor.discard(self._guarded_end)
        on_end, self._on_end = self._on_end, None
        if on_end is not None:
            on_end()
