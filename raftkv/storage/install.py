"""A received snapshot takes the place of the store, in steps that a crash may fall between (design §4 rule 8).

Owns the store's directory: which file is the store, which are on their way to be it, and what a restart makes of any
mixture of them and of the log. The steps, in order:

    SnapshotReceiver.finish()     the snapshot is whole and durable under its own name
    SnapshotInstall.build()       a store is made of it under a temporary name
    SnapshotInstall.ready()       it is renamed `db.ready-INDEX-TERM`, directory synced: verified and complete
    Wal.mark_snapshot(installed)  from here on a restart finishes the installation
    SnapshotInstall.replace()     renamed over the store, which nobody has open
    SnapshotInstall.settle()      directory synced: the log may be reset
    SnapshotInstall.clean()       the snapshot file goes

A crash before the mark leaves the old store in force and the leader sends the snapshot again. `build`, `ready`,
`replace`, `settle` and `clean` run on the store's thread.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from enum import Enum
from typing import NamedTuple

from raftkv.errors import CorruptionError
from raftkv.raft.messages import SnapshotMeta
from raftkv.storage.backend import Backend, BackendOpener, Reader
from raftkv.storage.fs import FileSystem
from raftkv.storage.recovery import ADVICE, Recovered
from raftkv.storage.snapshots import build_store, snapshot_name

STORE = "db"
BUILDING = "db.building"
_READY = re.compile(r"db\.ready-([0-9a-f]{16})-([0-9a-f]{16})")
_LEFTOVER = re.compile(r"db\.building.*|db\.rewrite|db\.ready-.*|[0-9a-f]{16}-[0-9a-f]{16}\.snap(\.tmp)?")


def ready_name(meta: SnapshotMeta) -> str:
    """File name of a complete store that waits to replace the old one."""
    return f"db.ready-{meta.index:016x}-{meta.term:016x}"


class Marked(Enum):
    """The newest snapshot mark of the log."""

    NONE = "no snapshot mark"
    OWN = "the mark of an own snapshot"
    INSTALLED = "the mark of a snapshot received from the leader"


class Stands(Enum):
    """Where the store stands against the log. A missing store counts as one at entry 0."""

    BEHIND = "below the mark"
    WITHIN = "between the mark and the log's end"
    AHEAD = "above the log's end"
    DIVERGED = "at an entry whose term in the log is another"


class Restart(Enum):
    """What a start does."""

    OPEN = "open the store"
    FINISH = "rename the ready store over it, then open"
    REFUSE_LOST = "refuse: the state up to the mark is nowhere"
    REFUSE_LOG_SHORT = "refuse: the log lost entries that the store has applied"
    REFUSE_DIVERGED = "refuse: log and store are not of one history"


def judge_store(marked: Marked, stands: Stands, *, ready: bool) -> Restart:
    """The decision table of a start. `ready`: a complete store for exactly the newest mark waits under its own name."""
    match stands:
        case Stands.AHEAD:
            return Restart.REFUSE_LOG_SHORT
        case Stands.DIVERGED:
            return Restart.REFUSE_DIVERGED
        case Stands.WITHIN:
            return Restart.OPEN
        case Stands.BEHIND:
            # An own snapshot is marked when the store is durable there: a store behind it was damaged or swapped, and a
            # ready store beside it is not the one that was lost.
            return Restart.FINISH if marked is Marked.INSTALLED and ready else Restart.REFUSE_LOST


class Applied(NamedTuple):
    """Where a store stands: index and term of the last entry applied to it."""

    index: int  # type: ignore[assignment]  # hides tuple.index, which nobody calls
    term: int


class SnapshotInstall:
    """The steps for one snapshot, each to be called once, in order. See the module."""

    def __init__(self, fs: FileSystem, opener: BackendOpener, directory: str, meta: SnapshotMeta) -> None:
        self._fs = fs
        self._opener = opener
        self._directory = directory
        self._ready = f"{directory}/{ready_name(meta)}"
        self._snapshot = f"{directory}/{snapshot_name(meta)}"

    def build(self) -> None:
        """Makes the new store under a temporary name. Raises CorruptionError, OSError."""
        build_store(self._fs, self._opener, self._snapshot, f"{self._directory}/{BUILDING}")

    def ready(self) -> None:
        """Gives the new store the name that says it is complete; durable."""
        _rename_store(self._fs, self._opener, f"{self._directory}/{BUILDING}", self._ready)
        self._fs.sync_dir(self._directory)

    def replace(self) -> None:
        """Puts the new store in the place of the old one, which must be closed. Only after the log's mark is durable."""
        _rename_store(self._fs, self._opener, self._ready, f"{self._directory}/{STORE}")

    def settle(self) -> None:
        """Makes the replacement durable."""
        self._fs.sync_dir(self._directory)

    def discard(self) -> None:
        """Removes the new store and the snapshot file: consensus did not take the snapshot. Instead of `replace`."""
        for path in (*self._opener.side_files(self._ready), self._ready):
            if self._fs.exists(path):
                self._fs.remove(path)
        self.clean()

    def clean(self) -> None:
        """Removes the snapshot file."""
        if self._fs.exists(self._snapshot):
            self._fs.remove(self._snapshot)


