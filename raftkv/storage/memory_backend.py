"""The store in memory over a journal file: the same commit, crash and error rules as LMDB, for the simulator and tests.

Owns the journal: each commit is one record, written and synced before it counts, so what survives a power cut is
decided by the file system alone (`memory_fs.py`). Old views read through the undo records of the commits made since.
The store's thread commits; readers are used by the loop; a lock keeps them apart.
"""

from __future__ import annotations

import errno
import struct
import threading
from collections.abc import Iterator, Sequence
from weakref import WeakSet

from crc32c import crc32c
from sortedcontainers import SortedDict

from raftkv.errors import ConfigError
from raftkv.storage.backend import Backend, Reader, Table, WriteBatch
from raftkv.storage.fs import FileSystem, parent, read_all
from raftkv.storage.overlay import overlaid

_HEADER = b"raftkv memory store 1\n"
_RECORD = struct.Struct("<II")  # length, crc32c
_CHANGE = struct.Struct("<BIi")  # table, key length, value length or -1
_JOURNAL_BYTES_MIN = 1 << 20
"""A journal shorter than this is never rewritten."""

_Undo = dict[tuple[Table, bytes], bytes | None]


class MemoryReader:
    """The state after `version` commits."""

    __slots__ = ("__weakref__", "_backend", "version")

    def __init__(self, backend: MemoryBackend, version: int) -> None:
        self._backend: MemoryBackend | None = backend
        self.version = version

    def get(self, table: Table, key: bytes) -> bytes | None:
        """See Reader."""
        return self._open().value_at(self.version, table, key)

    def get_many(self, table: Table, keys: Sequence[bytes]) -> list[bytes | None]:
        """See Reader."""
        return [self.get(table, key) for key in keys]

    def scan(self, table: Table, low: bytes, high: bytes | None, *, reverse: bool = False) -> Iterator[tuple[bytes, bytes]]:
        """See Reader."""
        return iter(self._open().pairs_at(self.version, table, low, high, reverse=reverse))

    def close(self) -> None:
        """See Reader."""
        if self._backend is not None:
            self._backend.readers.discard(self)
            self._backend = None

    def _open(self) -> MemoryBackend:
        assert self._backend is not None, "the view is closed"
        return self._backend


