from __future__ import annotations

import pytest

from raftkv.errors import CompactedError, CorruptionError, FutureRevError
from raftkv.mvcc.compaction import FINISHED_MARK, SCHEDULED_MARK
from raftkv.mvcc.kv import KeyState
from raftkv.mvcc.record import header_of, value_of
from raftkv.mvcc.revision import put_key, tombstone_key
from raftkv.mvcc.store import Store
from raftkv.storage.backend import Table
from tests.mvcc.dict_tables import DictTables
from tests.mvcc.kinds import BufferKind

ALL = (b"\x00", b"\x00")


def filled(*keys: bytes, **options: int) -> tuple[DictTables, Store]:
    tables = DictTables()
    store = Store(tables, **options)
    for key in keys:
        store.put(key, b"v-" + key, 0)
    return tables, store


def delete(store: Store, key: bytes, range_end: bytes = b"") -> None:
    write = store.begin()
    write.delete_range(key, range_end)
    write.end()


def compact_all(store: Store, revision: int) -> None:
    store.compact(revision)
    while store.compaction.step():
        pass


def test_fresh_store_is_at_revision_one_and_first_write_makes_two() -> None:
    _, store = filled()
    assert (store.revision, store.compact_revision) == (1, -1)
    assert store.range(*ALL) == ([], 0)
    assert store.put(b"a", b"", 0) == 2


def test_write_that_changes_nothing_makes_no_revision() -> None:
    """Spec §4 mistake 1: a delete of nothing and an empty entry are no revisions."""
    _, store = filled(b"a")
    write = store.begin()
    assert write.delete_range(b"x", b"") == []
    assert write.delete_range(b"b", b"a") == []
    assert write.end() == store.revision == 2
    assert store.begin().end() == 2
    assert [event.revision for event in store.take_events()] == [2]


def test_write_all_changes_share_one_revision_and_number_from_zero() -> None:
    """One entry is one revision; events come in execution order."""
    _, store = filled(b"a", b"b")
    store.take_events()
    write = store.begin()
    assert write.revision == 3
    write.put(b"c", b"1", 0)
    assert write.revision == 4
    assert write.delete_range(*ALL) == [b"a", b"b", b"c"]
    write.put(b"c", b"2", 0)
    assert write.end() == 4
    events = store.take_events()
    assert [(event.key, event.revision, event.sub, event.is_delete, event.is_create) for event in events] == [
        (b"c", 4, 0, False, True),
        (b"a", 4, 1, True, False),
        (b"b", 4, 2, True, False),
        (b"c", 4, 3, True, False),
        (b"c", 4, 4, False, True),
    ]
    assert store.key_state(b"c") == KeyState(create_revision=4, mod_revision=4, version=1, lease=0)
    assert store.take_events() == []


def test_write_two_open_at_once_is_a_bug() -> None:
    _, store = filled()
    store.begin()
    with pytest.raises(AssertionError):
        store.begin()
    with pytest.raises(AssertionError):
        store.put(b"a", b"", 0)


def test_key_recreated_restarts_version_and_create_revision() -> None:
    _, store = filled(b"a", b"a")
    assert store.key_state(b"a") == KeyState(2, 3, 2, 0)
    delete(store, b"a")
    assert store.key_state(b"a") == KeyState(0, 0, 0, 0)
    assert store.value(b"a") is None
    store.put(b"a", b"", 0)
    assert store.key_state(b"a") == KeyState(5, 5, 1, 0)


def test_range_at_compact_revision_is_readable_and_below_is_not() -> None:
    """Spec §4 mistake 4."""
    _, store = filled(b"a", b"a", b"a")
    store.compact(3)
    assert [header_of(record).mod_revision for record in store.range(b"a", b"", revision=3).records] == [3]
    with pytest.raises(CompactedError):
        store.range(b"a", b"", revision=2)
    with pytest.raises(FutureRevError):
        store.range(b"a", b"", revision=5)
    assert store.range(b"a", b"", revision=-7).total == 1


@pytest.mark.parametrize(
    ("key", "end", "found"),
    [
        (b"b", b"", [b"b"]),
        (b"b", b"\x00", [b"b", b"c", b"\xff"]),
        (b"\x00", b"\x00", [b"a", b"b", b"c", b"\xff"]),
        (b"a", b"c", [b"a", b"b"]),
        (b"c", b"a", []),
        (b"b", b"b", []),
        (b"\x00", b"a", []),
    ],
)
def test_range_ends_mean_what_etcds_mean(key: bytes, end: bytes, found: list[bytes]) -> None:
    _, store = filled(b"b", b"a", b"\xff", b"c")
    for revision in (0, store.revision):
        assert [header_of(record).key for record in store.range(key, end, revision=revision).records] == found
    store.put(b"new", b"", 0)
    assert [header_of(record).key for record in store.range(key, end, revision=5).records] == found


