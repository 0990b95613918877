"""The storage seam in memory: every revision kept, compaction, TTLs by hand, outages on request. The conformance suite runs on it.

Nothing waits but a watch without news. `hold_progress` makes a store that never answers progress requests; `outage` makes calls fail and
watches end.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from resource_api.registry.store import (
    Change,
    ChangedError,
    Changes,
    CompactedError,
    CompactionTurn,
    FutureRevisionError,
    KeyExistsError,
    KeyMissingError,
    Page,
    Store,
    Stored,
    StoreUnavailableError,
    StoreWatch,
    ValueTooLargeError,
)

VALUE_BYTES_MAX = 1_500_000
FIRST_REVISION = 1


class MemoryStore:
    """See the module."""

    def __init__(self, *, answers_progress: bool = True) -> None:
        self.answers_progress = answers_progress
        self.outage = False
        self.round_trips = 0
        """Calls of `revision`."""
        self.now = FIRST_REVISION
        self.compacted = 0
        self.turn = 0
        self._values: dict[str, list[tuple[int, bytes | None]]] = {}
        self._log: list[Change] = []
        self._ttls: dict[int, list[str]] = {}
        self._watches: list[_MemoryWatch] = []

    async def get(self, key: str, *, revision: int = 0) -> Stored:
        self._check(revision)
        stored = self._at(key, revision or self.now)
        if stored is None:
            raise KeyMissingError(key)
        return stored

    async def list(self, prefix: str, *, start: str = "", limit: int = 0, revision: int = 0) -> Page:
        self._check(revision)
        at = revision or self.now
        keys = sorted(key for key in self._values if key.startswith(prefix) and key >= prefix + start)
        found = [stored for key in keys if (stored := self._at(key, at)) is not None]
        cut = found[:limit] if limit else found
        return Page(cut, at, len(cut) < len(found), len(found) - len(cut))

    async def count(self, prefix: str) -> int:
        return len((await self.list(prefix)).items)

    async def revision(self) -> int:
        self._check(0)
        self.round_trips += 1
        return self.now

    async def size(self) -> int:
        self._check(0)
        return sum(len(value or b"") for versions in self._values.values() for _, value in versions)

    async def create(self, key: str, value: bytes, *, ttl_s: int = 0) -> int:
        self._check_value(value)
        if self._at(key, self.now) is not None:
            raise KeyExistsError(key)
        return self.put(key, value, ttl_s)

    async def update(self, key: str, value: bytes, *, expected_revision: int, ttl_s: int = 0) -> int:
        self._check_value(value)
        self._compare(key, expected_revision)
        return self.put(key, value, ttl_s)

    async def delete(self, key: str, *, expected_revision: int) -> int:
        self._check(0)
        self._compare(key, expected_revision)
        return self.remove(key)

    @asynccontextmanager
    async def watch(self, prefix: str, *, after_revision: int) -> AsyncIterator[StoreWatch]:
        self._check(0)
        watch = _MemoryWatch(self, prefix, after_revision)
        self._watches.append(watch)
        try:
            yield watch
        finally:
            self._watches.remove(watch)

    async def compaction_turn(self, number: int, revision: int) -> CompactionTurn:
        self._check(0)
        won = number == self.turn
        if won:
            self.turn += 1
            self.now += 1
        return CompactionTurn(won, self.turn, self.now)

    async def compact(self, revision: int) -> None:
        self._check(0)
        if revision > self.now:
            raise FutureRevisionError(self.now)
        if revision > self.compacted:
            self.forget(revision)

    async def aclose(self) -> None:
        self.outage = True
        self.wake()

    # By hand.

    def put(self, key: str, value: bytes, ttl_s: int = 0) -> int:
        """Writes without a compare."""
        if ttl_s:
            self._ttls.setdefault(ttl_s, []).append(key)
        return self.commit([(key, value)])

    def remove(self, *keys: str) -> int:
        """Deletes, all in one revision."""
        return self.commit([(key, None) for key in keys])

    def commit(self, writes: Sequence[tuple[str, bytes | None]]) -> int:
        """Several writes in one revision."""
        self.now += 1
        for key, value in writes:
            before = self._at(key, self.now - 1)
            self._values.setdefault(key, []).append((self.now, value))
            self._log.append(Change(key, value, before.value if before else None, self.now))
        self.wake()
        return self.now

    def expire(self) -> None:
        """Every TTL ends."""
        gone = [key for keys in self._ttls.values() for key in keys if self._at(key, self.now) is not None]
        self._ttls.clear()
        if gone:
            self.remove(*gone)

    def forget(self, revision: int) -> None:
        """Compacts by hand. A watch that is behind is cancelled."""
        self.compacted = revision
        self._log = [change for change in self._log if change.revision >= revision]
        self.wake()

    def fail(self) -> None:
        """From now on nothing answers, and watches end."""
        self.outage = True
        self.wake()

    def wake(self) -> None:
        for watch in self._watches:
            watch.news.set()

    # Inside.

    def events_of(self, prefix: str, after_revision: int) -> Sequence[Change]:
        return [change for change in self._log if change.revision > after_revision and change.key.startswith(prefix)]

    def _at(self, key: str, revision: int) -> Stored | None:
        for written, value in reversed(self._values.get(key, [])):
            if written <= revision:
                return None if value is None else Stored(key, value, written)
        return None

    def _compare(self, key: str, expected_revision: int) -> None:
        current = self._at(key, self.now)
        if (current.revision if current else 0) != expected_revision:
            raise ChangedError(current)

    def _check_value(self, value: bytes) -> None:
        self._check(0)
        if len(value) > VALUE_BYTES_MAX:
            raise ValueTooLargeError("etcdserver: request is too large")

    def _check(self, revision: int) -> None:
        if self.outage:
            raise StoreUnavailableError("the store is down")
        if revision and revision < self.compacted:
            raise CompactedError(self.compacted)
        if revision > self.now:
            raise FutureRevisionError(self.now)


class _MemoryWatch:
    def __init__(self, store: MemoryStore, prefix: str, after_revision: int) -> None:
        self._store = store
        self._prefix = prefix
        self._after = after_revision
        self._asked = False
        self.news = asyncio.Event()

    async def __aiter__(self) -> AsyncIterator[Changes]:
        store = self._store
        while True:
            self.news.clear()
            if store.outage:
                raise StoreUnavailableError("the store is down")
            if self._after < store.compacted and (self._after + 1 < store.compacted or self._after == 0):
                raise CompactedError(store.compacted)
            events = store.events_of(self._prefix, self._after)
            if events:
                self._after = events[-1].revision
                yield Changes([*events], self._after)
            elif self._asked:
                self._asked = False
                self._after = max(self._after, store.now)
                yield Changes([], self._after)
            else:
                await self.news.wait()

    async def request_progress(self) -> bool:
        self._asked = self._store.answers_progress
        self.news.set()
        return self._store.answers_progress


def _conforms(store: MemoryStore) -> Store:
    return store
