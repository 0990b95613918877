"""Both halves of a connection in memory, a clock that is moved by hand, and a peer that speaks raw frames."""

from __future__ import annotations

import heapq
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from raftkv.transport import frames, grpc_wire, hpack
from raftkv.transport.call import Kind, Route, ServerCall
from raftkv.transport.client import ClientCall, ClientConnection, RpcError
from raftkv.transport.connection import Connection
from raftkv.transport.limits import ChannelLimits, ServerLimits
from raftkv.transport.plain import PlainRequest
from raftkv.transport.serving import Interceptor, ServerConnection, Services

ECHO, BIDI, KEEP, FAIL = "/t.Svc/Echo", "/t.Svc/Bidi", "/t.Svc/Keep", "/t.Svc/Fail"


class Frame(NamedTuple):
    kind: int
    flags: int
    stream_id: int
    payload: bytes


def parse(data: bytes) -> list[Frame]:
    """All frames of complete output."""
    found, at = [], 0
    while at < len(data):
        word, flags, stream_id = frames.HEAD.unpack_from(data, at)
        end = at + 9 + (word >> 8)
        assert end <= len(data), "output ends inside a frame"
        found.append(Frame(word & 0xFF, flags, stream_id, data[at + 9 : end]))
        at = end
    return found


class ManualClock:
    """Loop time and deadlines without a loop."""

    def __init__(self) -> None:
        self.now_s = 100.0
        self._waiting: list[tuple[float, int, Any]] = []
        self._count = 0

    def time(self) -> float:
        return self.now_s

    def add(self, deadline_s: float, item: Any) -> int:
        self._count += 1
        heapq.heappush(self._waiting, (deadline_s, self._count, item))
        return self._count

    def discard(self, slot: int, item: Any) -> None:
        self._waiting = sorted(entry for entry in self._waiting if entry[1] != slot)

    @property
    def waiting_count(self) -> int:
        return len(self._waiting)

    def advance(self, seconds: float) -> None:
        self.now_s += seconds
        while self._waiting and self._waiting[0][0] <= self.now_s:
            heapq.heappop(self._waiting)[2].on_deadline()


class Handler:
    """Records what it is told; answers only what a test makes it."""

    def __init__(self, call: ServerCall) -> None:
        self.call = call
        self.log: list[Any] = []

    def on_message(self, body: bytes) -> None:
        self.log.append(body)

    def on_half_close(self) -> None:
        self.log.append("half-close")

    def on_cancel(self) -> None:
        self.log.append("cancel")

    def on_writable(self) -> None:
        self.log.append("writable")


class EchoHandler(Handler):
    """Sends back every message and ends with the client."""

    def on_message(self, body: bytes) -> None:
        super().on_message(body)
        self.call.send(body)

    def on_half_close(self) -> None:
        super().on_half_close()
        self.call.finish()


class Host:
    """The services of the tests: an echo, a bidi echo, streams and calls that are kept, and one that raises."""

    def __init__(
        self,
        clock: ManualClock,
        *,
        interceptor: Interceptor | None = None,
        plain: Callable[[PlainRequest], None] | None = None,
        streams: Callable[[ServerCall], Handler] = Handler,
    ) -> None:
        self.kept: list[tuple[ServerCall, bytes]] = []
        self.handlers: list[Handler] = []
        self.errors: list[Exception] = []

        def open_stream(make: Callable[[ServerCall], Handler]) -> Callable[[ServerCall], Handler]:
            def handler(call: ServerCall) -> Handler:
                made = make(call)
                self.handlers.append(made)
                return made

            return handler

        def fail(call: ServerCall, body: bytes) -> None:
            raise RuntimeError("a handler's bug")

        self.services = Services(
            {
                ECHO: Route(Kind.UNARY, lambda call, body: call.reply(body)),
                KEEP: Route(Kind.UNARY, lambda call, body: self.kept.append((call, body))),
                FAIL: Route(Kind.UNARY, fail),
                BIDI: Route(Kind.BIDI, open_stream(EchoHandler)),
                "/t.Svc/Stream": Route(Kind.BIDI, open_stream(streams)),
            },
            clock,
            interceptor=interceptor,
            plain=plain,
            on_handler_error=lambda path, exc: self.errors.append(exc),
        )


STREAM = "/t.Svc/Stream"


def output(connection: Connection) -> bytes:
    """What the I/O half would write, turn after turn, until there is no more."""
    found = b""
    for _ in range(10_000):
        found += b"".join(connection.take())
        connection.check_invariants()
        if not connection.sender.dirty:
            return found
    raise AssertionError("a connection that always has more to write")


class Outcome:
    """A completion that must come exactly once."""

    def __init__(self) -> None:
        self.results: list[tuple[bytes | None, RpcError | None]] = []

    def __call__(self, body: bytes | None, error: RpcError | None) -> None:
        self.results.append((body, error))

    @property
    def body(self) -> bytes:
        ((body, error),) = self.results
        assert error is None and body is not None, error
        return body

    @property
    def error(self) -> RpcError:
        ((_, error),) = self.results
        assert error is not None
        return error


