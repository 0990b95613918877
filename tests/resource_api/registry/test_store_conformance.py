"""What the storage seam promises, on every implementation: in memory, on an embedded member, over sockets, on Debian's etcd."""

from __future__ import annotations

import asyncio
import itertools
import pathlib
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import NamedTuple

import pytest

from raftkv.client import AsyncClient
from raftkv.clock import SystemClock
from raftkv.embedded import private_member, running_member
from resource_api.registry.kv_store import KvStore
from resource_api.registry.store import (
    Change,
    ChangedError,
    Changes,
    CompactedError,
    FutureRevisionError,
    KeyExistsError,
    KeyMissingError,
    Store,
    Stored,
    ValueTooLargeError,
)
from tests.client.servers import etcd_unavailable, running
from tests.support.memory_store import MemoryStore

TIMEOUT_S = 60.0
EMBEDDED = "embedded"
KINDS = ("memory", EMBEDDED, "raftkv", "etcd")


class Subject(NamedTuple):
    """A store under test, and what only its operator can do."""

    store: Store
    compact: Callable[[int], Awaitable[None]]
    is_memory: bool


class World(NamedTuple):
    """One running implementation; its loop lives as long as the module."""

    runner: asyncio.Runner
    make: Callable[[str], Subject]


@asynccontextmanager
async def embedded_client(folder: pathlib.Path) -> AsyncIterator[AsyncClient]:
    """A client joined in memory to a member of this process."""
    async with running_member(private_member(str(folder / "data"))) as member:
        await member.ready.wait()
        async with member.client() as joined:
            yield joined


def subject_of(client: AsyncClient, prefix: str) -> Subject:
    """A store of its own prefix. Closing is the world's."""

    async def compact(revision: int) -> None:
        await client.compact(revision)

    return Subject(KvStore(client, prefix, clock=SystemClock()), compact, is_memory=False)


def memory_subject(prefix: str) -> Subject:
    """A store of its own."""
    store = MemoryStore()

    async def compact(revision: int) -> None:
        store.forget(revision)

    return Subject(store, compact, is_memory=True)


