"""The cluster as its operator reaches it: at addresses that no fault stands between, each call written to the run's history.

Knows a cluster of the harness's own and the run's recorder; for faults that ask for something which the checks must know of, and
for looking at members without being in anybody's way.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Sequence

from jepsen_like.cluster.cluster import Cluster
from jepsen_like.recorder import Recorder
from jepsen_like.workload.attempts import client_of
from raftkv.client import AsyncClient
from raftkv.clock import SystemClock


class AdminWorld:
    """See `World`."""

    def __init__(self, cluster: Cluster, recorder: Recorder, rng: random.Random) -> None:
        self._cluster = cluster
        self._recorder = recorder
        self._random = rng
        self._clock = SystemClock()

    @property
    def members(self) -> Sequence[str]:
        """See `World`."""
        return [member.name for member in self._cluster.members]

    @property
    def recorder(self) -> Recorder:
        """See `World`."""
        return self._recorder

    def client(self, member: str | None = None, *, timeout_s: float = 1.0) -> AsyncClient:
        """See `World`."""
        names = self.members if member is None else [member]
        return client_of([self._cluster.member(name).place.admin for name in names], self._clock, timeout_s=timeout_s)

    def random(self, name: str) -> random.Random:
        """See `World`; the fault's own draws, whatever the name."""
        return self._random

    def now_s(self) -> float:
        """See `World`."""
        return self._clock.monotonic_s()

    async def sleep(self, seconds: float) -> None:
        """See `World`."""
        await asyncio.sleep(seconds)
