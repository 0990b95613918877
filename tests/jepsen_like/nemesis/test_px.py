"""Faults through proxies, which need no privileges: each sees its own effect, and the cluster serves again."""

from __future__ import annotations

import pytest

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("name", ["kill", "kill-all", "pause", "pause-all", "restart-rolling"])
def test_process_fault_is_seen_and_survived(scenes, name):
    """What was done to processes is read from the kernel and from exit statuses."""
    record = scenes("PX").inject(name)
    assert record.verified, record


@pytest.mark.parametrize(
    "name",
    ["partition-isolate", "partition-halves", "partition-bridge", "partition-one-way", "partition-clients", "partition-majorities-ring"],
)
def test_partition_is_seen_and_survived(scenes, name):
    """The proxies counted what they held back."""
    record = scenes("PX", 5 if name == "partition-majorities-ring" else 3).inject(name)
    assert record.verified, record


@pytest.mark.parametrize("name", ["partition-flapping", "delay", "loss", "reorder", "rate", "reset", "accept-stall"])
def test_traffic_fault_is_seen_and_survived(scenes, name):
    """The proxies measured what they did to streams."""
    record = scenes("PX").inject(name, hold_s=0.6)
    assert record.verified, record