@pytest.fixture(scope="module", params=KINDS)
def world(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """Every implementation."""
    kind = request.param
    if kind == "etcd" and (why := etcd_unavailable()):
        pytest.skip(why)
    with asyncio.Runner() as runner:
        if kind == "memory":
            yield World(runner, memory_subject)
            return
        stack = AsyncExitStack()
        folder = tmp_path_factory.mktemp(kind)
        if kind == EMBEDDED:
            ready: asyncio.Future[AsyncClient] = runner.get_loop().create_future()
            end = asyncio.Event()
            # A member lives in one task from start to end; the tests' are others.
            host = runner.get_loop().create_task(_host(folder, ready, end))

            async def client_of() -> AsyncClient:
                return await ready

            client = runner.run(client_of())
            yield World(runner, lambda prefix: subject_of(client, prefix))

            async def stop() -> None:
                end.set()
                await host

            runner.run(stop())
            return
        with running(kind, folder) as server:

            async def connect() -> AsyncClient:
                return await stack.enter_async_context(AsyncClient(server.endpoint))

            client = runner.run(connect())
            yield World(runner, lambda prefix: subject_of(client, prefix))
            runner.run(stack.aclose())


async def _host(folder: pathlib.Path, ready: asyncio.Future[AsyncClient], end: asyncio.Event) -> None:
    async with embedded_client(folder) as client:
        ready.set_result(client)
        await end.wait()


_numbers = itertools.count(1)


@pytest.fixture
def check(world: World) -> Callable[[Callable[[Subject], Awaitable[None]]], None]:
    """Runs one scenario on a store with a prefix nobody else has."""

    def run(scenario: Callable[[Subject], Awaitable[None]]) -> None:
        async def body() -> None:
            await asyncio.wait_for(scenario(world.make(f"/test{next(_numbers)}")), TIMEOUT_S)

        world.runner.run(body())

    return run


async def gather(changes: AsyncIterator[Changes], count: int) -> list[Change]:
    """The next events, and that they come in whole, ascending revisions."""
    events: list[Change] = []
    while len(events) < count:
        batch = await anext(changes)
        if batch.events:
            assert batch.revision == batch.events[-1].revision
            assert not events or batch.events[0].revision > events[-1].revision
        events += batch.events
    return events


async def written(store: Store, *values: bytes) -> list[int]:
    """The revisions of an object at `k/a` that had these values one after the other."""
    revisions = [await store.create("k/a", values[0])]
    for value in values[1:]:
        revisions.append(await store.update("k/a", value, expected_revision=revisions[-1]))
    return revisions


def test_value_goes_round(check):
    """Bytes come back as they were, with the revision of their write."""

    async def scenario(subject):
        store = subject.store
        with pytest.raises(KeyMissingError):
            await store.get("pods/default/a")
        made = await store.create("pods/default/a", b"\x00one")
        assert await store.get("pods/default/a") == Stored("pods/default/a", b"\x00one", made)
        changed = await store.update("pods/default/a", b"two", expected_revision=made)
        assert changed > made
        assert await store.get("pods/default/a") == Stored("pods/default/a", b"two", changed)
        assert await store.get("pods/default/a", revision=made) == Stored("pods/default/a", b"\x00one", made)
        gone = await store.delete("pods/default/a", expected_revision=changed)
        assert gone > changed
        with pytest.raises(KeyMissingError):
            await store.get("pods/default/a")
        assert (await store.get("pods/default/a", revision=changed)).value == b"two"

    check(scenario)


def test_create_refuses_what_is_there(check):
    """And changes nothing."""

    async def scenario(subject):
        store = subject.store
        made = await store.create("k/a", b"1")
        with pytest.raises(KeyExistsError):
            await store.create("k/a", b"2")
        assert await store.get("k/a") == Stored("k/a", b"1", made)
        assert await store.revision() == made

    check(scenario)


def test_update_compares(check):
    """A failed compare says what stands there, or that nothing does, and has no effect."""

    async def scenario(subject):
        store = subject.store
        made, now = await written(store, b"1", b"2")
        with pytest.raises(ChangedError) as stale:
            await store.update("k/a", b"3", expected_revision=made)
        assert stale.value.current == Stored("k/a", b"2", now)
        with pytest.raises(ChangedError) as absent:
            await store.update("k/b", b"3", expected_revision=made)
        assert absent.value.current is None
        with pytest.raises(KeyMissingError):
            await store.get("k/b")

    check(scenario)


def test_delete_compares(check):
    """As an update does."""

    async def scenario(subject):
        store = subject.store
        made = await store.create("k/a", b"1")
        with pytest.raises(ChangedError) as stale:
            await store.delete("k/a", expected_revision=made + 1)
        assert stale.value.current == Stored("k/a", b"1", made)
        gone = await store.delete("k/a", expected_revision=made)
        with pytest.raises(ChangedError) as absent:
            await store.delete("k/a", expected_revision=made)
        assert absent.value.current is None
        assert await store.revision() == gone

    check(scenario)


def test_one_of_many_updates_wins(check):
    """Optimistic concurrency: of writers that saw the same revision one succeeds."""

    async def scenario(subject):
        store = subject.store
        made = await store.create("k/a", b"0")
        won: list[int] = []

        async def write(number: int) -> None:
            try:
                won.append(await store.update("k/a", b"%d" % number, expected_revision=made))
            except ChangedError:
                pass

        async with asyncio.TaskGroup() as group:
            for number in range(8):
                group.create_task(write(number))
        assert len(won) == 1
        assert (await store.get("k/a")).revision == won[0]

    check(scenario)


def test_list_is_in_key_order_and_keeps_to_its_prefix(check):
    """A prefix ends in a slash: namespace `a` has nothing of `ab`."""

    async def scenario(subject):
        store = subject.store
        for key in ("pods/ab/x", "pods/a/z", "pods/a/y", "podsx/a/y", "pod/a/y"):
            last = await store.create(key, key.encode())
        page = await store.list("pods/")
        assert [item.key for item in page.items] == ["pods/a/y", "pods/a/z", "pods/ab/x"]
        assert (page.revision, page.more, page.remaining) == (last, False, 0)
        assert [item.key for item in (await store.list("pods/a/")).items] == ["pods/a/y", "pods/a/z"]
        assert await store.count("pods/") == 3
        assert await store.count("none/") == 0
        empty = await store.list("none/")
        assert (empty.items, empty.revision, empty.more) == ([], last, False)

    check(scenario)


def test_pages_of_one_revision_make_the_whole(check):
    """A limit says how much is left; later pages at the first one's revision do not see what came since."""

    async def scenario(subject):
        store = subject.store
        for number in range(7):
            await store.create(f"k/{number}", b"old")
        first = await store.list("k/", limit=3)
        assert ([item.key for item in first.items], first.more, first.remaining) == (["k/0", "k/1", "k/2"], True, 4)
        await store.create("k/35", b"new")
        stale = await store.get("k/5")
        await store.update("k/5", b"new", expected_revision=stale.revision)
        await store.delete("k/6", expected_revision=(await store.get("k/6")).revision)
        second = await store.list("k/", start="2\x00", limit=3, revision=first.revision)
        assert ([item.key for item in second.items], second.more, second.remaining) == (["k/3", "k/4", "k/5"], True, 1)
        assert second.revision == first.revision
        assert second.items[2] == stale
        third = await store.list("k/", start="5\x00", limit=3, revision=first.revision)
        assert ([item.key for item in third.items], third.more, third.remaining) == (["k/6"], False, 0)

    check(scenario)


def test_revision_not_yet_reached_is_refused_with_the_present_one(check):
    """Nothing waits."""

    async def scenario(subject):
        store = subject.store
        now = await store.create("k/a", b"1")
        for call in (store.get("k/a", revision=now + 100), store.list("k/", revision=now + 100)):
            with pytest.raises(FutureRevisionError) as future:
                await call
            assert future.value.current == now

    check(scenario)


def test_compacted_revision_is_refused(check):
    """For reads and for a watch; later ones go on."""

    async def scenario(subject):
        store = subject.store
        first, second, third = await written(store, b"1", b"2", b"3")
        await subject.compact(third)
        for call in (store.get("k/a", revision=first), store.list("k/", revision=second)):
            with pytest.raises(CompactedError):
                await call
        assert (await store.get("k/a", revision=third)).value == b"3"
        async with store.watch("k/", after_revision=first) as watch:
            with pytest.raises(CompactedError) as compacted:
                await anext(aiter(watch))
            assert compacted.value.compact_revision == third
        async with store.watch("k/", after_revision=third) as watch:
            fourth = await store.update("k/a", b"4", expected_revision=third)
            assert await gather(aiter(watch), 1) == [Change("k/a", b"4", b"3", fourth)]

    check(scenario)


def test_write_at_the_compacted_revision_is_still_told(check):
    """A watch that has seen everything before it misses nothing."""

    async def scenario(subject):
        store = subject.store
        first, second = await written(store, b"1", b"2")
        await subject.compact(second)
        async with store.watch("k/", after_revision=first) as watch:
            (told,) = await gather(aiter(watch), 1)
        assert (told.key, told.value, told.revision) == ("k/a", b"2", second)

    check(scenario)


def test_compaction_turn_is_taken_once(check):
    """Whoever names the present turn takes the next; the others learn which one it is. The store counts it as a change."""

    async def scenario(subject):
        store = subject.store
        lost = await store.compaction_turn(-1, 0)
        taken = await store.compaction_turn(lost.number, lost.revision)
        late = await store.compaction_turn(lost.number, lost.revision)
        assert (lost.won, taken.won, late.won) == (False, True, False)
        assert lost.number + 1 == taken.number == late.number
        assert lost.revision < taken.revision == late.revision == await store.revision()

    check(scenario)


def test_history_given_up_twice_is_given_up_once(check):
    """Another server may have been faster; a revision nobody has reached is refused."""

    async def scenario(subject):
        store = subject.store
        first, second = await written(store, b"1", b"2")
        await store.compact(second)
        await store.compact(second)
        with pytest.raises(CompactedError):
            await store.get("k/a", revision=first)
        assert (await store.get("k/a", revision=second)).value == b"2"
        with pytest.raises(FutureRevisionError):
            await store.compact(second + 1000)

    check(scenario)


def test_watch_tells_every_change_after_its_revision(check):
    """Also those from before it began, each with the value before it, nothing of other prefixes."""

    async def scenario(subject):
        store = subject.store
        made, changed = await written(store, b"1", b"2")
        await store.create("kk/a", b"x")
        async with store.watch("k/", after_revision=made) as watch:
            changes = aiter(watch)
            assert await gather(changes, 1) == [Change("k/a", b"2", b"1", changed)]
            other = await store.create("k/b", b"3")
            await store.create("j/b", b"3")
            gone = await store.delete("k/a", expected_revision=changed)
            assert await gather(changes, 2) == [Change("k/b", b"3", None, other), Change("k/a", None, b"2", gone)]

    check(scenario)


def test_watch_of_a_revision_to_come_is_silent_until_then(check):
    """What happens up to that revision is not told."""

    async def scenario(subject):
        store = subject.store
        now = await store.create("k/0", b"")
        async with store.watch("k/", after_revision=now + 2) as watch:
            changes = aiter(watch)
            for number in (1, 2, 3):
                last = await store.create(f"k/{number}", b"")
            assert await gather(changes, 1) == [Change("k/3", b"", None, last)]

    check(scenario)


def test_progress_is_told_on_request(check):
    """After everything below it; or the store says that it never will."""

    async def scenario(subject):
        store = subject.store
        now = await store.create("k/a", b"1")
        async with store.watch("k/", after_revision=now) as watch:
            changes = aiter(watch)
            seen = await store.create("k/b", b"1")
            elsewhere = await store.create("other/b", b"1")
            assert [event.revision for event in await gather(changes, 1)] == [seen]
            if not await watch.request_progress():
                return
            assert await anext(changes) == Changes([], elsewhere)

    check(scenario)


def test_value_with_ttl_goes_by_itself(check):
    """Not before its time, and the watch tells what was there."""

    async def scenario(subject):
        store = subject.store
        kept = await store.create("k/kept", b"")
        made = await store.create("k/a", b"short", ttl_s=1)
        await store.create("k/b", b"short", ttl_s=1)
        async with store.watch("k/", after_revision=made + 1) as watch:
            if subject.is_memory:
                store.expire()
            gone = await gather(aiter(watch), 2)
        assert sorted(event[:3] for event in gone) == [("k/a", None, b"short"), ("k/b", None, b"short")]
        assert gone[0].revision == gone[1].revision
        assert (await store.get("k/kept")).revision == kept

    check(scenario)


def test_value_over_the_limit_is_refused(check):
    """Without effect."""

    async def scenario(subject):
        store = subject.store
        before = await store.revision()
        with pytest.raises(ValueTooLargeError):
            await store.create("k/a", b"x" * 3_000_000)
        assert await store.revision() == before

    check(scenario)


def test_keys_are_any_text(check):
    """UTF-8, in the order of their bytes."""

    async def scenario(subject):
        store = subject.store
        for key in ("k/é", "k/z", "k/\U0001f600", "k/system:node"):
            await store.create(key, b"")
        assert [item.key for item in (await store.list("k/")).items] == ["k/system:node", "k/z", "k/é", "k/\U0001f600"]

    check(scenario)
