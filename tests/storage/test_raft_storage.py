"""The log in memory and on disk against a plain list."""

from __future__ import annotations

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from raftkv.raft.messages import ConfState, HardState
from raftkv.raft.storage import CompactedIndexError, SnapshotUnavailableError, UnavailableIndexError
from raftkv.storage.memory_fs import MemoryFileSystem
from raftkv.storage.raft_storage import RaftStorage
from tests.storage.logs import CONF, create, entry, meta, reopen, write


class StorageMachine(RuleBasedStateMachine):
    """Appends, overwrites, cuts, snapshots, purges and restarts; the window is so small that most reads go to disk."""

    def __init__(self):
        super().__init__()
        self.fs = MemoryFileSystem()
        create(self.fs).close()
        self.terms = {0: 0}
        self.first, self.last, self.term, self.commit = 1, 0, 1, 0
        self.restart()

    @rule()
    def restart(self):
        recovered = reopen(self.fs)
        self.wal = recovered.wal
        self.storage = RaftStorage(recovered, window_bytes=800)
        assert self.storage.last_index() == self.last
        # Cuts are not stored: what is still on disk is readable again, except the entry given up for its term.
        assert self.storage.first_index() <= max(self.first, (recovered.snapshot.index if recovered.snapshot else 0) + 1)
        self.first = max(self.first, self.storage.first_index())
        self.storage.compact(self.first - 1)

    @rule(back=st.integers(0, 5), count=st.integers(1, 6), bump=st.integers(0, 1), size=st.integers(0, 300))
    def append(self, back, count, bump, size):
        first = max(self.last + 1 - back, self.commit + 1, self.first)
        self.term += bump if first > self.last else 1
        entries = [entry(i, self.term, size) for i in range(first, first + count)]
        self.wal.append([write(entries, HardState(self.term, 0, self.commit))], sync=True)
        self.storage.append(entries)
        self.last = first + count - 1
        self.terms.update((e.index, e.term) for e in entries)

    @rule(step=st.integers(0, 8))
    def snapshot_and_cut(self, step):
        self.commit = min(self.commit + step, self.last)
        if self.commit >= self.first:
            own = meta(self.commit, self.terms[self.commit])
            self.wal.mark_snapshot(own)
            self.storage.set_snapshot(own)
            self.storage.compact(self.commit - 3)
            self.first = max(self.first, self.commit - 2)
            self.wal.purge(self.storage.first_index() - 1)

    @rule(ahead=st.integers(1, 20))
    def install(self, ahead):
        index = max(self.last, self.commit) + ahead
        self.term += 1
        received = meta(index, self.term)
        self.wal.mark_snapshot(received, hard_state=HardState(self.term, 0, index), installed=True)
        self.storage.apply_snapshot(received)
        self.first, self.last, self.commit = index + 1, index, index
        self.terms[index] = self.term

    @rule(data=st.data())
    def read_a_part(self, data):
        if self.first <= self.last:
            low = data.draw(st.integers(self.first, self.last))
            high = data.draw(st.integers(low, self.last + 1))
            found = self.storage.entries(low, high, 1 << 30)
            assert [(e.index, e.term) for e in found] == [(i, self.terms[i]) for i in range(low, high)]

    @invariant()
    def reads_agree_with_the_model(self):
        storage = self.storage
        assert (storage.first_index(), storage.last_index()) == (self.first, self.last)
        assert [storage.term(i) for i in range(self.first - 1, self.last + 1)] == [
            self.terms[i] for i in range(self.first - 1, self.last + 1)
        ]
        if self.first <= self.last:
            found = storage.entries(self.first, self.last + 1, 1 << 30)
            assert [(e.index, e.term) for e in found] == [(i, self.terms[i]) for i in range(self.first, self.last + 1)]
            for limit in (0, 100, 700):
                cut = storage.entries(self.first, self.last + 1, limit)
                assert len(cut) == 1 or sum(len(e.data) for e in cut) <= limit
                assert list(cut) == list(found[: len(cut)])
                assert len(cut) == len(found) or sum(len(e.data) for e in found[: len(cut) + 1]) > limit
        with pytest.raises(UnavailableIndexError):
            storage.term(self.last + 1)
        with pytest.raises(UnavailableIndexError):
            storage.entries(self.last + 1, self.last + 2, 1)
        if self.first > 1:
            with pytest.raises(CompactedIndexError):
                storage.entries(self.first - 1, self.last + 1, 1)
        if self.first > 2:
            with pytest.raises(CompactedIndexError):
                storage.term(self.first - 2)


TestStorageMachine = pytest.mark.slow(StorageMachine.TestCase)
TestStorageMachine.settings = settings(max_examples=60, stateful_step_count=30, derandomize=True, deadline=None)


def test_initial_state_of_a_new_and_of_a_snapshotted_log():
    """Zero values for a new member; the snapshot's configuration unless the applied state says otherwise."""
    fs = MemoryFileSystem()
    wal = create(fs)
    storage = RaftStorage(reopen(fs))
    assert storage.initial_state() == (HardState(), ConfState())
    with pytest.raises(SnapshotUnavailableError):
        storage.snapshot()
    wal.append([write([entry(1)], HardState(1, 1, 1))], sync=True)
    wal.mark_snapshot(meta(1))
    assert RaftStorage(reopen(fs)).initial_state() == (HardState(1, 1, 1), CONF)
    other = ConfState(voters=(9,))
    storage = RaftStorage(reopen(fs), conf_state=other)
    assert storage.initial_state()[1] == other
    storage.set_conf_state(CONF)
    storage.set_hard_state(HardState(2, 0, 1))
    assert storage.initial_state() == (HardState(2, 0, 1), CONF)
    assert "entries" in storage.describe()


def test_entries_replaced_on_disk_before_the_report_are_not_taken_for_the_old_ones():
    """The log's thread may be ahead of the loop."""
    fs = MemoryFileSystem()
    wal = create(fs)
    entries = [entry(i, 1, 300) for i in range(1, 10)]
    wal.append([write(entries)], sync=True)
    recovered = reopen(fs)
    storage = RaftStorage(recovered, window_bytes=100)
    recovered.wal.append([write([entry(6, 2)])], sync=True)
    assert [e.index for e in storage.entries(4, 9, 1 << 20)] == [4, 5]
    with pytest.raises(UnavailableIndexError):
        storage.entries(6, 9, 1 << 20)
