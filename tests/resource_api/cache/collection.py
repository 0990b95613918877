"""A collection on a store in memory, on virtual time: a cache, a reader, and the objects they are about."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any

from jepsen_like.sim.loop import VirtualLoop
from resource_api.cache.caches import Caches
from resource_api.cache.item import Event
from resource_api.cache.reader import Reader
from resource_api.cache.watch_cache import CacheSettings
from resource_api.cache.watching import Bookmark, Failure, Notice, Watching
from resource_api.errors import Object
from resource_api.registry.objects import decode_stored, encode_stored
from resource_api.registry.requests import ListOptions
from resource_api.schema.kinds import ResourceType
from tests.client.scripted import LoopClock
from tests.support.memory_store import MemoryStore

PODS = ResourceType("", "v1", "Pod", "pods", "pod", namespaced=True, storage_path="pods")
FIELDS = {
    "metadata.name": ("metadata", "name"),
    "metadata.namespace": ("metadata", "namespace"),
    "status.phase": ("status", "phase"),
}


class Collection:
    """Pods of a store, and how to change them."""

    def __init__(self, store: MemoryStore, caches: Caches, reader: Reader, loop: VirtualLoop) -> None:
        self.store = store
        self.caches = caches
        self.reader = reader
        self.loop = loop

    def put(self, name: str, *, namespace: str = "default", labels: Mapping[str, str] | None = None, phase: str = "", size: int = 0) -> int:
        """Writes a pod, whatever was there; its revision."""
        return self.store.put(f"pods/{namespace}/{name}", pod(name, namespace, labels, phase, size))

    def remove(self, name: str, *, namespace: str = "default") -> int:
        """Deletes a pod; the revision."""
        return self.store.remove(f"pods/{namespace}/{name}")

    async def settle(self) -> None:
        """Until the cache has seen everything of its prefix."""
        await self.reader.cache.ready()
        await self.reader.cache.fresh(self.store.now)

    async def watch(self, namespace: str = "", **options: Any) -> Watching:
        """As a client asks for it."""
        return await self.reader.watch(namespace, ListOptions(**options))


def pod(name: str, namespace: str = "default", labels: Mapping[str, str] | None = None, phase: str = "", size: int = 0) -> bytes:
    """A pod as it is stored."""
    obj: Object = {"metadata": {"name": name, "namespace": namespace}, "apiVersion": "v1", "kind": "Pod"}
    if labels:
        obj["metadata"]["labels"] = dict(labels)
    if phase:
        obj["status"] = {"phase": phase}
    if size:
        obj["spec"] = {"nodeName": "x" * size}
    return encode_stored(obj)


def run(
    scenario: Callable[[Collection], Awaitable[None]],
    *,
    settings: CacheSettings | None = None,
    store: MemoryStore | None = None,
) -> None:
    """Plays a scenario on virtual time."""
    loop = VirtualLoop(0)
    chosen = store or MemoryStore()

    async def body() -> None:
        async with asyncio.TaskGroup() as group:
            caches = Caches(chosen, lambda type: decode_stored, clock=LoopClock(loop), group=group, settings=settings)
            try:
                await scenario(Collection(chosen, caches, caches.reader(PODS, FIELDS), loop))
            finally:
                caches.stop()

    loop.run_until_complete(asyncio.wait_for(body(), 100_000))
    assert not loop.callback_errors, loop.callback_errors


def told(notice: Notice) -> tuple[str, str, int]:
    """A notice in short: type, name, revision."""
    if isinstance(notice, Event):
        obj = notice.item.object()
        assert obj["metadata"]["resourceVersion"] == str(notice.revision)
        return notice.type, obj["metadata"]["name"], notice.revision
    if isinstance(notice, Bookmark):
        return ("INITIAL" if notice.ends_initial else "BOOKMARK", "", notice.revision)
    assert isinstance(notice, Failure)
    return "ERROR", notice.error.message, notice.error.code


async def take(watching: Watching, count: int) -> list[tuple[str, str, int]]:
    """The next notices, in short."""
    found: list[tuple[str, str, int]] = []
    while len(found) < count:
        found += map(told, await anext(watching))
    return found


async def take_all(watching: Watching) -> list[tuple[str, str, int]]:
    """Everything until the end."""
    return [told(notice) async for batch in watching for notice in batch]


@asynccontextmanager
async def watching(collection: Collection, namespace: str = "", **options: Any) -> Any:
    """A watch for the length of a block."""
    async with await collection.watch(namespace, **options) as made:
        yield made
