"""SEAM: what consensus reads back from the log it was told is stored.

Implementations: `storage/raft_storage.py` (memory window above the write-ahead log) and `MemoryStorage` below, which
tests and the core simulation use. One conformance suite, tests/raft/test_storage_conformance.py, runs on both.
"""

from __future__ import annotations

from collections.abc import Sequence
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
    """Log entries in [first_index, last_index]; the term of first_index - 1 is known too."""

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
