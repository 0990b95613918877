"""All members lose what they had not synced, at one instant, under load; twice: on traced files, and on real disks."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable

import pytest

from jepsen_like.cluster import Cluster, loop_disk
from jepsen_like.cluster.cluster import LOOP, TRACE
from jepsen_like.cluster.instrumented.traced_files import Cut, Loss
from jepsen_like.cluster.power import TracedPower
from tests.crash.load import Load, check
from tests.support.write_history import Outcome

pytestmark = pytest.mark.slow

SEED = 30
WRITES_MIN = 1000
"""Acknowledged writes in each round, before the cut."""

KILLED_FIRST = 0.3
"""Rounds in which a member is killed and started again before the power goes: what it had not synced stays unsynced."""

FLAGS = ("--snapshot-count=700", "--snapshot-catchup-entries=200")
"""Snapshots and log cuts in every round."""


async def cut_rounds(
    cluster: Cluster, load: Load, count: int, rng: random.Random, cut: Callable[[], None], *, kill_first: float = KILLED_FIRST
) -> None:
    """So many times: load, power cut of everything, start."""
    async with load.running():
        for number in range(count):
            await load.wait_acknowledged(WRITES_MIN + rng.randrange(200))
            if number % 2 and rng.random() < kill_first * 2:
                victim = rng.choice(cluster.members)
                cluster.kill(victim)
                cluster.start(victim)
                await cluster.until(lambda victim=victim: not victim.running or "established" in victim.log_tail(), "it meets its peers")
            cut()
            cluster.start()
            await cluster.wait_healthy()


def figures(load: Load, count: int, **more: int) -> dict[str, int]:
    """What a run did."""
    return {
        "power_cuts": count,
        "acknowledged_writes": load.acknowledged,
        "unknown_writes": load.history.count(Outcome.UNKNOWN),
        "refused_writes": load.history.count(Outcome.REFUSED),
        "operations_checked": len(load.history.operations),
        **more,
    }


def traced(cluster: Cluster) -> TracedPower:
    """The cluster's disks, which were asked for as traced files."""
    assert isinstance(cluster.power, TracedPower)
    return cluster.power


class TestTracedFiles:
    """Every file is cut back to what was synced, or to any state in between; the store is the journal one."""

    def test_power_cut_of_all_loses_no_acknowledged_write(self, tmp_path, rounds, report):
        """Done when 3, without root: nothing acknowledged is missing, no revision is reused, hashes agree."""

        async def run() -> None:
            rng = random.Random(SEED)
            cuts: list[Cut] = []
            async with Cluster(tmp_path, flags=(*rounds.flags, *FLAGS), instruments={TRACE}) as cluster:
                cluster.start()
                await cluster.wait_healthy()
                load = Load(cluster, SEED)
                await cut_rounds(cluster, load, rounds.power_cuts, rng, lambda: cuts.append(traced(cluster).take(cluster.members, rng)))
                faults = await check(cluster, load)
            lost = Cut(*(sum(values) for values in zip(*((cut.files, cut.bytes, cut.names) for cut in cuts), strict=True)))
            report(figures(load, len(cuts), files_cut=lost.files, unsynced_bytes=lost.bytes, names_undone=lost.names))
            assert load.acknowledged >= WRITES_MIN * rounds.power_cuts
            assert not faults, "\n".join(faults[:20])

        asyncio.run(run())

    def test_power_cut_of_members_that_do_not_sync_is_found_out(self, tmp_path, rounds):
        """The test of the test: with a datasync that does nothing, the check must find acknowledged writes missing."""

        async def run() -> list[str]:
            rng = random.Random(SEED)
            async with Cluster(tmp_path, flags=rounds.flags, instruments={TRACE}) as cluster:
                await found_cluster(cluster)
                traced(cluster).honest = False
                return await faults_after_cut(cluster, lambda: traced(cluster).take(cluster.members, rng, (Loss.ALL,)))

        faults = asyncio.run(run())
        assert sum(fault.startswith("lost: ") for fault in faults) > WRITES_MIN / 2, faults[:5]


class TestRealDisks:
    """Unmodified members with LMDB, each on an ext4 of its own that stops at once: page cache, journal and all."""

    @pytest.fixture(autouse=True)
    def available(self) -> None:
        """Loop devices need root."""
        why = loop_disk.unavailable_because()
        if why:
            pytest.skip(f"not available: {why}")

    def test_power_cut_of_all_loses_no_acknowledged_write(self, tmp_path, rounds, report):
        """Done when 3, with root: nothing acknowledged is missing, no revision is reused, hashes agree."""

        async def run() -> None:
            rng = random.Random(SEED)
            async with Cluster(tmp_path, flags=(*rounds.flags, *FLAGS), instruments={LOOP}) as cluster:
                cluster.start()
                await cluster.wait_healthy()
                load = Load(cluster, SEED)
                await cut_rounds(cluster, load, rounds.power_cuts, rng, lambda: switch_off(cluster, rng))
                faults = await check(cluster, load)
            report(figures(load, rounds.power_cuts))
            assert load.acknowledged >= WRITES_MIN * rounds.power_cuts
            assert not faults, "\n".join(faults[:20])

        asyncio.run(run())

    def test_power_cut_of_members_that_do_not_sync_is_found_out(self, tmp_path, rounds):
        """The test of the test: with `--unsafe-no-fsync` the check must find acknowledged writes missing."""

        async def run() -> list[str]:
            rng = random.Random(SEED)
            async with Cluster(tmp_path, flags=rounds.flags, instruments={LOOP}) as cluster:
                await found_cluster(cluster)
                cluster.flags.append("--unsafe-no-fsync")
                return await faults_after_cut(cluster, lambda: switch_off(cluster, rng))

        faults = asyncio.run(run())
        assert sum(fault.startswith("lost: ") for fault in faults) > WRITES_MIN / 2, faults[:5]


def switch_off(cluster: Cluster, rng: random.Random) -> None:
    """The disks stop within a millisecond of each other; what the members do in that time they do without a disk."""
    assert cluster.power is not None
    cluster.power.cut(rng.sample(cluster.members, len(cluster.members)), rng)


async def found_cluster(cluster: Cluster) -> None:
    """Members that have met and stopped in order, everything synced."""
    cluster.start()
    await cluster.wait_healthy()
    cluster.terminate()
    for member in cluster.members:
        await cluster.wait_ended(member)


async def faults_after_cut(cluster: Cluster, cut: Callable[[], object]) -> list[str]:
    """What the check finds after one power cut under load."""
    cluster.start()
    await cluster.wait_healthy()
    load = Load(cluster, SEED)
    async with load.running():
        await load.wait_acknowledged(WRITES_MIN)
        cut()
    cluster.start()
    await cluster.wait_healthy()
    return await check(cluster, load)
