"""Files that are slow, full or broken when the harness says so: between a member and its log, on real files.

The store writes its own file and is not touched: what a member acknowledges depends on the log alone.
"""

from __future__ import annotations

import errno
import os
import time

from jepsen_like.cluster.instrumented.levers import NO_LIMIT, Levers
from raftkv.storage.fs import File, FileSystem, Lock


class LeveredFile:
    """See File."""

    __slots__ = ("_file", "_levers", "_path")

    def __init__(self, levers: Levers, file: File, path: str) -> None:
        self._levers, self._file, self._path = levers, file, path

    def pread(self, size_bytes: int, offset: int) -> bytes:
        """See File."""
        return self._file.pread(size_bytes, offset)

    def pwrite(self, data: bytes, offset: int) -> None:
        """See File; of a write that does not fit, what fits is written first, as a real disk does."""
        levers = self._levers
        until, written = levers.get("bytes_until"), levers.get("bytes_written")
        if until != NO_LIMIT and written + len(data) > until:
            room = max(0, int(until - written))
            self._file.pwrite(data[:room], offset)
            levers.add("bytes_written", room)
            levers.add("writes_refused")
            levers.put("short_bytes", room)
            raise OSError(errno.ENOSPC, f"{os.strerror(errno.ENOSPC)} (injected)", self._path)
        self._file.pwrite(data, offset)
        levers.add("bytes_written", len(data))

    def datasync(self) -> None:
        """See File; a failed one syncs nothing, and no later one makes up for it."""
        levers = self._levers
        levers.add("syncs")
        if delay_s := levers.get("sync_delay_s"):
            time.sleep(delay_s)
            levers.add("syncs_delayed")
        if levers.get("sync_fails"):
            levers.add("syncs_failed")
            raise OSError(errno.EIO, f"{os.strerror(errno.EIO)} (injected)", self._path)
        self._file.datasync()

    def truncate(self, size_bytes: int) -> None:
        """See File."""
        self._file.truncate(size_bytes)

    def size(self) -> int:
        """See File."""
        return self._file.size()

    def close(self) -> None:
        """See File."""
        self._file.close()


class LeveredFileSystem:
    """See FileSystem."""

    def __init__(self, levers: Levers, inner: FileSystem) -> None:
        self._levers, self._inner = levers, inner

    def open(self, path: str, *, write: bool = False, create: bool = False) -> File:
        """See FileSystem."""
        return LeveredFile(self._levers, self._inner.open(path, write=write, create=create), path)

    def exists(self, path: str) -> bool:
        """See FileSystem."""
        return self._inner.exists(path)

    def size(self, path: str) -> int:
        """See FileSystem."""
        return self._inner.size(path)

    def listdir(self, path: str) -> list[str]:
        """See FileSystem."""
        return self._inner.listdir(path)

    def mkdir(self, path: str) -> None:
        """See FileSystem."""
        self._inner.mkdir(path)

    def rename(self, source: str, target: str) -> None:
        """See FileSystem."""
        self._inner.rename(source, target)

    def remove(self, path: str) -> None:
        """See FileSystem."""
        self._inner.remove(path)

    def sync_dir(self, path: str) -> None:
        """See FileSystem."""
        self._inner.sync_dir(path)

    def lock(self, path: str) -> Lock | None:
        """See FileSystem."""
        return self._inner.lock(path)
