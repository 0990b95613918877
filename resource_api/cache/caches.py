"""All caches of one store: one per storage path, made on first use.

Resources that are stored alike (both Events, both versions of the autoscaler) share one. Loop only.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping

from raftkv.clock import Clock
from resource_api.cache.item import Decode
from resource_api.cache.reader import Reader
from resource_api.cache.rounds import ReadRounds
from resource_api.cache.selectors import FieldPath
from resource_api.cache.watch_cache import CacheSettings, WatchCache
from resource_api.registry.store import Store
from resource_api.schema.kinds import ResourceType


class Caches:
    """Their tasks are the group's; `stop` ends them. The store is the caller's to close, afterwards."""

    def __init__(
        self,
        store: Store,
        decode_of: Callable[[ResourceType], Decode],
        *,
        clock: Clock,
        group: asyncio.TaskGroup,
        settings: CacheSettings | None = None,
    ) -> None:
        """`decode_of` says how a resource's values are read in the version they are stored in; it is asked once for each storage path."""
        self._store = store
        self._decode_of = decode_of
        self._clock = clock
        self._group = group
        self._settings = settings
        self._caches: dict[str, WatchCache] = {}
        self.rounds = ReadRounds(store, group)

    def cache(self, type: ResourceType) -> WatchCache:
        """Of the resource's storage path."""
        path = type.storage_path
        found = self._caches.get(path)
        if found is None:
            decode = self._decode_of(type)
            found = WatchCache(self._store, path + "/", decode, group=self._group, clock=self._clock, settings=self._settings)
            self._caches[path] = found
        return found

    def reader(self, type: ResourceType, fields: Mapping[str, FieldPath] | None = None, decode: Decode | None = None) -> Reader:
        """The reader of a resource. Its cache is filled on first use, or by `reader.cache.start()`.

        Args:
            type: the resource.
            fields: what its field selectors may name, and where the values stand; name and namespace without.
            decode: from the store's bytes to the object in the resource's version, where that is not the one it is stored in.
        """
        cache = self.cache(type)
        return Reader(type, cache, self.rounds, self._store, clock=self._clock, decode=decode or cache.decode, fields=fields)

    def forget_views(self, path: str) -> None:
        """A custom kind is another now: its watches end, so that clients see the rest of it as it is served now."""
        found = self._caches.get(path)
        if found is not None:
            found.forget_views()

    def forget(self, path: str) -> None:
        """A custom kind is gone: its watches end."""
        found = self._caches.pop(path, None)
        if found is not None:
            found.stop()

    def stop(self) -> None:
        """Ends every watch and read."""
        for cache in self._caches.values():
            cache.stop()
        self.rounds.stop()

    def describe(self) -> str:
        """One line for each cache that is filled, for people."""
        return "\n".join(cache.describe() for cache in self._caches.values() if cache.is_ready)
