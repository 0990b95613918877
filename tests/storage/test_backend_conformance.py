"""One suite for every Backend: LMDB, and the journal in memory over a real and a simulated file system."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from raftkv.errors import ConfigError
from raftkv.storage.backend import Backend, BackendOpener, Table
from raftkv.storage.fs import OsFileSystem
from raftkv.storage.lmdb_backend import LmdbBackend, LmdbOpener
from raftkv.storage.memory_backend import MemoryOpener
from raftkv.storage.memory_fs import MemoryFileSystem


@pytest.fixture(params=["lmdb", "memory-os", "memory"])
def opened(request, tmp_path) -> Iterator[tuple[BackendOpener, str]]:
    if request.param == "lmdb":
        return LmdbOpener(map_bytes=1 << 24), f"{tmp_path}/store"
    if request.param == "memory-os":
        return MemoryOpener(OsFileSystem()), f"{tmp_path}/store"
    return MemoryOpener(MemoryFileSystem()), "/store"


@pytest.fixture
def backend(opened) -> Iterator[Backend]:
    opener, path = opened
    made = opener.open(path)
    yield made
    made.close()


def pairs(backend, table=Table.KEY, low=b"", high=None, reverse=False):
    reader = backend.reader()
    try:
        return list(reader.scan(table, low, high, reverse=reverse))
    finally:
        reader.close()


def test_commit_of_several_batches_later_one_wins(backend):
    """Batches of a commit apply in order."""
    backend.commit([{Table.KEY: {b"a": b"1", b"b": b"1"}}, {Table.KEY: {b"a": b"2", b"b": None}, Table.META: {b"m": b"x"}}])
    assert pairs(backend) == [(b"a", b"2")]
    assert pairs(backend, Table.META) == [(b"m", b"x")]
    assert pairs(backend, Table.LEASE) == []


def test_get_of_each_table_sees_its_own_keys(backend):
    """Tables do not share keys."""
    backend.commit([{table: {b"k": b"%d" % table} for table in Table}])
    reader = backend.reader()
    assert [reader.get(table, b"k") for table in Table] == [b"%d" % table for table in Table]
    assert reader.get_many(Table.KEY, [b"k", b"none", b"k"]) == [b"1", None, b"1"]
    reader.close()


@pytest.mark.parametrize(
    ("low", "high", "found"),
    [
        (b"", None, "bdf"),
        (b"b", b"d", "b"),
        (b"c", None, "df"),
        (b"b", b"b", ""),
        (b"g", None, ""),
        (b"a", b"z", "bdf"),
        (b"", b"d\0", "bd"),
    ],
)
@pytest.mark.parametrize("reverse", [False, True])
def test_scan_of_any_bounds_gives_the_half_open_range(backend, low, high, found, reverse):
    """low <= key < high, both ways."""
    backend.commit([{Table.KEY: {c: b"v" + c for c in (b"b", b"d", b"f")}}])
    expected = [(c.encode(), b"v" + c.encode()) for c in found]
    assert pairs(backend, low=low, high=high, reverse=reverse) == (expected[::-1] if reverse else expected)


def test_reader_opened_before_a_commit_keeps_its_view(backend):
    """A reader is one consistent view until it is closed."""
    backend.commit([{Table.KEY: {b"a": b"1", b"b": b"1"}}])
    first = backend.reader()
    backend.commit([{Table.KEY: {b"a": b"2", b"b": None, b"c": b"2"}}])
    second = backend.reader()
    backend.commit([{Table.KEY: {b"a": None, b"d": b"3"}}])
    assert list(first.scan(Table.KEY, b"", None)) == [(b"a", b"1"), (b"b", b"1")]
    assert list(first.scan(Table.KEY, b"", None, reverse=True)) == [(b"b", b"1"), (b"a", b"1")]
    assert first.get(Table.KEY, b"a") == b"1" and first.get(Table.KEY, b"c") is None
    assert list(second.scan(Table.KEY, b"", None)) == [(b"a", b"2"), (b"c", b"2")]
    assert pairs(backend) == [(b"c", b"2"), (b"d", b"3")]
    first.close()
    first.close()
    second.close()


def test_store_opened_again_holds_what_was_committed(opened):
    """A commit is durable when it returns."""
    opener, path = opened
    first = opener.open(path)
    for i in range(20):
        first.commit([{Table.KEY: {b"%03d" % i: b"v" * i}}, {Table.KEY: {b"%03d" % (i - 5): None}}])
    first.close()
    second = opener.open(path)
    assert [key for key, _ in pairs(second)] == [b"%03d" % i for i in range(15, 20)]
    assert second.size_bytes() > 0
    second.close()


def test_empty_value_is_not_a_delete(backend):
    """b"" is a value."""
    backend.commit([{Table.ALARM: {b"k": b""}}])
    reader = backend.reader()
    assert reader.get(Table.ALARM, b"k") == b""
    reader.close()


def test_delete_of_a_missing_key_changes_nothing(backend):
    """As in LMDB's own rule."""
    backend.commit([{Table.KEY: {b"gone": None, b"a": b"1"}}])
    backend.commit([{Table.KEY: {b"gone": None}}])
    assert pairs(backend) == [(b"a", b"1")]


