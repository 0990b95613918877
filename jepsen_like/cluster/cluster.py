"""A cluster of real member processes that a run may kill, pause, cut apart and start again.

Owns processes, folders and the network between them; whatever was started is ended by `close`. What is done to members here has
no opinion on whether it worked: the faults (`jepsen_like.nemesis`) look for themselves.
"""

from __future__ import annotations

import asyncio
import pathlib
import signal
import sys
import time
from collections.abc import AsyncIterator, Callable, Collection, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from types import TracebackType
from typing import NamedTuple, Self

from jepsen_like.cluster import namespaces, owners
from jepsen_like.cluster.instrumented.levers import Levers
from jepsen_like.cluster.links import CLIENTS, CUT, OPEN, Conditions, Direction
from jepsen_like.cluster.member import MemberProcess, clean_environment
from jepsen_like.cluster.namespaces import Namespaces
from jepsen_like.cluster.networks import Direct, Network
from jepsen_like.cluster.power import LoopPower, Power, TracedPower
from jepsen_like.cluster.proxies import Proxies
from jepsen_like.cluster.systems import RAFTKV, SYSTEMS, System
from raftkv.client import AsyncClient
from raftkv.errors import RaftKVError

POLL_S = 0.01
WITHIN_S = 60.0
"""For what takes a second on an idle machine: long enough for a very busy one."""

ADMIN_TIMEOUT_S = 1.0

USAGE = 2
"""What both servers end with when they do not understand their command line."""


CLOCK, FILES, TRACE, LOOP, FAILPOINTS = "clock", "files", "trace", "loop", "failpoints"
LEVERED = {CLOCK, FILES}
FAILPOINTS_VARIABLE = "RAFTKV_FAILPOINTS_HTTP"
INSTRUMENTED = (sys.executable, "-m", "jepsen_like.cluster.instrumented")


class ClusterError(AssertionError):
    """The cluster did not do in time what a run waits for; the text holds the members' logs."""


class NotUpError(ClusterError):
    """The cluster never served; the text names one member, its log and what that ends with."""


class FlagsRefusedError(ValueError):
    """A member ended at its first start because of its flags; the text is its own."""


class Said(NamedTuple):
    """What one member says of itself."""

    member: MemberProcess
    id: int
    term: int
    leader_id: int
    revision: int
    applied_index: int

    @property
    def leads(self) -> bool:
        """It says that it is the leader itself."""
        return self.id == self.leader_id


