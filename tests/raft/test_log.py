"""The log above storage: conflicts, probes, snapshots, and what a report of a write makes stable."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from raftkv.raft.log import RaftLog
from raftkv.raft.messages import ConfState, Entry, HardState, SnapshotMeta
from raftkv.raft.storage import CompactedIndexError, MemoryStorage, UnavailableIndexError

NO_LIMIT = 1 << 40


def run(terms: str, first: int = 1) -> list[Entry]:
    """Entries with these one-digit terms."""
    return [Entry(int(term), first + position, 0, b"x") for position, term in enumerate(terms)]


def make(stored: str, unstable: str = "", *, commit: int = 0) -> RaftLog:
    """A log with stored and unstable entries of these terms."""
    storage = MemoryStorage(ConfState((1,)))
    storage.write(None, None, run(stored))
    log = RaftLog(storage, HardState(9, 0, commit), applied=0)
    if unstable:
        log.extend(run(unstable, len(stored) + 1))
    return log


def terms_of(log: RaftLog) -> str:
    return "".join(str(log.term(index)) for index in range(1, log.last_index + 1))


@pytest.mark.parametrize(
    ("stored", "unstable", "previous", "previous_term", "sent", "result", "left"),
    [
        ("11", "", 2, 1, "1", 3, "111"),
        ("11", "", 2, 2, "2", -1, "11"),
        ("11", "", 3, 1, "1", -1, "11"),
        ("11", "1", 0, 0, "11", 2, "111"),
        ("11", "11", 1, 1, "1", 2, "1111"),
        ("11", "11", 1, 1, "", 1, "1111"),
        ("11", "11", 1, 1, "12", 3, "112"),
        ("11", "11", 1, 1, "2", 2, "12"),
        ("11", "11", 0, 0, "22", 2, "22"),
        ("11", "11", 3, 1, "2", 4, "1112"),
        ("", "", 0, 0, "123", 3, "123"),
    ],
)
def test_append_keeps_what_agrees_and_replaces_from_the_first_conflict(
    stored: str, unstable: str, previous: int, previous_term: int, sent: str, result: int, left: str
) -> None:
    """An old or repeated append never shortens the log (fig. 3.1, AppendEntries 2–4)."""
    log = make(stored, unstable)
    taken = log.maybe_append(previous=previous, previous_term=previous_term, entries=tuple(run(sent, previous + 1)), commit=0)
    assert (taken, terms_of(log)) == (result, left)
    log.check_invariants()


def test_commit_of_an_append_never_passes_its_last_entry() -> None:
    """What stands beyond the entries just compared may differ from the leader's (AppendEntries 5)."""
    log = make("11", "111")
    log.maybe_append(previous=2, previous_term=1, entries=tuple(run("1", 3)), commit=5)
    assert log.commit == 3


def test_append_that_would_replace_a_committed_entry_ends_the_member() -> None:
    log = make("111", commit=2)
    with pytest.raises(AssertionError):
        log.maybe_append(previous=1, previous_term=1, entries=tuple(run("2", 2)), commit=2)


@pytest.mark.parametrize(
    ("terms", "index", "term", "expected"),
    [
        ("1112223", 7, 2, (6, 2)),
        ("1112223", 7, 1, (3, 1)),
        ("1112223", 4, 9, (4, 2)),
        ("1112223", 99, 3, (7, 3)),
        ("2222", 4, 1, (0, 0)),
    ],
)
def test_probe_skips_all_terms_that_cannot_match(terms: str, index: int, term: int, expected: tuple[int, int]) -> None:
    assert make(terms).find_probe(index, term) == expected


@pytest.mark.parametrize(("index", "term", "expected"), [(3, 2, True), (9, 1, False), (1, 3, True), (2, 2, False), (4, 2, True)])
def test_log_is_up_to_date_by_last_term_then_length(index: int, term: int, expected: bool) -> None:
    """Thesis §3.6.1: neither length alone nor term alone."""
    assert make("112").is_up_to_date(index=index, term=term) is expected


def test_slice_spans_storage_and_tail_within_the_size() -> None:
    log = make("11", "22")
    assert log.slice(1, 5, NO_LIMIT) == (tuple(run("1122")), 4)
    assert log.slice(1, 5, 3) == (tuple(run("112")), 3)
    assert log.slice(2, 4, 0) == (tuple(run("1", 2)), 1)
    assert log.slice(3, 3, NO_LIMIT) == ((), 0)


def test_term_beyond_either_end_is_refused() -> None:
    log = make("11")
    with pytest.raises(UnavailableIndexError):
        log.term(3)
    log.restore(SnapshotMeta(9, 2, ConfState((1,))))
    with pytest.raises(CompactedIndexError):
        log.term(2)
    assert log.term(9) == 2


def test_snapshot_leaves_stable_only_what_was_committed() -> None:
    """Of the log it replaces nothing else is known to be true."""
    log = make("1111", commit=2)
    log.restore(SnapshotMeta(9, 2, ConfState((1,))))
    assert (log.stable, log.commit, log.applying) == (2, 9, 0)
    log.check_invariants()


