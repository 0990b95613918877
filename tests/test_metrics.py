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


def etcds_metrics() -> list[list[str]]:
    """Name, kind, labels, buckets and `start` of each metric of etcd 3.7."""
    lines = Path(__file__).with_name("etcd_metrics.tsv").read_text().splitlines()[1:]
    return [(line + "\t" * 4).split("\t")[:5] for line in lines]


def test_every_metric_of_etcds_is_registered_alike(metrics):
    """Dashboards aggregate over etcd and us: other kinds, labels or bounds would make nonsense of their queries."""
    for name, kind, labels, buckets, _ in etcds_metrics():
        family = metrics.family(name)
        bounds = exponential(*map(float, buckets.split(",")[:2]), int(buckets.split(",")[2])) if buckets else ()
        assert (family.kind, family.label_names) == (kind, tuple(labels.split(",")) if labels else ()), name
        assert family.bounds == pytest.approx(bounds), name


SET_BY_THE_MEMBER = {"etcd_cluster_version", "etcd_server_id", "etcd_network_known_peers"}
"""Their labels are not known to the registry; tests/rpc looks at them."""


def test_series_that_dashboards_and_alerts_use_exist_right_after_the_start(metrics):
    """A rate over a series that appears late begins with a gap; an alert on one that is not there never fires."""
    found = parsed(metrics)
    for name, kind, _, _, start in etcds_metrics():
        if start and name not in SET_BY_THE_MEMBER:
            assert (f"{name}_bucket" if kind == "histogram" else name) in found
    for name in ("cpu_seconds_total", "open_fds", "max_fds", "resident_memory_bytes", "virtual_memory_bytes", "start_time_seconds"):
        assert f"process_{name}" in found
    assert found["raftkv_build_info"]


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
