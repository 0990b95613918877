"""Peers built on the `h2` package, and bytes that no peer would send."""

from __future__ import annotations

import h2.config
import h2.connection
import h2.errors
import h2.events
import h2.settings
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from raftkv.transport import frames, hpack
from raftkv.transport.limits import ServerLimits
from raftkv.transport.serving import ServerConnection
from tests.transport.pair import (
    BIDI,
    ECHO,
    KEEP,
    STREAM,
    Host,
    ManualClock,
    Pair,
    RawClient,
    data,
    headers,
    message,
    output,
    parse,
    request,
    unary,
)

FIELDS = [(":method", "POST"), (":scheme", "http"), (":authority", "h2"), ("te", "trailers"), ("content-type", "application/grpc")]


class H2Client:
    """A client whose every byte is checked and made by `h2`; it raises when our server breaks the protocol."""

    def __init__(self, limits: ServerLimits) -> None:
        clock = ManualClock()
        self.host = Host(clock)
        self.server = ServerConnection(self.host.services, limits, clock.time, lambda: None)
        self.h2 = h2.connection.H2Connection(h2.config.H2Configuration(client_side=True, header_encoding="utf-8"))
        self.h2.initiate_connection()
        self._sniffed = False
        self.bodies: dict[int, bytes] = {}
        self.statuses: dict[int, str] = {}
        self.unsent: dict[int, tuple[bytes, bool]] = {}

    def exchange(self) -> None:
        for _ in range(1000):
            up = self.h2.data_to_send()
            if up and not self._sniffed:
                assert up.startswith(frames.PREFACE)
                up, self._sniffed = up[len(frames.PREFACE) :], True
            if up:
                self.server.receive(up)
                self.server.check_invariants()
            down = output(self.server)
            for frame in parse(down):
                # One by one: h2 takes a new frame size into account only from call to call.
                for event in self.h2.receive_data(frames.frame(*frame)):
                    self.on_event(event)
            self.push()
            if not up and not down:
                return
        raise AssertionError("never silent")

    def on_event(self, event: h2.events.Event) -> None:
        if isinstance(event, h2.events.DataReceived):
            self.bodies[event.stream_id] += event.data
        elif isinstance(event, h2.events.TrailersReceived | h2.events.ResponseReceived):
            fields = dict(event.headers)
            if "grpc-status" in fields:
                self.statuses[event.stream_id] = fields["grpc-status"]
        elif isinstance(event, h2.events.ConnectionTerminated):
            raise AssertionError(f"our server ended the connection: {event.error_code} {event.additional_data!r}")

    def call(self, path: str, payload: bytes, *, end: bool) -> int:
        stream_id = self.h2.get_next_available_stream_id()
        self.h2.send_headers(stream_id, [*FIELDS, (":path", path)][:2] + [(":path", path), *FIELDS[2:]])
        self.bodies[stream_id] = b""
        self.unsent[stream_id] = (payload, end)
        return stream_id

    def push(self) -> None:
        """Send as much of the bodies as our server's windows allow."""
        for stream_id, (payload, end) in list(self.unsent.items()):
            room = min(self.h2.local_flow_control_window(stream_id), self.h2.max_outbound_frame_size)
            while payload and room > 0:
                self.h2.send_data(stream_id, payload[:room])
                payload = payload[room:]
                room = min(self.h2.local_flow_control_window(stream_id), self.h2.max_outbound_frame_size)
            self.unsent[stream_id] = (payload, end)
            if not payload:
                del self.unsent[stream_id]
                if end:
                    self.h2.end_stream(stream_id)


