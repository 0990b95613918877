"""Gets and lists: which version is answered, from where, in which pages (the table of resourceVersion)."""

from __future__ import annotations

import asyncio

import pytest

from resource_api.cache import paging
from resource_api.cache.paging import AT_LATEST, decode_token
from resource_api.cache.watch_cache import CacheSettings
from resource_api.errors import StatusError
from resource_api.registry.requests import ListOptions
from tests.resource_api.cache.collection import Collection, run
from tests.support.memory_store import MemoryStore


def names(listing):
    return [item.object()["metadata"]["name"] for item in listing.items]


async def refused(call, code, text):
    with pytest.raises(StatusError) as error:
        await call
    assert error.value.code == code
    assert text in error.value.message
    return error.value


def test_get_answers_the_newest_state():
    """Also when it was written a moment ago, by another server."""

    async def scenario(world: Collection):
        await world.reader.cache.ready()
        for _ in range(5):
            revision = world.put("a")
            item = await world.reader.get("default", "a")
            assert (item.revision, item.object()["metadata"]["resourceVersion"]) == (revision, str(revision))
        world.remove("a")
        error = await refused(world.reader.get("default", "a"), 404, 'pods "a" not found')
        assert error.status()["details"] == {"name": "a", "kind": "pods"}

    run(scenario)


def test_get_of_any_version_asks_no_store():
    """Version 0 is whatever the cache has; a version already reached too."""

    async def scenario(world: Collection):
        revision = world.put("a")
        await world.settle()
        asked = world.store.round_trips
        assert (await world.reader.get("default", "a", "0")).revision == revision
        assert (await world.reader.get("default", "a", str(revision))).revision == revision
        world.store.outage = True
        assert (await world.reader.get("default", "a", "0")).revision == revision
        assert world.store.round_trips == asked

    run(scenario)


def test_get_of_a_version_to_come_waits_and_gives_up():
    """Three seconds, then 504 with the cause clients look for."""

    async def scenario(world: Collection):
        world.put("a")
        await world.settle()
        began_s = world.loop.time()
        error = await refused(world.reader.get("default", "a", "99"), 504, "Timeout: Too large resource version: 99, current: 2")
        assert 3.0 <= world.loop.time() - began_s < 3.3
        details = error.status()["details"]
        assert details == {
            "causes": [{"reason": "ResourceVersionTooLarge", "message": "Too large resource version"}],
            "retryAfterSeconds": 1,
        }

        async with asyncio.TaskGroup() as group:
            waiting = group.create_task(world.reader.get("default", "a", "3"))
            await asyncio.sleep(1)
            world.put("a")
        assert waiting.result().revision == 3

    run(scenario)


def test_reads_share_one_round_that_begins_after_them():
    """Never one that was already under way."""

    class SlowStore(MemoryStore):
        async def revision(self):
            found = await super().revision()
            await asyncio.sleep(0.01)
            return found

    async def scenario(world: Collection):
        world.put("a")
        await world.settle()
        asked = world.store.round_trips
        async with asyncio.TaskGroup() as group:
            first = [group.create_task(world.reader.get("default", "a")) for _ in range(10)]
            await asyncio.sleep(0.005)
            written = world.put("a")
            later = [group.create_task(world.reader.get("default", "a")) for _ in range(10)]
        assert all(task.result().revision >= written for task in later)
        assert all(task.done() for task in first)
        assert world.store.round_trips - asked == 2

    run(scenario, store=SlowStore())


def test_store_without_progress_is_read_itself():
    """A cache that cannot tell whether it is fresh does not answer for the latest state."""

    async def scenario(world: Collection):
        world.put("a")
        await world.reader.cache.ready()
        world.store.put("other/x", b"{}")
        began_s = world.loop.time()
        assert (await world.reader.get("default", "a")).revision == 2
        listing = await world.reader.list("", ListOptions())
        assert (names(listing), listing.resource_version) == (["a"], 3)
        assert (await world.reader.get("default", "a", "3")).revision == 2
        async with await world.watch() as watching:
            assert [(event.type, event.revision) for event in await anext(watching)] == [("ADDED", 2)]
            world.put("b")
            assert [event.revision for event in await anext(watching)] == [4]
        assert world.loop.time() == began_s

    run(scenario, store=MemoryStore(answers_progress=False))


