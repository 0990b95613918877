"""Snapshots written, received, damaged and made into stores."""

from __future__ import annotations

import pytest

from raftkv.errors import ConfigError, CorruptionError
from raftkv.storage.backend import Table
from raftkv.storage.fs import OsFileSystem
from raftkv.storage.lmdb_backend import LmdbOpener
from raftkv.storage.memory_backend import MemoryBackend, MemoryOpener
from raftkv.storage.memory_fs import MemoryFileSystem
from raftkv.storage.snapshots import SnapshotReceiver, SnapshotWriter, build_store, read_blocks, read_header
from tests.storage.logs import meta

META = meta(42, 3)
CONTENT = {
    Table.KEY: {b"%05d" % i: b"v" * (i % 400) for i in range(1_000)},
    Table.META: {b"applied": b"42"},
    Table.ALARM: {b"k": b""},
}


def everything(backend):
    reader = backend.reader()
    found = {table: dict(reader.scan(table, b"", None)) for table in Table}
    reader.close()
    return {table: pairs for table, pairs in found.items() if pairs}


@pytest.fixture(scope="module")
def chunks():
    backend = MemoryBackend(MemoryFileSystem(), "/db")
    backend.commit([CONTENT])
    reader = backend.reader()
    writer = SnapshotWriter(reader, META, slice_bytes=4_000)
    found = list(writer)
    assert writer.size_bytes == sum(map(len, found))
    return found


def receive(fs, chunks, expected=META):
    receiver = SnapshotReceiver(fs, "/", expected)
    for chunk in chunks:
        receiver.write(chunk)
    return receiver


def test_snapshot_comes_in_slices_and_begins_with_its_place_in_the_log(chunks):
    """No chunk is more than a slice and a record."""
    assert len(chunks) > 40 and max(map(len, chunks)) < 4_000 + 500
    assert read_header(chunks[0]).meta == META


@pytest.mark.parametrize("step", [1_000_003, 31, 4_096])
def test_snapshot_received_in_any_pieces_builds_an_equal_store(chunks, step, tmp_path):
    """The store on the other side is the same, whatever it is made of."""
    blob = b"".join(chunks)
    fs = MemoryFileSystem()
    path = receive(fs, [blob[i : i + step] for i in range(0, len(blob), step)]).finish()
    assert fs.listdir("/") == [path.rpartition("/")[2]]
    opener = MemoryOpener(fs)
    fs.open("/db.building", create=True).close()
    build_store(fs, opener, path, "/db.building")
    assert everything(opener.open("/db.building")) == CONTENT


def test_snapshot_builds_an_equal_lmdb_store(chunks, tmp_path):
    fs, directory = OsFileSystem(), str(tmp_path)
    receiver = SnapshotReceiver(fs, directory, META)
    for chunk in chunks:
        receiver.write(chunk)
    path = receiver.finish()
    opener = LmdbOpener(map_bytes=1 << 24)
    build_store(fs, opener, path, f"{directory}/db.building")
    store = opener.open(f"{directory}/db.building")
    assert everything(store) == CONTENT
    store.close()


def test_snapshot_of_an_empty_store_is_whole():
    fs = MemoryFileSystem()
    reader = MemoryBackend(fs, "/db").reader()
    path = receive(fs, SnapshotWriter(reader, META)).finish()
    assert list(read_blocks(fs, path)) == []


def test_snapshot_cut_short_anywhere_is_refused_and_leaves_nothing(chunks):
    """54 of the known ways to be wrong."""
    blob = b"".join(chunks)
    for size in [*range(0, 200), *range(200, len(blob), 4_999), len(blob) - 1]:
        fs = MemoryFileSystem()
        with pytest.raises(CorruptionError, match="damaged or cut short"):
            receive(fs, [blob[:size]]).finish()
        assert fs.listdir("/") == []


def test_snapshot_with_a_flipped_bit_is_refused(chunks):
    blob = b"".join(chunks)
    for bit in range(0, len(blob) * 8, 40_009):
        flipped = bytearray(blob)
        flipped[bit // 8] ^= 1 << bit % 8
        with pytest.raises(CorruptionError):
            receive(MemoryFileSystem(), [bytes(flipped)]).finish()


def test_other_snapshot_than_announced_is_refused(chunks):
    with pytest.raises(CorruptionError, match="in the place of"):
        receive(MemoryFileSystem(), chunks, expected=meta(43, 3)).finish()


def test_received_file_damaged_later_is_refused_when_built(chunks):
    """The file may rot between receiving and building."""
    blob = b"".join(chunks)
    fs = MemoryFileSystem()
    path = receive(fs, chunks).finish()
    for bit in range(0, len(blob) * 8, 80_021):
        flipped = bytearray(blob)
        flipped[bit // 8] ^= 1 << bit % 8
        fs.open(path, create=True).pwrite(bytes(flipped), 0)
        with pytest.raises((CorruptionError, ConfigError)):
            build_store(fs, MemoryOpener(fs), path, "/db.building")


def test_snapshot_of_a_newer_format_is_refused_with_advice(chunks):
    blob = bytearray(chunks[0])
    blob[16] = 2
    with pytest.raises(ConfigError, match="version that wrote it"):
        read_header(bytes(blob))


def test_aborted_receiver_leaves_nothing():
    fs = MemoryFileSystem()
    receiver = receive(fs, [b"abc"])
    receiver.abort()
    receiver.abort()
    assert fs.listdir("/") == []
