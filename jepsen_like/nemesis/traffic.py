"""Faults of links that still carry something: slow, lossy, out of order, narrow, reset, or accepted and ignored.

Verified by what the network measured on the chosen directions while the fault lasted.
"""

from __future__ import annotations

import asyncio
import random
from abc import abstractmethod
from typing import ClassVar

from jepsen_like.cluster.cluster import Cluster
from jepsen_like.cluster.links import CLIENTS, OPEN, Conditions, Counters, Direction, Tally
from jepsen_like.nemesis.fault import Fault
from jepsen_like.nemesis.partitions import apart
from jepsen_like.recorder import Recorder


class Shaped(Fault):
    """Some directions have other conditions for a while: all of one member's, or all there are."""

    needs: ClassVar[str]
    """The field of `Conditions` that the network must be able to bring about."""

    clients_too: ClassVar[bool] = True
    state = "slow"

    def __init__(self, cluster: Cluster, rng: random.Random, recorder: Recorder) -> None:
        super().__init__(cluster, rng, recorder)
        self.directions: list[Direction] = []
        self.conditions = OPEN
        self._before = Tally()

    @classmethod
    def unavailable_because(cls, cluster: Cluster) -> str:
        """See Fault."""
        return "" if cls.needs in cluster.network.shapes else cls.why_not(cluster.network.name)

    @classmethod
    def why_not(cls, network: str) -> str:
        """For a network that cannot do it."""
        return f"{network or 'a direct network'} cannot bring about {cls.needs}"

    @abstractmethod
    def draw(self) -> Conditions:
        """What is to happen."""

    @abstractmethod
    def judge(self, counts: Counters) -> None:
        """Whether it did: says what it `saw` or `missed`."""

    async def apply(self) -> None:
        """See Fault."""
        self.conditions = self.draw()
        hosts = self.cluster.hosts() if self.clients_too else [host for host in self.cluster.hosts() if host != CLIENTS]
        chosen = {(await self.pick_member()).name} if self.rng.random() < 0.5 else set(hosts)
        self.directions = [(a, b) for a in hosts for b in hosts if a != b and {a, b} & chosen]
        self.targets = tuple(sorted(chosen - {CLIENTS}))
        self.requested = f"{self.conditions} on {len(self.directions)} directions"
        self._before = await self.cluster.network.tally()
        await self.cluster.shape(dict.fromkeys(self.directions, self.conditions))

    async def verify(self) -> None:
        """See Fault."""
        self.judge((await self.cluster.network.tally()).since(self._before, self.directions))

    async def heal(self) -> None:
        """See Fault."""
        await self.cluster.shape(dict.fromkeys(self.directions, OPEN))


class Delay(Shaped):
    """A delay with jitter, one way or both."""

    name = "delay"
    row = 10
    needs = "delay_ms"
    verified_by = "the delay the network measured per piece, against the one asked for"

    def draw(self) -> Conditions:
        """See Shaped."""
        delay_ms = self.rng.choice((5.0, 20.0, 50.0, 75.0))
        return Conditions(delay_ms=delay_ms, jitter_ms=delay_ms * self.rng.choice((0.0, 0.2, 0.6)))

    def judge(self, counts: Counters) -> None:
        """See Shaped."""
        wanted = self.conditions.delay_ms - self.conditions.jitter_ms * 0.5
        self.expect(
            counts.delayed > 0 and counts.delay_ms_mean >= wanted, f"{counts.delayed} delayed by {counts.delay_ms_mean:.1f} ms on average"
        )


class Loss(Shaped):
    """A share of packets is lost; at proxies pieces of streams come as late as if they had been sent again."""

    name = "loss"
    row = 11
    needs = "loss"
    verified_by = "packets the switch dropped; at proxies retransmissions it waited for"

    def draw(self) -> Conditions:
        """See Shaped."""
        return Conditions(loss=self.rng.choice((0.1, 0.2, 0.4)))

    def judge(self, counts: Counters) -> None:
        """See Shaped."""
        seen = counts.lost + counts.passed
        self.expect(counts.lost > 0, f"{counts.lost} of {seen} lost, {100 * counts.lost / max(1, seen):.0f} %")


