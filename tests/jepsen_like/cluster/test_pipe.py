"""A proxied stream loses nothing, changes nothing and keeps its order, whatever is done to its direction."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable

import pytest

from jepsen_like.cluster.links import CUT, OPEN, Conditions
from jepsen_like.cluster.pipe import HELD_BYTES_MAX, Direction, Pipe


class Socket(asyncio.Transport):
    """One end, which keeps what is written to it."""

    def __init__(self) -> None:
        super().__init__()
        self.written: list[bytes] = []
        self.reading = True

    def write(self, data: bytes) -> None:
        self.written.append(bytes(data))

    def is_closing(self) -> bool:
        return False

    def pause_reading(self) -> None:
        self.reading = False

    def resume_reading(self) -> None:
        self.reading = True


class Stream:
    """A pipe between two such ends."""

    def __init__(self, seed: int = 1) -> None:
        self.direction = Direction(random.Random(seed))
        self.source, self.target = Socket(), Socket()
        self.ended = asyncio.Event()
        self.pipe = Pipe(self.direction, self.source, self.ended.set)
        self.pipe.target = self.target

    @property
    def carried(self) -> bytes:
        return b"".join(self.target.written)


def run(scenario: Callable[[Stream], Awaitable[None]]) -> None:
    async def main() -> None:
        await scenario(Stream())

    asyncio.run(main())


def test_open_stream_passes_at_once_and_is_counted():
    async def scenario(stream: Stream) -> None:
        stream.pipe.feed(b"abc")
        assert stream.carried == b"abc"
        assert (stream.direction.counters.passed, stream.direction.counters.passed_bytes) == (1, 3)

    run(scenario)


def test_cut_holds_bytes_and_the_end_and_healing_delivers_them_in_order():
    """A partition hides a crash; what TCP would send again arrives late, not never."""

    async def scenario(stream: Stream) -> None:
        stream.direction.change(CUT)
        stream.pipe.feed(b"one")
        stream.pipe.feed(b"two")
        stream.pipe.feed(b"")
        assert stream.carried == b"" and not stream.ended.is_set()
        assert stream.direction.counters.cut == 3 and stream.direction.counters.passed == 0
        stream.direction.change(OPEN)
        assert stream.carried == b"onetwo" and stream.ended.is_set()

    run(scenario)


def test_full_pipe_stops_reading_and_goes_on_when_it_drains():
    """Memory is bounded; the sender's own buffers fill, as on a slow link."""

    async def scenario(stream: Stream) -> None:
        stream.direction.change(CUT)
        stream.pipe.feed(bytes(HELD_BYTES_MAX + 1))
        assert not stream.source.reading
        stream.direction.change(OPEN)
        assert stream.source.reading and len(stream.carried) == HELD_BYTES_MAX + 1

    run(scenario)


@pytest.mark.parametrize(
    "conditions",
    [
        Conditions(delay_ms=2.0, jitter_ms=2.0),
        Conditions(delay_ms=1.0, reorder=0.5),
        Conditions(rate_bytes_s=100_000.0),
    ],
    ids=str,
)
def test_slow_stream_keeps_its_order(conditions):
    """Whatever the delays, nothing overtakes inside a stream."""

    async def scenario(stream: Stream) -> None:
        stream.direction.change(conditions)
        sent = [b"%03d" % number for number in range(200)]
        for piece in sent:
            stream.pipe.feed(piece)
        stream.pipe.feed(b"")
        async with asyncio.timeout(60.0):
            await stream.ended.wait()
        assert stream.target.written == sent
        assert stream.direction.counters.delayed >= 190

    run(scenario)


def test_lost_piece_waits_for_its_retransmission_and_is_counted():
    async def scenario(stream: Stream) -> None:
        stream.direction.change(Conditions(loss=0.9))
        stream.pipe.feed(b"x")
        assert stream.carried == b"" and stream.direction.counters.lost > 0
        stream.pipe.close()

    run(scenario)
