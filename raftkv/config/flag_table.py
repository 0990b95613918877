"""Every flag of etcd 3.7 and what it does here, in the order of the help; then the names of older releases.

A table: the only module to touch when a flag becomes meaningful. `tests/config` holds names and defaults against etcd's and checks
that every USED row reaches a setting. Source: etcd's server/embed and server/etcdmain.
"""

from __future__ import annotations

from raftkv.config.flags import Flag, Kind, Use

STRING, BOOL, INT, UINT, UINT32 = Kind.STRING, Kind.BOOL, Kind.INT, Kind.UINT, Kind.UINT32
DURATION, URLS, CSV = Kind.DURATION, Kind.URLS, Kind.CSV
USED, INERT, REFUSED, SILENT = Use.USED, Use.INERT, Use.REFUSED, Use.SILENT

ROTATION = '{"maxsize": 100, "maxage": 0, "maxbackups": 0, "localtime": false, "compress": false}'

Row = tuple[str, Kind, str, Use, str]

MEMBER: tuple[Row, ...] = (
    ("name", STRING, "default", USED, "Human-readable name for this member."),
    ("data-dir", STRING, "", USED, "Directory of the log and the store; ${name}.etcd when empty."),
    ("wal-dir", STRING, "", USED, "Directory of the log when it is to be elsewhere, best on a disk of its own."),
    ("snapshot-count", UINT, "10000", USED, "Applied entries between two raft snapshots."),
    ("heartbeat-interval", UINT, "100", USED, "Milliseconds between two heartbeats of the leader."),
    ("election-timeout", UINT, "1000", USED, "Milliseconds without a leader after which a member stands for election."),
    ("initial-election-tick-advance", BOOL, "true", USED, "Start with the election timer nearly run out, for a faster first election."),
    ("listen-peer-urls", URLS, "http://localhost:2380", USED, "URLs to serve other members on."),
    ("listen-client-urls", URLS, "http://localhost:2379", USED, "URLs to serve clients on: gRPC and HTTP share each port."),
    ("listen-client-http-urls", URLS, "", INERT, "Separate URLs for HTTP; here HTTP is always served on the client URLs."),
    ("max-wals", UINT, "5", INERT, "Log files to keep; here the log keeps what the snapshot does not cover and the catch-up entries."),
    ("memory-mlock", BOOL, "false", INERT, "Keep the store's pages in memory."),
    ("quota-backend-bytes", INT, "0", USED, "Size of the store at which writes are refused; 0 means 2 GiB, negative means none."),
    ("backend-bbolt-freelist-type", STRING, "map", SILENT, "Free-page list of etcd's store; this store has its own."),
    ("backend-batch-interval", DURATION, "0s", USED, "Longest time applied changes wait for their commit; 0s means 100ms."),
    ("backend-batch-limit", INT, "0", USED, "Records after which a commit starts at once; 0 means 10000."),
    ("max-txn-ops", UINT, "128", USED, "Operations in one transaction."),
    ("max-request-bytes", UINT, "1572864", USED, "Largest client request."),
    ("max-concurrent-streams", UINT32, "4294967295", USED, "Calls one client connection may have open at a time."),
    ("grpc-keepalive-min-time", DURATION, "5s", INERT, "Shortest interval at which a client may ping."),
    ("grpc-keepalive-interval", DURATION, "2h0m0s", INERT, "Idle time after which the server pings a client."),
    ("grpc-keepalive-timeout", DURATION, "20s", INERT, "Wait for the answer to such a ping."),
    ("socket-reuse-port", BOOL, "false", INERT, "Listen with SO_REUSEPORT."),
    ("socket-reuse-address", BOOL, "false", SILENT, "Listen with SO_REUSEADDR; always done here."),
    ("enable-grpc-gateway", BOOL, "true", INERT, "Serve the JSON gateway."),
    ("raft-read-timeout", DURATION, "5s", INERT, "Read timeout of peer connections."),
    ("raft-write-timeout", DURATION, "5s", INERT, "Write timeout of peer connections."),
    ("feature-gates", Kind.GATES, "", INERT, "Feature gates to switch on or off."),
)

