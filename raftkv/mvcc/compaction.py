"""Compaction: the logical mark, and the slices that then delete what nobody may read any more.

`schedule` takes effect at once and is replicated; the deletion behind it runs in slices at each member's own pace and may
stop anywhere. Both marks lie in Table.META under etcd's names, 8 bytes big-endian: `scheduledCompactRev` when the mark
is set, `finishedCompactRev` when its deletion is done. A store opened with a scheduled mark above the finished one goes
on where it was: the index rebuilt from the tables names again whatever is left.

A key's revisions are deleted oldest first, its tombstone last, so a crash between slices cannot bring a deleted key back.
"""

from __future__ import annotations

from typing import Final

from raftkv.failpoints import FAILPOINTS, hit
from raftkv.mvcc.key_index import KeyIndex
from raftkv.storage.backend import Table, Tables

SCHEDULED_MARK: Final = b"scheduledCompactRev"
FINISHED_MARK: Final = b"finishedCompactRev"
NEVER: Final = -1
"""The compact revision of a store that was never compacted."""


def _read_mark(tables: Tables, name: bytes) -> int:
    stored = tables.get(Table.META, name)
    return NEVER if stored is None else int.from_bytes(stored, "big")


class Compaction:
    """Compaction state of one store. Loop only."""

    __slots__ = ("_finished", "_index", "_pending", "_revision", "_tables", "removed_count")

    def __init__(self, tables: Tables, index: KeyIndex) -> None:
        self._tables = tables
        self._index = index
        self._revision = _read_mark(tables, SCHEDULED_MARK)
        self._finished = _read_mark(tables, FINISHED_MARK)
        self._pending: list[list[bytes]] = []
        self.removed_count = 0
        """Revisions deleted since the store was opened."""
        if self._finished < self._revision:
            self._pending.append(index.history.take_keys())

    @property
    def revision(self) -> int:
        """Oldest readable revision; -1 before the first compaction."""
        return self._revision

    @property
    def finished_revision(self) -> int:
        """The last mark whose deletion is complete."""
        return self._finished

    @property
    def is_active(self) -> bool:
        """True while `step` has work."""
        return self._finished < self._revision

    def schedule(self, revision: int) -> None:
        """Sets the logical mark, which must be above the present one."""
        assert revision > self._revision
        self._revision = revision
        if FAILPOINTS:
            hit("compactBeforeCommitScheduledCompact")
        self._tables.put(Table.META, SCHEDULED_MARK, revision.to_bytes(8, "big"))
        if FAILPOINTS:
            hit("compactAfterCommitScheduledCompact")
        self._pending.append(self._index.history.take_keys())

    def step(self, limit: int = 1000) -> bool:
        """One slice: looks at up to `limit` keys and deletes up to `limit` revisions. True while there is more to do."""
        if not self.is_active:
            return False
        if FAILPOINTS:
            hit("compactAfterAcquiredBatchTxLock")
        index, tables, revision = self._index, self._tables, self._revision
        budget = limit
        while budget > 0:
            if not self._pending:
                if FAILPOINTS:
                    hit("compactBeforeSetFinishedCompact")
                self._finished = revision
                tables.put(Table.META, FINISHED_MARK, revision.to_bytes(8, "big"))
                if FAILPOINTS:
                    hit("compactAfterSetFinishedCompact")
                return False
            keys = self._pending[-1]
            if not keys:
                self._pending.pop()
                continue
            key = keys.pop()
            removed, more = index.prune(key, revision, budget)
            if more:
                keys.append(key)
            for table_key in removed:
                tables.delete(Table.KEY, table_key)
            self.removed_count += len(removed)
            budget -= len(removed) + 1
        if FAILPOINTS:
            hit("compactBeforeCommitBatch")
        return True

    def held_keys(self) -> list[bytes]:
        """Keys still to be looked at; for invariant checks."""
        return [key for keys in self._pending for key in keys]