class Cluster:
    """Members of one cluster.

    Invariants: 1. at most one process per member; 2. none runs after `close`; 3. its addresses are its own until then.
    """

    def __init__(
        self,
        folder: pathlib.Path,
        *,
        size: int = 3,
        flags: Sequence[str] = (),
        system: str = RAFTKV,
        network: Network | None = None,
        instruments: Collection[str] = (),
    ) -> None:
        self.folder = folder
        self.flags = list(flags)
        self.system: System = SYSTEMS[system]
        self.network: Network = network if network is not None else Direct()
        self._conditions: dict[Direction, Conditions] = {}
        names = [f"n{number}" for number in range(1, size + 1)]
        self.members = [MemberProcess(name, folder / name, place) for name, place in zip(names, self.network.places(names), strict=True)]
        self._instruments = _of_raftkv(self.system, instruments)
        self.has_failpoints = FAILPOINTS in self._instruments
        """They can be switched on, at each member's `place.failpoints`."""
        self.levers: dict[str, Levers] = {}
        """By member, where they were asked for."""
        if LEVERED & self._instruments:
            self.levers = {member.name: Levers(member.folder / "levers", make=True) for member in self.members}
        self.power: Power | None = None
        if TRACE in self._instruments:
            self.power = TracedPower()
        elif LOOP in self._instruments:
            self.power = LoopPower(self.members)

    async def __aenter__(self) -> Self:
        await self.network.open()
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if error is not None:
            error.add_note(self.describe())
        await self.close()

    @property
    def endpoints(self) -> list[str]:
        """Every member's client address."""
        return [member.endpoint for member in self.members]

    def member(self, name: str) -> MemberProcess:
        """By name."""
        return next(member for member in self.members if member.name == name)

    def describe(self) -> str:
        """For people: every member's state and the end of its log."""
        return "\n".join(member.describe() for member in self.members)

    def command(self, member: MemberProcess) -> list[str]:
        """What stands before a member's flags."""
        options = [] if self.power is None else self.power.options(member)
        if member.name in self.levers:
            options += [f"--levers={member.folder / 'levers'}", *(["--clock"] if CLOCK in self._instruments else [])]
        return [*INSTRUMENTED, *options] if options else list(self.system.command)

    def arguments(self, member: MemberProcess) -> list[str]:
        """A member's whole command line."""
        flags = [*self.flags, *(["--initial-cluster-state=existing"] if member.joins else [])]
        return [*self.command(member), *self.system.arguments(member, self.members, str(member.data), flags)]

    def start(self, *members: MemberProcess) -> None:
        """Starts the members, all when none is named. Returns before they serve."""
        for member in members or self.members:
            with self.network.inside(member.name):
                member.start(self.arguments(member), self._environment_of(member))
        self.network.started(members or self.members)

    def _environment_of(self, member: MemberProcess) -> dict[str, str]:
        environment = clean_environment()
        if self.has_failpoints:
            environment[FAILPOINTS_VARIABLE] = member.place.failpoints
        return environment

    def kill(self, *members: MemberProcess) -> None:
        """kill -9, all at once when none is named; they have ended when it returns."""
        for member in members or self.members:
            member.signal(signal.SIGKILL)
        for member in members or self.members:
            member.kill()

    def terminate(self, *members: MemberProcess) -> None:
        """Sends SIGTERM to the members that run, all when none is named; they end in order, later."""
        for member in members or self.members:
            member.signal(signal.SIGTERM)

    def pause(self, *members: MemberProcess) -> None:
        """SIGSTOP; the kernel has stopped them a moment later."""
        for member in members:
            member.signal(signal.SIGSTOP)

    def resume(self, *members: MemberProcess) -> None:
        """SIGCONT."""
        for member in members:
            member.signal(signal.SIGCONT)

    async def partition(self, grudges: Mapping[str, Iterable[str]]) -> None:
        """Nothing reaches a host any more from those it has a grudge against. One call is one change; other cuts are healed by it."""
        cut = {(source, target): CUT for target, sources in grudges.items() for source in sources}
        healed = {direction: OPEN for direction, conditions in self._conditions.items() if conditions.cut}
        await self.shape({**healed, **cut})

    async def shape(self, links: Mapping[Direction, Conditions]) -> None:
        """Gives directions their conditions; the others keep theirs."""
        self._conditions.update(links)
        await self.network.set(links)

    async def heal_network(self) -> None:
        """Every direction is open."""
        await self.shape(dict.fromkeys(self._conditions, OPEN))

    def hosts(self) -> list[str]:
        """Members' names, and the clients'."""
        return [*(member.name for member in self.members), CLIENTS]

    async def close(self) -> None:
        """Ends whatever runs, for good. Idempotent."""
        self.kill()
        await self.network.close()
        if self.power is not None:
            self.power.close()

    async def wait_ended(self, member: MemberProcess, within_s: float = WITHIN_S) -> int:
        """The member's exit status, as a shell says it."""
        await self.until(lambda: not member.running, f"{member.name} ends", within_s)
        assert member.status is not None
        return member.status

    async def wait_healthy(self, *members: MemberProcess, within_s: float = WITHIN_S) -> None:
        """Waits until each of the members, all when none is named, answers a linearizable read."""
        deadline_s = time.monotonic() + within_s
        awaited = members or self.members
        for member in awaited:
            async with AsyncClient(member.place.admin, timeout_s=ADMIN_TIMEOUT_S) as client:
                while True:
                    try:
                        await client.get(b"health")
                        break
                    except RaftKVError as error:
                        ended = next((one for one in awaited if not one.running), None)
                        if ended is not None:
                            raise ClusterError(f"{ended.name} ended with {ended.status} while it was waited for") from error
                        if time.monotonic() > deadline_s:
                            raise ClusterError(f"{member.name} is not healthy after {within_s:.0f} s: {error}") from error
                    await asyncio.sleep(POLL_S)

    async def said(self) -> list[Said]:
        """What the running members say of themselves; those that do not answer are left out."""
        asked = [member for member in self.members if member.running and not member.paused]
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(self._status(member), name=f"status of {member.name}") for member in asked]
        return [status for task in tasks if (status := task.result()) is not None]

    async def leader(self, within_s: float = WITHIN_S) -> MemberProcess:
        """The member that says it leads, in the newest term that any running member knows."""
        deadline_s = time.monotonic() + within_s
        while time.monotonic() < deadline_s:
            said = await self.said()
            newest = max((one.term for one in said), default=0)
            for one in said:
                if one.leads and one.term == newest:
                    return one.member
            await asyncio.sleep(POLL_S)
        raise ClusterError(f"no leader after {within_s:.0f} s")

    async def _status(self, member: MemberProcess) -> Said | None:
        async with AsyncClient(member.place.admin, timeout_s=ADMIN_TIMEOUT_S, require_leader=False) as client:
            try:
                status = await client.maintenance.status()
            except RaftKVError:
                return None
        header = status.header
        return Said(member, header.member_id, status.raft_term, status.leader, header.revision, status.raft_applied_index)

    async def until(self, condition: Callable[[], bool], what: str, within_s: float = WITHIN_S) -> None:
        """Waits for something this process can see. Raises ClusterError."""
        deadline_s = time.monotonic() + within_s
        while not condition():
            if time.monotonic() > deadline_s:
                raise ClusterError(f"not within {within_s:.0f} s: {what}")
            await asyncio.sleep(POLL_S)


