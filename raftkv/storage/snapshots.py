"""A consistent copy of the store, as it travels to a follower: in a format of ours, whatever the store is made of.

Owns the bytes: a header (magic, format, index, term, configuration), blocks of length-prefixed records table by table in
key order, an end mark, and the sha256 of everything before it. `SnapshotWriter` makes them from a pinned view in slices,
one per turn; `SnapshotReceiver` takes them in to a file under a temporary name and gives it its name only when it is
whole; `build_store` makes a store of the file. What is done with that store is `install.py`'s.
"""

from __future__ import annotations

from collections.abc import Iterator
from hashlib import sha256
from struct import Struct, error
from typing import NamedTuple

from raftkv.errors import ConfigError, CorruptionError
from raftkv.raft.messages import SnapshotMeta
from raftkv.storage.backend import BackendOpener, Reader, Table, WriteBatch
from raftkv.storage.fs import File, FileSystem, parent
from raftkv.storage.record import decode_conf_state, encode_conf_state

MAGIC = b"raftkv snapshot\n"
FORMAT = 1

SLICE_BYTES = 128 << 10
"""Records in one block: what a turn of the loop reads from the store at once (well under 1 ms)."""

BLOCK_BYTES_MAX = 1 << 28
"""A longer block is read as damage; a block is one slice, or one record that is larger than a slice."""

COMMIT_BYTES = 16 << 20
"""Records put into the store being built per commit."""

_HEADER = Struct("<16sHQQI")  # magic, format, index, term, bytes of the configuration
_BLOCK = Struct("<BI")  # table, bytes of records; table 0 ends the snapshot
_RECORD = Struct("<II")  # bytes of key, bytes of value
_DIGEST_BYTES = 32
_TABLES = frozenset(int(table) for table in Table)


class SnapshotWriter:
    """Iterates over the snapshot's chunks, about SLICE_BYTES each; reads the view as it goes and never writes.

    The caller owns the view, keeps it open for as long, and closes it. `size_bytes` is what was produced so far.
    """

    def __init__(self, reader: Reader, meta: SnapshotMeta, *, slice_bytes: int = SLICE_BYTES) -> None:
        self._reader = reader
        self._meta = meta
        self._slice_bytes = slice_bytes
        self.size_bytes = 0

    def __iter__(self) -> Iterator[bytes]:
        digest = sha256()
        for chunk in self._chunks():
            digest.update(chunk)
            self.size_bytes += len(chunk)
            yield chunk
        self.size_bytes += _DIGEST_BYTES
        yield digest.digest()

    def _chunks(self) -> Iterator[bytes]:
        conf = encode_conf_state(self._meta.conf_state)
        yield _HEADER.pack(MAGIC, FORMAT, self._meta.index, self._meta.term, len(conf)) + conf
        for table in Table:
            parts: list[bytes] = []
            size = 0
            for key, value in self._reader.scan(table, b"", None):
                parts += (_RECORD.pack(len(key), len(value)), key, value)
                size += _RECORD.size + len(key) + len(value)
                if size >= self._slice_bytes:
                    yield _BLOCK.pack(table, size) + b"".join(parts)
                    parts, size = [], 0
            if parts:
                yield _BLOCK.pack(table, size) + b"".join(parts)
        yield _BLOCK.pack(0, 0)


class SnapshotHeader(NamedTuple):
    """What a snapshot file begins with; `size_bytes` is the header's own."""

    meta: SnapshotMeta
    size_bytes: int


def snapshot_name(meta: SnapshotMeta) -> str:
    """File name of a received, whole snapshot."""
    return f"{meta.index:016x}-{meta.term:016x}.snap"


