"""One member's metrics: plain numbers that anybody may bump, and their Prometheus text.

Owns the registry, etcd's series names and the text format; refuses to know what a number means. Everything happens on
the loop; a number measured on another thread is handed over before it is observed here. There are no globals: two
members in one process have two `Metrics`. A count on the hot path is `counter.value += 1` (0.03 µs), a histogram
observation 0.3 µs. Values that somebody else owns are set by a collector, which runs at each scrape.
Source: etcd's metrics as listed by its own /metrics; the format is Prometheus' text format 0.0.4.
"""

from __future__ import annotations

import math
import os
import platform
from bisect import bisect_left
from collections.abc import Callable, Sequence
from typing import NamedTuple

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

LABEL_SETS_MAX = 2048
"""Children of one family. At the bound a new label set is counted under the label value `other`: label values come from
clients (their version, for one), and memory must not."""


class Number:
    """A counter or a gauge: set or bump `value`."""

    __slots__ = ("head", "value")

    def __init__(self, name: str, labels: str) -> None:
        self.head = f"{name}{{{labels}}} " if labels else f"{name} "
        """Its line up to the value; made once because a scrape has a thousand of them."""
        self.value: float = 0

    def render(self, lines: list[str]) -> None:
        """Appends its line."""
        lines.append(self.head + _number(self.value))


class Histogram:
    """Counts per bucket. Invariant: `counts[i]` holds the observations in (bounds[i-1], bounds[i]]; the last one is open."""

    __slots__ = ("bounds", "counts", "heads", "sum")

    def __init__(self, name: str, labels: str, bounds: tuple[float, ...]) -> None:
        self.bounds = bounds
        self.counts = [0] * (len(bounds) + 1)
        self.sum: float = 0.0
        more = labels + "," if labels else ""
        braced = f"{{{labels}}}" if labels else ""
        buckets = [f'{name}_bucket{{{more}le="{_number(bound)}"}} ' for bound in (*bounds, math.inf)]
        self.heads = (*buckets, f"{name}_sum{braced} ", f"{name}_count{braced} ")

    def observe(self, value: float) -> None:
        """Counts one observation; the unit is the one in the family's name."""
        self.counts[bisect_left(self.bounds, value)] += 1
        self.sum += value

    def render(self, lines: list[str]) -> None:
        """Appends its buckets, sum and count."""
        total = 0
        for head, count in zip(self.heads, self.counts, strict=False):
            total += count
            lines.append(f"{head}{total}")
        lines.append(self.heads[-2] + _number(self.sum))
        lines.append(f"{self.heads[-1]}{total}")


class Family:
    """All series of one name. `number` and `histogram` make a child on first use and return the same one ever after."""

    __slots__ = ("bounds", "children", "help", "kind", "label_names", "name")

    def __init__(self, name: str, kind: str, help_text: str, label_names: tuple[str, ...], bounds: tuple[float, ...]) -> None:
        self.name = name
        self.kind = kind
        self.help = help_text
        self.label_names = label_names
        self.bounds = bounds
        self.children: dict[tuple[str, ...], Number | Histogram] = {}

    def child(self, values: tuple[str, ...]) -> Number | Histogram:
        """The series with these label values, whatever its kind."""
        child = self.children.get(values)
        if child is None:
            assert len(values) == len(self.label_names), self.name
            if len(self.children) >= LABEL_SETS_MAX:
                values = ("other",) * len(values)
                child = self.children.get(values)
            if child is None:
                child = self.children[values] = self._make(values)
        return child

    def _make(self, values: tuple[str, ...]) -> Number | Histogram:
        labels = ",".join(f'{name}="{_escape(value)}"' for name, value in zip(self.label_names, values, strict=True))
        return Histogram(self.name, labels, self.bounds) if self.kind == "histogram" else Number(self.name, labels)

    def number(self, *values: str) -> Number:
        """The counter or gauge with these label values."""
        child = self.child(values)
        assert isinstance(child, Number), self.name
        return child

    def histogram(self, *values: str) -> Histogram:
        """The histogram with these label values."""
        child = self.child(values)
        assert isinstance(child, Histogram), self.name
        return child

    def replace(self, values: dict[tuple[str, ...], float]) -> None:
        """Makes these the only series of a gauge: what is gone from the member is gone from the scrape."""
        self.children.clear()
        for labels, value in values.items():
            self.number(*labels).value = value

    def render(self, lines: list[str]) -> None:
        """Appends this family's text; nothing when it has no series yet."""
        if self.children:
            lines.append(f"# HELP {self.name} {self.help}")
            lines.append(f"# TYPE {self.name} {self.kind}")
            for child in self.children.values():
                child.render(lines)