@pytest.mark.slow
@given(st.data())
@settings(max_examples=40, derandomize=True, deadline=None)
def test_server_keeps_the_protocol_with_an_h2_client(draw: st.DataObject) -> None:
    """Random calls, windows, settings, pings and resets: h2 finds no fault with us, and every call is answered right."""
    limits = ServerLimits(stream_window_bytes=65_535, connection_window_bytes=100_000, ping_strikes_max=1000)
    client = H2Client(limits)
    client.exchange()
    expected: dict[int, bytes] = {}
    open_ids: list[int] = []
    for _ in range(draw.draw(st.integers(1, 15))):
        act = draw.draw(st.sampled_from(["echo", "bidi", "reset", "ping", "settings", "exchange", "window", "priority"]))
        if act in ("echo", "bidi"):
            body = b"v" * draw.draw(st.sampled_from([0, 1, 100, 16_379, 16_380, 70_000, 150_000]))
            stream_id = client.call(ECHO if act == "echo" else BIDI, message(body), end=True)
            expected[stream_id] = message(body)
            open_ids.append(stream_id)
        elif act == "reset" and open_ids:
            stream_id = open_ids.pop()
            if stream_id not in client.statuses:
                client.unsent.pop(stream_id, None)
                try:
                    client.h2.reset_stream(stream_id, h2.errors.ErrorCodes.CANCEL)
                except h2.exceptions.StreamClosedError:
                    continue
                expected.pop(stream_id)
        elif act == "ping":
            client.h2.ping(b"12345678")
        elif act == "settings":
            client.h2.update_settings(
                {
                    h2.settings.SettingCodes.INITIAL_WINDOW_SIZE: draw.draw(st.integers(0, 100_000)),
                    h2.settings.SettingCodes.MAX_FRAME_SIZE: draw.draw(st.integers(16_384, 50_000)),
                }
            )
        elif act == "window":
            client.h2.increment_flow_control_window(draw.draw(st.integers(1, 50_000)))
        elif act == "priority":
            client.h2.prioritize(client.h2.get_next_available_stream_id() + 2, weight=7)
        else:
            client.exchange()
    client.h2.update_settings({h2.settings.SettingCodes.INITIAL_WINDOW_SIZE: 1 << 24})
    client.h2.increment_flow_control_window(1 << 24)
    client.exchange()
    for stream_id, body in expected.items():
        assert client.bodies[stream_id] == body and client.statuses[stream_id] == "0"
    assert not client.server.streams and not client.server.closing


class H2Server:
    """An echo server on `h2`."""

    def __init__(self, pair: Pair) -> None:
        self.pair = pair
        self.h2 = h2.connection.H2Connection(h2.config.H2Configuration(client_side=False, header_encoding="utf-8"))
        self.h2.initiate_connection()
        self.bodies: dict[int, bytes] = {}
        self.unsent: dict[int, bytes] = {}

    def exchange(self) -> None:
        for _ in range(1000):
            up = output(self.pair.client)
            for event in self.h2.receive_data(up) if up else []:
                if isinstance(event, h2.events.RequestReceived):
                    self.bodies[event.stream_id] = b""
                    self.h2.send_headers(event.stream_id, [(":status", "200"), ("content-type", "application/grpc")])
                elif isinstance(event, h2.events.DataReceived):
                    self.bodies[event.stream_id] += event.data
                    self.h2.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
                elif isinstance(event, h2.events.StreamEnded):
                    self.unsent[event.stream_id] = self.bodies[event.stream_id]
                elif isinstance(event, h2.events.ConnectionTerminated):
                    raise AssertionError(f"our client ended the connection: {event.error_code}")
            self.push()
            down = self.h2.data_to_send()
            if down:
                self.pair.client.receive(down)
                self.pair.client.check_invariants()
            if not up and not down:
                return
        raise AssertionError("never silent")

    def push(self) -> None:
        for stream_id, payload in list(self.unsent.items()):
            while payload:
                room = min(self.h2.local_flow_control_window(stream_id), self.h2.max_outbound_frame_size)
                if room <= 0:
                    break
                self.h2.send_data(stream_id, payload[:room], pad_length=3 if room > 300 and len(payload) < 200 else None)
                payload = payload[room:]
            self.unsent[stream_id] = payload
            if not payload:
                del self.unsent[stream_id]
                self.h2.send_headers(stream_id, [("grpc-status", "0"), ("x-many", "v" * 50)], end_stream=True)


