"""Runs seeds or a scenario of the core simulation: see runs.py."""

from __future__ import annotations

import argparse
import pathlib
import sys

from jepsen_like.sim.core import limits
from jepsen_like.sim.core.repetition import differing
from jepsen_like.sim.core.runs import Result, run, run_parallel, shrink


def main() -> int:
    """Exit status 0 when every run was valid."""
    parser = argparse.ArgumentParser(prog="python -m jepsen_like.sim.core", description=__doc__)
    parser.add_argument("--seed", type=int, help="one seed, told in full")
    parser.add_argument("--seeds", default="1-20", help="FIRST-LAST (default 1-20)")
    parser.add_argument("--scenario", type=pathlib.Path, help="a scenario as JSON, told in full")
    parser.add_argument("--shrink", action="store_true", help="look for the shortest scenario that still fails")
    parser.add_argument("--seconds", type=float, default=60.0, help="virtual seconds a run (default 60)")
    parser.add_argument("--processes", type=int, default=1, help="seeds run side by side (default 1)")
    parser.add_argument("--repeat", action="store_true", help="run each seed twice here and once in a fresh process, compare the traces")
    parser.add_argument("--json", action="store_true", help="one JSON line a seed")
    arguments = parser.parse_args()
    if arguments.scenario is not None:
        try:
            scenario = limits.scenario_of(arguments.scenario.read_text(encoding="utf-8"))
        except ValueError as exc:
            parser.error(f"{arguments.scenario}: {exc}")
        return _tell(run(scenario.seed, scenario), arguments.shrink)
    if arguments.seed is not None:
        return _tell(run(arguments.seed, virtual_s=arguments.seconds), arguments.shrink)
    first, _, last = arguments.seeds.partition("-")
    if arguments.repeat:
        different = differing(range(int(first), int(last or first) + 1), arguments.seconds)
        print(f"{len(different)} seeds are not one run: {different}" if different else "every seed is one run")
        return 1 if different else 0
    verdicts: dict[str, int] = {}
    for result in run_parallel(range(int(first), int(last or first) + 1), arguments.seconds, arguments.processes):
        verdicts[result.verdict] = verdicts.get(result.verdict, 0) + 1
        if arguments.json:
            print(result.to_json(), flush=True)
        elif result.verdict != "valid":
            print(f"seed {result.seed}: {result.verdict}: {result.rule}: {result.detail[:300]}", flush=True)
    print(", ".join(f"{count} {verdict}" for verdict, count in sorted(verdicts.items())), file=sys.stderr)
    return 0 if set(verdicts) <= {"valid"} else 1


def _tell(result: Result, shorten: bool) -> int:
    print(result.to_json())
    print(f"again: {result.replay}")
    if result.detail:
        print(result.detail)
    if shorten and result.verdict == "invalid":
        print(shrink(result).to_json())
    return 0 if result.verdict == "valid" else 1


if __name__ == "__main__":
    sys.exit(main())
