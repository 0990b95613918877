"""Stores for random histories: in memory, and an embedded member's over LMDB and the channel in memory, both on virtual time.

Each remembers everything that was ever written, answers late, loses answers and refuses calls as the dice say. What is true is asked of
`history`, after `known` has returned.
"""

from __future__ import annotations

import asyncio
import pathlib
import random
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any, Protocol

from jepsen_like.sim.loop import VirtualLoop
from jepsen_like.sim.machine import SimulatedWorker
from raftkv.embedded import Environment, RunningMember, private_member, running_member
from raftkv.server.bootstrap import Platform
from raftkv.storage.fs import OsFileSystem
from raftkv.storage.lmdb_backend import LmdbOpener
from resource_api.errors import Object
from resource_api.registry.kv_store import KvStore
from resource_api.registry.objects import decode_stored
from resource_api.registry.store import (
    Change,
    Changes,
    CompactionTurn,
    OutcomeUnknownError,
    Page,
    Store,
    Stored,
    StoreError,
    StoreUnavailableError,
    StoreWatch,
)
from tests.resource_api.world import WorldClock
from tests.support.memory_store import MemoryStore

WORK_S = (0.0001, 0.002)
"""How long a job of a member's thread takes."""


class History:
    """Every change there was, in order."""

    def __init__(self) -> None:
        self.changes: list[Change] = []

    def state(self, key: str, revision: int) -> Object | None:
        """The object at a key as of a revision."""
        found: Object | None = None
        for change in self.changes:
            if change.key == key and change.revision <= revision:
                found = None if change.value is None else decode_stored(Stored(key, change.value, change.revision))
        return found

    def states(self, prefix: str, revision: int) -> dict[str, Object]:
        """All objects as of a revision."""
        keys = {change.key for change in self.changes if change.key.startswith(prefix)}
        found = {key: self.state(key, revision) for key in keys}
        return {key: obj for key, obj in sorted(found.items()) if obj is not None}


class Trouble:
    """What happens to calls on their way."""

    def __init__(self, dice: random.Random) -> None:
        self.dice = dice
        self.goes_on = True
        self.outage = asyncio.Event()

    async def dawdle(self) -> None:
        """On the way there, or back."""
        if self.goes_on:
            await asyncio.sleep(self.dice.choice((0, 0, 0.001, 0.01)))

    async def write(self, work: Callable[[], Awaitable[int]]) -> int:
        """Refused, done, or done and not said."""
        await self.dawdle()
        if self.goes_on and self.dice.random() < 0.03:
            raise StoreUnavailableError("not now")
        revision = await work()
        await self.dawdle()
        if self.goes_on and self.dice.random() < 0.05:
            raise OutcomeUnknownError("the answer was lost")
        return revision


class Log(Protocol):
    """A store's place: `store` is what the server that runs now has of it."""

    store: Store
    history: History
    trouble: Trouble

    @property
    def now(self) -> int:
        """The store's revision, at this instant."""

    async def known(self) -> None:
        """Waits until the history has all there is now."""

    async def restart(self) -> None:
        """The server that used it is gone; another will."""

    async def compact(self) -> None:
        """Everything before now is given up."""

    async def fail(self, for_s: float) -> None:
        """Nothing answers, and watches end."""


class MemoryLog(MemoryStore):
    """In memory; survives every server."""

    def __init__(self, trouble: Trouble) -> None:
        super().__init__()
        self.trouble = trouble
        self.history = History()
        self.store: Store = self

    def commit(self, writes: Any) -> int:
        revision = super().commit(writes)
        self.history.changes += [change for change in self._log if change.revision == revision]
        return revision

    async def known(self) -> None:
        """It is written there as it happens."""

    async def restart(self) -> None:
        """It knows of no server."""

    async def compact(self, revision: int = 0) -> None:
        if revision:
            await super().compact(revision)
        else:
            self.forget(self.now)

    async def fail(self, for_s: float = 0.0) -> None:  # type: ignore[override]  # a store that fails does so until it is told
        super().fail()
        await asyncio.sleep(for_s)
        self.outage = False

    async def get(self, key: str, *, revision: int = 0) -> Stored:
        await self.trouble.dawdle()
        return await super().get(key, revision=revision)

    async def create(self, key: str, value: bytes, *, ttl_s: int = 0) -> int:
        return await self.trouble.write(lambda: MemoryStore.create(self, key, value, ttl_s=ttl_s))

    async def update(self, key: str, value: bytes, *, expected_revision: int, ttl_s: int = 0) -> int:
        return await self.trouble.write(lambda: MemoryStore.update(self, key, value, expected_revision=expected_revision, ttl_s=ttl_s))

    async def delete(self, key: str, *, expected_revision: int) -> int:
        return await self.trouble.write(lambda: MemoryStore.delete(self, key, expected_revision=expected_revision))


