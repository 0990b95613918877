"""The simulated cluster as workloads see it: clients of members on virtual time, one recorder, named draws."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Sequence

from jepsen_like.history import History, Mark, Operation, Record, Watch, WatchResponse
from jepsen_like.recorder import Recorder
from jepsen_like.sim.cluster import CLIENT_PORT, SimulatedCluster
from jepsen_like.sim.machine import SimulatedClock
from jepsen_like.workload.attempts import client_of
from raftkv.client import AsyncClient


class MemorySink:
    """Keeps records by kind; the history of the run."""

    def __init__(self, history: History) -> None:
        self.history = history
        self._take = {
            Operation: history.operations.append,
            Watch: history.watches.append,
            WatchResponse: history.responses.append,
            Mark: history.marks.append,
        }

    def write(self, record: Record) -> None:
        """See `Sink`."""
        self._take[type(record)](record)  # type: ignore[operator]


class SimulatedWorld:
    """See `World`. The history's clock is virtual time."""

    def __init__(self, cluster: SimulatedCluster, history: History, *, clients: str = "client") -> None:
        self._cluster = cluster
        self._name = clients
        """Of its clients' draws."""
        self._clients = 0
        self.patience = 1.0
        """What time-outs of clients are multiplied by. Who waits longer also waits at a member without a leader, as other clients do."""
        self.recorder = Recorder(MemorySink(history), self.now_ns)

    @property
    def members(self) -> Sequence[str]:
        """See `World`."""
        return [member.host for member in self._cluster.members]

    def client(self, member: str | None = None, *, timeout_s: float = 1.0) -> AsyncClient:
        """See `World`."""
        loop = self._cluster.loop
        self._clients += 1
        clock = SimulatedClock(loop, loop.streams.get(self._name, self._clients))
        hosts = self.members if member is None else [member]
        endpoints = [f"http://{host}:{CLIENT_PORT}" for host in hosts]
        return client_of(endpoints, clock, timeout_s=timeout_s * self.patience, require_leader=self.patience <= 1.0)

    def random(self, name: str) -> random.Random:
        """See `World`."""
        return self._cluster.loop.streams.get("workload", name)

    def now_s(self) -> float:
        """See `World`."""
        return self._cluster.loop.now_s

    def now_ns(self) -> int:
        """The recorder's stamps."""
        return round(self._cluster.loop.now_s * 1e9)

    async def sleep(self, seconds: float) -> None:
        """See `World`."""
        await asyncio.sleep(seconds)
