"""Members of a real cluster are killed under load: processes, sockets, LMDB and fsync as in production."""

from __future__ import annotations

import asyncio
import random
import statistics
from typing import Any

import pytest

from jepsen_like.cluster import Cluster, ClusterError
from tests.crash.load import Load, check
from tests.support.write_history import Outcome

pytestmark = pytest.mark.slow

SEED = 20
WRITES_MIN = 1000
"""Acknowledged writes in each round, before the kill."""

LEADER_SHARE = 0.5
"""Kills that hit the leader on purpose; the others hit anybody."""


def percentiles(times_s: list[float]) -> dict[str, Any]:
    """Median, p99 and maximum, in milliseconds."""
    ordered = sorted(times_s)
    if not ordered:
        return {}
    p99 = ordered[min(len(ordered) - 1, round(0.99 * len(ordered)))]
    return {
        "leader_kills": len(ordered),
        "next_write_ms_median": round(statistics.median(ordered) * 1000),
        "next_write_ms_p99": round(p99 * 1000),
        "next_write_ms_max": round(ordered[-1] * 1000),
    }


async def kill_rounds(cluster: Cluster, load: Load, count: int, rng: random.Random) -> list[float]:
    """Kills and restarts a member so many times; the seconds without a successful write after each leader's death."""
    outages_s: list[float] = []
    async with load.running():
        for number in range(count):
            await load.wait_acknowledged(WRITES_MIN + rng.randrange(200))
            leader = await cluster.leader()
            # The first kill is the leader's, so that the shortest run has one.
            victim = leader if number == 0 or rng.random() < LEADER_SHARE else rng.choice(cluster.members)
            mark_s = load.mark()
            cluster.kill(victim)
            if victim is leader:
                outages_s.append(await load.first_write_after(mark_s))
            cluster.start(victim)
            await cluster.wait_healthy(victim)
    return outages_s


def test_member_killed_again_and_again_loses_no_acknowledged_write(tmp_path, rounds, report):
    """Done when 3: kill -9 of a random member under load; nothing acknowledged is missing, no revision is reused, hashes agree."""

    async def run() -> None:
        rng = random.Random(SEED)
        async with Cluster(tmp_path, flags=(*rounds.flags, "--snapshot-count=2000", "--snapshot-catchup-entries=500")) as cluster:
            cluster.start()
            await cluster.wait_healthy()
            load = Load(cluster, SEED)
            outages_s = await kill_rounds(cluster, load, rounds.kills, rng)
            faults = await check(cluster, load)
        history = load.history
        report(
            {
                "kills": rounds.kills,
                "acknowledged_writes": load.acknowledged,
                "unknown_writes": history.count(Outcome.UNKNOWN),
                "refused_writes": history.count(Outcome.REFUSED),
                "operations_checked": len(history.operations),
                **percentiles(outages_s),
                "next_write_ms": [round(outage_s * 1000) for outage_s in outages_s],
            }
        )
        assert load.acknowledged >= WRITES_MIN * rounds.kills
        assert outages_s, "no leader was killed"
        assert not faults, "\n".join(faults[:20])

    asyncio.run(run())


def test_leader_stopped_by_sigterm_hands_over_and_dies_by_the_signal(tmp_path, rounds):
    """SIGTERM moves leadership before the end, answers what is in progress and is raised again: status 143, as etcd."""

    async def run() -> None:
        async with Cluster(tmp_path, flags=rounds.flags) as cluster:
            cluster.start()
            await cluster.wait_healthy()
            load = Load(cluster, SEED)
            async with load.running():
                await load.wait_acknowledged(WRITES_MIN)
                leader = await cluster.leader()
                cluster.terminate(leader)
                assert await cluster.wait_ended(leader) == 143
                assert "leadership is handed over before the stop" in leader.log_text()
                assert "could not be handed over" not in leader.log_text()
                # It followed its successor before it ended: leadership moved, it was not found missing.
                assert leader.log_text().count('"msg":"elected leader"') == 2
                assert await cluster.leader() is not leader
                await load.wait_acknowledged(WRITES_MIN)
            cluster.start(leader)
            await cluster.wait_healthy(leader)
            faults = await check(cluster, load)
            assert not faults, "\n".join(faults[:20])

    asyncio.run(run())


def test_wiped_member_is_refused_and_says_what_to_do(tmp_path, rounds):
    """Design rule 15: a member that lost its disk has forgotten its votes, so it may not come back under its old id."""

    async def run() -> None:
        async with Cluster(tmp_path, flags=rounds.flags) as cluster:
            cluster.start()
            await cluster.wait_healthy()
            load = Load(cluster, SEED)
            async with load.running():
                await load.wait_acknowledged(200)
            lost = await cluster.leader()
            cluster.kill(lost)
            lost.wipe()
            cluster.start(lost)
            assert await cluster.wait_ended(lost) == 1
            end = lost.log_tail()
            assert "has already been bootstrapped" in end
            assert "raftctl member remove" in end and "raftctl member add" in end
            with pytest.raises(ClusterError):
                await cluster.wait_healthy(lost, within_s=1)

    asyncio.run(run())
