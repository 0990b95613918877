"""A member's data directory: what is where, who may use it, and which version wrote it.

    DATA/member/lock      held while a member runs (flock)
    DATA/member/format    the stamp: a version that does not know it refuses to start
    DATA/member/wal/      the write-ahead log, unless --wal-dir puts it elsewhere
    DATA/member/snap/     the store `db`, and snapshots on their way to be it (install.py)

Owns these names, the lock and the stamp (design §4 rule 10). Runs before the loop does.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from raftkv.errors import ConfigError
from raftkv.storage.fs import FileSystem, Lock, parent, read_all, write_durably

STAMP = b"raftkv data 1\n"
"""Raise the number when an older version could not open what a newer one wrote."""

_STAMP_PREFIX = b"raftkv data "


class DataDir:
    """An open, locked data directory."""

    def __init__(self, path: str, wal_path: str, lock: Lock) -> None:
        self.path = path
        self.wal = wal_path
        self.store = f"{path}/member/snap"
        self._lock = lock

    @classmethod
    def open(cls, fs: FileSystem, path: str, *, wal_dir: str = "", on_wait: Callable[[str], None]) -> DataDir:
        """Makes the directory where it is missing, locks it and checks its stamp.

        on_wait is called with a message each time the lock is found taken; it sleeps, and raises to give up (etcd waits
        for ever). Raises ConfigError for a directory that holds something else or another format, or that cannot be made or used.
        """
        path = path.rstrip("/") or "/"
        member = f"{path}/member"
        with _reachable():
            _refuse_strangers(fs, path, member)
            for directory in (*_missing_above(fs, path), path, member):
                fs.mkdir(directory)
                fs.sync_dir(parent(directory))
            lock = fs.lock(f"{member}/lock")
        while lock is None:
            on_wait(f"the data directory {path} is locked by another process; waiting for it to stop")
            lock = fs.lock(f"{member}/lock")
        try:
            with _reachable():
                _check_stamp(fs, f"{member}/format")
                fs.mkdir(f"{member}/snap")
                if wal_dir:
                    for directory in (*_missing_above(fs, wal_dir), wal_dir):
                        fs.mkdir(directory)
                        fs.sync_dir(parent(directory))
                fs.sync_dir(member)
        except BaseException:
            lock.release()
            raise
        return cls(path, wal_dir.rstrip("/") or f"{member}/wal", lock)

    def close(self) -> None:
        """Releases the lock. Idempotent."""
        self._lock.release()


@contextmanager
def _reachable() -> Iterator[None]:
    """Gives what the system says of a directory etcd's words. Raises ConfigError."""
    try:
        yield
    except OSError as error:
        reason = "not a directory" if isinstance(error, FileExistsError) else (error.strerror or str(error)).lower()
        where = f"{error.filename}: " if error.filename else ""
        raise ConfigError(f"cannot access data directory: {where}{reason}") from error


def _refuse_strangers(fs: FileSystem, path: str, member: str) -> None:
    if not fs.exists(member) or fs.exists(f"{member}/format"):
        return
    # The lock file may be all that a first start got to make.
    strangers = [name for name in fs.listdir(member) if name not in ("lock", "format.tmp")]
    if strangers:
        raise ConfigError(
            f"the data directory {path} was not made by raftkv (member/ holds {', '.join(strangers)}); an etcd member's data cannot be "
            "opened; give --data-dir an empty or a new directory"
        )


def _check_stamp(fs: FileSystem, path: str) -> None:
    stamp = read_all(fs, path) if fs.exists(path) else b""
    if not stamp:
        write_durably(fs, path, [STAMP])
    elif stamp != STAMP:
        known = STAMP.decode().strip()
        said = stamp[:60].decode("utf-8", "replace").strip() if stamp.startswith(_STAMP_PREFIX) else "unreadable"
        raise ConfigError(f"{path} says {said!r}, this version reads {known!r}; start it with the version that wrote it")


def _missing_above(fs: FileSystem, path: str) -> list[str]:
    """Directories above path that do not exist, outermost first."""
    missing: list[str] = []
    above = parent(path)
    while above not in ("/", ".") and not fs.exists(above):
        missing.append(above)
        above = parent(above)
    return missing[::-1]