def _escape(value: str) -> str:
    return value.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")


def _number(value: float) -> str:
    if type(value) is int:
        return str(value)
    if value == math.inf:
        return "+Inf"
    if value == int(value):
        return str(int(value))
    return f"{value:.9g}"


def exponential(start: float, factor: float, count: int) -> tuple[float, ...]:
    """Bucket bounds start · factor^i, `count` of them."""
    return tuple(start * factor**i for i in range(count))


class _Row(NamedTuple):
    """One line of the catalogue."""

    name: str
    kind: str
    help: str
    labels: tuple[str, ...] = ()
    buckets: tuple[float, ...] = ()


_C, _G, _H = "counter", "gauge", "histogram"
_MS = exponential(0.001, 2, 14)
_DEBUG = "etcd_debugging_"
_PEER_TO, _PEER_FROM, _PEERS = ("To",), ("From",), ("Local", "Remote")

# fmt: off
_CATALOGUE: tuple[_Row, ...] = (
    _Row("etcd_cluster_version", _G, "Version the cluster as a whole runs at; 1 under its label.", ("cluster_version",)),
    _Row(_DEBUG + "auth_revision", _G, "Revision of the authentication store."),
    _Row(_DEBUG + "disk_backend_commit_rebalance_duration_seconds", _H, "Part of a store commit spent rebalancing pages.", (), _MS),
    _Row(_DEBUG + "disk_backend_commit_spill_duration_seconds", _H, "Part of a store commit spent spilling pages.", (), _MS),
    _Row(_DEBUG + "disk_backend_commit_write_duration_seconds", _H, "Part of a store commit spent writing pages.", (), _MS),
    _Row(_DEBUG + "lease_granted_total", _C, "Leases granted."),
    _Row(_DEBUG + "lease_renewed_total", _C, "Lease renewals, counted by the leader."),
    _Row(_DEBUG + "lease_revoked_total", _C, "Leases revoked."),
    _Row(_DEBUG + "lease_ttl_total", _H, "Granted TTLs in seconds.", (), exponential(1, 2, 24)),
    _Row(_DEBUG + "mvcc_compact_revision", _G, "Revision of the last compaction."),
    _Row(_DEBUG + "mvcc_current_revision", _G, "Newest revision of the store."),
    _Row(_DEBUG + "mvcc_db_compaction_keys_total", _C, "Versions removed by compactions."),
    _Row(_DEBUG + "mvcc_db_compaction_last", _G, "When the last compaction ended, in seconds since 1970."),
    _Row(_DEBUG + "mvcc_db_compaction_pause_duration_milliseconds", _H, "Time one slice of a compaction held the loop.", (),
         exponential(1, 2, 13)),
    _Row(_DEBUG + "mvcc_db_compaction_total_duration_milliseconds", _H, "Time from start to end of a compaction.", (),
         exponential(100, 2, 14)),
    _Row(_DEBUG + "mvcc_events_total", _C, "Events sent to watchers."),
    _Row(_DEBUG + "mvcc_index_compaction_pause_duration_milliseconds", _H, "Time index compaction held the loop.", (),
         exponential(0.5, 2, 14)),
    _Row(_DEBUG + "mvcc_keys_total", _G, "Live keys."),
    _Row(_DEBUG + "mvcc_pending_events_total", _G, "Events waiting to be sent."),
    _Row(_DEBUG + "mvcc_slow_watcher_total", _G, "Watchers that catch up from the store."),
    _Row(_DEBUG + "mvcc_total_put_size_in_bytes", _G, "Bytes of keys and values put since the start."),
    _Row(_DEBUG + "mvcc_watch_stream_total", _G, "Open watch streams."),
    _Row(_DEBUG + "mvcc_watcher_total", _G, "Watchers."),
    _Row(_DEBUG + "server_alarms", _G, "Raised alarms; 1 under their labels.", ("server_id", "alarm_type")),
    _Row(_DEBUG + "server_lease_expired_total", _C, "Leases that ran out."),
    _Row(_DEBUG + "server_watch_send_loop_control_stream_duration_seconds", _H, "Time to hand over a watch control response.", (), _MS),
    _Row(_DEBUG + "server_watch_send_loop_progress_duration_seconds", _H, "Time to hand over a watch progress response.", (), _MS),
    _Row(_DEBUG + "server_watch_send_loop_watch_stream_duration_per_event_seconds", _H, "Time to hand over one watch event.", (), _MS),
    _Row(_DEBUG + "server_watch_send_loop_watch_stream_duration_seconds", _H, "Time to hand over a watch response.", (), _MS),
    _Row(_DEBUG + "snap_save_marshalling_duration_seconds", _H, "Time to encode a raft snapshot.", (), _MS),
    _Row(_DEBUG + "snap_save_total_duration_seconds", _H, "Time to save a raft snapshot.", (), _MS),
    _Row(_DEBUG + "store_expires_total", _C, "Keys expired by API version 2, which is not served."),
    _Row(_DEBUG + "store_reads_failed_total", _C, "Failed reads of API version 2, which is not served.", ("action",)),
    _Row(_DEBUG + "store_reads_total", _C, "Reads of API version 2, which is not served.", ("action",)),
    _Row(_DEBUG + "store_watch_requests_total", _C, "Watches of API version 2, which is not served."),
    _Row(_DEBUG + "store_watchers", _G, "Watchers of API version 2, which is not served."),
    _Row(_DEBUG + "store_writes_failed_total", _C, "Failed writes of API version 2, which is not served.", ("action",)),
    _Row(_DEBUG + "store_writes_total", _C, "Writes of API version 2, which is not served.", ("action",)),
    _Row("etcd_disk_backend_commit_duration_seconds", _H, "Time of a store commit, sync included.", (), _MS),
    _Row("etcd_disk_backend_defrag_duration_seconds", _H, "Time of a defragmentation.", (), exponential(0.1, 2, 13)),
    _Row("etcd_disk_backend_snapshot_duration_seconds", _H, "Time to send a copy of the store.", (), exponential(0.01, 2, 17)),
    _Row("etcd_disk_defrag_inflight", _G, "1 while a defragmentation runs."),
    _Row("etcd_disk_wal_fsync_duration_seconds", _H, "Time of one fdatasync of the log.", (), _MS),
    _Row("etcd_disk_wal_write_bytes_total", _G, "Bytes written to the log."),
    _Row("etcd_disk_wal_write_duration_seconds", _H, "Time of one write to the log.", (), _MS),
    _Row("etcd_grpc_proxy_cache_hits_total", _G, "Hits of the gRPC proxy's cache; there is no proxy here."),
    _Row("etcd_grpc_proxy_cache_keys_total", _G, "Keys in the gRPC proxy's cache; there is no proxy here."),
    _Row("etcd_grpc_proxy_cache_misses_total", _G, "Misses of the gRPC proxy's cache; there is no proxy here."),
    _Row("etcd_grpc_proxy_events_coalescing_total", _C, "Events the gRPC proxy joined; there is no proxy here."),
    _Row("etcd_grpc_proxy_watchers_coalescing_total", _G, "Watchers the gRPC proxy joined; there is no proxy here."),
    _Row("etcd_mvcc_db_open_read_transactions", _G, "Open store snapshots."),
    _Row("etcd_mvcc_db_total_size_in_bytes", _G, "Size of the store's file."),
    _Row("etcd_mvcc_db_total_size_in_use_in_bytes", _G, "Bytes of the store's file that hold data."),
    _Row("etcd_mvcc_delete_total", _C, "Deletions."),
    _Row("etcd_mvcc_hash_duration_seconds", _H, "Time to hash the whole store.", (), exponential(0.01, 2, 15)),
    _Row("etcd_mvcc_hash_rev_duration_seconds", _H, "Time to hash the keys at a revision.", (), exponential(0.01, 2, 15)),
    _Row("etcd_mvcc_put_total", _C, "Puts."),
    _Row("etcd_mvcc_range_total", _C, "Ranges."),
    _Row("etcd_mvcc_txn_total", _C, "Transactions."),
    _Row("etcd_network_active_peers", _G, "1 for each connected peer.", _PEERS),
    _Row("etcd_network_client_grpc_received_bytes_total", _C, "Bytes received from gRPC clients."),
    _Row("etcd_network_client_grpc_sent_bytes_total", _C, "Bytes sent to gRPC clients."),
    _Row("etcd_network_disconnected_peers_total", _C, "Lost peer connections.", _PEERS),
    _Row("etcd_network_known_peers", _G, "1 for each known peer.", _PEERS),
    _Row("etcd_network_peer_received_bytes_total", _C, "Bytes received from a peer.", _PEER_FROM),
    _Row("etcd_network_peer_received_failures_total", _C, "Failed receptions from a peer.", _PEER_FROM),
    _Row("etcd_network_peer_round_trip_time_seconds", _H, "Round-trip time to a peer.", _PEER_TO, exponential(0.0001, 2, 16)),
    _Row("etcd_network_peer_sent_bytes_total", _C, "Bytes sent to a peer.", _PEER_TO),
    _Row("etcd_network_peer_sent_failures_total", _C, "Failed sends to a peer.", _PEER_TO),
    _Row("etcd_network_server_stream_failures_total", _C, "Streams that broke, by direction and API.", ("Type", "API")),
    _Row("etcd_network_snapshot_receive_failures", _C, "Snapshots that failed to arrive.", _PEER_FROM),
    _Row("etcd_network_snapshot_receive_inflights_total", _G, "Snapshots being received.", _PEER_FROM),
    _Row("etcd_network_snapshot_receive_success", _C, "Snapshots received.", _PEER_FROM),
    _Row("etcd_network_snapshot_receive_total_duration_seconds", _H, "Time to receive a snapshot.", _PEER_FROM, exponential(0.1, 2, 10)),
    _Row("etcd_network_snapshot_send_failures", _C, "Snapshots that could not be sent.", _PEER_TO),
    _Row("etcd_network_snapshot_send_inflights_total", _G, "Snapshots being sent.", _PEER_TO),
    _Row("etcd_network_snapshot_send_success", _C, "Snapshots sent.", _PEER_TO),
    _Row("etcd_network_snapshot_send_total_duration_seconds", _H, "Time to send a snapshot.", _PEER_TO, exponential(0.1, 2, 10)),
    _Row("etcd_server_apply_duration_seconds", _H, "Time to apply a request.", ("version", "op", "success"), exponential(0.0001, 2, 20)),
    _Row("etcd_server_client_requests_total", _C, "Requests by client API version.", ("type", "client_api_version")),
    _Row("etcd_server_feature_enabled", _G, "1 for each feature that is on.", ("name", "stage")),
    _Row("etcd_server_go_version", _G, "The runtime; 1 under its label.", ("server_go_version",)),
    _Row("etcd_server_has_leader", _G, "1 when this member knows a leader."),
    _Row("etcd_server_health_failures", _C, "Failed health requests."),
    _Row("etcd_server_health_success", _C, "Passed health requests."),
    _Row("etcd_server_healthcheck", _G, "Outcome of the last run of a check; 1 is good.", ("type", "name")),
    _Row("etcd_server_healthchecks_total", _C, "Runs of a check by outcome.", ("type", "name", "status")),
    _Row("etcd_server_heartbeat_send_failures_total", _C, "Heartbeats the leader sent too late."),
    _Row("etcd_server_id", _G, "This member's id in hexadecimal; 1 under its label.", ("server_id",)),
    _Row("etcd_server_is_leader", _G, "1 when this member leads."),
    _Row("etcd_server_is_learner", _G, "1 when this member is a learner."),
    _Row("etcd_server_leader_changes_seen_total", _C, "Leader changes this member saw."),
    _Row("etcd_server_learner_promote_failures", _C, "Failed promotions of a learner.", ("Reason",)),
    _Row("etcd_server_learner_promote_successes", _C, "Promotions of a learner."),
    _Row("etcd_server_proposals_applied_total", _G, "Applied index."),
    _Row("etcd_server_proposals_committed_total", _G, "Commit index."),
    _Row("etcd_server_proposals_failed_total", _C, "Proposals that failed."),
    _Row("etcd_server_proposals_pending", _G, "Proposals waiting to be committed."),
    _Row("etcd_server_quota_backend_bytes", _G, "Quota of the store's size."),
    _Row("etcd_server_range_duration_seconds", _H, "Time of a range.", ("success",), exponential(0.0001, 2, 20)),
    _Row("etcd_server_read_indexes_failed_total", _C, "Failed read-index rounds."),
    _Row("etcd_server_request_duration_seconds", _H, "Time of a request.", ("type", "success"), _MS),
    _Row("etcd_server_slow_apply_total", _C, "Requests that took too long to apply."),
    _Row("etcd_server_slow_read_indexes_total", _C, "Read-index rounds that took too long."),
    _Row("etcd_server_snapshot_apply_in_progress_total", _G, "1 while a received snapshot is installed."),
    _Row("etcd_server_version", _G, "The etcd version spoken; 1 under its label.", ("server_version",)),
    _Row("etcd_snap_db_fsync_duration_seconds", _H, "Sync of a received copy of the store.", (), _MS),
    _Row("etcd_snap_db_save_total_duration_seconds", _H, "Saving of a received copy of the store.", (), exponential(0.1, 2, 10)),
    _Row("etcd_snap_fsync_duration_seconds", _H, "Sync of a raft snapshot.", (), _MS),
    _Row("os_fd_limit", _G, "Most open files allowed."),
    _Row("os_fd_used", _G, "Open files."),
    _Row("process_cpu_seconds_total", _C, "Processor time used, user and system, in seconds."),
    _Row("process_max_fds", _G, "Most open files allowed."),
    _Row("process_open_fds", _G, "Open files."),
    _Row("process_resident_memory_bytes", _G, "Resident memory."),
    _Row("process_start_time_seconds", _G, "Start of the process in seconds since 1970."),
    _Row("process_virtual_memory_bytes", _G, "Virtual memory."),
    _Row("process_virtual_memory_max_bytes", _G, "Most virtual memory allowed; -1 when there is no limit."),
    _Row("promhttp_metric_handler_requests_in_flight", _G, "Scrapes being served."),
    _Row("promhttp_metric_handler_requests_total", _C, "Scrapes by HTTP status.", ("code",)),
    _Row("grpc_server_started_total", _C, "Calls started.", ("grpc_type", "grpc_service", "grpc_method")),
    _Row("grpc_server_handled_total", _C, "Calls ended, by status.", ("grpc_type", "grpc_service", "grpc_method", "grpc_code")),
    _Row("grpc_server_msg_received_total", _C, "Messages received.", ("grpc_type", "grpc_service", "grpc_method")),
    _Row("grpc_server_msg_sent_total", _C, "Messages sent.", ("grpc_type", "grpc_service", "grpc_method")),
    _Row("raftkv_build_info", _G, "What runs; 1 under its labels.", ("version", "etcd_version", "python_version")),
    _Row("raftkv_internal_errors_total", _C, "Calls that hit a bug of ours; anything above 0 is worth a report.", ("boundary",)),
)
# fmt: on

