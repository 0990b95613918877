"""Files upon other files: what a layer that changes some calls need not say of the others.

For fault injection, tracing and simulation; a member on the machine's own files has none of it. A layer overrides what it changes and
calls `_inner` or `_file` itself.
"""

from __future__ import annotations

from raftkv.storage.fs import File, FileSystem, Lock


class LayeredFile:
    """Every call is the file's below."""

    __slots__ = ("_file",)

    def __init__(self, file: File) -> None:
        self._file = file

    def pread(self, size_bytes: int, offset: int) -> bytes:
        """See File."""
        return self._file.pread(size_bytes, offset)

    def pwrite(self, data: bytes, offset: int) -> None:
        """See File."""
        self._file.pwrite(data, offset)

    def datasync(self) -> None:
        """See File."""
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


class LayeredFileSystem:
    """Every call is the file system's below."""

    def __init__(self, inner: FileSystem) -> None:
        self._inner = inner

    def open(self, path: str, *, write: bool = False, create: bool = False) -> File:
        """See FileSystem."""
        return self._inner.open(path, write=write, create=create)

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
