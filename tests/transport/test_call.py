"""Calls on the server: what handlers see, and what clients get from what handlers do."""

from __future__ import annotations

import pytest

from raftkv.errors import LocalProtocolError
from raftkv.transport import frames, hpack
from raftkv.transport.frames import ErrorCode
from raftkv.transport.grpc_wire import Code
from raftkv.transport.limits import ServerLimits
from raftkv.transport.plain import PlainRequest
from tests.transport.pair import BIDI, ECHO, FAIL, KEEP, STREAM, Handler, RawClient, data, headers, message, request, resets_of, unary

H, D, RST = frames.HEADERS, frames.DATA, frames.RST_STREAM
END = frames.FLAG_END_STREAM


def kinds(got: list) -> list[int]:
    return [frame.kind for frame in got]


def test_unary_answer_is_head_message_and_trailers() -> None:
    client = RawClient()
    head, body, trailers = client.send(unary(1, b"hello"))
    assert client.fields(head) == {":status": "200", "content-type": "application/grpc"}
    assert (body.kind, body.flags, body.payload) == (D, 0, message(b"hello"))
    assert client.fields(trailers) == {"grpc-status": "0"} and trailers.flags & END
    counters = client.server.services.counters[ECHO]
    assert (counters.started, counters.received, counters.sent, counters.ok, dict(counters.handled)) == (1, 1, 1, 1, {})


