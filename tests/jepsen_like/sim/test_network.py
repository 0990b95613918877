"""The simulated links: what a connection may do to its bytes, and what it may not."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest

from jepsen_like.sim.cluster import virtual_time
from jepsen_like.sim.loop import VirtualLoop
from jepsen_like.sim.network import Link


@pytest.mark.parametrize("seed", range(5))
def test_what_a_cut_held_is_not_overtaken_by_what_is_sent_later(seed: int) -> None:
    """The bytes of a connection arrive in order, also around a cut: else a fault of the network looks like one of the server."""
    with virtual_time(VirtualLoop(seed)) as loop:
        link = Link(loop, "a", "b", (0.001, 0.010))
        arrived: list[int] = []
        sent_s = 0.0
        for number in range(40):
            if number in (5, 20):
                link.cut()
            if number in (15, 30):
                link.mend()
            sent_s = link.deliver(arrived.append, (number,), 10, sent_s)
        loop.run_until_complete(_wait(loop, arrived, 40))
        assert arrived == list(range(40))
        loop.close()


def test_end_of_a_connection_waits_behind_what_a_slow_link_was_given() -> None:
    """Also when the link is fast again: no byte of a connection overtakes another. The network says when the end will have come."""
    with virtual_time(VirtualLoop(1)) as loop:
        loop.run_until_complete(_ends_late(loop))
        loop.close()


async def _ends_late(loop: VirtualLoop) -> None:
    network = loop.network
    ended: list[float] = []

    class Listening(asyncio.Protocol):
        def connection_lost(self, error: Exception | None) -> None:
            ended.append(loop.now_s)

    network.listen(Listening, "b", 1)
    transport, _protocol = await network.connect(asyncio.Protocol, "b", 1)
    link = network.link("client", "b")
    link.shape(network.delay_s, rate_bytes_s=1_000)
    began_s = loop.now_s
    transport.write(b"." * 15_000)
    link.shape(network.delay_s)
    await asyncio.sleep(1)
    transport.close()
    ends_s = network.arrived_s("client", "b")
    assert ends_s == pytest.approx(began_s + 15)
    assert network.arrived_s("b", "client") == loop.now_s
    await _wait(loop, ended, 1)
    assert ended == [ends_s]
    assert network.arrived_s("client", "b") == loop.now_s


async def _wait(loop: VirtualLoop, arrived: Sequence[object], count: int) -> None:
    while len(arrived) < count:
        assert loop.time() < 1e6
        await asyncio.sleep(0.01)
