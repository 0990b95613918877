"""The log as consensus sees it: an unstable tail above `Storage`, and how far it is committed, stable and applied.

Owns the bookkeeping of writes on their way to the disk: which index becomes stable when a write number is durable, also
when the entries of that write were overwritten meanwhile. Hot path: entries are moved as slices, a batch costs one tuple.

Words: *written* entries were handed out in a Ready; *stable* ones are reported durable; *applying* ones were handed out
to be applied. Source: etcd-io/raft log.go and log_unstable.go; the write records are ours.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence

from raftkv.raft.messages import Entry, EntryKind, HardState, SnapshotMeta
from raftkv.raft.storage import CompactedIndexError, Storage, UnavailableIndexError, cut_to_bytes

_SCAN_BYTES = 1 << 20
"""Data looked through at a time for configuration changes."""


class _Write:
    """One write on its way: what of it is still part of the log. `valid` falls when entries of it are overwritten."""

    __slots__ = ("index", "number", "snapshot", "term", "valid")

    def __init__(self, number: int, term: int, index: int, snapshot: SnapshotMeta | None) -> None:
        self.number = number
        self.term = term
        self.index = index
        self.valid = index
        self.snapshot = snapshot


class RaftLog:
    """Invariants:

    1. applied ≤ applying ≤ min(commit, stable) ≤ last_index.
    2. The tail begins right above stable, or right above the pending snapshot, and is contiguous to last_index.
    3. Terms never fall along the tail; last_term is the last one's.
    4. stable ≤ written ≤ last_index, unless a snapshot is pending.
    5. Write numbers rise, and no write still on its way claims an index above last_index.
    6. Only a pending snapshot is due.
    """

    __slots__ = (
        "_offset",
        "_offset_term",
        "_snapshot",
        "_storage",
        "_tail",
        "_writes",
        "written",
        "applied",
        "applying",
        "commit",
        "last_index",
        "last_term",
        "snapshot_due",
        "stable",
        "truncation_count",
    )

    def __init__(self, storage: Storage, hard_state: HardState, *, applied: int) -> None:
        last = storage.last_index()
        assert storage.first_index() - 1 <= applied <= last, "the store must stand within the log it was fed from"
        assert hard_state.commit <= last, "the log ends below its own commit index: committed entries were lost"
        self._storage = storage
        self._tail: list[Entry] = []
        self._offset = last + 1
        self._offset_term = storage.term(last)
        self._snapshot: SnapshotMeta | None = None
        self.snapshot_due = False
        """True while a snapshot waits to be handed out for writing."""
        self._writes: deque[_Write] = deque()
        self.written = last
        self.last_index = last
        self.last_term = self._offset_term
        self.stable = last
        self.truncation_count = 0
        # What was applied was committed, also when the hard state that says so was still to be written.
        self.commit = max(hard_state.commit, applied)
        self.applying = self.applied = applied

    @property
    def first_index(self) -> int:
        """Lowest index that can still be read as an entry."""
        return self._snapshot.index + 1 if self._snapshot is not None else self._storage.first_index()

    @property
    def has_pending_snapshot(self) -> bool:
        """True from `restore` until the snapshot is durable."""
        return self._snapshot is not None

    @property
    def has_unwritten(self) -> bool:
        """True when entries or a snapshot wait to be handed out for writing."""
        return self.written < self.last_index or self.snapshot_due

    @property
    def has_committed(self) -> bool:
        """True when entries wait to be handed out for applying."""
        return self.applying < self.commit and self.applying < self.stable and self._snapshot is None

    def term(self, index: int) -> int:
        """Term at index. Raises CompactedIndexError, UnavailableIndexError."""
        if index == self.last_index:
            return self.last_term
        if index > self.last_index:
            raise UnavailableIndexError
        if index >= self._offset:
            return self._tail[index - self._offset].term
        if index == self._offset - 1:
            return self._offset_term
        if self._snapshot is not None:
            raise CompactedIndexError
        return self._storage.term(index)

    def matches(self, index: int, term: int) -> bool:
        """True when the log holds an entry of that term at that index."""
        try:
            return self.term(index) == term
        except (CompactedIndexError, UnavailableIndexError):
            return False

    def is_up_to_date(self, *, index: int, term: int) -> bool:
        """True when a log ending there may lead this one (thesis §3.6.1): the later last term wins, then the longer log."""
        return term > self.last_term or (term == self.last_term and index >= self.last_index)

    def slice(self, low: int, high: int, size_bytes_max: int) -> tuple[tuple[Entry, ...], int]:
        """Entries of [low, high), cut to the size but at least one, and the size of their data.

        Raises CompactedIndexError.
        """
        if low >= high:
            return (), 0
        found: Sequence[Entry]
        if low >= self._offset:
            found = self._tail[low - self._offset : high - self._offset]
        elif self._snapshot is not None:
            raise CompactedIndexError
        else:
            found = self._storage.entries(low, high if high < self._offset else self._offset, size_bytes_max)
            if high > self._offset and low + len(found) == self._offset:
                found = [*found, *self._tail[: high - self._offset]]
        found, size_bytes = cut_to_bytes(found, size_bytes_max)
        return tuple(found), size_bytes

    def find_change(self, low: int, high: int) -> int:
        """Index of the last configuration change in [low, high); 0 when there is none."""
        found = 0
        while low < high:
            entries, _ = self.slice(low, high, _SCAN_BYTES)
            for entry in entries:
                if entry.kind == EntryKind.CONF_CHANGE:
                    found = entry.index
            low += len(entries)
        return found

    def extend(self, entries: Sequence[Entry]) -> None:
        """Appends entries that follow the last one. They are kept, not copied; the caller does not change them."""
        self._tail.extend(entries)
        last = entries[-1]
        self.last_index = last.index
        self.last_term = last.term

    def maybe_append(self, *, previous: int, previous_term: int, entries: Sequence[Entry], commit: int) -> int:
        """Takes a leader's append and its commit index (fig. 3.1, AppendEntries 2–5).

        Returns the index up to which this log now equals the leader's, or -1 when the entry before does not match.
        Truncates only from the first entry that conflicts, so an old or repeated append never shortens the log.
        """
        if previous == self.last_index:
            if previous_term != self.last_term:
                return -1
            if entries:
                self.extend(entries)
        else:
            if not self.matches(previous, previous_term):
                return -1
            for position, entry in enumerate(entries):
                if not self.matches(entry.index, entry.term):
                    self._overwrite(entries[position:])
                    break
        last_new = previous + len(entries)
        self.commit_to(commit if commit < last_new else last_new)
        return last_new

    def commit_to(self, index: int) -> None:
        """Moves the commit index up; a lower one changes nothing."""
        if index > self.commit:
            assert index <= self.last_index, "the leader commits what this log has lost: was the disk emptied or cut?"
            self.commit = index

    def find_probe(self, index: int, term: int) -> tuple[int, int]:
        """The highest (index, term) at or below `index` whose term is at most `term`: no higher one can match a log that
        has `term` at `index`. The term is 0 where the log is cut."""
        index = min(index, self.last_index)
        try:
            while True:
                found = self.term(index)
                if found <= term:
                    return index, found
                index -= 1
        except CompactedIndexError:
            return index, 0

    def restore(self, snapshot: SnapshotMeta) -> None:
        """Replaces the whole log by a snapshot above the commit index; it counts once its write is durable."""
        assert snapshot.index > self.commit, "a snapshot never takes back what is committed"
        # Nothing below the snapshot is applied any more, and of the old log only what is committed is known to be true.
        self.stable = min(self.stable, self.commit)
        for write in self._writes:
            write.valid = 0
            write.snapshot = None
        self._tail = []
        self._offset = snapshot.index + 1
        self._offset_term = self.last_term = snapshot.term
        self.written = self.last_index = self.commit = snapshot.index
        self._snapshot = snapshot
        self.snapshot_due = True

    def take_unwritten(self, number: int) -> tuple[SnapshotMeta | None, tuple[Entry, ...]]:
        """Hands out what is to be written, recorded under the write number: a snapshot, or entries, or nothing.

        Entries that follow a snapshot wait for the next call: installing a state is another job than appending.
        """
        if self.snapshot_due:
            snapshot = self._snapshot
            assert snapshot is not None, "2"
            self.snapshot_due = False
            self._writes.append(_Write(number, snapshot.term, snapshot.index, snapshot))
            return snapshot, ()
        entries: tuple[Entry, ...] = ()
        term = index = 0
        if self.written < self.last_index:
            entries = tuple(self._tail[self.written + 1 - self._offset :])
            self.written = index = self.last_index
            term = self.last_term
        self._writes.append(_Write(number, term, index, None))
        return None, entries

    def on_persisted(self, number: int, *, term: int, index: int) -> SnapshotMeta | None:
        """Every write up to `number` is durable; returns the snapshot that thereby came into force.

        `term` and `index` repeat the last entry of write `number`, or are 0. Numbers reported before are ignored. Of a
        write that was overwritten meanwhile only the part still in the log becomes stable: an entry that came back
        under a newer number waits for that number (the ABA case).
        """
        installed: SnapshotMeta | None = None
        writes = self._writes
        while writes and writes[0].number <= number:
            write = writes.popleft()
            if write.number == number and index:
                assert (term, index) == (write.term, write.index), "the report names another entry than was written"
            if write.snapshot is not None:
                installed = write.snapshot
                self._snapshot = None
                self.snapshot_due = False
                self.stable = self.applying = self.applied = installed.index
            if write.valid > self.stable:
                self._stable_to(write.valid)
        return installed

    def take_committed(self, size_bytes_max: int) -> tuple[Entry, ...]:
        """Hands out the next entries to apply, each once, cut to the size."""
        last = self.commit if self.commit < self.stable else self.stable
        if self.applying >= last or self._snapshot is not None:
            return ()
        entries = tuple(self._storage.entries(self.applying + 1, last + 1, size_bytes_max))
        self.applying = entries[-1].index
        return entries

    def applied_to(self, index: int) -> None:
        """Moves applied up; a lower index, reported late around a snapshot, changes nothing."""
        if index > self.applied:
            assert index <= self.applying, "applied what was not handed out"
            self.applied = index

    def check_invariants(self) -> None:
        """Asserts the class's invariants by number."""
        assert self.applied <= self.applying <= min(self.commit, self.stable) <= self.last_index, "1"
        base = self._snapshot.index if self._snapshot is not None else self.stable
        assert self._offset == base + 1, "2"
        assert self.last_index == base + len(self._tail), "2"
        term = self._offset_term
        for position, entry in enumerate(self._tail):
            assert entry.index == self._offset + position, "2"
            assert entry.term >= term, "3"
            term = entry.term
        assert self.last_term == term, "3"
        assert self._snapshot is not None or self.stable <= self.written <= self.last_index, "4"
        assert self._snapshot is not None or not self.snapshot_due, "6"
        number = 0
        for write in self._writes:
            assert write.number > number and write.valid <= self.last_index, "5"
            number = write.number

    def _overwrite(self, entries: Sequence[Entry]) -> None:
        first = entries[0].index
        assert first > self.commit, "a leader never overwrites what is committed"
        if first <= self.last_index:
            self.truncation_count += 1
            if first < self._offset:
                self._offset_term = self.term(first - 1)
                self._offset = first
                self._tail = []
                self.stable = first - 1
            else:
                del self._tail[first - self._offset :]
            self.written = min(self.written, first - 1)
            for write in self._writes:
                write.valid = min(write.valid, first - 1)
        self.extend(entries)

    def _stable_to(self, index: int) -> None:
        count = index - self._offset + 1
        self._offset_term = self._tail[count - 1].term
        del self._tail[:count]
        self._offset = index + 1
        self.stable = index
