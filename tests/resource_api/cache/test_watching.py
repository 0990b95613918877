"""Watches as clients see them: how they begin, what they are told, how they end."""

from __future__ import annotations

import asyncio

import pytest

from resource_api.cache.subscription import TAKEN_BYTES_MAX
from resource_api.cache.watch_cache import CacheSettings
from resource_api.cache.watching import Failure
from resource_api.errors import StatusError
from resource_api.registry.requests import ListOptions
from tests.resource_api.cache.collection import PODS, Collection, run, take, take_all, told
from tests.support.memory_store import MemoryStore


def test_watch_from_a_version_tells_what_came_after():
    """Additions, changes and deletions, with the deletion's own version."""

    async def scenario(world: Collection):
        old = world.put("a")
        await world.settle()
        first = world.put("b")
        await world.settle()
        async with await world.watch(resource_version=str(old)) as watching:
            second = world.put("a")
            third = world.remove("b")
            world.put("c", namespace="other")
            assert await take(watching, 4) == [
                ("ADDED", "b", first),
                ("MODIFIED", "a", second),
                ("DELETED", "b", third),
                ("ADDED", "c", third + 1),
            ]

    run(scenario)


def test_initial_events_of_a_version_to_come_are_refused_by_the_watch_itself():
    """After three seconds; a watch from there without them waits for it."""

    async def scenario(world: Collection):
        world.put("a")
        await world.settle()
        wanted = {"send_initial_events": True, "resource_version_match": "NotOlderThan", "resource_version": "9"}
        async with await world.watch(**wanted) as watching:
            (notice,) = [notice async for notices in watching for notice in notices]
            assert isinstance(notice, Failure)
            assert (notice.error.code, notice.error.reason) == (504, "Timeout")

    run(scenario)


def test_watch_of_a_namespace_tells_nothing_of_others():
    """Nor does one of a single object."""

    async def scenario(world: Collection):
        await world.settle()
        start = str(world.store.now)
        async with (
            await world.watch("default", resource_version=start) as ours,
            await world.watch("default", resource_version=start, field_selector="metadata.name=a") as single,
        ):
            world.put("a", namespace="def")
            world.put("ab")
            last = world.put("a")
            assert await take(ours, 2) == [("ADDED", "ab", last - 1), ("ADDED", "a", last)]
            assert await take(single, 1) == [("ADDED", "a", last)]

    run(scenario)


@pytest.mark.parametrize("version", ["", "0"])
def test_watch_from_no_version_begins_with_what_is_there(version):
    """No version: the latest state; 0: any; a bookmark at its end only for those who take bookmarks."""

    async def scenario(world: Collection):
        world.put("b")
        last = world.put("a")
        await world.settle()
        if version == "":
            last = world.put("c")
        async with await world.watch(resource_version=version) as watching:
            expected = [("ADDED", "a", 3), ("ADDED", "b", 2)] + ([("ADDED", "c", 4)] if version == "" else [])
            assert await take(watching, len(expected)) == expected
            world.put("a")
            assert await take(watching, 1) == [("MODIFIED", "a", last + 1)]

    run(scenario)


def test_streaming_list_ends_its_initial_events_with_a_bookmark():
    """Of a version not below the one asked for."""

    async def scenario(world: Collection):
        first = world.put("a", labels={"x": "1"})
        world.put("b")
        now = world.store.put("elsewhere/x", b"{}")
        options = {"send_initial_events": True, "resource_version_match": "NotOlderThan", "allow_bookmarks": True}
        async with await world.watch(label_selector="x", **options) as watching:
            assert await take(watching, 2) == [("ADDED", "a", first), ("INITIAL", "", now)]
        async with await world.watch(resource_version=str(now), **options) as watching:
            assert (await take(watching, 3))[-1] == ("INITIAL", "", now)
        silent = {"send_initial_events": True, "resource_version_match": "NotOlderThan"}
        async with await world.watch(**silent) as watching:
            await take(watching, 2)
            world.put("c")
            assert await take(watching, 1) == [("ADDED", "c", now + 1)]

    run(scenario)


