"""Metrics that are read off the member at each scrape.

Refuses to know how the member keeps them; it sees `MemberApi` alone.
"""

from __future__ import annotations

from raftkv.metrics import Collector, Metrics
from raftkv.rpc.maintenance import alarm_name
from raftkv.server.api import MemberApi, MemberStatus


def member_collector(api: MemberApi, metrics: Metrics) -> Collector:
    """A collector of the member's status, its peers and its alarms. Ids are printed in hexadecimal, as etcd's."""
    own_id = f"{api.member_id:x}"

    def collect() -> None:
        status = api.status()
        for name, value in _values(api, status):
            metrics.number(name).value = value
        minor_version = ".".join(status.cluster_version.split(".")[:2])
        metrics.family("etcd_cluster_version").replace({(minor_version,): 1} if minor_version else {})
        metrics.family("etcd_server_id").replace({(own_id,): 1})
        metrics.family("etcd_debugging_server_alarms").replace(
            {(f"{alarm.member_id:x}", alarm_name(alarm.type)): 1 for alarm in status.alarms}
        )
        metrics.family("etcd_network_known_peers").replace({(own_id, f"{member.id:x}"): 1 for member in api.members()})

    return collect


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
