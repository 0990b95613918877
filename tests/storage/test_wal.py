"""Appending, cutting, marking, purging and reading back."""

from __future__ import annotations

import errno

import pytest

from raftkv.raft.messages import HardState
from raftkv.raft.storage import CompactedIndexError, UnavailableIndexError
from raftkv.storage.fs import OsFileSystem
from raftkv.storage.memory_fs import MemoryFileSystem
from raftkv.storage.wal import Wal, WalSettings, list_segments
from tests.storage.logs import CONF, DIRECTORY, METADATA, SMALL, append, contents, create, entry, meta, reopen, run, write


def test_exists_before_and_after_create(tmp_path):
    """A directory without a named segment holds no log."""
    fs = OsFileSystem()
    directory = f"{tmp_path}/wal"
    assert not Wal.exists(fs, directory)
    fs.mkdir(directory)
    fs.open(f"{directory}/next.tmp", create=True).close()
    assert not Wal.exists(fs, directory)
    Wal.create(fs, directory, METADATA, SMALL).close()
    assert Wal.exists(fs, directory)


def test_log_opened_again_holds_entries_hard_state_and_metadata():
    """What was appended with sync is there."""
    fs = MemoryFileSystem()
    wal = create(fs)
    append(wal, 1, 3, commit=2)
    append(wal, 4, 4, term=2, commit=3)
    recovered = reopen(fs)
    assert recovered.metadata == METADATA
    assert recovered.hard_state == HardState(2, 1, 3)
    assert contents(recovered) == [*run(1, 3), (4, 2)]
    assert recovered.snapshot is None and recovered.torn_tail is None
    assert [e.index for e in recovered.entries()] == [1, 2, 3, 4]


def test_new_log_opened_again_is_empty():
    """A fresh member that stopped at once."""
    fs = MemoryFileSystem()
    create(fs)
    recovered = reopen(fs)
    assert (recovered.first_index, recovered.last_index, recovered.hard_state) == (1, 0, HardState())
    assert recovered.entries() == []


def test_append_of_a_lower_index_replaces_what_followed():
    """A new leader's entries win, also in the middle of an older record."""
    fs = MemoryFileSystem()
    wal = create(fs)
    append(wal, 1, 10)
    append(wal, 11, 12)
    append(wal, 6, 7, term=2)
    expected = [*run(1, 5), *run(6, 7, 2)]
    assert [(e.index, e.term) for e in wal.read_entries(1, 8)] == expected
    assert wal.last_index == 7
    append(wal, 8, 8, term=2)
    append(wal, 1, 2, term=3)
    assert contents(reopen(fs)) == run(1, 2, 3)


def test_append_with_a_gap_is_our_bug():
    wal = create(MemoryFileSystem())
    append(wal, 1, 2)
    with pytest.raises(AssertionError):
        append(wal, 4, 4)


def test_append_of_several_writes_is_one_write_and_one_sync():
    """One joined write and one sync per batch."""
    from raftkv.storage.faulty_fs import FaultyFileSystem

    fs = FaultyFileSystem(MemoryFileSystem())
    wal = create(fs)
    fs.log.clear()
    wal.append([write([entry(1), entry(2)], HardState(1, 0, 0)), write([entry(3)]), write((), HardState(1, 1, 1))], sync=True)
    assert [op for op, _ in fs.log] == ["pwrite", "datasync"]
    assert contents(reopen(fs)) == run(1, 3)
    assert [(e.index, e.term) for e in wal.read_entries(2, 4)] == run(2, 3)


def test_append_past_the_segment_size_cuts_and_every_segment_is_read_back():
    """Also a record larger than a whole segment (45 of the known ways to be wrong)."""
    fs = MemoryFileSystem()
    wal = create(fs)
    for index in range(1, 40):
        append(wal, index, index, commit=index - 1, size=300 if index % 7 else 5_000)
    assert len(list_segments(fs, DIRECTORY)) > 5
    assert [(e.index, e.term) for e in wal.read_entries(1, 40)] == run(1, 39)
    recovered = reopen(fs)
    assert contents(recovered) == run(1, 39)
    assert recovered.hard_state.commit == 38
    append(recovered.wal, 40, 41)
    assert contents(reopen(fs)) == run(1, 41)


@pytest.mark.parametrize("extra", range(-40, 41))
def test_record_that_ends_near_the_segment_size_is_followed_by_a_whole_one(extra):
    """Sizes around the boundary."""
    fs = MemoryFileSystem()
    wal = create(fs)
    append(wal, 1, 1, size=1_800 + extra)
    append(wal, 2, 2)
    append(wal, 3, 3)
    assert contents(reopen(fs)) == run(1, 3)


def test_read_entries_is_cut_by_size_but_gives_at_least_one():
    wal = create(MemoryFileSystem())
    for index in range(1, 10):
        append(wal, index, index, size=100)
    assert [e.index for e in wal.read_entries(3, 9, 1)] == [3]
    assert [e.index for e in wal.read_entries(3, 9, 330)] == [3, 4, 5]
    with pytest.raises(UnavailableIndexError):
        wal.read_entries(10, 11)


def test_own_mark_keeps_entries_and_raises_the_commit_index():
    """The mark is never ahead of the hard state beside it (46 of the known ways to be wrong)."""
    fs = MemoryFileSystem()
    wal = create(fs)
    append(wal, 1, 10, commit=3)
    wal.mark_snapshot(meta(7))
    recovered = reopen(fs)
    assert recovered.snapshot == meta(7) and not recovered.installed
    assert recovered.hard_state == HardState(1, 1, 7)
    assert contents(recovered) == run(1, 10)
    assert [e.index for e in recovered.entries()] == [8, 9, 10]


