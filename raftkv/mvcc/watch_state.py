"""One watcher as the hub keeps it: what it wants, how far it is, and the states it may pass through."""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING, Final

from raftkv.mvcc.key_tree import range_bounds
from raftkv.mvcc.watcher import WatchSpec

if TYPE_CHECKING:
    from raftkv.mvcc.watch_hub import HubStream
    from raftkv.mvcc.watch_ranges import WatchGroup

PREV_KV: Final = 1
NO_PUT: Final = 2
NO_DELETE: Final = 4
PROGRESS: Final = 8


class WatcherState(Enum):
    """Where a watcher stands. `SYNCED` ones get events from `notify`, all others have a next revision of their own."""

    NEW = "not yet placed"
    WAITING = "its next revision has not been announced yet: asked for in the future, or created between apply and notify"
    SYNCED = "has everything that was announced"
    LAGGING = "unsynced: reads history, slice by slice"
    PARKED = "unsynced and its sink is full: nothing happens until the sink resumes (etcd: victim)"
    GONE = "cancelled, compacted or closed"


_S = WatcherState
ALLOWED: Final = frozenset(
    {
        (_S.NEW, _S.WAITING),
        (_S.NEW, _S.SYNCED),
        (_S.NEW, _S.LAGGING),
        (_S.WAITING, _S.SYNCED),
        (_S.WAITING, _S.LAGGING),
        (_S.WAITING, _S.GONE),
        (_S.SYNCED, _S.PARKED),
        (_S.SYNCED, _S.LAGGING),
        (_S.SYNCED, _S.GONE),
        (_S.LAGGING, _S.SYNCED),
        (_S.LAGGING, _S.PARKED),
        (_S.LAGGING, _S.GONE),
        (_S.PARKED, _S.LAGGING),
        (_S.PARKED, _S.GONE),
    }
)
"""SYNCED to LAGGING happens only when the store was replaced by a snapshot; every other pair is a bug."""


class HubWatcher:
    """See the module. Hashed by identity."""

    __slots__ = (
        "due_s",
        "group",
        "had_events",
        "high",
        "id",
        "low",
        "next_revision",
        "start_revision",
        "state",
        "stream",
        "variant",
    )

    def __init__(self, stream: HubStream, watch_id: int, spec: WatchSpec, next_revision: int) -> None:
        self.stream = stream
        self.id = watch_id
        self.low, self.high = range_bounds(spec.key or b"\x00", spec.range_end)
        self.variant = PREV_KV * spec.prev_kv | NO_PUT * spec.no_put | NO_DELETE * spec.no_delete | PROGRESS * spec.progress_notify
        self.start_revision = spec.start_revision
        """As asked; no progress below it is told."""

        self.next_revision = next_revision
        """Oldest revision not delivered; without meaning while SYNCED."""

        self.state = WatcherState.NEW
        self.group: WatchGroup | None = None
        self.had_events = False
        """Events went out since the last progress tick."""

        self.due_s = 0.0
        """When the next progress notification is due; 0 before the first tick."""
