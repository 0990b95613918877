"""One run: load, faults, healing, last reads, hashes, verdict, report.

Owns the order of the phases and what is kept of a run: `history.jsonl`, written as it happens, `run.json`, the report. Works
on any world; what the world is made of, and who does the faults, is the caller's (`jepsen_like.places`).
"""

from __future__ import annotations

import asyncio
import json
import pathlib
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from typing import IO, Any, Protocol

from jepsen_like import acceptance, hashes, judgement, ledger, readiness
from jepsen_like.cluster import ClusterError
from jepsen_like.history import OK, UNKNOWN, History, HistoryWriter, Mark, Operation, Record, Watch, WatchResponse, load_file
from jepsen_like.judgement import Judgement
from jepsen_like.leaders import watched
from jepsen_like.workload import catalog
from jepsen_like.workload.pacing import NotReadyError
from jepsen_like.workload.workload import Workload, World

WARM_UP_S = 1.0
"""Load before the first fault: shows that the cluster was well."""

COOL_DOWN_S = 2.0
"""Load goes on for so long after the time of faults, over healing and recovery."""

AFTER_LOAD_S = 120.0
"""For all that follows the load: recovery and last answers, which give up by themselves after 30 seconds each, and watchers, which are
waited for up to 60. A cluster that does not recover is found before; what goes on for longer is ended.
"""

HISTORY_FILE, RUN_FILE = "history.jsonl", "run.json"


class Faults(Protocol):
    """Who breaks things during a run."""

    async def run(self, until_s: float) -> None:
        """Faults until the loop's time is `until_s`; everything is healed when it returns."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What is to be run. Times are seconds, the rate is calls a second over all clients."""

    workload: str
    seed: int
    folder: pathlib.Path
    time_s: float = 30.0
    rate: float = 200.0
    nemesis: tuple[str, ...] = ()
    about: Mapping[str, Any] = field(default_factory=dict)
    """For the history's stamp: versions, place, command."""

    @property
    def stamp(self) -> dict[str, Any]:
        """What the history says of its run: all that judging it again needs."""
        return {**self.about, "workload": self.workload, "seed": self.seed, "nemesis": list(self.nemesis), "time_s": self.time_s}


@dataclass(frozen=True, slots=True)
class Result:
    """What one run came to; its fields are the line of `--json`."""

    verdict: str
    """`valid`, `invalid`, `unknown` or `rejected`."""

    ops: int
    ok: int
    unknown: int
    anomalies: int
    report: str
    workload: str
    nemesis: tuple[str, ...]
    seed: int
    time_s: float
    faults: Mapping[str, int]
    """By status: verified, unverified, skipped."""

    kinds: tuple[str, ...] = ()
    """Of the anomalies."""

    reasons: tuple[str, ...] = ()
    """Why the verdict is unknown or rejected; the first anomaly's sentence when it is invalid."""

    not_injected: tuple[str, ...] = ()
    """Faults that were asked for and never begun, with the reason of each."""

    @classmethod
    def of(cls, history: History, judged: Judgement, report: str) -> Result:
        """The line of a history and what is said of it."""
        outcomes = [one.outcome for one in history.operations]
        statuses = [fault.status for fault in acceptance.faults_of(history)]
        return cls(
            judged.outcome,
            len(outcomes),
            outcomes.count(OK),
            outcomes.count(UNKNOWN),
            judged.verdict.anomaly_count,
            report,
            judged.workload,
            judged.nemesis,
            judged.seed,
            judged.time_s,
            {status: statuses.count(status) for status in sorted(set(statuses))},
            judged.verdict.kinds,
            judged.reasons,
            judged.not_injected,
        )

    def line(self) -> str:
        """One line of JSON."""
        return json.dumps(asdict(self))


class Tape:
    """Where a run's records go: the file at once, and memory for the checkers."""

    def __init__(self, stream: IO[str], about: Mapping[str, Any]) -> None:
        self.history = History(about=about)
        self._stream = stream
        self._writer = HistoryWriter(stream, about)
        self._lists: Mapping[type, list[Any]] = {
            Operation: self.history.operations,
            Watch: self.history.watches,
            WatchResponse: self.history.responses,
            Mark: self.history.marks,
        }

    def write(self, record: Record) -> None:
        """See `Sink`."""
        self._writer.write(record)
        self._lists[type(record)].append(record)

    def close(self) -> None:
        """The history is whole."""
        self._writer.close()


