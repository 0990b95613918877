"""What the sub-commands that touch real runs and history files do: several runs one after another, checks, shrinking, reports.

Prints results; everything that is worked out is elsewhere. Every function returns an exit status.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import pathlib
import platform
import shlex
from collections.abc import Iterator, Sequence
from dataclasses import replace

from jepsen_like import judgement, output, places, restriction, seeds
from jepsen_like import run as runs
from jepsen_like import summary as pages
from jepsen_like.checker.verdict import INVALID, VALID
from jepsen_like.cluster import NotUpError
from jepsen_like.history import History, HistoryWriter, MalformedHistoryError, line_of_call, load_file
from jepsen_like.progress import Progress
from jepsen_like.report import write_index
from jepsen_like.workload import catalog
from raftkv import __version__
from raftkv.clock import SystemClock

NOTHING_PROVED = 3

ALL = "all"
"""Every workload that a right store comes through."""


def run(
    *,
    endpoints: str | None,
    workloads: Sequence[str],
    nemesis: Sequence[str],
    time_s: float,
    rate: float,
    members: int,
    system: str,
    backend: str,
    flags: Sequence[str],
    seed: int | None,
    out: pathlib.Path,
    as_json: bool,
) -> int:
    """The runs, one a workload; the status is the worst of theirs."""
    names = _named(workloads)
    _make(out)
    number = SystemClock().random().getrandbits(31) if seed is None else seed
    own = places.Own(system, backend, members, tuple(flags))
    about = {"raftkv": __version__, "python": platform.python_version()}
    statuses: list[int] = []
    for name in names:
        folder = places.folder_of(out, name, nemesis, number)
        plan = runs.Plan(name, number, folder, time_s, rate, tuple(nemesis), about)
        plan = replace(plan, about={**about, "replay": _again(plan, own, endpoints, out)})
        try:
            result = _run(plan, own, endpoints)
        except KeyboardInterrupt:
            if _print_interrupted(plan, as_json=as_json) == 1 or 1 in statuses:
                return 1  # What was seen is wrong however the run went on.
            raise
        finally:
            write_index(out)
        statuses.append(_print(result, as_json=as_json))
    return max(statuses, key=lambda status: (status == 1, status))


def _again(plan: runs.Plan, own: places.Own, endpoints: str | None, out: pathlib.Path) -> str:
    """The command line that does this one run again, whatever others were asked for with it; a shell can be given it."""
    words = ["--workload", plan.workload, "--nemesis", ",".join(plan.nemesis) or "none"]
    words += ["--time", f"{plan.time_s:g}", "--rate", f"{plan.rate:g}"]
    if endpoints is not None:
        words += ["--endpoints", endpoints]
    else:
        words += ["--members", str(own.members), "--system", own.system, "--backend", own.backend, *(f"--flag={one}" for one in own.flags)]
    return shlex.join(["jepsen-like", "run", *words, "--seed", str(plan.seed), "--out", str(out)])


def _run(plan: runs.Plan, own: places.Own, endpoints: str | None) -> runs.Result:
    title = f"{plan.workload} {','.join(plan.nemesis) or 'no faults'}"
    with Progress(title, runs.WARM_UP_S + plan.time_s + runs.COOL_DOWN_S) as progress:
        if endpoints is not None:
            return asyncio.run(places.run_at(plan, endpoints, progress.tell))
        try:
            return asyncio.run(places.run_own(plan, own, progress.tell))
        except NotUpError as exc:
            raise output.HarnessError(str(exc)) from exc


def _print_interrupted(plan: runs.Plan, *, as_json: bool) -> int:
    """The line and the page of what there is; 0 when there is nothing."""
    try:
        result = runs.judge_file(plan)
    except (OSError, MalformedHistoryError):
        return 0
    return _print(result, as_json=as_json)


def _make(folder: pathlib.Path) -> None:
    """The folder is there and takes files. Raises ValueError: it cannot be so."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as exc:
        raise ValueError(f"--out {folder} cannot be made: {exc.strerror}") from exc
    if not os.access(folder, os.W_OK | os.X_OK):
        raise ValueError(f"--out {folder} cannot be written to")


@contextlib.contextmanager
def _wanted(path: pathlib.Path) -> Iterator[None]:
    """For what writes a file that was asked for. Raises ValueError: it cannot be had there; a full disk stays an OSError."""
    try:
        yield
    except OSError as exc:
        if exc.errno in output.FULL:
            raise
        raise ValueError(f"{exc.filename or path} cannot be written: {exc.strerror}") from exc


def _named(workloads: Sequence[str]) -> list[str]:
    for name in workloads:
        if name != ALL:
            catalog.entry_of(name)
    if not workloads:
        raise ValueError(f"no workload is given; there are {', '.join(catalog.BY_NAME)}")
    right = [entry.name for entry in catalog.WORKLOADS if entry.expected == catalog.VALID]
    return list(dict.fromkeys(one for name in workloads for one in (right if name == ALL else [name])))


