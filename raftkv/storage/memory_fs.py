"""Files in memory that lose power on demand: for tests and the simulator.

Owns two images of each file and directory, what a reader sees and what would survive, and the rule by which a power cut
mixes them: of the writes not yet synced to a file, a prefix survives, the next one torn at any byte or with any of its
sectors missing, and later ones may have overtaken it; of the names not yet synced in a directory, a prefix of the
changes survives. Stricter than ext4: a new file's name needs its directory's sync even when the file was synced. All
randomness comes from the caller.
"""

from __future__ import annotations

import errno
import itertools
import random
from collections.abc import Callable

from raftkv.storage.fs import File, Lock, parent

SECTOR_BYTES = 512
"""A device writes one as a whole; of several it writes any first."""


class _Content:
    """One file's bytes. `pending` holds the writes and truncations since the last sync, in order."""

    __slots__ = ("data", "durable", "pending")

    def __init__(self) -> None:
        self.data = bytearray()
        self.durable = bytearray()
        self.pending: list[tuple[int, bytes] | int] = []

    def write(self, data: bytes, offset: int) -> None:
        _write(self.data, data, offset)
        self.pending.append((offset, data))

    def truncate(self, size_bytes: int) -> None:
        _truncate(self.data, size_bytes)
        self.pending.append(size_bytes)

    def sync(self) -> None:
        for change in self.pending:
            _apply(self.durable, change)
        self.pending.clear()

    def lose_pending(self) -> None:
        """A failed sync: readers go on seeing the writes, and no later sync will make them durable."""
        self.pending.clear()

    def lose_power(self, rng: random.Random) -> None:
        pending = self.pending
        kept = rng.randint(0, len(pending))
        for change in pending[:kept]:
            _apply(self.durable, change)
        if kept < len(pending):
            torn = pending[kept]
            if isinstance(torn, tuple):
                for offset, part in _torn(*torn, rng):
                    _write(self.durable, part, offset)
            for change in pending[kept + 1 :]:
                if isinstance(change, tuple) and rng.random() < 0.3:
                    _apply(self.durable, change)
        self.pending = []
        self.data = bytearray(self.durable)


def _torn(offset: int, data: bytes, rng: random.Random) -> list[tuple[int, bytes]]:
    """What is left of a write that the power cut met: a beginning of it, or some of the sectors it lies in."""
    if rng.random() < 0.5:
        return [(offset, data[: rng.randint(0, len(data))])]
    bounds = [0, *range(SECTOR_BYTES - offset % SECTOR_BYTES, len(data), SECTOR_BYTES), len(data)]
    return [(offset + low, data[low:high]) for low, high in itertools.pairwise(bounds) if rng.random() < 0.5]


class _Directory:
    """One directory's names."""

    __slots__ = ("durable", "names", "pending")

    def __init__(self) -> None:
        self.names: dict[str, _Content | _Directory] = {}
        self.durable: dict[str, _Content | _Directory] = {}
        self.pending: list[Callable[[dict[str, _Content | _Directory]], None]] = []

    def change(self, act: Callable[[dict[str, _Content | _Directory]], None]) -> None:
        act(self.names)
        self.pending.append(act)

    def sync(self) -> None:
        for act in self.pending:
            act(self.durable)
        self.pending.clear()

    def lose_power(self, rng: random.Random) -> None:
        for act in self.pending[: rng.randint(0, len(self.pending))]:
            act(self.durable)
        self.pending = []
        self.names = dict(self.durable)
        for child in self.names.values():
            child.lose_power(rng)


class MemoryFile:
    """A File on a MemoryFileSystem. Dead after the file system lost power."""

    __slots__ = ("_alive", "_content", "_fs", "_writable")

    def __init__(self, fs: MemoryFileSystem, content: _Content, *, writable: bool) -> None:
        self._fs = fs
        self._content = content
        self._alive: int | None = fs.power_cuts
        self._writable = writable

    def pread(self, size_bytes: int, offset: int) -> bytes:
        """See File."""
        return bytes(self._use().data[offset : offset + size_bytes])

    def pwrite(self, data: bytes, offset: int) -> None:
        """See File."""
        self._use(write=True).write(bytes(data), offset)

    def datasync(self) -> None:
        """See File."""
        content = self._use()
        if not self._fs.unsafe_no_sync:
            content.sync()

    def lose_pending(self) -> None:
        """What a failed sync does: the writes stay readable and are never durable."""
        self._use().lose_pending()

    def truncate(self, size_bytes: int) -> None:
        """See File."""
        self._use(write=True).truncate(size_bytes)

    def size(self) -> int:
        """See File."""
        return len(self._use().data)

    def close(self) -> None:
        """See File."""
        self._alive = None

    def _use(self, *, write: bool = False) -> _Content:
        if self._alive != self._fs.power_cuts or (write and not self._writable):
            raise OSError(errno.EBADF, "the file is closed, or open for reading only")
        return self._content


