"""Files that are slow, full or broken when the harness says so: between a member and its log, on real files.

The store writes its own file and is not touched: what a member acknowledges depends on the log alone.
"""

from __future__ import annotations

import errno
import os
import time

from jepsen_like.cluster.instrumented.levers import NO_LIMIT, Levers
from raftkv.storage.fs import File, FileSystem
from raftkv.storage.layered_fs import LayeredFile, LayeredFileSystem


class LeveredFile(LayeredFile):
    """See File."""

    __slots__ = ("_levers", "_path")

    def __init__(self, levers: Levers, file: File, path: str) -> None:
        super().__init__(file)
        self._levers, self._path = levers, path

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


class LeveredFileSystem(LayeredFileSystem):
    """See FileSystem."""

    def __init__(self, levers: Levers, inner: FileSystem) -> None:
        super().__init__(inner)
        self._levers = levers

    def open(self, path: str, *, write: bool = False, create: bool = False) -> File:
        """See FileSystem."""
        return LeveredFile(self._levers, self._inner.open(path, write=write, create=create), path)
