"""One seed of the server simulation, for mutants."""

from __future__ import annotations

from jepsen_like.checker.verdict import INVALID
from jepsen_like.sim import runs

VIRTUAL_S = 15.0
"""Half a usual run: most mutants are noticed at once, and those that are not meet more seeds instead."""


def run(seed: int) -> str:
    """What the seed found; empty when nothing, or when too little was done to find anything."""
    result = runs.run(seed, virtual_s=VIRTUAL_S)
    if result.verdict != INVALID:
        return ""
    first = result.findings.anomalies[0]
    return f"{first.kind}: {first.explanation}"
