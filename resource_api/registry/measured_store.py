"""A store whose calls are timed, under kube-apiserver's names. Adds 0.9 us to a call; watches pass through. Loop only. Hot path."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator
from contextlib import AbstractAsyncContextManager
from typing import TypeVar

from raftkv.clock import Clock
from resource_api.histograms import Histogram
from resource_api.registry.store import (
    ChangedError,
    CompactionTurn,
    KeyExistsError,
    KeyMissingError,
    Page,
    Store,
    Stored,
    StoreError,
    StoreWatch,
)

T = TypeVar("T")

LABELS = ("operation", "group", "resource")

ANSWERS = (KeyExistsError, KeyMissingError, ChangedError)
"""What a store that works says no with."""

GroupResource = tuple[str, str]
ResourceOf = Callable[[str], GroupResource]
"""From a key or a prefix to the group and plural of what is kept there."""


class MeasuredStore:
    """`registry.store.Store`; see there."""

    def __init__(self, store: Store, clock: Clock, resource_of: ResourceOf) -> None:
        self._store = store
        self._clock = clock
        self._resource_of = resource_of
        self._heads: dict[str, GroupResource] = {}
        self.durations = Histogram("etcd_request_duration_seconds", "Duration of the store's answers.", LABELS)
        self.errors: dict[tuple[str, str, str], int] = {}
        """Calls that failed; a key that is there or is not, or was changed, is no failure."""

    def forget_names(self) -> None:
        """The set of resources has changed."""
        self._heads.clear()

    def samples(self) -> Iterator[tuple[str, tuple[tuple[str, str], ...], float]]:
        """Counters besides the durations."""
        for values, count in self.errors.items():
            yield "etcd_request_errors_total", tuple(zip(LABELS, values, strict=True)), count

    async def get(self, key: str, *, revision: int = 0) -> Stored:
        """See Store."""
        return await self._timed("get", key, self._store.get(key, revision=revision))

    async def list(self, prefix: str, *, start: str = "", limit: int = 0, revision: int = 0) -> Page:
        """See Store."""
        return await self._timed("list", prefix, self._store.list(prefix, start=start, limit=limit, revision=revision))

    async def count(self, prefix: str) -> int:
        """See Store."""
        return await self._timed("count", prefix, self._store.count(prefix))

    async def revision(self) -> int:
        """See Store."""
        return await self._timed("revision", "", self._store.revision())

    async def size(self) -> int:
        """See Store."""
        return await self._timed("size", "", self._store.size())

    async def create(self, key: str, value: bytes, *, ttl_s: int = 0) -> int:
        """See Store."""
        return await self._timed("create", key, self._store.create(key, value, ttl_s=ttl_s))

    async def update(self, key: str, value: bytes, *, expected_revision: int, ttl_s: int = 0) -> int:
        """See Store."""
        return await self._timed("update", key, self._store.update(key, value, expected_revision=expected_revision, ttl_s=ttl_s))

    async def delete(self, key: str, *, expected_revision: int) -> int:
        """See Store."""
        return await self._timed("delete", key, self._store.delete(key, expected_revision=expected_revision))

    async def compaction_turn(self, number: int, revision: int) -> CompactionTurn:
        """See Store."""
        return await self._timed("compaction_turn", "", self._store.compaction_turn(number, revision))

    async def compact(self, revision: int) -> None:
        """See Store."""
        await self._timed("compact", "", self._store.compact(revision))

    def watch(self, prefix: str, *, after_revision: int) -> AbstractAsyncContextManager[StoreWatch]:
        """See Store."""
        return self._store.watch(prefix, after_revision=after_revision)

    async def aclose(self) -> None:
        """See Store."""
        await self._store.aclose()

    async def _timed(self, operation: str, key: str, call: Awaitable[T]) -> T:
        clock = self._clock
        started_s = clock.monotonic_s()
        try:
            return await call
        except ANSWERS:
            raise
        except StoreError:
            labels = (operation, *self._named(key))
            self.errors[labels] = self.errors.get(labels, 0) + 1
            raise
        finally:
            self.durations.observe((operation, *self._named(key)), clock.monotonic_s() - started_s)

    def _named(self, key: str) -> GroupResource:
        head = storage_path_of(key)
        found = self._heads.get(head)
        if found is None:
            found = self._heads[head] = self._resource_of(head)
        return found


def storage_path_of(key: str) -> str:
    """Where the kind of a key's object is kept: one part, or two where the first is a group or the Services' record."""
    first, _, rest = key.partition("/")
    if "." in first or first == "services":
        return f"{first}/{rest.partition('/')[0]}"
    return first


def _conforms(store: MeasuredStore) -> Store:
    """Has the type checker compare the two."""
    return store
