"""One seed of the core simulation, for mutants."""

from __future__ import annotations

from tests.raft.test_chaos import Chaos


def run(seed: int) -> str:
    """What the seed found; empty when nothing."""
    chaos = Chaos(seed)
    try:
        chaos.run(6_000)
        chaos.recover()
    except Exception as error:
        return f"{type(error).__name__}: {str(error).strip()[:200]}"
    return ""