class Pair:
    """A client and a server connection, joined by `exchange`."""

    def __init__(self, limits: ServerLimits | None = None, client_limits: ChannelLimits | None = None, **host: Any) -> None:
        self.clock = ManualClock()
        self.host = Host(self.clock, **host)
        self.server = ServerConnection(self.host.services, limits or ServerLimits(), self.clock.time, lambda: None, peer_address="pair")
        self.callback_errors: list[Exception] = []
        self.client = ClientConnection(
            client_limits or ChannelLimits(),
            self.clock.time,
            lambda: None,
            self.clock,
            authority="pair",
            on_callback_error=self.callback_errors.append,
        )
        self._sniffed = 0
        self.to_server: list[bytes] = []
        self.to_client: list[bytes] = []

    def exchange(self, piece_bytes: int | None = None) -> None:
        """Carry bytes both ways, in pieces of the given size, until both are silent."""
        for _ in range(10_000):
            up, down = output(self.client), output(self.server)
            if not up and not down:
                return
            self.to_server.append(up)
            self.to_client.append(down)
            while up and self._sniffed < len(frames.PREFACE):
                assert up[0] == frames.PREFACE[self._sniffed]
                self._sniffed += 1
                up = up[1:]
            for data, half in ((up, self.server), (down, self.client)):
                for at in range(0, len(data), piece_bytes or max(len(data), 1)):
                    half.receive(data[at : at + (piece_bytes or len(data))])
                    half.check_invariants()
        raise AssertionError("the two never fall silent")

    def call(
        self,
        path: str,
        body: bytes | None = None,
        *,
        metadata: tuple[tuple[str, str], ...] = (),
        timeout_s: float | None = None,
        on_message: Callable[[bytes], None] | None = None,
        bytes_max: int = 1 << 31,
    ) -> tuple[ClientCall, Outcome]:
        """Start a call; with a body it is complete."""
        outcome = Outcome()
        call = ClientCall(self.client, path, metadata, on_message=on_message, on_done=outcome, bytes_max=bytes_max)
        if body is not None:
            call.send(body)
            call.half_close()
        if timeout_s is not None:
            call.arm(self.clock.now_s + timeout_s)
        error = self.client.open(call)
        if error is not None:
            call.refuse(error)
        return call, outcome


REQUEST = (
    (":method", "POST"),
    (":scheme", "http"),
    (":path", ECHO),
    (":authority", "raw"),
    ("te", "trailers"),
    ("content-type", "application/grpc"),
)


def request(path: str = ECHO, **changes: str | None) -> bytes:
    """A header block; `method=None` leaves a pseudo field out, other names are added."""
    pseudo = {"method", "scheme", "path", "authority"}
    changed: dict[str, str | None] = {
        (":" if name in pseudo else "") + name.replace("_", "-"): value for name, value in {"path": path, **changes}.items()
    }
    fields: list[tuple[str, str]] = []
    for name, value in REQUEST:
        given = changed.pop(name, value)
        if given is not None:
            fields.append((name, given))
    fields += [(name, value) for name, value in changed.items() if value is not None]
    return hpack.stateless(fields)


def message(body: bytes, *, compressed: int = 0) -> bytes:
    return grpc_wire.PREFIX.pack(compressed, len(body)) + body


def data(stream_id: int, payload: bytes, *, end: bool = False) -> bytes:
    return frames.frame(frames.DATA, 1 if end else 0, stream_id, payload)


def headers(stream_id: int, block: bytes | None = None, *, end: bool = False) -> bytes:
    return frames.headers(stream_id, request() if block is None else block, end_stream=end)


def unary(stream_id: int, body: bytes = b"x", path: str = ECHO) -> bytes:
    return headers(stream_id, request(path)) + data(stream_id, message(body), end=True)


class RawClient:
    """A peer that sends whatever frames a test wants, to a server connection, and reads what comes back."""

    def __init__(self, limits: ServerLimits | None = None, *, settings: Mapping[int, int] | None = None, **host: Any) -> None:
        self.clock = ManualClock()
        self.host = Host(self.clock, **host)
        self.server = ServerConnection(self.host.services, limits or ServerLimits(), self.clock.time, lambda: None)
        self._decoder = hpack.Decoder(list_bytes_max=1 << 20)
        self.greeting = self.send(frames.settings(dict(settings or {})))

    def send(self, *parts: bytes) -> list[Frame]:
        """Send, and return all frames that come back."""
        self.server.receive(b"".join(parts))
        self.server.check_invariants()
        return self.read()

    def read(self) -> list[Frame]:
        return parse(output(self.server))

    def fields(self, frame: Frame) -> dict[str, str]:
        """A HEADERS frame's fields; each must be decoded once, in order."""
        assert frame.kind == frames.HEADERS
        return dict(self._decoder.decode(frame.payload))

    def status(self, got: Sequence[Frame], stream_id: int = 1) -> tuple[str, str]:
        """(grpc-status, grpc-message) of a stream's trailers."""
        fields: dict[str, str] = {}
        for frame in got:
            if frame.kind == frames.HEADERS:
                decoded = self.fields(frame)
                if frame.stream_id == stream_id:
                    fields |= decoded
        return fields["grpc-status"], grpc_wire.decode_message(fields.get("grpc-message", ""))


def goaway_of(got: Sequence[Frame]) -> tuple[frames.ErrorCode, str]:
    """Code and text of the GOAWAY that must be the last frame."""
    assert got and got[-1].kind == frames.GOAWAY, got[-5:]
    _, code, text = frames.parse_goaway(got[-1].payload)
    return frames.ErrorCode(code), text


def resets_of(got: Sequence[Frame]) -> dict[int, frames.ErrorCode]:
    """Stream → code of every RST_STREAM."""
    return {frame.stream_id: frames.ErrorCode(frames.U32.unpack(frame.payload)[0]) for frame in got if frame.kind == frames.RST_STREAM}
