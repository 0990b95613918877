"""What a call costs between the socket's bytes in and out. Prints; asserts no time."""

from __future__ import annotations

import importlib
import time
from collections.abc import Iterator

import pytest

from jepsen_like.sim.loop import VirtualLoop
from raftkv.transport import frames, hpack
from raftkv.transport.deadlines import Deadlines
from tests.transport.pair import ECHO, STREAM, RawClient, data, headers, message, request

TURNS, CALLS = 200, 64
FIELDS = [
    (":method", "POST"),
    (":scheme", "http"),
    (":path", ECHO),
    (":authority", "127.0.0.1:2379"),
    ("content-type", "application/grpc"),
    ("user-agent", "grpc-go/1.72.0"),
    ("te", "trailers"),
]


def blocks(timeouts: bool) -> Iterator[bytes]:
    """Header blocks as Go clients send them: the timeout is new each time, and enters the table."""
    encoder = importlib.import_module("hpack").Encoder() if timeouts else hpack.Encoder()
    for count in range(TURNS * CALLS):
        yield encoder.encode([*FIELDS, ("grpc-timeout", f"{4999999 - count}u")] if timeouts else FIELDS)


def unary_us(timeouts: bool) -> float:
    client = RawClient(settings={frames.INITIAL_WINDOW_SIZE: 1 << 30})
    client.send(frames.window_update(0, 1 << 30))
    loop = VirtualLoop(1)
    client.server.deadlines = Deadlines(loop)
    body = message(b"v" * 275)
    calls = [headers(2 * n + 1, block) + data(2 * n + 1, body, end=True) for n, block in enumerate(blocks(timeouts))]
    turns = [b"".join(calls[at : at + CALLS]) for at in range(0, len(calls), CALLS)]
    start_s = time.process_time()
    for turn in turns:
        client.server.receive(turn)
        b"".join(client.server.take())
    spent_s = time.process_time() - start_s
    loop.close()
    assert client.server.services.counters[ECHO].ok == TURNS * CALLS
    return spent_s / (TURNS * CALLS) * 1e6


def send_us() -> float:
    client = RawClient(settings={frames.INITIAL_WINDOW_SIZE: 1 << 30})
    client.send(frames.window_update(0, 1 << 30), headers(1, request(STREAM)))
    call, body = client.host.handlers[0].call, b"v" * 100
    start_s = time.process_time()
    for _ in range(TURNS):
        for _ in range(CALLS):
            call.send(body)
        b"".join(client.server.take())
    return (time.process_time() - start_s) / (TURNS * CALLS) * 1e6


@pytest.mark.bench
@pytest.mark.slow
def test_cost_of_a_call(capsys: pytest.CaptureFixture[str]) -> None:
    """Frames in, echo handler, frames out, 64 calls to a turn; and a message on an open stream."""
    with capsys.disabled():
        print(f"\nunary {min(unary_us(False) for _ in range(5)):.2f} µs", end=", ")
        print(f"with a Go client's timeout {min(unary_us(True) for _ in range(5)):.2f} µs", end=", ")
        print(f"stream message {min(send_us() for _ in range(5)):.2f} µs")