def test_streaming_list_of_an_empty_collection_is_a_bookmark():
    """The client learns that there is nothing."""

    async def scenario(world: Collection):
        options = {"send_initial_events": True, "resource_version_match": "NotOlderThan", "allow_bookmarks": True}
        async with await world.watch(**options) as watching:
            assert await take(watching, 1) == [("INITIAL", "", world.store.now)]

    run(scenario)


def test_watch_without_initial_events_begins_at_the_latest_version():
    """sendInitialEvents=false."""

    async def scenario(world: Collection):
        world.put("a")
        options = {"send_initial_events": False, "resource_version_match": "NotOlderThan"}
        async with await world.watch(**options) as watching:
            last = world.put("b")
            assert await take(watching, 1) == [("ADDED", "b", last)]

    run(scenario)


def test_watch_options_that_do_not_go_together_are_refused():
    """422 before anything is streamed."""

    async def scenario(world: Collection):
        for options, text in (
            ({"send_initial_events": True}, "resourceVersionMatch: Forbidden: sendInitialEvents requires setting resourceVersionMatch to"),
            (
                {"resource_version_match": "NotOlderThan"},
                "resourceVersionMatch is forbidden for watch unless sendInitialEvents is provided",
            ),
            ({"send_initial_events": True, "resource_version_match": "Exact"}, 'Unsupported value: "Exact"'),
        ):
            with pytest.raises(StatusError) as error:
                await world.watch(**options)
            assert error.value.code == 422
            assert error.value.message.startswith('ListOptions.meta.k8s.io "" is invalid: ')
            assert text in error.value.message

    run(scenario)


def test_object_that_enters_or_leaves_a_selection_is_added_or_deleted():
    """Leaving: the last state that was selected, with the new version."""

    async def scenario(world: Collection):
        await world.settle()
        async with (
            await world.watch(resource_version=str(world.store.now), label_selector="app=x") as labels,
            await world.watch(resource_version=str(world.store.now), field_selector="status.phase=Running") as fields,
        ):
            world.put("a", labels={"app": "y"})
            entered = world.put("a", labels={"app": "x"}, phase="Running")
            changed = world.put("a", labels={"app": "x"}, phase="Failed")
            left = world.put("a", labels={"app": "z"})
            world.remove("a")
            batch = [await anext(labels) for _ in range(1)][0]
            assert [(event.type, event.revision) for event in batch] == [("ADDED", entered), ("MODIFIED", changed), ("DELETED", left)]
            gone = batch[-1].item.object()
            assert gone["metadata"] == {
                "name": "a",
                "namespace": "default",
                "labels": {"app": "x"},
                "resourceVersion": str(left),
            }
            assert gone["status"] == {"phase": "Failed"}
            assert await take(fields, 2) == [("ADDED", "a", entered), ("DELETED", "a", changed)]

    run(scenario)


def test_version_that_left_the_window_is_an_error_event():
    """410 Expired told by the stream, which then ends; a version in the window is not refused."""

    async def scenario(world: Collection):
        await world.settle()
        start = world.store.now
        for number in range(12):
            world.put(f"p{number}")
        await world.settle()
        oldest = world.reader.cache.oldest
        assert oldest == world.store.now - 10
        async with await world.watch(resource_version=str(start)) as watching:
            assert await take_all(watching) == [("ERROR", f"too old resource version: {start} ({oldest})", 410)]
        async with await world.watch(resource_version=str(oldest)) as watching:
            assert len(await take(watching, 10)) == 10

    run(scenario, settings=CacheSettings(window_events_min=10, window_fresh_s=-1))


def test_window_keeps_young_events_up_to_the_most_and_is_bounded_in_bytes():
    """Age counts only above the least number."""

    async def scenario(world: Collection):
        await world.settle()
        cache = world.reader.cache
        for _ in range(30):
            world.put("a")
        await world.settle()
        assert len(cache._window) == 20
        await asyncio.sleep(100)
        world.put("a")
        await world.settle()
        assert len(cache._window) == 5
        for _ in range(5):
            world.put("a", size=8000)
        await world.settle()
        assert cache._window.size_bytes <= 30_000
        assert 1 <= len(cache._window) < 5

    settings = CacheSettings(window_events_min=5, window_events_max=20, window_fresh_s=75, window_bytes_max=30_000)
    run(scenario, settings=settings)


