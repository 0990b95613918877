"""The entrance `jepsen-like`: reads the command line, hands over to the module that does the work, prints.

Exit statuses: 0 every verdict is valid, or the work is done where there is none; 1 something is wrong with the store; 2 the command line
or a damaged file; 3 nothing was proved (unknown, rejected); 4 not available on this machine; 5 the harness itself failed, or its output
could not be written; each command's help says which it has. Modules are imported when called: help costs click alone, and a
mutant must be in place before anything of raftkv is imported.
"""

from __future__ import annotations

import contextlib
import json
import math
import pathlib
import re
import traceback
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NoReturn

import click
from click.core import ParameterSource

from jepsen_like import ending, output

USAGE = 2
NOT_AVAILABLE = 4
HARNESS_FAILED = output.FAILED
"""Neither the store nor the caller is at fault: never 1, which says that the store is wrong."""

ELSE = "5 the harness itself failed, or its output could not be written; 141 nobody reads its output any more"
JUDGED = "1 something is wrong with the store; 2 the command line{}; 3 nothing was proved (unknown, rejected)"
STATUSES = (
    f"Exit status: 0 every verdict is valid, or the work is done where there is none (shrink, report, list); "
    f"{JUDGED.format(', or a damaged file')}; 4 not available on this machine; {ELSE}; 128+n ended by signal n."
)

OUT = pathlib.Path(".raftkv/jepsen")


