"""The rules of RFC 9113 that end a stream or a connection, one row each, and the control frames that are answered."""

from __future__ import annotations

import struct

import pytest

from raftkv.transport import frames, hpack
from raftkv.transport.frames import ErrorCode
from raftkv.transport.limits import ServerLimits
from tests.transport.pair import (
    BIDI,
    KEEP,
    STREAM,
    Pair,
    RawClient,
    data,
    goaway_of,
    headers,
    message,
    output,
    parse,
    request,
    resets_of,
    unary,
)

E = ErrorCode


def raw(length: int, kind: int, flags: int, stream_id: int, payload: bytes = b"") -> bytes:
    """A frame whose head says whatever it says."""
    return struct.pack(">IBI", length << 8 | kind, flags, stream_id) + payload


CONNECTION_FAULTS = {
    "a frame above 16384 bytes": (raw(16385, 0, 0, 1), E.FRAME_SIZE_ERROR),
    "an unknown frame above 16384 bytes": (raw(1 << 23, 99, 0, 1), E.FRAME_SIZE_ERROR),
    "DATA on stream 0": (data(0, b"x"), E.PROTOCOL_ERROR),
    "DATA on an idle stream": (data(1, b"x"), E.PROTOCOL_ERROR),
    "DATA on a stream of ours": (data(2, b"x"), E.PROTOCOL_ERROR),
    "DATA with too much padding": (headers(1) + raw(2, 0, 8, 1, b"\x02x"), E.PROTOCOL_ERROR),
    "DATA padded without a length": (headers(1) + raw(0, 0, 8, 1), E.FRAME_SIZE_ERROR),
    "HEADERS on stream 0": (headers(0), E.PROTOCOL_ERROR),
    "HEADERS with an even id": (headers(2), E.PROTOCOL_ERROR),
    "HEADERS with a lower id": (unary(5) + headers(3), E.STREAM_CLOSED),
    "HEADERS on a closed stream": (unary(1) + headers(1), E.STREAM_CLOSED),
    "HEADERS with too much padding": (raw(2, 1, 0xC, 1, b"\x05x"), E.PROTOCOL_ERROR),
    "HEADERS too short for its priority": (raw(4, 1, 0x24, 1, b"\0\0\0\0"), E.FRAME_SIZE_ERROR),
    "HEADERS depending on itself": (raw(5, 1, 0x24, 1, b"\0\0\0\1\0"), E.PROTOCOL_ERROR),
    "HEADERS that do not decode": (headers(1, b"\x80"), E.COMPRESSION_ERROR),
    "a frame inside a header block": (raw(0, 1, 0, 1) + frames.ping(b"12345678", ack=False), E.PROTOCOL_ERROR),
    "CONTINUATION of another stream": (raw(0, 1, 0, 1) + raw(0, 9, 4, 3), E.PROTOCOL_ERROR),
    "CONTINUATION of nothing": (raw(0, 9, 4, 1), E.PROTOCOL_ERROR),
    "PRIORITY on stream 0": (raw(5, 2, 0, 0, b"\0" * 5), E.PROTOCOL_ERROR),
    "PRIORITY of a wrong size": (raw(4, 2, 0, 1, b"\0" * 4), E.FRAME_SIZE_ERROR),
    "RST_STREAM on stream 0": (frames.rst_stream(0, 8), E.PROTOCOL_ERROR),
    "RST_STREAM on an idle stream": (frames.rst_stream(1, 8), E.PROTOCOL_ERROR),
    "RST_STREAM of a wrong size": (headers(1) + raw(3, 3, 0, 1, b"\0" * 3), E.FRAME_SIZE_ERROR),
    "SETTINGS on a stream": (raw(0, 4, 0, 1), E.PROTOCOL_ERROR),
    "SETTINGS of a wrong size": (raw(5, 4, 0, 0, b"\0" * 5), E.FRAME_SIZE_ERROR),
    "SETTINGS acknowledgement with a payload": (raw(6, 4, 1, 0, b"\0" * 6), E.FRAME_SIZE_ERROR),
    "a window above 2^31-1": (frames.settings({frames.INITIAL_WINDOW_SIZE: 1 << 31}), E.FLOW_CONTROL_ERROR),
    "a frame size too small": (frames.settings({frames.MAX_FRAME_SIZE: 16383}), E.PROTOCOL_ERROR),
    "a frame size too large": (frames.settings({frames.MAX_FRAME_SIZE: 1 << 24}), E.PROTOCOL_ERROR),
    "push neither on nor off": (frames.settings({frames.ENABLE_PUSH: 2}), E.PROTOCOL_ERROR),
    "PUSH_PROMISE": (raw(4, 5, 4, 1, b"\0\0\0\2"), E.PROTOCOL_ERROR),
    "PING on a stream": (raw(8, 6, 0, 1, b"\0" * 8), E.PROTOCOL_ERROR),
    "PING of a wrong size": (raw(7, 6, 0, 0, b"\0" * 7), E.FRAME_SIZE_ERROR),
    "GOAWAY on a stream": (raw(8, 7, 0, 1, b"\0" * 8), E.PROTOCOL_ERROR),
    "GOAWAY too short": (raw(7, 7, 0, 0, b"\0" * 7), E.FRAME_SIZE_ERROR),
    "WINDOW_UPDATE of a wrong size": (raw(3, 8, 0, 0, b"\0" * 3), E.FRAME_SIZE_ERROR),
    "WINDOW_UPDATE of 0": (frames.window_update(0, 0), E.PROTOCOL_ERROR),
    "WINDOW_UPDATE on an idle stream": (frames.window_update(1, 1), E.PROTOCOL_ERROR),
    "the connection's window above 2^31-1": (frames.window_update(0, frames.WINDOW_MAX), E.FLOW_CONTROL_ERROR),
    "SETTINGS that lift a stream's window above 2^31-1": (
        headers(1) + frames.window_update(1, 1 << 30) + frames.settings({frames.INITIAL_WINDOW_SIZE: 1 << 30}),
        E.FLOW_CONTROL_ERROR,
    ),
}


