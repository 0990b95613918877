"""Runs seeded clusters under faults: `python -m tests.support.sim --seed 7`, or `--count 100` for seeds 1 to 100.

Prints one line a seed; exits 1 when a seed fails, with the command that runs it again.
"""

from __future__ import annotations

import argparse
import logging
import sys
import time
import traceback

from jepsen_like.sim.cluster import SimulatedCluster, simulate
from tests.support.faulty_run import SETTINGS, faulty_run


def run(seed: int) -> bool:
    """One seed; True when everything held."""
    done: list[int] = []

    async def scenario(cluster: SimulatedCluster) -> None:
        done.append(len(await faulty_run(cluster)))

    started_s = time.perf_counter()
    try:
        loop = simulate(seed, scenario, **SETTINGS)
    except Exception:
        traceback.print_exc()
        print(f"seed {seed}: FAILED; run it again with: make sim SEED={seed}", flush=True)
        return False
    took_s = time.perf_counter() - started_s
    print(
        f"seed {seed}: ok, {done[0]} operations, {loop.time() - 1000:.0f} virtual s in {took_s:.1f} s, trace {loop.trace_hash()[:16]}",
        flush=True,
    )
    return True


def main() -> int:
    """See the module."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", type=int, help="run this seed alone")
    parser.add_argument("--count", type=int, default=20, help="run seeds 1 to COUNT (default 20)")
    arguments = parser.parse_args()
    logging.disable(logging.CRITICAL)
    seeds = [arguments.seed] if arguments.seed is not None else range(1, arguments.count + 1)
    failed = [seed for seed in seeds if not run(seed)]
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
