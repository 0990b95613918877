"""Runs the wanted measurements, the two systems in turn, and gathers the rows.

Both systems' clusters run at the same time, so that a round of one is followed at once by the same round of the other and both meet the
same weather on a shared machine; the idle one costs a heartbeat every 100 ms. Nothing here judges: a load that does not count becomes
a void round with its reason.
"""

from __future__ import annotations

import asyncio
import pathlib
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field

from raftkv.pb import rpc
from tests.bench import scenarios
from tests.bench.counters import Control, control, void_because
from tests.bench.load import H2load, Load, Outcome, OwnGenerator
from tests.bench.results import Round, Row
from tests.bench.scenarios import PUT, RANGE, Scenario
from tests.bench.systems import BenchError, Cluster, Member, Ports, System, answers
from tests.bench.watching import Fan, watch_fan_out

IDLE_S = 2.0
"""A member's memory is read this long after all serve, so that what it imports in the first second counts."""
TRIES = 2
"""A round that does not count is repeated this often."""


@dataclass(frozen=True)
class Plan:
    """How much is measured. `seconds` is what one round of a load should take."""

    rounds: int = 3
    seconds: float = 2.0
    starts: int = 5
    fan: Fan = field(default_factory=Fan)


QUICK = Plan(rounds=1, seconds=0.4, starts=1, fan=Fan(connections=20, streams=5, puts_per_s=200, seconds=1.0))

TARGETS = {
    "one.put.64x1": 1.2,
    "one.put.4x64": 1.2,
    "three.leader.put.64x1": 1.5,
    "three.leader.put.4x64": 1.5,
    **{f"{place}.range.{shape}": 2.0 for place in ("one", "three.leader") for shape in ("64x1", "4x64")},
    **{f"{place}.range-500.8x1": 2.0 for place in ("one", "three.leader")},
    **{f"{place}.range-10000.8x1": 1.2 for place in ("one", "three.leader")},
}
START_LIMIT_S = 0.7
IDLE_MEMORY_LIMIT_MB = 80.0