class SnapshotReceiver:
    """Takes a snapshot in. Invariant: a file with a snapshot's own name is whole, verified and durable."""

    def __init__(self, fs: FileSystem, directory: str, meta: SnapshotMeta) -> None:
        self._fs = fs
        self._meta = meta
        self.path = f"{directory}/{snapshot_name(meta)}"
        self._temporary = self.path + ".tmp"
        self._file: File | None = fs.open(self._temporary, create=True)
        self._digest = sha256()
        self._held = b""
        self.size_bytes = 0

    def write(self, chunk: bytes) -> None:
        """Takes the next bytes, cut anywhere. Blocks on the disk. Raises OSError."""
        assert self._file is not None, "finished or aborted"
        self._file.pwrite(chunk, self.size_bytes)
        self.size_bytes += len(chunk)
        # The last 32 bytes seen may be the digest, so they wait.
        held = self._held + chunk
        self._digest.update(held[:-_DIGEST_BYTES])
        self._held = held[-_DIGEST_BYTES:]

    def finish(self) -> str:
        """Verifies what came, makes it durable under its own name and returns the path.

        Raises CorruptionError when bytes are missing or differ, or when it is another snapshot; OSError.
        """
        assert self._file is not None, "finished or aborted"
        if self._held != self._digest.digest():
            self.abort()
            raise CorruptionError(f"the snapshot at entry {self._meta.index} arrived damaged or cut short after {self.size_bytes} bytes")
        header = read_header(self._file.pread(1 << 20, 0))
        if header.meta != self._meta:
            self.abort()
            raise CorruptionError(f"a snapshot {header.meta} came in the place of {self._meta}")
        self._file.datasync()
        self._file.close()
        self._file = None
        self._fs.rename(self._temporary, self.path)
        self._fs.sync_dir(parent(self.path))
        return self.path

    def abort(self) -> None:
        """Drops what came. Idempotent; does nothing after finish."""
        if self._file is not None:
            self._file.close()
            self._file = None
            self._fs.remove(self._temporary)


def read_header(blob: bytes) -> SnapshotHeader:
    """The header at the start of a snapshot. Raises ConfigError for another format, CorruptionError."""
    try:
        magic, fmt, index, term, conf_bytes = _HEADER.unpack_from(blob)
        if magic != MAGIC:
            raise CorruptionError("it does not begin as a raftkv snapshot does")
        if fmt != FORMAT:
            raise ConfigError(f"the snapshot has format {fmt}, not {FORMAT}; use the version that wrote it")
        return SnapshotHeader(SnapshotMeta(index, term, decode_conf_state(blob, _HEADER.size)), _HEADER.size + conf_bytes)
    except error as exc:
        raise CorruptionError("the snapshot is cut short inside its header") from exc


def read_blocks(fs: FileSystem, path: str) -> Iterator[tuple[Table, list[tuple[bytes, bytes]]]]:
    """Blocks of records of a snapshot file, verifying its digest on the way: nothing read may be used before the end is reached.

    Raises CorruptionError, OSError.
    """
    file = fs.open(path)
    try:
        header = read_header(file.pread(1 << 20, 0))
        digest = sha256(file.pread(header.size_bytes, 0))
        offset = header.size_bytes
        while True:
            head = file.pread(_BLOCK.size, offset)
            if len(head) < _BLOCK.size:
                raise CorruptionError(f"{path} is cut short at offset {offset}")
            table, size = _BLOCK.unpack(head)
            digest.update(head)
            offset += _BLOCK.size
            if not table:
                break
            body = file.pread(size, offset) if size <= BLOCK_BYTES_MAX else b""
            digest.update(body)
            offset += size
            if table not in _TABLES:
                raise CorruptionError(f"{path} is damaged at offset {offset}: there is no table {table}")
            yield Table(table), _records(body, size, path)
        if file.pread(_DIGEST_BYTES + 1, offset) != digest.digest():
            raise CorruptionError(f"{path} does not match its digest")
    finally:
        file.close()


def build_store(fs: FileSystem, opener: BackendOpener, snapshot_path: str, store_path: str) -> None:
    """Makes a store of a snapshot file and closes it. Whatever is at store_path goes first.

    The store is durable and complete when it returns, but its name is durable only with its directory's next sync. Runs
    for seconds: on the store's thread. Raises CorruptionError, OSError.
    """
    for path in (store_path, *opener.side_files(store_path)):
        if fs.exists(path):
            fs.remove(path)
    backend = opener.open(store_path)
    try:
        batch: WriteBatch = {}
        size = 0
        for table, records in read_blocks(fs, snapshot_path):
            batch.setdefault(table, {}).update(records)
            size += sum(len(key) + len(value) for key, value in records)
            if size >= COMMIT_BYTES:
                backend.commit([batch])
                batch, size = {}, 0
        backend.commit([batch])
    finally:
        backend.close()


def _records(body: bytes, size: int, path: str) -> list[tuple[bytes, bytes]]:
    if len(body) != size:
        raise CorruptionError(f"{path} is cut short or damaged: a block of {size} bytes is not there")
    records: list[tuple[bytes, bytes]] = []
    offset = 0
    try:
        while offset < size:
            key_bytes, value_bytes = _RECORD.unpack_from(body, offset)
            offset += _RECORD.size
            end = offset + key_bytes + value_bytes
            records.append((body[offset : offset + key_bytes], body[offset + key_bytes : end]))
            offset = end
    except error as exc:
        raise CorruptionError(f"{path} is damaged: a record ends outside its block") from exc
    if offset != size:
        raise CorruptionError(f"{path} is damaged: a record ends outside its block")
    return records