@pytest.mark.parametrize("name", CONNECTION_FAULTS)
def test_connection_fault_is_a_goaway_with_its_code(name: str) -> None:
    """RFC 9113 §5.4.1; afterwards nothing is looked at, and every call has been told."""
    sent, code = CONNECTION_FAULTS[name]
    client = RawClient()
    client.send(headers(101, request(STREAM))) if name.startswith("WINDOW_UPDATE of 0") else None
    got = client.send(sent)
    assert goaway_of(got)[0] is code
    assert client.server.closing and not client.server.streams
    assert client.send(frames.ping(b"12345678", ack=False)) == []


STREAM_FAULTS = {
    "DATA after END_STREAM": (headers(1, request(KEEP), end=False) + data(1, message(b"x"), end=True) + data(1, b"x"), E.STREAM_CLOSED),
    "HEADERS after END_STREAM": (headers(1, request(KEEP)) + data(1, message(b"x"), end=True) + headers(1, end=True), E.STREAM_CLOSED),
    "trailers without END_STREAM": (headers(1) + headers(1), E.PROTOCOL_ERROR),
    "WINDOW_UPDATE of 0": (headers(1) + frames.window_update(1, 0), E.PROTOCOL_ERROR),
    "the stream's window above 2^31-1": (headers(1) + frames.window_update(1, frames.WINDOW_MAX), E.FLOW_CONTROL_ERROR),
    "no path": (headers(1, hpack.stateless([(":method", "POST"), (":scheme", "http")])), E.PROTOCOL_ERROR),
    "no method": (headers(1, request(method=None)), E.PROTOCOL_ERROR),
    "no scheme": (headers(1, request(scheme=None)), E.PROTOCOL_ERROR),
    "an empty path": (headers(1, request(path="")), E.PROTOCOL_ERROR),
    "a pseudo field of answers": (headers(1, hpack.literal(":status", "200") + request()), E.PROTOCOL_ERROR),
    "a pseudo field twice": (headers(1, hpack.literal(":path", "/a") + request()), E.PROTOCOL_ERROR),
    "a pseudo field behind others": (headers(1, request() + hpack.literal(":method", "POST")), E.PROTOCOL_ERROR),
    "an upper-case name": (headers(1, request() + hpack.literal("X-Upper", "1")), E.PROTOCOL_ERROR),
    "a connection field": (headers(1, request() + hpack.literal("connection", "close")), E.PROTOCOL_ERROR),
    "te other than trailers": (headers(1, request(te="gzip")), E.PROTOCOL_ERROR),
    "a line break in a value": (headers(1, request() + hpack.literal("x", "a\r\nb: c")), E.PROTOCOL_ERROR),
    "an empty name": (headers(1, request() + hpack.literal("", "1")), E.PROTOCOL_ERROR),
}


