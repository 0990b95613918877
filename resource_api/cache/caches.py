"""All caches of one store: made on first use, one per storage prefix, and the tasks that keep them.

Resources that are stored alike (both Events, both versions of the autoscaler) get one cache. Loop only.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from types import TracebackType
from typing import Self

from raftkv.clock import Clock
from resource_api.cache.item import Decode
from resource_api.cache.reader import Reader
from resource_api.cache.rounds import ReadRounds
from resource_api.cache.selectors import FieldPath
from resource_api.cache.watch_cache import CacheSettings, WatchCache
from resource_api.registry.store import Store
from resource_api.schema.kinds import ResourceType


class Caches:
    """Use as a context: the tasks live as long as the block. The store is the caller's to close, afterwards."""

    def __init__(self, store: Store, clock: Clock, settings: CacheSettings | None = None) -> None:
        self._store = store
        self._clock = clock
        self._settings = settings
        self._group = asyncio.TaskGroup()
        self._caches: dict[str, WatchCache] = {}
        self._users: dict[str, int] = {}
        self.rounds = ReadRounds(store, self._group)

    async def __aenter__(self) -> Self:
        await self._group.__aenter__()
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        for cache in self._caches.values():
            cache.stop()
        self.rounds.stop()
        await self._group.__aexit__(kind, error, trace)

    def reader(self, type: ResourceType, decode: Decode, fields: Mapping[str, FieldPath] | None = None) -> Reader:
        """The reader of a resource. Its cache is filled on first use, or by `reader.cache.start()`.

        Args:
            type: the resource.
            decode: from the store's bytes to the object in the resource's version, with its resourceVersion.
            fields: what its field selectors may name, and where the values stand; name and namespace without.
        """
        path = type.storage_path
        cache = self._caches.get(path)
        if cache is None:
            cache = WatchCache(self._store, path + "/", decode, group=self._group, clock=self._clock, settings=self._settings)
            self._caches[path] = cache
        self._users[path] = self._users.get(path, 0) + 1
        return Reader(type, cache, self.rounds, self._store, clock=self._clock, decode=decode, fields=fields)

    def drop(self, reader: Reader) -> None:
        """A resource is no more: with the last one of its storage the cache goes, and its watchers are ended."""
        path = reader.type.storage_path
        self._users[path] -= 1
        if not self._users[path]:
            del self._users[path]
            self._caches.pop(path).stop()

    def describe(self) -> str:
        """One line per cache, for people."""
        return "\n".join(cache.describe() for cache in self._caches.values())
