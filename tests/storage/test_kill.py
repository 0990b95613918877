"""A real process with real files and LMDB, killed with SIGKILL while it writes."""

from __future__ import annotations

import subprocess
import sys

import pytest

from raftkv.raft.messages import Entry, HardState, SnapshotMeta
from raftkv.storage.backend import Table
from raftkv.storage.fs import OsFileSystem
from raftkv.storage.install import STORE, open_store
from raftkv.storage.lmdb_backend import LmdbOpener
from raftkv.storage.record import WalMetadata
from raftkv.storage.recovery import open_log
from raftkv.storage.wal import Wal, WalSettings
from tests.storage.logs import CONF, write
from tests.storage.member import applied_of, put_entry

SETTINGS = WalSettings(segment_bytes=20_000, extent_bytes=4_096)
MAP_BYTES = 1 << 26


def live(directory):
    """Appends, commits and marks for ever; prints each index once it is durable."""
    fs = OsFileSystem()
    wal = open_log(fs, f"{directory}/wal", SETTINGS).wal if Wal.exists(fs, f"{directory}/wal") else None
    if wal is None:
        wal = Wal.create(fs, f"{directory}/wal", WalMetadata(1, 2), SETTINGS)
    fs.mkdir(f"{directory}/snap")
    backend = LmdbOpener(map_bytes=MAP_BYTES).open(f"{directory}/snap/{STORE}")
    reader = backend.reader()
    applied = applied_of(reader).index
    reader.close()
    for entry in wal.read_entries(applied + 1, wal.last_index + 1) if applied < wal.last_index else []:
        commit(backend, entry)
    index = applied = wal.last_index
    while True:
        index += 1
        entry = Entry(1, index, 0, b"v%d" % index)
        wal.append([write([entry], HardState(1, 1, index - 1))], sync=True)
        print(index, flush=True)
        if index % 3 == 0:
            # Never one that was applied before: it would take the applied index back.
            for held in wal.read_entries(applied + 1, index + 1):
                commit(backend, held)
            applied = index
        if index % 30 == 0:
            wal.mark_snapshot(SnapshotMeta(index, 1, CONF))
            wal.purge(index - 10)


def commit(backend, entry):
    batch = {Table.KEY: {}, Table.META: {}}
    put_entry(lambda table, key, value: batch[table].__setitem__(key, value), entry)
    backend.commit([batch])


@pytest.mark.slow
def test_process_killed_while_it_writes_restarts_with_everything_it_reported(tmp_path):
    """Kill -9 at an instant nobody chose, several times over the same files."""
    reported = 0
    for count in (40, 1, 75):
        command = [sys.executable, "-c", f"from tests.storage.test_kill import live; live({str(tmp_path)!r})"]
        with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
            assert process.stdout is not None
            for _ in range(count):
                reported = int(process.stdout.readline())
            process.kill()
            rest = process.stdout.read().split(b"\n")
            reported = max([reported, *(int(line) for line in rest[:-1])])
        fs = OsFileSystem()
        log = open_log(fs, f"{tmp_path}/wal", SETTINGS)
        backend = open_store(fs, LmdbOpener(map_bytes=MAP_BYTES), f"{tmp_path}/snap", log, applied_of)
        reader = backend.reader()
        applied = applied_of(reader)
        assert log.last_index >= reported and applied.index <= log.last_index
        expected = {b"k%d" % (i % 7): b"v%d" % i for i in range(1, applied.index + 1)}
        assert dict(reader.scan(Table.KEY, b"", None)) == expected
        left = range(applied.index + 1, log.last_index + 1)
        # An empty range of the log is no question one may ask it.
        found = log.wal.read_entries(left.start, left.stop) if left else []
        assert [entry.data for entry in found] == [b"v%d" % index for index in left]
        reader.close()
        backend.close()
        log.wal.close()


def fill(directory):
    """Writes until the file size limit says no; prints what the store still holds, before and after it is opened again."""
    import resource
    import signal

    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    opener = LmdbOpener(map_bytes=MAP_BYTES)
    backend = opener.open(f"{directory}/db")
    resource.setrlimit(resource.RLIMIT_FSIZE, (300_000, 300_000))
    done = 0
    failures = []
    for attempt in range(50):
        try:
            backend.commit([{Table.KEY: {b"%d" % attempt: b"v" * 20_000}}])
            done += 1
        except OSError as exc:
            failures.append(str(exc))
    kept = []
    for store in (backend, None):
        store = store or opener.open(f"{directory}/db")
        reader = store.reader()
        kept.append(sum(1 for _ in reader.scan(Table.KEY, b"", None)))
        reader.close()
        store.close()
    print(done, *kept, all("failed before" in failure for failure in failures[1:]), len(failures))


@pytest.mark.slow
def test_lmdb_that_gets_no_more_room_fails_for_good_and_keeps_what_it_committed(tmp_path):
    """A full disk ends the member; the store opens again with every commit that returned and no other."""
    command = [sys.executable, "-c", f"from tests.storage.test_kill import fill; fill({str(tmp_path)!r})"]
    done, before, after, closed, failed = subprocess.run(command, stdout=subprocess.PIPE, check=True).stdout.split()
    assert done == before == after != b"0"
    assert closed == b"True" and int(failed) == 50 - int(done)
