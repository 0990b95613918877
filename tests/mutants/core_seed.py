"""One seed of the core simulation, for mutants."""

from __future__ import annotations

from jepsen_like.checker.verdict import INVALID
from jepsen_like.sim.core import runs


def run(seed: int) -> str:
    """What the seed found; empty when nothing, or when too little was done to find anything."""
    result = runs.run(seed)
    return f"{result.rule}: {result.detail}" if result.verdict == INVALID else ""