def open_store(
    fs: FileSystem, opener: BackendOpener, directory: str, log: Recovered | None, applied: Callable[[Reader], Applied]
) -> Backend:
    """Opens the store of a member that starts, finishing an installation that a crash interrupted.

    log: what recovery found, or None for a member whose log is still to be created. applied: reads where a store stands;
    (0, 0) for a new one. The directory is made if missing. Raises CorruptionError naming the files, ConfigError, OSError.
    """
    fs.mkdir(directory)
    store = f"{directory}/{STORE}"
    backend = opener.open(store) if fs.exists(store) else None
    at = Applied(0, 0) if backend is None else _read(backend, applied)
    try:
        decision = Restart.OPEN if log is None and at.index == 0 else _decide(fs, directory, log, at)
        if decision not in (Restart.OPEN, Restart.FINISH):
            raise CorruptionError(_refusal(decision, directory, log, at))
    except BaseException:
        if backend is not None:
            backend.close()
        raise
    if decision is Restart.FINISH:
        if backend is not None:
            backend.close()
            backend = None
        assert log is not None and log.snapshot is not None
        install = SnapshotInstall(fs, opener, directory, log.snapshot)
        install.replace()
        install.settle()
    for name in fs.listdir(directory):
        if _LEFTOVER.fullmatch(name):
            fs.remove(f"{directory}/{name}")
    backend = opener.open(store) if backend is None else backend
    fs.sync_dir(directory)
    if decision is Restart.FINISH:
        at = _read(backend, applied)
        assert log is not None and log.snapshot is not None
        if at != (log.snapshot.index, log.snapshot.term):
            backend.close()
            raise CorruptionError(f"{store} holds the state at {at}, the log marks a snapshot at {log.snapshot}. {ADVICE}")
    return backend


def place_first_store(fs: FileSystem, opener: BackendOpener, directory: str) -> None:
    """Gives the store made under the temporary name its own: of a member that never had one. Durable."""
    _rename_store(fs, opener, f"{directory}/{BUILDING}", f"{directory}/{STORE}")
    fs.sync_dir(directory)


def _decide(fs: FileSystem, directory: str, log: Recovered | None, at: Applied) -> Restart:
    if log is None:
        return Restart.REFUSE_LOG_SHORT
    snapshot = log.snapshot
    if snapshot is None:
        marked, ready = Marked.NONE, False
    else:
        marked = Marked.INSTALLED if log.installed else Marked.OWN
        ready = fs.exists(f"{directory}/{ready_name(snapshot)}")
    return judge_store(marked, _standing(log, at), ready=ready)


def _standing(log: Recovered, at: Applied) -> Stands:
    snapshot_index = 0 if log.snapshot is None else log.snapshot.index
    if at.index < snapshot_index:
        return Stands.BEHIND
    if at.index > log.last_index:
        return Stands.AHEAD
    if log.snapshot is not None and at.index == snapshot_index:
        return Stands.WITHIN if at.term == log.snapshot.term else Stands.DIVERGED
    if at.index and log.terms.first <= at.index and log.terms.term(at.index) != at.term:
        return Stands.DIVERGED
    return Stands.WITHIN


def _refusal(decision: Restart, directory: str, log: Recovered | None, at: Applied) -> str:
    store = f"{directory}/{STORE}"
    if log is None:
        return f"{store} has applied entry {at.index}, but there is no log. {ADVICE}"
    where = f"the log {log.wal.describe()}"
    if decision is Restart.REFUSE_LOST:
        assert log.snapshot is not None
        return (
            f"the log marks a snapshot at entry {log.snapshot.index}, but {store} stands at entry {at.index} and "
            f"{directory}/{ready_name(log.snapshot)} is not there to replace it; {where}. {ADVICE}"
        )
    if decision is Restart.REFUSE_LOG_SHORT:
        return f"{store} has applied entry {at.index}, but the log ends at entry {log.last_index}; {where}. {ADVICE}"
    return f"{store} has applied entry {at.index} of term {at.term}, but the log has another term there; {where}. {ADVICE}"


def _read(backend: Backend, applied: Callable[[Reader], Applied]) -> Applied:
    reader = backend.reader()
    try:
        return applied(reader)
    finally:
        reader.close()


def _rename_store(fs: FileSystem, opener: BackendOpener, source: str, target: str) -> None:
    for path in (*opener.side_files(source), *opener.side_files(target)):
        if fs.exists(path):
            fs.remove(path)
    fs.rename(source, target)