@given(st.lists(st.tuples(st.sampled_from([0, 1, 5000, 16_379, 40_000, 200_000]), st.booleans()), min_size=1, max_size=10))
@settings(max_examples=25, derandomize=True, deadline=None)
def test_client_keeps_the_protocol_with_an_h2_server(calls: list[tuple[int, bool]]) -> None:
    pair = Pair()
    server = H2Server(pair)
    outcomes = []
    for size, wait in calls:
        body = b"v" * size
        outcomes.append((body, pair.call(ECHO, body, metadata=(("k", "v"),), timeout_s=5.0)[1]))
        if wait:
            server.exchange()
    server.exchange()
    assert all(outcome.body == body for body, outcome in outcomes)


def valid_traffic() -> bytes:
    """A bit of everything a client sends."""
    encoder = hpack.Encoder()
    block = encoder.encode([(":method", "POST"), (":scheme", "http"), (":path", KEEP), ("content-type", "application/grpc")])
    return b"".join(
        (
            frames.settings({1: 4096, 3: 100, 4: 70_000, 5: 20_000}),
            frames.window_update(0, 1000),
            headers(1, block),
            data(1, message(b"hello"), end=True),
            unary(3, b"again"),
            headers(5, request(STREAM, grpc_timeout="100m")),
            data(5, message(b"a") + message(b"bb")),
            frames.window_update(5, 77),
            frames.ping(b"12345678", ack=False),
            frames.frame(frames.PRIORITY, 0, 7, b"\0\0\0\5\1"),
            headers(9, request(BIDI)),
            frames.frame(frames.DATA, frames.FLAG_PADDED, 9, b"\x02" + message(b"padded") + b"\0\0"),
            frames.rst_stream(5, 8),
            data(9, b"", end=True),
        )
    )


TRAFFIC = valid_traffic()


@pytest.mark.slow
@given(
    st.lists(
        st.tuples(st.integers(0, len(TRAFFIC) - 1), st.sampled_from(["flip", "set", "cut", "repeat"]), st.integers(0, 255)), max_size=6
    ),
    st.integers(1, 200),
)
@settings(max_examples=300, derandomize=True, deadline=None)
def test_damaged_bytes_never_raise_and_never_break_an_invariant(edits: list[tuple[int, str, int]], piece: int) -> None:
    sent = bytearray(TRAFFIC)
    for at, act, value in edits:
        at %= len(sent)
        if act == "flip":
            sent[at] ^= 1 << value % 8
        elif act == "set":
            sent[at] = value
        elif act == "cut":
            del sent[at : at + value]
        else:
            sent[at:at] = sent[at : at + value]
        if not sent:
            return
    client = RawClient()
    for at in range(0, len(sent), piece):
        client.server.receive(bytes(sent[at : at + piece]))
        client.server.check_invariants()
        client.read()
    for call, body in client.host.kept:
        if not call.cancelled:
            call.reply(body)
    for handler in client.host.handlers:
        assert handler.log.count("cancel") <= 1 and handler.log.count("half-close") <= 1
    client.clock.advance(10)
    client.read()
    assert client.host.errors == []
    client.server.lose(8, "gone")
    assert client.server.sender.unsent_bytes == 0 and client.server.partial_bytes == 0
    assert client.server.unanswered == 0 and client.clock.waiting_count == 0


@given(st.binary(max_size=300), st.integers(1, 50))
@settings(max_examples=200, derandomize=True, deadline=None)
def test_any_bytes_from_a_server_never_raise(noise: bytes, piece: int) -> None:
    pair = Pair()
    outcome = pair.call(ECHO, b"x")[1]
    output(pair.client)
    pair.client.receive(frames.settings({}))
    for at in range(0, len(noise), piece):
        pair.client.receive(noise[at : at + piece])
        pair.client.check_invariants()
        output(pair.client)
    pair.client.lose(8, "gone")
    assert len(outcome.results) == 1 and pair.callback_errors == []


@pytest.mark.parametrize("cut", range(0, len(TRAFFIC), 7))
def test_connection_lost_at_any_byte_leaves_nothing_behind(cut: int) -> None:
    client = RawClient()
    client.send(TRAFFIC[:cut])
    client.server.lose(8, "gone")
    assert client.server.unanswered == 0 and client.server.partial_bytes == 0 and client.clock.waiting_count == 0
    for call, _ in client.host.kept:
        assert call.cancelled
