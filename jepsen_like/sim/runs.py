"""One seeded run of the server simulation from its scenario to its verdict.

`run(seed)` is all that callers need. The run is a function of seed and scenario: equal trace hashes in any process. While it
lasts whatever would leave the simulation raises (`escapes`).
"""

from __future__ import annotations

import asyncio
import contextlib
import time
import traceback
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from jepsen_like import ledger
from jepsen_like.checker.verdict import INVALID, UNKNOWN, Findings, Verdict, merged
from jepsen_like.history import OK, History, Operation
from jepsen_like.sim import escapes, places, swarm
from jepsen_like.sim.bystander import Bystander
from jepsen_like.sim.cluster import SimulatedCluster, SimulatedMember, virtual_time
from jepsen_like.sim.faults.acts import ACTS
from jepsen_like.sim.faults.injector import Injector
from jepsen_like.sim.faults.links import CLIENTS
from jepsen_like.sim.judge import judge, watchers_of
from jepsen_like.sim.loop import VirtualLoop
from jepsen_like.sim.reached import Points
from jepsen_like.sim.rules.announced import Announced
from jepsen_like.sim.rules.invariants import Invariants
from jepsen_like.sim.scenario import Scenario
from jepsen_like.sim.world import SimulatedWorld
from jepsen_like.workload import catalog
from jepsen_like.workload.keyspace import BASE
from jepsen_like.workload.workload import Workload

REJECTED = "rejected"
"""The run did too little to say anything."""

OPERATIONS_MIN = 500

WHOLE_WITHIN_S = 30.0
"""Every member must serve so soon after the last fault is healed."""

UNWATCHED_WITHIN_S = 1.0
"""So long after it has heard that its last client has gone no member may have a watcher left: it ends them in that very callback, and the
bystander ends its last connection a fifth of a second after its last call."""

OVER_WITHIN_S = 600.0
"""Virtual time of a run beyond its load: it hangs if it takes longer."""

REASON_MAX, REASONS_MAX = 500, 5
"""Characters of a sentence in a seed's line, and sentences."""

PREFIXES: Mapping[str, str] = {"register": "r/", "txn": "t/", "watch": "w/", "lease": "e/"}
"""Where the keys of each workload lie that may share a store with others."""

APART = 1_000_000
"""Between the process numbers of the load and those of the bystander, which has a recorder of its own."""

ESCAPED = escapes.EscapedSimulation.__name__
"""The anomaly of a run that reached for something real."""

LEASE_CALLS = ("grant", "keepalive", "lease-ttl", "revoke")

POINTS = (
    "crash_around_a_snapshot",
    "crash_while_installing_a_snapshot",
    "crash_while_receiving_a_snapshot",
    "crash_while_starting",
    "crash_while_the_log_is_written",
    "crash_while_the_store_commits",
    "disk_error_ended_a_member",
    "follower_needs_a_snapshot",
    "full_disk_ended_a_member",
    "leader_crashed",
    "leader_moved_under_a_snapshot",
    "leader_partitioned",
    "learner_promoted",
    "members_compared",
    "old_segment_removed",
    "one_way_partition",
    "paused_process_killed",
    "resumed_after_a_second",
    "rotten_log_refused",
    "rotten_snapshot_refused",
    "snapshot_on_its_way",
    "snapshot_stream_cut",
    "stop_took_too_long",
    "stopped_in_time",
    "torn_tail_cut_off",
    "whole_cluster_lost_power",
    "wiped_member_refused",
)
"""Rare states of the server simulation; `reached()` refuses other names."""


@dataclass(frozen=True, slots=True)
class Result:
    """What a run came to."""

    seed: int
    verdict: str
    """`valid`, `invalid`, `unknown` or `rejected`."""

    trace_hash: str
    virtual_s: float
    wall_s: float
    ops: int
    """Operations that were answered with success."""

    faults: Mapping[str, int]
    """By name, those whose effect was seen."""

    reached: Mapping[str, int]
    history: History
    scenario: Scenario
    findings: Verdict = field(default_factory=Verdict)
    reason: str = ""
    """Why it was rejected."""

    events: int = 0
    """Callbacks run."""

    def to_json(self) -> dict[str, Any]:
        """The one line of `--json`."""
        names = ("seed", "verdict", "trace_hash", "virtual_s", "wall_s", "ops", "faults")
        line = {name: getattr(self, name) for name in names} | {"reached": dict(self.reached)}
        line["reasons"] = [text[:REASON_MAX] for text in self._reasons()[:REASONS_MAX]]
        if self.verdict == INVALID:
            line["anomalies"] = line["reasons"]
        return line

    def _reasons(self) -> Sequence[str]:
        """Why the run is not valid."""
        if self.verdict == INVALID:
            return [f"{one.kind}: {one.explanation}" for one in self.findings.anomalies]
        return [self.reason] if self.verdict == REJECTED else self.findings.reasons if self.verdict == UNKNOWN else []