def _print(result: runs.Result, *, as_json: bool) -> int:
    if as_json:
        output.say(result.line())
    elif result.reasons and not result.ok and result.verdict != INVALID:
        # Nobody was there: what was counted meanwhile says nothing.
        output.say(f"{result.workload}: {result.verdict}: {result.reasons[0]}")
        output.say(f"  {result.report}")
    else:
        faults = ", ".join(f"{count} {status}" for status, count in result.faults.items()) or "none"
        output.say(
            f"{result.workload}: {result.verdict}: {result.ops} calls, {result.ok} ok, {result.unknown} unknown; "
            f"faults: {faults}; seed {result.seed}"
        )
        if result.anomalies:
            output.say(f"  {result.anomalies} anomalies: {', '.join(result.kinds)}")
        for reason in result.reasons[:5]:
            output.say(f"  {reason}")
        _print_not_injected(result.not_injected)
        output.say(f"  {result.report}")
    return _status(result.verdict)


def _print_not_injected(reasons: Sequence[str]) -> None:
    if reasons:
        output.say(f"  not injected: {'; '.join(reasons)}")


def _status(verdict: str) -> int:
    return 0 if verdict == VALID else 1 if verdict == INVALID else NOTHING_PROVED


def _loaded(path: pathlib.Path, workload: str | None) -> History:
    """The history of a file, which the workload's checks can read to the last call.

    Raises:
        MalformedHistoryError: they would pass over some of its calls and say nothing, or take them for what they are not.
    """
    history = load_file(path, allow_truncated=True)
    name = judgement.workload_of(history, workload)
    refused = judgement.refusal(history, name)
    if refused is not None:
        where = f", line {line_of_call(path, refused.number)}" if refused.number >= 0 else ""
        raise MalformedHistoryError(f"{path}{where}: {refused.text}")
    return history


def check(path: pathlib.Path, workload: str | None, *, as_json: bool) -> int:
    """Judges a history file again; nothing beside it is changed."""
    history = _loaded(path, workload)
    judged = judgement.judge(history, workload)
    if as_json:
        output.say(runs.Result.of(history, judged, "").line())
    else:
        verdict = judged.verdict
        output.say(f"{judged.outcome}: {verdict.checked} records checked, {verdict.anomaly_count} anomalies")
        for anomaly in verdict.anomalies[:10]:
            output.say(f"  {anomaly.kind}: {anomaly.explanation}")
        for reason in verdict.reasons[:5]:
            output.say(f"  not decided: {reason}")
        for reason in (*judged.rejected, *judged.left_out):
            output.say(f"  {reason}")
        _print_not_injected(judged.not_injected)
    return _status(judged.outcome)


def report(path: pathlib.Path, out: pathlib.Path | None, workload: str | None) -> int:
    """Writes the page for people from a history file, beside it unless told where.

    Raises:
        ValueError: the page beside it says something else, and stays; or it cannot be written there.
        OSError: the disk is full.
    """
    history = _loaded(path, workload)
    judged = judgement.judge(history, workload)
    other = "" if out is not None else runs.other_page(path.parent, path.name, judged.outcome)
    if other:
        raise ValueError(f"{other}: say --out to have a page somewhere else")
    if out is not None:
        _make(out)
    folder = out or path.parent
    with _wanted(folder):
        page = runs.draw(history, judged, folder, path.name)
    output.say(str(page))
    return 0


def summary(paths: Sequence[pathlib.Path], about: str, out: pathlib.Path | None) -> int:
    """Many seeds and runs on one page; invalid when one of them is, and nothing proved when no line was found."""
    files = {path.stem: pages.read(path) for path in paths}
    text = pages.page(files, about)
    if out is None:
        output.say(text, nl=False)
    else:
        with _wanted(out):
            out.write_text(text, encoding="utf-8")
    verdicts = {line["verdict"] for lines in files.values() for line in lines}
    return _status(INVALID if INVALID in verdicts else VALID if VALID in verdicts else judgement.REJECTED)


def shrink(path: pathlib.Path, workload: str | None) -> int:
    """The part of a failing history that shows its first anomaly, on the same records and whatever the calls left out did."""
    history = judgement.certain(_loaded(path, workload))
    name = judgement.workload_of(history, workload)
    whole = judgement.checked(history, name)
    if whole.outcome != INVALID:
        raise ValueError(f"nothing to shrink: the history is {whole.outcome}")
    anomaly = whole.anomalies[0]
    small = restriction.smallest(history, anomaly, lambda part: judgement.checked(part, name))
    small = restriction.stamped(small, anomaly, len(history.operations))
    target = path.with_name(path.name.removesuffix(".gz").removesuffix(".jsonl") + ".small.jsonl")
    with _wanted(target), target.open("w", encoding="utf-8") as stream:
        writer = HistoryWriter(stream, small.about)
        for records in (small.marks, small.watches, small.operations, small.responses):
            for record in records:
                writer.write(record)
        writer.close()
    where = f" of {', '.join(map(repr, anomaly.keys))}" if anomaly.keys else ""
    output.say(f"{target}: {len(small.operations)} of {len(history.operations)} calls still show {anomaly.kind}{where}")
    output.say(f"  {anomaly.explanation}")
    return 0


def shrink_seed(seed: int, *, core: bool, virtual_s: float | None) -> int:
    """The shortest scenario of a failing seed, as JSON."""
    seeds.quieten()
    if core:
        from jepsen_like.sim.core import runs as of_core

        failed = of_core.run(seed, virtual_s=virtual_s or 60.0)
        if failed.verdict != INVALID:
            raise ValueError(f"nothing to shrink: seed {seed} is {failed.verdict}")
        output.say(of_core.shrink(failed).to_json())
        return 0
    from jepsen_like.sim import shrinking

    output.say(shrinking.shrink(seed, virtual_s=virtual_s or 10.0))
    return 0
