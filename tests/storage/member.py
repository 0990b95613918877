"""A member's disk side in small: log, storage, store and installation driven as the server drives them, and the truth
they are checked against after every stop.

`History` is what the cluster committed and what this member promised; it survives crashes. A `Member` is one process.
"""

from __future__ import annotations

import struct

from raftkv.raft.messages import Entry, HardState, SnapshotMeta
from raftkv.storage.backend import Table
from raftkv.storage.buffer import BufferedTables
from raftkv.storage.install import STORE, Applied, SnapshotInstall, open_store
from raftkv.storage.memory_backend import MemoryBackend, MemoryOpener
from raftkv.storage.memory_fs import MemoryFileSystem
from raftkv.storage.raft_storage import RaftStorage
from raftkv.storage.recovery import open_log
from raftkv.storage.snapshots import SnapshotReceiver, SnapshotWriter
from raftkv.storage.wal import Wal, WalSettings
from tests.storage.logs import CONF, METADATA, write

SETTINGS = WalSettings(segment_bytes=600, extent_bytes=256)
_APPLIED = struct.Struct(">QQ")


def applied_of(reader):
    value = reader.get(Table.META, b"applied")
    return Applied(*_APPLIED.unpack(value)) if value else Applied(0, 0)


def put_entry(put, entry):
    """Applies one entry; state depends on the log alone."""
    put(Table.KEY, b"k%d" % (entry.index % 7), entry.data)
    put(Table.META, b"applied", _APPLIED.pack(entry.index, entry.term))


class History:
    """entries: committed ones from index 1. promised: the highest index this member acknowledged as committed."""

    def __init__(self):
        self.entries: list[Entry] = []
        self.promised = 0
        self.hard_state = HardState()
        self.counter = 0

    def new_entry(self, index, term):
        self.counter += 1
        return Entry(term, index, 0, b"%d:%d:%d" % (self.counter, term, index) + b"." * (self.counter * 13 % 60))

    def state_at(self, index):
        tables: dict = {Table.KEY: {}, Table.META: {}}
        for entry in self.entries[:index]:
            put_entry(lambda table, key, value: tables[table].__setitem__(key, value), entry)
        return {table: pairs for table, pairs in tables.items() if pairs}


def everything(tables):
    found = {table: dict(tables.scan(table, b"", None)) for table in Table}
    return {table: pairs for table, pairs in found.items() if pairs}