def test_store_that_is_down_is_a_server_timeout():
    """500 ServerTimeout, as upstream."""

    async def scenario(world: Collection):
        world.put("a")
        await world.settle()
        world.store.outage = True
        error = await refused(world.reader.get("default", "a"), 500, "The get operation against pods could not be completed")
        assert (error.reason, error.retry_after_s) == ("ServerTimeout", 2)

    run(scenario)


def test_list_before_the_first_fill_is_too_many_requests():
    """429 with a time to come again."""

    async def scenario(world: Collection):
        world.store.outage = True
        error = await refused(world.reader.list("", ListOptions(resource_version="0")), 429, "storage is (re)initializing")
        assert error.retry_after_s == 1

    run(scenario)


def test_list_is_of_one_namespace_or_all_in_key_order():
    """Namespace `a` has nothing of `ab`."""

    async def scenario(world: Collection):
        for namespace, name in (("ab", "x"), ("a", "z"), ("a", "y"), ("b", "x")):
            revision = world.put(name, namespace=namespace)
        whole = await world.reader.list("", ListOptions())
        assert names(whole) == ["y", "z", "x", "x"]
        assert (whole.resource_version, whole.continue_token, whole.remaining) == (revision, "", None)
        assert names(await world.reader.list("a", ListOptions())) == ["y", "z"]
        assert names(await world.reader.list("none", ListOptions())) == []

    run(scenario)


@pytest.mark.parametrize("from_store", [False, True])
def test_pages_of_a_list_are_of_one_version(from_store):
    """What changes meanwhile is not seen; the remaining count says how much is left; the version is the first page's."""

    async def scenario(world: Collection):
        for number in range(7):
            first_revision = world.put(f"p{number}")
        page = await world.reader.list("default", ListOptions(limit=3))
        assert (names(page), page.remaining, page.resource_version) == (["p0", "p1", "p2"], 4, first_revision)
        if from_store:
            world.put("p3", phase="new")
            world.remove("p6")
            world.put("p45")
            await world.settle()
        second = await world.reader.list("default", ListOptions(limit=3, continue_token=page.continue_token))
        assert (names(second), second.remaining, second.resource_version) == (["p3", "p4", "p5"], 1, first_revision)
        assert "status" not in second.items[0].object()
        last = await world.reader.list("default", ListOptions(limit=3, continue_token=second.continue_token))
        assert (names(last), last.remaining, last.continue_token, last.resource_version) == (["p6"], None, "", first_revision)

    run(scenario)


@pytest.mark.parametrize("from_store", [False, True])
def test_pages_of_a_selection_say_nothing_of_what_remains(from_store):
    """A page is full, or the end was reached."""

    async def scenario(world: Collection):
        for number in range(50):
            world.put(f"p{number:02}", labels={"even": str(number % 2 == 0)}, phase="Running" if number > 10 else "Pending")
        options = {"label_selector": "even=True", "field_selector": "status.phase!=Pending"}
        page = await world.reader.list("default", ListOptions(limit=4, **options))
        if from_store:
            world.remove("p20")
            await world.settle()
        found, token = names(page), page.continue_token
        while token:
            assert (len(page.items), page.remaining) == (4, None)
            page = await world.reader.list("default", ListOptions(limit=4, continue_token=token, **options))
            found += names(page)
            token = page.continue_token
        assert found == [f"p{number:02}" for number in range(12, 50, 2)]

    run(scenario)


def test_list_of_an_exact_version_is_what_was_then():
    """From the store when the cache has moved on; 410 once it was compacted, 504 while it has not been reached."""

    async def scenario(world: Collection):
        old = world.put("a")
        new = world.put("b")
        await world.settle()
        listing = await world.reader.list("", ListOptions(resource_version=str(old), resource_version_match="Exact"))
        assert (names(listing), listing.resource_version) == (["a"], old)
        legacy = await world.reader.list("", ListOptions(resource_version=str(old), limit=5))
        assert (names(legacy), legacy.resource_version) == (["a"], old)
        newer = await world.reader.list("", ListOptions(resource_version=str(old)))
        assert (names(newer), newer.resource_version) == (["a", "b"], new)
        not_older = await world.reader.list("", ListOptions(resource_version=str(old), resource_version_match="NotOlderThan", limit=1))
        assert (names(not_older), not_older.resource_version, not_older.remaining) == (["a"], new, 1)
        exact = ListOptions(resource_version="50", resource_version_match="Exact")
        await refused(world.reader.list("", exact), 504, "Timeout: Too large resource version: 50, current: 3")
        world.store.forget(new)
        exact = ListOptions(resource_version=str(old), resource_version_match="Exact")
        error = await refused(world.reader.list("", exact), 410, paging.LIST_TOO_OLD)
        assert (error.reason, error.continue_token) == ("Expired", "")

    run(scenario)


