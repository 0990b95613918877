"""Puts mutants into the server, one at a time, and looks which seed or test notices: `python -m tests.mutants [NAME...]`.

For each mutant simulated clusters run under faults (`tests.support.faulty_run`), seed after seed, until one fails; a mutant
that all seeds miss meets the tests of tests/server and tests/storage. Prints one line a mutant; exits 1 when one survives.
"""

from __future__ import annotations

import argparse
import logging
import subprocess
import sys
import time

from tests.mutants import consensus, durability, leases, reads, snapshots
from tests.mutants.mutant import Mutant, install

ALL = [*durability.MUTANTS, *consensus.MUTANTS, *reads.MUTANTS, *leases.MUTANTS, *snapshots.MUTANTS]

TESTS = ["tests/server", "-k", "not under_faults and not failover", "-x", "-q", "-p", "no:cacheprovider", "--no-header", "--tb=no"]
SEED_TIMEOUT_S = 120.0
"""A run that takes longer hangs; that counts as noticed."""

KILLED = 3
"""Exit status of a child that noticed the mutant."""


def named(name: str) -> Mutant:
    """The mutant of that name. Raises KeyError."""
    return {mutant.name: mutant for mutant in ALL}[name]


def notices(mutant: Mutant, seeds: range) -> str:
    """What notices the mutant: the first seed or a test; empty when nothing does."""
    for seed in seeds:
        if _child(mutant, "--seed", str(seed)):
            return f"seed {seed}"
    return "a test of tests/server" if _child(mutant, "--tests") else ""


def _child(mutant: Mutant, *arguments: str) -> bool:
    command = [sys.executable, "-m", "tests.mutants", mutant.name, "--child", *arguments]
    try:
        done = subprocess.run(command, timeout=SEED_TIMEOUT_S * (5 if "--tests" in arguments else 1), capture_output=True, text=True)
    except subprocess.TimeoutExpired:
        return True
    if done.returncode not in (0, KILLED):
        raise RuntimeError(f"{mutant.name}: the run itself failed:\n{done.stdout}\n{done.stderr}")
    return done.returncode == KILLED


def _run_child(mutant: Mutant, seed: int | None) -> int:
    """One seed, or the tests, with the mutant in place."""
    logging.disable(logging.CRITICAL)
    install(mutant)
    if seed is None:
        import pytest

        return KILLED if pytest.main(TESTS) else 0
    from tests.support.faulty_run import SETTINGS, faulty_run
    from tests.support.simulated import simulate

    try:
        simulate(seed, faulty_run, **SETTINGS)
    except Exception as error:
        print(f"{type(error).__name__}: {str(error)[:300]}")
        return KILLED
    return 0


def main() -> int:
    """See the module."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", help="these mutants only")
    parser.add_argument("--count", type=int, default=12, help="seeds tried before the tests (default 12)")
    parser.add_argument("--seed", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--tests", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--child", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    chosen = [named(name) for name in arguments.names] or ALL
    if arguments.child:
        return _run_child(chosen[0], None if arguments.tests else arguments.seed)
    survived = 0
    for mutant in chosen:
        started_s = time.perf_counter()
        found = notices(mutant, range(1, arguments.count + 1))
        survived += not found
        print(f"{mutant.name:45} {found or 'SURVIVED':25} {time.perf_counter() - started_s:5.0f} s  {mutant.rule}", flush=True)
    return 1 if survived else 0


if __name__ == "__main__":
    sys.exit(main())