class MemoryBackend:
    """See Backend. Invariants: 1. the tables are what the journal's whole records say; 2. after a commit that failed,
    every later commit fails; 3. undo records reach back to the oldest open view.
    """

    def __init__(self, fs: FileSystem, path: str) -> None:
        self._fs, self._path = fs, path
        self._lock = threading.Lock()
        self._tables: dict[Table, SortedDict] = {table: SortedDict() for table in Table}
        self._version = 0
        self._undos: list[_Undo] = []
        self._undo_base = 0
        self.readers: WeakSet[MemoryReader] = WeakSet()
        self._failure: OSError | None = None
        self._closed = False
        self._in_use = 0
        if fs.exists(path):
            self._offset = self._replay(read_all(fs, path))
            self._file = fs.open(path, write=True)
            # A torn record must not show again behind the next one.
            self._file.truncate(self._offset)
            # And a record whose sync failed may be readable without being durable.
            self._file.pwrite(self._file.pread(self._offset, 0), 0)
        else:
            self._file = fs.open(path, create=True)
            self._file.pwrite(_HEADER, 0)
            self._offset = len(_HEADER)
            # As LMDB does: a name that was there is not made durable by opening it.
            fs.sync_dir(parent(path))
        self._file.datasync()

    def commit(self, batches: Sequence[WriteBatch]) -> None:
        """See Backend."""
        if self._failure is not None:
            raise OSError(self._failure.errno, f"the store {self._path} failed before and takes no more writes: {self._failure}")
        changes: dict[tuple[Table, bytes], bytes | None] = {}
        for batch in batches:
            for table, pairs in batch.items():
                for key, value in pairs.items():
                    changes[table, key] = value
        try:
            record = _encode(changes)
            self._file.pwrite(record, self._offset)
            self._file.datasync()
            self._offset += len(record)
            self._apply(changes)
            if self._offset > _JOURNAL_BYTES_MIN and self._offset > 4 * self._in_use:
                self._rewrite()
        except OSError as exc:
            self._failure = exc
            raise

    def reader(self) -> Reader:
        """See Backend."""
        assert not self._closed, "the store is closed"
        with self._lock:
            reader = MemoryReader(self, self._version)
            self.readers.add(reader)
            return reader

    def size_bytes(self) -> int:
        """See Backend."""
        return self._offset

    def size_in_use_bytes(self) -> int:
        """See Backend."""
        assert not self._closed, "the store is closed"
        return self._in_use

    def close(self) -> None:
        """See Backend."""
        self._closed = True
        self._file.close()
        self._failure = self._failure or OSError(errno.EBADF, "the store is closed")

    def value_at(self, version: int, table: Table, key: bytes) -> bytes | None:
        """The value a view of that version sees."""
        assert not self._closed, "the store is closed"
        with self._lock:
            for undo in self._undos[version - self._undo_base :]:
                if (table, key) in undo:
                    return undo[table, key]
            value: bytes | None = self._tables[table].get(key)
            return value

    def pairs_at(self, version: int, table: Table, low: bytes, high: bytes | None, *, reverse: bool) -> list[tuple[bytes, bytes]]:
        """The pairs a view of that version sees."""
        assert not self._closed, "the store is closed"
        with self._lock:
            old: dict[bytes, bytes | None] = {}
            for undo in reversed(self._undos[version - self._undo_base :]):
                for (changed, key), value in undo.items():
                    if changed == table and low <= key and (high is None or key < high):
                        old[key] = value
            live = self._tables[table]
            keys = live.irange(low, high, inclusive=(True, False), reverse=reverse)
            return list(overlaid(old, ((key, live[key]) for key in keys), reverse=reverse))

    def _apply(self, changes: dict[tuple[Table, bytes], bytes | None]) -> None:
        with self._lock:
            undo: _Undo = {}
            for (table, key), value in changes.items():
                live = self._tables[table]
                old = live.get(key)
                undo[table, key] = old
                if old is not None:
                    self._in_use -= len(key) + len(old)
                if value is None:
                    live.pop(key, None)
                else:
                    live[key] = value
                    self._in_use += len(key) + len(value)
            self._version += 1
            self._undos.append(undo)
            oldest = min((reader.version for reader in self.readers), default=self._version)
            if oldest > self._undo_base:
                del self._undos[: oldest - self._undo_base]
                self._undo_base = oldest

    def _replay(self, blob: bytes) -> int:
        if not blob.startswith(_HEADER):
            if _HEADER.startswith(blob):
                # The power went before the first sync: nothing was ever committed.
                self._fs.open(self._path, create=True).pwrite(_HEADER, 0)
                return len(_HEADER)
            raise ConfigError(f"{self._path} is not a raftkv memory store of this version; move it away")
        offset = len(_HEADER)
        while offset + _RECORD.size <= len(blob):
            length, crc = _RECORD.unpack_from(blob, offset)
            body = blob[offset + _RECORD.size : offset + _RECORD.size + length]
            if not length or len(body) < length or crc32c(body) != crc:
                break
            self._apply(_decode(body))
            offset += _RECORD.size + length
        return offset

    def _rewrite(self) -> None:
        """Replaces the journal by one record of what is live, so that it does not grow for ever."""
        temporary = self._path + ".rewrite"
        live: dict[tuple[Table, bytes], bytes | None] = {
            (t, key): value for t, pairs in self._tables.items() for key, value in pairs.items()
        }
        blob = _HEADER + _encode(live)
        file = self._fs.open(temporary, create=True)
        file.pwrite(blob, 0)
        file.datasync()
        self._fs.rename(temporary, self._path)
        self._fs.sync_dir(parent(self._path))
        self._file.close()
        self._file, self._offset = file, len(blob)


class MemoryOpener:
    """Opens in-memory stores on a file system: the factory of simulated members."""

    def __init__(self, fs: FileSystem) -> None:
        self._fs = fs

    def open(self, path: str) -> Backend:
        """See BackendOpener."""
        return MemoryBackend(self._fs, path)

    def side_files(self, path: str) -> tuple[str, ...]:
        """See BackendOpener."""
        return ()


def _encode(changes: dict[tuple[Table, bytes], bytes | None]) -> bytes:
    parts: list[bytes] = []
    for (table, key), value in changes.items():
        parts.append(_CHANGE.pack(table, len(key), -1 if value is None else len(value)))
        parts.append(key)
        if value is not None:
            parts.append(value)
    # A commit of nothing still has a body, so that its record differs from zeros.
    body = b"".join(parts) or b"\0"
    return _RECORD.pack(len(body), crc32c(body)) + body


def _decode(body: bytes) -> dict[tuple[Table, bytes], bytes | None]:
    changes: dict[tuple[Table, bytes], bytes | None] = {}
    offset = 0
    while offset + _CHANGE.size <= len(body):
        table, key_length, value_length = _CHANGE.unpack_from(body, offset)
        offset += _CHANGE.size
        key = body[offset : offset + key_length]
        offset += key_length
        changes[Table(table), key] = None if value_length < 0 else body[offset : offset + value_length]
        offset += max(value_length, 0)
    return changes