def test_installed_mark_replaces_the_log():
    """Whatever the log held, it begins behind the snapshot."""
    fs = MemoryFileSystem()
    wal = create(fs)
    append(wal, 1, 10, commit=3)
    wal.mark_snapshot(meta(50, 2), hard_state=HardState(3, 0, 3), installed=True)
    recovered = reopen(fs)
    assert (recovered.first_index, recovered.last_index, recovered.installed) == (51, 50, True)
    assert recovered.hard_state == HardState(3, 0, 50)
    assert recovered.terms.term(50) == 2
    with pytest.raises(CompactedIndexError):
        recovered.wal.read_entries(10, 11)
    append(recovered.wal, 51, 52, term=3)
    again = reopen(fs)
    assert contents(again) == run(51, 52, 3) and again.snapshot == meta(50, 2)


def test_installed_mark_below_the_last_index_drops_the_entries_above_it():
    """Entries of a log that conflicts with the snapshot do not come back after a restart."""
    fs = MemoryFileSystem()
    wal = create(fs)
    append(wal, 1, 10, commit=3)
    wal.mark_snapshot(meta(8, 2), hard_state=HardState(2, 0, 8), installed=True)
    assert (reopen(fs).first_index, reopen(fs).last_index) == (9, 8)


def test_own_mark_overtaken_by_an_installed_one_changes_nothing():
    """The own snapshot was on its way to the log's thread when the leader's arrived."""
    fs = MemoryFileSystem()
    wal = create(fs)
    append(wal, 1, 10, commit=3)
    wal.mark_snapshot(meta(50, 2), hard_state=HardState(3, 0, 3), installed=True)
    wal.mark_snapshot(meta(3))
    assert (reopen(fs).snapshot, reopen(fs).installed) == (meta(50, 2), True)


def test_purge_removes_whole_segments_below_the_index_only():
    """And what is left opens as before (47 of the known ways to be wrong)."""
    fs = MemoryFileSystem()
    wal = create(fs)
    for index in range(1, 60):
        append(wal, index, index, size=200, commit=index - 1)
    assert wal.purge(40) == 0, "nothing goes without a mark"
    wal.mark_snapshot(meta(50))
    before = list_segments(fs, DIRECTORY)
    removed = wal.purge(40)
    after = list_segments(fs, DIRECTORY)
    assert removed == len(before) - len(after) > 0
    assert after == before[removed:] and before[removed].first_index <= 40 < before[removed + 1].first_index + 20
    recovered = reopen(fs)
    assert recovered.first_index <= 40 and contents(recovered) == run(recovered.first_index, 59)
    with pytest.raises(CompactedIndexError):
        wal.read_entries(1, 5)
    assert wal.purge(10_000) > 0
    recovered = reopen(fs)
    assert recovered.first_index <= 51 and contents(recovered) == run(recovered.first_index, 59)


def test_purge_of_everything_below_the_mark_leaves_a_log_that_opens():
    """The newest head carries mark and hard state, so the segment with the mark record may go."""
    fs = MemoryFileSystem()
    wal = create(fs)
    append(wal, 1, 20, commit=20)
    wal.mark_snapshot(meta(20))
    append(wal, 21, 30, size=300, commit=21)
    append(wal, 31, 31, commit=22)
    assert [s.number for s in list_segments(fs, DIRECTORY)] == [0, 1]
    wal.purge(21)
    assert [s.number for s in list_segments(fs, DIRECTORY)] == [0, 1], "entries 21 to 30 are still wanted"
    wal.mark_snapshot(meta(30))
    wal.purge(31)
    assert [s.number for s in list_segments(fs, DIRECTORY)] == [1]
    recovered = reopen(fs)
    assert recovered.snapshot == meta(30) and contents(recovered) == [(31, 1)]
    assert recovered.hard_state == HardState(1, 1, 30)


def test_purge_then_conflict_below_the_segment_start_opens():
    """A first surviving segment may begin with entries lower than its name says."""
    fs = MemoryFileSystem()
    wal = create(fs)
    append(wal, 1, 20, commit=10, size=100)
    wal.mark_snapshot(meta(10))
    append(wal, 21, 22)
    append(wal, 11, 12, term=2)
    wal.purge(11)
    assert [s.number for s in list_segments(fs, DIRECTORY)] == [1]
    recovered = reopen(fs)
    assert contents(recovered) == run(11, 12, 2) and recovered.snapshot == meta(10)


@pytest.mark.parametrize("operation", ["pwrite", "datasync"])
def test_append_that_failed_closes_the_log_to_writes(operation):
    """An fsync error is never retried (39 of the known ways to be wrong)."""
    from raftkv.storage.faulty_fs import Fault, FaultyFileSystem

    fs = FaultyFileSystem(MemoryFileSystem(), [Fault(2, errno.EIO)], operations=[operation])
    wal = create(fs)
    with pytest.raises(OSError, match="injected"):
        append(wal, 1, 1)
    for act in (lambda: append(wal, 1, 1), lambda: wal.mark_snapshot(meta(0)), lambda: wal.purge(1)):
        with pytest.raises(OSError, match="failed before"):
            act()
    assert "failed" in wal.describe()


def test_syncs_are_timed_for_the_statistics():
    seen, ticks = [], iter(range(100))
    wal = create(MemoryFileSystem(), WalSettings(now_s=lambda: next(ticks) * 1.0, on_sync=seen.append))
    append(wal, 1, 1)
    append(wal, 2, 2, sync=False)
    assert seen == [1.0]
    assert wal.snapshot is None and CONF.voters
