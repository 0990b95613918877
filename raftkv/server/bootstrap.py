"""Opening a member's data directory: a first start, or one more.

What a first start leaves behind is the same on every member: a store whose applied state stands at index 1 with the
initial members in it, and a log that begins with the snapshot mark of that index. So the log of a member that was never
started, or lost its disk, ends at index 1 or below, and whoever joins later needs a snapshot to get beyond it.
Runs before the loop serves; blocks.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, field

from raftkv.errors import ConfigError, CorruptionError
from raftkv.mvcc.store import Store
from raftkv.raft.messages import ConfState, HardState, SnapshotMeta
from raftkv.server.hello import BOOTSTRAP_INDEX
from raftkv.server.settings import MemberSettings
from raftkv.state.apply import StateMachine
from raftkv.state.membership import Member, cluster_id, initial_changes, initial_members
from raftkv.storage.backend import Backend
from raftkv.storage.buffer import BufferedTables
from raftkv.storage.datadir import DataDir
from raftkv.storage.fs import FileSystem
from raftkv.storage.raft_storage import RaftStorage
from raftkv.storage.record import WalMetadata
from raftkv.storage.recovery import Recovered, open_log
from raftkv.storage.snapshots import BackendOpener, settle_store
from raftkv.storage.wal import Wal, WalSettings

log = logging.getLogger("raftkv.server")

BOOTSTRAP_TERM = 1


@dataclass(frozen=True, slots=True)
class Platform:
    """Files and the kind of store a member stands on."""

    fs: FileSystem
    opener: BackendOpener


@dataclass(frozen=True, slots=True)
class Founders:
    """The cluster as it was formed, or as a running one says it is."""

    cluster_id: int
    members: tuple[Member, ...]
    joining: bool
    """True when a running cluster expects this member: it begins empty and is sent a snapshot."""


@dataclass(slots=True)
class StateParts:
    """An opened store and what stands on it."""

    backend: Backend
    tables: BufferedTables
    store: Store
    machine: StateMachine


@dataclass(slots=True)
class Booted:
    """An opened data directory. `close` releases it."""

    member_id: int
    cluster_id: int
    wal: Wal
    raft_storage: RaftStorage
    state: StateParts
    platform: Platform
    directory: DataDir
    fresh: bool
    flush: Callable[[], None] = field(default=lambda: None)

    def close(self) -> None:
        """Closes log and store and unlocks the directory. Both workers have ended."""
        self.wal.close()
        self.state.tables.close()
        self.state.backend.close()
        self.directory.close()


def open_state(platform: Platform, path: str) -> StateParts:
    """Opens the store at a path and everything that is rebuilt from it. Raises CorruptionError, OSError."""
    backend = platform.opener.open(path)
    tables = BufferedTables(backend)
    store = Store(tables, on_progress=lambda count: log.info("reading the store", extra={"fields": {"records": count}}))
    return StateParts(backend, tables, store, StateMachine(tables, store))


def founders_of(settings: MemberSettings) -> Founders:
    """The cluster the settings describe."""
    members = initial_members(settings.initial_cluster, settings.initial_cluster_token)
    return Founders(cluster_id(member.id for member in members), members, joining=False)


def own_member(settings: MemberSettings, founders: Founders) -> Member:
    """This member among the founders. Raises ConfigError."""
    own = set(settings.initial_advertise_peer_urls)
    for member in founders.members:
        if own == set(member.peer_urls):
            return member
    raise ConfigError(f'couldn\'t find local name "{settings.name}" in the initial cluster configuration')


def boot(
    settings: MemberSettings,
    platform: Platform,
    founders: Founders | None,
    *,
    now_s: Callable[[], float],
    observe_fsync_s: Callable[[float], None] | None = None,
) -> Booted:
    """Opens the data directory, making it first when there is none. `founders` is needed only then.

    Raises ConfigError, CorruptionError, OSError.
    """
    directory = DataDir.open(platform.fs, settings.data_dir, wal_dir=settings.wal_dir)
    try:
        return _boot(settings, platform, founders, directory, WalSettings(settings.wal_segment_bytes, now_s=now_s, on_sync=observe_fsync_s))
    except BaseException:
        directory.close()
        raise


def _boot(settings: MemberSettings, platform: Platform, founders: Founders | None, directory: DataDir, wal_settings: WalSettings) -> Booted:
    fs = platform.fs
    fresh = not Wal.exists(fs, directory.wal_path)
    if fresh:
        assert founders is not None, "a first start needs the cluster's members"
        _make_store(platform, directory, founders)
        metadata = WalMetadata(founders.cluster_id, own_member(settings, founders).id)
        Wal.create(fs, directory.wal_path, metadata, wal_settings).close()
    recovered = open_log(fs, directory.wal_path, wal_settings)
    if recovered.torn_tail is not None:
        log.warning("cut off a torn tail of the log", extra={"fields": recovered.torn_tail._asdict()})
    settle_store(fs, platform.opener, directory, recovered)
    state = open_state(platform, directory.store_path)
    try:
        recovered = _mark_founding(fs, directory, wal_settings, recovered, state)
        _check(recovered, state)
    except BaseException:
        recovered.wal.close()
        state.tables.close()
        state.backend.close()
        raise
    conf = state.machine.conf_state()
    storage = RaftStorage(recovered, conf_state=ConfState(*conf) if conf is not None else ConfState())
    log.info(
        "opened the data directory",
        extra={
            "fields": {
                "data-dir": settings.data_dir,
                "local-member-id": f"{recovered.metadata.member_id:x}",
                "cluster-id": f"{recovered.metadata.cluster_id:x}",
                "applied-index": state.machine.applied_index,
                "last-index": recovered.last_index,
                "revision": state.store.revision,
            }
        },
    )
    metadata = recovered.metadata
    return Booted(metadata.member_id, metadata.cluster_id, recovered.wal, storage, state, platform, directory, fresh)


def _make_store(platform: Platform, directory: DataDir, founders: Founders) -> None:
    """The state at the bootstrap index; an attempt that was cut short before the log existed is made anew."""
    directory.remove_store(platform.opener)
    parts = open_state(platform, directory.store_path)
    try:
        if not founders.joining:
            machine = parts.machine
            for change in initial_changes(founders.members):
                machine.members.apply(change)
            machine.save_conf_state(_founding_conf(founders.members))
            machine.note_applied(BOOTSTRAP_INDEX, BOOTSTRAP_TERM)
            parts.backend.commit(parts.tables.seal())
    finally:
        parts.tables.close()
        parts.backend.close()
    platform.fs.sync_dir(directory.store_dir)


def _founding_conf(members: tuple[Member, ...]) -> ConfState:
    return ConfState(voters=tuple(sorted(member.id for member in members)))


def _mark_founding(fs: FileSystem, directory: DataDir, settings: WalSettings, recovered: Recovered, state: StateParts) -> Recovered:
    """The log of a formed cluster begins with the bootstrap index's mark; a start that was cut short writes it now."""
    if recovered.snapshot is not None or recovered.last_index > 0 or state.machine.applied_index != BOOTSTRAP_INDEX:
        return recovered
    conf = state.machine.conf_state()
    assert conf is not None, "the founding state has a configuration"
    meta = SnapshotMeta(BOOTSTRAP_INDEX, BOOTSTRAP_TERM, ConfState(*conf))
    term = max(recovered.hard_state.term, BOOTSTRAP_TERM)
    recovered.wal.mark_snapshot(meta, hard_state=HardState(term, recovered.hard_state.vote, BOOTSTRAP_INDEX), installed=True)
    recovered.wal.close()
    return open_log(fs, directory.wal_path, settings)


def _check(recovered: Recovered, state: StateParts) -> None:
    """The store may lag the log and never lead it (design §4 rule 5)."""
    applied = state.machine.applied_index
    if applied > recovered.last_index:
        raise CorruptionError(
            f"the store has applied entry {applied}, but the log ends at entry {recovered.last_index}: log and store are not of one "
            "member, or the log lost its end. Restore both from one backup, or remove this member and add it again"
        )
    if applied + 1 < recovered.first_index:
        raise CorruptionError(
            f"database file of the backend (applied index {applied}) does not match with the log, which begins at entry "
            f"{recovered.first_index}: restore both from one backup, or remove this member and add it again"
        )
