"""A whole registry under random programs, crashes and a store in trouble, and what every answer, list and watch of it must say.

Several clients write and read through the pipeline and the caches; answers get lost, calls are given up, servers stop and others start
over the same store. Every write adds a token that nothing takes away, so that a lost update shows. Used by `test_histories.py`.
"""

from __future__ import annotations

import asyncio
from typing import Any

from hypothesis import strategies as st

from resource_api.cache.item import Event
from resource_api.cache.watch_cache import CacheSettings
from resource_api.cache.watching import Bookmark, Failure
from resource_api.errors import Object, StatusError
from resource_api.registry.objects import decode_stored
from resource_api.registry.requests import ListOptions
from resource_api.registry.store import Stored
from tests.resource_api.logs import History, Log
from tests.resource_api.world import World, WorldClock, config_map, owner

HOLD = "example.com/hold"
NAMES = ("a", "b", "c")
SETTINGS = CacheSettings(window_events_min=4, window_fresh_s=-1, subscriber_events_max=3, history_revisions=5)

VERBS = (
    "create",
    "create",
    "update",
    "update",
    "patch",
    "patch",
    "apply",
    "delete",
    "delete",
    "hold",
    "release",
    "adopt",
    "get",
    "list",
    "page",
)
OPERATION = st.tuples(st.sampled_from(VERBS), st.sampled_from(NAMES), st.integers(0, 3))
PROGRAMS = st.lists(st.lists(OPERATION, max_size=9), min_size=1, max_size=4)
HAPPENINGS = st.lists(st.sampled_from(["restart", "abandon", "abandon", "outage", "compact", "pause", "pause"]), max_size=8)


class Server:
    """The one that runs now; another takes its place."""

    def __init__(self, log: Log, group: asyncio.TaskGroup, clock: WorldClock) -> None:
        self.log = log
        self.history = log.history
        self._group = group
        self._clock = clock
        self._up = asyncio.Event()
        self._start()

    def _start(self) -> None:
        self.world = World(self.log.store, self._group, self._clock, cache=SETTINGS)
        self.world.start_controllers()
        self._up.set()

    async def up(self) -> World:
        """The one that runs; between two nobody can be asked."""
        await self._up.wait()
        return self.world

    async def restart(self) -> None:
        """Nothing of the old one goes on; the new one knows only the store."""
        self._up.clear()
        self.world.stop()
        await self.log.restart()
        self._start()