class Campaign:
    """One run of the benchmark."""

    def __init__(
        self,
        systems: Sequence[System],
        plan: Plan,
        *,
        folder: pathlib.Path,
        ports: Ports,
        h2load: H2load | None,
        wanted: Callable[[str], bool],
        say: Callable[[str], None],
    ) -> None:
        self._systems = systems
        self._plan = plan
        self._folder = folder
        self._ports = ports
        self._h2load = h2load
        self._own = OwnGenerator()
        self._wanted = wanted
        self._say = say
        self._made = 0
        self.rows: list[Row] = []

    async def run(self) -> list[Row]:
        """Everything that is wanted; the rows in the order of the table."""
        await self._starts()
        await self._idle_memory()
        for size, rows in scenarios.load_scenarios(self._wanted).items():
            watch = size == 1 and self._wanted(scenarios.WATCH)
            loaded = self._wanted(scenarios.LOADED_MEMORY)
            if rows or watch or loaded:
                await self._loads(size, rows, watch=watch)
        return self.rows

    def _row(self, row: Row) -> Row:
        self.rows.append(row)
        return row

    def _cluster(self, system: System, size: int) -> Cluster:
        self._made += 1
        return Cluster(system, self._folder / f"{self._made}-{system.name}", self._ports, size)

    def _report(self, row: Row) -> None:
        parts = []
        for system in self._systems:
            value = row.median(system.name)
            parts.append(f"{system.name} {'void' if value is None else f'{value:,.4g}'}")
        self._say(f"{row.name:40} {', '.join(parts)} {row.unit}")

    # Starting and memory.

    async def _starts(self) -> None:
        """Exec to the first answered range: with an empty folder, then again with what the first start left."""
        fresh = Row(scenarios.START, "s", False, limit=START_LIMIT_S)
        again = Row(scenarios.RESTART, "s", False, limit=START_LIMIT_S)
        if not self._wanted(fresh.name) and not self._wanted(again.name):
            return
        self.rows += [row for row in (fresh, again) if self._wanted(row.name)]
        for _ in range(self._plan.starts):
            for system in self._systems:
                cluster = self._cluster(system, 1)
                for row in (fresh, again):
                    try:
                        row.add(system.name, Round(await cluster.start()))
                    except BenchError as exc:
                        row.void(system.name, str(exc))
                    finally:
                        await cluster.stop()
        self._report(fresh)
        self._report(again)

    async def _idle_memory(self) -> None:
        """Resident memory of a member of three that has no clients; the largest of the three."""
        if not self._wanted(scenarios.IDLE_MEMORY):
            return
        row = self._row(Row(scenarios.IDLE_MEMORY, "MB", False, limit=IDLE_MEMORY_LIMIT_MB))
        for system in self._systems:
            cluster = self._cluster(system, 3)
            try:
                await cluster.start()
                await asyncio.sleep(IDLE_S)
                row.add(system.name, Round(_largest_mb(cluster)))
            except BenchError as exc:
                row.void(system.name, str(exc))
            finally:
                await cluster.stop()
        self._report(row)

    # Loads.

    async def _loads(self, size: int, wanted: Sequence[Scenario], *, watch: bool) -> None:
        """Fills the clusters, starts them again so that no buffer is left of that, and runs the rows in their order."""
        memory = Row(f"{scenarios.LOADED_MEMORY}.{'one' if size == 1 else 'three'}", "MB", False)
        async with AsyncExitStack() as stack:
            clusters = []
            for system in self._systems:
                cluster = self._cluster(system, size)
                stack.push_async_callback(cluster.stop)
                await cluster.start()
                await _fill(cluster)
                await cluster.stop()
                await cluster.start()
                clusters.append(cluster)
            self._say(f"{size} member(s) of each system serve, filled with {scenarios.LIST_KEYS:,} keys")
            for scenario in wanted:
                await self._load_row(scenario, clusters)
            if watch:
                await self._watch_row(clusters)
            for cluster in clusters:
                memory.add(cluster.system.name, Round(_largest_mb(cluster)))
            if self._wanted(memory.name):
                self._report(self._row(memory))

    async def _load_row(self, scenario: Scenario, clusters: Sequence[Cluster]) -> None:
        row = self._row(Row(scenario.name, "req/s", True, target=TARGETS.get(scenario.name, 0.0)))
        generator = self._h2load if self._h2load is not None and len(scenario.operation.messages) == 1 else self._own
        row.generator = generator.name
        requests: dict[str, int] = {}
        for number in range(-1, self._plan.rounds):
            for cluster in clusters:
                name = cluster.system.name
                if number < 0:
                    requests[name] = scenario.operation.probe_requests
                for attempt in range(TRIES):
                    try:
                        measured = await self._round(generator, scenario, cluster, requests[name])
                    except BenchError as exc:
                        row.void(name, str(exc)) if attempt == TRIES - 1 else self._say(f"{row.name}: {name}: again, because {exc}")
                        continue
                    if number < 0:
                        requests[name] = _requests_for(measured.value, self._plan.seconds, scenario)
                    else:
                        row.add(name, measured)
                    break
        self._report(row)

    async def _round(self, generator: H2load | OwnGenerator, scenario: Scenario, cluster: Cluster, requests: int) -> Round:
        """One load; raises BenchError when it does not count."""
        operation = scenario.operation
        member = await _member_for(scenario, cluster)
        requests = max(requests, 2 * scenario.connections * scenario.streams)
        load = Load(operation.path, operation.messages, scenario.connections, scenario.streams, requests)
        async with control(member.client_port) as asked:
            if operation.path == RANGE:
                await _check_answer(asked, scenario)
            before = await asked.counts(operation.path)
            used = sum(one.cpu_s for one in cluster.usages())
            outcome: Outcome = await generator.run(member.client_port, load)
            used = sum(one.cpu_s for one in cluster.usages()) - used
            after = await asked.counts(operation.path)
        why = void_because(before, after, requests, own_calls=operation.path == RANGE, writes=operation.path == PUT)
        if not why and await _member_for(scenario, cluster) is not member:
            why = "the leader changed"
        if why:
            raise BenchError(why)
        return Round(requests / outcome.seconds, used / requests * 1e6, outcome.client_cpu_s / requests * 1e6)

    async def _watch_row(self, clusters: Sequence[Cluster]) -> None:
        fan = self._plan.fan
        row = self._row(Row(scenarios.WATCH, "ms p50", False, generator=self._own.name))
        for _ in range(self._plan.rounds):
            for cluster in clusters:
                try:
                    seen = await watch_fan_out(cluster.members[0], fan)
                except BenchError as exc:
                    row.void(cluster.system.name, str(exc))
                    continue
                notes = {
                    "p99 ms": seen.p99_ms,
                    "max ms": seen.max_ms,
                    "events/s": seen.events_per_s,
                    "server CPU %": seen.server_cpu_percent,
                    "client CPU %": seen.client_cpu_percent,
                    "MB": seen.rss_bytes / 1e6,
                }
                row.add(cluster.system.name, Round(max(seen.p50_ms, 0.1), notes=notes))
        self._report(row)


def _requests_for(rate: float, seconds: float, scenario: Scenario) -> int:
    at_once = scenario.connections * scenario.streams
    return max(round(rate * seconds / at_once), 2) * at_once


def _largest_mb(cluster: Cluster) -> float:
    return max(one.rss_bytes for one in cluster.usages()) / 1e6


async def _member_for(scenario: Scenario, cluster: Cluster) -> Member:
    leader, followers = await cluster.leader_and_followers()
    return followers[0] if scenario.place == "follower" else leader


async def _fill(cluster: Cluster) -> None:
    """The keys that ranges read, at every member; ends when all members have them."""
    async with control(cluster.members[0].client_port) as first:
        await first.put_all([(scenarios.ONE_KEY, scenarios.VALUE)])
        await first.put_all([(scenarios.list_key(number), scenarios.VALUE) for number in range(scenarios.LIST_KEYS)])
    for member in cluster.members:
        if not await answers(member.client_port):
            raise BenchError(f"{cluster.system.name} {member.name} does not answer after it was filled")


async def _check_answer(asked: Control, scenario: Scenario) -> None:
    """One answer of a range, looked at: the loads' own answers are only counted."""
    answer = await asked.range(rpc.RangeRequest.FromString(scenario.operation.messages[0]))
    wrong = sum(item.value != scenarios.VALUE for item in answer.kvs)
    if len(answer.kvs) != scenario.operation.keys_expected or answer.count != scenario.operation.keys_expected or wrong:
        raise BenchError(f"a range answered {len(answer.kvs)} of {scenario.operation.keys_expected} keys, {wrong} with another value")
