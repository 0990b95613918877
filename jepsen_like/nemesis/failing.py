"""Failpoints: one member stops, waits or errs at a named place inside."""

from __future__ import annotations

import asyncio
import random
import urllib.error
import urllib.request
from typing import NamedTuple

from jepsen_like.cluster.cluster import FAILPOINTS, Cluster
from jepsen_like.cluster.member import MemberProcess
from jepsen_like.nemesis.fault import Fault
from jepsen_like.recorder import Recorder

TIMEOUT_S = 2.0


class Places:
    """One member's failpoints, over HTTP."""

    def __init__(self, member: MemberProcess) -> None:
        self._base = f"http://{member.place.failpoints}/"

    async def switch_on(self, place: str, action: str) -> None:
        """From now on the place acts. Raises OSError."""
        await self._ask("PUT", place, action.encode())

    async def switch_off(self, place: str) -> None:
        """Not any more. Raises OSError."""
        await self._ask("DELETE", place)

    async def count(self, place: str) -> int:
        """How often it acted since it was switched on. Raises OSError."""
        return int(await self._ask("GET", f"{place}/count"))

    async def _ask(self, method: str, path: str, body: bytes | None = None) -> str:
        return await asyncio.to_thread(self._send, urllib.request.Request(self._base + path, body, method=method))

    def _send(self, request: urllib.request.Request) -> str:
        # No proxy of the environment stands between a run and its own members.
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        try:
            with opener.open(request, timeout=TIMEOUT_S) as answer:
                return str(answer.read().decode())
        except urllib.error.HTTPError as error:
            raise OSError(f"{request.get_method()} {request.full_url}: {error.code} {error.read().decode().strip()}") from error


class Choice(NamedTuple):
    """What may happen at a place."""

    place: str
    action: str

    @property
    def ends(self) -> bool:
        """The member ends."""
        return "panic" in self.action or "error" in self.action


CHOICES = (
    *(Choice(place, "panic") for place in ("raftBeforeSave", "walBeforeSync", "walAfterSync", "raftAfterSave", "raftBeforeAdvance",
                                           "beforeCommit", "afterCommit", "beforeApplyOneEntryNormal", "commitAfterPreCommitHook")),
    *(Choice(place, "sleep(100)") for place in ("walBeforeSync", "raftBeforeSave", "beforeCommit", "raftBeforeLeaderSend")),
    Choice("walBeforeSync", "error(EIO)"),
    Choice("raftDropHeartbeat", "return"),
)  # fmt: skip


class Failpoint(Fault):
    """One member crashes, waits, errs or forgets its heartbeats at a named place."""

    name = "failpoint"
    row = 31
    instruments = frozenset({FAILPOINTS})
    verified_by = "how often the place acted; of one that crashes, the end of the process"

    def __init__(self, cluster: Cluster, rng: random.Random, recorder: Recorder) -> None:
        super().__init__(cluster, rng, recorder)
        self._choice = self.rng.choice(CHOICES)

    @classmethod
    def unavailable_because(cls, cluster: Cluster) -> str:
        """See Fault."""
        return "" if cluster.has_failpoints else "the members have no failpoints"

    async def apply(self) -> None:
        """See Fault."""
        # Heartbeats are sent by the leader alone, and only its log thread sends them after a save.
        of_leader = self._choice.place in ("raftDropHeartbeat", "raftBeforeLeaderSend")
        victim = await self.cluster.leader() if of_leader else await self.pick_member()
        self.target(victim)
        self.requested = f"{self._choice.place}={self._choice.action}"
        await Places(victim).switch_on(self._choice.place, self._choice.action)

    async def hold(self, seconds: float) -> None:
        """See Fault."""
        loop = asyncio.get_running_loop()
        until_s = loop.time() + seconds
        while loop.time() < until_s:
            await self.poke()
            await asyncio.sleep(0.02)

    async def verify(self) -> None:
        """See Fault."""
        (member,) = self.members()
        if self._choice.ends:
            await self.cluster.until(lambda: not member.running, f"{member.name} ends at {self._choice.place}", 5.0)
            self.saw(f"{member.name} ended with {member.status}")
        else:
            count = await Places(member).count(self._choice.place)
            self.expect(count > 0, f"it acted {count} times")

    async def heal(self) -> None:
        """See Fault."""
        for member in self.members():
            if member.running:
                try:
                    await Places(member).switch_off(self._choice.place)
                except OSError:
                    self.cluster.kill(member)
        await self.restarted(self.members())