class Finite(click.FloatRange):
    """A number in a range; neither `nan`, which is in every one, nor an infinite one, which no run comes to the end of."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """See click."""
        number: float = super().convert(value, param, ctx)
        if not math.isfinite(number):
            self.fail(f"{value} is not a finite number.", param, ctx)
        return number


class Examples(click.Command):
    """A command whose help ends with its exit statuses and examples, as they can be typed."""

    def __init__(self, *args: Any, examples: str = "", statuses: str, **attributes: Any) -> None:
        super().__init__(*args, **attributes)
        self._examples = examples
        self._statuses = f"Exit status: {statuses}; {ELSE}."

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """See click."""
        formatter.write_paragraph()
        formatter.write_text(self._statuses)
        if self._examples:
            with formatter.section("Examples"):
                for line in self._examples.strip().splitlines():
                    formatter.write(f"  {line.strip()}\n")


class Entrance(click.Group):
    """The commands; also of their help it is told when nobody takes it."""

    def make_context(self, *args: Any, **extra: Any) -> click.Context:
        """See click."""
        with _told():
            return super().make_context(*args, **extra)

    def invoke(self, ctx: click.Context) -> Any:
        """See click."""
        with _told():
            return super().invoke(ctx)


@contextlib.contextmanager
def _told() -> Iterator[None]:
    try:
        with output.written():
            yield
    except output.OutputError as exc:
        raise SystemExit(_refused(exc)) from exc


def _refused(error: output.OutputError) -> int:
    if not error.unread:
        output.tell(f"jepsen-like: {error}")
    return error.status


@click.group(cls=Entrance, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100}, epilog=STATUSES)
def cli() -> None:
    """Breaks clusters on purpose and proves what their clients were promised.

    `sim` runs whole clusters on virtual time, one seed each; `run` breaks real ones, raftkv's or any etcd v3 endpoints.
    """


def _list(_context: click.Context, _parameter: click.Parameter, value: str) -> tuple[str, ...]:
    names = tuple(part.strip() for part in value.split(",") if part.strip())
    return () if names in (("none",), ()) else names


@cli.command(
    cls=Examples,
    examples="""
    jepsen-like run --workload register --nemesis kill,pause,partition
    jepsen-like run --workload all --nemesis all --backend NS --members 5
    jepsen-like run --endpoints 127.0.0.1:2379,127.0.0.1:22379 --workload txn --nemesis none --time 10 --json
    jepsen-like run --system etcd --workload stale-register --nemesis pause    (must be found invalid)
    """,
    statuses=f"0 every run is valid; {JUDGED.format('')}; 4 not available on this machine; 128+n ended by signal n",
)
@click.option("--endpoints", help="Run against these, as given to etcdctl, instead of a cluster started for the run.")
@click.option("--workload", "workloads", default="register", show_default=True, callback=_list, help="One, several by comma, or all.")
@click.option("--nemesis", default="none", show_default=True, callback=_list, help="Faults by comma, all, or none: see `list`.")
@click.option("--time", "time_s", default=30.0, show_default=True, type=Finite(1), help="Seconds of load under faults.")
@click.option("--rate", default=200.0, show_default=True, type=Finite(1), help="Calls a second over all clients.")
@click.option("--members", default=3, show_default=True, type=click.IntRange(1, 9), help="Of the cluster that is started.")
@click.option("--system", default="raftkv", show_default=True, type=click.Choice(["raftkv", "etcd"]), help="What it is made of.")
@click.option("--backend", default="PX", show_default=True, type=click.Choice(["PX", "NS"]), help="PX: proxies; NS: network namespaces.")
@click.option("--flag", "flags", multiple=True, help="Handed to every member, e.g. --flag=--snapshot-count=100.")
@click.option("--seed", type=int, help="Of every draw; a new one when left out.")
@click.option("--out", default=OUT, show_default=True, type=click.Path(path_type=pathlib.Path), help="Where each run gets a folder.")
@click.option("--json", "as_json", is_flag=True, help="One JSON line a run, and nothing else, on standard output.")
def run(**options: Any) -> None:
    """Runs workloads against a real cluster under faults, and judges what the clients saw.

    Each workload has a run of its own, which lasts --time and at most 133 seconds more: 10 for every member's first answer, 3 of
    load around the faults, 120 for healing, recovery and last reads, after which it ends with the verdict so far. A cluster of the
    run's own starts before (60 seconds at most), and the checkers' work comes after.
    """

    def work() -> int:
        from jepsen_like import campaign, endpoints

        if options["endpoints"] is not None:
            # Refused before there is a folder of a run.
            endpoints.named(options["endpoints"])
            _refuse(OWN, "of a cluster that the run starts; with --endpoints there is none")
        return campaign.run(**options)

    # Simulations break nothing that stays broken, and their processes side by side are ended by SIGTERM themselves.
    with ending.in_order() as end:
        raise SystemExit(_teaching(work, end))


@cli.command(
    cls=Examples,
    examples="""
    jepsen-like sim --seeds 1-50 --json
    jepsen-like sim --core --seeds 1-500 --virtual 60
    jepsen-like sim --seeds 17 --virtual 30
    jepsen-like sim --scenario smallest.json
    jepsen-like sim --mutant 05_older_term_committed_by_count --seeds 1-200
    """,
    statuses=f"0 every seed is valid; {JUDGED.format(', or a file that is no scenario')}",
)
@click.option("--seeds", default="1-20", show_default=True, help="FIRST-LAST, or one.")
@click.option(
    "--scenario", type=click.Path(exists=True, dir_okay=False, path_type=pathlib.Path), help="One scenario, as `shrink` printed it."
)
@click.option("--core/--server", "core", default=None, help="Consensus and storage model alone, or whole members (the default).")
@click.option("--virtual", "virtual_s", type=Finite(1), help="Virtual seconds of load a run: 60 of the core, 10 of members.")
@click.option("--jobs", default=1, show_default=True, type=click.IntRange(1, 256), help="Processes side by side.")
@click.option("--mutant", help="Put a known way to be wrong into the product first, and stop at the first seed that sees it.")
@click.option("--json", "as_json", is_flag=True, help="One JSON line a seed, and nothing else, on standard output.")
def sim(
    seeds: str, scenario: pathlib.Path | None, core: bool | None, virtual_s: float | None, mutant: str | None, jobs: int, as_json: bool
) -> None:
    """Simulates clusters on virtual time, one seed each: the same seed gives the same run, everywhere."""
    from jepsen_like import seeds as simulated

    if scenario is not None:
        _refuse(("seeds", "virtual_s", "jobs"), "of seeds; a scenario has one seed and length of its own")
    plan = simulated.Plan(_range(seeds), scenario, core, virtual_s, mutant, jobs, as_json)
    raise SystemExit(_teaching(lambda: simulated.simulate(plan)))


@cli.command(
    cls=Examples,
    examples="jepsen-like check .raftkv/jepsen/register-kill-5f/history.jsonl\n    jepsen-like check old.jsonl.gz --workload txn",
    statuses=f"0 the history is valid; {JUDGED.format(', or a damaged history')}",
)
@click.argument("history", type=click.Path(exists=True, dir_okay=False, path_type=pathlib.Path))
@click.option("--workload", help="Whose checks to apply; the one the history names when left out.")
@click.option("--json", "as_json", is_flag=True, help="One JSON line on standard output.")
def check(history: pathlib.Path, workload: str | None, as_json: bool) -> None:
    """Judges a history file again, with the checkers of today."""
    from jepsen_like import campaign

    raise SystemExit(_teaching(lambda: campaign.check(history, workload, as_json=as_json)))


@cli.command(
    cls=Examples,
    examples="""
    jepsen-like shrink --seed 17                 (the shortest scenario of the server simulation that still fails)
    jepsen-like shrink --core --seed 17
    jepsen-like shrink history.jsonl             (the smallest part of a history that still proves the anomaly)
    """,
    statuses="0 the smaller thing is shown, or written beside the history; 2 the command line, a damaged history, or nothing to shrink",
)
@click.argument("history", required=False, type=click.Path(exists=True, dir_okay=False, path_type=pathlib.Path))
@click.option("--seed", type=int, help="A seed of the simulation that fails.")
@click.option("--core/--server", "core", default=False, help="Of which simulation.")
@click.option("--virtual", "virtual_s", type=Finite(1), help="As it was given to `sim`.")
@click.option("--workload", help="Whose checks to apply to a history; the one it names when left out.")
def shrink(history: pathlib.Path | None, seed: int | None, core: bool, virtual_s: float | None, workload: str | None) -> None:
    """Finds the smallest thing that still fails: of a seed its scenario, of a history its operations."""
    from jepsen_like import campaign

    if (history is None) == (seed is None):
        raise click.UsageError("give either a history file or --seed")
    if history is not None:
        _refuse(("core", "virtual_s"), "of a seed's simulation; a history file is given")
        path = history
        raise SystemExit(_teaching(lambda: campaign.shrink(path, workload)))
    _refuse(("workload",), "of a history file; the loads of a seed are its own")
    number = int(seed or 0)
    raise SystemExit(_teaching(lambda: campaign.shrink_seed(number, core=core, virtual_s=virtual_s)))


@cli.command(
    cls=Examples,
    examples="jepsen-like report .raftkv/jepsen/register-kill-5f/history.jsonl --out /tmp/page",
    statuses="0 the page is written, whatever its verdict; 2 the command line, or a damaged history",
)
@click.argument("history", type=click.Path(exists=True, dir_okay=False, path_type=pathlib.Path))
@click.option("--out", type=click.Path(path_type=pathlib.Path), help="A folder for the page; the history's when left out.")
@click.option("--workload", help="Whose checks to apply; the one the history names when left out.")
def report(history: pathlib.Path, out: pathlib.Path | None, workload: str | None) -> None:
    """Writes the page for people from a history file."""
    from jepsen_like import campaign

    raise SystemExit(_teaching(lambda: campaign.report(history, out, workload)))


@cli.command(
    cls=Examples,
    examples="""
    jepsen-like sim --core --seeds 1-2000 --virtual 60 --json > core.jsonl
    jepsen-like run --workload all --nemesis kill --json > proxies.jsonl
    jepsen-like summary core.jsonl proxies.jsonl --out page.md
    """,
    statuses="0 some verdict is valid and none invalid; 1 one is invalid; 2 the command line; 3 nothing was proved",
)
@click.argument("lines", nargs=-1, required=True, type=click.Path(exists=True, dir_okay=False, path_type=pathlib.Path))
@click.option("--about", default="", help="A sentence on what was tried and on what machine.")
@click.option("--out", type=click.Path(path_type=pathlib.Path), help="Where the page goes; standard output when left out.")
def summary(lines: Sequence[pathlib.Path], about: str, out: pathlib.Path | None) -> None:
    """Puts the JSON lines of many seeds and runs on one page; a file's name says where its runs took place."""
    from jepsen_like import campaign

    raise SystemExit(_teaching(lambda: campaign.summary(lines, about, out)))


