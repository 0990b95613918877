"""The core simulation: seeds of the swarm stay valid, equal seeds give equal runs, and what is wrong is noticed and shrunk."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from jepsen_like.sim.core import limits
from jepsen_like.sim.core.repetition import differing
from jepsen_like.sim.core.runs import Result, run, run_parallel, shrink
from jepsen_like.sim.core.scenario import Fault, Scenario
from jepsen_like.sim.core.swarm import draw

FULL_SEEDS = range(1, 501)
"""What `make test` runs; `check_seeds` is its way in."""

CALM = Scenario(seed=1, virtual_s=10.0)


def check_seeds(seeds: range, *, virtual_s: float = 60.0, processes: int = 1) -> dict[str, int]:
    """Runs the seeds; fails at the first invalid one with the command that repeats it, and when more than one in fifty
    did too little to count. Returns what was reached."""
    reached: dict[str, int] = {}
    rejected = []
    for result in run_parallel(seeds, virtual_s, processes):
        assert result.verdict != "invalid", f"{result.replay}: {result.rule}\n{result.detail}"
        if result.verdict == "rejected":
            rejected.append(result.seed)
        for name, count in result.reached.items():
            reached[name] = reached.get(name, 0) + count
    assert len(rejected) <= max(1, len(seeds) // 50), rejected
    return reached


def test_scenario_written_as_json_is_read_back_equal():
    """A failing run can be handed on as a file."""
    scenario = draw(7)
    assert scenario.faults and limits.scenario_of(scenario.to_json()) == scenario


@pytest.mark.slow
def test_swarm_seeds_keep_every_invariant():
    """Sixty virtual seconds a seed, faults of half the families, and progress after they end."""
    reached = check_seeds(range(1, 9))
    assert reached["leader_elected"] > 8 and reached["read_answered"] > 1_000 and reached["log_cut"] > 10


@pytest.mark.slow
def test_same_seed_gives_the_same_trace_in_any_process():
    """Twice in this process and once in another, whose hashes of strings differ."""
    assert differing((3, 5, 47), virtual_s=15.0) == []
    assert run(3, virtual_s=5.0).trace_hash != run(5, virtual_s=5.0).trace_hash


def test_run_without_a_fault_beside_its_load_is_rejected():
    """A run in which nothing went wrong proves nothing."""
    result = run(1, CALM)
    assert (result.verdict, result.rule) == ("rejected", "no fault met an operation")


def test_run_with_too_few_operations_is_rejected():
    """So does one in which nothing was done."""
    result = run(1, replace(CALM, ops_per_s=2.0, burst=1, faults=(Fault(2_000, "pause", (1,), 500),)))
    assert result.verdict == "rejected" and "operations completed" in result.rule


def test_fault_on_the_way_makes_a_run_count():
    """One pause of the leader is a fault that operations meet."""
    result = run(1, replace(CALM, faults=(Fault(4_000, "pause", (0,), 500),)))
    assert result.verdict == "valid" and result.faults == {"pause": 1} and result.ops > 200


def test_what_comes_of_faults_is_not_counted_as_faults() -> None:
    """Lost messages and disk errors that somebody met were injected by nobody."""
    result = run(3, virtual_s=20.0)
    assert result.scenario is not None and set(result.faults) <= {fault.kind for fault in result.scenario.faults}
    assert sum(result.faults.values()) <= len(result.scenario.faults) and result.weather["messages"] > 0


def test_line_of_an_invalid_seed_says_why() -> None:
    """In `reasons`, where lines of both simulations say it."""
    line = json.loads(replace(run(1, CALM), verdict="invalid", rule="one leader a term", detail="1 and 2 in 4").to_json())
    assert line["reasons"] == ["one leader a term: 1 and 2 in 4"]


def test_failing_scenario_shrinks_to_the_faults_it_needs(monkeypatch):
    """Of many faults those are left without which the rule holds."""
    from jepsen_like.sim.core import runs

    def fake(seed: int, scenario: Scenario | None = None, virtual_s: float = 60.0) -> Result:
        assert scenario is not None
        kinds = [fault.kind for fault in scenario.faults]
        rule = "broken" if "pause" in kinds and "crash" in kinds else ""
        return Result(seed, "invalid" if rule else "valid", "", 60.0, 0.0, 0, {}, {}, rule, scenario=scenario)

    many = [Fault(1_000 * at, kind, (1,), 100) for at, kind in enumerate(["skew", "crash", "isolate", "ring", "pause", "lossy"])]
    scenario = replace(CALM, loss=0.1, faults=tuple(many))
    monkeypatch.setattr(runs, "run", fake)
    shrunk = shrink(fake(1, scenario))
    assert [fault.kind for fault in shrunk.faults] == ["crash", "pause"] and shrunk.loss == 0.0


@pytest.mark.slow
def test_seed_that_raised_a_false_alarm_raises_none() -> None:
    """40013: a pre-vote given earlier in a turn waited beside a log that had grown since, and was taken for the answer to a later one."""
    assert run(40013).verdict == "valid"