CLUSTERING: tuple[Row, ...] = (
    ("initial-advertise-peer-urls", URLS, "http://localhost:2380", USED, "Where the other members reach this one."),
    ("initial-cluster", STRING, "default=http://localhost:2380", USED, "Members of a new cluster: name=peer-URL, separated by commas."),
    (
        "initial-cluster-state",
        Kind.STATE,
        "new",
        USED,
        "`new` to form a cluster, `existing` to join one. Ignored once the member has data.",
    ),
    ("initial-cluster-token", STRING, "etcd-cluster", USED, "Keeps clusters with equal URLs apart; must agree across members."),
    ("advertise-client-urls", URLS, "http://localhost:2379", USED, "Where clients are told to reach this member."),
    ("discovery", STRING, "", REFUSED, "URL of a discovery service to form the cluster with."),
    ("discovery-token", STRING, "", REFUSED, "Token of the cluster at the discovery service."),
    ("discovery-endpoints", CSV, "", REFUSED, "Endpoints of an etcd cluster that serves as discovery service."),
    ("discovery-dial-timeout", DURATION, "2s", INERT, "Discovery: time to connect."),
    ("discovery-request-timeout", DURATION, "5s", INERT, "Discovery: time for a request."),
    ("discovery-keepalive-time", DURATION, "2s", INERT, "Discovery: interval of pings."),
    ("discovery-keepalive-timeout", DURATION, "6s", INERT, "Discovery: wait for the answer to a ping."),
    ("discovery-insecure-transport", BOOL, "true", INERT, "Discovery: without TLS."),
    ("discovery-insecure-skip-tls-verify", BOOL, "false", INERT, "Discovery: without verifying certificates."),
    ("discovery-cert", STRING, "", INERT, "Discovery: client certificate."),
    ("discovery-key", STRING, "", INERT, "Discovery: key of the client certificate."),
    ("discovery-cacert", STRING, "", INERT, "Discovery: certificate authority."),
    ("discovery-user", STRING, "", INERT, "Discovery: user name and password."),
    ("discovery-password", STRING, "", INERT, "Discovery: password."),
    ("discovery-fallback", Kind.FALLBACK, "exit", INERT, "What to do when discovery fails; only `exit` exists."),
    ("discovery-proxy", STRING, "", REFUSED, "HTTP proxy on the way to the discovery service."),
    ("discovery-srv", STRING, "", REFUSED, "DNS domain whose SRV records name the members."),
    ("discovery-srv-name", STRING, "", REFUSED, "Suffix of the SRV records' service name."),
    ("strict-reconfig-check", BOOL, "true", USED, "Refuse membership changes that would lose the quorum."),
    ("pre-vote", BOOL, "true", USED, "A member that was cut off asks the others before it raises the term."),
    ("auto-compaction-retention", STRING, "0", USED, "History to keep when compacting by itself; 0 means never."),
    (
        "auto-compaction-mode",
        STRING,
        "periodic",
        USED,
        "Whether the retention is a time (`periodic`) or a number of revisions (`revision`).",
    ),
)

SECURITY: tuple[Row, ...] = (
    ("cert-file", STRING, "", REFUSED, "Certificate of the client port."),
    ("key-file", STRING, "", REFUSED, "Key of the client port's certificate."),
    ("client-cert-auth", BOOL, "false", REFUSED, "Require certificates of clients."),
    ("client-cert-file", STRING, "", REFUSED, "Certificate this member uses as a client."),
    ("client-key-file", STRING, "", REFUSED, "Key of that certificate."),
    ("client-crl-file", STRING, "", REFUSED, "Revoked client certificates."),
    ("client-cert-allowed-hostname", CSV, "", REFUSED, "Host names allowed in client certificates."),
    ("trusted-ca-file", STRING, "", REFUSED, "Authority of client certificates."),
    ("auto-tls", BOOL, "false", REFUSED, "TLS on the client port with a self-made certificate."),
    ("peer-cert-file", STRING, "", REFUSED, "Certificate of the peer port."),
    ("peer-key-file", STRING, "", REFUSED, "Key of the peer port's certificate."),
    ("peer-client-cert-auth", BOOL, "false", REFUSED, "Require certificates of peers."),
    ("peer-client-cert-file", STRING, "", REFUSED, "Certificate this member shows to its peers."),
    ("peer-client-key-file", STRING, "", REFUSED, "Key of that certificate."),
    ("peer-trusted-ca-file", STRING, "", REFUSED, "Authority of peer certificates."),
    ("peer-cert-allowed-cn", CSV, "", REFUSED, "Common names allowed in peer certificates."),
    ("peer-cert-allowed-hostname", CSV, "", REFUSED, "Host names allowed in peer certificates."),
    ("peer-auto-tls", BOOL, "false", REFUSED, "TLS between members with self-made certificates."),
    ("self-signed-cert-validity", UINT, "1", INERT, "Years a self-made certificate is valid."),
    ("peer-crl-file", STRING, "", REFUSED, "Revoked peer certificates."),
    ("cipher-suites", CSV, "", INERT, "Cipher suites of TLS."),
    ("cors", CSV, "*", USED, "Origins of web pages that may call over HTTP, separated by commas."),
    ("host-whitelist", CSV, "*", REFUSED, "Host names allowed in HTTP requests."),
    ("tls-min-version", STRING, "TLS1.2", INERT, "Lowest version of TLS."),
    ("tls-max-version", STRING, "", INERT, "Highest version of TLS."),
)