def test_range_keys_only_has_neither_value_nor_lease() -> None:
    """As etcd 3.7, which answers it from the index."""
    _, store = filled()
    store.put(b"a", b"v", 9)
    store.put(b"a", b"w", 9)
    for revision, version in ((0, 2), (2, 1)):
        (record,) = store.range(b"a", b"", revision=revision, keys_only=True).records
        assert header_of(record).lease == 0 and value_of(record) == b"" and header_of(record).version == version


@pytest.mark.parametrize("size", [1, 127, 128, 511, 512, 16_384, 1 << 20])
def test_key_of_any_size_is_stored_found_and_reopened(size: int) -> None:
    """LMDB stops at 511 bytes, etcd does not: no table key is made of a user's key."""
    key = b"k" * size
    kind = BufferKind()
    store = Store(kind.tables(), record_cache_bytes=0)
    store.put(key, b"1", 0)
    store.put(key, b"2", 0)
    kind.commit()
    store = Store(kind.crash())
    assert store.value(key) == b"2"
    assert store.range(key, b"").total == 1
    (record,) = store.range(key, key + b"\x00", revision=2).records
    assert value_of(record) == b"1"


def test_open_reports_progress_and_finds_leases() -> None:
    tables, store = filled()
    store.put(b"a", b"", 5)
    store.put(b"b", b"", -5)
    store.put(b"c", b"", 0)
    store.put(b"a", b"", 6)
    assert sorted(Store(tables).leased_keys()) == [(b"a", 6), (b"b", -5)]
    assert store.lease_of(b"b") == -5 and store.lease_of(b"x") == 0


