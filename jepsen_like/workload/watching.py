"""Watchers whose every response is written to the history: one that goes on until the run ends, whatever happens to its stream.

Owns how a watch of raftkv's client becomes records: each creation is a `Watch` of its own, with the start revision that was
asked for; a lost stream is a cancelled response with its reason. A watcher that was compacted away begins again where
history begins. What is watched, and what must be true of it, is the workload's.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import NamedTuple

from jepsen_like.history import Event, History, Watch, WatchResponse
from jepsen_like.ledger import NOTE, note
from jepsen_like.workload.session import kv_of
from jepsen_like.workload.workload import World
from raftkv import client as etcd
from raftkv.errors import RaftKVError

REOPEN_S = 0.1
"""Before another try at a member that does not answer."""

CONVERGE_WITHIN_S = 60.0
"""How long after the last write its event is waited for."""

AWAITED = "awaited watches"


class Wanted(NamedTuple):
    """What to watch and how."""

    key: str
    range_end: str = ""
    since: int = 0
    prev_kv: bool = False
    filters: tuple[str, ...] = ()
    progress: bool = False
    """Ask the server to report when nothing happens."""


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
        self._watch: etcd.Watch | None = None

    def request_progress(self) -> None:
        """Asks the server how far this watch has come, if it is open."""
        if self._watch is not None and self._open:
            self._watch.request_progress()

    async def run(self, *, once: bool = False) -> None:
        """Watches until cancelled; `once`: or until the server has cancelled the watch. May be run again, and then goes on."""
        client = self._world.client(self.member)
        try:
            while True:
                self._watch = watch = client.watch(_selection(self._wanted), **self._options())
                compacted = 0
                try:
                    async with watch:
                        compacted = await self._follow(watch)
                    if once:
                        return
                except RaftKVError as exc:
                    self._lost(str(exc))
                finally:
                    self._next = max(watch.revision, compacted + self._beyond if compacted else 0)
                await self._world.sleep(REOPEN_S)
        finally:
            self._lost("the reader ended it")
            await client.aclose()

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
        self._open = True
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


async def converge(world: World, watchers: Sequence[Watcher], revision: int, *, within_s: float) -> None:
    """Waits until every watcher was shown `revision`, and notes which were waited for, for `awaited_of`."""
    began_ns = world.recorder.now_ns()
    deadline_s = world.now_s() + within_s
    while any(watcher.revision < revision for watcher in watchers) and world.now_s() < deadline_s:
        await world.sleep(0.05)
    awaited = [[watcher.number, revision] for watcher in watchers]
    world.recorder.write(note({AWAITED: awaited}, began_ns, world.recorder.now_ns()))


async def read_to(world: World, watchers: Sequence[Watcher], revision: int) -> None:
    """Lets watchers that nobody runs read until each was shown `revision`, or `CONVERGE_WITHIN_S` are over."""
    async with asyncio.TaskGroup() as group:
        reading = [group.create_task(one.run(), name=f"collector {one.member}") for one in watchers]
        await converge(world, watchers, revision, within_s=CONVERGE_WITHIN_S)
        for task in reading:
            task.cancel()


def awaited_of(history: History) -> dict[int, int]:
    """Watch -> the revision it was waited for, as `converge` noted."""
    found: dict[int, int] = {}
    for mark in history.marks:
        if mark.kind == NOTE and isinstance(mark.detail, dict) and AWAITED in mark.detail:
            found.update((int(number), int(revision)) for number, revision in mark.detail[AWAITED])
    return found


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