async def load(
    plan: Plan, world: World, workload: Workload, faults: Faults | None, tell: Callable[[str], None], onlooker: World | None = None
) -> None:
    """Load with faults in the middle of it, each phase noted in the history, and who leads as the `onlooker` sees it.

    Raises:
        ExceptionGroup: of `NotReadyError`, the cluster never answered; of `ClusterError`, it did not recover.
    """
    recorder = world.recorder
    faults_end_s = world.now_s() + WARM_UP_S + plan.time_s
    tell("load")
    async with watched(onlooker or world), asyncio.TaskGroup() as group:
        group.create_task(workload.run(world, until_s=faults_end_s + COOL_DOWN_S, rate=plan.rate), name=f"load {plan.workload}")
        began_ns = recorder.now_ns()
        await world.sleep(WARM_UP_S)
        began_ns = _phase(world, acceptance.WARM_UP, began_ns)
        if faults is not None:
            tell("faults")
            await faults.run(faults_end_s)
        else:
            await world.sleep(max(0.0, faults_end_s - world.now_s()))
        began_ns = _phase(world, "faults" if faults is not None else "load", began_ns)
        tell("healed")
    _phase(world, "heal", began_ns)


async def last_reads(world: World, workload: Workload, tell: Callable[[str], None]) -> None:
    """What the checks need of a whole cluster, and every member's hash.

    Raises:
        NotReadyError: a member did not answer.
    """
    tell("last reads")
    began_ns = world.recorder.now_ns()
    await workload.finish(world)
    await hashes.ask(world)
    _phase(world, "final reads", began_ns)


def _phase(world: World, name: str, began_ns: int) -> int:
    now_ns = world.recorder.now_ns()
    world.recorder.write(ledger.phase(name, began_ns, now_ns))
    return now_ns


async def execute(
    plan: Plan,
    world: World,
    tape: Tape,
    faults: Faults | None,
    *,
    prefix: str = "",
    tell: Callable[[str], None] = lambda _phase: None,
    onlooker: World | None = None,
    rare: Callable[[], Mapping[str, int]] = dict,
) -> Result:
    """One whole run and its judgement.

    Args:
        plan: what.
        world: where.
        tape: the sink of the world's recorder; it is closed.
        faults: who breaks things.
        prefix: of all keys.
        tell: takes the phase that begins.
        onlooker: the same cluster, reached whatever is broken between it and its clients; the world when left out.
        rare: which rare states were met, asked at the end.
    """
    workload = catalog.make(plan.workload, prefix)
    found = [(judgement.CUT_SHORT, "the run was cut short: it was interrupted")]
    failure: Exception | None = None
    try:
        # NB: a task of its own, which never fails, so that what is cancelled here was cancelled from without. What fails while
        # a run is being ended, a healing or a last answer, is then no fault of the store's.
        async with asyncio.TaskGroup() as group:
            phases = group.create_task(_to_the_end(plan, world, workload, faults, tell, onlooker), name="phases")
        found, failure = phases.result()
    finally:
        now_ns = world.recorder.now_ns()
        for name, count in rare().items():
            world.recorder.write(ledger.reached(name, count, now_ns))
        for kind, text in found:
            world.recorder.write(judgement.note_of(kind, text, now_ns))
        world.recorder.close()
        tape.close()
    if failure is not None:
        raise failure
    tell("checking")
    return judge(plan, tape.history)


async def _to_the_end(
    plan: Plan, world: World, workload: Workload, faults: Faults | None, tell: Callable[[str], None], onlooker: World | None
) -> tuple[list[tuple[str, str]], Exception | None]:
    """The notes of `_phases`, and what went wrong with the harness itself."""
    try:
        return await _phases(plan, world, workload, faults, tell, onlooker), None
    except Exception as exc:
        return [(judgement.CUT_SHORT, f"the run was cut short: {type(exc).__name__}: {exc}")], exc