BACKENDS = ("PX", "NS")


@asynccontextmanager
async def open_cluster(
    backend: str,
    members: int,
    seed: int,
    directory: pathlib.Path,
    *,
    system: str = RAFTKV,
    flags: Sequence[str] = (),
    instruments: Collection[str] = (),
) -> AsyncIterator[Cluster]:
    """A cluster that serves; ended and cleaned up at the end of the block.

    Args:
        backend: `PX` (proxies, no privileges) or `NS` (network namespaces).
        members: how many.
        seed: of the network's draws.
        directory: for data and logs; kept. No earlier cluster's: its members would go on with what they find.
        system: `raftkv` or `etcd`.
        flags: for every member, behind the harness's own.
        instruments: what stands below the members, as some faults need it (`nemesis.prepared`): `clock`, `files`, `failpoints`,
            and for power cuts `trace` or `loop`. Of these etcd can have `loop` alone.

    Raises:
        NotUpError: it does not come up.
        FlagsRefusedError: because of the flags.
        ValueError: the directory holds data of members.
        OSError: the back end is not available here.
    """
    why = SYSTEMS[system].unavailable_because()
    if why:
        raise OSError(why)
    _refuse_data(directory)
    network = _network(backend, seed)
    async with Cluster(directory, size=members, flags=flags, system=system, network=network, instruments=instruments) as cluster:
        cluster.start()
        try:
            await cluster.wait_healthy()
        except ClusterError as exc:
            raise _not_up(cluster, flags, exc) from exc
        yield cluster


def _refuse_data(directory: pathlib.Path) -> None:
    older = next((data for data in directory.glob("n*/data") if any(data.iterdir())), None)
    if older is not None:
        raise ValueError(f"{older} holds the data of an earlier cluster: give each its own folder")


def _not_up(cluster: Cluster, flags: Sequence[str], error: ClusterError) -> Exception:
    """What is said of a cluster that does not come up, by the member that is most likely at fault: one that has ended."""
    ended = [member for member in cluster.members if not member.running]
    refused = next((member for member in ended if member.status == USAGE), None)
    if flags and refused is not None:
        said = next(iter(refused.log_text().strip().splitlines()), "it says nothing")
        return FlagsRefusedError(f"{refused.name} does not start with {' '.join(flags)}: {said}")
    named = next((member for member in cluster.members if str(error).startswith(f"{member.name} ")), cluster.members[0])
    tail = named.log_tail()
    return NotUpError(f"the cluster did not come up: {error}; {named.log} {f'ends with{chr(10)}{tail}' if tail else 'is empty'}")


def _of_raftkv(system: System, instruments: Collection[str]) -> frozenset[str]:
    unknown = set(instruments) - LEVERED - {TRACE, LOOP, FAILPOINTS}
    if unknown or {TRACE, LOOP} <= set(instruments):
        raise ValueError(f"no such instruments: {', '.join(sorted(instruments))}")
    # The kernel's disks do not care who writes; the rest stands inside the process.
    return frozenset(instruments) if system.name == RAFTKV else frozenset(instruments) & {LOOP}


def _network(backend: str, seed: int) -> Network:
    if backend == "PX":
        why = owners.unavailable_because()
        if why:
            raise OSError(why)
        return Proxies(seed)
    if backend == "NS":
        why = namespaces.unavailable_because()
        if why:
            raise OSError(f"network namespaces: {why}")
        return Namespaces(seed)
    raise ValueError(f"no back end {backend!r}; there are {', '.join(BACKENDS)}")
