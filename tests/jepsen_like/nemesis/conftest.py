"""Real clusters that the tests of one module share, on one event loop."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Iterator
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from typing import Any

import pytest

from jepsen_like.cluster import Cluster, open_cluster
from jepsen_like.history import Mark, Operation, Record
from jepsen_like.ledger import FaultRecord
from jepsen_like.nemesis import FAULTS, Nemesis
from jepsen_like.recorder import Recorder

QUICK = ("--heartbeat-interval=50", "--election-timeout=500")


class Marks:
    """Keeps what is written: marks, and apart from them the calls that faults make."""

    def __init__(self) -> None:
        self.records: list[Mark] = []
        self.calls: list[Operation] = []

    def write(self, record: Record) -> None:
        """See Sink."""
        if isinstance(record, Operation):
            self.calls.append(record)
        else:
            assert isinstance(record, Mark)
            self.records.append(record)


@dataclass
class Scene:
    """A cluster that runs, and the loop it runs on."""

    cluster: Cluster
    runner: asyncio.Runner
    marks: Marks = field(default_factory=Marks)

    def inject(self, name: str, hold_s: float = 0.4, seed: int = 1) -> FaultRecord:
        """One fault from beginning to end, and the cluster serving again."""
        return self.runner.run(self._inject(name, hold_s, seed))

    async def _inject(self, name: str, hold_s: float, seed: int) -> FaultRecord:
        loop = asyncio.get_running_loop()
        why = FAULTS[name].unavailable_because(self.cluster)
        if why:
            pytest.skip(f"not available: {why}")
        nemesis = Nemesis(self.cluster, [name], random.Random(seed), Recorder(self.marks, lambda: int(loop.time() * 1e9)))
        record = await nemesis.inject(FAULTS[name], hold_s)
        await self.cluster.wait_healthy(within_s=20.0)
        return record


Open = Callable[..., Scene]


@pytest.fixture(scope="module")
def scenes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Open]:
    """Opens clusters by (back end, members, further arguments), each once for the module."""
    with asyncio.Runner() as runner:
        stack = AsyncExitStack()
        opened: dict[Any, Scene] = {}

        def scene(backend: str, members: int = 3, **more: Any) -> Scene:
            key = (backend, members, *sorted(more.items()))
            if key not in opened:
                folder = tmp_path_factory.mktemp(f"{backend}{members}")
                more.setdefault("flags", QUICK)
                cluster = runner.run(stack.enter_async_context(open_cluster(backend, members, 1, folder, **more)))
                opened[key] = Scene(cluster, runner)
            return opened[key]

        try:
            yield scene
        finally:
            runner.run(stack.aclose())
