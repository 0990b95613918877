"""Sending under both windows, and sharing what they allow."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from raftkv.transport import flow, frames
from raftkv.transport.frames import ErrorCode
from raftkv.transport.limits import ServerLimits
from tests.transport.pair import ECHO, KEEP, STREAM, RawClient, data, headers, message, request, unary

D, H = frames.DATA, frames.HEADERS


def sizes(got: list, stream_id: int = 1) -> list[int]:
    return [len(frame.payload) for frame in got if frame.kind == D and frame.stream_id == stream_id]


def held_call(client: RawClient, stream_id: int = 1):
    client.send(unary(stream_id, path=KEEP))
    return client.host.kept[-1][0]


def test_long_answer_stops_at_the_streams_window_and_goes_on() -> None:
    client = RawClient(settings={frames.INITIAL_WINDOW_SIZE: 10_000})
    held_call(client).reply(b"v" * 40_000)
    got = client.read()
    assert [frame.kind for frame in got] == [H, D] and sizes(got) == [10_000]
    assert client.send(frames.window_update(0, 100_000)) == []
    assert sizes(client.send(frames.window_update(1, 20_000))) == [16_384, 3616]
    got = client.send(frames.window_update(1, 20_000))
    assert sizes(got) == [10_005] and got[-1].kind == H and client.status(got) == ("0", "")


def test_long_answer_stops_at_the_connections_window() -> None:
    client = RawClient(settings={frames.INITIAL_WINDOW_SIZE: 1 << 20})
    held_call(client).reply(b"v" * 100_000)
    assert sum(sizes(client.read())) == 65_535
    assert client.server.sender.unsent_bytes == 100_005 - 65_535
    assert sum(sizes(client.send(frames.window_update(0, 1 << 20)))) == 100_005 - 65_535
    assert client.server.sender.unsent_bytes == 0


def test_window_shrunk_below_zero_must_be_refilled_first() -> None:
    """RFC 9113 §6.9.2: SETTINGS move the windows of open streams, also below zero."""
    client = RawClient(settings={frames.INITIAL_WINDOW_SIZE: 10_000})
    held_call(client).reply(b"v" * 20_000)
    assert sizes(client.read()) == [10_000]
    client.send(frames.settings({frames.INITIAL_WINDOW_SIZE: 4_000}))
    assert sizes(client.send(frames.window_update(1, 6_000))) == []
    assert sizes(client.send(frames.window_update(1, 1))) == [1]
    got = client.send(frames.settings({frames.INITIAL_WINDOW_SIZE: 50_000}))
    assert sum(sizes(got)) == 20_005 - 10_001


def test_larger_frames_are_used_when_the_peer_takes_them() -> None:
    client = RawClient(settings={frames.INITIAL_WINDOW_SIZE: 1 << 20, frames.MAX_FRAME_SIZE: 60_000})
    held_call(client).reply(b"v" * 59_000)
    assert sizes(client.read()) == [59_005]


def test_short_answer_with_a_window_of_zero_waits_and_loses_nothing() -> None:
    client = RawClient(settings={frames.INITIAL_WINDOW_SIZE: 0})
    assert [frame.kind for frame in client.send(unary(1, b"hello"))] == [H]
    got = client.send(frames.window_update(1, 3)) + client.send(frames.settings({frames.INITIAL_WINDOW_SIZE: 100}))
    assert b"".join(frame.payload for frame in got if frame.kind == D) == message(b"hello")
    assert client.status(got) == ("0", "") and client.server.sender.unsent_bytes == 0


def test_streams_share_the_connections_window_in_turns() -> None:
    client = RawClient(settings={frames.INITIAL_WINDOW_SIZE: 1 << 24})
    calls = [held_call(client, stream_id) for stream_id in (1, 3, 5)]
    for call in calls:
        call.reply(b"v" * 1_000_000)
    client.read()
    got = client.send(frames.window_update(0, 6 * flow.QUANTUM_BYTES))
    assert {stream_id: sum(sizes(got, stream_id)) for stream_id in (1, 3, 5)} == dict.fromkeys((1, 3, 5), 2 * flow.QUANTUM_BYTES)


def test_answer_that_fits_does_not_overtake_streams_waiting_for_the_connection() -> None:
    client = RawClient(settings={frames.INITIAL_WINDOW_SIZE: 1 << 20})
    held_call(client).reply(b"v" * 70_000)
    client.read()
    assert [frame.kind for frame in client.send(unary(3, b"late"))] == [H]
    got = client.send(frames.window_update(0, 10_000))
    assert [frame.stream_id for frame in got if frame.kind == D] == [1, 3]


def test_stream_waiting_for_its_own_window_does_not_block_others() -> None:
    client = RawClient(settings={frames.INITIAL_WINDOW_SIZE: 1000})
    held_call(client).reply(b"v" * 2000)
    client.read()
    assert [frame.kind for frame in client.send(unary(3))] == [H, D, H]


def test_one_turn_writes_a_bounded_share_of_a_huge_answer() -> None:
    """The rest waits for the next turn, so that the loop stays everybody's."""
    client = RawClient(settings={frames.INITIAL_WINDOW_SIZE: 1 << 30})
    client.send(frames.window_update(0, 1 << 30))
    held_call(client).reply(b"v" * (3 * flow.TURN_BYTES_MAX))
    turns = []
    while client.server.sender.dirty:
        turns.append(len(b"".join(client.server.take())))
    assert len(turns) == 4 and all(size < flow.TURN_BYTES_MAX * 1.01 for size in turns)


