"""Calls on the client: outcomes, and whether a failed one may have happened."""

from __future__ import annotations

import pytest

from raftkv.transport import frames, grpc_wire, hpack
from raftkv.transport.frames import ErrorCode
from raftkv.transport.limits import ChannelLimits, ServerLimits
from tests.transport.pair import BIDI, ECHO, FAIL, KEEP, STREAM, Pair, data, message, output, parse

OK_HEAD = hpack.stateless([(":status", "200"), ("content-type", "application/grpc")])


def raw_pair(**settings: int) -> Pair:
    """A pair whose server side is played by the test."""
    pair = Pair()
    output(pair.client)
    pair.client.receive(frames.settings(settings and {frames.MAX_CONCURRENT_STREAMS: settings["streams"]}))
    output(pair.client)
    return pair


def answer(pair: Pair, *parts: bytes) -> list:
    pair.client.receive(b"".join(parts))
    pair.client.check_invariants()
    return parse(output(pair.client))


def head(block: bytes, *, end: bool = False, stream_id: int = 1) -> bytes:
    return frames.headers(stream_id, block, end_stream=end)


def trailers(code: int, text: str = "", stream_id: int = 1) -> bytes:
    return head(grpc_wire.trailer_block(code, text), end=True, stream_id=stream_id)


def test_unary_call_returns_the_answer_once() -> None:
    pair = Pair()
    outcomes = [pair.call(ECHO, b"%d" % n)[1] for n in range(5)]
    pair.exchange()
    assert [outcome.body for outcome in outcomes] == [b"0", b"1", b"2", b"3", b"4"]
    assert not pair.client.streams and not pair.server.streams


def test_large_bodies_pass_both_windows() -> None:
    limits = ServerLimits(message_bytes_max=1 << 24, stream_window_bytes=65_535, connection_window_bytes=65_535)
    pair = Pair(limits, ChannelLimits(stream_window_bytes=70_000, connection_window_bytes=90_000))
    body = bytes(range(256)) * 8000
    outcomes = [pair.call(ECHO, body)[1] for _ in range(3)]
    pair.exchange()
    assert all(outcome.body == body for outcome in outcomes)
    assert pair.client.partial_bytes == 0 and pair.server.partial_bytes == 0


def test_requests_header_block_shrinks_to_indexes() -> None:
    pair = Pair()
    lengths = []
    for _ in range(3):
        pair.call(ECHO, b"x", metadata=(("token", "secret"),))
        sent = output(pair.client)
        lengths.append(len(parse(sent.removeprefix(frames.PREFACE))[-2].payload))
    assert lengths[0] > 50 and lengths[1] == lengths[2] == 8


def test_status_of_the_server_is_the_error() -> None:
    pair = Pair()
    outcome = pair.call(KEEP, b"x")[1]
    pair.exchange()
    pair.host.kept[0][0].fail(11, "zu groß: 100%", (("k", "v"),))
    pair.exchange()
    error = outcome.error
    assert (error.code, error.message, error.sent, error.trailers) == (11, "zu groß: 100%", True, (("k", "v"),))
    assert str(error) == "OUT_OF_RANGE: zu groß: 100%"


def test_error_of_a_handlers_bug_is_internal() -> None:
    pair = Pair()
    outcome = pair.call(FAIL, b"x")[1]
    pair.exchange()
    assert outcome.error.code == 13


BAD_ANSWERS = {
    "DATA first": (data(1, message(b"x")), 13),
    "no message": (head(OK_HEAD) + trailers(0), 13),
    "two messages": (head(OK_HEAD) + data(1, message(b"x") + message(b"y")), 13),
    "half a message": (head(OK_HEAD) + data(1, message(b"xyz")[:-1]) + trailers(0), 13),
    "END_STREAM on DATA": (head(OK_HEAD) + data(1, message(b"x"), end=True), 13),
    "no status": (head(OK_HEAD) + data(1, message(b"x")) + head(hpack.stateless([("x", "y")]), end=True), 2),
    "a status that is none": (head(OK_HEAD) + head(hpack.stateless([("grpc-status", "abc")]), end=True), 2),
    "a compressed message": (head(OK_HEAD) + data(1, message(b"x", compressed=1)), 13),
    "a message too large": (head(OK_HEAD) + data(1, message(b"x" * 101)), 8),
    "a second head": (head(OK_HEAD) + head(OK_HEAD), 13),
    "not gRPC": (head(hpack.stateless([(":status", "200"), ("content-type", "text/html")]), end=True), 2),
    "HTTP 503": (head(hpack.stateless([(":status", "503")]), end=True), 14),
    "HTTP 404 with a page": (head(hpack.stateless([(":status", "404"), ("content-type", "text/html")])), 12),
    "HTTP 401": (head(hpack.stateless([(":status", "401")]), end=True), 16),
    "RST INTERNAL_ERROR": (frames.rst_stream(1, ErrorCode.INTERNAL_ERROR), 13),
    "RST CANCEL": (frames.rst_stream(1, ErrorCode.CANCEL), 1),
    "RST ENHANCE_YOUR_CALM": (frames.rst_stream(1, ErrorCode.ENHANCE_YOUR_CALM), 8),
    "RST with an unknown code": (frames.rst_stream(1, 0x77), 13),
}


