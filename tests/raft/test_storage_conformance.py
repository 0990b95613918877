"""The rules of `Storage`, run on every implementation that `conformance_storage.CASES` names."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from raftkv.raft.messages import ConfState, Entry, HardState, SnapshotMeta
from raftkv.raft.storage import CompactedIndexError, UnavailableIndexError
from tests.raft.conformance_storage import CASES, StorageCase, Writable

CONF = ConfState((1, 2, 3))
NO_LIMIT = 1 << 40


@pytest.fixture(params=CASES, ids=lambda case: case.name)
def log(request: pytest.FixtureRequest) -> Iterator[Writable]:
    case: StorageCase = request.param
    with case.open(CONF) as opened:
        yield opened


def entries(low: int, high: int, term: int = 1, size: int = 3) -> list[Entry]:
    return [Entry(term, index, 0, bytes([index % 256]) * size) for index in range(low, high)]


def test_empty_log_begins_at_one_with_term_zero_before(log: Writable) -> None:
    """A new member knows the term of index 0, so that the first append can match."""
    storage = log.storage
    assert storage.initial_state() == (HardState(), CONF)
    assert (storage.first_index(), storage.last_index(), storage.term(0)) == (1, 0, 0)


def test_entries_written_are_read_back(log: Writable) -> None:
    log.write(HardState(1, 2, 1), None, entries(1, 6))
    storage = log.storage
    assert storage.initial_state()[0] == HardState(1, 2, 1)
    assert list(storage.entries(1, 6, NO_LIMIT)) == entries(1, 6)
    assert list(storage.entries(3, 4, NO_LIMIT)) == entries(3, 4)
    assert [storage.term(index) for index in range(6)] == [0, 1, 1, 1, 1, 1]


def test_entries_beyond_the_size_are_cut_but_one_is_given(log: Writable) -> None:
    """A reader makes progress however large one entry is."""
    log.write(None, None, entries(1, 6))
    assert len(log.storage.entries(1, 6, 0)) == 1
    assert len(log.storage.entries(1, 6, 6)) == 2
    assert len(log.storage.entries(1, 6, 8)) == 2
    assert len(log.storage.entries(1, 6, 9)) == 3


def test_write_from_the_middle_replaces_the_tail(log: Writable) -> None:
    """A later leader's entries take the place of all that stood from there on."""
    log.write(None, None, entries(1, 9))
    log.write(None, None, entries(4, 6, term=2))
    assert list(log.storage.entries(1, 6, NO_LIMIT)) == entries(1, 4) + entries(4, 6, term=2)
    assert log.storage.last_index() == 5
    with pytest.raises(UnavailableIndexError):
        log.storage.term(6)


def test_reading_above_the_end_is_unavailable(log: Writable) -> None:
    log.write(None, None, entries(1, 4))
    with pytest.raises(UnavailableIndexError):
        log.storage.term(4)
    with pytest.raises(UnavailableIndexError):
        log.storage.entries(2, 5, NO_LIMIT)


def test_log_cut_keeps_the_term_below_its_first_entry(log: Writable) -> None:
    """The append that follows the cut still needs the term before it."""
    log.write(None, None, entries(1, 4) + entries(4, 8, term=2))
    log.make_snapshot(5, CONF)
    log.compact(4)
    storage = log.storage
    assert (storage.first_index(), storage.last_index(), storage.term(4)) == (5, 7, 2)
    assert list(storage.entries(5, 8, NO_LIMIT)) == entries(5, 8, term=2)
    with pytest.raises(CompactedIndexError):
        storage.term(3)
    with pytest.raises(CompactedIndexError):
        storage.entries(4, 6, NO_LIMIT)


def test_snapshot_made_is_the_one_to_send(log: Writable) -> None:
    log.write(None, None, entries(1, 8))
    later = ConfState((1, 2), (3,))
    log.make_snapshot(5, later)
    assert log.storage.snapshot() == SnapshotMeta(5, 1, later)


def test_snapshot_received_replaces_the_log(log: Writable) -> None:
    """Nothing of the old log is left, also not what stood above the snapshot."""
    log.write(HardState(1, 0, 2), None, entries(1, 12))
    conf = ConfState((4, 5))
    log.write(HardState(3, 0, 9), SnapshotMeta(9, 3, conf), entries(10, 12, term=3))
    storage = log.storage
    assert (storage.first_index(), storage.last_index(), storage.term(9)) == (10, 11, 3)
    assert list(storage.entries(10, 12, NO_LIMIT)) == entries(10, 12, term=3)
    assert storage.initial_state() == (HardState(3, 0, 9), conf)
    assert storage.snapshot() == SnapshotMeta(9, 3, conf)
    with pytest.raises(CompactedIndexError):
        storage.entries(9, 11, NO_LIMIT)
