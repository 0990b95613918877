"""Whether the server lives and can serve: its store answers, and what it follows has been read. Loop only."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

from resource_api.cache.watch_cache import WatchCache
from resource_api.controllers.object_index import ObjectIndex
from resource_api.http.health import Health
from resource_api.registry.store import Store, StoreError

STORE_TIMEOUT_S = 2.0
"""Upstream's `--etcd-healthcheck-timeout`."""


class Readiness:
    """The checks `etcd` and `informer-sync`, under upstream's names."""

    def __init__(self, store: Store, index: ObjectIndex) -> None:
        self._store = store
        self._index = index
        self.caches: Mapping[str, WatchCache] = {}
        """What must have been read before the first request, by what people call it."""

    def install(self, health: Health) -> None:
        """In upstream's order: whether the server is stopping is asked last."""
        health.alive["etcd"] = self.store_answers
        stopping = health.ready.pop("shutdown")
        health.ready |= {"etcd": self.store_answers, "informer-sync": self.all_is_read, "shutdown": stopping}

    async def store_answers(self) -> str:
        """The store tells its revision in time."""
        try:
            async with asyncio.timeout(STORE_TIMEOUT_S):
                await self._store.revision()
        except TimeoutError:
            return "error getting data from etcd: context deadline exceeded"
        except StoreError as error:
            return f"error getting data from etcd: {error}"
        return ""

    async def all_is_read(self) -> str:
        """Every cache that requests need has its first list, and the controllers know all objects."""
        missing = [name for name, cache in self.caches.items() if not cache.is_ready]
        if not self._index.ready.is_set():
            missing.append("all objects")
        return f"{len(missing)} informers not started yet: {missing}" if missing else ""