@pytest.mark.parametrize("name", BAD_ANSWERS)
def test_bad_answer_is_an_error_that_may_have_happened(name: str) -> None:
    sent, code = BAD_ANSWERS[name]
    pair = raw_pair()
    outcome = pair.call(ECHO, b"x", bytes_max=100)[1]
    output(pair.client)
    answer(pair, sent)
    assert outcome.error.code == code and outcome.error.sent
    assert not pair.client.streams and pair.client.partial_bytes == 0 and not pair.client.closing


def test_informational_head_is_passed_over() -> None:
    pair = raw_pair()
    outcome = pair.call(ECHO, b"x")[1]
    answer(pair, head(hpack.stateless([(":status", "103")])), head(OK_HEAD), data(1, message(b"y")), trailers(0))
    assert outcome.body == b"y"


def test_refused_stream_was_certainly_not_sent() -> None:
    """What decides whether a write may be repeated."""
    pair = raw_pair()
    outcome = pair.call(ECHO, b"x")[1]
    output(pair.client)
    answer(pair, frames.rst_stream(1, ErrorCode.REFUSED_STREAM))
    assert (outcome.error.code, outcome.error.sent) == (14, False)


def test_goaway_splits_calls_into_processed_and_not_sent() -> None:
    pair = raw_pair()
    first, second = pair.call(ECHO, b"x")[1], pair.call(ECHO, b"y")[1]
    output(pair.client)
    answer(pair, frames.goaway(1, 0, "bye"))
    assert first.results == [] and (second.error.code, second.error.sent) == (14, False)
    third = pair.call(ECHO, b"z")[1]
    assert (third.error.code, third.error.sent) == (14, False)
    answer(pair, head(OK_HEAD), data(1, message(b"x")), trailers(0))
    assert first.body == b"x"


def test_lost_connection_fails_started_calls_as_sent_and_waiting_ones_as_not() -> None:
    pair = raw_pair(streams=1)
    first, second = pair.call(ECHO, b"x")[1], pair.call(ECHO, b"y")[1]
    output(pair.client)
    pair.client.lose(ErrorCode.CANCEL, "connection lost")
    assert (first.error.code, first.error.sent) == (14, True)
    assert (second.error.code, second.error.sent) == (14, False)


def test_calls_beyond_the_servers_limit_wait_for_a_stream() -> None:
    pair = Pair(ServerLimits(max_concurrent_streams=2))
    pair.exchange()
    outcomes = [pair.call(KEEP, b"%d" % n)[1] for n in range(5)]
    pair.exchange()
    for answered in range(5):
        assert len(pair.host.kept) == min(answered + 2, 5) and pair.client.call_count == 5 - answered
        call, body = pair.host.kept[answered]
        call.reply(body)
        pair.exchange()
    assert [outcome.body for outcome in outcomes] == [b"%d" % n for n in range(5)]


def test_waiting_calls_are_bounded() -> None:
    pair = Pair(ServerLimits(max_concurrent_streams=1), ChannelLimits(waiting_calls_max=1))
    pair.exchange()
    outcomes = [pair.call(KEEP, b"x")[1] for _ in range(3)]
    assert outcomes[2].error.code == 14 and not outcomes[2].error.sent


def test_deadline_travels_and_ends_the_call_on_both_sides() -> None:
    pair = Pair()
    outcome = pair.call(KEEP, b"x", timeout_s=2.0)[1]
    pair.exchange()
    call = pair.host.kept[0][0]
    assert call.deadline_s == pytest.approx(pair.clock.now_s + 2.0)
    pair.clock.advance(2.5)
    pair.exchange()
    assert outcome.error.code == 4 and outcome.error.sent and call.cancelled
    assert not pair.server.streams and not pair.client.streams


