"""One seed of the server simulation, for mutants."""

from __future__ import annotations

from tests.support.faulty_run import SETTINGS, faulty_run
from jepsen_like.sim.cluster import simulate


def run(seed: int) -> str:
    """What the seed found; empty when nothing."""
    try:
        simulate(seed, faulty_run, **SETTINGS)
    except Exception as error:
        return f"{type(error).__name__}: {str(error).strip()[:200]}"
    return ""