class Member:
    """One process. Any OSError ends it."""

    def __init__(self, fs, history):
        self.fs, self.history = fs, history
        self.opener = MemoryOpener(fs)
        fs.mkdir("/m")
        fs.sync_dir("/")
        log = open_log(fs, "/m/wal", SETTINGS) if Wal.exists(fs, "/m/wal") else None
        self.backend = open_store(fs, self.opener, "/m/snap", log, applied_of)
        if log is None:
            Wal.create(fs, "/m/wal", METADATA, SETTINGS).close()
            log = open_log(fs, "/m/wal", SETTINGS)
        self.log, self.wal = log, log.wal
        self.storage = RaftStorage(log, window_bytes=400)
        self.tables = BufferedTables(self.backend)
        self.applied = self.durable_applied = applied_of(self.tables).index
        self.term = max(log.hard_state.term, 1)
        self.uncommitted = [e for e in self._log_entries() if e.index > len(history.entries)]

    def _log_entries(self):
        low = max(self.applied + 1, self.storage.first_index())
        return list(self.storage.entries(low, self.storage.last_index() + 1, 1 << 30)) if low <= self.storage.last_index() else []

    def check(self):
        """What a restart found is legal: nothing promised is missing, nothing is invented."""
        history, storage = self.history, self.storage
        assert everything(self.tables) == history.state_at(self.applied), "the store is the state at its applied index"
        assert self.applied <= len(history.entries)
        assert storage.first_index() - 1 <= self.applied <= storage.last_index()
        assert storage.last_index() >= history.promised, "an acknowledged entry is missing"
        assert self.log.hard_state.commit <= storage.last_index()
        assert self.log.hard_state.term >= history.hard_state.term, "a term that messages depended on was forgotten"
        if self.log.hard_state.term == history.hard_state.term:
            assert self.log.hard_state.vote == history.hard_state.vote, "a vote was forgotten"
        for entry in self._log_entries():
            if entry.index <= history.promised:
                assert entry == history.entries[entry.index - 1], "an acknowledged entry was changed"

    def catch_up(self):
        """The leader sends what the cluster committed meanwhile; it replaces a tail that was never committed."""
        history = self.history
        held = {e.index: e for e in self._log_entries()}
        first = self.applied + 1
        while first <= len(history.entries) and held.get(first) == history.entries[first - 1]:
            first += 1
        if first <= len(history.entries):
            entries = history.entries[first - 1 :]
            self.term = max(self.term, entries[-1].term)
            self._write(entries)
        history.promised = max(history.promised, len(history.entries))

    def append(self, count, *, sync=True):
        """Entries above the last; acknowledged to nobody yet."""
        first = self.storage.last_index() + 1
        entries = [self.history.new_entry(first + i, self.term) for i in range(count)]
        self._write(entries, sync=sync)

    def overwrite(self, count):
        """A new leader replaces the uncommitted tail."""
        self.term += 1
        first = self.history.promised + 1
        if first <= self.storage.last_index():
            self._write([self.history.new_entry(first + i, self.term) for i in range(count)])

    def _write(self, entries, *, sync=True):
        state = HardState(self.term, self.term % 3, min(self.history.promised, self.storage.last_index()))
        self.wal.append([write(entries, state)], sync=sync)
        if sync:
            self.history.hard_state = state
        self.storage.append(entries)
        self.uncommitted = [e for e in [*self.uncommitted, *entries] if e.index < entries[0].index or e in entries]

    def commit(self):
        """Everything durable here is committed and acknowledged."""
        last = self.storage.last_index()
        self.wal.append([write((), HardState(self.term, self.term % 3, last))], sync=False)
        self.history.entries += [e for e in self.uncommitted if e.index > len(self.history.entries)]
        self.uncommitted = []
        self.history.promised = max(self.history.promised, last)

    def apply(self):
        high = min(self.history.promised, self.storage.last_index())
        if self.applied < high:
            entries = self.storage.entries(self.applied + 1, high + 1, 1 << 30)
            assert list(entries) == self.history.entries[self.applied : high]
            for entry in entries:
                put_entry(self.tables.put, entry)
            self.applied = high

    def flush(self):
        batches = self.tables.seal()
        at = self.applied
        if batches:
            self.backend.commit(batches)
            self.tables.committed(batches)
        self.durable_applied = at

    def snapshot(self):
        """Design §4 rule 7: store durable, then the mark, then the cut, then whole segments."""
        index = self.durable_applied
        if index < self.storage.first_index():
            return
        meta = SnapshotMeta(index, self.storage.term(index), CONF)
        self.wal.mark_snapshot(meta)
        self.storage.set_snapshot(meta)
        self.storage.compact(max(index - 3, 0))
        self.wal.purge(self.storage.first_index() - 1)

    def install(self, ahead):
        """Design §4 rule 8."""
        history = self.history
        base = max(len(history.entries), self.storage.last_index())
        self.term += 1
        history.entries += [history.new_entry(i, self.term) for i in range(len(history.entries) + 1, base + ahead + 1)]
        meta = SnapshotMeta(len(history.entries), self.term, CONF)
        receiver = SnapshotReceiver(self.fs, "/m/snap", meta)
        for chunk in leaders_snapshot(history, meta):
            receiver.write(chunk)
        receiver.finish()
        install = SnapshotInstall(self.fs, self.opener, "/m/snap", meta)
        install.build()
        install.ready()
        self.wal.mark_snapshot(meta, hard_state=HardState(self.term, self.term % 3, meta.index), installed=True)
        history.promised, history.hard_state = meta.index, HardState(self.term, self.term % 3, meta.index)
        self.tables.close()
        self.backend.close()
        install.replace()
        install.settle()
        install.clean()
        self.storage.apply_snapshot(meta)
        self.backend = self.opener.open(f"/m/snap/{STORE}")
        self.tables = BufferedTables(self.backend)
        self.applied = self.durable_applied = meta.index
        self.uncommitted = []
        assert everything(self.tables) == history.state_at(meta.index)


def leaders_snapshot(history, meta):
    backend = MemoryBackend(MemoryFileSystem(), "/db")
    backend.commit([history.state_at(meta.index)])
    return list(SnapshotWriter(backend.reader(), meta, slice_bytes=64))