def test_deadline_of_a_waiting_call_was_certainly_not_sent() -> None:
    pair = raw_pair(streams=1)
    pair.call(KEEP, b"x")
    outcome = pair.call(KEEP, b"y", timeout_s=1.0)[1]
    pair.clock.advance(2)
    assert outcome.error.code == 4 and not outcome.error.sent and pair.client.call_count == 1


def test_cancel_is_silent_here_and_told_there() -> None:
    pair = Pair()
    call, outcome = pair.call(STREAM, on_message=lambda body: None)
    pair.exchange()
    call.cancel()
    call.cancel()
    call.send(b"late")
    pair.exchange()
    assert outcome.results == [] and pair.host.handlers[0].log == ["cancel"] and pair.callback_errors == []


def test_stream_sends_before_and_after_its_start_in_order() -> None:
    pair = Pair()
    got: list[bytes] = []
    call, outcome = pair.call(BIDI, on_message=got.append)
    call.send(b"a")
    pair.exchange()
    call.send(b"b")
    call.send(b"c" * 100_000)
    call.half_close()
    call.send(b"after the end")
    pair.exchange()
    assert got == [b"a", b"b", b"c" * 100_000] and outcome.results == [(None, None)]


def test_server_that_ends_early_ends_the_callers_sending() -> None:
    pair = Pair()
    call, outcome = pair.call(STREAM, on_message=lambda body: None)
    pair.exchange()
    pair.host.handlers[0].call.fail(9, "enough")
    pair.exchange()
    assert outcome.error.code == 9
    call.send(b"x")
    pair.exchange()
    assert not pair.client.closing and not pair.server.closing


def test_callers_callback_that_raises_harms_no_other_call() -> None:
    pair = Pair()

    def broken(body: bytes) -> None:
        raise RuntimeError("a caller's bug")

    call, outcome = pair.call(BIDI, on_message=broken)
    call.send(b"x")
    call.half_close()
    other = pair.call(ECHO, b"y")[1]
    pair.exchange()
    assert len(pair.callback_errors) == 1 and outcome.results == [(None, None)] and other.body == b"y"


@pytest.mark.parametrize(
    ("sent", "code"),
    [
        (frames.frame(frames.PUSH_PROMISE, 4, 1, b"\0\0\0\2"), ErrorCode.PROTOCOL_ERROR),
        (frames.settings({frames.ENABLE_PUSH: 1}), ErrorCode.PROTOCOL_ERROR),
        (head(OK_HEAD, stream_id=2), ErrorCode.PROTOCOL_ERROR),
        (head(OK_HEAD, stream_id=99), ErrorCode.PROTOCOL_ERROR),
        (head(b"\x80"), ErrorCode.COMPRESSION_ERROR),
    ],
)
def test_server_that_breaks_http2_loses_the_connection(sent: bytes, code: ErrorCode) -> None:
    pair = raw_pair()
    outcome = pair.call(ECHO, b"x")[1]
    output(pair.client)
    got = answer(pair, sent)
    assert got[-1].kind == frames.GOAWAY and frames.parse_goaway(got[-1].payload)[1] == code
    assert outcome.error.code == 14


def test_graceful_drain_loses_no_call() -> None:
    """Two GOAWAYs: what was sent before the client saw the first is still served (RFC 9113 §6.8)."""
    pair = Pair()
    early = pair.call(KEEP, b"early")[1]
    pair.exchange()
    late = pair.call(KEEP, b"late")[1]
    sent = output(pair.client)
    pair.server.begin_drain()
    first = output(pair.server)
    pair.server.receive(sent)
    pair.client.receive(first)
    refused = pair.call(KEEP, b"refused")[1]
    pair.exchange()
    assert (refused.error.code, refused.error.sent) == (14, False)
    assert pair.server.draining and [body for _, body in pair.host.kept] == [b"early", b"late"]
    for call, body in pair.host.kept:
        call.reply(body)
    pair.exchange()
    assert early.body == b"early" and late.body == b"late"


def test_stream_after_the_last_goaway_is_refused() -> None:
    pair = Pair()
    pair.exchange()
    pair.server.end_drain()
    output(pair.server)
    outcome = pair.call(ECHO, b"x")[1]
    pair.exchange()
    assert (outcome.error.code, outcome.error.sent) == (14, False)


def test_goaway_of_a_client_names_no_stream() -> None:
    """Its last stream is the highest the server opened, and servers open none."""
    for calls in (0, 3):
        pair = raw_pair()
        for _ in range(calls):
            pair.call(ECHO, b"x")
        pair.client.fail(ErrorCode.NO_ERROR, "bye")
        assert frames.parse_goaway(parse(output(pair.client))[-1].payload) == (0, 0, "bye")