AUTH: tuple[Row, ...] = (
    ("auth-token", STRING, "simple", REFUSED, "Kind of token; only `simple` exists."),
    ("bcrypt-cost", UINT, "10", INERT, "Cost of hashing a password, 4 to 31."),
    ("auth-token-ttl", UINT, "300", INERT, "Seconds a token lives."),
)

MONITORING: tuple[Row, ...] = (
    ("enable-pprof", BOOL, "false", INERT, "Serve profiles under /debug/pprof/."),
    ("metrics", STRING, "basic", INERT, "`extensive` adds a histogram of every call's duration."),
    ("listen-metrics-urls", URLS, "", USED, "Further URLs for /metrics and /health, which the client URLs serve too."),
)

LOGGING: tuple[Row, ...] = (
    ("logger", STRING, "zap", USED, "Only `zap`, the structured logger, exists."),
    ("log-outputs", CSV, "default", USED, "`default` or `stderr`, `stdout`, or paths of files."),
    ("log-level", STRING, "info", USED, "debug, info, warn, error, panic or fatal."),
    ("log-format", STRING, "json", USED, "`json` or `console`."),
    ("enable-log-rotation", BOOL, "false", INERT, "Rotate a log file."),
    ("log-rotation-config-json", STRING, ROTATION, INERT, "How to rotate it."),
    ("warning-unary-request-duration", DURATION, "300ms", INERT, "Calls that take longer are logged."),
)

TRACING: tuple[Row, ...] = (
    ("enable-distributed-tracing", BOOL, "false", INERT, "Send traces."),
    ("distributed-tracing-address", STRING, "localhost:4317", INERT, "Collector of traces."),
    ("distributed-tracing-service-name", STRING, "etcd", INERT, "Service name in traces."),
    ("distributed-tracing-instance-id", STRING, "", INERT, "Instance id in traces."),
    ("distributed-tracing-sampling-rate", INT, "0", INERT, "Traces per million requests."),
)

FEATURES: tuple[Row, ...] = (
    ("corrupt-check-time", DURATION, "0s", INERT, "Interval at which members compare their stores."),
    ("compact-hash-check-time", DURATION, "1m0s", INERT, "Interval at which members compare hashes of compactions."),
    ("compaction-batch-limit", INT, "1000", USED, "Revisions looked at in one slice of a compaction."),
    ("peer-skip-client-san-verification", BOOL, "false", INERT, "Do not hold a peer's certificate against its address."),
    ("watch-progress-notify-interval", DURATION, "10m0s", USED, "Idle time after which a watcher that asked is told the revision."),
    ("warning-apply-duration", DURATION, "100ms", INERT, "Applied requests that take longer are logged."),
    ("bootstrap-defrag-threshold-megabytes", UINT, "0", INERT, "Defragment at the start when that frees so much; never needed here."),
    ("max-learners", INT, "1", USED, "Learners a cluster may have."),
    ("compaction-sleep-interval", DURATION, "0s", USED, "Pause between two slices of a compaction; 0s means 10ms."),
    ("downgrade-check-time", DURATION, "5s", INERT, "Interval at which a downgrade's progress is looked at."),
    ("snapshot-catchup-entries", UINT, "5000", USED, "Entries kept below a snapshot for followers that lag."),
)

UNSAFE: tuple[Row, ...] = (
    ("force-new-cluster", BOOL, "false", REFUSED, "Keep the data and make this member the only one."),
    ("unsafe-no-fsync", BOOL, "false", USED, "Never sync: loses acknowledged writes when the machine stops. For tests."),
)

GROUPS: dict[str, tuple[Row, ...]] = {
    "Member": MEMBER,
    "Clustering": CLUSTERING,
    "Security": SECURITY,
    "Auth": AUTH,
    "Profiling and Monitoring": MONITORING,
    "Logging": LOGGING,
    "Distributed tracing": TRACING,
    "Features": FEATURES,
    "Unsafe feature": UNSAFE,
}

OLDER_GROUP = "Names of older releases"