@pytest.mark.parametrize("name", STREAM_FAULTS)
def test_stream_fault_resets_the_stream_alone(name: str) -> None:
    """RFC 9113 §5.4.2, §8.1.1; the connection goes on."""
    sent, code = STREAM_FAULTS[name]
    client = RawClient()
    assert resets_of(client.send(sent)) == {1: code}
    assert not client.server.streams
    got = client.send(unary(3))
    assert [frame.kind for frame in got] == [frames.HEADERS, frames.DATA, frames.HEADERS]


@pytest.mark.parametrize("first", [frames.ping(b"12345678", ack=False), frames.SETTINGS_ACK, headers(1), raw(0, 200, 0, 0)])
def test_first_frame_must_be_settings(first: bytes) -> None:
    """RFC 9113 §3.4."""
    pair = Pair()
    output(pair.server)
    pair.server.receive(first)
    assert goaway_of(parse(output(pair.server)))[0] is E.PROTOCOL_ERROR


def test_greeting_announces_windows_and_limits() -> None:
    client = RawClient(ServerLimits(max_concurrent_streams=7, stream_window_bytes=100_000, connection_window_bytes=300_000))
    settings, window, ack = client.greeting
    assert dict(frames.parse_settings(settings.payload)) == {
        frames.INITIAL_WINDOW_SIZE: 100_000,
        frames.MAX_HEADER_LIST_SIZE: ServerLimits().header_list_bytes_max,
        frames.MAX_CONCURRENT_STREAMS: 7,
    }
    assert (window.kind, window.stream_id, frames.U32.unpack(window.payload)[0]) == (frames.WINDOW_UPDATE, 0, 300_000 - 65_535)
    assert (ack.kind, ack.flags) == (frames.SETTINGS, frames.FLAG_ACK)


def test_ping_is_answered_with_its_data() -> None:
    got = RawClient().send(frames.ping(b"abcdefgh", ack=False))
    assert got == [(frames.PING, frames.FLAG_ACK, 0, b"abcdefgh")]


def test_priority_unknown_frames_and_flags_are_ignored() -> None:
    client = RawClient()
    got = client.send(raw(5, 2, 0, 3, b"\0\0\0\1\7"), raw(3, 77, 0xFF, 9, b"abc"), frames.settings({0x99: 5}))
    assert [frame.kind for frame in got] == [frames.SETTINGS]
    block = request()
    padded = raw(len(block) + 10, 1, 0x2C, 1, b"\x04" + b"\0\0\0\0\x10" + block + b"\0" * 4)
    body = message(b"padded")
    got = client.send(padded, raw(len(body) + 4, 0, 9, 1, b"\x03" + body + b"\0" * 3))
    assert [frame.payload for frame in got if frame.kind == frames.DATA] == [body]


def test_continuation_puts_the_block_together() -> None:
    client = RawClient()
    block = request()
    parts = [block[at : at + 9] for at in range(0, len(block), 9)]
    sent = raw(len(parts[0]), 1, 0, 1, parts[0]) + b"".join(raw(len(part), 9, 0, 1, part) for part in parts[1:])
    assert client.send(sent, raw(0, 9, 4, 1)) == []
    assert client.send(data(1, message(b"x"), end=True))[1].payload == message(b"x")


def test_reserved_bit_of_the_stream_id_is_ignored() -> None:
    block = request()
    got = RawClient().send(raw(len(block), 1, 4, 1 | 1 << 31, block), raw(6, 0, 1, 1 | 1 << 31, message(b"x")))
    assert [frame.stream_id for frame in got] == [1, 1, 1]


