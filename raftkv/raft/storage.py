"""SEAM: what consensus reads back from the log it was told is stored.

Implementations: `storage/raft_storage.py` (memory window above the write-ahead log) and `MemoryStorage` below, which
tests and the core simulation use. One conformance suite, tests/raft/test_storage_conformance.py, runs on both.
"""

from __future__ import annotations

from collections.abc import Sequence
from operator import itemgetter
from typing import Protocol

from raftkv.errors import RaftKVError
from raftkv.raft.messages import ConfState, Entry, HardState, SnapshotMeta


class CompactedIndexError(RaftKVError):
    """The entry was cut from the log; a snapshot stands in its place."""

    text = "raft: requested index is unavailable due to compaction"


class UnavailableIndexError(RaftKVError):
    """The entry is above the last index."""

    text = "raft: requested entry at index is unavailable"


class SnapshotUnavailableError(RaftKVError):
    """A snapshot is being made; ask again."""

    text = "raft: snapshot is temporarily unavailable"


class Storage(Protocol):
    """Log entries in [first_index, last_index]; the term of first_index - 1 is known too.

    What `ready()` handed out under a write number must be readable here when `persisted` reports that number. An
    implementation may show it earlier: consensus reads no index here that it still holds as unstable itself.
    """

    def initial_state(self) -> tuple[HardState, ConfState]:
        """Hard state and configuration found at start; zero values for a new member."""

    def entries(self, low: int, high: int, size_bytes_max: int) -> Sequence[Entry]:
        """Entries of [low, high), cut when their data exceeds the size, but at least one.

        Raises CompactedIndexError, UnavailableIndexError.
        """

    def term(self, index: int) -> int:
        """Term of the entry at index. Raises CompactedIndexError, UnavailableIndexError."""

    def first_index(self) -> int:
        """Lowest index still readable as an entry."""

    def last_index(self) -> int:
        """Highest index stored; first_index - 1 when empty."""

    def snapshot(self) -> SnapshotMeta:
        """The newest snapshot that can be sent now. Raises SnapshotUnavailableError."""


class MemoryStorage:
    """A log in memory that holds what a disk would: callers put a write in when it is to count as durable.

    Invariants: 1. entries are contiguous from first_index; 2. the snapshot stands at or below last_index.
    """

    def __init__(self, conf_state: ConfState | None = None) -> None:
        self.hard_state = HardState()
        self.conf_state = conf_state or ConfState()
        self._snapshot = SnapshotMeta(0, 0, self.conf_state)
        self._base_index = 0
        self._base_term = 0
        self._entries: list[Entry] = []

    def initial_state(self) -> tuple[HardState, ConfState]:
        """See `Storage`. The configuration is the one of the applied index that the driver starts from."""
        return self.hard_state, self.conf_state

    def entries(self, low: int, high: int, size_bytes_max: int) -> Sequence[Entry]:
        """See `Storage`."""
        if low <= self._base_index:
            raise CompactedIndexError
        if high > self.last_index() + 1:
            raise UnavailableIndexError
        found = self._entries[low - self._base_index - 1 : high - self._base_index - 1]
        return cut_to_bytes(found, size_bytes_max)[0]

    def term(self, index: int) -> int:
        """See `Storage`."""
        entries = self._entries
        position = index - self._base_index
        if 0 < position <= len(entries):
            return entries[position - 1].term
        if position > 0:
            raise UnavailableIndexError
        if position < 0:
            raise CompactedIndexError
        return self._base_term

    def first_index(self) -> int:
        """See `Storage`."""
        return self._base_index + 1

    def last_index(self) -> int:
        """See `Storage`."""
        return self._base_index + len(self._entries)

    def snapshot(self) -> SnapshotMeta:
        """See `Storage`."""
        return self._snapshot

    def write(self, hard_state: HardState | None, snapshot: SnapshotMeta | None, entries: Sequence[Entry]) -> None:
        """Takes over one Ready's write: snapshot, then entries (overwriting from the first of them on), then hard state."""
        if snapshot is not None:
            self._install(snapshot)
        if entries:
            first = entries[0].index
            assert self._base_index < first <= self.last_index() + 1, "a write leaves no gap"
            self._entries[first - self._base_index - 1 :] = entries
        if hard_state is not None:
            self.hard_state = hard_state

    def make_snapshot(self, index: int, conf_state: ConfState) -> SnapshotMeta:
        """Notes that the state at `index` can be sent; `conf_state` is the configuration applied there."""
        self._snapshot = SnapshotMeta(index, self.term(index), conf_state)
        return self._snapshot

    def compact(self, index: int) -> None:
        """Drops the entries up to and including `index`, which a snapshot must cover."""
        assert index <= self._snapshot.index, "the log is cut only below a snapshot"
        if index > self._base_index:
            self._base_term = self.term(index)
            del self._entries[: index - self._base_index]
            self._base_index = index

    def check_invariants(self) -> None:
        """Asserts the class's invariants by number."""
        for position, entry in enumerate(self._entries):
            assert entry.index == self._base_index + 1 + position, "1"
        assert self._snapshot.index <= self.last_index(), "2"

    def _install(self, snapshot: SnapshotMeta) -> None:
        self._snapshot = snapshot
        self.conf_state = snapshot.conf_state
        self._base_index = snapshot.index
        self._base_term = snapshot.term
        self._entries = []


def cut_to_bytes(entries: Sequence[Entry], size_bytes_max: int) -> tuple[Sequence[Entry], int]:
    """The longest prefix whose data fits the size, but at least one entry when there is one; and the size of its data."""
    if len(entries) == 1:
        return entries, len(entries[0].data)
    size = sum(map(len, map(_DATA, entries)))
    if size <= size_bytes_max:
        return entries, size
    size = 0
    for position, entry in enumerate(entries):
        if size + len(entry.data) > size_bytes_max and position > 0:
            return entries[:position], size
        size += len(entry.data)
    return entries, size


_DATA = itemgetter(3)
"""An entry's data without a Python-level step per entry."""