class _MemoryLock:
    __slots__ = ("_held", "_path", "_power_cuts", "_fs")

    def __init__(self, fs: MemoryFileSystem, held: set[str], path: str) -> None:
        self._fs, self._held, self._path, self._power_cuts = fs, held, path, fs.power_cuts

    def release(self) -> None:
        if self._power_cuts == self._fs.power_cuts:
            self._held.discard(self._path)
        self._power_cuts = -1


class MemoryFileSystem:
    """A tree in memory. `unsafe_no_sync` makes every sync return without doing anything: the test of the power-cut tests."""

    def __init__(self, *, unsafe_no_sync: bool = False) -> None:
        self.unsafe_no_sync = unsafe_no_sync
        self.power_cuts = 0
        self._root = _Directory()
        self._locks: set[str] = set()

    def lose_power(self, rng: random.Random) -> None:
        """Everything not synced is lost, kept or torn as rng decides; every open file and lock is gone."""
        self.power_cuts += 1
        self._locks.clear()
        self._root.lose_power(rng)

    def kill(self) -> None:
        """The process died and the machine did not: open files and locks are gone, all writes stay."""
        self.power_cuts += 1
        self._locks.clear()

    def open(self, path: str, *, write: bool = False, create: bool = False) -> File:
        """See FileSystem."""
        directory, name = self._locate(path)
        entry = directory.names.get(name)
        if isinstance(entry, _Directory):
            raise IsADirectoryError(errno.EISDIR, "is a directory", path)
        if entry is None:
            if not create:
                raise FileNotFoundError(errno.ENOENT, "no such file", path)
            made = entry = _Content()
            directory.change(lambda names: names.__setitem__(name, made))
        elif create:
            entry.truncate(0)
        return MemoryFile(self, entry, writable=write or create)

    def exists(self, path: str) -> bool:
        """See FileSystem."""
        try:
            directory, name = self._locate(path)
        except OSError:
            return False
        return not name or name in directory.names

    def size(self, path: str) -> int:
        """See FileSystem."""
        file = self.open(path)
        return file.size()

    def listdir(self, path: str) -> list[str]:
        """See FileSystem."""
        return sorted(self._directory(path).names)

    def mkdir(self, path: str) -> None:
        """See FileSystem."""
        directory, name = self._locate(path)
        entry = directory.names.get(name)
        if isinstance(entry, _Content):
            raise FileExistsError(errno.EEXIST, "is a file", path)
        if entry is None and name:
            made = _Directory()
            directory.change(lambda names: names.__setitem__(name, made))

    def rename(self, source: str, target: str) -> None:
        """See FileSystem."""
        assert parent(source) == parent(target), "a rename across directories would need two directory syncs"
        directory, old = self._locate(source)
        _, new = self._locate(target)
        self._require(directory, old, source)

        def act(names: dict[str, _Content | _Directory]) -> None:
            if old in names:
                names[new] = names.pop(old)

        directory.change(act)

    def remove(self, path: str) -> None:
        """See FileSystem."""
        directory, name = self._locate(path)
        self._require(directory, name, path)

        def act(names: dict[str, _Content | _Directory]) -> None:
            names.pop(name, None)

        directory.change(act)

    def sync_dir(self, path: str) -> None:
        """See FileSystem."""
        directory = self._directory(path)
        if not self.unsafe_no_sync:
            directory.sync()

    def lock(self, path: str) -> Lock | None:
        """See FileSystem."""
        if not self.exists(path):
            self.open(path, create=True).close()
        if path in self._locks:
            return None
        self._locks.add(path)
        return _MemoryLock(self, self._locks, path)

    def _require(self, directory: _Directory, name: str, path: str) -> None:
        if name not in directory.names:
            raise FileNotFoundError(errno.ENOENT, "no such file", path)

    def _locate(self, path: str) -> tuple[_Directory, str]:
        *above, name = [part for part in path.split("/") if part not in ("", ".")] or [""]
        directory = self._root
        for part in above:
            entry = directory.names.get(part)
            if not isinstance(entry, _Directory):
                raise FileNotFoundError(errno.ENOENT, "no such directory", path)
            directory = entry
        return directory, name

    def _directory(self, path: str) -> _Directory:
        directory, name = self._locate(path)
        entry = directory.names.get(name) if name else directory
        if not isinstance(entry, _Directory):
            raise FileNotFoundError(errno.ENOENT, "no such directory", path)
        return entry


def _write(image: bytearray, data: bytes, offset: int) -> None:
    if offset > len(image):
        image.extend(bytes(offset - len(image)))
    image[offset : offset + len(data)] = data


def _truncate(image: bytearray, size_bytes: int) -> None:
    if size_bytes <= len(image):
        del image[size_bytes:]
    else:
        image.extend(bytes(size_bytes - len(image)))


def _apply(image: bytearray, change: tuple[int, bytes] | int) -> None:
    if isinstance(change, int):
        _truncate(image, change)
    else:
        _write(image, change[1], change[0])
