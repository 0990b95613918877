"""What an API server does: page through a list, watch from its revision on, write under the condition of a mod revision.

Informers list with a limit and continue at the list's revision, then keep a cache by watching; writers create, update and
delete by compare-and-swap on the mod revision and read on failure; one client compacts the way the API server does, by a
transaction on `compact_rev_key` first. Compacted informers list again. At the end every cache must equal the store, and what is
open must have brought it there by itself.
Source: spec/faults.md §1 (kubernetes), apiserver storage/etcd3.
"""

from __future__ import annotations

import asyncio
import functools
import itertools

from jepsen_like.checker import order, watch
from jepsen_like.checker.verdict import Findings, Verdict, merged
from jepsen_like.history import OK, Event, History, Operation, TxnArgument
from jepsen_like.workload import keyspace
from jepsen_like.workload.pacing import Client, answered, drive
from jepsen_like.workload.session import Answer, Session, prefix_end
from jepsen_like.workload.watching import CONVERGE_WITHIN_S, Wanted, Watcher, awaited_of, events_of, left_open, note_awaited
from jepsen_like.workload.workload import World

OBJECTS = 20
PAGE = 6
COMPACT_EVERY_S = 1.0
KEEP_REVISIONS = 50

CACHE = "cache"
"""The operation that records an informer's cache: argument the revision it stands at, result its (key, mod revision) pairs."""


class Informer:
    """A cache of a prefix at one member: listed, then kept by watching."""

    def __init__(self, world: World, member: str, prefix: str, numbers: itertools.count[int]) -> None:
        self._world = world
        self.member = member
        self._prefix, self._end = prefix, prefix_end(prefix)
        self._numbers = numbers
        self.cache: dict[str, int] = {}
        self.watcher: Watcher | None = None
        self.listed = 0
        """The revision of the last whole list."""

    @property
    def revision(self) -> int:
        """Up to where the cache is known to be whole; 0 while there is none."""
        return 0 if self.watcher is None else self.watcher.revision

    async def run(self) -> None:
        """Lists and watches until cancelled; lists again when it was compacted away. Run again, it goes on with what it has, also
        with its watch: `aclose` ends that.
        """
        while True:
            if self.watcher is None:
                revision = await self._list()
                wanted = Wanted(self._prefix, self._end, revision + 1, prev_kv=True, progress=True)
                self.watcher = Watcher(self._world, self.member, wanted, lambda: next(self._numbers), on_event=self._on_event)
                self.watcher.revision = revision
            await self.watcher.run(once=True, keep=True)
            await self.watcher.aclose()
            self.watcher = None
            await self._world.sleep(0.05)

    async def aclose(self) -> None:
        """Ends the watch, if there is one; what was shown stays."""
        if self.watcher is not None:
            await self.watcher.aclose()

    async def _list(self) -> int:
        session = Session(self._world, self.member)
        try:
            while True:
                listed = await self._pages(session)
                if listed is not None:
                    return listed
                await self._world.sleep(0.05)
        finally:
            await session.aclose()

    async def _pages(self, session: Session) -> int | None:
        """One list; None when it broke off, also because its revision was compacted between two pages."""
        cache: dict[str, int] = {}
        page = await session.range(self._prefix, self._end, limit=PAGE)
        revision = page.revision if page is not None else 0
        while page is not None:
            cache.update((kv.key, kv.mod_revision) for kv in page.result.kvs)
            if not page.result.more:
                self.cache = cache
                self.listed = revision
                return revision
            page = await session.range(page.result.kvs[-1].key + "\0", self._end, limit=PAGE, revision=revision)
        return None

    def _on_event(self, event: Event) -> None:
        if event.type == "put":
            self.cache[event.kv.key] = event.kv.mod_revision
        else:
            self.cache.pop(event.kv.key, None)

    def record(self) -> int:
        """Writes down the cache and the revision it stands at, which it returns."""
        revision = self.revision
        call = self._world.recorder.begin(self._world.recorder.process(), CACHE, self._prefix, revision, member=self.member)
        call.ok(tuple(sorted(self.cache.items())), revision=revision)
        return revision

    def record_missing(self) -> None:
        """Writes down that there is no cache: it could not be listed again since it was compacted away."""
        call = self._world.recorder.begin(self._world.recorder.process(), CACHE, self._prefix, 0, member=self.member)
        call.fail(f"no whole list within {CONVERGE_WITHIN_S:.0f} s after the last write")


