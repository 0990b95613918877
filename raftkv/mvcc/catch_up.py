"""Catching up: watchers that read history until they have everything that was announced.

One slice reads some revisions from the tables once and serves every lagging watcher that is inside them, so a thousand
clients that reconnect at about the same revision cost one pass. Slices begin where the watcher that waited longest
stands; one far behind and many nearly done take turns. Called by the hub alone.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, NamedTuple

from raftkv.mvcc.kv import Event
from raftkv.mvcc.store import Store
from raftkv.mvcc.watch_events import EventBatch
from raftkv.mvcc.watch_ranges import WatchGroup, WatchRanges
from raftkv.mvcc.watch_state import PROGRESS, HubWatcher

REVISIONS_PER_RESPONSE_MAX: Final = 1000
"""etcd's bound on distinct revisions in one response of a watcher that catches up."""

SLICE_BYTES_MAX: Final = 512 << 10
"""Records of one slice, for half a millisecond; a single revision may exceed it, because a revision is never split."""


class Outcome(NamedTuple):
    """What a slice did; the hub moves the watchers."""

    parked: list[HubWatcher]
    """Their sinks are full."""

    synced: list[HubWatcher]
    """They have every event up to the announced revision."""

    compacted: list[HubWatcher]
    """They were told that history is gone."""

    event_count: int


class CatchUp:
    """The lagging watchers, longest waiting first."""

    __slots__ = ("_ranges", "_watchers")

    def __init__(self) -> None:
        self._watchers: dict[HubWatcher, None] = {}
        self._ranges = WatchRanges()

    def __len__(self) -> int:
        return len(self._watchers)

    def __iter__(self) -> Iterator[HubWatcher]:
        return iter(self._watchers)

    def add(self, watcher: HubWatcher) -> None:
        """A watcher lags."""
        self._watchers[watcher] = None
        self._ranges.add(watcher)

    def remove(self, watcher: HubWatcher) -> None:
        """A watcher lags no more."""
        del self._watchers[watcher]
        self._ranges.remove(watcher)

    def slice(self, store: Store, announced: int, budget_count: int) -> Outcome:
        """Serves the watchers in one stretch of history.

        Args:
            store: its history up to `announced` is complete from its compact revision on.
            announced: the revision synced watchers have; nothing above it is delivered.
            budget_count: about how many records are read, and how many watchers served.
        """
        outcome = Outcome([], [], [], 0)
        compact_revision = store.compact_revision
        leader: HubWatcher | None = None
        for watcher in self._watchers:
            if not watcher.stream.accepts():
                outcome.parked.append(watcher)
            elif watcher.next_revision < compact_revision:
                watcher.stream.sink.on_compacted(watcher.id, compact_revision)
                outcome.compacted.append(watcher)
            else:
                leader = watcher
                break
            if len(outcome.parked) + len(outcome.compacted) >= budget_count:
                break
        if leader is None:
            return outcome
        first = leader.next_revision
        events, last = _read(store, first, announced, budget_count)
        return outcome._replace(event_count=self._serve(store, events, first, last, announced, budget_count, outcome))

    def _serve(self, store: Store, events: list[Event], first: int, last: int, announced: int, budget_count: int, outcome: Outcome) -> int:
        touched: dict[WatchGroup, list[int]] = {}
        for place, event in enumerate(events):
            for group in self._ranges.match(event.key):
                touched.setdefault(group, []).append(place)
        batch = EventBatch(events, store.previous)
        shared: dict[tuple[WatchGroup, int, int], tuple[list[bytes], int, int]] = {}
        settled = {*outcome.parked, *outcome.compacted}
        served: list[HubWatcher] = []
        event_count = 0
        for watcher in self._watchers:
            start = watcher.next_revision
            if not first <= start <= last or watcher in settled:
                continue
            at = watcher.group
            assert at is not None
            places = touched.get(at)
            if places is not None:
                name = at, watcher.variant, start
                items, _, count = shared.get(name) or shared.setdefault(name, batch.items(places, watcher.variant, start))
                if items:
                    if not watcher.stream.accepts():
                        outcome.parked.append(watcher)
                        continue
                    watcher.stream.sink.on_events(watcher.id, announced, items)
                    event_count += count
                    if watcher.variant & PROGRESS:
                        watcher.had_events = True
            watcher.next_revision = last + 1
            served.append(watcher)
            if len(served) >= budget_count:
                break
        if last == announced:
            outcome.synced.extend(served)
        else:
            for watcher in served:
                # To the end of the line.
                del self._watchers[watcher]
                self._watchers[watcher] = None
        return event_count


def _read(store: Store, first: int, announced: int, budget_count: int) -> tuple[list[Event], int]:
    """Events from a revision on, whole revisions, and the last revision they are complete for."""
    last = min(announced, first + min(budget_count, REVISIONS_PER_RESPONSE_MAX) - 1)
    events: list[Event] = []
    revision = size_bytes = 0
    for event in store.replay(first, last):
        if event.revision != revision:
            if len(events) >= budget_count or size_bytes > SLICE_BYTES_MAX:
                return events, event.revision - 1
            revision = event.revision
        events.append(event)
        size_bytes += len(event.record)
    return events, last
