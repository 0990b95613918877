"""The controllers of a server: one index over the store, and the queues that work from it. Loop only."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from typing import Protocol

from resource_api.controllers.object_index import ObjectIndex
from resource_api.controllers.queue import WorkQueue

WORKERS = 4
"""Per controller; more than one, because a reconcile waits for the store."""


class Controller(Protocol):
    """Keys come in by themselves, `reconcile` brings one in order."""

    queue: WorkQueue

    async def reconcile(self, key: str) -> None:
        """Raises StatusError or StoreError to be called again later; anything else is a fault of ours, told as one and tried again too."""


class Controllers:
    """Runs them until it is cancelled. Nothing is decided before the index has read the whole store."""

    def __init__(self, index: ObjectIndex, controllers: Sequence[Controller]) -> None:
        self._index = index
        self._controllers = tuple(controllers)

    async def run(self) -> None:
        """Ends only by cancellation, or by a fault of the index: what is known of all objects is then no longer true."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._index.run(), name="object index")
            await self._index.ready.wait()
            for controller in self._controllers:
                for number in range(WORKERS):
                    work = controller.queue.work(controller.reconcile)
                    group.create_task(work, name=f"{controller.queue.name} {number}")

    @property
    def idle(self) -> bool:
        """Everything known is in order, as far as it can be now."""
        return self._index.ready.is_set() and all(one.queue.idle for one in self._controllers)

    @property
    def faults(self) -> int:
        """Reconciles that met a fault of ours."""
        return sum(one.queue.faults for one in self._controllers)

    def samples(self) -> Iterator[tuple[str, tuple[tuple[str, str], ...], float]]:
        """For the metrics page, under client-go's names where it has them."""
        for one in self._controllers:
            label = (("name", one.queue.name),)
            yield "workqueue_adds_total", label, one.queue.adds
            yield "workqueue_depth", label, one.queue.depth
            yield "workqueue_retries_total", label, one.queue.retries
            yield "resource_api_reconcile_faults_total", label, one.queue.faults

    def describe(self) -> str:
        """For people."""
        lines = [f"object index: {len(self._index.by_key)} objects at revision {self._index.revision}"]
        lines += [f"{one.queue.name}: {one.queue.describe()}" for one in self._controllers]
        return "\n".join(lines)
