"""Many deadlines on one timer."""

from __future__ import annotations

import asyncio

from hypothesis import given, settings
from hypothesis import strategies as st

from jepsen_like.sim.loop import VirtualLoop
from raftkv.transport.deadlines import SLOTS_PER_S, Deadlines


class Item:
    def __init__(self, loop: asyncio.AbstractEventLoop, told: list[tuple[Item, float]]) -> None:
        self.loop, self.told = loop, told

    def on_deadline(self) -> None:
        self.told.append((self, self.loop.time()))


@given(st.lists(st.tuples(st.floats(0, 100), st.booleans()), max_size=30))
@settings(max_examples=60, derandomize=True, deadline=None)
def test_deadlines_are_told_once_never_early_and_in_order(wanted: list[tuple[float, bool]]) -> None:
    loop = VirtualLoop(1)
    deadlines, told, kept, start_s = Deadlines(loop), [], {}, loop.time()
    for after_s, dropped in wanted:
        item = Item(loop, told)
        slot = deadlines.add(start_s + after_s, item)
        if dropped:
            deadlines.discard(slot, item)
            deadlines.discard(slot, item)
        else:
            kept[item] = start_s + after_s
    loop.call_later(101, loop.stop)
    loop.run_forever()
    assert [item for item, _ in told] == sorted(kept, key=lambda item: int(kept[item] * SLOTS_PER_S))
    assert all(0 <= at_s - kept[item] <= 1.01 / SLOTS_PER_S + 1e-9 for item, at_s in told)
    assert deadlines._timer is None
    loop._thread_id = None
    loop.close()


def test_deadlines_closed_tell_nobody() -> None:
    loop = VirtualLoop(1)
    deadlines, told = Deadlines(loop), []
    deadlines.add(loop.time() + 1, Item(loop, told))
    deadlines.close()
    loop.call_later(10, loop.stop)
    loop.run_forever()
    assert told == []
    loop._thread_id = None
    loop.close()