def test_report_of_an_overwritten_write_leaves_the_newer_write_unstable() -> None:
    """The ABA case (faults §5c 34): the same index and term under two write numbers, another entry on the disk between."""
    log = make("1")
    log.extend(run("2", 2))
    log.take_unwritten(1)
    log.maybe_append(previous=1, previous_term=1, entries=tuple(run("3", 2)), commit=0)
    log.take_unwritten(2)
    log.maybe_append(previous=1, previous_term=1, entries=tuple(run("2", 2)), commit=2)
    log.take_unwritten(3)
    log.on_persisted(1, term=2, index=2)
    assert (log.stable, log.has_committed) == (1, True)
    assert log.take_committed(NO_LIMIT) == tuple(run("1"))
    log.on_persisted(2, term=3, index=2)
    assert (log.stable, log.has_committed) == (1, False)


def test_report_that_names_another_entry_ends_the_member() -> None:
    log = make("1", "1")
    log.take_unwritten(1)
    with pytest.raises(AssertionError):
        log.on_persisted(1, term=1, index=7)


def test_log_that_lost_committed_entries_is_refused() -> None:
    """A disk that ends below its own commit index was cut; the member must not serve from it."""
    storage = MemoryStorage(ConfState((1,)))
    storage.write(HardState(1, 0, 3), None, run("11"))
    with pytest.raises(AssertionError, match="lost"):
        RaftLog(storage, storage.hard_state, applied=0)


@dataclass
class Model:
    """The naive twin: whole logs as lists, and one whole log per write."""

    log: list[Entry]
    base: int = 0


class LogMachine(RuleBasedStateMachine):
    """Appends, overwrites, snapshots and reports in any order, against a disk that is a list.

    The twin's rule for stable: the longest common prefix of the log and of the disk, as it is and as every write still
    on its way will leave it, is safe from a crash at any instant; stable must never exceed it.
    """

    def __init__(self) -> None:
        super().__init__()
        self.storage = MemoryStorage(ConfState((1,)))
        self.log = RaftLog(self.storage, HardState(), applied=0)
        self.model = Model([])
        self.disk = Model([])
        self.writes: deque[tuple[int, SnapshotMeta | None, tuple[Entry, ...]]] = deque()
        self.number = 0
        self.term = 1

    @rule(count=st.integers(1, 3))
    def append(self, count: int) -> None:
        first = self.log.last_index + 1
        entries = [Entry(self.term, first + step, 0, b"x") for step in range(count)]
        self.log.extend(entries)
        self.model.log += entries

    @rule(back=st.integers(0, 4), count=st.integers(1, 3))
    def overwrite(self, back: int, count: int) -> None:
        self.term += 1
        previous = max(self.log.commit, self.log.last_index - back)
        entries = tuple(Entry(self.term, previous + 1 + step, 0, b"x") for step in range(count))
        taken = self.log.maybe_append(previous=previous, previous_term=self.log.term(previous), entries=entries, commit=0)
        assert taken == previous + count
        self.model.log[previous - self.model.base :] = entries

    @rule()
    def take(self) -> None:
        if self.log.has_unwritten:
            self.number += 1
            snapshot, entries = self.log.take_unwritten(self.number)
            self.writes.append((self.number, snapshot, entries))

    @precondition(lambda self: self.writes)
    @rule()
    def report(self) -> None:
        number, snapshot, entries = self.writes.popleft()
        self.storage.write(None, snapshot, entries)
        _overlay(self.disk, snapshot, entries)
        last = entries[-1] if entries else snapshot
        assert last is not None
        self.log.on_persisted(number, term=last.term, index=last.index)

    @rule(ahead=st.integers(0, 3))
    def commit(self, ahead: int) -> None:
        self.log.commit_to(min(self.log.commit + ahead, self.log.last_index))

    @rule()
    def apply(self) -> None:
        entries = self.log.take_committed(NO_LIMIT)
        for entry in entries:
            assert self.model.log[entry.index - 1 - self.model.base] == entry
        if entries:
            self.log.applied_to(entries[-1].index)

    @rule(ahead=st.integers(1, 4))
    def restore(self, ahead: int) -> None:
        self.term += 1
        snapshot = SnapshotMeta(self.log.commit + ahead, self.term, ConfState((1,)))
        self.log.restore(snapshot)
        self.model = Model([], snapshot.index)

    @invariant()
    def holds(self) -> None:
        self.log.check_invariants()
        assert self.log.last_index == self.model.base + len(self.model.log)
        if not self.log.has_pending_snapshot:
            crash = Model(list(self.disk.log), self.disk.base)
            assert self._agrees(crash)
            for _, snapshot, entries in self.writes:
                _overlay(crash, snapshot, entries)
                assert self._agrees(crash), "stable holds whichever writes reach the disk before a crash"

    def _agrees(self, disk: Model) -> bool:
        for index in range(max(disk.base, self.model.base) + 1, self.log.stable + 1):
            if index - disk.base > len(disk.log) or disk.log[index - 1 - disk.base].term != self.log.term(index):
                return False
        return True


def _overlay(disk: Model, snapshot: SnapshotMeta | None, entries: tuple[Entry, ...]) -> None:
    if snapshot is not None:
        disk.base, disk.log = snapshot.index, []
    if entries:
        disk.log[entries[0].index - 1 - disk.base :] = entries


LogMachine.TestCase.settings = settings(max_examples=60, stateful_step_count=30, derandomize=True, deadline=None)
test_log_under_any_order_of_events_agrees_with_the_twin = LogMachine.TestCase