class Client:
    """Runs its program; knows what it was told."""

    def __init__(self, server: Server, number: int, program: list[tuple[str, str, int]]) -> None:
        self.server = server
        self.number = number
        self.program = program
        self.task: asyncio.Task[None] | None = None
        self.group: asyncio.TaskGroup
        self.tokens: dict[str, str] = {}
        """What became of each: "said" (acknowledged), "refused", "unknown"."""
        self.released: set[str] = set()
        self.doomed: set[str] = set()

    async def run(self, group: asyncio.TaskGroup) -> None:
        for count, (verb, name, more) in enumerate(self.program):
            token = f"t{self.number}x{count}"
            self.tokens[token] = "refused"
            self.task = group.create_task(self.one(verb, name, more, token))
            await asyncio.wait([self.task])
            if self.task.cancelled():
                self.tokens[token] = "unknown"
            else:
                self.task.result()
            await asyncio.sleep(more / 100)

    async def one(self, verb: str, name: str, more: int, token: str) -> None:
        world = await self.server.up()
        try:
            if verb in ("get", "list", "page"):
                await getattr(self, verb)(world, name, more)
                return
            answer = await getattr(self, verb)(world, name, more, token)
        except StatusError as error:
            assert error.code in (404, 409, 422, 500, 503, 504, 429, 410), error
            if error.code in (503, 504) or (error.code == 500 and verb != "get"):
                self.tokens[token] = "unknown"
            return
        if answer is None:
            return
        version = int(answer["metadata"]["resourceVersion"])
        key = f"configmaps/default/{name}"
        if token in answer.get("data", {}):
            self.tokens[token] = "said"
            # What was answered is what was stored under that version.
            await self.server.log.known()
            assert self.server.history.state(key, version) == answer, (verb, token)

    # Writes.

    async def create(self, world: World, name: str, more: int, token: str) -> Object:
        return await world.create(config_map(name, data={token: "1"}))

    async def update(self, world: World, name: str, more: int, token: str) -> Object:
        found = await world.of("configmaps").get_object("default", name)
        found.setdefault("data", {})[token] = "1"
        return await world.update(found)

    async def patch(self, world: World, name: str, more: int, token: str) -> Object:
        return await world.change(config_map(name), lambda obj: obj.setdefault("data", {}).update({token: "1"}))

    async def apply(self, world: World, name: str, more: int, token: str) -> Object:
        async def allow() -> None:
            return

        ctx = world.context(field_manager=token)
        found, _ = await world.of("configmaps").apply(ctx, name, config_map(name, data={token: "1"}), force=False, may_create=allow)
        return found

    async def delete(self, world: World, name: str, more: int, token: str) -> None:
        options: Any = [{}, {}, {"propagation": "Orphan"}, {"propagation": "Foreground"}][more]
        self.doomed.add(name)
        await world.delete(config_map(name), **options)

    async def hold(self, world: World, name: str, more: int, token: str) -> Object:
        def held(obj: Object) -> None:
            obj.setdefault("data", {})[token] = "1"
            obj["metadata"].setdefault("finalizers", []).append(HOLD)

        return await world.change(config_map(name), held)

    async def release(self, world: World, name: str, more: int, token: str) -> Object:
        def free(obj: Object) -> None:
            self.released.add(obj["metadata"]["uid"])
            obj["metadata"]["finalizers"] = [one for one in obj["metadata"].get("finalizers", []) if one != HOLD]

        return await world.change(config_map(name), free)

    async def adopt(self, world: World, name: str, more: int, token: str) -> None:
        """A child of the object; only the collector ever takes it away."""
        found = await world.of("configmaps").get_object("default", name)
        child = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": token, "namespace": "default"}}
        block = {"blockOwnerDeletion": True} if more % 2 else {}
        await world.create({**child, "metadata": {**child["metadata"], "ownerReferences": [owner(found, **block)]}})  # type: ignore[dict-item]

    # Reads.

    async def get(self, world: World, name: str, more: int) -> None:
        """The newest state: one that stood while the question was under way."""
        log, key = self.server.log, f"configmaps/default/{name}"
        before = log.now
        try:
            found: Object | None = await world.of("configmaps").get_object("default", name)
        except StatusError as error:
            if error.code != 404:
                raise
            found = None
        after = log.now
        await log.known()
        assert any(log.history.state(key, revision) == found for revision in range(before, after + 1)), (name, before, after, found)

    async def list(self, world: World, name: str, more: int) -> None:
        """The state at the version it names, which is not older than the question; with an old version, exactly that."""
        log = self.server.log
        before = log.now
        if more == 3:
            old = max(1, before - 3)
            options = ListOptions(resource_version=str(old), resource_version_match="Exact")
            listing = await world.of("configmaps").reader.list("default", options)
            assert listing.resource_version == old
        else:
            listing = await world.of("configmaps").reader.list("default", ListOptions())
            assert before <= listing.resource_version <= log.now
        found = {item.key: item.object() for item in listing.items}
        await log.known()
        assert found == log.history.states("configmaps/default/", listing.resource_version)

    async def page(self, world: World, name: str, more: int) -> None:
        """All pages show one state."""
        found: Object = {}
        token, version = "", None
        while True:
            listing = await (await self.server.up()).of("configmaps").reader.list("default", ListOptions(limit=1, continue_token=token))
            assert version in (None, listing.resource_version)
            version = listing.resource_version
            found.update({item.key: item.object() for item in listing.items})
            token = listing.continue_token
            if not token:
                break
            await asyncio.sleep(0.005 * more)
        await self.server.log.known()
        assert found == self.server.history.states("configmaps/default/", version)


