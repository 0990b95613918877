"""A collection that is no more, and a server that stops: nobody who waits is left waiting."""

from __future__ import annotations

import asyncio

import pytest

from resource_api.cache.item import Event
from resource_api.cache.rounds import ReadRounds
from resource_api.errors import StatusError
from resource_api.registry.objects import decode_stored
from resource_api.registry.requests import ListOptions
from resource_api.registry.store import StoreUnavailableError
from tests.resource_api.cache.collection import PODS, Collection, run
from tests.support.memory_store import MemoryStore


def test_reader_that_waits_for_a_version_is_told_when_the_cache_stops():
    """429 with a time to come back, at once and not after the timeout."""

    async def scenario(world: Collection) -> None:
        await world.settle()
        waiting = asyncio.get_running_loop().create_task(world.reader.cache.fresh(world.store.now + 1))
        await asyncio.sleep(0.2)
        world.reader.cache.stop()
        with pytest.raises(StatusError) as caught:
            await waiting
        assert (caught.value.code, caught.value.retry_after_s) == (429, 1)

    run(scenario)


def test_collection_that_is_gone_before_its_first_use_is_not_followed():
    """A request that was on its way when its kind went is refused at once, and leaves no task behind that nobody would end."""

    async def scenario(world: Collection) -> None:
        world.caches.forget("pods")
        before = asyncio.all_tasks()
        began_s = world.loop.time()
        with pytest.raises(StatusError) as caught:
            await world.reader.list("", ListOptions())
        assert (caught.value.code, world.loop.time()) == (429, began_s)
        assert asyncio.all_tasks() == before

    run(scenario)


def test_rounds_that_stop_leave_nobody_waiting():
    """Neither those that wait, nor those that come later; not even when no round has begun."""

    class Silent(MemoryStore):
        async def revision(self) -> int:
            await asyncio.sleep(1000)
            return await super().revision()

    async def scenario() -> None:
        async with asyncio.TaskGroup() as group:
            for turns in (0, 1, 5):
                rounds = ReadRounds(Silent(), group)
                asked = [group.create_task(expect(rounds)) for _ in range(3)]
                await asyncio.sleep(0)
                for _ in range(turns):
                    await asyncio.sleep(0)
                rounds.stop()
                await asyncio.wait_for(asyncio.wait(asked), 1)
                assert all(task.done() for task in asked)
                await expect(rounds)

    async def expect(rounds: ReadRounds) -> None:
        with pytest.raises(StoreUnavailableError):
            await rounds.current()

    asyncio.run(scenario())


def test_watch_ends_when_its_collection_is_read_in_another_way():
    """It tells what came before; the state stays, lists are made anew, and a watch that goes on from there misses nothing."""

    async def scenario(world: Collection) -> None:
        world.put("a")
        upper = world.caches.reader(PODS, decode=lambda stored: {**decode_stored(stored), "kind": "POD"})
        await world.settle()
        listing = await upper.list("", ListOptions())
        assert await listing.joined("kind", lambda item: str(item.object()["kind"]).encode()) == b"POD"
        async with await upper.watch("", ListOptions(resource_version=str(listing.resource_version))) as watching:
            revision = world.put("b")
            await world.settle()
            world.caches.forget_views("pods")
            told = [notice async for notices in watching for notice in notices]
        assert [notice.item.key for notice in told if isinstance(notice, Event)] == ["pods/default/b"]
        lower = world.caches.reader(PODS, decode=lambda stored: {**decode_stored(stored), "kind": "pod"})
        listing = await lower.list("", ListOptions())
        assert (listing.resource_version, [item.object()["kind"] for item in listing.items]) == (revision, ["pod", "pod"])
        async with await lower.watch("", ListOptions(resource_version=str(revision))) as watching:
            world.put("c")
            [notice] = await anext(watching)
            assert isinstance(notice, Event) and notice.item.object()["metadata"]["name"] == "c"
        world.caches.forget_views("never")

    run(scenario)
