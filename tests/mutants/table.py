"""The table of mutants as a page for people."""

from __future__ import annotations

import re
from statistics import median

from jepsen_like.sim.mutation import Mutant
from tests.mutants.absent import ABSENT
from tests.mutants.trials import ROOT, SEEDS, Record

NUMBERS = range(1, 73)
"""Of the list of known ways to be wrong."""

LEVELS = {"core": "core simulation", "server": "server simulation", "unit": "tests"}

HEAD = """# Mutants: does the harness notice?

Each line is one way to be wrong, put into raftkv by an import hook while a simulation or a test runs
(`tests/mutants/NN_name.py`; the sources are never touched). NN is the number in the list of 72 known ways to be wrong that
distributed stores have shown; letters are further edits for one number, and from 73 on they are ours. `make check` fails
when an edit no longer fits its module exactly once.

*Seeds* is how many seeds it took until one noticed: the median of as many runs with different first seeds as *runs* says, and the
range. {bases} are wanted of each; tests are run once.
A seed counts only if it finds nothing without the mutant. Simulated clusters come first, the core before the server; what they do
not notice within {core} seeds of the one and {server} of the other meets the tests. What is *noticed by* the tests is not for
simulations to see: `jepsen-like sim --mutant NAME` may find every seed valid then, and says at its end who notices it.

Made by `python -m tests.mutants --write`; `python -m tests.mutants 13 62b` tries some.
"""


def page(outcomes: list[tuple[Mutant, Record]], *, bases: int) -> str:
    """The whole page."""
    lines = [HEAD.format(bases=bases, core=SEEDS["core"], server=SEEDS["server"]), *_summary(outcomes), ""]
    lines += ["| mutant | rule it breaks | noticed by | seeds | runs | as |", "|---|---|---|---|---|---|"]
    for mutant, record in outcomes:
        found = record.killed_by()
        number, _, name = mutant.name.partition("_")
        cells = [f"{number} {name.replace('_', ' ')}", mutant.rule]
        if found is None:
            cells += ["**not noticed**" if record.trials else "not tried", "", "", ""]
        else:
            level, trials = found
            seeds = sorted(trial.seeds or trial.tried + 1 for trial in trials)
            spread = f" ({seeds[0]}–{seeds[-1]})" if seeds[0] != seeds[-1] else ""
            cells += [LEVELS[level], *(("", "") if level == "unit" else (f"{median(seeds):g}{spread}", str(len(trials))))]
            cells.append(_shown(trials[0].what or trials[-1].what))
        lines.append("| " + " | ".join(cells) + " |")
    lines += ["", "## Numbers without a mutant", "", "| number | way to be wrong | why |", "|---|---|---|"]
    for number, absent in ABSENT.items():
        why = f"waits for {absent.waits_for}: {absent.why}" if absent.waits_for else f"not applicable: {absent.why}"
        lines.append(f"| {number} | {absent.what} | {why} |")
    return "\n".join(lines) + "\n"


def _summary(outcomes: list[tuple[Mutant, Record]]) -> list[str]:
    killed = [mutant for mutant, record in outcomes if record.killed_by() is not None]
    whole = {n for n in NUMBERS if n not in ABSENT}
    tried = [mutant for mutant, record in outcomes if record.trials]
    missed = {mutant.number for mutant in tried if mutant not in killed} & whole
    untried = {mutant.number for mutant, _ in outcomes if mutant not in tried} & whole
    waiting = sorted(n for n, absent in ABSENT.items() if absent.waits_for)
    counts = {level: sum(1 for _, r in outcomes if (found := r.killed_by()) is not None and found[0] == level) for level in SEEDS}
    by_level = ", ".join(f"{count} by the {LEVELS[level]}" for level, count in counts.items() if count)
    return [
        f"{len(killed)} of {len(outcomes)} mutants are noticed: {by_level}. Of the 72 numbers {len(whole)} apply: "
        f"{len(whole - missed - untried)} have every edit noticed"
        + (f", {', '.join(map(str, sorted(missed)))} not" if missed else "")
        + (f", {', '.join(map(str, sorted(untried)))} have edits that were not tried yet" if untried else "")
        + f"; {len(waiting)} wait for a feature ({', '.join(map(str, waiting))}), "
        f"{len(ABSENT) - len(waiting)} have no place in the design."
    ]


_ERROR_LINE = re.compile(r"^[ |]*(?:\w+\.)*\w*(?:Error|Livelock): (.*)$", re.MULTILINE)


def _shown(what: str) -> str:
    """The start of a finding, fit for a cell: of an error what it says, not where."""
    kind, _, rest = what.partition(": ")
    if "Traceback (" in rest:
        # The last error's text: what comes before is the way to it, and bars lead the lines of errors that came as a group.
        what = f"{kind}: {(_ERROR_LINE.findall(rest) or [''])[-1]}"
    elif "Group(" in rest:
        what = f"{kind}: {rest.rpartition('): ')[2]}"
    text = " ".join(what.split()).replace("|", "/").replace(f"{ROOT}/", "")
    return text if len(text) <= 110 else text[:107] + "..."