_PRE_INITIALISED: tuple[tuple[str, tuple[str, ...]], ...] = (
    *(("etcd_server_apply_duration_seconds", ("v3", op, "true")) for op in ("Put", "DeleteRange", "Txn", "Compaction", "LeaseGrant")),
    *(("etcd_server_request_duration_seconds", (op, "true")) for op in ("Put", "DeleteRange", "Txn", "Compaction", "LeaseGrant")),
    ("etcd_server_range_duration_seconds", ("true",)),
    ("etcd_server_range_duration_seconds", ("false",)),
    ("etcd_server_client_requests_total", ("unary", "unknown")),
    ("etcd_server_client_requests_total", ("stream", "unknown")),
    ("raftkv_internal_errors_total", ("service",)),
    ("raftkv_internal_errors_total", ("transport",)),
    *(("promhttp_metric_handler_requests_total", (code,)) for code in ("200", "500", "503")),
)
"""Series with labels that exist from the start, so that a rate over them never begins with a gap."""

Collector = Callable[[], None]


class Metrics:
    """All families of one member.

    Families are reached by name (`metrics.family(name)`); those that the hot path or several layers bump have attributes.
    """

    def __init__(self, *, version: str, etcd_version: str) -> None:
        self._families: dict[str, Family] = {}
        self._collectors: list[Collector] = []
        for row in _CATALOGUE:
            family = self.register(row.name, row.kind, row.help, row.labels, row.buckets)
            if not row.labels:
                family.child(())
        for name, labels in _PRE_INITIALISED:
            self._families[name].child(labels)
        python_version = f"{platform.python_implementation().lower()}{platform.python_version()}"
        self.family("raftkv_build_info").number(version, etcd_version, python_version).value = 1
        self.family("etcd_server_version").number(etcd_version).value = 1
        self.family("etcd_server_go_version").number(python_version).value = 1
        self.wal_fsync = self.histogram("etcd_disk_wal_fsync_duration_seconds")
        self.wal_write = self.histogram("etcd_disk_wal_write_duration_seconds")
        self.wal_write_bytes = self.number("etcd_disk_wal_write_bytes_total")
        self.backend_commit = self.histogram("etcd_disk_backend_commit_duration_seconds")
        self.puts = self.number("etcd_mvcc_put_total")
        self.deletes = self.number("etcd_mvcc_delete_total")
        self.ranges = self.number("etcd_mvcc_range_total")
        self.txns = self.number("etcd_mvcc_txn_total")
        self.proposals_pending = self.number("etcd_server_proposals_pending")
        self.proposals_failed = self.number("etcd_server_proposals_failed_total")
        self.leader_changes = self.number("etcd_server_leader_changes_seen_total")
        self.internal_errors = self.family("raftkv_internal_errors_total").number("service")

    def register(self, name: str, kind: str, help_text: str, label_names: Sequence[str] = (), buckets: tuple[float, ...] = ()) -> Family:
        """Adds a family; `kind` is counter, gauge or histogram, the last with bucket bounds in ascending order."""
        assert name not in self._families, name
        family = self._families[name] = Family(name, kind, help_text, tuple(label_names), buckets)
        return family

    def family(self, name: str) -> Family:
        """A registered family."""
        return self._families[name]

    def number(self, name: str) -> Number:
        """The one series of a counter or gauge without labels."""
        return self._families[name].number()

    def histogram(self, name: str) -> Histogram:
        """The one series of a histogram without labels."""
        return self._families[name].histogram()

    def collect_with(self, collector: Collector) -> None:
        """Has `collector` set the values it owns whenever the metrics are read."""
        self._collectors.append(collector)

    def render(self) -> bytes:
        """The Prometheus text of everything, by name."""
        for collector in self._collectors:
            collector()
        lines: list[str] = []
        for name in sorted(self._families):
            self._families[name].render(lines)
        lines.append("")
        return "\n".join(lines).encode()