RENAMED: dict[str, str] = {
    "experimental-backend-bbolt-freelist-type": "backend-bbolt-freelist-type",
    "experimental-bootstrap-defrag-threshold-megabytes": "bootstrap-defrag-threshold-megabytes",
    "experimental-compact-hash-check-time": "compact-hash-check-time",
    "experimental-compaction-batch-limit": "compaction-batch-limit",
    "experimental-compaction-sleep-interval": "compaction-sleep-interval",
    "experimental-corrupt-check-time": "corrupt-check-time",
    "experimental-distributed-tracing-address": "distributed-tracing-address",
    "experimental-distributed-tracing-instance-id": "distributed-tracing-instance-id",
    "experimental-distributed-tracing-sampling-rate": "distributed-tracing-sampling-rate",
    "experimental-distributed-tracing-service-name": "distributed-tracing-service-name",
    "experimental-downgrade-check-time": "downgrade-check-time",
    "experimental-enable-distributed-tracing": "enable-distributed-tracing",
    "experimental-max-learners": "max-learners",
    "experimental-memory-mlock": "memory-mlock",
    "experimental-peer-skip-client-san-verification": "peer-skip-client-san-verification",
    "experimental-snapshot-catchup-entries": "snapshot-catchup-entries",
    "experimental-warning-apply-duration": "warning-apply-duration",
    "experimental-warning-unary-request-duration": "warning-unary-request-duration",
    "experimental-watch-progress-notify-interval": "watch-progress-notify-interval",
}
"""Old name -> the flag that has its meaning now; the value goes there."""

IGNORED = (
    "cluster-active-size",
    "cluster-remove-delay",
    "cluster-sync-interval",
    "config",
    "force",
    "max-result-buffer",
    "max-retry-attempts",
    "peer-election-timeout",
    "peer-heartbeat-interval",
    "retry-interval",
    "snapshot",
    "v",
    "vv",
)

DROPPED: tuple[Row, ...] = (
    ("debug", BOOL, "false", INERT, "Use log-level."),
    ("enable-v2", BOOL, "false", INERT, "The v2 API no longer exists."),
    ("experimental-compact-hash-check-enabled", BOOL, "false", INERT, "Feature gate CompactHashCheck."),
    ("experimental-enable-lease-checkpoint", BOOL, "false", INERT, "Feature gate LeaseCheckpoint."),
    ("experimental-enable-lease-checkpoint-persist", BOOL, "false", INERT, "Feature gate LeaseCheckpointPersist."),
    ("experimental-enable-v2v3", STRING, "", INERT, "The v2 API no longer exists."),
    ("experimental-initial-corrupt-check", BOOL, "false", INERT, "Feature gate InitialCorruptCheck."),
    ("experimental-stop-grpc-service-on-defrag", BOOL, "false", INERT, "Feature gate StopGRPCServiceOnDefrag."),
    ("experimental-txn-mode-write-with-shared-buffer", BOOL, "true", INERT, "Feature gate TxnModeWriteWithSharedBuffer."),
    ("log-package-levels", STRING, "", INERT, "Use log-level."),
    ("max-snapshots", UINT, "5", INERT, "Snapshot files to keep; here there is one store and no snapshot file."),
    ("proxy", STRING, "off", REFUSED, "The v2 proxy no longer exists."),
    ("proxy-dial-timeout", UINT, "1000", INERT, "The v2 proxy no longer exists."),
    ("proxy-failure-wait", UINT, "5000", INERT, "The v2 proxy no longer exists."),
    ("proxy-read-timeout", UINT, "0", INERT, "The v2 proxy no longer exists."),
    ("proxy-refresh-interval", UINT, "30000", INERT, "The v2 proxy no longer exists."),
    ("proxy-write-timeout", UINT, "5000", INERT, "The v2 proxy no longer exists."),
    ("v2-deprecation", STRING, "", INERT, "The v2 API no longer exists."),
    *((name, Kind.IGNORED, "", INERT, "Ignored for long, by etcd too.") for name in IGNORED),
)


def _flags() -> dict[str, Flag]:
    flags = {row[0]: Flag(group, *row) for group, rows in GROUPS.items() for row in rows}
    for old, new in RENAMED.items():
        row = flags[new]
        flags[old] = Flag(OLDER_GROUP, old, row.kind, row.default, row.use, f"Now called {new}.", new)
    flags.update((row[0], Flag(OLDER_GROUP, *row)) for row in DROPPED)
    return flags


FLAGS: dict[str, Flag] = _flags()
"""By name, in the order of the help."""