class Duplicate(Shaped):
    """A share of packets comes twice."""

    name = "duplicate"
    row = 12
    needs = "duplicate"
    verified_by = "copies the switch sent"

    @classmethod
    def why_not(cls, network: str) -> str:
        """See Shaped."""
        return "a proxy carries streams, in which nothing comes twice"

    def draw(self) -> Conditions:
        """See Shaped."""
        return Conditions(duplicate=self.rng.choice((0.2, 0.5)))

    def judge(self, counts: Counters) -> None:
        """See Shaped."""
        self.expect(counts.duplicated > 0, f"{counts.duplicated} of {counts.passed} sent twice")


class Reorder(Shaped):
    """Packets overtake each other; at proxies some connections are slower than others."""

    name = "reorder"
    row = 13
    needs = "reorder"
    verified_by = "packets, or pieces of different connections, that left in another order than they came"

    def draw(self) -> Conditions:
        """See Shaped."""
        return Conditions(delay_ms=20.0, reorder=self.rng.choice((0.3, 0.5)))

    async def hold(self, seconds: float) -> None:
        """See Fault; where nothing follows closely nothing can overtake."""
        loop = asyncio.get_running_loop()
        until_s = loop.time() + seconds
        while loop.time() < until_s:
            await self.poke(3)
            await asyncio.sleep(0.02)

    def judge(self, counts: Counters) -> None:
        """See Shaped."""
        self.expect(counts.overtaken > 0, f"{counts.overtaken} of {counts.passed} overtaken")


class Corrupt(Shaped):
    """A bit of a share of packets is flipped, which the checksum of the receiving kernel has to find."""

    name = "corrupt"
    row = 14
    needs = "corrupt"
    verified_by = "packets the switch changed, and the receivers' count of bad checksums"

    @classmethod
    def why_not(cls, network: str) -> str:
        """See Shaped."""
        return "a proxy carries streams behind TCP's checksum: a bit flipped there no server without TLS could notice"

    def draw(self) -> Conditions:
        """See Shaped."""
        return Conditions(corrupt=self.rng.choice((0.05, 0.2)))

    async def apply(self) -> None:
        """See Fault."""
        self._bad_before = self._bad_checksums()
        await super().apply()

    def judge(self, counts: Counters) -> None:
        """See Shaped."""
        bad = self._bad_checksums() - self._bad_before
        text = f"{counts.corrupted} of {counts.passed} with a flipped bit, {bad} found by members' kernels"
        self.expect(counts.corrupted > 0 and bad > 0, text)

    def _bad_checksums(self) -> int:
        return sum(member.bad_checksums for member in self.cluster.members if member.running)


class RateLimit(Shaped):
    """Links become narrow."""

    name = "rate"
    row = 15
    needs = "rate_bytes_s"
    verified_by = "bytes that passed in the time, and pieces that waited for their turn"

    def draw(self) -> Conditions:
        """See Shaped."""
        return Conditions(rate_bytes_s=self.rng.choice((16.0, 64.0, 256.0)) * 1024)

    async def apply(self) -> None:
        """See Fault."""
        await super().apply()
        self._began_s = asyncio.get_running_loop().time()

    def judge(self, counts: Counters) -> None:
        """See Shaped."""
        lasted_s = asyncio.get_running_loop().time() - self._began_s
        # What passed before the limit reached the carrier, and pieces that were on their way, come on top.
        most = (self.conditions.rate_bytes_s * lasted_s + 65536) * len(self.directions)
        text = f"{counts.limited} of {counts.passed} waited, {counts.passed_bytes} bytes passed in {lasted_s:.2f} s"
        self.expect(counts.limited > 0 and counts.passed_bytes <= most, text)


