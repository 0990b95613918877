"""Opening a member's data directory: a first start, or one more.

What a first start leaves behind is the same on every member: a store whose applied state stands at index 1 with the
initial members in it, and a log that begins with the snapshot mark of that index. So the log of a member that was never
started, or lost its disk, ends at index 1 or below, and whoever joins later needs a snapshot to get beyond it. The founding
state is put in place as a received snapshot is, so a first start may stop anywhere and is finished by the next.
Runs before the loop serves; blocks.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, field

from raftkv.errors import ConfigError, UnavailableError
from raftkv.mvcc.store import Store
from raftkv.raft.messages import ConfState, HardState, SnapshotMeta
from raftkv.server.hello import BOOTSTRAP_INDEX, MemberRemovedError
from raftkv.server.settings import MemberSettings
from raftkv.state.apply import StateMachine
from raftkv.state.membership import ChangeKind, Member, MemberChange, cluster_id, initial_changes, initial_members
from raftkv.state.meta import read_applied
from raftkv.storage.backend import Backend, BackendOpener, Reader
from raftkv.storage.buffer import BufferedTables
from raftkv.storage.datadir import DataDir
from raftkv.storage.fs import FileSystem
from raftkv.storage.install import BUILDING, STORE, Applied, SnapshotInstall, open_store, place_first_store
from raftkv.storage.raft_storage import RaftStorage
from raftkv.storage.record import WalMetadata
from raftkv.storage.recovery import Recovered, open_log
from raftkv.storage.wal import EXTENT_BYTES, Wal, WalSettings

log = logging.getLogger("raftkv.server")

BOOTSTRAP_TERM = 1

LOCK_POLL_S = 1.0
"""How often a data directory that another process holds is tried again."""


class DirectoryLockedError(UnavailableError):
    """Another process holds the data directory; nothing was touched. Try again when it has stopped, as etcd does for ever."""


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
    flush: Callable[[], None] = field(default=lambda: None)

    def close(self) -> None:
        """Closes log and store and unlocks the directory. Both workers have ended."""
        self.wal.close()
        self.state.tables.close()
        self.state.backend.close()
        self.directory.close()


def state_of(backend: Backend) -> StateParts:
    """Everything that is rebuilt from an opened store. Raises CorruptionError, OSError."""
    tables = BufferedTables(backend)
    store = Store(tables, on_progress=lambda count: log.info("reading the store", extra={"fields": {"records": count}}))
    return StateParts(backend, tables, store, StateMachine(tables, store))


def applied_in(reader: Reader) -> Applied:
    """Where a store stands."""
    return Applied(*read_applied(reader))


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


def was_started(settings: MemberSettings, platform: Platform) -> bool:
    """True when the data directory holds a store: the flags that form a cluster are ignored from then on."""
    return platform.fs.exists(f"{settings.data_dir.rstrip('/') or '/'}/member/snap/{STORE}")


def boot(
    settings: MemberSettings,
    platform: Platform,
    founders: Founders | None,
    *,
    now_s: Callable[[], float],
    observe_fsync_s: Callable[[float], None] | None = None,
) -> Booted:
    """Opens the data directory, making it first when there is none. `founders` is needed only then.

    Raises DirectoryLockedError, ConfigError, CorruptionError, OSError.
    """

    def wait(message: str) -> None:
        raise DirectoryLockedError(message)

    directory = DataDir.open(platform.fs, settings.data_dir, wal_dir=settings.wal_dir, on_wait=wait)
    try:
        segment_bytes = settings.wal_segment_bytes
        # A short segment would be zeros for the most part.
        extent_bytes = min(EXTENT_BYTES, segment_bytes)
        wal_settings = WalSettings(segment_bytes=segment_bytes, extent_bytes=extent_bytes, now_s=now_s, on_sync=observe_fsync_s)
        if founders is not None:
            _found(platform, directory, wal_settings, founders, own_member(settings, founders).id)
        elif not Wal.exists(platform.fs, directory.wal):
            raise ConfigError(
                f"the data directory {directory.path} holds the store of a member that was started, but its log {directory.wal} is "
                "missing, and with it the member's vote: put the log back (or name it with --wal-dir), or replace the member"
            )
        return _open(settings, platform, directory, wal_settings)
    except BaseException:
        directory.close()
        raise


def _open(settings: MemberSettings, platform: Platform, directory: DataDir, wal_settings: WalSettings) -> Booted:
    recovered = open_log(platform.fs, directory.wal, wal_settings)
    if recovered.torn_tail is not None:
        log.warning("cut off a torn tail of the log", extra={"fields": recovered.torn_tail._asdict()})
    try:
        state = state_of(open_store(platform.fs, platform.opener, directory.store, recovered, applied_in))
    except BaseException:
        recovered.wal.close()
        raise
    if state.machine.members.is_removed(recovered.metadata.member_id):
        state.tables.close()
        state.backend.close()
        recovered.wal.close()
        raise MemberRemovedError
    conf = state.machine.conf_state()
    storage = RaftStorage(recovered, conf_state=ConfState(*conf) if conf is not None else ConfState())
    metadata = recovered.metadata
    fields = {
        "data-dir": settings.data_dir,
        "local-member-id": f"{metadata.member_id:x}",
        "cluster-id": f"{metadata.cluster_id:x}",
        "applied-index": state.machine.applied_index,
        "last-index": recovered.last_index,
        "revision": state.store.revision,
    }
    log.info("opened the data directory", extra={"fields": fields})
    return Booted(metadata.member_id, metadata.cluster_id, recovered.wal, storage, state, platform, directory)


def _found(platform: Platform, directory: DataDir, settings: WalSettings, founders: Founders, member_id: int) -> None:
    """A first start, or one that was cut short: leaves a log, and beside it the founding state or, when joining, nothing."""
    fs = platform.fs
    if not Wal.exists(fs, directory.wal):
        Wal.create(fs, directory.wal, WalMetadata(founders.cluster_id, member_id), settings).close()
    recovered = open_log(fs, directory.wal, settings)
    try:
        if recovered.metadata != WalMetadata(founders.cluster_id, member_id):
            raise ConfigError(
                f"the data directory {directory.path} was begun for member {recovered.metadata.member_id:x} of cluster "
                f"{recovered.metadata.cluster_id:x}, the flags say member {member_id:x} of cluster {founders.cluster_id:x}: "
                "start with the former flags, or with an empty data directory"
            )
        if recovered.snapshot is not None:
            return
        if founders.joining:
            _join_state(platform, directory, founders.members)
        else:
            _found_state(platform, directory, recovered, founders.members)
    finally:
        recovered.wal.close()


def _join_state(platform: Platform, directory: DataDir, members: tuple[Member, ...]) -> None:
    """Of the cluster a joining member knows who it is, no more: it must answer the leader that sends it the state."""

    def fill(parts: StateParts) -> None:
        for member in members:
            parts.machine.members.apply(MemberChange(ChangeKind.ADD, member))

    platform.fs.mkdir(directory.store)
    _build_state(platform, directory, fill)
    place_first_store(platform.fs, platform.opener, directory.store)


def _build_state(platform: Platform, directory: DataDir, fill: Callable[[StateParts], None]) -> None:
    building = f"{directory.store}/{BUILDING}"
    for path in (building, *platform.opener.side_files(building)):
        if platform.fs.exists(path):
            platform.fs.remove(path)
    parts = state_of(platform.opener.open(building))
    try:
        fill(parts)
        parts.backend.commit(parts.tables.seal())
    finally:
        parts.tables.close()
        parts.backend.close()


def _found_state(platform: Platform, directory: DataDir, recovered: Recovered, members: tuple[Member, ...]) -> None:
    conf = ConfState(voters=tuple(sorted(member.id for member in members)))
    meta = SnapshotMeta(BOOTSTRAP_INDEX, BOOTSTRAP_TERM, conf)

    def fill(parts: StateParts) -> None:
        for change in initial_changes(members):
            parts.machine.members.apply(change)
        parts.machine.save_conf_state(conf)
        parts.machine.note_applied(BOOTSTRAP_INDEX, BOOTSTRAP_TERM)

    _build_state(platform, directory, fill)
    SnapshotInstall(platform.fs, platform.opener, directory.store, meta).ready()
    recovered.wal.mark_snapshot(meta, hard_state=HardState(BOOTSTRAP_TERM, 0, BOOTSTRAP_INDEX), installed=True)
