"""Random histories: what a watcher is told, replayed on the list it began with, is the list at every version (watch = replay of list).

Histories have compactions, outages, slow watchers and reconnects; watchers have selectors. The model is the store's own log.
"""

from __future__ import annotations

import asyncio

from hypothesis import given, settings
from hypothesis import strategies as st

from resource_api.cache.item import Event
from resource_api.cache.watch_cache import CacheSettings
from resource_api.cache.watching import Bookmark, Failure
from resource_api.errors import StatusError
from resource_api.registry.requests import ListOptions
from tests.resource_api.cache.collection import Collection, pod, run
from tests.support.memory_store import MemoryStore

NAMES = ("a", "b", "c")
NAMESPACES = ("n", "nn")
COLORS = ("", "red", "blue")

write = st.tuples(st.just("write"), st.sampled_from(NAMESPACES), st.sampled_from(NAMES), st.sampled_from(COLORS))
remove = st.tuples(st.just("remove"), st.sampled_from(NAMESPACES), st.sampled_from(NAMES), st.just(""))
several = st.tuples(st.just("several"), st.just("n"), st.just(""), st.sampled_from(COLORS))
other = st.sampled_from(["elsewhere", "turns", "turns", "pause", "pause", "compact", "outage", "stall"]).map(
    lambda what: (what, "", "", "")
)
burst = st.lists(st.one_of(write, write, remove, several), min_size=1, max_size=6)
steps = st.lists(st.one_of(burst, other.map(lambda step: [step])), max_size=25).map(lambda parts: sum(parts, []))

selections = st.sampled_from([("", ""), ("n", ""), ("", "color=red"), ("nn", "color!=red"), ("", "color")])


class Client:
    """An informer: lists, watches, goes on where it was, lists anew when told that its version is too old."""

    def __init__(self, world: Collection, namespace: str, selector: str, *, streaming: bool) -> None:
        self.world = world
        self.namespace = namespace
        self.selector = selector
        self.streaming = streaming
        self.state: dict[str, tuple[str, int]] = {}
        self.version = 0
        self.moving = asyncio.Event()
        self.moving.set()

    async def run(self) -> None:
        while True:
            try:
                if not self.streaming:
                    await self.list()
                while await self.watch():
                    pass
            except StatusError as error:
                assert error.code in (429, 500, 504), error
                await asyncio.sleep(0.5)

    async def list(self) -> None:
        token, found = "", {}
        while True:
            options = ListOptions(label_selector=self.selector, limit=2, continue_token=token)
            try:
                page = await self.world.reader.list(self.namespace, options)
            except StatusError as error:
                if error.code != 410:
                    raise
                token, found = "", {}
                continue
            found.update({item.key: (color_of(item.object()), item.revision) for item in page.items})
            token = page.continue_token
            if not token:
                break
        assert page.resource_version >= self.version
        self.state, self.version = found, page.resource_version

    async def watch(self) -> bool:
        """Until it ends; whether to go on from the same version."""
        options = ListOptions(label_selector=self.selector, resource_version=str(self.version), allow_bookmarks=True, timeout_s=50)
        if self.streaming and not self.version:
            options = ListOptions(
                label_selector=self.selector, send_initial_events=True, resource_version_match="NotOlderThan", allow_bookmarks=True
            )
            self.state = {}
        initial = options.send_initial_events is True
        async with await self.world.reader.watch(self.namespace, options) as watching:
            async for batch in watching:
                for notice in batch:
                    if isinstance(notice, Failure):
                        assert notice.error.code == 410, notice.error
                        self.version = 0
                        return False
                    if isinstance(notice, Bookmark):
                        assert notice.revision >= self.version
                        assert initial == notice.ends_initial
                        self.version, initial = notice.revision, False
                    else:
                        self.take(notice, initial=initial)
                await self.moving.wait()
        return not initial

    def take(self, event: Event, *, initial: bool) -> None:
        key, before = event.item.key, self.state.get(event.item.key)
        if not initial:
            assert event.revision >= self.version
            self.version = event.revision
        color = color_of(event.item.object())
        if event.type == "ADDED":
            assert before is None, key
            self.state[key] = (color, event.revision)
        elif event.type == "MODIFIED":
            assert before is not None and before[1] < event.revision
            self.state[key] = (color, event.revision)
        else:
            assert before is not None and before[0] == color
            del self.state[key]


def color_of(obj) -> str:
    return obj["metadata"].get("labels", {}).get("color", "")


def expected(store: MemoryStore, client: Client) -> dict[str, tuple[str, int]]:
    """What the store itself says the client should have."""
    prefix = f"pods/{client.namespace}/" if client.namespace else "pods/"
    found = {}
    for key in sorted(store._values):
        stored = store._at(key, store.now)
        if not key.startswith(prefix) or stored is None:
            continue
        color = "red" if b'"red"' in stored.value else "blue" if b'"blue"' in stored.value else ""
        if {"": True, "color=red": color == "red", "color!=red": color != "red", "color": bool(color)}[client.selector]:
            found[key] = (color, stored.revision)
    return found


@given(steps, st.lists(st.tuples(selections, st.booleans()), min_size=1, max_size=4), st.booleans())
@settings(max_examples=100, deadline=None, derandomize=True)
def test_watch_is_the_replay_of_the_list(history, watchers, answers_progress):
    """Every informer ends with what the store has, whatever happened on the way."""
    store = MemoryStore(answers_progress=answers_progress)

    async def scenario(world: Collection) -> None:
        clients = [Client(world, *selection, streaming=streaming) for selection, streaming in watchers]
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(client.run()) for client in clients]
            await asyncio.sleep(1)
            for step in history:
                await play(world, clients, step)
            store.outage = False
            for client in clients:
                client.moving.set()
            # A last change of everything moves the version of those whose store does not tell progress.
            await asyncio.sleep(300)
            for task in tasks:
                task.cancel()
        for client in clients:
            assert client.state == expected(store, client), (client.namespace, client.selector)
        assert world.reader.cache.items_nowait() == sorted(world.reader.cache.items_nowait(), key=lambda item: item.key)

    run(scenario, store=store, settings=CacheSettings(window_events_min=2, window_fresh_s=-1, subscriber_events_max=2, history_revisions=3))


async def play(world: Collection, clients: list[Client], step: tuple[str, str, str, str]) -> None:
    what, namespace, name, color = step
    store = world.store
    labels = {"color": color} if color else None
    if what == "write":
        world.put(name, namespace=namespace, labels=labels)
    elif what == "remove":
        if store._at(f"pods/{namespace}/{name}", store.now) is not None:
            world.remove(name, namespace=namespace)
    elif what == "several":
        # One revision with several events, as a lease's end or another client's transaction makes them.
        store.commit([(f"pods/{space}/a", pod("a", space, labels)) for space in NAMESPACES])
    elif what == "elsewhere":
        store.put("other/x", b"{}")
    elif what == "turns":
        for _ in range(4):
            await asyncio.sleep(0)
    elif what == "pause":
        await asyncio.sleep(1)
    elif what == "compact":
        store.forget(store.now)
    elif what == "outage":
        store.outage = not store.outage
        store.wake()
    elif what == "stall":
        (clients[0].moving.clear if clients[0].moving.is_set() else clients[0].moving.set)()
