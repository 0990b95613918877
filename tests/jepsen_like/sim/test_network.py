"""The simulated links: what a connection may do to its bytes, and what it may not."""

from __future__ import annotations

import asyncio

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


async def _wait(loop: VirtualLoop, arrived: list[int], count: int) -> None:
    while len(arrived) < count:
        assert loop.time() < 1e6
        await asyncio.sleep(0.01)
