"""`make sim`: the cluster under seeded faults for seeds of one's own, one line each, with the command that repeats a failure.

python -m tests.server.seeds --seed 7 --count 20
"""

from __future__ import annotations

import argparse
import logging
import sys
import traceback

from raftkv import logs
from tests.server.test_simulated_faults import test_cluster_under_faults_is_linearizable as run_seed

FIRST_SEED = 1000
"""Beyond those the test suite runs."""


def main() -> int:
    """Runs the seeds in order; returns 1 when one failed, after all have run."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", type=int, default=FIRST_SEED, help="first seed (default: %(default)s)")
    parser.add_argument("--count", type=int, default=1, help="how many, one after another (default: %(default)s)")
    parser.add_argument("--log", action="store_true", help="show the members' logs on standard error")
    options = parser.parse_args()
    if options.log:
        logs.configure(logs.LogSettings(level="debug", format="console"))
    else:
        logging.disable()
    failed = []
    for seed in range(options.seed, options.seed + options.count):
        try:
            run_seed(seed)
        except Exception:
            failed.append(seed)
            traceback.print_exc()
            print(f"seed {seed} failed; repeat it with: make sim SEED={seed}", flush=True)
        else:
            print(f"seed {seed} passed", flush=True)
    print(f"{options.count - len(failed)} of {options.count} passed" + (f"; failed: {failed}" if failed else ""))
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
