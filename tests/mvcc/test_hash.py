from __future__ import annotations

import pytest

from raftkv.errors import CompactedError, CorruptionError, FutureRevError
from raftkv.mvcc.hash import HashKV, HashKVResult, HashState
from raftkv.mvcc.revision import put_key
from raftkv.mvcc.store import Store
from raftkv.storage.backend import Table
from tests.mvcc.dict_tables import DictTables


def hash_kv(store: Store, revision: int = 0, limit: int = 3) -> HashKVResult:
    under_way = HashKV(store, revision)
    while under_way.step(limit):
        pass
    return under_way.result


def finish_compaction(store: Store) -> None:
    while store.compaction.step(1):
        pass


def etcd_script() -> tuple[DictTables, Store]:
    """Ten changes whose hashes a real etcd was asked for."""
    tables = DictTables()
    store = Store(tables)
    for number in range(8):
        store.put(b"k%d" % (number % 3), b"v%d" % number, 0)
    return tables, store


def test_hash_kv_is_etcds_own() -> None:
    """Values are what etcd 3.4.23 answers (`etcdctl endpoint hashkv`) after the same requests."""
    _, store = etcd_script()
    assert hash_kv(store) == (2434688216, -1, 9)
    assert hash_kv(store, 2) == (3449273751, -1, 2)
    store.put(b"empty", b"", 0)
    write = store.begin()
    write.delete_range(b"k1", b"")
    write.end()
    assert hash_kv(store).hash == 2587404500
    store.put(b"k2", b"x", 0)
    store.compact(9)
    assert hash_kv(store) == (2001356294, 9, 12)
    assert hash_kv(store, 10).hash == 2961531964
    finish_compaction(store)
    assert hash_kv(store).hash == 2001356294
    store.compact(11)
    finish_compaction(store)
    assert hash_kv(store).hash == 877226225
    store.put(b"k2", b"y", 0)
    store.compact(12)
    assert hash_kv(store).hash == 1170327577


def test_hash_kv_does_not_depend_on_how_far_a_compaction_got() -> None:
    """Members at one revision and compact revision agree, whichever compactions they finished, skipped or restarted in."""
    hashes = set()
    for slices in range(12):
        tables, store = etcd_script()
        if slices % 2:
            store.compact(4)
            finish_compaction(store)
        write = store.begin()
        write.delete_range(b"k0", b"k2")
        write.put(b"k0", b"again", 0)
        write.end()
        store.compact(store.revision)
        for _ in range(slices):
            store.compaction.step(1)
        if slices % 3 == 0:
            store = Store(tables)
        hashes.add(hash_kv(store))
    assert len(hashes) == 1


def test_hash_kv_revision_is_checked_like_a_ranges() -> None:
    _, store = etcd_script()
    store.compact(5)
    with pytest.raises(CompactedError):
        HashKV(store, 4)
    with pytest.raises(FutureRevError):
        HashKV(store, 10)
    assert hash_kv(store, 5).hash_revision == 5


def test_hash_kv_in_slices_is_pinned_while_the_store_changes() -> None:
    _, store = etcd_script()
    store.compact(4)
    expected = hash_kv(store)
    under_way = HashKV(store)
    while under_way.step(1):
        store.put(b"k1", b"later", 0)
        if store.compact_revision < 8:
            store.compact(store.compact_revision + 1)
        finish_compaction(store)
    assert under_way.result == expected


def test_hash_kv_overtaken_by_a_compaction_ends_with_compacted() -> None:
    _, store = etcd_script()
    under_way = HashKV(store, 5)
    assert under_way.step(1)
    store.compact(6)
    with pytest.raises(CompactedError):
        under_way.step(1)


def test_hash_kv_damaged_record_is_corruption_not_another_hash() -> None:
    """A corruption check that cannot fail checks nothing (faults.md 61)."""
    tables, store = etcd_script()
    tables.put(Table.KEY, put_key(3, 0), b"damaged record")
    under_way = HashKV(store)
    with pytest.raises(CorruptionError, match=r"revision 3\.0"):
        while under_way.step():
            pass


def test_hash_kv_differs_when_one_value_does() -> None:
    one, other = Store(DictTables()), Store(DictTables())
    one.put(b"a", b"1", 0)
    other.put(b"a", b"2", 0)
    assert hash_kv(one) != hash_kv(other)


def test_hash_state_covers_every_table_and_not_the_slices() -> None:
    tables, store = etcd_script()

    def hash_state(limit: int) -> int:
        under_way = HashState(store.view())
        while under_way.step(limit):
            pass
        return under_way.result

    first = hash_state(1)
    assert first == hash_state(1000)
    for table in (Table.META, Table.AUTH, Table.KEY):
        tables.put(table, b"\xff" * 17, b"x")
        later = hash_state(4)
        assert later != first
        first = later
