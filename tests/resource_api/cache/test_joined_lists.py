"""Lists as bytes: how often they are made, and for how long they hold the loop."""

from __future__ import annotations

import asyncio

import pytest

from resource_api.cache.item import Item
from resource_api.cache.joined_lists import STEP, JoinedLists
from resource_api.registry.store import Stored


def items_of(count: int) -> list[Item]:
    return [Item(Stored(f"pods/{number}", b"%d" % number, number), lambda stored: {}) for number in range(count)]


class Slow:
    """Encodes as if each step took longer than a turn; counts."""

    def __init__(self) -> None:
        self.count = 0

    def __call__(self, item: Item) -> bytes:
        self.count += 1
        return item.value


@pytest.fixture
def _slow_turns(monkeypatch):
    """Every look at the time finds that the turn is over."""
    monkeypatch.setattr("resource_api.turns.TURN_S", 0.0)


@pytest.mark.usefixtures("_slow_turns")
def test_list_that_many_want_at_once_is_made_once():
    """In slices, and all get the same bytes."""

    async def scenario():
        lists, encode, items = JoinedLists(1 << 20), Slow(), items_of(STEP * 4)
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(lists.joined("x", items, encode, b",")) for _ in range(5)]
            await asyncio.sleep(0)
            await asyncio.sleep(0)
            assert 0 < encode.count < len(items)
        made = {task.result() for task in tasks}
        assert made == {b",".join(b"%d" % number for number in range(STEP * 4))}
        assert encode.count == len(items)
        await lists.joined("x", items, encode, b",")
        assert encode.count == len(items)

    asyncio.run(scenario())


@pytest.mark.usefixtures("_slow_turns")
def test_list_that_changes_while_it_is_made_is_kept_for_nobody():
    """Who asked before the change has the old one, who asks after it the new one."""

    async def scenario():
        lists, encode = JoinedLists(1 << 20), Slow()
        async with asyncio.TaskGroup() as group:
            old = group.create_task(lists.joined("x", items_of(STEP * 4), encode, b","))
            await asyncio.sleep(0)
            lists.forget()
            new = await lists.joined("x", items_of(2), encode, b",")
        assert new == b"0,1" and old.result().count(b",") == STEP * 4 - 1
        assert await lists.joined("x", items_of(2), encode, b",") == b"0,1"
        assert lists.kept_bytes == 3

    asyncio.run(scenario())


@pytest.mark.usefixtures("_slow_turns")
def test_list_whose_maker_is_cancelled_is_made_by_who_waits():
    """A client that goes takes nothing from the others."""

    async def scenario():
        lists, encode, items = JoinedLists(1 << 20), Slow(), items_of(STEP * 3)
        async with asyncio.TaskGroup() as group:
            maker = group.create_task(lists.joined("x", items, encode, b","))
            await asyncio.sleep(0)
            waiter = group.create_task(lists.joined("x", items, encode, b","))
            await asyncio.sleep(0)
            maker.cancel()
        assert maker.cancelled() and waiter.result().count(b",") == STEP * 3 - 1

    asyncio.run(scenario())