@pytest.mark.parametrize("size", [0, 1, 16_378, 16_379, 16_380, 60_000])
def test_unary_body_in_many_frames_arrives_whole(size: int) -> None:
    client = RawClient()
    body = bytes(range(256)) * (size // 256 + 1)
    sent = message(body[:size])
    client.send(headers(1))
    got = []
    for at in range(0, len(sent), 1000):
        got += client.send(data(1, sent[at : at + 1000]))
    got += client.send(data(1, b"", end=True))
    assert b"".join(frame.payload for frame in got if frame.kind == D) == sent
    assert client.server.partial_bytes == 0


REFUSALS = {
    "unknown method": (request("/t.Svc/None"), "200", "12", "unknown method None for service t.Svc"),
    "unknown service": (request("/t.Other/None"), "200", "12", "unknown service t.Other"),
    "a path without a method": (request("/nothing"), "200", "12", 'malformed method name: "/nothing"'),
    "a path without a slash": (request("t.Svc/Echo"), "200", "12", 'malformed method name: "t.Svc/Echo"'),
    "another content type": (request(content_type="text/plain"), "415", "3", 'invalid gRPC request content-type "text/plain"'),
    "no content type": (request(content_type=None), "415", "3", 'invalid gRPC request content-type ""'),
    "grpc-web": (request(content_type="application/grpc-web"), "415", "3", 'invalid gRPC request content-type "application/grpc-web"'),
    "GET": (request(method="GET"), "405", "13", 'Received a HEADERS frame with :method "GET" which should be POST'),
    "a compression we lack": (request(grpc_encoding="gzip"), "200", "12", 'grpc: Decompressor is not installed for grpc-encoding "gzip"'),
    "a timeout that is none": (
        request(grpc_timeout="5x"),
        "400",
        "13",
        'malformed grpc-timeout: transport: timeout unit is not recognized: "5x"',
    ),
}


@pytest.mark.parametrize("name", REFUSALS)
def test_refused_request_gets_grpc_gos_answer(name: str) -> None:
    """Trailers-only, then the rest of the request is declined without an error."""
    block, http_status, code, text = REFUSALS[name]
    client = RawClient()
    answer, reset = client.send(headers(1, block))
    fields = client.fields(answer)
    assert answer.flags & END and fields[":status"] == http_status
    assert (fields["grpc-status"], fields["grpc-message"]) == (code, text.replace("%", "%25"))
    assert reset.kind == RST and resets_of([reset]) == {1: ErrorCode.NO_ERROR}
    assert client.send(data(1, message(b"x"), end=True)) == [], "what was on its way is dropped"
    assert (fields.get("grpc-accept-encoding") == "identity") == (name == "a compression we lack")


def test_content_types_of_grpc_are_served() -> None:
    client = RawClient()
    for at, content_type in enumerate(("application/grpc", "application/grpc+proto", "application/grpc;charset=utf-8")):
        got = client.send(headers(2 * at + 1, request(content_type=content_type)), data(2 * at + 1, message(b"x"), end=True))
        assert kinds(got) == [H, D, H]


UNARY_FAULTS = {
    "no message": (headers(1, end=True), "13", "cardinality violation: received no request message from non-client-streaming RPC"),
    "an empty end": (
        headers(1) + data(1, b"", end=True),
        "13",
        "cardinality violation: received no request message from non-client-streaming RPC",
    ),
    "two messages": (
        headers(1) + data(1, message(b"a") + message(b"b")),
        "13",
        "cardinality violation: received multiple request messages for non-client-streaming RPC",
    ),
    "half a message": (headers(1) + data(1, message(b"abc")[:-1], end=True), "13", "unexpected EOF"),
    "half a prefix": (headers(1) + data(1, b"\0\0", end=True), "13", "unexpected EOF"),
    "a compressed message": (
        headers(1) + data(1, message(b"x", compressed=1), end=True),
        "13",
        "grpc: compressed flag set with identity or empty encoding",
    ),
    "a message above the limit": (headers(1) + data(1, message(b"x" * 11)), "8", "grpc: received message larger than max (11 vs. 10)"),
    "a message above the limit, complete": (unary(1, b"x" * 11), "8", "grpc: received message larger than max (11 vs. 10)"),
}


@pytest.mark.parametrize("name", UNARY_FAULTS)
def test_unary_fault_ends_the_call_with_its_status(name: str) -> None:
    sent, code, text = UNARY_FAULTS[name]
    client = RawClient(ServerLimits(message_bytes_max=10))
    got = client.send(sent)
    assert client.status(got) == (code, text)
    assert client.host.kept == [] and client.server.partial_bytes == 0 and not client.server.streams
    assert kinds(client.send(unary(3)))[-1] == H


def test_fail_before_anything_is_trailers_only() -> None:
    client = RawClient()
    client.send(unary(1, path=KEEP))
    call, body = client.host.kept[0]
    assert (call.path, body) == (KEEP, b"x")
    call.fail(Code.OUT_OF_RANGE, "100 % größer", (("retry", "1"),))
    (trailers,) = client.read()
    assert trailers.flags & END
    assert client.fields(trailers) == {
        ":status": "200",
        "content-type": "application/grpc",
        "grpc-status": "11",
        "grpc-message": "100 %25 gr%C3%B6%C3%9Fer",
        "retry": "1",
    }
    assert dict(client.server.services.counters[KEEP].handled) == {11: 1}


def test_call_ended_twice_is_the_handlers_bug() -> None:
    client = RawClient()
    client.send(unary(1, path=KEEP))
    call, _ = client.host.kept[0]
    call.reply(b"one")
    for again in (lambda: call.reply(b"two"), lambda: call.send(b"two"), call.finish, lambda: call.fail(2, "x")):
        with pytest.raises(LocalProtocolError):
            again()


def test_handler_that_raises_ends_its_call_alone() -> None:
    client = RawClient()
    got = client.send(unary(1, path=FAIL), unary(3, path=ECHO))
    assert client.status([frame for frame in got if frame.stream_id == 1]) == ("13", "internal error")
    assert [frame.payload for frame in got if frame.kind == D] == [message(b"x")]
    assert client.server.services.handler_error_count == 1 and len(client.host.errors) == 1


class Raising(Handler):
    def on_message(self, body: bytes) -> None:
        raise RuntimeError("a stream handler's bug")


def test_stream_handler_that_raises_is_cancelled() -> None:
    client = RawClient(streams=Raising)
    got = client.send(headers(1, request(STREAM)), data(1, message(b"x")))
    assert client.status(got) == ("13", "internal error")
    assert client.host.handlers[0].log == ["cancel"]


def test_stream_messages_and_half_close_come_in_order() -> None:
    client = RawClient()
    client.send(headers(1, request(STREAM)))
    client.send(data(1, message(b"a") + message(b"") + message(b"ccc")[:4]), data(1, message(b"ccc")[4:]), data(1, b"", end=True))
    handler = client.host.handlers[0]
    assert handler.log == [b"a", b"", b"ccc", "half-close"]
    handler.call.send(b"one")
    handler.call.send(b"two")
    handler.call.finish()
    got = client.read()
    assert kinds(got) == [H, D, D, H]
    assert [frame.payload for frame in got if frame.kind == D] == [message(b"one"), message(b"two")]
    assert client.status(got) == ("0", "") and not client.server.streams


def test_stream_opened_with_end_stream_is_half_closed_at_once() -> None:
    client = RawClient()
    client.send(headers(1, request(STREAM), end=True))
    assert client.host.handlers[0].log == ["half-close"]


def test_trailers_of_the_client_are_a_half_close() -> None:
    client = RawClient()
    client.send(headers(1, request(STREAM)), headers(1, hpack.literal("x-trailer", "1"), end=True))
    assert client.host.handlers[0].log == ["half-close"]


def test_finish_before_the_client_ends_declines_the_rest() -> None:
    client = RawClient()
    client.send(headers(1, request(STREAM)))
    call = client.host.handlers[0].call
    call.finish()
    got = client.read()
    assert kinds(got) == [H, H, RST] and client.status(got) == ("0", "") and resets_of(got) == {1: ErrorCode.NO_ERROR}
    assert client.host.handlers[0].log == []


@pytest.mark.parametrize("how", ["reset", "deadline", "connection"])
def test_cancelled_stream_is_told_once_and_answers_nothing(how: str) -> None:
    client = RawClient()
    client.send(headers(1, request(STREAM, grpc_timeout="5S")))
    handler = client.host.handlers[0]
    assert handler.call.deadline_s == client.clock.now_s + 5
    if how == "reset":
        assert client.send(frames.rst_stream(1, ErrorCode.CANCEL)) == []
    elif how == "deadline":
        client.clock.advance(4.9)
        assert handler.log == []
        client.clock.advance(0.2)
        got = client.read()
        assert client.status(got) == ("4", "context deadline exceeded") and resets_of(got) == {1: ErrorCode.NO_ERROR}
    else:
        client.server.lose(ErrorCode.CANCEL, "gone")
    client.clock.advance(100)
    assert handler.log == ["cancel"] and handler.call.cancelled and client.clock.waiting_count == 0
    handler.call.send(b"late")
    handler.call.finish()
    assert client.read() == [] and client.host.errors == []
    assert sum(client.server.services.counters[STREAM].handled.values()) == 1


@pytest.mark.parametrize("how", ["reset", "deadline"])
def test_cancelled_unary_call_drops_its_answer(how: str) -> None:
    client = RawClient()
    client.send(headers(1, request(KEEP, grpc_timeout="1S")), data(1, message(b"x"), end=True))
    call, _ = client.host.kept[0]
    assert client.server.unanswered == 1
    if how == "reset":
        client.send(frames.rst_stream(1, ErrorCode.CANCEL))
    else:
        client.clock.advance(2)
        assert client.status(client.read()) == ("4", "context deadline exceeded")
    assert call.cancelled and client.server.unanswered == 0
    call.reply(b"late")
    assert client.read() == []


def test_answered_call_leaves_no_deadline_behind() -> None:
    client = RawClient()
    client.send(headers(1, request(ECHO, grpc_timeout="1S")), data(1, message(b"x"), end=True))
    assert client.clock.waiting_count == 0


def test_metadata_is_what_the_client_sent() -> None:
    client = RawClient()
    client.send(headers(1, request(KEEP, hasleader="true", k_bin="AAE", user_agent="stock/1")), data(1, message(b"x"), end=True))
    call, _ = client.host.kept[0]
    assert call.metadata == {"hasleader": "true", "k-bin": b"\0\1", "user-agent": "stock/1"}
    assert call.connection.user_agent == "stock/1"


def test_interceptor_sees_every_call_before_its_handler() -> None:
    client = RawClient(interceptor=lambda call: (14, "etcdserver: no leader") if call.metadata.get("hasleader") == "true" else None)
    got = client.send(headers(1, request(ECHO, hasleader="true")), data(1, message(b"x"), end=True))
    assert client.status(got) == ("14", "etcdserver: no leader")
    assert kinds(client.send(unary(3))) == [H, D, H]
    got = client.send(headers(5, request(STREAM, hasleader="true")))
    assert client.status(got, 5)[0] == "14" and client.host.handlers == []


def test_same_header_block_again_is_served_from_memory_until_the_table_changes() -> None:
    """The cache of blocks must not outlive the table it was decoded with."""
    client, encoder = RawClient(), hpack.Encoder()

    def fields(path: str, extra: str) -> list[tuple[str, str]]:
        return [(":method", "POST"), (":scheme", "http"), (":path", path), ("content-type", "application/grpc"), ("x-extra", extra)]

    stream_id = 1
    for turn, (path, extra) in enumerate([(KEEP, "a"), (KEEP, "a"), (KEEP, "a"), (KEEP, "b"), (KEEP, "a"), (KEEP, "b"), (KEEP, "a")]):
        client.send(headers(stream_id, encoder.encode(fields(path, extra))), data(stream_id, message(b"x"), end=True))
        call, _ = client.host.kept[turn]
        assert call.metadata == {"x-extra": extra}
        stream_id += 2
    client.server.check_invariants()


# Requests that are not gRPC.


def plain_client() -> tuple[RawClient, list[PlainRequest]]:
    seen: list[PlainRequest] = []
    return RawClient(ServerLimits(message_bytes_max=100), plain=seen.append), seen


def test_plain_request_is_answered_whole() -> None:
    client, seen = plain_client()
    client.send(headers(1, request("/health?serializable=true", method="GET", content_type=None, accept="*/*"), end=True))
    (asked,) = seen
    assert (asked.method, asked.path, asked.query, asked.body) == ("GET", "/health", "serializable=true", b"")
    assert dict(asked.headers) == {"host": "raw", "te": "trailers", "accept": "*/*"}
    asked.respond(200, [("Content-Type", "application/json")], b'{"health":"true"}')
    head, body = client.read()
    assert client.fields(head) == {":status": "200", "content-type": "application/json", "content-length": "17"}
    assert body.payload == b'{"health":"true"}' and body.flags & END and not client.server.streams


def test_plain_request_body_is_gathered_and_answered_in_chunks() -> None:
    client, seen = plain_client()
    client.send(headers(1, request("/v3/watch", content_type="application/json")), data(1, b'{"a"'), data(1, b":1}", end=True))
    asked = seen[0]
    assert asked.body == b'{"a":1}' and client.server.partial_bytes == 0
    asked.send_head(200, [])
    asked.send(b"one")
    assert kinds(client.read()) == [H, D]
    asked.finish()
    (end,) = client.read()
    assert end.kind == D and end.flags & END


def test_plain_request_too_large_is_413() -> None:
    client, seen = plain_client()
    got = client.send(headers(1, request("/v3/kv/put", content_type="application/json")), data(1, b"x" * 101))
    assert client.fields(got[0])[":status"] == "413" and resets_of(got) == {1: ErrorCode.NO_ERROR}
    assert seen == [] and client.server.partial_bytes == 0


def test_plain_client_that_goes_away_is_noticed() -> None:
    client, seen = plain_client()
    told: list[bool] = []
    client.send(headers(1, request("/v3/watch", content_type=None, method="GET"), end=True))
    seen[0].on_cancel = lambda: told.append(True)
    client.send(frames.rst_stream(1, 8))
    seen[0].respond(200, [], b"late")
    assert told == [True] and client.read() == []


def test_bidi_echo_over_one_frame_each() -> None:
    client = RawClient()
    got = client.send(headers(1, request(BIDI)), *[data(1, message(b"%d" % n)) for n in range(5)])
    assert [frame.payload for frame in got if frame.kind == D] == [message(b"%d" % n) for n in range(5)]
