"""SEAM: what the rpc services see of a member. Nothing here knows of gRPC.

Loop only. Completion is `done(result, error)`: called exactly once, on the loop, never from inside the call that was
given it. `error` is one of raftkv.errors. A result is (revision, body): `body` is the encoded response message
without its header field, so a service answers `api.header(revision) + body`.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum, auto
from typing import NamedTuple, Protocol

from raftkv.mvcc.watcher import WatchSink, WatchSpec, WatchStream
from raftkv.pb import rpc

__all__ = [
    "Alarm",
    "Done",
    "LeaseTTL",
    "LocalApi",
    "Member",
    "MemberApi",
    "MemberChangeDone",
    "MemberChangeKind",
    "MemberMeasures",
    "MemberStatus",
    "PeerApi",
    "PeerMeasure",
    "ProgressView",
    "RaftView",
    "Result",
    "SnapshotIntake",
    "WatchSink",
    "WatchSpec",
    "WatchStream",
]

Result = tuple[int, bytes]
Done = Callable[[Result | None, Exception | None], None]


class Member(NamedTuple):
    """One member of the cluster, as MemberList shows it."""

    id: int
    name: str
    peer_urls: tuple[str, ...]
    client_urls: tuple[str, ...]
    is_learner: bool


class Alarm(NamedTuple):
    """One raised alarm; `type` is etcd's number."""

    member_id: int
    type: int


class MemberStatus(NamedTuple):
    """What Maintenance.Status, health and the metrics report; read locally."""

    leader_id: int
    raft_index: int
    raft_term: int
    applied_index: int
    db_size_bytes: int
    db_size_in_use_bytes: int
    quota_bytes: int
    is_learner: bool
    revision: int
    compact_revision: int
    alarms: tuple[Alarm, ...]
    cluster_version: str


class ProgressView(NamedTuple):
    """Where a leader takes one member to be; `state` is raft's name for how it sends to it."""

    member_id: int
    match: int
    next: int
    state: str


class RaftView(NamedTuple):
    """Consensus at one moment, for people; ids are 0 where there is none, and only a leader has progress."""

    member_id: int
    term: int
    vote: int
    commit: int
    leader_id: int
    role: str
    applied: int
    progress: tuple[ProgressView, ...]
    transferee: int


class PeerMeasure(NamedTuple):
    """What a member counted of one peer since the start."""

    member_id: int
    connected: bool
    sent_bytes: int
    received_bytes: int
    send_failures: int
    disconnects: int


class MemberMeasures(NamedTuple):
    """What a member counted since the start, and gauges of now; read at a scrape."""

    leader_changes: int
    proposals_pending: int
    proposals_failed: int
    slow_read_indexes: int
    puts: int
    deletes: int
    ranges: int
    txns: int
    keys: int
    watch_streams: int
    watchers: int
    slow_watchers: int
    events: int
    pending_events: int
    compacted_records: int
    leases_granted: int
    leases_revoked: int
    leases_renewed: int
    leases_expired: int
    peers: tuple[PeerMeasure, ...]


class MemberChangeKind(Enum):
    """What is done to a member."""

    ADD = auto()
    REMOVE = auto()
    UPDATE = auto()
    PROMOTE = auto()


MemberChangeDone = Callable[[int, Exception | None], None]
"""(id of the member, None) once `members` shows the change here, or (0, the reason)."""


class LeaseTTL(NamedTuple):
    """Answer of LeaseTimeToLive; ttl_s is -1 when there is no such lease."""

    ttl_s: int
    granted_ttl_s: int
    keys: tuple[bytes, ...]


class LocalApi(Protocol):
    """What a member answers by itself."""

    member_id: int
    cluster_id: int

    def header(self, revision: int) -> bytes:
        """The header field of a response: tag, length and ResponseHeader with the current term."""

    def has_leader(self) -> bool:
        """False when this member knows no leader of its term."""

    def is_learner(self) -> bool:
        """True while this member has no vote: it serves next to nothing."""

    def leases(self) -> list[int]:
        """Lease ids by expiry, as known here."""

    def watch(self, sink: WatchSink) -> WatchStream: ...

    def members(self) -> tuple[Member, ...]:
        """By id."""

    def status(self) -> MemberStatus: ...

    def raft(self) -> RaftView: ...

    def current_revision(self) -> int:
        """The store's newest; what headers carry."""

    def measures(self) -> MemberMeasures: ...

    def hash(self, done: Done) -> None:
        """Body is the HashResponse without header."""

    def hash_kv(self, revision: int, done: Done) -> None:
        """Body is the HashKVResponse without header."""


