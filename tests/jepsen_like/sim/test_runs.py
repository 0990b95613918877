"""Whole runs: one seed is one run in any process, faults bite, and what is broken is seen."""

from __future__ import annotations

import json
import logging
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace

import pytest

from jepsen_like.checker.verdict import Findings
from jepsen_like.history import History, Operation
from jepsen_like.sim import limits, runs, shrinking, swarm
from jepsen_like.sim.faults.acts import ACTS
from jepsen_like.sim.scenario import Fault, Scenario


@pytest.fixture(autouse=True)
def _quiet() -> Iterator[None]:
    """What members log under faults is a book."""
    logging.disable(logging.CRITICAL)
    yield
    logging.disable(logging.NOTSET)


FRESH = "import json, logging; logging.disable(50); from jepsen_like.sim.runs import run; print(run({seed}, virtual_s=3).trace_hash)"


@pytest.mark.slow
@pytest.mark.parametrize("seed", [3, 21])
def test_run_of_one_seed_has_one_trace_hash(seed: int) -> None:
    """Twice in one process, and in a fresh one with another hash seed."""
    first = runs.run(seed, virtual_s=3)
    assert runs.run(seed, virtual_s=3).trace_hash == first.trace_hash
    assert runs.run(seed + 1, virtual_s=3).trace_hash != first.trace_hash
    environment = {**os.environ, "PYTHONHASHSEED": str(seed + 1000)}
    done = subprocess.run(
        [sys.executable, "-c", FRESH.format(seed=seed)], env=environment, capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stdout.strip() == first.trace_hash


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(1, 51))
def test_cluster_under_faults_keeps_its_promises(seed: int) -> None:
    """Design §4; nothing is found in any of these seeds (30 virtual seconds of load each)."""
    result = runs.run(seed, virtual_s=30)
    assert result.verdict in ("valid", runs.REJECTED), json.dumps(result.to_json())


@pytest.mark.slow
@pytest.mark.parametrize(
    ("seed", "virtual_s"), [(42, 10), (20046, 15), (79, 60), (196, 60), (315, 10), (748, 10), (777, 10), (804, 10), (10078, 15), (69, 60)]
)
def test_seed_that_found_a_defect_finds_none(seed: int, virtual_s: float) -> None:
    """42: a member published itself before its log held anything, and was refused as wiped. 20046: the checker of revisions was wrong.
    79: a failed write of a snapshot was forgotten when its sender went. 196: a snapshot that is refused was taken for such a one. 315:
    stores were compared while leases still ran out. 748: ends of connections on their way over a slow link were taken for watchers kept.
    777: a failed write of a snapshot ended the member only with the transfer. 804: caches were compared with the store before a late
    write that they had been shown. 10078: the end of a stream was lost with the process that had sent it, and was held
    against the next. 69: a process that had said that it ends was waiting for a slow disk, and was taken for one that goes on.

    What a seed draws has changed since the first two, so these are other runs now; what keeps them from coming back is their own
    tests, in `tests/server/test_rules.py` and `tests/jepsen_like/checker/test_order.py`.
    """
    assert runs.run(seed, virtual_s=virtual_s).verdict == "valid"


def test_scenario_survives_its_json() -> None:
    """A failing scenario is kept as text and run again from it."""
    for seed in range(20):
        scenario = swarm.scenario(seed)
        assert limits.scenario_of(scenario.to_json()) == scenario


def test_swarm_uses_every_fault_and_only_known_ones() -> None:
    """A fault nobody draws is a fault nobody tests."""
    drawn = {fault.kind for seed in range(200) for fault in swarm.scenario(seed).faults}
    assert drawn == set(ACTS)


def test_family_left_out_leaves_the_others_draws() -> None:
    """Each fault has its own stream: what is left when one goes is what it was."""
    scenario = swarm.scenario(5)
    fewer = replace(scenario, faults=scenario.faults[1:])
    assert fewer.faults == scenario.faults[1:] and len({fault.salt for fault in scenario.faults}) == len(scenario.faults)


@pytest.mark.slow
@pytest.mark.parametrize("kind", sorted(ACTS))
def test_fault_shows_its_effect(kind: str) -> None:
    """Each kind, alone, on a cluster of five: what it did is seen in one of two tries, and nothing is broken by it."""
    seen = False
    for salt in range(2):
        faults = tuple(Fault(kind, 0.6 + 1.6 * turn, 0.8, ("leader", "m1") if turn else ("m2",), 0.3 + 0.4 * turn, salt) for turn in (0, 1))
        scenario = Scenario(
            7 + salt,
            members=5,
            virtual_s=4.0,
            rate=150.0,
            settings={"snapshot_count": 20, "snapshot_catchup_entries": 2, "wal_segment_bytes": 8_000},
            faults=faults,
        )
        result = runs.run(7 + salt, scenario)
        assert result.verdict in ("valid", runs.REJECTED), json.dumps(result.to_json())
        seen = seen or bool(result.faults)
        if seen:
            return
    raise AssertionError(f"{kind} showed no effect")


@pytest.mark.slow
@pytest.mark.parametrize("seed", [1, 2])
def test_members_that_start_are_promoted_and_go_again_under_load(seed: int) -> None:
    """The good path: learners are added, catch up, are made voters and are replaced in their turn, beside others that never start."""
    faults = tuple(Fault("replace", 2.0 + 7 * turn, 1.0, ("leader",) if turn else ("m1",), 0.5, 10 * seed + turn) for turn in range(3))
    settings = {"snapshot_count": 20, "snapshot_catchup_entries": 2}
    result = runs.run(seed, Scenario(seed, virtual_s=25.0, workloads=("membership",), rate=40.0, settings=settings, faults=faults))
    assert result.verdict == "valid", json.dumps(result.to_json())
    assert sum(result.faults.values()) == 3 and result.reached["learner_promoted"]
    changes = Counter((one.f, one.outcome) for one in result.history.operations)
    assert changes["member-promote", "ok"] == result.reached["learner_promoted"]
    assert changes["member-add", "ok"] > 3 and changes["member-remove", "ok"] > 3


def test_line_of_an_invalid_seed_says_why() -> None:
    """In `reasons`, where lines of both simulations say it; `ops` counts what was answered with success, as the other's does."""
    found = Findings()
    found.add("stale-read", "it was over")
    calls = [Operation(1, "get", "k", 0, None, at, at, outcome) for at, outcome in enumerate(("ok", "fail", "unknown"))]
    assert runs._answered(History(calls)) == 1
    result = runs.Result(1, "invalid", "", 1.0, 1.0, 1, {}, {}, History(), swarm.scenario(1), found.verdict(1))
    assert result.to_json()["reasons"] == result.to_json()["anomalies"] == ["stale-read: it was over"]


def test_run_without_enough_work_is_rejected() -> None:
    """An empty history proves nothing."""
    result = runs.run(1, Scenario(1, members=1, virtual_s=0.5, rate=20.0))
    assert result.verdict == runs.REJECTED and "operations" in result.reason


def test_minimal_finds_the_few_that_matter() -> None:
    """Delta debugging keeps what fails together and drops the rest."""
    assert shrinking.minimal(range(50), lambda left: {7, 31} <= set(left)) == [7, 31]
    assert list(shrinking.minimal([1, 2, 3], lambda left: True)) == []