class Kubernetes:
    """List, watch and compare-and-swap, with compaction."""

    name = "kubernetes"

    def __init__(self, prefix: str = "") -> None:
        self._prefix = f"{prefix}registry/"
        self._compact_key = f"{prefix}compact_rev_key"
        self._keys = [f"{self._prefix}pods/{number:03d}" for number in range(OBJECTS)]
        self._numbers = itertools.count()
        self._known: dict[str, int] = {}
        self._revision = 0
        self._informers: list[Informer] = []

    async def run(self, world: World, *, until_s: float, rate: float) -> None:
        """See `Workload`."""
        self._revision = await keyspace.begin(world, self._prefix)
        self._informers = [Informer(world, member, self._prefix, self._numbers) for member in world.members]
        async with left_open(self._informers), asyncio.TaskGroup() as group:
            beside = [group.create_task(one.run(), name=f"informer {one.member}") for one in self._informers]
            beside.append(group.create_task(self._compactions(world), name="compactions"))
            await drive(world, self.name, self._step, count=2 * len(world.members), until_s=until_s, rate=rate)
            for task in beside:
                task.cancel()

    async def _step(self, client: Client) -> None:
        session, draws = client.session, client.random
        key = draws.choice(self._keys)
        act = draws.random()
        if session.cautious or act < 0.1:
            answer = await session.get(key)
            if answer is not None:
                self._known[key] = 0 if answer.result is None else answer.result.mod_revision
        elif act < 0.2:
            answer = await session.range(self._prefix, prefix_end(self._prefix), limit=PAGE)
        else:
            answer = await self._swap(client, key, delete=act > 0.8)
        if answer is not None:
            self._revision = max(self._revision, answer.revision)

    async def _swap(self, client: Client, key: str, *, delete: bool) -> Answer | None:
        known = self._known.get(key, 0)
        step = ("delete", key, "") if delete and known else ("put", key, client.unique())
        answer = await client.session.txn(TxnArgument(((key, "mod", "=", known),), (step,), (("get", key),)), key)
        if answer is not None:
            found = None if answer.result.succeeded else answer.result.responses[0]
            if not answer.result.succeeded:
                self._known[key] = 0 if found is None else found.mod_revision
            else:
                self._known[key] = 0 if step[0] == "delete" else answer.revision
        return answer

    async def _compactions(self, world: World) -> None:
        """As the API server does it: whoever wins the transaction on the key compacts, at the revision noted last time."""
        session = Session(world, world.members[0])
        version, noted = 0, 0
        try:
            while True:
                await world.sleep(COMPACT_EVERY_S)
                target = self._revision - KEEP_REVISIONS
                key = self._compact_key
                argument = TxnArgument(((key, "version", "=", version),), (("put", key, str(target)),), (("get", key),))
                answer = await session.txn(argument, key)
                if answer is None:
                    continue
                if not answer.result.succeeded:
                    found = answer.result.responses[0]
                    version = 0 if found is None else found.version
                    continue
                version += 1
                if noted > 0:
                    await session.compact(noted)
                noted = max(noted, target)
        finally:
            await session.aclose()

    async def finish(self, world: World) -> None:
        """A last write, which every cache must reach; then the caches, and the whole store at each revision that one stands at."""
        last = await answered(world, lambda session: session.put(f"{self._prefix}last", "last"))
        began_ns, deadline_s = world.recorder.now_ns(), world.now_s() + CONVERGE_WITHIN_S
        async with left_open(self._informers), asyncio.TaskGroup() as group:
            reading = [group.create_task(one.run(), name=f"informer {one.member}") for one in self._informers]
            while any(one.revision < last.revision for one in self._informers) and world.now_s() < deadline_s:
                await world.sleep(0.05)
            # One that listed again after the last write was shown nothing by its watch, and need not be.
            shown = [one.watcher for one in self._informers if one.watcher is not None and one.listed < last.revision]
            await note_awaited(world, shown, last.revision, began_ns)
            for task in reading:
                task.cancel()
        for one in self._informers:
            await one.aclose()
            if one.watcher is None:
                one.record_missing()
        # A cache may stand beyond the last write: one whose outcome is unknown is applied later, when a paused member reads it.
        reached = {one.record() for one in self._informers if one.revision >= last.revision}
        for revision in sorted(reached):
            await answered(world, functools.partial(self._whole, revision))

    async def _whole(self, revision: int, session: Session) -> Answer | None:
        return await session.range(self._prefix, prefix_end(self._prefix), revision=revision)

    def check(self, history: History) -> Verdict:
        """See `Workload`."""
        closed, awaited = keyspace.is_alone(history), awaited_of(history)
        return merged(
            (
                watch.check(history, closed=closed, unique_revisions=True, awaited=awaited.revisions, kept=awaited.kept),
                order.check(history.operations, events=events_of(history), closed=closed),
                check_caches(history),
            )
        )


def check_caches(history: History) -> Verdict:
    """Whether every recorded cache equals the store at its revision, as a range at that revision showed it."""
    findings = Findings()
    caches = [one for one in history.operations if one.f == CACHE]
    for cache in caches:
        if cache.outcome != OK:
            findings.undecided(f"the cache at {cache.member} was not compared: {cache.error}")
            continue
        whole = next((one for one in history.operations if _is_whole(one, cache)), None)
        if whole is None:
            findings.undecided(f"nobody read the store at revision {cache.argument}")
            continue
        stored = tuple(sorted((kv.key, kv.mod_revision) for kv in whole.result.kvs))
        if stored != cache.result:
            wrong = sorted({key for key, _revision in set(stored) ^ set(cache.result)})
            text = f"the cache at {cache.member} differs from the store at revision {cache.argument} in {', '.join(wrong[:5])}"
            findings.add("cache-diverged", text, (cache, whole), wrong)
    return findings.verdict(len(caches))


def _is_whole(one: Operation, cache: Operation) -> bool:
    argument = one.argument
    return one.f == "range" and one.outcome == OK and one.key == cache.key and argument.revision == cache.argument and not argument.limit
