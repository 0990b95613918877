"""Leaving out of a failing scenario whatever it fails without: faults first (ddmin), then weather, then time.

Every draw of a run comes from a stream of its own purpose, so what is left stays as it was when something else goes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from jepsen_like.sim.core.scenario import Fault, Scenario

Fails = Callable[[Scenario], bool]

_CALM: tuple[tuple[str, float], ...] = (
    ("loss", 0.0),
    ("duplicate", 0.0),
    ("replay", 0.0),
    ("tail", 0.0),
    ("hold", 0.0),
    ("fsync_tail", 0.0),
    ("reorder", False),
    ("read_share", 0.0),
    ("learners", 0),
    ("burst", 1),
    ("inflight_max", 512),
    ("append_bytes_max", 1 << 20),
    ("committed_bytes_max", 1 << 20),
    ("uncommitted_bytes_max", 1 << 20),
    ("snapshot_count", 1_000_000),
    ("store_every", 1),
    ("ops_per_s", 10.0),
)
"""Each field's plainest value, tried in this order."""


def shrunk(scenario: Scenario, fails: Fails, *, until_s: float) -> Scenario:
    """A scenario that still fails and from which nothing of the above can be left out, as far as the tries reach."""
    ended = tuple(fault for fault in scenario.faults if fault.at_ms <= until_s * 1000)
    if len(ended) < len(scenario.faults) and fails(replace(scenario, faults=ended)):
        scenario = replace(scenario, faults=ended)
    scenario = _fewer_faults(scenario, fails)
    for name, value in _CALM:
        if getattr(scenario, name) != value:
            calmer = replace(scenario, **{name: value})  # type: ignore[arg-type]  # the table's values have their fields' types
            if fails(calmer):
                scenario = calmer
    return _fewer_faults(scenario, fails)


def _fewer_faults(scenario: Scenario, fails: Fails) -> Scenario:
    """Delta debugging over the faults (Zeller 2002): halves, quarters, down to single ones."""
    faults: Sequence[Fault] = scenario.faults
    parts = 2
    while faults:
        size = max(1, len(faults) // parts)
        for start in range(0, len(faults), size):
            without = (*faults[:start], *faults[start + size :])
            if fails(replace(scenario, faults=without)):
                faults = without
                parts = max(parts - 1, 2)
                break
        else:
            if size == 1:
                break
            parts = min(len(faults), parts * 2)
    return replace(scenario, faults=tuple(faults))
