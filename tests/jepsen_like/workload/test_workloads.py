"""Every workload on a simulated cluster with pauses and a crash: a right store is found valid, and a seed gives one history."""

from __future__ import annotations

import asyncio
import io
import itertools
from collections.abc import Callable
from typing import Any

import pytest

from jepsen_like import hashes
from jepsen_like.checker import hashkv, watch
from jepsen_like.checker.verdict import Verdict, merged
from jepsen_like.history import History, HistoryWriter, KeyValue, Operation, RangeArgument, RangeResult, line_of, load
from jepsen_like.sim.cluster import SimulatedCluster, simulate
from jepsen_like.sim.world import SimulatedWorld
from jepsen_like.workload import catalog
from jepsen_like.workload.kubernetes import CACHE, Kubernetes, check_caches
from jepsen_like.workload.leases import LEFT_ALONE
from jepsen_like.workload.session import Session
from jepsen_like.workload.watching import Wanted, Watcher, awaited_of, read_to

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


def reread(history: History) -> History:
    """As it is read from the file that a run writes."""
    stream = io.StringIO()
    writer = HistoryWriter(stream, {})
    for records in (history.watches, history.operations, history.responses, history.marks):
        for record in records:
            writer.write(record)
    writer.close()
    return load(stream.getvalue().splitlines())


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
    assert text_of(reread(history)) == text_of(history)
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


def watching_of(history: History, scenario: Callable[[SimulatedCluster, SimulatedWorld], Any]) -> None:
    """A scenario on a cluster that serves, written to the history."""

    async def whole(cluster: SimulatedCluster) -> None:
        cluster.start()
        await cluster.serving()
        world = SimulatedWorld(cluster, history)
        await scenario(cluster, world)
        world.recorder.close()

    simulate(1, whole)


async def cancelled(watcher: Watcher, world: SimulatedWorld, *, for_s: float, keep: bool) -> None:
    """Reads for a while."""
    async with asyncio.TaskGroup() as group:
        reading = group.create_task(watcher.run(keep=keep))
        await world.sleep(for_s)
        reading.cancel()


def test_watch_that_is_kept_open_is_read_on_by_the_next_run():
    """A watch that is made anew would hide that the one before was sent nothing."""
    history = History()
    numbers = itertools.count()

    async def scenario(cluster: SimulatedCluster, world: SimulatedWorld) -> None:
        kept, left = (Watcher(world, world.members[0], Wanted("k", since=1), lambda: next(numbers)) for _ in range(2))
        await cancelled(kept, world, for_s=1.0, keep=True)
        await cancelled(left, world, for_s=1.0, keep=False)
        session = Session(world, world.members[1])
        last = await session.put("k", "v")
        await session.aclose()
        assert last is not None
        await read_to(world, [kept, left], last.revision)

    watching_of(history, scenario)
    assert [one.watch for one in history.watches] == [0, 1, 2]
    assert [response.watch for response in history.responses if response.events] == [0, 2]
    awaited = awaited_of(reread(history))
    assert awaited.kept == {0, 2}
    assert watch.check(history, closed=False, awaited=awaited.revisions, kept=awaited.kept).valid


@pytest.mark.parametrize("serves", [True, False])
def test_watch_that_stays_silent_is_blamed_only_where_its_member_answers(serves):
    """An open watch that never shows what it was waited for is the server's doing, unless its member is away."""
    history = History()

    async def scenario(cluster: SimulatedCluster, world: SimulatedWorld) -> None:
        member = next(one for one in cluster.members if one is not cluster.leader())
        silent = Watcher(world, member.host, Wanted("k", since=1), lambda: 0)
        await cancelled(silent, world, for_s=1.0, keep=True)
        session = Session(world, next(one.host for one in cluster.members if one is not member))
        last = await session.put("of another key", "v")
        await session.aclose()
        if not serves:
            member.pause()
        assert last is not None
        await read_to(world, [silent], last.revision)
        member.resume()

    watching_of(history, scenario)
    awaited = awaited_of(history)
    assert 0 in awaited.revisions
    verdict = watch.check(history, closed=False, awaited=awaited.revisions, kept=awaited.kept)
    assert (verdict.outcome, verdict.kinds) == (("invalid", ("watch-stalled",)) if serves else ("unknown", ()))


def test_lease_workload_waits_until_every_lease_has_gone():
    """Leases end: whatever happened to one, at the end somebody has seen it gone."""
    history, verdict = simulated("lease", seed=2, faults=False)
    assert verdict.valid, [one.explanation for one in verdict.anomalies]
    gone = {
        one.key for one in history.operations if one.outcome == "ok" and (one.f == "revoke" or (one.f == "lease-ttl" and one.result <= 0))
    }
    granted = {one.key for one in history.operations if one.f == "grant" and one.outcome == "ok"}
    assert granted and granted <= gone
    alone = next(mark.start_ns for mark in history.marks if mark.detail == LEFT_ALONE)
    assert not any(one.f in ("grant", "keepalive") and one.complete_ns > alone for one in history.operations)
    assert max(one.complete_ns for one in history.operations if one.f == "lease-ttl") < alone + 10e9