@cli.command("list", cls=Examples, statuses="0 it is shown; 2 the command line")
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
def list_(as_json: bool) -> None:
    """Shows workloads, faults and mutants, and which cannot be had here and why."""
    from jepsen_like import inventory

    def work() -> int:
        output.say(json.dumps(inventory.everything()) if as_json else inventory.text())
        return 0

    raise SystemExit(_teaching(work))


OWN = ("system", "backend", "members", "flags")
"""Options of `run` that say how a cluster of its own is made."""


def _refuse(names: Sequence[str], why: str) -> None:
    """Raises click.UsageError for options that nothing would be done about."""
    ctx = click.get_current_context()
    own = [one for one in ctx.command.params if one.name in names]
    given = [one.opts[0] for one in own if ctx.get_parameter_source(str(one.name)) is ParameterSource.COMMANDLINE]
    if given:
        raise click.UsageError(f"{', '.join(given)}: {why}")


def _range(text: str) -> range:
    found = re.fullmatch(r"([0-9]{1,18})(?:-([0-9]{1,18}))?", text)
    first, last = (int(found[1]), int(found[2] or found[1])) if found else (1, 0)
    if last < first:
        raise click.UsageError(f"--seeds takes FIRST-LAST or one number, not {text!r}")
    return range(first, last + 1)


def _teaching(work: Callable[[], int], end: ending.Ending | None = None) -> int:
    """The exit status; what a person can mend is said in one sentence instead of a traceback."""
    try:
        return work()
    except click.ClickException:
        raise
    except KeyboardInterrupt:
        end = end or ending.Ending()
        output.tell(f"interrupted by {end.number.name}")
        return end.status
    except output.OutputError as exc:
        return _refused(exc)
    except output.HarnessError as exc:
        output.tell(f"jepsen-like: {exc}")
        return HARNESS_FAILED
    except (ValueError, OSError) as exc:
        output.tell(f"jepsen-like: {exc}")
        return USAGE if isinstance(exc, ValueError) else HARNESS_FAILED if exc.errno in output.FULL else NOT_AVAILABLE
    except Exception as exc:
        # Python's own status for an error that nobody expected is 1, and 1 says that the store is wrong.
        output.tell(f"{''.join(traceback.format_exception(exc))}jepsen-like: the harness itself failed: {exc}")
        return HARNESS_FAILED


def main() -> NoReturn:
    """The console script."""
    try:
        cli(prog_name="jepsen-like")
    finally:
        output.settle()
    raise SystemExit(0)


if __name__ == "__main__":
    main()
