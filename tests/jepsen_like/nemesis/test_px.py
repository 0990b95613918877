"""Faults through proxies, which need no privileges: each sees its own effect, and the cluster serves again."""

from __future__ import annotations

import pytest

from jepsen_like import ledger
from jepsen_like.checker import membership
from jepsen_like.checker.membership import ADD, LIST, PROMOTE, REMOVE
from jepsen_like.nemesis import FAULTS
from raftkv.client import AsyncClient
from tests.jepsen_like.nemesis.conftest import QUICK

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
    record = scenes("PX", 4 if name == "partition-majorities-ring" else 3).inject(name)
    assert record.verified, record


@pytest.mark.parametrize("name", ["partition-flapping", "delay", "loss", "reorder", "rate", "reset", "accept-stall"])
def test_traffic_fault_is_seen_and_survived(scenes, name):
    """The proxies measured what they did to streams."""
    record = scenes("PX").inject(name, hold_s=2.0 if name == "reorder" else 0.6)
    assert record.verified, record


@pytest.mark.parametrize("name", ["clock-jump", "clock-strobe"])
def test_clock_that_was_wrong_is_told_until_it_is_right_again(scenes, name):
    """For the report: how far it was off, as the member read it, and that it no longer is."""
    scene = scenes("PX", instruments=("clock", "files", "failpoints"))
    earlier = len(scene.marks.records)
    record = scene.inject(name, hold_s=0.5)
    marks = [mark for mark in scene.marks.records[earlier:] if mark.kind == ledger.CLOCK]
    assert {mark.detail["member"] for mark in marks} == set(record.targets)
    assert max(abs(mark.detail["offset_s"]) for mark in marks) > 0.3
    assert all(abs(mark.detail["offset_s"]) < 0.3 for mark in marks[-len(record.targets) :])


@pytest.mark.parametrize("name", ["clock-jump", "clock-strobe", "clock-skew", "disk-full", "fsync-error", "disk-slow", "failpoint"])
def test_fault_inside_a_member_is_seen_and_survived(scenes, name):
    """The member itself wrote down what its clocks and files did."""
    record = scenes("PX", instruments=("clock", "files", "failpoints")).inject(name, hold_s=0.5)
    assert record.verified, record


@pytest.mark.parametrize("name", ["torn-write", "power-cut", "power-cut-all"])
def test_loss_of_power_is_seen_and_survived(scenes, name):
    """Something was at stake, and is gone."""
    record = scenes("PX", instruments=("trace", "failpoints")).inject(name, hold_s=0.0)
    assert record.verified, record


def test_replaced_member_is_promoted_and_every_call_is_written_down(scenes):
    """The checks know of members' coming and going what the fault's calls say; a learner that catches up becomes a voter."""
    scene = scenes("PX")
    for seed in range(1, 6):
        assert scene.inject("member-replace", hold_s=0.0, seed=seed).verified
        promoted = [one for one in scene.marks.calls if one.f == PROMOTE and one.outcome == "ok"]
        if promoted:
            break
    assert promoted
    assert {one.f for one in scene.marks.calls} == {LIST, ADD, PROMOTE, REMOVE}
    assert membership.check(scene.marks.calls).valid


@pytest.mark.parametrize("name", ["bit-rot", "wipe", "starve", "leader-moves"])
def test_other_fault_is_seen_and_survived(scenes, name):
    """What needs no instrument: a refused start, and what members say of themselves."""
    record = scenes("PX").inject(name, hold_s=0.6)
    assert record.verified, record


def test_snapshot_is_installed_and_survived(scenes):
    """A follower that lacks what the log no longer has."""
    record = scenes("PX", flags=(*QUICK, *FAULTS["snapshot-install"].flags)).inject("snapshot-install", hold_s=0.0)
    assert record.verified, record


def test_compaction_is_seen_and_survived(scenes):
    """There has to be history to forget. The checks must know what was compacted, and when: a watcher behind it is shown less."""
    scene = scenes("PX")

    async def write() -> None:
        async with AsyncClient(scene.cluster.endpoints) as client:
            for number in range(60):
                await client.put(b"k%d" % (number % 5), b"%d" % number)

    scene.runner.run(write())
    record = scene.inject("compaction", hold_s=0.3)
    assert record.verified, record
    asked = [one.argument for one in scene.marks.calls if one.f == "compact" and one.outcome == "ok"]
    assert asked and f"{len(asked)} compactions" in record.effect