def test_open_progress_is_told_now_and_then(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("raftkv.mvcc.store._PROGRESS_RECORDS", 2)
    tables, _ = filled(b"a", b"b", b"c", b"d", b"e")
    told: list[int] = []
    Store(tables, on_progress=told.append)
    assert told == [2, 4]


def test_damaged_record_is_refused_by_every_read_naming_the_revision() -> None:
    tables, store = filled(b"a", b"b", b"c", b"a", record_cache_bytes=0)
    for main in (2, 3):
        stored = tables.get(Table.KEY, put_key(main, 0))
        assert stored is not None
        tables.put(Table.KEY, put_key(main, 0), stored[:-6] + bytes((stored[-6] ^ 1,)) + stored[-5:])
    reads = [
        (lambda: store.range(b"b", b""), "3.0"),
        (lambda: store.range(*ALL), "3.0"),
        (lambda: store.value(b"b"), "3.0"),
        (lambda: store.range(b"a", b"", revision=2), "2.0"),
        (lambda: store.previous(b"a", 5), "2.0"),
        (lambda: list(store.replay(2, 5)), "2.0"),
        (lambda: Store(tables), "2.0"),
    ]
    for read, revision in reads:
        with pytest.raises(CorruptionError, match=f"revision {revision}"):
            read()
    assert store.range(b"c", b"").total == 1
    tables.delete(Table.KEY, put_key(3, 0))
    with pytest.raises(CorruptionError, match=r"revision 3\.0"):
        store.range(b"b", b"")


def test_open_foreign_row_in_the_table_is_corruption() -> None:
    tables, _ = filled(b"a")
    tables.put(Table.KEY, b"what", b"ever")
    with pytest.raises(CorruptionError):
        Store(tables)


def test_cache_holds_the_newest_within_its_budget() -> None:
    """Memory is bounded; what leaves is read from the tables again."""
    keys = [b"%03d" % number for number in range(100)]
    _, store = filled(*keys, record_cache_bytes=5_000)
    statistics = store.statistics()
    assert 0 < statistics.cached_records < 100 and statistics.cached_bytes <= 5_000
    assert [value_of(record) for record in store.range(*ALL).records] == [b"v-" + key for key in keys]
    for key in keys:
        assert store.value(key) == b"v-" + key
        assert store.statistics().cached_bytes <= 5_000
    store.check_invariants()


def test_revision_survives_when_the_newest_change_was_a_deletion_and_was_compacted() -> None:
    """The revision never goes back (etcd #17780), though nothing but marks may be left."""
    tables, store = filled(b"a")
    delete(store, b"a")
    compact_all(store, 3)
    reopened = Store(tables)
    assert (reopened.revision, reopened.compact_revision) == (3, 3)
    assert reopened.put(b"b", b"", 0) == 4
    compact_all(reopened, 4)
    assert [key for key, _ in tables.scan(Table.KEY, b"", None)] == [put_key(4, 0)]
    assert Store(tables).revision == 4


def test_compaction_keeps_a_deletion_of_its_own_revision_for_watchers_that_start_there() -> None:
    """etcd #19179: the tombstone at the compact revision is still an event somebody may be owed."""
    tables, store = filled(b"a", b"b")
    delete(store, b"a")
    compact_all(store, 4)
    assert [event.revision for event in store.replay(4, 4)] == [4]
    assert [key for key, _ in tables.scan(Table.KEY, b"", None)] == [put_key(3, 0), tombstone_key(4, 0)]


def test_compact_checks_its_revision_as_etcd() -> None:
    _, store = filled(b"a", b"b")
    with pytest.raises(CompactedError):
        store.compact(-1)
    store.compact(0)
    assert store.compact_revision == 0
    with pytest.raises(CompactedError):
        store.compact(0)
    with pytest.raises(FutureRevError):
        store.compact(4)
    store.compact(3)
    assert store.range(*ALL).total == 2


def test_compaction_marks_are_etcds_and_tell_unfinished_from_finished() -> None:
    tables, store = filled(b"a", b"a", b"a")
    store.compact(4)
    assert tables.get(Table.META, SCHEDULED_MARK) == (4).to_bytes(8, "big")
    assert tables.get(Table.META, FINISHED_MARK) is None and store.compaction.is_active
    while store.compaction.step(1):
        assert tables.get(Table.META, FINISHED_MARK) is None
    assert tables.get(Table.META, FINISHED_MARK) == (4).to_bytes(8, "big") and not store.compaction.is_active
    assert store.compaction.finished_revision == 4
    assert not Store(tables).compaction.is_active


def much_changed(tables: DictTables) -> Store:
    store = Store(tables)
    for turn in range(4):
        for key in (b"a", b"b", b"c", b"d"):
            store.put(key, b"%d" % turn, 0)
        delete(store, b"b", b"d" if turn % 2 else b"c")
    return store


def test_compaction_restarted_after_any_slice_ends_like_an_undisturbed_one() -> None:
    """A crash between two slices loses nothing, brings no deleted key back, and the next start goes on."""
    undisturbed_tables = DictTables()
    undisturbed = much_changed(undisturbed_tables)
    mark = undisturbed.revision - 3
    compact_all(undisturbed, mark)
    expected = dict(undisturbed_tables.scan(Table.KEY, b"", None))

    slices = 0
    is_done = False
    while not is_done:
        tables = DictTables()
        store = much_changed(tables)
        latest = store.range(*ALL)
        store.compact(mark)
        for _ in range(slices):
            is_done = not store.compaction.step(1)
        slices += 1
        store = Store(tables)
        store.check_invariants()
        assert store.range(*ALL) == latest and store.revision == undisturbed.revision
        assert store.range(*ALL, revision=mark) == undisturbed.range(*ALL, revision=mark)
        assert store.compaction.is_active != is_done
        while store.compaction.step(2):
            pass
        assert dict(tables.scan(Table.KEY, b"", None)) == expected
    assert slices > 10


def test_compaction_scheduled_again_under_way_covers_both() -> None:
    tables, store = filled(*[b"a", b"b", b"c"] * 4)
    store.compact(5)
    store.compaction.step(1)
    store.compact(13)
    while store.compaction.step(2):
        store.check_invariants()
    assert [key for key, _ in tables.scan(Table.KEY, b"", None)] == [put_key(11, 0), put_key(12, 0), put_key(13, 0)]
    store.check_invariants()


def test_compaction_of_one_hot_key_stays_within_its_limit() -> None:
    """A key with more old revisions than a slice may delete takes several slices."""
    tables, store = filled(*[b"hot"] * 50)
    store.compact(store.revision)
    before = store.compaction.removed_count
    while store.compaction.step(8):
        assert store.compaction.removed_count - before <= 8
        before = store.compaction.removed_count
        store.check_invariants()
    assert store.compaction.removed_count == 49


def test_range_past_sliced_by_the_caller_is_one_revision() -> None:
    """A pinned range asked for slice by slice sees one revision while the store goes on."""
    _, store = filled(*[b"%02d" % number for number in range(20)])
    pinned = store.range(*ALL, limit=7)
    assert pinned.total == 20
    revision, records = store.revision, list(pinned.records)
    while True:
        write = store.begin()
        write.delete_range(b"19", b"")
        write.put(b"05", b"later", 0)
        write.put(b"%02d" % (len(records) + 1), b"later", 0)
        write.put(b"055", b"later", 0)
        write.end()
        key = header_of(records[-1]).key + b"\x00"
        part = store.range(key, b"\x00", revision=revision, limit=7, need_total=False).records
        if not part:
            break
        records += part
    assert [value_of(record) for record in records] == [b"v-%02d" % number for number in range(20)]


def test_statistics_and_describe_count_what_is_there() -> None:
    _, store = filled(b"a", b"b", b"a")
    delete(store, b"b")
    statistics = store.statistics()
    assert (statistics.revision, statistics.keys, statistics.keys_with_history, statistics.deleted_keys) == (5, 1, 2, 1)
    assert statistics.pending_events == 4
    assert "revision: 5" in store.describe()