def process_collector(metrics: Metrics) -> Collector:
    """A collector for `process_*` and `os_fd_*`, read from /proc; where there is none the values stay 0."""
    ticks = os.sysconf("SC_CLK_TCK")
    page_bytes = os.sysconf("SC_PAGE_SIZE")

    def read(path: str) -> str:
        with open(path, encoding="ascii", errors="replace") as file:
            return file.read()

    def limit(limits: str, name: str) -> float:
        soft = next(line for line in limits.splitlines() if line.startswith(name))[len(name) :].split()[0]
        return -1 if soft == "unlimited" else int(soft)

    def collect() -> None:
        try:
            # The second field is the program's name in parentheses and may hold spaces.
            stat = read("/proc/self/stat").rpartition(")")[2].split()
            limits = read("/proc/self/limits")
            open_files = len(os.listdir("/proc/self/fd"))
            boot_s = next(int(line.split()[1]) for line in read("/proc/stat").splitlines() if line.startswith("btime"))
        except OSError:
            return
        files_max = limit(limits, "Max open files")
        for name, value in (
            ("process_cpu_seconds_total", (int(stat[11]) + int(stat[12])) / ticks),
            ("process_start_time_seconds", boot_s + int(stat[19]) / ticks),
            ("process_virtual_memory_bytes", int(stat[20])),
            ("process_resident_memory_bytes", int(stat[21]) * page_bytes),
            ("process_virtual_memory_max_bytes", limit(limits, "Max address space")),
            ("process_max_fds", files_max),
            ("process_open_fds", open_files),
            ("os_fd_limit", files_max),
            ("os_fd_used", open_files),
        ):
            metrics.number(name).value = value

    return collect
