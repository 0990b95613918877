"""Watchers whose every response is written to the history: one that goes on until the run ends, whatever happens to its stream.

Owns how a watch of raftkv's client becomes records: each creation is a `Watch` of its own, with the start revision that was
asked for; a lost stream is a cancelled response with its reason. A watcher that was compacted away begins again where
history begins. What is watched, and what must be true of it, is the workload's.

A collector's watch stays open from the load to the last write, which must come to it by itself: a watch that is made anew reads
what it wants from the store's history, and would hide that nothing was sent to the one before. Its connection is pinged by the
client (`attempts.KEEPALIVE_S`), so that one whose other end is gone is given up long before `CONVERGE_WITHIN_S` are over, and a
watch that is open and silent at a member that answers is the server's doing.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import NamedTuple, Protocol

from jepsen_like.history import Event, History, Watch, WatchResponse
from jepsen_like.ledger import NOTE, note
from jepsen_like.workload.pacing import NotReadyError, answered
from jepsen_like.workload.session import kv_of
from jepsen_like.workload.workload import World
from raftkv import client as etcd
from raftkv.errors import RaftKVError

REOPEN_S = 0.1
"""Before another try at a member that does not answer."""

CONVERGE_WITHIN_S = 60.0
"""How long after the last write its event is waited for."""

SERVES_WITHIN_S = 5.0
"""A member answers within so long of its watchers' time."""

SILENT_S = 25.0
"""A watch that was open for so long at a member that answers must have shown what is there: events come in milliseconds, and no
connection without a sign of life is kept for longer than two of the client's keepalives."""

AWAITED = "awaited watches"
"""In a note: [watch, revision] of each that was waited for."""

KEPT = "kept watches"
"""In the same note: those of them that stayed open to the end."""


class Awaited(NamedTuple):
    """What readers waited for at the end."""

    revisions: Mapping[int, int]
    """Watch -> revision."""

    kept: frozenset[int]
    """Watches that stayed open until they were there or their time was over."""


class Wanted(NamedTuple):
    """What to watch and how."""

    key: str
    range_end: str = ""
    since: int = 0
    prev_kv: bool = False
    filters: tuple[str, ...] = ()
    progress: bool = False
    """Ask the server to report when nothing happens."""


class Open(Protocol):
    """What holds a watch open."""

    async def aclose(self) -> None:
        """Ends it; may be called again."""


class Watcher:
    """One reader of one member.

    Invariants: 1. `revision` is the newest that was shown or promised, and never falls. 2. `number` is that of the watch now
    open, or of the last one.
    """

    def __init__(
        self,
        world: World,
        member: str,
        wanted: Wanted,
        numbers: Callable[[], int],
        *,
        process: int = -1,
        pause_s: float = 0.0,
        on_event: Callable[[Event], None] | None = None,
        beyond: int = 0,
    ) -> None:
        self._world = world
        self.member = member
        self._wanted = wanted
        self._numbers = numbers
        self._process = world.recorder.process() if process < 0 else process
        self._pause_s = pause_s
        self._on_event = on_event
        self._beyond = beyond
        """Revisions left out after a compaction: see `guarantees.TOMBSTONE_FIXED_IN`."""

        self.revision = 0
        self.number = -1
        self.compacted = 0
        """How often it was cancelled because what it wanted was compacted."""

        self._next = wanted.since
        self._open = False
        self._opened_s = 0.0
        self._client: etcd.AsyncClient | None = None
        self._watch: etcd.Watch | None = None

    @property
    def key(self) -> str:
        """The first key it watches."""
        return self._wanted.key

    def is_kept(self) -> bool:
        """Whether the watch is open, and has been for `SILENT_S`."""
        return self._open and self._world.now_s() - self._opened_s >= SILENT_S

    def hurry(self) -> None:
        """Reads without pauses from now on."""
        self._pause_s = 0.0

    def request_progress(self) -> None:
        """Asks the server how far this watch has come, if it is open."""
        if self._watch is not None and self._open:
            self._watch.request_progress()

    async def run(self, *, once: bool = False, keep: bool = False) -> None:
        """Watches until cancelled; `once`: or until the server has cancelled the watch. May be run again, and then goes on.

        `keep`: being cancelled leaves the watch open, for the next run to read on; who does so calls `aclose` at the end.
        """
        kept = False
        try:
            while True:
                if self._client is None:
                    self._client = self._world.client(self.member)
                if self._watch is None:
                    self._watch = self._client.watch(_selection(self._wanted), **self._options())
                compacted, ended = 0, False
                try:
                    compacted = await self._follow(self._watch)
                    ended = once
                except RaftKVError as exc:
                    self._lost(str(exc))
                self._leave(compacted)
                if ended:
                    return
                await self._world.sleep(REOPEN_S)
        except asyncio.CancelledError:
            kept = keep
            raise
        finally:
            if not kept:
                await self.aclose()

    async def aclose(self) -> None:
        """Ends the watch; may be called again."""
        self._lost("the reader ended it")
        self._leave()
        client, self._client = self._client, None
        if client is not None:
            await client.aclose()

    def _leave(self, compacted: int = 0) -> None:
        """The watch is over; the next one begins behind it, or where history begins."""
        watch, self._watch = self._watch, None
        if watch is not None:
            self._next = max(watch.revision, compacted + self._beyond if compacted else 0)
            watch.close()

    async def _follow(self, watch: etcd.Watch) -> int:
        """Reads to the cancellation; its compact revision, 0 for another reason."""
        while True:
            asked, opened_ns = watch.revision, self._world.recorder.now_ns()
            batch = await watch.receive()
            if batch.created or not self._open:
                self._lost("the stream was lost")
                self._begin(asked, opened_ns)
            self._write(batch)
            if batch.canceled:
                self._open = False
                self.compacted += bool(batch.compact_revision)
                return batch.compact_revision
            if self._pause_s:
                await self._world.sleep(self._pause_s)

    def _begin(self, asked: int, opened_ns: int) -> None:
        wanted = self._wanted
        self.number = self._numbers()
        self._open, self._opened_s = True, self._world.now_s()
        self._world.recorder.write(
            Watch(self.number, self._process, wanted.key, wanted.range_end, asked, opened_ns, self.member, wanted.prev_kv, wanted.filters)
        )

    def _write(self, batch: etcd.WatchBatch) -> None:
        events = tuple(_event(event) for event in batch.events)
        response = WatchResponse(
            self.number,
            self._world.recorder.now_ns(),
            batch.header.revision,
            events,
            batch.created,
            batch.canceled,
            batch.compact_revision,
            False,  # The client has put fragments together.
            batch.cancel_reason,
        )
        self._world.recorder.write(response)
        if events:
            self.revision = max(self.revision, events[-1].kv.mod_revision)
        elif not batch.created and not batch.canceled:
            self.revision = max(self.revision, batch.header.revision)
        if self._on_event is not None:
            for event in events:
                self._on_event(event)

    def _lost(self, reason: str) -> None:
        if self._open:
            self._open = False
            self._world.recorder.write(WatchResponse(self.number, self._world.recorder.now_ns(), 0, cancelled=True, reason=reason))

    def _options(self) -> dict[str, object]:
        wanted = self._wanted
        return {
            "since": self._next,
            "previous": wanted.prev_kv,
            "puts": "noput" not in wanted.filters,
            "deletes": "nodelete" not in wanted.filters,
            "progress": wanted.progress,
        }


