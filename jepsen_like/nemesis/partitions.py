"""Faults that cut a cluster's members, or clients, apart. A grudge says whom each host does not hear.

Verified by what the network counted: something was cut off, and nothing passed where it must not.
"""

from __future__ import annotations

import random
from abc import abstractmethod
from collections.abc import Iterable, Mapping, Sequence

from jepsen_like.cluster.cluster import Cluster
from jepsen_like.cluster.links import CLIENTS, Direction, Tally
from jepsen_like.nemesis.fault import Fault
from jepsen_like.recorder import Recorder

Grudges = Mapping[str, frozenset[str]]


def apart(*groups: Iterable[str]) -> Grudges:
    """Each group hears only itself."""
    sets = [frozenset(group) for group in groups]
    everybody = frozenset().union(*sets)
    return {host: everybody - group for group in sets for host in group}


def majorities_ring(names: Sequence[str]) -> Grudges:
    """Every member hears a majority, and no two the same. Of three members: a chain, which is the bridge."""
    size, near = len(names), (len(names) // 2 + 1) // 2
    grudges = {}
    for number, name in enumerate(names):
        heard = {names[(number + step) % size] for step in range(-near, near + 1)}
        grudges[name] = frozenset(names) - heard
    return grudges


def bridge(names: Sequence[str]) -> Grudges:
    """Two halves that hear only one member in the middle, which hears both."""
    middle = len(names) // 2
    left, right = frozenset(names[:middle]), frozenset(names[middle + 1 :])
    return {**dict.fromkeys(left, right), **dict.fromkeys(right, left)}


class Partition(Fault):
    """Directions are cut all at once."""

    verified_by = "traffic that the network held or dropped on the cut directions, and none that it let pass there"
    state = "partitioned"
    members_min = 2

    def __init__(self, cluster: Cluster, rng: random.Random, recorder: Recorder) -> None:
        super().__init__(cluster, rng, recorder)
        self._before = self._since = Tally()
        self._cut: list[Direction] = []

    @classmethod
    def unavailable_because(cls, cluster: Cluster) -> str:
        """See Fault."""
        return "" if "cut" in cluster.network.shapes else "nothing stands between the members"

    def names(self) -> list[str]:
        """The members' names, in random order."""
        names = [member.name for member in self.cluster.members]
        self.rng.shuffle(names)
        return names

    @abstractmethod
    async def grudges(self) -> Grudges:
        """Whom each host does not hear any more."""

    async def apply(self) -> None:
        """See Fault."""
        grudges = {host: grudge for host, grudge in (await self.grudges()).items() if grudge}
        self._cut += [(source, host) for host, sources in sorted(grudges.items()) for source in sorted(sources)]
        self.targets = tuple(f"{source}->{target}" for source, target in self._cut)
        self.requested = self.requested or "; ".join(
            f"{host} does not hear {' '.join(sorted(sources))}" for host, sources in grudges.items()
        )
        self._before = await self.cluster.network.tally()
        await self.cluster.partition(grudges)
        self._since = await self.cluster.network.tally()

    async def verify(self) -> None:
        """See Fault."""
        seen = await self.cluster.network.tally()
        stopped, passed = seen.since(self._before, self._cut).cut, seen.since(self._since, self._cut).passed
        self.expect(stopped > 0 and not passed, f"{stopped} pieces of traffic cut off on {len(self._cut)} directions, {passed} passed")

    async def heal(self) -> None:
        """See Fault."""
        await self.cluster.partition({})


class Isolate(Partition):
    """One member alone: the leader half of the time."""

    name = "partition-isolate"
    row = 4

    async def grudges(self) -> Grudges:
        """See Partition."""
        lonely = (await self.pick_member()).name
        self.requested = f"{lonely} alone"
        return apart([lonely], [name for name in self.names() if name != lonely])


class Halves(Partition):
    """A minority and a majority, or two random parts."""

    name = "partition-halves"
    row = 4

    async def grudges(self) -> Grudges:
        """See Partition."""
        names = self.names()
        size = self.rng.choice((len(names) // 2, self.rng.randint(1, len(names) - 1)))
        self.requested = f"{' '.join(sorted(names[:size]))} | {' '.join(sorted(names[size:]))}"
        return apart(names[:size], names[size:])


class MajoritiesRing(Partition):
    """Every member hears a majority, no two the same one."""

    name = "partition-majorities-ring"
    row = 5
    members_min = 4

    async def grudges(self) -> Grudges:
        """See Partition."""
        return majorities_ring(self.names())


class Bridge(Partition):
    """One member hears both halves, which do not hear each other."""

    name = "partition-bridge"
    row = 6
    members_min = 3

    async def grudges(self) -> Grudges:
        """See Partition; the leader is in one of the halves, for with it in the middle nobody would notice anything."""
        names = self.names()
        leader, middle = (await self.cluster.leader()).name, len(names) // 2
        if names[middle] == leader:
            names[0], names[middle] = leader, names[0]
        self.requested = f"{' '.join(sorted(names[:middle]))} | {names[middle]} between | {' '.join(sorted(names[middle + 1 :]))}"
        return bridge(names)


class OneWay(Partition):
    """One member hears nobody and is heard, or is not heard and hears."""

    name = "partition-one-way"
    row = 7

    async def grudges(self) -> Grudges:
        """See Partition."""
        victim = (await self.pick_member()).name
        others = frozenset(name for name in self.names() if name != victim)
        deaf = self.rng.random() < 0.5
        self.requested = f"{victim} {'hears nobody' if deaf else 'is heard by nobody'}"
        return {victim: others} if deaf else dict.fromkeys(others, frozenset([victim]))


class ClientsCut(Partition):
    """Clients reach only some members, among them not the leader."""

    name = "partition-clients"
    row = 9
    verified_by = "a client's question to each hidden member that stays without an answer, and traffic that was cut off"

    async def grudges(self) -> Grudges:
        """See Partition."""
        leader = (await self.cluster.leader()).name
        hidden = {leader, *self.rng.sample(self.names(), self.rng.randint(0, len(self.cluster.members) - 2))}
        self.requested = f"clients do not reach {' '.join(sorted(hidden))}"
        return {**dict.fromkeys(hidden, frozenset([CLIENTS])), CLIENTS: frozenset(hidden)}

    async def verify(self) -> None:
        """See Fault; asks the hidden members as a client would, because a run's clients may be elsewhere just now."""
        hidden = [target for source, target in self._cut if source == CLIENTS]
        silent = [name for name in hidden if not await self.answers(self.cluster.member(name).endpoint)]
        await super().verify()
        if silent != hidden:
            self.missed(f"{set(hidden) - set(silent)} answered a client")