class MemberApi(LocalApi, Protocol):
    """One member. `raw` arguments are the client's bytes, which go into the log as they are; `request` is their decoded form."""

    # The log.
    def put(self, raw: bytes, request: rpc.PutRequest, done: Done) -> None: ...

    def delete_range(self, raw: bytes, request: rpc.DeleteRangeRequest, done: Done) -> None: ...

    def txn(self, raw: bytes, request: rpc.TxnRequest, done: Done) -> None:
        """Read-only ones (every op a range) are served as reads, all others go through the log."""

    def compact(self, raw: bytes, request: rpc.CompactionRequest, done: Done) -> None:
        """With `physical`, done waits until the old versions are gone from disk."""

    def lease_grant(self, request: rpc.LeaseGrantRequest, done: Done) -> None: ...

    def lease_revoke(self, raw: bytes, request: rpc.LeaseRevokeRequest, done: Done) -> None: ...

    def alarm(self, raw: bytes, request: rpc.AlarmRequest, done: Done) -> None: ...

    # Reads.
    def range(self, request: rpc.RangeRequest, done: Done) -> None:
        """Linearizable unless request.serializable. Long ones run in slices."""

    def read_barrier(self, done: Done) -> None:
        """Done when everything committed before the call is applied here; the body is empty."""

    # Leases, answered by the leader.
    def lease_keep_alive(self, lease_id: int, done: Callable[[int, Exception | None], None]) -> None:
        """done(ttl_s, None); ttl_s 0 when there is no such lease."""

    def lease_time_to_live(self, lease_id: int, keys: bool, done: Callable[[LeaseTTL | None, Exception | None], None]) -> None: ...

    # The cluster.

    def change_member(
        self, change: MemberChangeKind, member_id: int, peer_urls: tuple[str, ...], is_learner: bool, done: MemberChangeDone
    ) -> None:
        """Changes the members; an addition finds the id itself. With etcd's checks and errors."""

    # The member itself.

    def move_leader(self, target_id: int, done: Callable[[Exception | None], None]) -> None: ...

    def defragment(self, done: Callable[[Exception | None], None]) -> None:
        """LMDB reuses its pages, so this commits and reports success; see docs/OPERATIONS.md."""


class SnapshotIntake(Protocol):
    """One snapshot on its way in."""

    def chunk(self, body: bytes) -> None:
        """The next SnapshotChunk. Raises RequestError when it is refused or damaged."""

    def end(self, done: Callable[[str], None]) -> None:
        """The last chunk came; done(refusal) once it is verified and stored, with an empty text when it was taken."""

    def abort(self) -> None:
        """The sender went away; what was received is removed."""


class PeerApi(Protocol):
    """What the peer port sees of a member. Bodies are messages of proto/raftkv/peer.proto."""

    def greet(self, body: bytes) -> tuple[int, bytes]:
        """Answers the first frame of a connection: (sender id, StreamReply); the id is 0 when the connection is refused."""

    def receive(self, sender_id: int, body: bytes) -> None:
        """One StreamFrame of a greeted connection. Raises CorruptionError on malformed entries."""

    def info(self) -> bytes:
        """The encoded ClusterInfo."""

    def lease_renew(self, body: bytes, done: Callable[[bytes, Exception | None], None]) -> None:
        """LeaseRenewRequest to LeaseRenewReply; answered by a leader confirmed after the call."""

    def lease_ttl(self, body: bytes, done: Callable[[bytes, Exception | None], None]) -> None:
        """LeaseTtlRequest to LeaseTtlReply; answered by a leader confirmed after the call."""

    def member_change(self, body: bytes, done: Callable[[bytes], None]) -> None:
        """MemberChangeRequest to MemberChangeReply; done by a leader alone."""

    def take_snapshot(self) -> SnapshotIntake:
        """Begins to receive a snapshot."""