async def _phases(
    plan: Plan, world: World, workload: Workload, faults: Faults | None, tell: Callable[[str], None], onlooker: World | None
) -> list[tuple[str, str]]:
    """From the first call to the last; what the run found out by itself, as kinds and sentences of notes."""
    tell("first answers")
    away = await readiness.troubles(world)
    if away:
        return [(judgement.UNAVAILABLE, f"the cluster was not well before the run began: {text}") for text in away]
    phase = ""

    def told(name: str) -> None:
        nonlocal phase
        phase = name
        tell(name)

    found: list[tuple[str, str]] = []
    limit = asyncio.timeout(WARM_UP_S + plan.time_s + COOL_DOWN_S + AFTER_LOAD_S)
    try:
        async with limit:
            found = await _bounded(plan, world, workload, faults, told, onlooker)
    except Exception:
        # What fails while a run is being ended is no fault of the store's.
        if not limit.expired():
            raise
    if limit.expired():
        return [(judgement.CUT_SHORT, f"the run was cut short: {AFTER_LOAD_S:.0f} s after its load it was not over, at {phase!r}")]
    return found


async def _bounded(
    plan: Plan, world: World, workload: Workload, faults: Faults | None, tell: Callable[[str], None], onlooker: World | None
) -> list[tuple[str, str]]:
    """Load and last reads, and the notes of what went wrong with the cluster."""
    trouble: list[tuple[str, str]] = []
    try:
        try:
            await load(plan, world, workload, faults, tell, onlooker)
        except* NotReadyError as group:
            trouble += [(judgement.UNAVAILABLE, f"the cluster was not available: {error}") for error in _leaves(group)]
        if not trouble:
            await last_reads(world, workload, tell)
    except* (NotReadyError, ClusterError) as group:
        trouble += [(judgement.NOT_RECOVERED, f"every fault was healed, and still: {error}") for error in _leaves(group)]
    return trouble


def judge_file(plan: Plan) -> Result:
    """The same of what a run has written that did not come to its end.

    Raises:
        OSError: it wrote nothing.
        MalformedHistoryError: not even its first line.
    """
    return judge(plan, load_file(plan.folder / HISTORY_FILE, allow_truncated=True))


def judge(plan: Plan, history: History) -> Result:
    """The verdict on a history that bears the plan's stamp, with the report and `run.json` written to the plan's folder."""
    judged = judgement.judge(history)
    result = Result.of(history, judged, _report(plan, history, judged))
    (plan.folder / RUN_FILE).write_text(json.dumps({**asdict(result), "about": dict(plan.about)}, indent=1) + "\n", encoding="utf-8")
    return result


def _report(plan: Plan, history: History, judged: Judgement) -> str:
    """Writes the page for people and what stands beside it; whatever goes wrong with it, the verdict stands."""
    try:
        return str(draw(history, judged, plan.folder, HISTORY_FILE))
    except Exception as exc:  # A page that cannot be drawn must not take the verdict with it.
        return f"no report: {type(exc).__name__}: {exc}"


def draw(history: History, judged: Judgement, folder: pathlib.Path, file: str) -> pathlib.Path:
    """The page for people, and what stands beside it, of the history in the file of that name; the result is the page's path."""
    from jepsen_like import report

    told = {"workload": judged.workload, "nemesis": ",".join(judged.nemesis) or "none", "seed": judged.seed, "history": file}
    said = {"rejected": list(judged.rejected), "left_out": [*judged.left_out, *(f"not injected: {one}" for one in judged.not_injected)]}
    return report.write_report(history, judged.verdict, folder, {**told, **{name: texts for name, texts in said.items() if texts}})


def other_page(folder: pathlib.Path, file: str, outcome: str) -> str:
    """Why a page of the history in `file` would take the place of one that says something else; empty: it would not."""
    try:
        found = json.loads((folder / RUN_FILE).read_text(encoding="utf-8"))
        verdict, about = found["verdict"], found.get("about", {})
        drawn = str(about.get("history", HISTORY_FILE))
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return ""
    if drawn.removesuffix(".gz") != file.removesuffix(".gz"):
        return f"the page in {folder} is of {drawn}"
    return f"the page in {folder} says {verdict}, and judged again the history is {outcome}" if verdict != outcome else ""


def _leaves(group: BaseExceptionGroup[Any]) -> list[BaseException]:
    return [leaf for error in group.exceptions for leaf in (_leaves(error) if isinstance(error, BaseExceptionGroup) else [error])]
