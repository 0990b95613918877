"""Metrics that are read off the member at each scrape.

Refuses to know how the member keeps them; it sees `MemberApi` alone.
"""

from __future__ import annotations

from raftkv.metrics import Collector, Metrics
from raftkv.rpc.maintenance import alarm_name
from raftkv.server.api import MemberApi, MemberMeasures, MemberStatus


def member_collector(api: MemberApi, metrics: Metrics) -> Collector:
    """A collector of the member's status, its peers and its alarms. Ids are printed in hexadecimal, as etcd's."""
    own_id = f"{api.member_id:x}"

    def collect() -> None:
        status = api.status()
        measures = api.measures()
        for name, value in (*_values(api, status), *_counts(measures)):
            metrics.number(name).value = value
        _show_peers(metrics, own_id, measures)
        minor_version = ".".join(status.cluster_version.split(".")[:2])
        metrics.family("etcd_cluster_version").replace({(minor_version,): 1} if minor_version else {})
        metrics.family("etcd_server_id").replace({(own_id,): 1})
        metrics.family("etcd_debugging_server_alarms").replace(
            {(f"{alarm.member_id:x}", alarm_name(alarm.type)): 1 for alarm in status.alarms}
        )
        metrics.family("etcd_network_known_peers").replace({(own_id, f"{member.id:x}"): 1 for member in api.members()})

    return collect


def _counts(measures: MemberMeasures) -> tuple[tuple[str, float], ...]:
    return (
        ("etcd_server_leader_changes_seen_total", measures.leader_changes),
        ("etcd_server_proposals_pending", measures.proposals_pending),
        ("etcd_server_proposals_failed_total", measures.proposals_failed),
        ("etcd_server_slow_read_indexes_total", measures.slow_read_indexes),
        ("etcd_mvcc_put_total", measures.puts),
        ("etcd_mvcc_delete_total", measures.deletes),
        ("etcd_mvcc_range_total", measures.ranges),
        ("etcd_mvcc_txn_total", measures.txns),
        ("etcd_debugging_mvcc_keys_total", measures.keys),
        ("etcd_debugging_mvcc_watch_stream_total", measures.watch_streams),
        ("etcd_debugging_mvcc_watcher_total", measures.watchers),
        ("etcd_debugging_mvcc_slow_watcher_total", measures.slow_watchers),
        ("etcd_debugging_mvcc_events_total", measures.events),
        ("etcd_debugging_mvcc_pending_events_total", measures.pending_events),
        ("etcd_debugging_mvcc_db_compaction_keys_total", measures.compacted_records),
        ("etcd_debugging_lease_granted_total", measures.leases_granted),
        ("etcd_debugging_lease_revoked_total", measures.leases_revoked),
        ("etcd_debugging_lease_renewed_total", measures.leases_renewed),
        ("etcd_debugging_server_lease_expired_total", measures.leases_expired),
    )


def _show_peers(metrics: Metrics, own_id: str, measures: MemberMeasures) -> None:
    peers = {f"{peer.member_id:x}": peer for peer in measures.peers}
    metrics.family("etcd_network_active_peers").replace({(own_id, name): int(peer.connected) for name, peer in peers.items()})
    metrics.family("etcd_network_disconnected_peers_total").replace({(own_id, name): peer.disconnects for name, peer in peers.items()})
    metrics.family("etcd_network_peer_sent_bytes_total").replace({(name,): peer.sent_bytes for name, peer in peers.items()})
    metrics.family("etcd_network_peer_received_bytes_total").replace({(name,): peer.received_bytes for name, peer in peers.items()})
    metrics.family("etcd_network_peer_sent_failures_total").replace({(name,): peer.send_failures for name, peer in peers.items()})


def _values(api: MemberApi, status: MemberStatus) -> tuple[tuple[str, float], ...]:
    return (
        ("etcd_server_has_leader", int(api.has_leader())),
        ("etcd_server_is_leader", int(status.leader_id == api.member_id)),
        ("etcd_server_is_learner", int(status.is_learner)),
        ("etcd_server_proposals_applied_total", status.applied_index),
        ("etcd_server_proposals_committed_total", status.raft_index),
        ("etcd_server_quota_backend_bytes", status.quota_bytes),
        ("etcd_mvcc_db_total_size_in_bytes", status.db_size_bytes),
        ("etcd_mvcc_db_total_size_in_use_in_bytes", status.db_size_in_use_bytes),
        ("etcd_debugging_mvcc_current_revision", status.revision),
        ("etcd_debugging_mvcc_compact_revision", status.compact_revision),
        # The authentication store's revision starts at 1 and nothing changes it.
        ("etcd_debugging_auth_revision", 1),
    )
