"""One run: load, faults, healing, last reads, hashes, verdict, report.

Owns the order of the phases and what is kept of a run: `history.jsonl`, written as it happens, `run.json`, the report. Works
on any world; what the world is made of, and who does the faults, is the caller's (`jepsen_like.places`).
"""

from __future__ import annotations

import asyncio
import json
import pathlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import IO, Any, Protocol

from jepsen_like import acceptance, hashes, ledger
from jepsen_like.checker import hashkv
from jepsen_like.checker.verdict import INVALID, VALID, Findings, Verdict, merged
from jepsen_like.cluster import ClusterError
from jepsen_like.history import OK, UNKNOWN, History, HistoryWriter, Mark, Operation, Record, Watch, WatchResponse
from jepsen_like.leaders import watched
from jepsen_like.workload import catalog
from jepsen_like.workload.pacing import NotReadyError
from jepsen_like.workload.workload import Workload, World

WARM_UP_S = 1.0
"""Load before the first fault: shows that the cluster was well."""

COOL_DOWN_S = 2.0
"""Load goes on for so long after the time of faults, over healing and recovery."""

REJECTED = "rejected"
"""Nothing was wrong, and nothing was proved."""

NOT_RECOVERED = "not-recovered"
"""The anomaly of a cluster that stays away after every fault was healed."""

TEXT_MAX = 1000
NOTHING_SEEN = Verdict()

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
    trouble: list[str] = []
    lost = Findings()
    try:
        try:
            await load(plan, world, workload, faults, tell, onlooker)
        except* NotReadyError as group:
            trouble += [f"the cluster was not available: {error}" for error in _leaves(group)]
        if not trouble:
            await last_reads(world, workload, tell)
    except* (NotReadyError, ClusterError) as group:
        for error in _leaves(group):
            lost.add(NOT_RECOVERED, f"every fault was healed, and still: {error}"[:TEXT_MAX])
    finally:
        for name, count in rare().items():
            world.recorder.write(ledger.reached(name, count, world.recorder.now_ns()))
        world.recorder.close()
        tape.close()
    tell("checking")
    return judge(plan, workload, tape.history, trouble, lost.verdict(0))


def judge(plan: Plan, workload: Workload, history: History, trouble: Sequence[str] = (), seen: Verdict = NOTHING_SEEN) -> Result:
    """The verdict on a whole history, with the report written beside it; `seen` is what the run itself found."""
    entry = catalog.entry_of(plan.workload)
    verdict = merged((workload.check(history), hashkv.check(history), seen))
    rejected = [*trouble, *acceptance.rejections(history, entry, time_s=plan.time_s, wanted_faults=plan.nemesis)]
    outcome = verdict.outcome
    if outcome == VALID and rejected:
        outcome = REJECTED
    reasons = [*verdict.reasons, *rejected]
    if outcome == INVALID and verdict.anomalies:
        reasons.insert(0, verdict.anomalies[0].explanation)
    statuses = [fault.status for fault in acceptance.faults_of(history)]
    result = Result(
        outcome,
        len(history.operations),
        sum(one.outcome == OK for one in history.operations),
        sum(one.outcome == UNKNOWN for one in history.operations),
        verdict.anomaly_count,
        _report(plan, history, verdict, rejected),
        plan.workload,
        plan.nemesis,
        plan.seed,
        plan.time_s,
        {status: statuses.count(status) for status in sorted(set(statuses))},
        verdict.kinds,
        tuple(reasons),
    )
    (plan.folder / RUN_FILE).write_text(json.dumps({**asdict(result), "about": dict(plan.about)}, indent=1) + "\n", encoding="utf-8")
    return result


def _report(plan: Plan, history: History, verdict: Verdict, rejected: Sequence[str]) -> str:
    """Writes the page for people and what stands beside it; whatever goes wrong with it, the verdict stands."""
    about = {**plan.about, "workload": plan.workload, "nemesis": ",".join(plan.nemesis) or "none", "seed": plan.seed}
    try:
        from jepsen_like import report

        page = report.write_report(history, verdict, plan.folder, {**about, "rejected": list(rejected), "history": HISTORY_FILE})
    except Exception as exc:  # A page that cannot be drawn must not take the verdict with it.
        return f"no report: {type(exc).__name__}: {exc}"
    return str(page)


def _leaves(group: BaseExceptionGroup[Any]) -> list[BaseException]:
    return [leaf for error in group.exceptions for leaf in (_leaves(error) if isinstance(error, BaseExceptionGroup) else [error])]