def test_frames_on_a_stream_we_reset_are_ignored() -> None:
    """The peer may not have seen the reset yet (RFC 9113 §5.1, closed)."""
    client = RawClient(ServerLimits(max_concurrent_streams=1))
    client.send(headers(1, request(STREAM)))
    assert resets_of(client.send(headers(3))) == {3: E.REFUSED_STREAM}
    assert client.send(data(3, message(b"x"), end=True), frames.window_update(3, 10), frames.rst_stream(3, 8)) == []


def test_receive_windows_are_renewed_at_half() -> None:
    client = RawClient(ServerLimits(stream_window_bytes=65_535, connection_window_bytes=65_535))
    client.send(headers(1, request(STREAM)))
    chunk = message(b"v" * 16_000)
    got = []
    for _ in range(30):
        got += client.send(data(1, chunk))
    renewed = dict.fromkeys((0, 1), 0)
    for frame in got:
        assert frame.kind == frames.WINDOW_UPDATE
        renewed[frame.stream_id] += frames.U32.unpack(frame.payload)[0]
    for total in renewed.values():
        assert 30 * len(chunk) - 32_768 <= total <= 30 * len(chunk)
    assert len(got) <= 2 * 15


def test_paused_stream_renews_nothing_until_it_is_resumed() -> None:
    client = RawClient(ServerLimits(stream_window_bytes=65_535))
    client.send(headers(1, request(STREAM)))
    call = client.host.handlers[0].call
    call.pause()
    assert client.send(*[data(1, message(b"v" * 16_000))] * 4) == []
    assert resets_of(client.send(data(1, b"v" * 2000))) == {1: E.FLOW_CONTROL_ERROR}
    client.send(headers(3, request(STREAM)))
    call = client.host.handlers[1].call
    call.pause()
    client.send(*[data(3, message(b"v" * 16_000))] * 4)
    call.resume()
    assert [(frame.kind, frame.stream_id) for frame in client.read()] == [(frames.WINDOW_UPDATE, 3)]


def test_connection_window_exceeded_is_a_flow_control_error() -> None:
    """Cannot happen with frames of 16384 bytes unless renewal failed; the account is checked all the same."""
    client = RawClient(ServerLimits(connection_window_bytes=65_535))
    client.send(headers(1, request(STREAM)))
    client.server._left = 10
    assert goaway_of(client.send(data(1, b"v" * 11)))[0] is E.FLOW_CONTROL_ERROR


@pytest.mark.parametrize("size", range(1, 30))
def test_pair_bytes_split_anywhere_give_the_same_calls(size: int) -> None:
    """Every boundary of every frame kind the two halves use."""
    pair = Pair()
    outcomes = [pair.call("/t.Svc/Echo", b"%d" % n * 50, timeout_s=n + 1.0)[1] for n in range(3)]
    got: list[bytes] = []
    stream, streamed = pair.call(BIDI, metadata=(("x-a", "1"),), on_message=got.append)
    for n in range(3):
        stream.send(b"m%d" % n)
    stream.half_close()
    unknown = pair.call("/t.Svc/None", b"")[1]
    pair.exchange(size)
    assert [outcome.body for outcome in outcomes] == [b"0" * 50, b"1" * 50, b"2" * 50]
    assert got == [b"m0", b"m1", b"m2"] and streamed.results == [(None, None)]
    assert unknown.error.code == 12
    assert not pair.server.streams and not pair.client.streams and pair.clock.waiting_count == 0


def test_connection_end_tells_every_stream_once() -> None:
    client = RawClient()
    client.send(headers(1, request(STREAM)), headers(3, request(KEEP)), data(3, message(b"x"), end=True))
    client.server.lose(E.CANCEL, "gone")
    client.server.lose(E.CANCEL, "gone")
    assert client.host.handlers[0].log == ["cancel"]
    call, _ = client.host.kept[0]
    assert call.cancelled
    call.reply(b"too late")
    assert output(client.server) == b"" and client.host.errors == []
