"""A short simulated run of each workload, with a pause, as its history file holds it: stamp, phases, last reads, hashes and all."""

from __future__ import annotations

import asyncio
import functools
import io
import pathlib

from jepsen_like import run as runs
from jepsen_like.history import History, load
from jepsen_like.recorder import Recorder
from jepsen_like.run import Plan, Tape
from jepsen_like.sim.cluster import SimulatedCluster, simulate
from jepsen_like.sim.world import SimulatedWorld

TIME_S = 4.0


class Pauses:
    """Who leads, and another, for longer than a lease lives; of which nobody asks whether it was seen."""

    def __init__(self, cluster: SimulatedCluster) -> None:
        self._cluster = cluster

    async def run(self, until_s: float) -> None:
        """See `Faults`."""
        for _turn in range(2):
            member = self._cluster.leader() or self._cluster.members[0]
            member.pause()
            await asyncio.sleep(1.0)
            member.resume()
            await asyncio.sleep(0.5)


@functools.cache
def _lines(workload: str, seed: int, members: int) -> tuple[str, ...]:
    written = io.StringIO()
    plan = Plan(workload, seed, pathlib.Path("/nowhere"), TIME_S, 100.0)

    async def scenario(cluster: SimulatedCluster) -> None:
        cluster.start()
        await cluster.serving()
        tape = Tape(written, plan.stamp)
        world = SimulatedWorld(cluster, tape.history)
        world.recorder = Recorder(tape, world.now_ns)
        load_of_it = runs.catalog.make(workload)
        await runs.load(plan, world, load_of_it, Pauses(cluster) if members > 1 else None, lambda _phase: None)
        await runs.last_reads(world, load_of_it, lambda _phase: None)
        world.recorder.close()
        tape.close()

    simulate(seed, scenario, members)
    return tuple(written.getvalue().splitlines(keepends=True))


def history_of(workload: str, *, seed: int = 1, members: int = 3) -> History:
    """The history, the caller's to change."""
    return load(_lines(workload, seed, members))