def test_paused_transport_holds_data_back_but_not_control() -> None:
    client = RawClient()
    call = held_call(client)
    client.server.sender.pause()
    call.reply(b"x")
    got = client.send(frames.ping(b"abcdefgh", ack=False))
    assert [frame.kind for frame in got] == [H, frames.PING]
    client.server.sender.resume()
    assert [frame.kind for frame in client.read()] == [D, H]


def test_reset_stream_gives_back_what_it_had_queued() -> None:
    client = RawClient(settings={frames.INITIAL_WINDOW_SIZE: 10})
    held_call(client).reply(b"v" * 5000)
    client.read()
    client.send(frames.rst_stream(1, ErrorCode.CANCEL))
    assert client.server.sender.unsent_bytes == 0 and not client.server.streams
    client.server.check_invariants()


def test_stream_becomes_writable_again_once() -> None:
    limits = ServerLimits(stream_unsent_bytes_max=10_000)
    client = RawClient(limits, settings={frames.INITIAL_WINDOW_SIZE: 0})
    client.send(headers(1, request(STREAM)))
    handler = client.host.handlers[0]
    assert handler.call.writable
    for _ in range(11):
        handler.call.send(b"v" * 995)
    assert not handler.call.writable and handler.call.unsent_bytes == 11_000
    client.send(frames.window_update(1, 5_999))
    assert handler.log == []
    client.send(frames.window_update(1, 1))
    assert handler.log == ["writable"] and handler.call.writable
    client.send(frames.window_update(1, 10_000))
    assert handler.log == ["writable"] and handler.call.unsent_bytes == 0


def test_finish_waits_behind_what_is_queued() -> None:
    client = RawClient(settings={frames.INITIAL_WINDOW_SIZE: 10})
    client.send(headers(1, request(STREAM)), data(1, b"", end=True))
    call = client.host.handlers[0].call
    call.send(b"v" * 100)
    call.fail(14, "gone")
    assert [frame.kind for frame in client.read()] == [H, D]
    got = client.send(frames.window_update(1, 1000))
    assert [frame.kind for frame in got] == [D, H] and client.status(got) == ("14", "gone")


def test_requests_wait_while_too_much_is_unsent() -> None:
    """A client that asks for much and takes nothing is not served on; nothing is refused, and reading goes on."""
    client = RawClient(ServerLimits(unsent_bytes_max=10_000), settings={frames.INITIAL_WINDOW_SIZE: 0})
    call = held_call(client)
    call.reply(b"v" * 10_001)
    client.send(unary(3, path=KEEP), unary(5, b"yy", path=KEEP), unary(7, path=ECHO))
    assert len(client.host.kept) == 1 and len(client.server.held) == 3 and client.server.partial_bytes == 4
    client.send(frames.rst_stream(5, ErrorCode.CANCEL))
    assert len(client.server.held) == 2 and client.server.partial_bytes == 2
    got = client.send(frames.window_update(1, 20_000), frames.window_update(7, 100))
    assert len(client.host.kept) == 2 and not client.server.held and client.server.partial_bytes == 0
    assert sizes(got, 7) == [6]


@pytest.mark.slow
@given(st.data())
@settings(max_examples=60, derandomize=True, deadline=None)
def test_any_windows_deliver_every_byte_once_and_never_more_than_allowed(draw: st.DataObject) -> None:
    """A naive account of both windows beside the real one, through random openings and settings."""
    initial = draw.draw(st.integers(0, 3000))
    client = RawClient(settings={frames.INITIAL_WINDOW_SIZE: initial})
    connection_window, windows = 65_535, {}
    bodies, received, ended = {}, {}, set()

    def account(got: list) -> None:
        nonlocal connection_window
        for frame in got:
            if frame.kind == D:
                received[frame.stream_id] += frame.payload
                connection_window -= len(frame.payload)
                windows[frame.stream_id] -= len(frame.payload)
                assert connection_window >= 0 and windows[frame.stream_id] >= 0
            elif frame.kind == H and frame.flags & frames.FLAG_END_STREAM:
                ended.add(frame.stream_id)

    next_id = 1
    for _ in range(draw.draw(st.integers(1, 25))):
        act = draw.draw(st.sampled_from(["call", "open", "open stream", "settings"]))
        if act == "call":
            body = draw.draw(st.integers(0, 255)).to_bytes(1, "big") * draw.draw(st.integers(0, 20_000))
            bodies[next_id], received[next_id], windows[next_id] = body, b"", initial
            client.send(unary(next_id, path=KEEP))
            client.host.kept[-1][0].reply(body)
            next_id += 2
            account(client.read())
        elif act == "open":
            increment = draw.draw(st.integers(1, 20_000))
            connection_window += increment
            account(client.send(frames.window_update(0, increment)))
        elif act == "open stream" and set(bodies) - ended:
            stream_id = draw.draw(st.sampled_from(sorted(set(bodies) - ended)))
            increment = draw.draw(st.integers(1, 10_000))
            windows[stream_id] += increment
            account(client.send(frames.window_update(stream_id, increment)))
        elif act == "settings":
            changed = draw.draw(st.integers(0, 20_000))
            for stream_id in windows:
                windows[stream_id] += changed - initial
            initial = changed
            account(client.send(frames.settings({frames.INITIAL_WINDOW_SIZE: changed})))
    for stream_id in windows:
        windows[stream_id] += (1 << 20) - initial
    connection_window += 1 << 24
    account(client.send(frames.window_update(0, 1 << 24), frames.settings({frames.INITIAL_WINDOW_SIZE: 1 << 20})))
    assert received == {stream_id: message(body) for stream_id, body in bodies.items()}
    assert ended == set(bodies) and client.server.sender.unsent_bytes == 0 and not client.server.streams