def test_unsorted_and_lower_keys_land_in_order(backend):
    """Appending at the end of the tree is only a shortcut."""
    backend.commit([{Table.KEY: {b"m": b"1", b"k": b"1"}}])
    backend.commit([{Table.KEY: {b"z": b"2", b"a": b"2", b"m": b"2"}}])
    assert pairs(backend) == [(b"a", b"2"), (b"k", b"1"), (b"m", b"2"), (b"z", b"2")]


def test_commit_of_nothing_is_allowed(backend):
    """An empty batch list is a commit like any other."""
    backend.commit([])
    backend.commit([{}])
    assert pairs(backend) == []


def test_sizes_are_never_zero_and_grow_with_content(backend):
    """Status reports them."""
    backend.commit([{Table.KEY: {b"a": b"v"}}])
    before = backend.size_in_use_bytes()
    backend.commit([{Table.KEY: {b"%04d" % i: b"v" * 200 for i in range(500)}}])
    assert backend.size_bytes() > 0 and backend.size_in_use_bytes() > max(before, 100_000)


def test_lmdb_commit_beyond_the_map_size_fails_for_good_and_keeps_the_last_state(tmp_path):
    """Reaching the map size is an OSError that ends the member; nothing of the commit stays."""
    path = f"{tmp_path}/store"
    store = LmdbBackend(path, map_bytes=1 << 18)
    store.commit([{Table.KEY: {b"a": b"1"}}])
    with pytest.raises(OSError, match="map size"):
        store.commit([{Table.KEY: {b"%04d" % i: b"v" * 1000 for i in range(2000)}}])
    with pytest.raises(OSError, match="failed before"):
        store.commit([{Table.KEY: {b"b": b"1"}}])
    assert pairs(store) == [(b"a", b"1")]
    store.close()


def test_lmdb_file_of_another_format_is_refused(tmp_path):
    """Never opened by a version that does not understand it."""
    import lmdb

    path = f"{tmp_path}/store"
    LmdbBackend(path, map_bytes=1 << 20).close()
    env = lmdb.open(path, subdir=False, max_dbs=8, map_size=1 << 20)
    with env.begin(write=True) as txn:
        txn.put(b"format", b"raftkv store 2")
    env.close()
    with pytest.raises(ConfigError, match="start it with the version"):
        LmdbBackend(path, map_bytes=1 << 20)


def test_lmdb_store_in_a_missing_directory_is_an_os_error(tmp_path):
    """LMDB's own errors do not leave the module."""
    with pytest.raises(OSError):
        LmdbBackend(f"{tmp_path}/none/store", map_bytes=1 << 20)
