"""A file system that fails on demand: for tests and the simulator.

Owns the count of calls and which of them fail with which error; everything else is the wrapped file system's. A failed
write may leave a part of itself behind, and a failed sync leaves writes that no later sync makes durable, as the
kernel does.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Iterable
from typing import NamedTuple, TypeVar

from raftkv.storage.fs import File, FileSystem
from raftkv.storage.layered_fs import LayeredFile, LayeredFileSystem
from raftkv.storage.memory_fs import MemoryFile

T = TypeVar("T")

MUTATIONS = frozenset({"open", "pwrite", "datasync", "truncate", "mkdir", "rename", "remove", "sync_dir"})
"""Operations that count; reads never fail here."""


class Fault(NamedTuple):
    """The `call`-th counted call (from 1) fails with `error`; of a write, `short_bytes` land first."""

    call: int
    error: int = errno.EIO
    short_bytes: int = 0


class FaultyFileSystem(LayeredFileSystem):
    """Counts calls of `operations` and fails those that a Fault names. `log` lists the counted calls made so far."""

    def __init__(self, inner: FileSystem, faults: Iterable[Fault] = (), *, operations: Iterable[str] = MUTATIONS) -> None:
        super().__init__(inner)
        self._operations = frozenset(operations)
        self.faults = {fault.call: fault for fault in faults}
        self.log: list[tuple[str, str]] = []

    def count(self, operation: str, path: str) -> Fault | None:
        """Counts a call; the fault it must fail with, if any."""
        if operation not in self._operations:
            return None
        self.log.append((operation, path))
        return self.faults.get(len(self.log))

    def open(self, path: str, *, write: bool = False, create: bool = False) -> File:
        """See FileSystem; counted only when it creates."""
        if create:
            self._check("open", path)
        return _FaultyFile(self, self._inner.open(path, write=write, create=create), path)

    def mkdir(self, path: str) -> None:
        """See FileSystem."""
        self._run("mkdir", path, lambda: self._inner.mkdir(path))

    def rename(self, source: str, target: str) -> None:
        """See FileSystem."""
        self._run("rename", source, lambda: self._inner.rename(source, target))

    def remove(self, path: str) -> None:
        """See FileSystem."""
        self._run("remove", path, lambda: self._inner.remove(path))

    def sync_dir(self, path: str) -> None:
        """See FileSystem."""
        self._run("sync_dir", path, lambda: self._inner.sync_dir(path))

    def _check(self, operation: str, path: str) -> None:
        fault = self.count(operation, path)
        if fault is not None:
            raise injected(fault, path)

    def _run(self, operation: str, path: str, act: Callable[[], T]) -> T:
        self._check(operation, path)
        return act()


class _FaultyFile(LayeredFile):
    __slots__ = ("_fs", "_path")

    def __init__(self, fs: FaultyFileSystem, file: File, path: str) -> None:
        super().__init__(file)
        self._fs, self._path = fs, path

    def pwrite(self, data: bytes, offset: int) -> None:
        fault = self._fs.count("pwrite", self._path)
        if fault is not None:
            self._file.pwrite(data[: fault.short_bytes], offset)
            raise injected(fault, self._path)
        self._file.pwrite(data, offset)

    def datasync(self) -> None:
        fault = self._fs.count("datasync", self._path)
        if fault is not None:
            if isinstance(self._file, MemoryFile):
                self._file.lose_pending()
            raise injected(fault, self._path)
        self._file.datasync()

    def truncate(self, size_bytes: int) -> None:
        fault = self._fs.count("truncate", self._path)
        if fault is not None:
            raise injected(fault, self._path)
        self._file.truncate(size_bytes)


def injected(fault: Fault, path: str) -> OSError:
    """The error a fault stands for."""
    return OSError(fault.error, f"{os.strerror(fault.error)} (injected)", path)