def run(
    seed: int,
    scenario: Scenario | None = None,
    *,
    virtual_s: float = 30.0,
    journal: list[tuple[float, int, int]] | None = None,
) -> Result:
    """Runs a seed's scenario, or the one given, and judges it.

    Args:
        seed: of every draw.
        scenario: what to run; drawn from the seed when left out.
        virtual_s: how long the load lasts, of a drawn scenario.
        journal: gets (time, callbacks, checksum) of every round, to find where two runs part.
    """
    scenario = replace(scenario, seed=seed) if scenario is not None else swarm.scenario(seed, virtual_s=virtual_s)
    with escapes.quiet_collection():
        return _result(seed, scenario, journal)


def _result(seed: int, scenario: Scenario, journal: list[tuple[float, int, int]] | None) -> Result:
    started_s = time.perf_counter()
    history = History(about={"seed": seed, "scenario": scenario.to_json()})
    loop = VirtualLoop(seed, schedule=scenario.schedule, grain_s=scenario.grain_s)
    loop.journal = journal
    loop.network.delay_s = scenario.delay_s
    with Points(POINTS) as points, escapes.refused() as escaped, virtual_time(loop):
        simulated = _Run(loop, scenario, history)
        findings = simulated.run()
    if escaped and ESCAPED not in findings.kinds:
        findings = merged((_swallowed(escaped), findings))
    wall_s = time.perf_counter() - started_s
    verified = [record for record in simulated.injector.records if record.verified]
    reason = "" if findings.anomaly_count else _rejected(history, simulated)
    result = Result(
        seed=seed,
        verdict=REJECTED if reason else findings.outcome,
        trace_hash=loop.trace_hash(),
        virtual_s=round(loop.now_s - simulated.began_s, 3),
        wall_s=round(wall_s, 3),
        ops=_answered(history),
        faults=dict(sorted(Counter(record.name for record in verified).items())),
        reached=points.met,
        history=history,
        scenario=scenario,
        findings=findings,
        reason=reason,
        events=loop.events_total,
    )
    simulated.drop()
    return result


def _swallowed(escaped: Sequence[escapes.EscapedSimulation]) -> Verdict:
    """Escapes that somebody caught: the run is invalid all the same."""
    found = Findings()
    for escape in escaped:
        found.add(ESCAPED, str(escape))
    return found.verdict(0)


def _answered(history: History) -> int:
    return sum(one.outcome == OK for one in history.operations)


def _rejected(history: History, simulated: _Run) -> str:
    if (count := _answered(history)) < OPERATIONS_MIN:
        return f"only {count} operations completed"
    spans = [(record.start_ns, record.end_ns) for record in simulated.injector.records if record.verified]
    if not any(op.invoke_ns <= end and op.complete_ns >= start for start, end in spans for op in history.operations):
        return "no fault met an operation"
    return ""