class TroubledStore:
    """A store whose calls meet trouble. What it does beside them goes on in `group`."""

    def __init__(self, inner: Store, trouble: Trouble, group: asyncio.TaskGroup) -> None:
        self._inner = inner
        self._trouble = trouble
        self._group = group

    def _check(self) -> None:
        if self._trouble.outage.is_set():
            raise StoreUnavailableError("the store is down")

    async def get(self, key: str, *, revision: int = 0) -> Stored:
        await self._trouble.dawdle()
        self._check()
        return await self._inner.get(key, revision=revision)

    async def list(self, prefix: str, *, start: str = "", limit: int = 0, revision: int = 0) -> Page:
        self._check()
        return await self._inner.list(prefix, start=start, limit=limit, revision=revision)

    async def count(self, prefix: str) -> int:
        self._check()
        return await self._inner.count(prefix)

    async def revision(self) -> int:
        self._check()
        return await self._inner.revision()

    async def size(self) -> int:
        self._check()
        return await self._inner.size()

    async def create(self, key: str, value: bytes, *, ttl_s: int = 0) -> int:
        self._check()
        return await self._trouble.write(lambda: self._inner.create(key, value, ttl_s=ttl_s))

    async def update(self, key: str, value: bytes, *, expected_revision: int, ttl_s: int = 0) -> int:
        self._check()
        return await self._trouble.write(lambda: self._inner.update(key, value, expected_revision=expected_revision, ttl_s=ttl_s))

    async def delete(self, key: str, *, expected_revision: int) -> int:
        self._check()
        return await self._trouble.write(lambda: self._inner.delete(key, expected_revision=expected_revision))

    async def compaction_turn(self, number: int, revision: int) -> CompactionTurn:
        self._check()
        return await self._inner.compaction_turn(number, revision)

    async def compact(self, revision: int) -> None:
        self._check()
        await self._inner.compact(revision)

    @asynccontextmanager
    async def watch(self, prefix: str, *, after_revision: int) -> AsyncIterator[StoreWatch]:
        self._check()
        async with self._inner.watch(prefix, after_revision=after_revision) as inner:
            watch = _TroubledWatch(inner)
            tasks = [self._group.create_task(one) for one in (watch.take(), watch.end_with(self._trouble.outage))]
            try:
                yield watch
            finally:
                for task in tasks:
                    task.cancel()

    async def aclose(self) -> None:
        await self._inner.aclose()


class _TroubledWatch:
    """Ends with an outage, whatever its own does."""

    def __init__(self, inner: StoreWatch) -> None:
        self._inner = inner
        self._queue: asyncio.Queue[Changes | Exception] = asyncio.Queue()

    async def take(self) -> None:
        try:
            async for changes in self._inner:
                self._queue.put_nowait(changes)
        except StoreError as error:
            self._queue.put_nowait(error)

    async def end_with(self, outage: asyncio.Event) -> None:
        await outage.wait()
        self._queue.put_nowait(StoreUnavailableError("the store is down"))

    async def __aiter__(self) -> AsyncIterator[Changes]:
        while True:
            found = await self._queue.get()
            if isinstance(found, Exception):
                raise found
            yield found

    async def request_progress(self) -> bool:
        return await self._inner.request_progress()


class MemberLog:
    """A member of this process, its log and its database in a folder; it stops and starts with the server that embeds it."""

    def __init__(self, folder: pathlib.Path, trouble: Trouble, loop: VirtualLoop, group: asyncio.TaskGroup, clock: WorldClock) -> None:
        self.history = History()
        self.trouble = trouble
        self.store: Store
        self._settings = private_member(str(folder), compact_after_s=0)
        self._loop, self._group, self._clock = loop, group, clock
        self._seen = 1
        self._news = asyncio.Event()
        self._member: RunningMember
        self._end = asyncio.Event()
        self._host: asyncio.Task[None]
        self._starts = 0

    def _environment(self) -> Environment:
        def worker(name: str) -> SimulatedWorker:
            return SimulatedWorker(self._loop, self._loop.streams.get("worker", name, self._starts), lambda: WORK_S)

        return Environment(Platform(OsFileSystem(unsafe_no_sync=True), LmdbOpener(unsafe_no_sync=True)), self._clock, worker)

    async def start(self) -> None:
        """Ready when it returns."""
        self._starts += 1
        self._end = asyncio.Event()
        ready: asyncio.Future[None] = self._loop.create_future()
        self._host = self._group.create_task(self._serve(ready), name="embedded member")
        await ready

    async def _serve(self, ready: asyncio.Future[None]) -> None:
        async with running_member(self._settings, environment=self._environment()) as member:
            member.services.http1.load = lambda: None  # type: ignore[method-assign]  # nobody speaks HTTP/1.1 here
            await member.ready.wait()
            self._member = member
            store = KvStore(member.client(), clock=self._clock)
            self.store = TroubledStore(store, self.trouble, self._group)
            async with asyncio.TaskGroup() as group:
                noting = group.create_task(self._note(KvStore(member.client(), clock=self._clock)))
                ready.set_result(None)
                await self._end.wait()
                noting.cancel()
            await store.aclose()

    async def _note(self, store: KvStore) -> None:
        """Writes the history, in the store's words."""
        async with store.watch("", after_revision=self._seen) as watch:
            async for changes in watch:
                self.history.changes += changes.events
                self._seen = changes.revision
                self._news.set()

    @property
    def now(self) -> int:
        return self._member.core.store.revision

    async def known(self) -> None:
        wanted = self.now
        while self._seen < wanted:
            self._news.clear()
            await self._news.wait()

    async def restart(self) -> None:
        await self.stop()
        await self.start()

    async def stop(self) -> None:
        self._end.set()
        await self._host

    async def compact(self) -> None:
        await self.known()
        await KvStore.compact(self.store._inner, self.now)  # type: ignore[attr-defined]

    async def fail(self, for_s: float) -> None:
        self.trouble.outage.set()
        await asyncio.sleep(for_s)
        self.trouble.outage.clear()


def _conforms(store: TroubledStore, in_memory: MemoryLog, member: MemberLog) -> tuple[Store, Log, Log]:
    """Has the type checker compare them."""
    return store, in_memory, member
