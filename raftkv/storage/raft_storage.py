"""The log as consensus reads it: newest entries in memory, older ones read back from the write-ahead log. Hot path.

Owns the window of entries in memory, the terms of all entries readable, and where the log was cut. Loop only; see
raft/storage.py for the contract. The driver calls `append` for entries the log has reported durable, before it tells
consensus so: what leaves the window is then always readable from the disk.
"""

from __future__ import annotations

from collections.abc import Sequence

from raftkv.raft.messages import ConfState, Entry, HardState, SnapshotMeta
from raftkv.raft.storage import CompactedIndexError, SnapshotUnavailableError, UnavailableIndexError
from raftkv.storage.recovery import Recovered

WINDOW_BYTES = 32 << 20
"""Entries kept in memory. Holds the catch-up entries of a usual load; a follower further behind costs disk reads."""

ENTRY_OVERHEAD_BYTES = 120
"""What an entry takes in memory besides its data: a tuple, its numbers and the bytes object's head."""


class RaftStorage:
    """See raft.storage.Storage. Invariants:

    1. The window holds entries [_base, last_index] and nothing else; everything below it, from first_index on, is in the
       write-ahead log.
    2. `_terms` covers [_compacted, last_index], except index 0, whose term is 0.
    """

    def __init__(self, recovered: Recovered, *, conf_state: ConfState | None = None, window_bytes: int = WINDOW_BYTES) -> None:
        self._wal = recovered.wal
        self._window_bytes = window_bytes
        self._hard_state = recovered.hard_state
        self._snapshot = recovered.snapshot
        if conf_state is None:
            conf_state = ConfState() if recovered.snapshot is None else recovered.snapshot.conf_state
        self._conf_state = conf_state
        self._terms = recovered.terms.copy()
        if recovered.snapshot is not None and not 0 < self._terms.first <= recovered.snapshot.index:
            self._terms.prepend(recovered.snapshot.index, recovered.snapshot.term)
        # The term below the first entry must be known: 0 below entry 1, and any other log gives its first entry up for it.
        self._compacted = 0 if recovered.first_index == 1 else self._terms.first
        self._last = recovered.last_index
        self._entries: list[Entry] = []
        self._base = self._last + 1
        self._bytes = 0

    def initial_state(self) -> tuple[HardState, ConfState]:
        """See Storage."""
        return self._hard_state, self._conf_state

    def entries(self, low: int, high: int, size_bytes_max: int) -> Sequence[Entry]:
        """See Storage. Below the window it reads the disk."""
        if low <= self._compacted:
            raise CompactedIndexError()
        if high > self._last + 1:
            raise UnavailableIndexError()
        if low >= high:
            return ()
        found: list[Entry] = []
        if low < self._base:
            found = self._read_back(low, min(high, self._base), size_bytes_max)
            if high <= self._base or found[-1].index + 1 < self._base:
                return found
            size_bytes_max -= sum(len(entry.data) for entry in found)
            low = self._base
        held = self._entries[low - self._base : high - self._base]
        for position, entry in enumerate(held):
            size_bytes_max -= len(entry[3])
            if size_bytes_max < 0 and (position or found):
                del held[position:]
                break
        return found + held if found else held

    def term(self, index: int) -> int:
        """See Storage; also answers for first_index - 1."""
        if index > self._last:
            raise UnavailableIndexError()
        if index < self._compacted:
            raise CompactedIndexError()
        return self._terms.term(index) if index else 0

    def first_index(self) -> int:
        """See Storage."""
        return self._compacted + 1

    def last_index(self) -> int:
        """See Storage."""
        return self._last

    def snapshot(self) -> SnapshotMeta:
        """See Storage."""
        if self._snapshot is None:
            raise SnapshotUnavailableError()
        return self._snapshot

    def append(self, entries: Sequence[Entry]) -> None:
        """Takes entries the log has reported durable; they replace those held from the first one's index on."""
        if entries and entries[0].index <= self._compacted:
            entries = [entry for entry in entries if entry.index > self._compacted]
        if not entries:
            return
        first, last = entries[0].index, entries[-1].index
        assert first <= self._last + 1, "the log has no gaps"
        if first <= self._last:
            self._truncate(first)
        self._terms.extend_run(entries)
        self._entries.extend(entries)
        self._last = last
        size = ENTRY_OVERHEAD_BYTES * len(entries)
        for entry in entries:
            size += len(entry[3])
        self._bytes += size
        if self._bytes > self._window_bytes:
            self._shrink()

    def set_hard_state(self, hard_state: HardState) -> None:
        """What initial_state answers from now on."""
        self._hard_state = hard_state

    def set_conf_state(self, conf_state: ConfState) -> None:
        """What initial_state answers from now on."""
        self._conf_state = conf_state

    def set_snapshot(self, meta: SnapshotMeta) -> None:
        """An own snapshot at meta.index can be sent: the store is durable there and the log holds its mark.

        One that an installed snapshot has overtaken changes nothing.
        """
        if self._snapshot is not None and meta.index <= self._snapshot.index:
            return
        assert meta.index <= self._last, "an own snapshot lies inside the log"
        self._snapshot = meta

    def apply_snapshot(self, meta: SnapshotMeta) -> None:
        """A snapshot from the leader took the log's place; its mark is durable."""
        self._snapshot = meta
        self._conf_state = meta.conf_state
        self._terms.reset(meta.index, meta.term)
        self._compacted = self._last = meta.index
        self._entries, self._base, self._bytes = [], meta.index + 1, 0

    def compact(self, index: int) -> None:
        """Entries up to index are no longer readable; `Wal.purge(index + 1)` may follow. A cut further back changes nothing."""
        assert index <= self._last, "nothing above the last index to cut"
        if index <= self._compacted:
            return
        self._terms.compact(index)
        self._compacted = index
        self._drop_below(index + 1)

    def count_in(self, size_bytes: int) -> int:
        """About how many entries take up so many bytes, when they are like the newest ones."""
        return size_bytes * len(self._entries) // self._bytes if self._bytes else 0

    def describe(self) -> str:
        """For people."""
        return (
            f"raft log: entries {self.first_index()} to {self._last}, in memory from {self._base} ({self._bytes} bytes), "
            f"snapshot {self._snapshot}, {self._hard_state}"
        )

    def _truncate(self, index: int) -> None:
        if index <= self._base:
            self._entries, self._base, self._bytes = [], index, 0
        else:
            for entry in self._entries[index - self._base :]:
                self._bytes -= ENTRY_OVERHEAD_BYTES + len(entry[3])
            del self._entries[index - self._base :]

    def _shrink(self) -> None:
        """Down to three quarters, so that the list is moved once per quarter and not per append."""
        target = self._window_bytes * 3 // 4
        size, count = self._bytes, 0
        for entry in self._entries:
            if size <= target:
                break
            size -= ENTRY_OVERHEAD_BYTES + len(entry[3])
            count += 1
        self._drop_below(self._base + count)

    def _drop_below(self, index: int) -> None:
        count = index - self._base
        if count <= 0:
            return
        for entry in self._entries[:count]:
            self._bytes -= ENTRY_OVERHEAD_BYTES + len(entry[3])
        del self._entries[:count]
        self._base = index

    def _read_back(self, low: int, high: int, size_bytes_max: int) -> list[Entry]:
        """From disk; entries already replaced there by a write not yet reported are left out."""
        found = self._wal.read_entries(low, high, size_bytes_max)
        for position, entry in enumerate(found):
            if entry.term != self._terms.term(entry.index):
                del found[position:]
                break
        if not found:
            raise UnavailableIndexError()
        return found
