"""What a member must be told. Built in `raftkv/config.py`; nobody else reads flags, files or environment."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class MemberSettings:
    """One member's settings. Names follow etcd's flags; units stand last."""

    name: str = "default"
    """Human name; must be a key of `initial_cluster` when a new cluster is formed."""

    data_dir: str = "default.etcd"
    """Directory of the log and the store; made with mode 0700."""

    wal_dir: str = ""
    """Directory of the log when it is to be elsewhere; empty means inside data_dir."""

    initial_cluster: tuple[tuple[str, str], ...] = (("default", "http://localhost:2380"),)
    """(name, peer URL) pairs; a name occurs once for each of its URLs. Must agree across members. Ignored once a data directory exists."""

    initial_cluster_state: str = "new"
    """`new` or `existing`."""

    initial_cluster_token: str = "etcd-cluster"
    """Keeps the ids of clusters with equal URLs apart. Must agree across members."""

    initial_advertise_peer_urls: tuple[str, ...] = ("http://localhost:2380",)
    """Where the other members reach this one."""

    advertise_client_urls: tuple[str, ...] = ("http://localhost:2379",)
    """Where clients are told to reach this member."""

    listen_peer_urls: tuple[str, ...] = ("http://localhost:2380",)
    """Where peers are served."""

    listen_client_urls: tuple[str, ...] = ("http://localhost:2379",)
    """Where clients are served."""

    listen_metrics_urls: tuple[str, ...] = ()
    """Where /metrics and the health endpoints are served besides, without anything a client could read or write."""

    heartbeat_interval_ms: int = 100
    """One tick. Above 0; at most a fifth of the election timeout."""

    election_timeout_ms: int = 1000
    """Randomised to [1, 2) times this. At most 50 000. Must agree across members."""

    initial_election_tick_advance: bool = True
    """Start with the election timer nearly run out, so that a lone member leads at once."""

    pre_vote: bool = True
    """A member that was cut off asks before it raises the term (thesis §9.6)."""

    strict_reconfig_check: bool = True
    """Refuse membership changes that would leave the cluster without a quorum of members that are started and connected."""

    max_learners: int = 1
    """Learners a cluster may have. At least 1. Must agree across members."""

    snapshot_count: int = 10_000
    """Applied entries between raft snapshots."""

    snapshot_catchup_entries: int = 5_000
    """Entries kept below a snapshot for followers that lag."""

    quota_backend_bytes: int = 0
    """0 means 2 GiB; negative switches the quota off."""

    max_request_bytes: int = 1_572_864
    """Largest request that may enter the log."""

    max_txn_ops: int = 128
    """Operations in one transaction."""

    wal_segment_bytes: int = 64_000_000
    """Size from which on a log goes on in a new segment. At least 4 KiB."""

    backend_batch_interval_ms: int = 100
    """Longest time applied changes wait for their commit to the store."""

    backend_batch_limit: int = 10_000
    """Records after which a commit starts at once."""

    compaction_batch_limit: int = 1_000
    """Revisions looked at in one slice of a compaction."""

    compaction_sleep_interval_ms: int = 10
    """Pause between slices of a compaction."""

    auto_compaction_period_s: float = 0.0
    """History older than this is compacted by the leader; 0 switches it off. Excludes `auto_compaction_revisions`."""

    auto_compaction_revisions: int = 0
    """Revisions the leader keeps when it compacts every five minutes; 0 switches it off."""

    watch_progress_notify_interval_ms: int = 600_000
    """Idle time after which a watcher that asked gets a progress response; at least 100."""

    max_concurrent_streams: int = 0xFFFF_FFFF
    """HTTP/2 streams of one client connection."""

    cors: tuple[str, ...] = ("*",)
    """Origins of web pages that may call the client port over HTTP; `*` stands for all, as does none."""

    unsafe_no_fsync: bool = False
    """Skips every sync. Loses acknowledged writes when the machine stops; for tests only."""

    log_level: str = "info"
    """debug, info, warn, error, panic or fatal."""

    extra: dict[str, str] = field(default_factory=dict)
    """Flags that are known but change nothing yet, for the log."""
