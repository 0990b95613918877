"""The metrics registry and its text."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from raftkv.metrics import LABEL_SETS_MAX, Metrics, exponential, process_collector


@pytest.fixture
def metrics() -> Metrics:
    return Metrics(version="0.1.0", etcd_version="3.7.0")


SAMPLE = re.compile(r'([a-z_0-9]+)(\{(?:[A-Za-z_]+="(?:[^"\\\n]|\\.)*",?)*\})? (-?[0-9.e+-]+|\+Inf)')


def parsed(metrics: Metrics) -> dict[str, dict[str, float]]:
    """Samples by family name and labels; fails on anything that is not the text format."""
    found: dict[str, dict[str, float]] = {}
    kinds: dict[str, str] = {}
    for line in metrics.render().decode().removesuffix("\n").split("\n"):
        if line.startswith("# TYPE "):
            _, _, name, kind = line.split(" ")
            assert name not in kinds, "a family is described twice"
            kinds[name] = kind
        elif not line.startswith("# HELP "):
            match = SAMPLE.fullmatch(line)
            assert match, line
            name = match[1]
            base = re.sub(r"_(bucket|sum|count)$", "", name)
            assert name in kinds or kinds[base] == "histogram", line
            labels = found.setdefault(name, {})
            assert (match[2] or "") not in labels, "a series stands twice"
            labels[match[2] or ""] = float(match[3])
    return found


ALWAYS_THERE = """
etcd_debugging_auth_revision etcd_debugging_lease_granted_total etcd_debugging_lease_renewed_total
etcd_debugging_lease_revoked_total etcd_debugging_lease_ttl_total_count etcd_debugging_mvcc_compact_revision
etcd_debugging_mvcc_current_revision etcd_debugging_mvcc_db_compaction_keys_total etcd_debugging_mvcc_db_compaction_last
etcd_debugging_mvcc_events_total etcd_debugging_mvcc_keys_total etcd_debugging_mvcc_pending_events_total
etcd_debugging_mvcc_slow_watcher_total etcd_debugging_mvcc_watch_stream_total etcd_debugging_mvcc_watcher_total
etcd_debugging_server_lease_expired_total etcd_debugging_store_watchers etcd_disk_backend_commit_duration_seconds_bucket
etcd_disk_backend_defrag_duration_seconds_bucket etcd_disk_backend_snapshot_duration_seconds_bucket etcd_disk_defrag_inflight
etcd_disk_wal_fsync_duration_seconds_bucket etcd_disk_wal_write_bytes_total etcd_disk_wal_write_duration_seconds_sum
etcd_grpc_proxy_cache_hits_total etcd_mvcc_db_open_read_transactions etcd_mvcc_db_total_size_in_bytes
etcd_mvcc_db_total_size_in_use_in_bytes etcd_mvcc_delete_total etcd_mvcc_hash_duration_seconds_bucket
etcd_mvcc_hash_rev_duration_seconds_bucket etcd_mvcc_put_total etcd_mvcc_range_total etcd_mvcc_txn_total
etcd_network_client_grpc_received_bytes_total etcd_network_client_grpc_sent_bytes_total
etcd_server_apply_duration_seconds_bucket etcd_server_client_requests_total etcd_server_go_version etcd_server_has_leader
etcd_server_health_failures etcd_server_health_success etcd_server_heartbeat_send_failures_total etcd_server_is_leader
etcd_server_is_learner etcd_server_leader_changes_seen_total etcd_server_learner_promote_successes
etcd_server_proposals_applied_total etcd_server_proposals_committed_total etcd_server_proposals_failed_total
etcd_server_proposals_pending etcd_server_quota_backend_bytes etcd_server_range_duration_seconds_bucket
etcd_server_read_indexes_failed_total etcd_server_request_duration_seconds_bucket etcd_server_slow_apply_total
etcd_server_slow_read_indexes_total etcd_server_snapshot_apply_in_progress_total etcd_server_version
etcd_snap_db_fsync_duration_seconds_bucket etcd_snap_db_save_total_duration_seconds_bucket
etcd_snap_fsync_duration_seconds_bucket os_fd_limit os_fd_used process_resident_memory_bytes process_cpu_seconds_total
process_open_fds process_max_fds process_virtual_memory_bytes process_start_time_seconds raftkv_build_info
""".split()


def test_series_that_dashboards_and_alerts_use_exist_right_after_the_start(metrics):
    """A rate over a series that appears late begins with a gap; an alert on one that is not there never fires."""
    found = parsed(metrics)
    assert [name for name in ALWAYS_THERE if name not in found] == []


def test_histogram_buckets_are_cumulative_and_agree_with_the_count(metrics):
    for value in (0.0005, 0.001, 0.0011, 5.0, 100.0):
        metrics.wal_fsync.observe(value)
    found = parsed(metrics)
    name = "etcd_disk_wal_fsync_duration_seconds"
    buckets = found[f"{name}_bucket"]
    assert buckets['{le="0.001"}'] == 2, "a bound belongs to its bucket"
    assert buckets['{le="0.002"}'] == 3 and buckets['{le="8.192"}'] == 4 and buckets['{le="+Inf"}'] == 5
    assert list(buckets.values()) == sorted(buckets.values())
    assert found[f"{name}_count"][""] == 5 and found[f"{name}_sum"][""] == pytest.approx(105.0026)


def test_histogram_bounds_are_etcds(metrics):
    """Dashboards aggregate over etcd and us: unequal bounds would make nonsense of the quantiles."""
    assert metrics.wal_fsync.bounds == exponential(0.001, 2, 14) and metrics.wal_fsync.bounds[-1] == pytest.approx(8.192)
    assert metrics.family("etcd_network_peer_round_trip_time_seconds").bounds == exponential(0.0001, 2, 16)
    assert metrics.family("etcd_server_apply_duration_seconds").bounds == exponential(0.0001, 2, 20)


def test_label_values_are_escaped(metrics):
    metrics.family("etcd_server_client_requests_total").number("unary", 'a"b\\c\nd').value = 7
    assert parsed(metrics)["etcd_server_client_requests_total"]['{type="unary",client_api_version="a\\"b\\\\c\\nd"}'] == 7


def test_families_without_series_are_not_shown(metrics):
    assert "etcd_network_peer_sent_bytes_total" not in metrics.render().decode()
    metrics.family("etcd_network_peer_sent_bytes_total").number("abc").value = 3
    assert parsed(metrics)["etcd_network_peer_sent_bytes_total"] == {'{To="abc"}': 3}


def test_label_sets_are_bounded_and_the_rest_is_counted_together(metrics):
    family = metrics.family("etcd_server_client_requests_total")
    for number in range(2 * LABEL_SETS_MAX):
        family.number("unary", f"v{number}").value += 1
    assert len(family.children) == LABEL_SETS_MAX + 1
    assert sum(child.value for child in family.children.values()) == 2 * LABEL_SETS_MAX
    assert family.number("unary", "v0").value == 1


def test_replace_drops_what_is_gone(metrics):
    family = metrics.family("etcd_debugging_server_alarms")
    family.replace({("1", "NOSPACE"): 1, ("2", "NOSPACE"): 1})
    family.replace({("2", "NOSPACE"): 1})
    assert list(family.children) == [("2", "NOSPACE")]


def test_collectors_run_at_each_scrape(metrics):
    runs = []
    metrics.collect_with(lambda: runs.append(1))
    metrics.render()
    metrics.render()
    assert len(runs) == 2


def test_two_members_share_nothing(metrics):
    metrics.puts.value += 5
    assert Metrics(version="0.1.0", etcd_version="3.7.0").puts.value == 0


def test_large_numbers_are_written_whole(metrics):
    metrics.number("etcd_server_quota_backend_bytes").value = 2**53 - 1
    metrics.number("etcd_mvcc_db_total_size_in_bytes").value = 2147483648.0
    found = metrics.render().decode()
    assert "etcd_server_quota_backend_bytes 9007199254740991\n" in found
    assert "etcd_mvcc_db_total_size_in_bytes 2147483648\n" in found


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="needs /proc")
def test_process_values_are_this_processes(metrics):
    process_collector(metrics)()
    assert 1 << 20 < metrics.number("process_resident_memory_bytes").value < 1 << 40
    assert metrics.number("process_resident_memory_bytes").value <= metrics.number("process_virtual_memory_bytes").value
    assert 0 < metrics.number("process_open_fds").value <= metrics.number("process_max_fds").value
    assert metrics.number("process_cpu_seconds_total").value > 0
    assert metrics.number("process_start_time_seconds").value > 1_600_000_000