class _Run:
    def __init__(self, loop: VirtualLoop, scenario: Scenario, history: History) -> None:
        self.loop = loop
        self.scenario = scenario
        self.history = history
        self.began_s = loop.now_s
        self.cluster = SimulatedCluster(loop, scenario.members, **scenario.settings)
        self.cluster.disk_s = scenario.disk_s
        self.world = SimulatedWorld(self.cluster, history)
        self.world.patience = scenario.patience
        self.injector = Injector(self.cluster, self.world, ACTS, loads=scenario.workloads)
        self.invariants = Invariants()
        self.announced = Announced()
        self.cluster.on_running = self._on_running
        self.invariants.on_leader = lambda host, term: self.world.recorder.write(ledger.leader(host, term, self.world.now_ns()))
        self.workloads: list[Workload] = [catalog.make(name) for name in scenario.workloads]
        self.bystander: Bystander | None = None
        if scenario.bystander:
            self.bystander = Bystander(self.cluster, election_s=scenario.election_s, may_compact="lease" not in scenario.workloads)

    def _on_running(self, member: SimulatedMember) -> None:
        self.invariants.attach(member)
        self.announced.attach(member)

    def run(self) -> Verdict:
        """Raises nothing that a member can cause."""
        findings = Findings()
        try:
            self.loop.run_until_complete(self.loop.create_task(self._main()))
            self.world.recorder.close()
            verdicts = [workload.check(self._share(name)) for name, workload in zip(self.scenario.workloads, self.workloads, strict=True)]
            if self.bystander is not None:
                verdicts.append(self.bystander.check(self.history))
            return merged([judge(self.cluster, self._everybodys(), self.injector.unexpected), *verdicts])
        except Exception as error:
            self.injector.look_for_failures()
            self.world.recorder.close()
            for text in self.injector.unexpected:
                findings.add("process-ended", text)
            for text in self.loop.callback_errors:
                findings.add("callback-raised", text.strip())
            findings.add(_kind_of(error), "".join(traceback.format_exception(error))[-4000:])
            return findings.verdict(len(self.history.operations))

    def _everybodys(self) -> History:
        """What all clients asked for."""
        if self.bystander is None:
            return self.history
        beside = [one._replace(process=one.process + APART) for one in self.bystander.history.operations]
        operations = sorted((*self.history.operations, *beside), key=lambda one: one.complete_ns)
        return replace(self.history, operations=operations)

    def _share(self, name: str) -> History:
        """The history as far as it is one workload's. Of several none is alone in the store; `judge` looks at them together."""
        history = self.history
        if len(self.workloads) == 1 and self.bystander is None:
            return history
        marks = [mark for mark in history.marks if not (isinstance(mark.detail, dict) and BASE in mark.detail)]
        compactions = [one for one in self.bystander.history.operations if one.f == "compact"] if self.bystander is not None else []
        if len(self.workloads) == 1:
            return replace(history, operations=[*history.operations, *compactions], marks=marks)
        prefix = PREFIXES[name]
        calls = ("compact", *LEASE_CALLS) if name == "lease" else ("compact",)
        operations = [one for one in history.operations if one.f in calls or _key_of(one).startswith(prefix)] + compactions
        watches = [one for one in history.watches if one.key.startswith(prefix)]
        numbers = {one.watch for one in watches}
        return History(operations, watches, [one for one in history.responses if one.watch in numbers], marks, history.about)

    async def _main(self) -> None:
        scenario, cluster = self.scenario, self.cluster
        async with asyncio.timeout(scenario.virtual_s + OVER_WITHIN_S):
            cluster.start()
            await cluster.serving(WHOLE_WITHIN_S)
            began_s = self.loop.now_s
            until_s = began_s + scenario.virtual_s
            async with asyncio.TaskGroup() as group:
                for workload in self.workloads:
                    group.create_task(workload.run(self.world, until_s=until_s, rate=scenario.rate), name=workload.name)
                if self.bystander is not None:
                    group.create_task(self.bystander.run(until_s), name="bystander")
                group.create_task(self.injector.run(scenario.faults, began_s, until_s), name="faults")
            self.injector.heal()
            await cluster.serving(WHOLE_WITHIN_S + 10 * scenario.election_s)
            for workload in self.workloads:
                await workload.finish(self.world)
            if self.bystander is not None:
                await self.bystander.finish()
            # Every client has gone by now.
            await until_unwatched(cluster)
            # Last, so that no time goes by before stores are compared: leases of clients that have gone still run out.
            await cluster.until(self._is_settled, WHOLE_WITHIN_S, "all members at one applied index")
            self.injector.look_for_failures()

    def _is_settled(self) -> bool:
        """Every member has applied what the furthest has."""
        if any(member.running is None for member in self.cluster.members):
            return False
        applied = {member.running.core.applier.applied for member in self.cluster.members if member.running is not None}
        return len(applied) == 1

    def drop(self) -> None:
        """Nothing of the members or tasks runs any more, and no place acts."""
        places.all_off(self.cluster)
        for member in self.cluster.members:
            if member.life is not None:
                self.loop.bury(member.life)
        for task in (*self.loop.graveyard, *asyncio.all_tasks(self.loop)):
            task._log_destroy_pending = False
        self.loop.close()


async def until_unwatched(cluster: SimulatedCluster) -> None:
    """Waits, after the last client has gone, until no member has a watcher, or so long that one that has is wrong."""
    network, now_s = cluster.loop.network, cluster.loop.now_s
    heard_s = max(network.arrived_s(CLIENTS, member.host) for member in cluster.members)
    with contextlib.suppress(AssertionError):  # What is left is what `judge` finds.
        await cluster.until(lambda: not any(map(watchers_of, cluster.members)), heard_s - now_s + UNWATCHED_WITHIN_S)


def _key_of(operation: Operation) -> str:
    """Its key, or the first a transaction names."""
    if operation.key or operation.f != "txn":
        return operation.key
    return next((str(step[1]) for part in operation.argument[1:] for step in part), "")


def _kind_of(error: BaseException) -> str:
    while isinstance(error, BaseExceptionGroup) and len(error.exceptions) == 1:
        error = error.exceptions[0]
    return type(error).__name__


def runs(seeds: Sequence[int], **options: Any) -> list[Result]:
    """Several seeds, one after another, without their histories."""
    results = []
    for seed in seeds:
        results.append(replace(run(seed, **options), history=History()))
    return results
