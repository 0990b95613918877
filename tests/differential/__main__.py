"""Runs with a seed of one's choice: `python -m tests.differential --seed 7 --requests 20000`."""

from __future__ import annotations

import argparse
import pathlib
import sys
import tempfile
import time

from tests.differential import servers
from tests.differential.run import run


def main() -> int:
    """Prints what the run found; 1 when that is a problem."""
    options = argparse.ArgumentParser(prog="python -m tests.differential", description="Asks etcd and raftkv the same random requests.")
    options.add_argument("--seed", type=int, default=0)
    options.add_argument("--requests", type=int, default=5000)
    chosen = options.parse_args()
    if reason := servers.why_not_available():
        print(reason, file=sys.stderr)
        return 1
    with tempfile.TemporaryDirectory() as folder, servers.running(pathlib.Path(folder)) as pair:
        started_s = time.monotonic()
        verdict = run(pair, seed=chosen.seed, requests=chosen.requests)
        took_s = time.monotonic() - started_s
    print(verdict.summary())
    problems = verdict.problems()
    print(f"seed {chosen.seed}: {len(problems)} problems in {took_s:.0f} s")
    for problem in problems:
        print(problem)
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
