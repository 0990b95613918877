"""Text of whole and damaged files; nothing is ever written."""

from __future__ import annotations

from raftkv.storage.backend import Table
from raftkv.storage.dump import dump_snapshot, dump_store, dump_wal
from raftkv.storage.faulty_fs import Fault, FaultyFileSystem
from raftkv.storage.fs import read_all
from raftkv.storage.lmdb_backend import LmdbBackend
from raftkv.storage.memory_backend import MemoryBackend
from raftkv.storage.memory_fs import MemoryFileSystem
from raftkv.storage.snapshots import SnapshotReceiver, SnapshotWriter
from raftkv.storage.wal import list_segments
from tests.storage.logs import DIRECTORY, append, create, meta


def readonly(fs):
    """Any change fails."""
    return FaultyFileSystem(fs, [Fault(call) for call in range(1, 100)])


def a_log():
    fs = MemoryFileSystem()
    wal = create(fs)
    append(wal, 1, 3, commit=1)
    wal.mark_snapshot(meta(2))
    append(wal, 4, 20, commit=3, size=200)
    append(wal, 21, 21, commit=4)
    return fs


def test_log_is_shown_record_by_record_and_summed_up():
    lines = list(dump_wal(readonly(a_log()), DIRECTORY))
    assert "head" in lines[0] and "entries 1 to 3" in lines[1] and lines[2].strip().startswith("1 term 1 normal")
    assert any("snapshot" in line for line in lines)
    assert "the log ends here" in lines[-2] and "entries 1 to 21" in lines[-1]
    assert len(list(dump_wal(a_log(), DIRECTORY, entries=False))) == len(lines) - 21


def test_damaged_log_is_shown_up_to_the_damage():
    fs = a_log()
    path = f"{DIRECTORY}/{list_segments(fs, DIRECTORY)[0].name}"
    fs.open(path, write=True).pwrite(b"\xff", 300)
    lines = list(dump_wal(readonly(fs), DIRECTORY))
    assert "do not start" in lines[-2] and "entries" in lines[-1]


def test_snapshot_is_shown_and_its_digest_checked():
    fs = MemoryFileSystem()
    backend = MemoryBackend(fs, "/db")
    backend.commit([{Table.KEY: {b"k": b"v" * 100}}])
    receiver = SnapshotReceiver(fs, "/", meta(9))
    for chunk in SnapshotWriter(backend.reader(), meta(9)):
        receiver.write(chunk)
    path = receiver.finish()
    lines = list(dump_snapshot(readonly(fs), path))
    assert "index=9" in lines[0] and lines[1].startswith("KEY 'k' 'vvv") and lines[-1] == "digest right"
    blob = read_all(fs, path)
    fs.open(path, create=True).pwrite(blob[:-1] + b"\0", 0)
    assert "damaged" in list(dump_snapshot(readonly(fs), path))[-1]


def test_store_is_shown_by_table(tmp_path):
    path = f"{tmp_path}/db"
    store = LmdbBackend(path, map_bytes=1 << 20)
    store.commit([{Table.KEY: {b"k": b"v"}, Table.META: {b"m": b"w"}}])
    store.close()
    assert list(dump_store(path)) == ["KEY 'k' 'v'", "META 'm' 'w'"]
    assert list(dump_store(path, table=Table.META)) == ["META 'm' 'w'"]