class Informer:
    """Lists and watches; every change once and in order, over restarts."""

    def __init__(self, server: Server) -> None:
        self.server = server
        self.state: dict[str, Object] = {}
        self.version = 0
        self.relists = 0

    async def run(self) -> None:
        while True:
            reader = (await self.server.up()).of("configmaps").reader
            try:
                if not self.version:
                    listing = await reader.list("", ListOptions())
                    self.state = {item.key: item.object() for item in listing.items}
                    self.version = listing.resource_version
                    self.relists += 1
                options = ListOptions(resource_version=str(self.version), allow_bookmarks=True, timeout_s=40)
                async with await reader.watch("", options) as watching:
                    async for batch in watching:
                        await self.server.log.known()
                        for notice in batch:
                            self.take(notice)
            except StatusError as error:
                assert error.code in (429, 500, 503, 504, 410), error
            await asyncio.sleep(0.02)

    def take(self, notice: Event | Bookmark | Failure) -> None:
        if isinstance(notice, Failure):
            assert notice.error.code == 410
            self.version = 0
            return
        assert notice.revision >= self.version
        told_after = notice.revision + isinstance(notice, Bookmark)
        changes = self.server.history.changes
        skipped = [one for one in changes if self.version < one.revision < told_after and one.key.startswith("configmaps/")]
        assert not skipped, (self.version, notice.revision)
        if isinstance(notice, Event):
            assert notice.revision > self.version
            key, obj = notice.item.key, notice.item.object()
            assert (key in self.state) == (notice.type != "ADDED")
            if notice.type == "DELETED":
                last = self.state.pop(key)
                assert {**last, "metadata": {**last["metadata"], "resourceVersion": str(notice.revision)}} == obj
            else:
                assert obj == self.server.history.state(key, notice.revision)
                self.state[key] = obj
        self.version = notice.revision


async def play(server: Server, clients: list[Client], informers: list[Informer], happenings: list[str]) -> None:
    """All at once, until everything that goes on by itself has come to its end."""
    log, trouble = server.log, server.log.trouble
    async with asyncio.TaskGroup() as group:
        watching = [group.create_task(one.run()) for one in informers]
        running = [group.create_task(one.run(group)) for one in clients]
        for what in happenings:
            await asyncio.sleep(trouble.dice.choice((0.001, 0.01, 0.03)))
            busy = [one.task for one in clients if one.task is not None and not one.task.done()]
            if what == "restart":
                for task in busy:
                    task.cancel()
                # Abandoned calls end before their store does.
                if busy:
                    await asyncio.wait(busy)
                await server.restart()
            elif what == "abandon" and busy:
                trouble.dice.choice(busy).cancel()
            elif what == "compact":
                await log.compact()
            elif what == "outage":
                await log.fail(for_s=0.05)
        await asyncio.wait(running)
        trouble.goes_on = False
        await asyncio.sleep(300)
        await log.known()
        for task in watching:
            task.cancel()


def check(history: History, clients: list[Client], informers: list[Informer]) -> None:
    """The log itself: lives of objects, tokens, finalizers; and who ended with it."""
    fates = {token: fate for one in clients for token, fate in one.tokens.items()}
    released, doomed = set[str]().union(*(one.released for one in clients)), set[str]().union(*(one.doomed for one in clients))
    uids: set[str] = set()
    seen: set[str] = set()
    live: dict[str, Object] = {}
    for change in history.changes:
        before = live.pop(change.key, None)
        if change.value is None:
            assert before is not None
            metadata = before["metadata"]
            if HOLD in metadata.get("finalizers", []):
                assert metadata.get("deletionTimestamp"), "removed without being deleted"
                assert metadata["uid"] in released, "removed although it was held"
            continue
        obj = live[change.key] = decode_stored(Stored(change.key, change.value, change.revision))
        tokens = set(obj.get("data", {}))
        if before is None:
            assert obj["metadata"]["uid"] not in uids
            uids.add(obj["metadata"]["uid"])
        else:
            assert obj["metadata"]["uid"] == before["metadata"]["uid"]
            assert set(before.get("data", {})) <= tokens, "an update was lost"
            assert not before["metadata"].get("deletionTimestamp") or obj["metadata"].get("deletionTimestamp")
            assert change.value != change.previous, "a write that changes nothing"
        seen |= tokens
    assert all(token in seen for token, fate in fates.items() if fate == "said")
    assert not [token for token in seen if fates[token] == "refused"]
    final = {key: obj for key, obj in live.items() if key.startswith("configmaps/")}
    for one in informers:
        assert one.state == final, one.version
    owners = {obj["metadata"]["uid"] for obj in final.values()}
    for key, obj in live.items():
        if key.startswith("secrets/"):
            references = obj["metadata"].get("ownerReferences", [])
            assert not references or any(one["uid"] in owners for one in references), "a dependent outlived its owner"
    for key, obj in final.items():
        # What nobody wanted gone is there as it was; what waits, waits for a reason.
        if obj["metadata"].get("deletionTimestamp"):
            assert obj["metadata"]["name"] in doomed
            assert set(obj["metadata"].get("finalizers", ())) == {HOLD}, key