def test_watch_of_a_version_to_come_is_silent_until_then():
    """It stays open; what happens up to that version is not told, and no bookmark of an earlier one."""

    async def scenario(world: Collection):
        await world.settle()
        async with await world.watch(resource_version=str(world.store.now + 2), allow_bookmarks=True) as watching:
            async with asyncio.TaskGroup() as group:
                first = group.create_task(take(watching, 1))
                await asyncio.sleep(300)
                assert not first.done()
                for name in "abc":
                    last = world.put(name)
            assert first.result() == [("ADDED", "c", last)]

    run(scenario)


def test_bookmarks_come_every_minute_and_before_the_end():
    """Only to those who take them; their version moves with the store although the collection is still."""

    async def scenario(world: Collection):
        await world.settle()
        began_s = world.loop.time()
        found = []
        async with await world.watch(resource_version="1", allow_bookmarks=True, timeout_s=200) as watching:
            async for batch in watching:
                found += [(round(world.loop.time() - began_s, 1), notice.revision) for notice in batch]
                world.store.put("elsewhere/x", b"{}")
        assert found == [(67.5, 1), (135.0, 2), (198.0, 3)]
        assert round(world.loop.time() - began_s, 1) == 200
        async with await world.watch(resource_version="1", timeout_s=200) as watching:
            assert await take_all(watching) == []

    run(scenario)


def test_watch_without_a_timeout_ends_within_an_hour():
    """At a random time from half an hour on."""

    async def scenario(world: Collection):
        await world.settle()
        began_s = world.loop.time()
        async with await world.watch(resource_version="1") as watching:
            assert await take_all(watching) == []
        assert 1800 <= world.loop.time() - began_s < 3600

    run(scenario)


def test_slow_watcher_is_ended_cleanly():
    """What it was told has no gap, and the client goes on where it was; others notice nothing."""

    async def scenario(world: Collection):
        await world.settle()
        start = world.store.now
        async with await world.watch(resource_version=str(start)) as slow, await world.watch(resource_version=str(start)) as quick:
            seen = []
            for number in range(10):
                world.put(f"p{number}")
                await world.settle()
                seen += await take(quick, 1)
            behind = await take_all(slow)
            assert behind == seen[:4]
        async with await world.watch(resource_version=str(behind[-1][2])) as again:
            assert behind + await take(again, 6) == seen

    run(scenario, settings=CacheSettings(subscriber_events_max=4))


def test_watcher_that_lets_many_bytes_wait_is_ended_cleanly():
    """Few events can be a lot; what was told before the end has no gap, and one event alone is no overflow."""

    async def scenario(world: Collection):
        await world.settle()
        start = world.store.now
        async with await world.watch(resource_version=str(start)) as slow:
            for number in range(10):
                world.put(f"p{number}", size=10_000)
                await world.settle()
            assert slow._subscription.waiting_bytes < 35_000
            behind = await take_all(slow)
            assert [name for _, name, _ in behind] == ["p0", "p1", "p2"]
            assert slow._subscription.waiting_bytes == 0
        async with await world.watch(resource_version=str(world.store.now)) as alone:
            world.put("large", size=100_000)
            assert [name for _, name, _ in await take(alone, 1)] == ["large"]

    run(scenario, settings=CacheSettings(subscriber_bytes_max=35_000))


