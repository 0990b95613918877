"""Where a run takes place: endpoints that somebody else runs, or a cluster of the harness's own.

Joins a world, its tape and its faults for `jepsen_like.run.execute`, and clears away whatever it started.
"""

from __future__ import annotations

import contextlib
import pathlib
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass

from jepsen_like import endpoints as addresses
from jepsen_like import listeners, rare, run
from jepsen_like.cluster import open_cluster
from jepsen_like.cluster.member import MemberProcess
from jepsen_like.endpoints import EndpointWorld
from jepsen_like.nemesis import Nemesis, prepared
from jepsen_like.nemesis.admin import AdminWorld
from jepsen_like.sim.streams import stream
from jepsen_like.workload import catalog
from raftkv.clock import SystemClock


@dataclass(frozen=True, slots=True)
class Own:
    """A cluster that is started for the run."""

    system: str = "raftkv"
    backend: str = "PX"
    members: int = 3
    flags: Sequence[str] = ()


class UnavailableFaultError(ValueError):
    """The faults asked for cannot be done here; the text says why and what can be."""


@contextlib.asynccontextmanager
async def _tape(plan: run.Plan) -> AsyncIterator[run.Tape]:
    """Raises ValueError: another run took the folder meanwhile, which is not overwritten."""
    plan.folder.mkdir(parents=True, exist_ok=True)
    try:
        stream = (plan.folder / run.HISTORY_FILE).open("x", encoding="utf-8", buffering=1 << 16)
    except FileExistsError as exc:
        raise ValueError(f"{plan.folder} holds the history of another run: start this one again, or give it its own --out") from exc
    with stream:
        yield run.Tape(stream, plan.stamp)


async def run_at(plan: run.Plan, text: str, tell: Callable[[str], None]) -> run.Result:
    """Runs against endpoints, given as to etcdctl.

    Raises:
        UnavailableFaultError: faults were asked for that can only be done to processes of the harness's own.
        NoListenerError: a member cannot be paused.
    """
    named = addresses.named(text)
    others = [name for name in plan.nemesis if name != listeners.PAUSE]
    if others:
        raise UnavailableFaultError(
            f"{', '.join(others)} can only be done to a cluster that the harness starts: leave out --endpoints, or say --nemesis pause"
        )
    async with _tape(plan) as tape:
        world = EndpointWorld(named, tape, seed=plan.seed)
        faults = None
        if plan.nemesis:
            faults = listeners.Pauses(world, listeners.processes(named), world.random("nemesis"))
        # Not of the seed alone: the same run again on the same store must not meet the keys of the first.
        once = SystemClock().random().getrandbits(32)
        return await run.execute(plan, world, tape, faults, prefix=f"jepsen-like/{plan.seed:x}.{once:x}/", tell=tell)


async def run_own(plan: run.Plan, own: Own, tell: Callable[[str], None]) -> run.Result:
    """Runs against a cluster that is started for it, with every fault of the registry.

    Raises:
        OSError: the back end or the server is not available here.
        NotUpError: the cluster did not come up.
        ClusterError: it did not recover.
        UnknownFaultError: a fault's name is not known.
    """
    tell("starting")
    data = plan.folder / "members"
    needs = prepared(plan.nemesis, own.backend, own.system)
    flags = [*needs.flags, *own.flags]
    async with (
        _tape(plan) as tape,
        open_cluster(own.backend, own.members, plan.seed, data, system=own.system, flags=flags, instruments=needs.instruments) as cluster,
    ):
        world = EndpointWorld(_addresses(cluster.members), tape, seed=plan.seed)
        calm_s = catalog.entry_of(plan.workload).calm_s
        faults = Nemesis(cluster, plan.nemesis, stream(plan.seed, "nemesis"), world.recorder, calm_s=calm_s) if plan.nemesis else None
        # NB: of the seed's own stream, so that the nemesis draws what it would draw without an onlooker.
        onlooker = AdminWorld(cluster, world.recorder, stream(plan.seed, "onlooker"))
        return await run.execute(plan, world, tape, faults, tell=tell, onlooker=onlooker, rare=lambda: _met(cluster.members))


def _met(members: Sequence[MemberProcess]) -> dict[str, int]:
    """By the logs of all members."""
    return rare.met(line for member in members for line in member.log_text().splitlines())


def _addresses(members: Sequence[MemberProcess]) -> dict[str, str]:
    return {member.name: member.endpoint for member in members}


def folder_of(base: pathlib.Path, workload: str, nemesis: Sequence[str], seed: int) -> pathlib.Path:
    """Where a run's files go; an earlier run of the same name is not overwritten."""
    stem = "-".join((workload, *(nemesis or ("calm",)), f"{seed:x}"))[:100]
    number = 1
    while True:
        folder = base / (stem if number == 1 else f"{stem}.{number}")
        if not folder.exists():
            return folder
        number += 1
