"""Who leads during a run, as the members say themselves: marks for the report.

Asks every member now and again and writes a `leader` mark for each leadership when it is over, or when nobody is looking any more.
Looks only; what it could not see (a leadership between two questions, or of a member nobody reaches) is missing. Source of what
counts as leading: a member that names itself, in the newest term anybody names.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from typing import NamedTuple

from jepsen_like import ledger
from jepsen_like.workload.workload import World
from raftkv.client import AsyncClient
from raftkv.errors import RaftKVError

PERIOD_S = 0.2
TIMEOUT_S = 0.5


@asynccontextmanager
async def watched(world: World) -> AsyncIterator[None]:
    """While the block lasts, it is written down who leads."""
    async with asyncio.TaskGroup() as group:
        watching = group.create_task(Leaders(world).run(), name="who leads")
        try:
            yield
        finally:
            watching.cancel()


class Leading(NamedTuple):
    """One member that says it leads."""

    term: int
    member: str


class Leaders:
    """Invariant: the marks of one run do not overlap, and are written in the order of time."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._now: Leading | None = None
        self._since_ns = 0

    async def run(self) -> None:
        """Until it is cancelled."""
        world = self._world
        clients = {name: world.client(name, timeout_s=TIMEOUT_S) for name in world.members}
        try:
            while True:
                async with asyncio.TaskGroup() as group:
                    tasks = [group.create_task(_asked(name, client), name=f"who leads: {name}") for name, client in clients.items()]
                self.note(one for task in tasks if (one := task.result()) is not None)
                await world.sleep(PERIOD_S)
        finally:
            self.note(())
            for client in clients.values():
                await client.aclose()

    def note(self, leading: Iterable[Leading]) -> None:
        """Takes what was said at this moment."""
        newest = max(leading, default=None)
        if newest == self._now:
            return
        now_ns = self._world.recorder.now_ns()
        if self._now is not None:
            self._world.recorder.write(ledger.leader(self._now.member, self._now.term, self._since_ns, now_ns))
        self._now, self._since_ns = newest, now_ns


async def _asked(name: str, client: AsyncClient) -> Leading | None:
    try:
        status = await client.maintenance.status()
    except RaftKVError:
        return None
    return Leading(status.raft_term, name) if status.leader == status.header.member_id else None
