"""Peers that attack: each has a bound, and the right way to end it."""

from __future__ import annotations

import struct

import pytest

from raftkv.transport import frames, hpack
from raftkv.transport.connection import RESET_MEMORY_COUNT, WINDOW_UPDATES_FREE
from raftkv.transport.frames import ErrorCode
from raftkv.transport.limits import ServerLimits, TokenBucket
from raftkv.transport.serving import HEADS_MAX
from tests.transport.pair import KEEP, STREAM, ManualClock, RawClient, data, goaway_of, headers, message, request, resets_of, unary

CALM = ErrorCode.ENHANCE_YOUR_CALM
LIMITS = ServerLimits(glitch_burst=100, glitches_per_s=10.0, reset_burst=50, resets_per_s=10.0, max_concurrent_streams=100)


def rounds_until_goaway(client: RawClient, flood, bound: int) -> int:
    """How many rounds of the flood the server took; fails when it took more than `bound`."""
    for count in range(bound + 1):
        got = client.send(flood(count))
        if client.server.closing:
            assert goaway_of(got)[0] is CALM
            return count
    raise AssertionError(f"the server took {bound} rounds")


def open_stream(client: RawClient, stream_id: int = 1) -> None:
    client.send(headers(stream_id, request(STREAM)))


FLOODS = {
    "SETTINGS": (lambda n: frames.settings({}), 11),
    "SETTINGS acknowledgements": (lambda n: frames.SETTINGS_ACK, 11),
    "PRIORITY": (lambda n: frames.frame(frames.PRIORITY, 0, 2 * n + 1, b"\0" * 5), 101),
    "frames of unknown types": (lambda n: frames.frame(200, 0, 0, b""), 101),
    "empty DATA": (lambda n: data(1, b""), 101),
    "DATA of padding alone": (lambda n: frames.frame(frames.DATA, frames.FLAG_PADDED, 1, b"\x05" + b"\0" * 5), 101),
    "PING acknowledgements": (lambda n: frames.ping(b"12345678", ack=True), 101),
    "GOAWAY": (lambda n: frames.goaway(0, 0, ""), 101),
    "PING": (lambda n: frames.ping(b"12345678", ack=False), 5),
    "WINDOW_UPDATE": (lambda n: frames.window_update(1, 1) * 100, WINDOW_UPDATES_FREE // 100 + 3),
}


@pytest.mark.parametrize("name", FLOODS)
def test_flood_without_progress_ends_the_connection(name: str) -> None:
    """CVE-2019-9512 to 9518: what costs a peer nothing must not cost us more."""
    flood, bound = FLOODS[name]
    client = RawClient(LIMITS)
    open_stream(client)
    rounds_until_goaway(client, flood, bound)
    assert client.host.handlers[0].log == ["cancel"]


@pytest.mark.parametrize("name", set(FLOODS) - {"PING", "WINDOW_UPDATE", "SETTINGS", "SETTINGS acknowledgements"})
def test_same_frames_at_a_modest_rate_are_fine(name: str) -> None:
    flood, _ = FLOODS[name]
    client = RawClient(LIMITS)
    open_stream(client)
    for count in range(500):
        client.clock.advance(0.11)
        client.send(flood(count))
    assert not client.server.closing


def test_rapid_reset_ends_the_connection() -> None:
    """CVE-2023-44487: opening and cancelling keeps under the stream limit and still makes work."""
    client = RawClient(LIMITS)
    count = rounds_until_goaway(client, lambda n: headers(2 * n + 1, request(STREAM)) + frames.rst_stream(2 * n + 1, 8), 51)
    assert count >= 50 and all(handler.log == ["cancel"] for handler in client.host.handlers)


def test_resets_made_by_us_on_request_count_as_the_peers() -> None:
    """The same attack through faults that make the server send the RST_STREAM ("MadeYouReset")."""
    client = RawClient(LIMITS)
    rounds_until_goaway(client, lambda n: headers(2 * n + 1, request(STREAM)) + frames.window_update(2 * n + 1, 0), 51)


def test_streams_beyond_the_limit_are_refused_and_the_flood_of_them_ends() -> None:
    client = RawClient(LIMITS)
    for n in range(100):
        open_stream(client, 2 * n + 1)
    assert resets_of(client.send(headers(201, request(STREAM)))) == {201: ErrorCode.REFUSED_STREAM}
    assert len(client.server.streams) == 100
    rounds_until_goaway(client, lambda n: headers(2 * n + 203, request(STREAM)), 51)


def test_malformed_requests_in_a_flood_end_the_connection() -> None:
    client = RawClient(LIMITS)
    rounds_until_goaway(client, lambda n: headers(2 * n + 1, request(method=None)), 51)


def test_continuation_flood_ends_by_count_and_by_size() -> None:
    """CVE-2024-27316 and its kin: a header block without an end."""
    begin = frames.frame(frames.HEADERS, 0, 1, b"")
    client = RawClient(ServerLimits())
    got = client.send(begin, *[frames.frame(frames.CONTINUATION, 0, 1, b"")] * 17)
    assert goaway_of(got)[0] is CALM
    client = RawClient(ServerLimits())
    got = client.send(begin, *[frames.frame(frames.CONTINUATION, 0, 1, b"x" * 16_000)] * 3)
    assert goaway_of(got)[0] is CALM


def test_header_bomb_resets_its_stream_and_leaves_the_table_right() -> None:
    """Small on the wire, huge when decoded: the list is cut, the connection's compression state is not lost."""
    client, encoder = RawClient(ServerLimits(header_list_bytes_max=4096)), hpack.Encoder()
    fields = [(":method", "POST"), (":scheme", "http"), (":path", KEEP), ("content-type", "application/grpc"), ("x-big", "v" * 1000)]
    got = client.send(headers(1, encoder.encode(fields) + encoder.encode([fields[-1]] * 2000)))
    assert resets_of(got) == {1: CALM}
    client.send(headers(3, encoder.encode(fields)), data(3, message(b"x"), end=True))
    assert client.host.kept[0][0].metadata == {"x-big": "v" * 1000}


def test_announced_header_table_is_never_exceeded() -> None:
    client, encoder = RawClient(), hpack.Encoder()
    for n in range(500):
        block = encoder.encode([*[tuple(field) for field in REQUEST_FIELDS], (f"x-{n}", "v" * 100)])
        client.send(headers(2 * n + 1, block), data(2 * n + 1, message(b"x"), end=True))
        client.server.decoder.check_invariants()
    assert len(client.server._heads) <= HEADS_MAX and len(client.server._blocks) <= HEADS_MAX
    assert len(client.host.kept) == 500


REQUEST_FIELDS = [(":method", "POST"), (":scheme", "http"), (":path", KEEP), ("content-type", "application/grpc")]


def test_window_of_zero_costs_a_bounded_amount() -> None:
    """The client asks for much and opens no window: it is served up to `unsent_bytes_max`, the rest waits unserved."""
    client = RawClient(ServerLimits(unsent_bytes_max=100_000, queued_calls_max=50), settings={frames.INITIAL_WINDOW_SIZE: 0})
    for n in range(500):
        client.send(unary(2 * n + 1, path=KEEP))
        if len(client.host.kept) > n:
            client.host.kept[n][0].reply(b"v" * 10_000)
    assert client.server.sender.unsent_bytes <= 120_000 and len(client.host.kept) <= 12
    client.server.lose(ErrorCode.CANCEL, "gone")
    assert client.server.sender.unsent_bytes == 0 and client.server.partial_bytes == 0 and not client.server.held


def test_incomplete_messages_are_bounded_over_all_streams() -> None:
    client = RawClient(ServerLimits(partial_bytes_max=10_000))
    ended = []
    for n in range(30):
        got = client.send(headers(2 * n + 1), data(2 * n + 1, message(b"v" * 2000)[:1000]))
        ended += [client.status(got, 2 * n + 1)] if got else []
        assert client.server.partial_bytes <= 10_000
    assert set(ended) == {("8", "grpc: too many incomplete messages on this connection")} and len(ended) == 20


def test_announced_message_length_reserves_nothing() -> None:
    """Four gigabytes are announced in five bytes; only what arrives is held."""
    client = RawClient()
    got = client.send(headers(1), data(1, b"\0\xff\xff\xff\xff"))
    assert client.status(got)[0] == "8" and client.server.partial_bytes == 0


def test_frames_for_streams_long_closed_are_a_flood() -> None:
    client = RawClient(LIMITS)
    client.send(unary(1))
    rounds_until_goaway(client, lambda n: data(1, b"") * 10 if n else data(1, b"x"), 30)


def test_memory_of_resets_is_bounded() -> None:
    client = RawClient(ServerLimits(reset_burst=10_000, max_concurrent_streams=1))
    open_stream(client)
    for n in range(RESET_MEMORY_COUNT + 200):
        client.send(headers(2 * n + 3, request(STREAM)))
    assert len(client.server._our_resets) == RESET_MEMORY_COUNT


def test_pings_are_free_after_something_was_sent() -> None:
    """Stock clients measure bandwidth with a ping per round trip; only pings into silence are strikes."""
    client = RawClient()
    for n in range(50):
        client.send(unary(2 * n + 1), frames.ping(b"12345678", ack=False))
    assert not client.server.closing
    got = [client.send(frames.ping(b"12345678", ack=False)) for _ in range(5)]
    assert goaway_of([frame for frames_ in got for frame in frames_]) == (CALM, "too_many_pings")


def test_pings_at_the_allowed_interval_are_never_strikes() -> None:
    client = RawClient()
    open_stream(client)
    for _ in range(50):
        client.clock.advance(5.01)
        client.send(frames.ping(b"12345678", ack=False))
    assert not client.server.closing


def test_pings_without_a_stream_must_be_rare_unless_allowed() -> None:
    for allowed in (False, True):
        client = RawClient(ServerLimits(ping_without_stream=allowed))
        for _ in range(10):
            client.clock.advance(5.01)
            client.send(frames.ping(b"12345678", ack=False))
        assert client.server.closing is not allowed


def test_garbage_after_the_settings_ends_the_connection() -> None:
    client = RawClient()
    assert goaway_of(client.send(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n"))[0] is ErrorCode.FRAME_SIZE_ERROR


def test_half_a_frame_is_held_and_nothing_more() -> None:
    client = RawClient()
    client.send(struct.pack(">IBI", 16_384 << 8, 0, 1) + b"x" * 100)
    assert len(client.server._tail) == 109 and not client.server.closing


def test_token_bucket_allows_a_burst_and_then_the_rate() -> None:
    clock = ManualClock()
    bucket = TokenBucket(clock.time, burst=10, per_s=2.0)
    assert sum(bucket.spend() for _ in range(30)) == 10
    clock.advance(3.0)
    assert sum(bucket.spend() for _ in range(30)) == 6
    clock.advance(1e6)
    assert sum(bucket.spend(5) for _ in range(30)) == 2
