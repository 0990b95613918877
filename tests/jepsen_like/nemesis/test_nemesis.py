"""A nemesis writes down what was seen, not what was asked for, and heals whatever it began."""

from __future__ import annotations

import asyncio
import random

import pytest

from jepsen_like import ledger
from jepsen_like.cluster import Cluster, ClusterError
from jepsen_like.cluster.proxies import Proxies
from jepsen_like.nemesis.fault import Fault
from jepsen_like.nemesis.nemesis import Nemesis
from jepsen_like.nemesis.registry import FAULTS
from jepsen_like.recorder import Recorder
from tests.jepsen_like.nemesis.conftest import Marks


class Trick(Fault):
    """Does nothing, and says what it is told to."""

    name = "trick"
    row = 1
    verified_by = "nothing"
    state = "down"
    healed = 0

    async def apply(self) -> None:
        self.targets = ("n1",)
        self.requested = "nothing"

    async def verify(self) -> None:
        self.expect(True, "seen")

    async def heal(self) -> None:
        type(self).healed += 1


class Blind(Trick):
    async def verify(self) -> None:
        self.expect(False, "0 packets")


class Broken(Trick):
    async def apply(self) -> None:
        raise OSError("no such device")


class Hopeless(Trick):
    async def heal(self) -> None:
        raise ClusterError("not healthy after 30 s")


@pytest.fixture
def cluster(tmp_path):
    """Of members that are never started."""
    made = Cluster(tmp_path, size=1)
    yield made
    asyncio.run(made.close())


def inject(cluster, fault):
    """One record, and all marks."""
    marks = Marks()
    clock = iter(range(1000))
    nemesis = Nemesis(cluster, [], random.Random(1), Recorder(marks, lambda: next(clock)))

    async def main():
        await nemesis.inject(fault, 0.0)

    try:
        asyncio.run(main())
    finally:
        record = nemesis.records[-1]
    return record, marks.records


def test_fault_that_was_seen_is_verified_and_marks_its_targets(cluster):
    record, marks = inject(cluster, Trick)
    assert (record.status, record.effect) == ("verified", "seen")
    assert [mark.kind for mark in marks] == [ledger.FAULT, ledger.MEMBER]
    assert marks[1].detail == {"member": "n1", "state": "down"}


def test_fault_that_was_not_seen_is_unverified(cluster):
    """A nemesis that silently does nothing must not count."""
    record, _ = inject(cluster, Blind)
    assert (record.status, record.effect) == ("unverified", "not seen: 0 packets")


def test_fault_that_could_not_be_done_is_healed_and_unverified(cluster):
    Broken.healed = 0
    record, _ = inject(cluster, Broken)
    assert (record.status, Broken.healed) == ("unverified", 1)
    assert "no such device" in record.effect


def test_cluster_that_does_not_recover_ends_the_run_and_is_written_down(cluster):
    nemesis = Nemesis(cluster, [], random.Random(1), Recorder(Marks(), lambda: 0))
    with pytest.raises(ClusterError):
        asyncio.run(nemesis.inject(Hopeless, 0.0))
    assert nemesis.count == {"verified": 1}


def test_fault_that_is_not_available_is_skipped_with_its_reason(cluster):
    """Asked for and not possible: neither passed nor forgotten."""
    marks = Marks()
    nemesis = Nemesis(cluster, ["clock-jump", "duplicate", "kill"], random.Random(1), Recorder(marks, lambda: 7))
    assert nemesis.count == {"skipped": 2}
    assert all(record.skipped and not record.verified for record in nemesis.records)
    assert len(marks.records) == 2


@pytest.mark.parametrize(
    ("size", "possible"),
    [
        (1, set()),
        (2, {"isolate", "halves", "one-way", "clients", "flapping"}),
        (3, {"isolate", "halves", "one-way", "clients", "flapping", "bridge"}),
    ],
)
def test_partition_of_too_few_members_is_skipped_with_its_reason(size, possible, tmp_path):
    """Cut on no direction at all it would only look as if it had been tried."""
    proxies = Proxies(1)
    try:
        cluster = Cluster(tmp_path, size=size, network=proxies)
        nemesis = Nemesis(cluster, ["partition"], random.Random(1), Recorder(Marks(), lambda: 7))
    finally:
        proxies.release()
    skipped = {record.name.removeprefix("partition-"): record.skipped for record in nemesis.records}
    assert skipped.keys() == {"isolate", "halves", "majorities-ring", "bridge", "one-way", "clients", "flapping"} - possible
    assert skipped["majorities-ring"] == "needs at least 4 members"


def test_lone_member_meets_no_fault_that_takes_another_or_would_look_like_lost_data(tmp_path):
    cluster = Cluster(tmp_path, size=1)
    few = {name for name, fault in FAULTS.items() if fault.impossible_because(cluster).endswith("members")}
    assert few >= {"wipe", "member-replace", "leader-moves", "snapshot-install"}
    assert not few & {"kill", "pause", "delay", "disk-full"}


def test_fault_that_never_had_its_turn_is_written_down(cluster):
    """Asked for, and the run was too short: nobody may think that the store met it."""
    marks = Marks()
    nemesis = Nemesis(cluster, ["kill", "pause"], random.Random(1), Recorder(marks, lambda: 7))
    nemesis.note_undrawn(12.3)
    assert {(record.name, record.status, record.skipped) for record in nemesis.records} == {
        ("kill", "skipped", "not drawn in 12 s"),
        ("pause", "skipped", "not drawn in 12 s"),
    }
    assert len(marks.records) == 2
