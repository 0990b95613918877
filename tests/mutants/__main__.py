"""Puts mutants into the product, one at a time, and looks which seed or test notices: `python -m tests.mutants [NAME...]`.

Prints a line a mutant; exits 1 when one is not noticed. Outcomes are kept (`--cache`), so a run that was stopped goes on where it
was; `--write` renders what is known to docs/MUTANTS.md without running anything.
"""

from __future__ import annotations

import argparse
import os
import pathlib
import sys
import time
from statistics import median

from jepsen_like.sim.mutation import Mutant, MutantsMissingError, directory, load, names
from tests.mutants import children, table, trials

CACHE = pathlib.Path(os.environ.get("XDG_CACHE_HOME", pathlib.Path.home() / ".cache")) / "raftkv" / "mutants"
PAGE = pathlib.Path(__file__).resolve().parents[2] / "docs" / "MUTANTS.md"
BASES = 5


def main() -> int:
    """See the module."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", help="these mutants only, by name or number")
    parser.add_argument("--bases", type=int, default=BASES, help=f"trials with different first seeds (default {BASES})")
    parser.add_argument("--levels", default="core,server,unit", help="in this order (default core,server,unit)")
    parser.add_argument("--seeds", type=int, help="seeds tried in a trial (default: by level)")
    parser.add_argument("--minutes", type=float, default=1e9, help="begin no further trial after this time")
    parser.add_argument("--cache", type=pathlib.Path, default=CACHE, help=f"where outcomes are kept (default {CACHE})")
    parser.add_argument("--write", action="store_true", help="only write docs/MUTANTS.md from what is known")
    arguments = parser.parse_args()
    folder = directory()
    try:
        mutants = [load(folder, name) for name in arguments.names or names(folder)]
    except MutantsMissingError as error:
        parser.error(str(error))
    records = trials.Records(arguments.cache)
    if arguments.write:
        PAGE.write_text(table.page([(mutant, records.read(mutant)) for mutant in mutants], bases=arguments.bases), encoding="utf-8")
        return 0
    deadline_s = time.monotonic() + arguments.minutes * 60
    missed = 0
    for mutant in mutants:
        if time.monotonic() >= deadline_s:
            print("the time is up; run again to go on")
            return 2
        missed += not _try(mutant, records, arguments)
    return 1 if missed else 0


def _try(mutant: Mutant, records: trials.Records, arguments: argparse.Namespace) -> bool:
    """Tries one mutant level by level, as far as needed; whether it was noticed."""
    record = records.read(mutant)
    for level in arguments.levels.split(","):
        noticed = record.killed_by()
        if noticed is not None and noticed[0] != level:
            break
        if level not in record.unloaded:
            count = arguments.seeds or trials.SEEDS[level]
            trials.try_level(mutant, level, record, records, bases=arguments.bases, count=count)
    found = record.killed_by()
    if found is None:
        print(f"{mutant.name:55} NOT NOTICED     {mutant.rule}", flush=True)
        return False
    level, made = found
    seeds = median(trial.seeds or trial.tried + 1 for trial in made)
    print(f"{mutant.name:55} {level:6} {seeds:5g} seeds {sum(t.wall_s for t in made):6.1f} s  {made[0].what[:100]}", flush=True)
    return True


if __name__ == "__main__":
    if sys.argv[1:2] == ["--child"]:
        sys.exit(children.main(sys.argv[2], sys.argv[3], int(sys.argv[4]), int(sys.argv[5]), sys.argv[6]))
    sys.exit(main())