@asynccontextmanager
async def left_open(watchers: Sequence[Open]) -> AsyncIterator[None]:
    """Who runs watchers with `keep` in this block ends them if it fails: nobody will read on."""
    try:
        yield
    except BaseException:
        for one in watchers:
            await one.aclose()
        raise


async def converge(world: World, watchers: Sequence[Watcher], revision: int) -> None:
    """Waits until every watcher, which somebody runs, was shown `revision`, or `CONVERGE_WITHIN_S` are over.

    Notes which were waited for, and which of them stayed open at a member that answers, for `awaited_of`.
    """
    began_ns = world.recorder.now_ns()
    deadline_s = world.now_s() + CONVERGE_WITHIN_S
    while any(watcher.revision < revision for watcher in watchers) and world.now_s() < deadline_s:
        await world.sleep(0.05)
    await note_awaited(world, watchers, revision, began_ns)


async def note_awaited(world: World, watchers: Sequence[Watcher], revision: int, began_ns: int) -> None:
    """What `converge` notes, where the waiting was done by others."""
    silent = {one.member: one.key for one in watchers if one.revision < revision}
    serving = {member for member, key in silent.items() if await _serves(world, member, key)}
    kept = [one.number for one in watchers if one.revision >= revision or (one.is_kept() and one.member in serving)]
    awaited = {AWAITED: [[one.number, revision] for one in watchers], KEPT: kept}
    world.recorder.write(note(awaited, began_ns, world.recorder.now_ns()))


async def _serves(world: World, member: str, key: str) -> bool:
    """Whether the member answers a linearizable read: it has then applied what others have written before."""
    try:
        await answered(world, lambda session: session.get(key), members=(member,), within_s=SERVES_WITHIN_S)
    except NotReadyError:
        return False
    return True


async def read_to(world: World, watchers: Sequence[Watcher], revision: int) -> None:
    """Lets watchers that were kept open read on until each was shown `revision`, or `CONVERGE_WITHIN_S` are over, and ends them."""
    async with asyncio.TaskGroup() as group:
        for one in watchers:
            one.hurry()
        reading = [group.create_task(one.run(), name=f"collector {one.member}") for one in watchers]
        await converge(world, watchers, revision)
        for task in reading:
            task.cancel()


def awaited_of(history: History) -> Awaited:
    """What `converge` noted; of histories whose notes do not say what stayed open, nothing did."""
    revisions: dict[int, int] = {}
    kept: set[int] = set()
    for mark in history.marks:
        if mark.kind == NOTE and isinstance(mark.detail, dict) and AWAITED in mark.detail:
            revisions.update((int(number), int(revision)) for number, revision in mark.detail[AWAITED])
            kept.update(mark.detail.get(KEPT, ()))
    return Awaited(revisions, frozenset(kept))


def events_of(history: History) -> list[Event]:
    """Every event that any watcher was shown."""
    return [event for response in history.responses for event in response.events]


def _selection(wanted: Wanted) -> etcd.Selection:
    key, range_end = wanted.key.encode("latin-1"), wanted.range_end.encode("latin-1")
    return etcd.KeyRange(key, range_end) if range_end else key


def _event(event: etcd.Event) -> Event:
    kv = kv_of(event.kv)
    previous = None if event.previous is None else kv_of(event.previous)
    put = event.type == "PUT"
    return Event("put" if put else "delete", kv, previous, put and kv.create_revision == kv.mod_revision)