def test_list_goes_on_after_a_compaction_with_the_token_of_the_refusal():
    """410 with a token that continues at the latest version."""

    async def scenario(world: Collection):
        for number in range(5):
            world.put(f"p{number}")
        page = await world.reader.list("", ListOptions(limit=2))
        world.put("p9")
        await world.settle()
        world.store.forget(world.store.now)
        error = await refused(world.reader.list("", ListOptions(limit=2, continue_token=page.continue_token)), 410, paging.INCONSISTENT)
        assert decode_token(error.continue_token) == ("default/p1\x00", AT_LATEST)
        rest = await world.reader.list("", ListOptions(limit=9, continue_token=error.continue_token))
        assert (names(rest), rest.resource_version) == (["p2", "p3", "p4", "p9"], world.store.now)

    run(scenario)


def test_list_of_version_zero_ignores_the_limit():
    """Informers take the first page of version 0 for the whole."""

    async def scenario(world: Collection):
        for number in range(5):
            world.put(f"p{number}")
        await world.settle()
        listing = await world.reader.list("", ListOptions(resource_version="0", limit=2))
        assert (len(listing.items), listing.continue_token) == (5, "")

    run(scenario)


def test_list_by_name_reads_one_object():
    """A field selector that leaves one key."""

    async def scenario(world: Collection):
        world.put("a")
        world.put("b")
        assert names(await world.reader.list("default", ListOptions(field_selector="metadata.name=b"))) == ["b"]
        assert names(await world.reader.list("", ListOptions(field_selector="metadata.name=b"))) == ["b"]
        assert names(await world.reader.list("", ListOptions(field_selector="metadata.namespace=other"))) == []
        assert names(await world.reader.list("default", ListOptions(field_selector="metadata.name=b,metadata.name=a"))) == []
        assert names(await world.reader.list("default", ListOptions(field_selector="metadata.name=c"))) == []

    run(scenario)


def test_selector_of_an_unknown_field_is_refused():
    """400, with the label."""

    async def scenario(world: Collection):
        await refused(world.reader.list("", ListOptions(field_selector="spec.x=1")), 400, "field label not supported: spec.x")
        await refused(world.watch(label_selector="a in"), 400, "unable to parse requirement: found '' expected: '('")

    run(scenario)


def test_bytes_of_an_unchanged_collection_are_made_once():
    """And anew after a change; a selection's are its own."""

    async def scenario(world: Collection):
        for number in range(3):
            world.put(f"p{number}", labels={"n": str(number)})
        made = []

        def encode(item):
            made.append(item.key)
            return item.key.encode()

        async def joined(**options):
            return await (await world.reader.list("", ListOptions(**options))).joined("keys", encode)

        assert await joined() == await joined() == b"pods/default/p0,pods/default/p1,pods/default/p2"
        assert len(made) == 3
        assert await joined(label_selector="n=1") == b"pods/default/p1"
        stale = await world.reader.list("", ListOptions())
        world.remove("p0")
        assert await joined() == b"pods/default/p1,pods/default/p2"
        assert (await stale.joined("keys", encode)).count(b",") == 2

    run(scenario)


def test_lists_kept_as_bytes_are_bounded():
    """Over the bound all are made again."""

    async def scenario(world: Collection):
        for number in range(10):
            world.put("p", namespace=f"n{number}", size=100)
        for number in range(10):
            listing = await world.reader.list(f"n{number}", ListOptions())
            await listing.joined("x", lambda item: item.value)
            assert world.reader.cache.joined_lists.kept_bytes <= 500

    run(scenario, settings=CacheSettings(joined_bytes_max=500))
