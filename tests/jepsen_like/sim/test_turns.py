"""Faults wait for each other's machines: nobody is refused, overtaken or left waiting in a circle."""

from __future__ import annotations

import asyncio

import pytest

from jepsen_like.sim.faults.turns import Turns
from jepsen_like.sim.loop import VirtualLoop


def run(main):
    loop = VirtualLoop(1)
    asyncio.set_event_loop(loop)
    try:
        return loop.run_until_complete(loop.create_task(main()))
    finally:
        asyncio.set_event_loop(None)
        loop.close()


def test_fault_gets_its_machine_once_the_earlier_one_is_done():
    """A machine is one fault's at a time, and who asked first has it first."""

    async def main():
        turns, order = Turns(), []

        async def fault(name, hosts, for_s):
            await turns.take(hosts)
            order.append((name, asyncio.get_running_loop().time()))
            await asyncio.sleep(for_s)
            turns.give_back(hosts)

        began_s = asyncio.get_running_loop().time()
        async with asyncio.TaskGroup() as group:
            for name, hosts, for_s in (("a", ["m0"], 1.0), ("b", ["m0", "m1"], 1.0), ("c", ["m1"], 1.0), ("d", ["m2"], 1.0)):
                group.create_task(fault(name, hosts, for_s))
        return [(name, round(at_s - began_s)) for name, at_s in order]

    # c could have m1 at once, but b asked before: else one that wants many machines would wait for ever.
    assert run(main) == [("a", 0), ("d", 0), ("b", 1), ("c", 2)]


@pytest.mark.parametrize("granted", [False, True])
def test_fault_that_stops_waiting_keeps_nothing(granted):
    """Given up while it waits, or in the very turn in which it was granted."""

    async def main():
        turns = Turns()
        await turns.take(["m0"])
        loop = asyncio.get_running_loop()
        waiting = loop.create_task(turns.take(["m0", "m1"]))
        behind = loop.create_task(turns.take(["m1"]))
        await asyncio.sleep(0)
        assert not behind.done()
        if granted:
            turns.give_back(["m0"])
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        await behind
        return turns.is_held("m0"), turns.is_held("m1")

    assert run(main) == (not granted, True)
