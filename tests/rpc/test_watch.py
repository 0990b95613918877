"""What of a watch stream shows only from inside: framing, back-pressure, and the sink's side of the hub's contract."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from raftkv.pb import kv, rpc
from raftkv.wire import varint
from tests.rpc.fake_call import Bench

PATH = "/etcdserverpb.Watch/Watch"


def opened(**service_settings):
    bench = Bench(**service_settings)
    call, handler = bench.stream(PATH)
    return bench, call, handler


def create(handler, **fields) -> None:
    handler.on_message(rpc.WatchRequest(create_request=rpc.WatchCreateRequest(**fields)).SerializeToString())


def responses(call) -> list[rpc.WatchResponse]:
    return [rpc.WatchResponse.FromString(body) for body in call.sent]


def field_of(value: bytes) -> bytes:
    event = kv.Event(kv=kv.KeyValue(key=b"k", value=value)).SerializeToString()
    return b"\x5a" + varint(len(event)) + event


def test_hand_encoded_responses_are_what_protobuf_would_have_written():
    """The frame is spliced by hand; every field must be where a decoder and a comparison of bytes expect it."""
    bench, call, handler = opened()
    create(handler, key=b"k", watch_id=300)
    handler.on_events(300, 7, [field_of(b"1"), field_of(b"2")])
    handler.on_progress(-1, 8)
    create(handler, key=b"b", range_end=b"a")
    handler.on_compacted(300, 1234)
    header = rpc.ResponseHeader(cluster_id=bench.member.cluster_id, member_id=bench.member.member_id, raft_term=bench.member.term)
    expected = [
        rpc.WatchResponse(watch_id=300, created=True),
        rpc.WatchResponse(watch_id=300, events=[kv.Event(kv=kv.KeyValue(key=b"k", value=one)) for one in (b"1", b"2")]),
        rpc.WatchResponse(watch_id=-1),
        rpc.WatchResponse(watch_id=-1, created=True, canceled=True, cancel_reason="mvcc: watcher range is empty"),
        rpc.WatchResponse(watch_id=300, canceled=True, compact_revision=1234),
    ]
    for response, revision in zip(expected, (1, 7, 8, 1, 0), strict=True):
        response.header.CopyFrom(header)
        response.header.revision = revision
    assert call.sent == [one.SerializeToString() for one in expected]


def test_stream_is_writable_as_far_as_the_call_is():
    _, call, handler = opened()
    assert handler.writable()
    call.writable = False
    assert not handler.writable()


def test_hub_is_told_when_the_client_reads_again():
    """The slow watcher gets what it missed, once there is room: nothing was dropped, nothing was buffered."""
    bench, call, handler = opened()
    create(handler, key=b"k")
    bench.turns.run()
    call.writable = False
    for value in (b"1", b"2"):
        bench.unary("/etcdserverpb.KV/Put", rpc.PutRequest(key=b"k", value=value))
    assert len(call.sent) == 1
    call.writable = True
    handler.on_writable()
    bench.turns.run()
    assert [event.kv.value for one in responses(call) for event in one.events] == [b"1", b"2"]


def test_client_that_piles_up_answers_is_not_read_from():
    _, call, handler = opened()
    call.writable = False
    create(handler, key=b"k")
    assert call.paused
    call.writable = True
    handler.on_writable()
    assert not call.paused


def test_event_after_the_end_is_dropped():
    """The hub may have one more response on its way when the client goes."""
    bench, call, handler = opened()
    create(handler, key=b"k")
    handler.on_cancel()
    assert bench.member.watch_streams == []
    handler.on_half_close()
    create(handler, key=b"k")
    assert len(call.sent) == 1


def test_half_close_says_nothing():
    _, call, handler = opened()
    create(handler, key=b"k")
    handler.on_half_close()
    assert call.ended is None and len(call.sent) == 1


@settings(max_examples=25, derandomize=True, deadline=None)
@given(sizes=st.lists(st.integers(0, 3000), min_size=1, max_size=30), limit=st.integers(100, 4000))
def test_fragments_are_etcds(sizes, limit):
    """Against etcd's algorithm written out: fill a piece while it stays below the bound, but never leave it empty."""
    bound = limit + 512 * 1024
    scale = bound // 3000 + 1
    bench, call, handler = opened(max_request_bytes=limit)
    create(handler, key=b"k", fragment=True)
    fields = [field_of(bytes(size * scale)) for size in sizes]
    call.sent.clear()
    handler.on_events(0, 9, fields)
    whole = rpc.WatchResponse.FromString(bench.member.header(9) + b"".join(fields))

    pieces: list[rpc.WatchResponse] = []
    if whole.ByteSize() < bound or len(fields) < 2:
        pieces.append(whole)
    else:
        position = 0
        while True:
            piece = rpc.WatchResponse(header=whole.header, fragment=True)
            while position < len(fields):
                piece.events.append(whole.events[position])
                if len(piece.events) > 1 and piece.ByteSize() >= bound:
                    del piece.events[-1]
                    break
                position += 1
            pieces.append(piece)
            if position == len(fields):
                piece.fragment = False
                break
    assert responses(call) == pieces