def test_watcher_is_handed_a_part_of_many_bytes_at_once():
    """Whoever takes them holds no more than that besides the buffer; together it is everything, in order."""

    async def scenario(world: Collection):
        await world.settle()
        async with await world.watch(resource_version=str(world.store.now)) as watching:
            for number in range(8):
                world.put(f"p{number}", size=TAKEN_BYTES_MAX // 3)
                await world.settle()
            batches = [await anext(watching) for _ in range(3)]
            assert [[told(one)[1] for one in batch] for batch in batches] == [["p0", "p1", "p2"], ["p3", "p4", "p5"], ["p6", "p7"]]

    run(scenario)


def test_gap_in_the_stores_history_ends_watchers_and_lists_anew():
    """After a compaction that overtook the cache its clients have to list again: their version is too old."""

    async def scenario(world: Collection):
        world.put("a")
        await world.settle()
        start = world.store.now
        async with await world.watch(resource_version=str(start)) as watching:
            for name in "bcd":
                world.put(name)
            world.remove("a")
            world.store.forget(world.store.now)
            assert await take_all(watching) == []
        listing = await world.reader.list("", ListOptions())
        assert [item.key for item in listing.items] == ["pods/default/b", "pods/default/c", "pods/default/d"]
        async with await world.watch(resource_version=str(start)) as watching:
            assert (await take_all(watching))[0][2] == 410

    run(scenario)


def test_watch_survives_an_outage_of_the_store():
    """The cache goes on where it was; nothing is told twice."""

    async def scenario(world: Collection):
        await world.settle()
        async with await world.watch(resource_version=str(world.store.now)) as watching:
            first = world.put("a")
            assert await take(watching, 1) == [("ADDED", "a", first)]
            world.store.fail()
            second = world.put("b")
            await asyncio.sleep(30)
            world.store.outage = False
            assert await take(watching, 1) == [("ADDED", "b", second)]

    run(scenario)


def test_undecodable_object_ends_a_watch_that_must_look_into_it():
    """A selector cannot be decided: an error event names the key. Watches without selectors go on."""

    async def scenario(world: Collection):
        await world.settle()
        start = str(world.store.now)
        async with (
            await world.watch(resource_version=start, label_selector="a") as selecting,
            await world.watch(resource_version=start) as all_,
        ):
            world.put("ok")
            world.store.put("pods/default/broken", b"\xff")
            (kind, text, code) = (await take_all(selecting))[-1]
            assert (kind, code) == ("ERROR", 500)
            assert "pods/default/broken" in text
            batch = await anext(all_)
            assert [event.item.key for event in batch] == ["pods/default/ok", "pods/default/broken"]

    run(scenario)


def test_event_is_encoded_once_for_all_watchers():
    """Per representation, departures and arrivals too."""

    async def scenario(world: Collection):
        await world.settle()
        made = []

        def encode(event):
            made.append(event.type)
            return event.item.value

        watchers = [await world.watch(resource_version=str(world.store.now), label_selector="app=x") for _ in range(10)]
        world.put("a", labels={"app": "x"})
        world.put("a", labels={"app": "y"})
        for watching in watchers:
            for event in await anext(watching):
                event.encoded("json", encode)
            watching.close()
        assert made == ["ADDED", "DELETED"]

    run(scenario)


def test_dropped_collection_ends_its_watchers():
    """A custom kind that is removed."""

    async def scenario(world: Collection):
        await world.settle()
        async with await world.watch(resource_version=str(world.store.now)) as watching:
            world.caches.forget(PODS.storage_path)
            assert await take_all(watching) == []

    run(scenario)


def test_watch_goes_on_from_before_the_cache_began():
    """A restarted server, or a collection's first use, is no reason to list again; only a compaction in the store is."""

    async def scenario(world: Collection):
        old = world.put("a")
        second = world.put("b")
        third = world.remove("a")
        async with await world.watch(resource_version=str(old)) as watching:
            assert await take(watching, 2) == [("ADDED", "b", second), ("DELETED", "a", third)]
        listing = await world.reader.list("", ListOptions(resource_version="0"))
        assert [item.key for item in listing.items] == ["pods/default/b"]

    run(scenario)


@pytest.mark.parametrize("answers_progress", [False, True])
def test_first_state_is_not_older_than_the_first_use(answers_progress):
    """Whatever the store can tell: a read of any version sees what was there when the collection was first asked for."""

    async def scenario(world: Collection):
        world.put("a")
        world.put("b")
        world.remove("a")
        listing = await world.reader.list("", ListOptions(resource_version="0"))
        assert [item.key for item in listing.items] == ["pods/default/b"]

    run(scenario, store=MemoryStore(answers_progress=answers_progress))
