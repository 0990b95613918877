"""Every workload on a simulated cluster with pauses and a crash: a right store is found valid, and a seed gives one history."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from jepsen_like import hashes
from jepsen_like.checker import hashkv
from jepsen_like.checker.verdict import Verdict, merged
from jepsen_like.history import History, KeyValue, Operation, RangeArgument, RangeResult, line_of
from jepsen_like.sim.cluster import SimulatedCluster, simulate
from jepsen_like.sim.world import SimulatedWorld
from jepsen_like.workload import catalog
from jepsen_like.workload.kubernetes import CACHE, Kubernetes, check_caches
from jepsen_like.workload.session import Session

LOAD_S = 6.0
NAMES = [entry.name for entry in catalog.WORKLOADS]


def simulated(name: str, seed: int, *, faults: bool = True) -> tuple[History, Verdict]:
    """One run: its history and what its workload makes of it."""
    history = History()
    workload = catalog.make(name)

    async def scenario(cluster: SimulatedCluster) -> None:
        cluster.start()
        await cluster.serving()
        world = SimulatedWorld(cluster, history)
        async with asyncio.TaskGroup() as group:
            group.create_task(workload.run(world, until_s=world.now_s() + LOAD_S, rate=100.0))
            if faults:
                group.create_task(trouble(cluster))
        await workload.finish(world)
        await hashes.ask(world)
        world.recorder.close()

    simulate(seed, scenario)
    return history, merged((workload.check(history), hashkv.check(history)))


async def trouble(cluster: SimulatedCluster) -> None:
    """Pauses each member for a while, and kills the leader."""
    for member in cluster.members:
        await asyncio.sleep(0.4)
        member.pause()
        await asyncio.sleep(0.8)
        member.resume()
    leader = cluster.leader() or cluster.members[0]
    leader.crash()
    await asyncio.sleep(0.3)
    leader.start()
    await cluster.serving()


def text_of(history: History) -> list[str]:
    kinds: list[Any] = [history.operations, history.watches, history.responses, history.marks]
    return [line_of(record) for records in kinds for record in records]


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_workload_under_pauses_and_a_crash_gives_the_expected_verdict(name):
    """No false alarm on a right store; what is expected to fail is not held against it either way but the positive control."""
    history, verdict = simulated(name, seed=1)
    entry = catalog.entry_of(name)
    acknowledged = sum(one.outcome == "ok" for one in history.operations)
    assert acknowledged >= entry.ok_per_s_min * LOAD_S
    assert verdict.checked
    if entry.expected == catalog.VALID:
        assert verdict.valid, [one.explanation for one in verdict.anomalies[:3]] + list(verdict.reasons)
    if entry.expected == catalog.INVALID:
        assert verdict.outcome == "invalid"


@pytest.mark.slow
@pytest.mark.parametrize("name", ["kubernetes", "lock"])
def test_workload_of_one_seed_gives_one_history(name):
    """Whatever a workload draws comes from the world's streams, and it reads no clock of its own."""
    first, second = simulated(name, seed=3), simulated(name, seed=3)
    assert text_of(first[0]) == text_of(second[0])
    assert text_of(first[0]) != text_of(simulated(name, seed=4)[0])


def test_unknown_workload_is_refused_with_the_list_of_known_ones():
    with pytest.raises(catalog.UnknownWorkloadError, match="there are register, txn, append"):
        catalog.make("regsiter")


def test_cache_that_misses_an_object_is_found_beside_the_store():
    """An informer's cache must equal the store at its revision."""
    kvs = (KeyValue("p/a", "1", 2, 2, 1), KeyValue("p/b", "2", 3, 4, 2))
    whole = Operation(0, "range", "p/", RangeArgument("p0", 0, 9), RangeResult(kvs, 2), 10, 11, "ok", 9)
    right = Operation(1, CACHE, "p/", 9, (("p/a", 2), ("p/b", 4)), 1, 2, "ok", 9, "n1")
    wrong = right._replace(result=(("p/a", 2), ("p/b", 3)))
    assert check_caches(History([right, whole])).valid
    assert check_caches(History([wrong, whole])).kinds == ("cache-diverged",)
    assert check_caches(History([right])).outcome == "unknown"


def test_write_applied_after_the_last_one_is_held_against_no_cache():
    """Caches are compared at the revision they stand at: a write of unknown outcome may be applied after the last write, and be shown."""
    history = History()
    workload = Kubernetes()

    async def late(cluster: SimulatedCluster, world: SimulatedWorld) -> None:
        """While one informer has yet to see the last write, the store goes on."""
        behind = next(member for member in reversed(cluster.members) if member is not cluster.leader())
        behind.pause()
        await cluster.until(lambda: any(one.key == "registry/last" and one.outcome == "ok" for one in history.operations))
        session = Session(world, cluster.members[0].host)
        assert await session.put("registry/pods/late", "late") is not None
        await session.aclose()
        behind.resume()

    async def scenario(cluster: SimulatedCluster) -> None:
        cluster.start()
        await cluster.serving()
        world = SimulatedWorld(cluster, history)
        await workload.run(world, until_s=world.now_s() + 0.2, rate=50.0)
        async with asyncio.TaskGroup() as group:
            group.create_task(late(cluster, world))
            group.create_task(workload.finish(world))
        world.recorder.close()

    simulate(1, scenario)
    caches = [one for one in history.operations if one.f == CACHE]
    assert [one.member for one in caches] == ["m0", "m1", "m2"]
    assert any("registry/pods/late" in dict(one.result) for one in caches)
    verdict = workload.check(history)
    assert verdict.valid, [one.explanation for one in verdict.anomalies] + list(verdict.reasons)


def test_cache_that_was_never_whole_leaves_the_run_undecided():
    """A member that gives no list for a minute after the last write has shown nothing: neither that it is right nor that it is wrong."""
    history = History()
    workload = Kubernetes()

    async def scenario(cluster: SimulatedCluster) -> None:
        cluster.start()
        await cluster.serving()
        away = next(member for member in cluster.members if member is not cluster.leader())
        away.pause()
        world = SimulatedWorld(cluster, history)
        await workload.run(world, until_s=world.now_s() + 0.2, rate=50.0)
        await workload.finish(world)
        world.recorder.close()

    simulate(1, scenario)
    verdict = workload.check(history)
    (reason,) = verdict.reasons
    assert (verdict.outcome, "was not compared: no whole list within 60 s" in reason) == ("unknown", True), verdict
