"""RangeStream: any range, in chunks of one revision, equal to the Range it stands for."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from raftkv.pb import rpc
from raftkv.rpc.range_stream import FIRST_CHUNK_KEYS
from raftkv.rpc.status import Code
from tests.rpc.fake_call import Bench

PATH = "/etcdserverpb.KV/RangeStream"


def filled(count: int, value_bytes: int = 1, **service_settings) -> Bench:
    bench = Bench(**service_settings)
    for number in range(count):
        bench.unary("/etcdserverpb.KV/Put", rpc.PutRequest(key=b"%04d" % number, value=bytes(value_bytes)))
    return bench


def begin(bench: Bench, **fields):
    call, handler = bench.stream(PATH)
    handler.on_message(rpc.RangeRequest(**fields).SerializeToString())
    handler.on_half_close()
    return call, handler


def chunks(call) -> list[rpc.RangeResponse]:
    return [rpc.RangeStreamResponse.FromString(body).range_response for body in call.sent]


@settings(max_examples=25, derandomize=True, deadline=None)
@given(
    count=st.integers(0, 45),
    limit=st.integers(-1, 50),
    aim=st.sampled_from([50, 400, 100_000]),
    flags=st.fixed_dictionaries({"keys_only": st.booleans(), "count_only": st.booleans(), "serializable": st.booleans()}),
)
def test_chunks_together_are_the_range(count, limit, aim, flags):
    """Header, count and more on the last message alone; keys, order and totals as Range gives them."""
    bench = filled(count, max_request_bytes=aim)
    request = {"key": b"0000", "range_end": b"\0", "limit": limit, **flags}
    whole = rpc.RangeResponse.FromString(bench.unary("/etcdserverpb.KV/Range", rpc.RangeRequest(**request)).sent[0])
    call, _ = begin(bench, **request)
    bench.turns.run()
    assert call.ended == "ok"
    found = chunks(call)
    for chunk in found[:-1]:
        assert chunk.kvs and not chunk.HasField("header") and not chunk.count and not chunk.more
    joined = rpc.RangeResponse(kvs=[one for chunk in found for one in chunk.kvs])
    joined.MergeFrom(rpc.RangeResponse(header=found[-1].header, count=found[-1].count, more=found[-1].more))
    assert joined == whole


def test_chunks_grow_towards_the_aim():
    bench = filled(200, max_request_bytes=1_000)
    call, _ = begin(bench, key=b"0", range_end=b"\0")
    bench.turns.run()
    sizes = [len(chunk.kvs) for chunk in chunks(call)]
    assert sizes[:2] == [FIRST_CHUNK_KEYS, 2 * FIRST_CHUNK_KEYS] and max(map(len, call.sent)) <= 2_000


def test_chunks_shrink_when_values_are_large():
    bench = filled(30, value_bytes=500, max_request_bytes=2_000)
    call, _ = begin(bench, key=b"0", range_end=b"\0")
    bench.turns.run()
    sizes = [len(chunk.kvs) for chunk in chunks(call)]
    assert sizes[0] == FIRST_CHUNK_KEYS and sizes[1] == FIRST_CHUNK_KEYS // 2 and sum(sizes) == 30


def test_later_chunks_are_of_the_first_ones_revision():
    bench = filled(15)
    call, _ = begin(bench, key=b"0", range_end=b"\0")
    bench.unary("/etcdserverpb.KV/DeleteRange", rpc.DeleteRangeRequest(key=b"0", range_end=b"\0"))
    bench.turns.run()
    found = chunks(call)
    assert sum(len(chunk.kvs) for chunk in found) == found[-1].count == 15


def test_client_that_does_not_read_gets_no_further_chunk_until_it_does():
    bench = filled(50)
    call, handler = begin(bench, key=b"0", range_end=b"\0")
    call.writable = False
    bench.turns.run()
    assert len(call.sent) == 1 and call.ended is None
    call.writable = True
    handler.on_writable()
    bench.turns.run()
    assert call.ended == "ok" and sum(len(chunk.kvs) for chunk in chunks(call)) == 50


def test_compaction_overtaking_the_stream_ends_it():
    bench = filled(20)
    call, _ = begin(bench, key=b"0", range_end=b"\0", revision=15)
    bench.member.compact_revision = 18
    bench.turns.run()
    assert call.ended == (Code.OUT_OF_RANGE, "etcdserver: mvcc: required revision has been compacted")


@pytest.mark.parametrize(
    ("fields", "text"),
    [
        ({"sort_order": rpc.RangeRequest.DESCEND}, "RangeStream does not support custom sort orders"),
        ({"sort_target": rpc.RangeRequest.MOD}, "RangeStream does not support custom sort orders"),
        ({"max_create_revision": 3}, "RangeStream does not support revision filters"),
    ],
)
def test_sorts_and_filters_are_unimplemented(fields, text):
    call, _ = begin(filled(1), key=b"0", **fields)
    assert call.ended == (Code.UNIMPLEMENTED, text)


def test_default_order_may_be_asked_for_by_name():
    bench = filled(1)
    call, _ = begin(bench, key=b"0000", sort_order=rpc.RangeRequest.ASCEND)
    bench.turns.run()
    assert call.ended == "ok"


def test_empty_key_is_refused():
    bench = filled(1)
    call, _ = begin(bench)
    bench.turns.run()
    assert call.ended == (Code.INVALID_ARGUMENT, "etcdserver: key is not provided")


def test_stream_without_its_one_request_is_the_clients_mistake():
    bench = filled(1)
    call, handler = bench.stream(PATH)
    handler.on_half_close()
    assert call.ended[0] == Code.INTERNAL
    call, handler = begin(bench, key=b"0", range_end=b"\0")
    handler.on_message(rpc.RangeRequest(key=b"0").SerializeToString())
    assert call.ended[0] == Code.INTERNAL
    bench.turns.run()


def test_cancelled_stream_asks_for_no_more():
    bench = filled(50)
    call, handler = begin(bench, key=b"0", range_end=b"\0")
    handler.on_cancel()
    bench.turns.run()
    assert call.sent == []