class Reset(Fault):
    """Every connection of one member is ended by a reset, again and again."""

    name = "reset"
    row = 16
    verified_by = "connections the network ended by a reset to both ends"

    def __init__(self, cluster: Cluster, rng: random.Random, recorder: Recorder) -> None:
        super().__init__(cluster, rng, recorder)
        self._ended = 0

    @classmethod
    def unavailable_because(cls, cluster: Cluster) -> str:
        """See Fault."""
        return "" if cluster.network.resets else f"{cluster.network.name or 'a direct network'} cannot reset connections"

    async def apply(self) -> None:
        """See Fault."""
        victim = await self.pick_member()
        self.target(victim)
        self.requested = f"resets of every connection of {victim.name}"
        self._pairs = [(victim.name, host) for host in self.cluster.hosts() if host != victim.name]
        self._ended += await self.cluster.network.reset(self._pairs)

    async def hold(self, seconds: float) -> None:
        """See Fault."""
        loop = asyncio.get_running_loop()
        until_s = loop.time() + seconds
        while loop.time() < until_s:
            await asyncio.sleep(min(self.rng.uniform(0.05, 0.5), max(0.0, until_s - loop.time())))
            self._ended += await self.cluster.network.reset(self._pairs)

    async def verify(self) -> None:
        """See Fault."""
        self.expect(self._ended > 0, f"{self._ended} connections reset")

    async def heal(self) -> None:
        """See Fault; resets leave nothing behind."""


class AcceptStall(Fault):
    """One member's ports complete handshakes and then say nothing, as a process does whose loop hangs."""

    name = "accept-stall"
    row = 16
    verified_by = "a connection that is made and a question on it that stays without an answer"
    state = "partitioned"

    @classmethod
    def unavailable_because(cls, cluster: Cluster) -> str:
        """See Fault."""
        return "" if cluster.network.stalls else f"{cluster.network.name or 'a direct network'} cannot stop accepting for a member"

    async def apply(self) -> None:
        """See Fault."""
        victim = await self.pick_member()
        self.target(victim)
        self.requested = f"{victim.name} accepts and says nothing"
        others = [(victim.name, host) for host in self.cluster.hosts() if host != victim.name]
        await self.cluster.network.stall(victim.name, on=True)
        # Those that stand would go on: only new ones are stalled.
        self._ended = await self.cluster.network.reset(others)

    async def verify(self) -> None:
        """See Fault."""
        (victim,) = self.members()
        host, _, port = victim.endpoint.rpartition(":")
        async with asyncio.timeout(2.0):
            _, writer = await asyncio.open_connection(host, int(port))
        writer.close()
        answered = await self.answers(victim.endpoint)
        self.expect(not answered, f"a connection was accepted, a question on it {'answered' if answered else 'not answered'}")

    async def heal(self) -> None:
        """See Fault."""
        for name in self.targets:
            await self.cluster.network.stall(name, on=False)


class Flapping(Fault):
    """One member after another is cut off and let back, many times a second, in random order (swizzle)."""

    name = "partition-flapping"
    row = 8
    hold_s = (1.0, 4.0)
    members_min = 2
    verified_by = "changes made, and traffic that was cut off in between"
    state = "partitioned"

    def __init__(self, cluster: Cluster, rng: random.Random, recorder: Recorder) -> None:
        super().__init__(cluster, rng, recorder)
        self._changes = 0
        self._before = Tally()

    @classmethod
    def unavailable_because(cls, cluster: Cluster) -> str:
        """See Fault."""
        return "" if "cut" in cluster.network.shapes else "nothing stands between the members"

    async def apply(self) -> None:
        """See Fault."""
        size = len(self.cluster.members)
        self.target(*self.pick(self.rng.randint(1, size)))
        self.requested = f"{', '.join(self.targets)} cut off and let back every 50 to 500 ms"
        self._before = await self.cluster.network.tally()

    async def hold(self, seconds: float) -> None:
        """See Fault."""
        loop = asyncio.get_running_loop()
        until_s = loop.time() + seconds
        cut: set[str] = set()
        while loop.time() < until_s:
            cut ^= {self.rng.choice(self.targets)}
            rest = [name for name in (member.name for member in self.cluster.members) if name not in cut]
            await self.cluster.partition(apart(rest, *([name] for name in sorted(cut))))
            self._changes += 1
            await asyncio.sleep(min(self.rng.uniform(0.05, 0.5), max(0.0, until_s - loop.time())))

    async def verify(self) -> None:
        """See Fault."""
        names = [member.name for member in self.cluster.members]
        counts = (await self.cluster.network.tally()).since(self._before, [(a, b) for a in names for b in names if a != b])
        self.expect(self._changes > 0 and counts.cut > 0, f"{self._changes} changes, {counts.cut} pieces of traffic cut off")

    async def heal(self) -> None:
        """See Fault."""
        await self.cluster.partition({})
