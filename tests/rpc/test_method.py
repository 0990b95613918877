"""Admission, decoding and answering, as every unary method has them."""

from __future__ import annotations

import logging

from raftkv.errors import CompactedError, StoppedError
from raftkv.pb import rpc
from raftkv.rpc.status import Code
from tests.rpc.fake_call import Bench

PUT = "/etcdserverpb.KV/Put"
RANGE = "/etcdserverpb.KV/Range"


def test_put_is_answered_with_header_and_body_in_a_later_turn():
    """Nothing is answered from inside the handler, so one write per connection and turn stays possible."""
    bench = Bench()
    call = bench.start(PUT, rpc.PutRequest(key=b"k", value=b"v").SerializeToString())
    assert call.ended is None
    bench.turns.run()
    response = rpc.PutResponse.FromString(call.sent[0])
    assert (response.header.revision, response.header.raft_term) == (2, 2)
    assert response.header.member_id == bench.member.member_id


def test_refused_request_gets_the_status_of_its_error():
    bench = Bench()
    assert bench.unary(PUT, rpc.PutRequest()).ended == (Code.INVALID_ARGUMENT, "etcdserver: key is not provided")


def test_malformed_request_is_internal_as_grpc_go_answers_it():
    bench = Bench()
    call = bench.start(PUT, b"\xff\xff")
    assert call.ended[0] == Code.INTERNAL
    assert call.ended[1].startswith("grpc: error unmarshalling request: ")
    assert bench.metrics.internal_errors.value == 0, "the client's fault, not ours"


def test_write_of_a_cancelled_call_goes_on():
    """A proposal that left cannot be taken back; only its answer is dropped."""
    bench = Bench()
    call = bench.start(PUT, rpc.PutRequest(key=b"k").SerializeToString())
    call.cancelled = True
    bench.turns.run()
    assert call.sent == []
    assert bench.member.revision == 2


def test_bug_in_a_service_ends_that_call_with_internal_and_is_counted(caplog):
    """One broken request must not take the connection or the member along, and must not go unseen."""
    bench = Bench()

    def broken() -> None:
        raise AssertionError("members: out of order")

    bench.member.members = broken
    with caplog.at_level(logging.ERROR, "raftkv.rpc"):
        call = bench.unary("/etcdserverpb.Cluster/MemberList", rpc.MemberListRequest())
    assert call.ended == (Code.INTERNAL, "members: out of order")
    assert bench.metrics.internal_errors.value == 1
    assert len(caplog.records) == 1


def test_foreign_exception_is_internal_too(caplog):
    bench = Bench()

    def broken() -> None:
        raise KeyError("x")

    bench.member.members = broken
    with caplog.at_level(logging.CRITICAL, "raftkv.rpc"):
        assert bench.unary("/etcdserverpb.Cluster/MemberList", rpc.MemberListRequest()).ended[0] == Code.INTERNAL
    assert bench.metrics.internal_errors.value == 1


def test_error_of_ours_raised_by_the_api_is_answered_and_is_no_bug():
    bench = Bench()

    def refuse(request, done):
        raise CompactedError()

    bench.member.range = refuse
    assert bench.unary(RANGE, rpc.RangeRequest(key=b"k")).ended[0] == Code.OUT_OF_RANGE
    assert bench.metrics.internal_errors.value == 0


def test_stream_that_the_member_refuses_ends_with_its_error():
    """A stopping member cannot open a watch; that is an answer and no bug."""
    bench = Bench()

    def refuse(sink):
        raise StoppedError()

    bench.member.watch = refuse
    call, handler = bench.stream("/etcdserverpb.Watch/Watch")
    handler.on_message(b"")
    assert call.ended == (Code.UNAVAILABLE, "etcdserver: server stopped")
    assert bench.metrics.internal_errors.value == 0
