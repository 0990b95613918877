"""Where the log's entries are: which record of which segment holds an index, and which term.

Owns two small tables that make old entries readable without keeping them: `BatchIndex` (shared by the log's thread,
which writes it, and the loop, which reads it: hence the lock) and `TermRuns` (one owner). Neither touches a file.
"""

from __future__ import annotations

import threading
from bisect import bisect_right
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from raftkv.raft.messages import Entry


class Position(NamedTuple):
    """Entries [first, last] that still count are in the record at `offset` of the segment; `size_bytes` is the whole record's."""

    first: int
    last: int
    segment: int
    offset: int
    size_bytes: int


class BatchIndex:
    """Invariants: 1. positions are in index order and do not overlap; 2. a later record's entries replace those of earlier
    records from its first index on.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._firsts: list[int] = []
        self._positions: list[Position] = []

    def add(self, position: Position) -> None:
        """A record was written; entries from its first index on that older records hold no longer count."""
        with self._lock:
            firsts, positions = self._firsts, self._positions
            while firsts and firsts[-1] >= position.first:
                firsts.pop()
                positions.pop()
            if positions and positions[-1].last >= position.first:
                positions[-1] = positions[-1]._replace(last=position.first - 1)
            firsts.append(position.first)
            positions.append(position)

    def clear(self) -> None:
        """No entry written so far counts: a snapshot took the log's place."""
        with self._lock:
            self._firsts.clear()
            self._positions.clear()

    def drop_segments(self, below_segment: int) -> None:
        """Segments below that number are gone."""
        with self._lock:
            keep = 0
            while keep < len(self._positions) and self._positions[keep].segment < below_segment:
                keep += 1
            del self._firsts[:keep], self._positions[:keep]

    def find(self, low: int, high: int) -> list[Position]:
        """Positions that hold entries of [low, high), in order."""
        with self._lock:
            start = max(bisect_right(self._firsts, low) - 1, 0)
            found: list[Position] = []
            for position in self._positions[start:]:
                if position.first >= high:
                    break
                if position.last >= low:
                    found.append(position)
            return found

    def lowest_segment(self, index: int) -> int | None:
        """The lowest segment that holds an entry at or above index; None when none does."""
        with self._lock:
            return min((position.segment for position in self._positions if position.last >= index), default=None)

    def first(self) -> int:
        """The first index held; 0 when there is none."""
        with self._lock:
            return self._positions[0].first if self._positions else 0

    def last(self) -> int:
        """The last index held; 0 when there is none."""
        with self._lock:
            return self._positions[-1].last if self._positions else 0


class TermRuns:
    """Terms of a contiguous stretch of the log, as the first index of each run. Terms never fall along a log."""

    def __init__(self) -> None:
        self._starts: list[int] = []
        self._terms: list[int] = []
        self._last = 0

    @property
    def first(self) -> int:
        """Lowest index whose term is known; 0 when none is."""
        return self._starts[0] if self._starts else 0

    @property
    def last(self) -> int:
        """Highest index whose term is known; 0 when none is."""
        return self._last

    def reset(self, index: int, term: int) -> None:
        """Only this index's term is known from now on."""
        self._starts, self._terms, self._last = [index], [term], index

    def extend(self, entries: Iterable[tuple[int, int]]) -> None:
        """(index, term) of consecutive entries; those known from the first one on are replaced."""
        starts, terms = self._starts, self._terms
        last = -1
        for index, term in entries:
            if last < 0:
                self.truncate(index)
            if not terms or terms[-1] != term:
                starts.append(index)
                terms.append(term)
            last = index
        if last >= 0:
            self._last = last

    def extend_run(self, entries: Sequence[Entry]) -> None:
        """As extend; in one step for a batch of one term, which nearly every one is."""
        first, last = entries[0], entries[-1]
        if first.term != last.term:
            self.extend((entry.index, entry.term) for entry in entries)
            return
        self.truncate(first.index)
        if not self._terms or self._terms[-1] != first.term:
            self._starts.append(first.index)
            self._terms.append(first.term)
        self._last = last.index

    def prepend(self, index: int, term: int) -> None:
        """The index before the first one, or the only one."""
        if not self._starts:
            self.reset(index, term)
            return
        assert index == self._starts[0] - 1, "terms are known without gaps"
        self._starts.insert(0, index)
        self._terms.insert(0, term)

    def truncate(self, index: int) -> None:
        """Forgets terms from index on."""
        if index > self._last:
            return
        starts, terms = self._starts, self._terms
        while starts and starts[-1] >= index:
            starts.pop()
            terms.pop()
        self._last = min(self._last, index - 1) if starts else 0

    def compact(self, index: int) -> None:
        """Forgets terms below index."""
        keep = bisect_right(self._starts, index) - 1
        if keep >= 0 and index <= self._last:
            del self._starts[:keep], self._terms[:keep]
            self._starts[0] = index

    def term(self, index: int) -> int:
        """The term at an index in [first, last]."""
        return self._terms[bisect_right(self._starts, index) - 1]

    def copy(self) -> TermRuns:
        """An independent one."""
        made = TermRuns()
        made._starts, made._terms, made._last = self._starts.copy(), self._terms.copy(), self._last
        return made
