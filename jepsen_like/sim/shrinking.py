"""The shortest scenario that still fails in the same way: fewer faults, fewer loads and members, an earlier end, asyncio's own order.

Every draw of a run comes from a stream of its own purpose, so what is left stays nearly as it was when something else goes.
Source: spec/faults.md §3c (10); Zeller and Hildebrandt, "Simplifying and Isolating Failure-Inducing Input", 2002.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import TypeVar

from jepsen_like.checker.verdict import INVALID
from jepsen_like.sim import limits, runs
from jepsen_like.sim.loop import FIFO
from jepsen_like.sim.scenario import Scenario

T = TypeVar("T")

TRIES_MAX = 150
"""Runs; each takes a second or two."""

AFTER_S = 2.0
"""Load goes on so long after the last fault that is left."""


def shrink(seed: int, *, virtual_s: float = 30.0, tries_max: int = TRIES_MAX) -> str:
    """The shortest failing scenario of a seed, as JSON.

    Raises:
        ValueError: the seed does not fail.
    """
    found = runs.run(seed, virtual_s=virtual_s)
    if found.verdict != INVALID:
        raise ValueError(f"nothing to shrink: seed {seed} is {found.verdict}")
    kinds = {anomaly.kind for anomaly in found.findings.anomalies}
    tries = tries_max

    def fails(scenario: Scenario) -> bool:
        nonlocal tries
        # NB: beyond the limits a right store may fail in the same words.
        if tries <= 0 or not limits.fits(scenario):
            return False
        tries -= 1
        again = runs.run(seed, scenario)
        return bool(kinds & {anomaly.kind for anomaly in again.findings.anomalies})

    return shrunk(found.scenario, fails).to_json()


def shrunk(scenario: Scenario, fails: Callable[[Scenario], bool]) -> Scenario:
    """A scenario that fails, from which nothing that is tried here can be left out."""
    calmer = True
    while calmer:
        calmer = False
        faults = minimal(scenario.faults, lambda left, base=scenario: fails(replace(base, faults=tuple(left))))  # type: ignore[misc]
        scenario = replace(scenario, faults=tuple(faults))
        for candidate in _simpler(scenario):
            if fails(candidate):
                scenario, calmer = candidate, True
                break
    return scenario


def _simpler(scenario: Scenario) -> Iterator[Scenario]:
    """Scenarios with one thing less, the largest step first."""
    ends_s = max([fault.at_s + fault.for_s for fault in scenario.faults], default=0.0) + AFTER_S
    if ends_s < scenario.virtual_s * 0.9:
        yield replace(scenario, virtual_s=round(ends_s, 1))
    if scenario.bystander:
        yield replace(scenario, bystander=False)
    if len(scenario.workloads) > 1:
        yield from (replace(scenario, workloads=(name,)) for name in scenario.workloads)
    yield from (replace(scenario, members=count) for count in (1, 3) if count < scenario.members)
    if scenario.schedule != FIFO:
        yield replace(scenario, schedule=FIFO)
    if scenario.grain_s:
        yield replace(scenario, grain_s=0.0)
    if scenario.rate > 40:
        yield replace(scenario, rate=round(scenario.rate / 2, 1))
    for name in scenario.settings:
        yield replace(scenario, settings={key: value for key, value in scenario.settings.items() if key != name})


def minimal(items: Sequence[T], fails: Callable[[Sequence[T]], bool]) -> Sequence[T]:
    """Delta debugging: items of which none can be left out. `items` are known to fail."""
    parts = 2
    while items:
        size = max(1, -(-len(items) // parts))
        for start in range(0, len(items), size):
            without = [*items[:start], *items[start + size :]]
            if fails(without):
                items, parts = without, max(2, parts - 1)
                break
        else:
            if size == 1:
                return items
            parts = min(len(items), parts * 2)
    return items
