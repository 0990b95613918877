"""Runs of the core simulation: one seed, many seeds, a scenario again, and the shortest scenario that still fails.

    python -m jepsen_like.sim.core --seed 7            one seed
    python -m jepsen_like.sim.core --seeds 1-1000      many, a line each
    python -m jepsen_like.sim.core --scenario FILE     one scenario again, as a failing run printed it

A run that did too little is `rejected`: it proves nothing, whatever it did not find.
"""

from __future__ import annotations

import json
import multiprocessing
import time
import traceback
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from functools import partial

from jepsen_like.checker.verdict import INVALID, VALID
from jepsen_like.collection import uncollected
from jepsen_like.sim.core import limits
from jepsen_like.sim.core.invariants import InvariantError
from jepsen_like.sim.core.points import POINTS
from jepsen_like.sim.core.scenario import Scenario
from jepsen_like.sim.core.shrinking import shrunk
from jepsen_like.sim.core.simulation import Simulation
from jepsen_like.sim.core.swarm import draw
from jepsen_like.sim.reached import Points

REJECTED = "rejected"
OPS_MIN = 500
"""Completed operations below which a run of a minute or more is rejected; a shorter one needs its share."""

REASON_MAX = 500
"""Characters of a sentence that says why."""


@dataclass(frozen=True, slots=True)
class Result:
    """What became of one seed."""

    seed: int
    verdict: str
    """`valid`, `invalid`, or `rejected`: nothing was wrong, and too little was done to say so."""

    trace_hash: str
    virtual_s: float
    wall_s: float
    ops: int
    """Operations that were answered with success."""

    faults: dict[str, int]
    """Injected, by kind."""

    reached: dict[str, int]
    rule: str = ""
    """The rule that was broken, or why the run was rejected."""

    detail: str = ""
    core_timeouts: float = 0.0
    """Election timeouts until a healed core did its first write."""

    all_timeouts: float = 0.0
    cpu_s: float = 0.0
    weather: dict[str, int] = field(default_factory=dict)
    """What came of the surroundings and of faults: messages that the network lost or held, disk errors that somebody met, changes that
    a leader took."""

    scenario: Scenario | None = field(default=None, repr=False)

    def to_json(self) -> str:
        """One line, without the scenario."""
        names = ("seed", "verdict", "trace_hash", "virtual_s", "wall_s", "ops", "faults", "weather", "reached", "rule", "detail")
        # Whoever reads lines of both simulations finds the reasons of both in one place.
        reasons = [f"{self.rule}: {self.detail.strip()}"[:REASON_MAX] if self.verdict == INVALID and self.detail else self.rule]
        reasons = reasons if self.verdict != VALID else []
        return json.dumps({name: getattr(self, name) for name in names} | {"reasons": reasons})

    @property
    def replay(self) -> str:
        """The command that does it again."""
        return f"python -m jepsen_like.sim.core --seed {self.seed}"


def run(seed: int, scenario: Scenario | None = None, virtual_s: float = 60.0) -> Result:
    """One run, of the seed's own scenario or of this one. Raises nothing for what goes wrong inside: the verdict says it."""
    scenario = scenario or draw(seed, virtual_s)
    wall_s, cpu_s = time.perf_counter(), time.process_time()
    with uncollected():
        # All that the run made is gone when this returns, and nothing is left to be looked for.
        result = _judged(scenario)
    return replace(result, wall_s=time.perf_counter() - wall_s, cpu_s=time.process_time() - cpu_s)


def _judged(scenario: Scenario) -> Result:
    rule = detail = ""
    with Points(POINTS) as points:
        simulation = Simulation(scenario)
        try:
            simulation.run()
        except InvariantError as error:
            rule, detail = error.rule, error.detail
        except Exception as error:  # Whatever consensus raises is a finding, with where it came from.
            rule, detail = f"{type(error).__name__} in consensus: {error}", traceback.format_exc(limit=-6)
    verdict = INVALID if rule else VALID
    load = simulation.load
    if not rule and load.ok < OPS_MIN * min(1.0, scenario.virtual_s / 60):
        verdict, rule = REJECTED, f"only {load.ok} operations completed"
    elif not rule and not load.overlapping:
        verdict, rule = REJECTED, "no fault met an operation"
    result = Result(
        seed=scenario.seed,
        verdict=verdict,
        trace_hash=simulation.trace.hexdigest(),
        virtual_s=simulation.now_us / 1e6,
        wall_s=0.0,
        ops=load.ok,
        faults=simulation.fault_counts(),
        weather=simulation.weather_counts(),
        reached=points.met,
        rule=rule,
        detail=detail,
        core_timeouts=simulation.recovery.core_timeouts,
        all_timeouts=simulation.recovery.all_timeouts,
        scenario=scenario,
    )
    simulation.close()
    return result


def run_many(seeds: Iterable[int], virtual_s: float = 60.0) -> Iterator[Result]:
    """One run after another."""
    for seed in seeds:
        yield run(seed, virtual_s=virtual_s)


def run_parallel(seeds: Iterable[int], virtual_s: float = 60.0, processes: int = 2) -> Iterator[Result]:
    """The same over several processes; results come in the order of the seeds."""
    if processes <= 1:
        yield from run_many(seeds, virtual_s)
        return
    with multiprocessing.get_context("fork").Pool(processes) as pool:
        yield from pool.imap(partial(run, virtual_s=virtual_s), seeds, chunksize=4)


def shrink(result: Result, *, tries_max: int = 400) -> Scenario:
    """The shortest scenario found that breaks the same rule: first without faults, then with calmer weather and less time."""
    scenario = result.scenario or draw(result.seed, 60.0)
    rule = result.rule
    tries = [tries_max]

    def fails(candidate: Scenario) -> bool:
        # NB: beyond the limits right consensus may break the same rule.
        if not limits.fits(candidate):
            return False
        tries[0] -= 1
        return tries[0] >= 0 and run(candidate.seed, candidate).rule == rule

    return shrunk(scenario, fails, until_s=result.virtual_s)
