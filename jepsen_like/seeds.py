"""What `sim` does: seeds of either simulation one after the other or side by side, a scenario again, a mutant put in first.

Prints results; everything that is worked out is elsewhere. Nothing of raftkv is imported before a mutant is in place.
"""

from __future__ import annotations

import json
import logging
import multiprocessing
import pathlib
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeAlias, TypeVar

import click

from jepsen_like import output
from jepsen_like.sim import mutation

T = TypeVar("T")
Line: TypeAlias = dict[str, Any]

INVALID = 1
NOTHING_PROVED = 3
HARNESS_FAILED = 5

CORE_VIRTUAL_S, SERVER_VIRTUAL_S = 60.0, 10.0
"""Of load, where nothing else is asked for."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What is asked for, as the command line names it."""

    seeds: Sequence[int]
    scenario: pathlib.Path | None = None
    core: bool | None = None
    """The mutant's own level when left out, the server simulation without one."""

    virtual_s: float | None = None
    mutant: str | None = None
    jobs: int = 1
    as_json: bool = False


def quieten() -> None:
    """What simulated members would log is told by their seed's line, and by a replay in a debugger; here it would bury both."""
    if not logging.root.handlers:
        logging.root.addHandler(logging.NullHandler())


def simulate(plan: Plan) -> int:
    """Simulates, prints a line a seed, and returns the exit status.

    Raises:
        click.UsageError: there is no such mutant.
        ValueError: the file is no scenario.
    """
    quieten()
    mutant: mutation.Mutant | None = None
    if plan.mutant is not None:
        try:
            mutant = mutation.load(mutation.directory(), plan.mutant)
            mutation.install(mutant)
        except mutation.MutantsMissingError as exc:
            raise click.UsageError(str(exc)) from exc
        except mutation.StaleMutantError as exc:
            output.tell(f"jepsen-like: the mutant is stale, nothing was run: {exc}")
            return HARNESS_FAILED
    core = plan.core if plan.core is not None else mutant is not None and mutant.level is mutation.Level.CORE
    if plan.scenario is not None:
        lines, count = iter([_noted(_again(plan.scenario, core=core), 0, mutant)]), 1
    else:
        lines, count = _simulated(plan, core=core, mutant=mutant), len(plan.seeds)
    return _print(lines, count, as_json=plan.as_json, mutant=mutant, level=mutation.Level.CORE if core else mutation.Level.SERVER)


def _simulated(plan: Plan, *, core: bool, mutant: mutation.Mutant | None) -> Iterator[tuple[Line, bool]]:
    """Each seed's line, in the order of the seeds, as it comes."""
    run = partial(_line_of_core if core else _line_of_members, virtual_s=plan.virtual_s or (CORE_VIRTUAL_S if core else SERVER_VIRTUAL_S))
    one = partial(_noted, run, mutant=mutant)
    if plan.jobs == 1 or len(plan.seeds) == 1:
        yield from map(one, plan.seeds)
        return
    # Forked, so that a mutant is in place in each of them.
    with multiprocessing.get_context("fork").Pool(plan.jobs) as pool:
        yield from pool.imap(one, plan.seeds)


def _noted(run: Callable[[int], Line], seed: int, mutant: mutation.Mutant | None) -> tuple[Line, bool]:
    """A line, and whether the mutant stood in the process that made it: a simulation loads what it uses only."""
    line = run(seed)
    return line, mutant is not None and mutant.module in sys.modules


def _line_of_core(seed: int, virtual_s: float) -> Line:
    from jepsen_like.sim.core import runs as of_core

    line: Line = json.loads(of_core.run(seed, virtual_s=virtual_s).to_json())
    return line


def _line_of_members(seed: int, virtual_s: float) -> Line:
    from jepsen_like.sim import runs as of_members

    return of_members.run(seed, virtual_s=virtual_s).to_json()


def _again(path: pathlib.Path, *, core: bool) -> Callable[[int], Line]:
    """What makes the line of one scenario. Raises ValueError: the file holds none, or one that cannot be run."""
    try:
        text = path.read_text(encoding="utf-8")
        if core:
            from jepsen_like.sim.core import limits as of_core
            from jepsen_like.sim.core import runs as core_runs

            of_consensus = of_core.scenario_of(text)
            return lambda _seed: dict(json.loads(core_runs.run(of_consensus.seed, of_consensus).to_json()))
        from jepsen_like.sim import limits, runs

        whole = limits.scenario_of(text)
        return lambda _seed: runs.run(whole.seed, whole).to_json()
    except ValueError as exc:
        raise ValueError(f"{path}: {exc}") from exc


def _print(
    results: Iterator[tuple[Line, bool]], count: int, *, as_json: bool, mutant: mutation.Mutant | None, level: mutation.Level
) -> int:
    found: dict[str, list[int]] = {}
    stood = False
    for line, loaded in _watched(results, count):
        found.setdefault(line["verdict"], []).append(line["seed"])
        stood = stood or loaded
        if as_json:
            output.say(json.dumps(line))
        elif line["verdict"] != "valid":
            output.say(f"seed {line['seed']}: {line['verdict']}: {why(line)}")
        if mutant is not None and line["verdict"] == "invalid":
            output.tell(f"mutant {mutant.name} was seen by seed {line['seed']}")
            return INVALID
    if mutant is not None:
        output.tell("\n".join(_unseen(mutant, count, level, stood=stood)))
    output.tell(", ".join(f"{len(seeds)} {verdict}" for verdict, seeds in sorted(found.items())))
    if "invalid" in found:
        return INVALID
    if mutant is not None and not stood:
        return NOTHING_PROVED
    return 0 if set(found) == {"valid"} else NOTHING_PROVED


def why(line: Line) -> str:
    """The sentence on a seed that is not valid."""
    return "; ".join(line.get("anomalies", ()) or line.get("reasons", ())) or line.get("rule", "")


def _unseen(mutant: mutation.Mutant, count: int, level: mutation.Level, *, stood: bool) -> Iterator[str]:
    """What to say of a mutant that no seed saw: whether this simulation could have, and who does."""
    if stood:
        yield f"mutant {mutant.name} was not seen by {count} seeds"
    else:
        yield f"mutant {mutant.name} proves nothing here: the {level.value} never loaded {mutant.module}, which it changes"
    again = f"python -m tests.mutants {mutant.name.partition('_')[0]}"
    if mutant.level in (mutation.Level.CORE, mutation.Level.SERVER):
        if mutant.level is not level:
            yield f"it is the {mutant.level.value} that notices it; try it with: {again}"
        return
    by = f": {' '.join(mutant.tests)}" if mutant.tests else ""
    yield f"it is noticed by the tests{by} (its level: {mutant.level.value}), and no seed of a simulation need see it; try it with: {again}"


def _watched(results: Iterator[T], count: int) -> Iterator[T]:
    """The same with a bar on a terminal."""
    if not sys.stderr.isatty():
        yield from results
        return
    with click.progressbar(results, length=count, label="seeds", file=sys.stderr) as bar:
        yield from bar
