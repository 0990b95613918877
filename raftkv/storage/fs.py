"""SEAM: files, as the log, the snapshots and the data directory use them.

Owns the promise of each call: what is durable when it returns, and what is not. Implementations: `OsFileSystem` here,
`MemoryFileSystem` (`memory_fs.py`, loses power on demand) and `FaultyFileSystem` (`faulty_fs.py`, fails at the n-th
call); one conformance suite. Paths are plain strings joined with "/". Failures are OSError and nothing else. Calls may
block: the loop makes them at start and for reads of old entries only.
"""

from __future__ import annotations

import errno
import fcntl
import os
from collections.abc import Sequence
from typing import Protocol

DIRECTORY_MODE = 0o700
FILE_MODE = 0o600


class File(Protocol):
    """An open file. One thread writes; others may hold their own File on the same path to read."""

    def pread(self, size_bytes: int, offset: int) -> bytes:
        """Fewer bytes than asked only at the end of the file."""

    def pwrite(self, data: bytes, offset: int) -> None:
        """Writes all of it or raises; after a raise any part may have been written."""

    def datasync(self) -> None:
        """Content and length are durable when it returns. After a raise nothing unsynced may be trusted, ever."""

    def truncate(self, size_bytes: int) -> None:
        """Cuts, or extends with zeros."""

    def size(self) -> int:
        """Bytes."""

    def close(self) -> None:
        """Idempotent; syncs nothing."""


class Lock(Protocol):
    """A held lock; the operating system drops it with the process."""

    def release(self) -> None:
        """Idempotent."""


class FileSystem(Protocol):
    """A tree of directories. A create, rename or remove is durable after `sync_dir` of its directory, not before."""

    def open(self, path: str, *, write: bool = False, create: bool = False) -> File:
        """Opens the file; `create` makes it (mode 0600) and empties an existing one."""

    def exists(self, path: str) -> bool:
        """Of a file or directory."""

    def size(self, path: str) -> int:
        """Bytes of a file."""

    def listdir(self, path: str) -> list[str]:
        """Names, sorted."""

    def mkdir(self, path: str) -> None:
        """One directory (mode 0700); its parent must exist, an existing one is left as it is."""

    def rename(self, source: str, target: str) -> None:
        """Atomic; replaces an existing target. Both must be in one directory."""

    def remove(self, path: str) -> None:
        """A file."""

    def sync_dir(self, path: str) -> None:
        """The directory's names are durable when it returns."""

    def lock(self, path: str) -> Lock | None:
        """Takes the exclusive lock on the file, made if missing; None when somebody else holds it. Never waits."""


def parent(path: str) -> str:
    """The directory a path is in."""
    return path.rpartition("/")[0] or ("/" if path.startswith("/") else ".")


class OsFile:
    """A file of the operating system. Errors of writing and syncing name its path: they end the member, and somebody has to mend it."""

    __slots__ = ("_fd", "_path", "_sync")

    def __init__(self, fd: int, path: str, *, sync: bool) -> None:
        self._fd = fd
        self._path = path
        self._sync = sync

    def pread(self, size_bytes: int, offset: int) -> bytes:
        """See File."""
        data = os.pread(self._fd, size_bytes, offset)
        if len(data) == size_bytes or not data:
            return data
        parts = [data]
        got = len(data)
        # Linux cuts one read at 2 GiB and may cut it when a signal comes in.
        while got < size_bytes and (data := os.pread(self._fd, size_bytes - got, offset + got)):
            parts.append(data)
            got += len(data)
        return b"".join(parts)

    def pwrite(self, data: bytes, offset: int) -> None:
        """See File."""
        try:
            written = os.pwrite(self._fd, data, offset)
            if written == len(data):
                return
            rest = memoryview(data)[written:]
            while rest:
                offset += written
                written = os.pwrite(self._fd, rest, offset)
                if written == 0:
                    raise OSError(errno.ENOSPC, "the file took no more bytes")
                rest = rest[written:]
        except OSError as error:
            error.filename = self._path
            raise

    def datasync(self) -> None:
        """See File."""
        if not self._sync:
            return
        try:
            _datasync(self._fd)
        except OSError as error:
            error.filename = self._path
            raise

    def truncate(self, size_bytes: int) -> None:
        """See File."""
        try:
            os.ftruncate(self._fd, size_bytes)
        except OSError as error:
            error.filename = self._path
            raise

    def size(self) -> int:
        """See File."""
        return os.fstat(self._fd).st_size

    def close(self) -> None:
        """See File."""
        if self._fd >= 0:
            fd, self._fd = self._fd, -1
            os.close(fd)


