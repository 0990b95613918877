"""Runs seeded clusters under faults: `python -m jepsen_like.sim --seed 7`, `--count 100` for seeds 1 to 100, or `--scenario FILE`.

Prints one line a seed; exits 1 when a seed fails, with the command that runs it again.
"""

from __future__ import annotations

import argparse
import logging
import pathlib
import shlex
import sys

from jepsen_like.checker.verdict import INVALID
from jepsen_like.sim import limits
from jepsen_like.sim.runs import Result, run

VIRTUAL_S = 30.0


def _print(result: Result, again: str) -> None:
    faults = sum(result.faults.values())
    print(
        f"seed {result.seed}: {result.verdict}, {result.ops} operations, {faults} faults, {result.virtual_s:.0f} virtual s"
        f" in {result.wall_s:.1f} s, trace {result.trace_hash}{f' ({result.reason})' if result.reason else ''}",
        flush=True,
    )
    if result.verdict == INVALID:
        for anomaly in result.findings.anomalies[:5]:
            print(f"  {anomaly.kind}: {anomaly.explanation}")
        print(f"  run it again with: {again}", flush=True)


def main() -> int:
    """See the module."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", type=int, help="run this seed alone")
    parser.add_argument("--count", type=int, default=20, help="run seeds 1 to COUNT (default 20)")
    parser.add_argument("--virtual", type=float, default=VIRTUAL_S, help="virtual seconds of load (default 30)")
    parser.add_argument("--scenario", type=pathlib.Path, help="run the scenario in this file, as `jepsen-like shrink` prints it")
    parser.add_argument("--log", action="store_true", help="print what the members log")
    arguments = parser.parse_args()
    if arguments.log:
        logging.basicConfig(format="%(created)10.6f %(message)s", level=logging.INFO)
    else:
        logging.disable(logging.CRITICAL)
    if arguments.scenario is not None:
        try:
            scenario = limits.scenario_of(arguments.scenario.read_text(encoding="utf-8"))
        except ValueError as exc:
            parser.error(f"{arguments.scenario}: {exc}")
        result = run(scenario.seed, scenario)
        _print(result, shlex.join(["python", "-m", "jepsen_like.sim", "--scenario", str(arguments.scenario)]))
        return result.verdict == INVALID
    failed = False
    for seed in [arguments.seed] if arguments.seed is not None else range(1, arguments.count + 1):
        result = run(seed, virtual_s=arguments.virtual)
        _print(result, f"make sim SEED={seed} ARGS='--virtual {arguments.virtual:g}'")
        failed = failed or result.verdict == INVALID
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
