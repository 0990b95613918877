"""Two transports joined in memory: order, pausing, the end."""

from __future__ import annotations

import asyncio

from jepsen_like.sim.loop import VirtualLoop
from raftkv.transport.pair import connect_pair


class Recorder(asyncio.Protocol):
    """Writes down what it is told."""

    def __init__(self) -> None:
        self.told: list[object] = []
        self.transport: asyncio.Transport | None = None

    def connection_made(self, transport):
        self.transport = transport

    def data_received(self, data):
        self.told.append(data)

    def pause_writing(self):
        self.told.append("pause")

    def resume_writing(self):
        self.told.append("resume")

    def connection_lost(self, exc):
        self.told.append("lost")


def play(scenario):
    """Runs a scenario with both ends."""
    loop = VirtualLoop(0)

    async def body():
        near, far = Recorder(), Recorder()
        connect_pair(loop, near, far)
        await scenario(near, far)

    loop.run_until_complete(body())
    assert not loop.callback_errors


async def turns():
    for _ in range(5):
        await asyncio.sleep(0)


def test_bytes_of_one_turn_arrive_together_in_a_later_one():
    """Never from inside the write."""

    async def scenario(near, far):
        near.transport.write(b"a")
        near.transport.writelines([b"b", bytearray(b"c")])
        assert far.told == []
        await turns()
        assert far.told == [b"abc"]
        assert far.transport.get_extra_info("peername") == "in-process"

    play(scenario)


def test_reader_that_stops_pauses_the_writer():
    """At the high-water mark; taking what arrived resumes it."""

    async def scenario(near, far):
        near.transport.set_write_buffer_limits(high=10)
        far.transport.pause_reading()
        near.transport.write(b"x" * 10)
        assert near.told == []
        near.transport.write(b"y")
        assert near.told == ["pause"] and near.transport.get_write_buffer_size() == 11
        await turns()
        assert far.told == []
        far.transport.resume_reading()
        await turns()
        assert far.told == [b"x" * 10 + b"y"] and near.told == ["pause", "resume"]

    play(scenario)


def test_close_delivers_what_was_written_and_tells_both_once():
    """Also to a side that resumes reading later."""

    async def scenario(near, far):
        far.transport.pause_reading()
        near.transport.write(b"last")
        near.transport.close()
        near.transport.close()
        near.transport.write(b"dropped")
        await turns()
        assert near.told == ["lost"] and far.told == []
        far.transport.resume_reading()
        await turns()
        assert far.told == [b"last", "lost"] and near.told == ["lost"]

    play(scenario)


def test_abort_drops_what_has_not_arrived():
    """And tells both."""

    async def scenario(near, far):
        near.transport.write(b"last")
        near.transport.abort()
        await turns()
        assert (near.told, far.told) == (["lost"], ["lost"])

    play(scenario)
