"""Faults that do not look inside are the same to another server: Debian's etcd, where it is installed, as a control."""

from __future__ import annotations

import pytest

from jepsen_like.cluster import namespaces
from jepsen_like.cluster.systems import SYSTEMS

WHY_NOT = SYSTEMS["etcd"].unavailable_because()

pytestmark = [pytest.mark.slow, pytest.mark.skipif(bool(WHY_NOT), reason=f"not available: {WHY_NOT}")]


@pytest.mark.parametrize(
    "name",
    ["kill", "pause", "partition-isolate", "partition-one-way", "delay", "reset", "leader-moves", "wipe", "bit-rot"],
)
def test_fault_of_etcd_is_seen_and_survived(scenes, name):
    """Proxies know who sends without a word of the protocol."""
    record = scenes("PX", system="etcd").inject(name, hold_s=0.6)
    assert record.verified, record


@pytest.mark.skipif(bool(namespaces.unavailable_because()), reason=f"not available: {namespaces.unavailable_because()}")
@pytest.mark.parametrize("name", ["partition-isolate", "loss", "corrupt"])
def test_fault_of_etcd_in_namespaces_is_seen_and_survived(scenes, name):
    record = scenes("NS", system="etcd").inject(name, hold_s=0.6)
    assert record.verified, record


@pytest.mark.parametrize("name", ["clock-jump", "disk-full", "failpoint", "torn-write", "snapshot-install"])
def test_fault_inside_etcd_is_not_available(scenes, name):
    """It is skipped with a reason, never taken as passed."""
    with pytest.raises(pytest.skip.Exception, match="not available"):
        scenes("PX", system="etcd").inject(name)