class OsLock:
    """flock on an open file."""

    __slots__ = ("_fd",)

    def __init__(self, fd: int) -> None:
        self._fd = fd

    def release(self) -> None:
        """See Lock."""
        if self._fd >= 0:
            fd, self._fd = self._fd, -1
            os.close(fd)


class OsFileSystem:
    """The machine's files. With `unsafe_no_sync` nothing is ever durable on purpose: for `--unsafe-no-fsync`."""

    def __init__(self, *, unsafe_no_sync: bool = False) -> None:
        self._sync = not unsafe_no_sync

    def open(self, path: str, *, write: bool = False, create: bool = False) -> File:
        """See FileSystem."""
        flags = os.O_CLOEXEC | (os.O_RDWR if write or create else os.O_RDONLY)
        if create:
            flags |= os.O_CREAT | os.O_TRUNC
        return OsFile(os.open(path, flags, FILE_MODE), path, sync=self._sync)

    def exists(self, path: str) -> bool:
        """See FileSystem."""
        return os.path.lexists(path)

    def size(self, path: str) -> int:
        """See FileSystem."""
        return os.stat(path).st_size

    def listdir(self, path: str) -> list[str]:
        """See FileSystem."""
        return sorted(os.listdir(path))

    def mkdir(self, path: str) -> None:
        """See FileSystem."""
        try:
            os.mkdir(path, DIRECTORY_MODE)
        except FileExistsError:
            if not os.path.isdir(path):
                raise

    def rename(self, source: str, target: str) -> None:
        """See FileSystem."""
        assert parent(source) == parent(target), "a rename across directories would need two directory syncs"
        os.replace(source, target)

    def remove(self, path: str) -> None:
        """See FileSystem."""
        os.unlink(path)

    def sync_dir(self, path: str) -> None:
        """See FileSystem."""
        if not self._sync:
            return
        fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(fd)
        finally:
            os.close(fd)

    def lock(self, path: str) -> Lock | None:
        """See FileSystem."""
        fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, FILE_MODE)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as exc:
            os.close(fd)
            if exc.errno in (errno.EWOULDBLOCK, errno.EACCES):
                return None
            raise
        return OsLock(fd)


def read_all(fs: FileSystem, path: str) -> bytes:
    """The whole file."""
    file = fs.open(path)
    try:
        return file.pread(file.size(), 0)
    finally:
        file.close()


def write_durably(fs: FileSystem, path: str, parts: Sequence[bytes]) -> None:
    """Makes or replaces a file so that a crash leaves the old content or the new, and the new once this returns (rule 9)."""
    temporary = path + ".tmp"
    file = fs.open(temporary, create=True)
    try:
        file.pwrite(b"".join(parts), 0)
        file.datasync()
    finally:
        file.close()
    fs.rename(temporary, path)
    fs.sync_dir(parent(path))


def _full_sync(fd: int) -> None:
    # macOS: fsync leaves the data in the drive's cache, F_FULLFSYNC does not; there is no fdatasync.
    fcntl.fcntl(fd, fcntl.F_FULLFSYNC)  # type: ignore[attr-defined,unused-ignore]


_datasync = _full_sync if hasattr(fcntl, "F_FULLFSYNC") else os.fdatasync
"""fdatasync also makes the length durable, which a read needs (fdatasync(2))."""
