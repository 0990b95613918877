"""What of the keep-alive stream shows only when the leader answers out of order, late or not at all."""

from __future__ import annotations

from raftkv.errors import LeaseNotFoundError, NoLeaderError
from raftkv.pb import rpc
from raftkv.rpc.lease import KEEP_ALIVES_PENDING_MAX
from tests.rpc.fake_call import Bench

PATH = "/etcdserverpb.Lease/LeaseKeepAlive"


def opened():
    bench = Bench()
    held = []
    bench.member.lease_keep_alive = lambda lease_id, done: held.append((lease_id, done))
    call, handler = bench.stream(PATH)
    return bench, call, handler, held


def ask(handler, lease_id: int) -> None:
    handler.on_message(rpc.LeaseKeepAliveRequest(ID=lease_id).SerializeToString())


def answers(call) -> list[tuple[int, int]]:
    found = [rpc.LeaseKeepAliveResponse.FromString(body) for body in call.sent]
    return [(one.ID, one.TTL) for one in found]


def test_answers_wait_for_the_ones_before_them():
    _, call, handler, held = opened()
    for lease_id in (1, 2, 3):
        ask(handler, lease_id)
    for lease_id, done in reversed(held):
        done(lease_id * 10, None)
    assert answers(call) == [(1, 10), (2, 20), (3, 30)]


def test_half_close_waits_for_every_answer():
    _, call, handler, held = opened()
    ask(handler, 1)
    ask(handler, 2)
    handler.on_half_close()
    held[1][1](20, None)
    assert call.ended is None
    held[0][1](10, None)
    assert answers(call) == [(1, 10), (2, 20)] and call.ended == "ok"


def test_error_ends_the_stream_after_the_answers_before_it():
    """What was renewed is said; what comes after the error is not."""
    _, call, handler, held = opened()
    for lease_id in (1, 2, 3):
        ask(handler, lease_id)
    held[2][1](30, None)
    held[1][1](0, NoLeaderError())
    assert call.ended is None
    held[0][1](10, None)
    assert answers(call) == [(1, 10)] and call.ended == (14, "etcdserver: no leader")
    handler.on_half_close()
    ask(handler, 4)
    assert len(held) == 3


def test_lease_not_found_error_is_ttl_zero():
    _, call, handler, held = opened()
    ask(handler, 1)
    held[0][1](0, LeaseNotFoundError())
    assert answers(call) == [(1, 0)] and call.ended is None


def test_header_has_the_revision_from_before_the_renewal():
    bench, call, handler, held = opened()
    before = bench.member.revision
    ask(handler, 1)
    bench.member.revision += 5
    held[0][1](10, None)
    assert rpc.LeaseKeepAliveResponse.FromString(call.sent[0]).header.revision == before


def test_answers_after_a_cancel_are_dropped():
    _, call, handler, held = opened()
    ask(handler, 1)
    handler.on_cancel()
    held[0][1](10, None)
    assert call.sent == [] and call.ended is None


def test_client_that_asks_too_much_is_not_read_from_until_half_is_answered():
    _, call, handler, held = opened()
    for number in range(KEEP_ALIVES_PENDING_MAX):
        assert not call.paused
        ask(handler, number)
    assert call.paused
    half = KEEP_ALIVES_PENDING_MAX // 2
    for _, done in held[: half - 1]:
        done(1, None)
    assert call.paused
    held[half - 1][1](1, None)
    assert not call.paused


def test_client_that_does_not_read_is_not_read_from():
    _, call, handler, held = opened()
    call.writable = False
    ask(handler, 1)
    assert call.paused
    held[0][1](10, None)
    assert call.paused
    call.writable = True
    handler.on_writable()
    assert not call.paused
