"""Real files that remember what a power cut would take from them.

`TracedFileSystem` stands between a member and its files. Before each change it writes into a trace what would be needed to
undo it, and after each sync that the sync returned; the trace survives kill -9, because the kernel keeps what a process wrote.
`cut_power` then makes the files of ended members what a disk may hold after the power went: of a file's bytes not yet synced
nothing, a prefix torn at any byte, or any sectors; of a directory's names not yet synced a prefix of the changes. A member
may have been killed and started any number of times in between: what its predecessors left unsynced is still unsynced.

Stricter than ext4 in one way: a new file's name needs its directory's sync even when the file itself was synced.
"""

from __future__ import annotations

import os
import pathlib
import random
import shutil
import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

import msgpack

from raftkv.storage.fs import File, OsFileSystem, parent
from raftkv.storage.layered_fs import LayeredFile, LayeredFileSystem

SECTOR_BYTES = 512
"""What a disk writes as a whole."""

_LENGTH = struct.Struct("<I")

# Kinds of trace records.
WRITE = "write"  # inode, offset, bytes before, size before
SYNC = "sync"  # inode
CREATE = "create"  # directory, name
MKDIR = "mkdir"  # directory, name
RENAME = "rename"  # directory, source, target, where the replaced file is kept or ""
REMOVE = "remove"  # directory, name, where it is kept
SYNC_DIR = "sync_dir"  # directory


class Loss(Enum):
    """What becomes of a file's unsynced bytes."""

    ALL = "all"
    TORN = "torn"
    """Those before a random byte are there, those after are not."""

    SECTORS = "sectors"
    """Each sector for itself is there or not."""


class Trace:
    """The side file. Records are appended with one write each, so that a kill leaves at most the last one cut short."""

    def __init__(self, folder: pathlib.Path) -> None:
        self.folder = folder
        self.kept = folder / "kept"
        """Links to files that were replaced or removed: their directories may yet forget that."""

        self.kept.mkdir(parents=True, exist_ok=True)
        self._path = folder / "trace"
        self._fd = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        # A cut record's change was never made, and the next record must not follow its half.
        os.ftruncate(self._fd, sum(size for size, _ in read_trace(self._path)))
        self._kept_total = 0

    def add(self, *record: Any) -> None:
        """Appends a record."""
        body = msgpack.packb(record)
        os.write(self._fd, _LENGTH.pack(len(body)) + body)

    def keep(self, path: str) -> str:
        """Links the file under a name of its own, and returns that."""
        self._kept_total += 1
        kept = f"{self.kept}/{os.getpid()}.{self._kept_total}"
        os.link(path, kept)
        return kept


def read_trace(path: pathlib.Path) -> Iterator[tuple[int, list[Any]]]:
    """(size in bytes, record) for each whole record."""
    blob = path.read_bytes()
    offset = 0
    while offset + _LENGTH.size <= len(blob):
        (length,) = _LENGTH.unpack_from(blob, offset)
        body = blob[offset + _LENGTH.size : offset + _LENGTH.size + length]
        if len(body) < length:
            return
        yield _LENGTH.size + length, msgpack.unpackb(body)
        offset += _LENGTH.size + length


class TracedFile(LayeredFile):
    """See File."""

    __slots__ = ("_fs", "_inode")

    def __init__(self, fs: TracedFileSystem, file: File, inode: int) -> None:
        super().__init__(file)
        self._fs, self._inode = fs, inode

    def pwrite(self, data: bytes, offset: int) -> None:
        """See File."""
        self._fs.trace.add(WRITE, self._inode, offset, self._file.pread(len(data), offset), self._file.size())
        self._file.pwrite(data, offset)

    def datasync(self) -> None:
        """See File."""
        if self._fs.honest:
            self._file.datasync()
            self._fs.trace.add(SYNC, self._inode)

    def truncate(self, size_bytes: int) -> None:
        """See File."""
        size = self._file.size()
        self._fs.trace.add(WRITE, self._inode, size_bytes, self._file.pread(max(0, size - size_bytes), size_bytes), size)
        self._file.truncate(size_bytes)


class TracedFileSystem(LayeredFileSystem):
    """See FileSystem. One that is not `honest` syncs no file and claims that it did: for the test of the test."""

    def __init__(self, trace: Trace, *, honest: bool = True) -> None:
        super().__init__(OsFileSystem())
        self.trace = trace
        self.honest = honest

    def open(self, path: str, *, write: bool = False, create: bool = False) -> File:
        """See FileSystem."""
        if create:
            if os.path.exists(path):
                before = pathlib.Path(path).read_bytes()
                self.trace.add(WRITE, os.stat(path).st_ino, 0, before, len(before))
            else:
                self.trace.add(CREATE, parent(path), os.path.basename(path))
        file = self._inner.open(path, write=write, create=create)
        return TracedFile(self, file, os.stat(path).st_ino)

    def mkdir(self, path: str) -> None:
        """See FileSystem."""
        if not os.path.exists(path):
            self.trace.add(MKDIR, parent(path), os.path.basename(path))
        self._inner.mkdir(path)

    def rename(self, source: str, target: str) -> None:
        """See FileSystem."""
        kept = self.trace.keep(target) if os.path.exists(target) else ""
        self.trace.add(RENAME, parent(target), os.path.basename(source), os.path.basename(target), kept)
        self._inner.rename(source, target)

    def remove(self, path: str) -> None:
        """See FileSystem."""
        self.trace.add(REMOVE, parent(path), os.path.basename(path), self.trace.keep(path))
        self._inner.remove(path)

    def sync_dir(self, path: str) -> None:
        """See FileSystem."""
        self._inner.sync_dir(path)
        self.trace.add(SYNC_DIR, path)


