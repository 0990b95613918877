"""Faults in network namespaces: what proxies cannot do, and the same faults on packets. Skipped, with the reason, where there are none."""

from __future__ import annotations

import pytest

from jepsen_like.cluster import loop_disk, namespaces

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(bool(namespaces.unavailable_because()), reason=f"not available: {namespaces.unavailable_because()}"),
]


@pytest.mark.parametrize(
    "name",
    ["partition-isolate", "partition-one-way", "partition-flapping", "delay", "loss", "duplicate", "reorder", "corrupt", "rate", "reset"],
)
def test_packet_fault_is_seen_and_survived(scenes, name):
    """The switch counted what it did to packets."""
    record = scenes("NS").inject(name, hold_s=0.6)
    assert record.verified, record


@pytest.mark.skipif(bool(loop_disk.unavailable_because()), reason=f"not available: {loop_disk.unavailable_because()}")
@pytest.mark.parametrize("name", ["power-cut", "lost-names", "power-cut-all"])
def test_loss_of_power_on_real_disks_is_seen_and_survived(scenes, name):
    """Unmodified members on ext4 that stops at once: what was not synced is gone, and names with it."""
    record = scenes("NS", instruments=("loop",)).inject(name, hold_s=0.0)
    assert record.verified, record