@dataclass(slots=True)
class Cut:
    """What a power cut took."""

    files: int = 0
    """Files that had unsynced bytes."""

    bytes: int = 0
    """Unsynced bytes, whether they were lost or not."""

    names: int = 0
    """Changes of directories that were undone."""


@dataclass(slots=True)
class _Unsynced:
    """The trace, read: what no sync covers."""

    writes: dict[int, list[tuple[int, bytes, int]]] = field(default_factory=dict)
    names: dict[str, list[list[Any]]] = field(default_factory=dict)


def cut_power(trace_folder: pathlib.Path, data: pathlib.Path, rng: random.Random, losses: tuple[Loss, ...] = tuple(Loss)) -> Cut:
    """Takes from the files under `data` what was not synced, by the trace of the ended member, and begins the trace anew."""
    unsynced = _Unsynced()
    for _, (kind, *fields) in read_trace(trace_folder / "trace"):
        if kind == WRITE:
            unsynced.writes.setdefault(fields[0], []).append((fields[1], fields[2], fields[3]))
        elif kind == SYNC:
            unsynced.writes.pop(fields[0], None)
        elif kind == SYNC_DIR:
            unsynced.names.pop(fields[0], None)
        else:
            unsynced.names.setdefault(fields[0], []).append([kind, *fields[1:]])
    cut = Cut()
    paths = {file.stat().st_ino: file for root in (data, trace_folder / "kept") for file in root.rglob("*") if file.is_file()}
    for inode, writes in sorted(unsynced.writes.items()):
        if inode in paths:
            cut.files += 1
            cut.bytes += _lose_bytes(paths[inode], writes, rng, rng.choice(losses))
    # Inner directories first: an outer one may take them with it.
    for directory, changes in sorted(unsynced.names.items(), reverse=True):
        kept = 0 if Loss.TORN not in losses else rng.randint(0, len(changes))
        for change in reversed(changes[kept:]):
            cut.names += _undo(directory, *change)
    shutil.rmtree(trace_folder)
    return cut


def _lose_bytes(path: pathlib.Path, writes: list[tuple[int, bytes, int]], rng: random.Random, loss: Loss) -> int:
    """Makes a file what may be left of it; returns how many bytes were at stake."""
    latest = path.read_bytes()
    synced = bytearray(latest)
    low, high = len(latest), 0
    for offset, before, size in reversed(writes):
        # What the write changed, whether inside the old file or behind its end.
        low, high = min(low, offset, size), max(high, offset + len(before), len(synced))
        if len(synced) < offset + len(before):
            synced.extend(bytes(offset + len(before) - len(synced)))
        synced[offset : offset + len(before)] = before
        if size < len(synced):
            del synced[size:]
    left = bytearray(synced)
    if loss is Loss.TORN and low < high:
        at = rng.randint(low, high)
        # At or behind the end of a file that was cut short, the cut itself survived.
        left = bytearray(latest[:at]) + (synced[at:] if at < len(latest) else b"")
    elif loss is Loss.SECTORS and low < high:
        longer = rng.choice((latest, bytes(synced)))
        left = bytearray(longer)
        for start in range(low - low % SECTOR_BYTES, len(longer), SECTOR_BYTES):
            chosen = rng.choice((latest, synced))[start : start + SECTOR_BYTES]
            size = min(SECTOR_BYTES, len(longer) - start)
            left[start : start + size] = bytes(chosen).ljust(size, b"\0")[:size]
    path.write_bytes(left)
    return sum(a != b for a, b in zip(latest[low:high], bytes(synced)[low:high], strict=False)) + abs(len(latest) - len(synced))


def _undo(directory: str, kind: str, *names: str) -> bool:
    """Takes a change of a directory back; one that the kill came before was never made. False when there was nothing to do."""
    first = f"{directory}/{names[0]}"
    if not os.path.isdir(directory):
        return False
    if kind == CREATE:
        if not os.path.exists(first):
            return False
        os.unlink(first)
    elif kind == MKDIR:
        if not os.path.isdir(first):
            return False
        shutil.rmtree(first)
    elif kind == RENAME:
        target, kept = f"{directory}/{names[1]}", names[2]
        if os.path.exists(first):
            return False
        if os.path.exists(target):
            os.rename(target, first)
        if kept:
            os.rename(kept, target)
    else:
        if os.path.exists(first):
            return False
        os.rename(names[1], first)
    return True
