"""Registers: reads, writes, deletes and compare-and-swaps of a few keys by clients of every member.

Checked twice: by the order of revisions, and by a search that believes no revision (`checker.order`, `checker.search`). A
failed compare-and-swap carries what it found, read in the same transaction, which makes it an ordinary read for the search;
values are unique; keys have three to five calls in flight at most (spec/faults.md §4c).

`StaleRegister` is the positive control: its reads may be stale, and are recorded as if they may not. It must be found invalid
as soon as a member lags, or the harness sees nothing.
"""

from __future__ import annotations

from jepsen_like.checker import order, search
from jepsen_like.checker.verdict import Verdict, merged
from jepsen_like.history import History
from jepsen_like.workload import keyspace
from jepsen_like.workload.pacing import Client, answered, drive
from jepsen_like.workload.session import Answer, Session
from jepsen_like.workload.workload import World

KEYS_PER_CLIENT = 2
"""So that a key has on average half a call in flight, and rarely more than five."""


class Register:
    """Register and compare-and-swap."""

    name = "register"
    serializable = False

    def __init__(self, prefix: str = "", *, clients: int = 0) -> None:
        self._prefix = f"{prefix}r/"
        self._clients = clients
        self._keys: list[str] = []
        self._last: dict[str, str | None] = {}
        """The value last seen of each key, by anybody: what a swap expects."""

    async def run(self, world: World, *, until_s: float, rate: float) -> None:
        """See `Workload`."""
        count = self._clients or 2 * len(world.members)
        self._keys = [f"{self._prefix}{number:02d}" for number in range(KEYS_PER_CLIENT * count)]
        await keyspace.begin(world, self._prefix)
        await drive(world, self.name, self._step, count=count, until_s=until_s, rate=rate)

    async def _step(self, client: Client) -> None:
        session, key = client.session, client.random.choice(self._keys)
        act = 0.0 if session.cautious else client.random.random()
        if act < 0.4:
            answer = await session.get(key, serializable=self.serializable)
            if answer is not None:
                self._last[key] = None if answer.result is None else answer.result.value
        elif act < 0.65:
            value = client.unique()
            if await session.put(key, value) is not None:
                self._last[key] = value
        elif act < 0.93:
            await self._swap(client, key)
        elif await session.delete(key) is not None:
            self._last[key] = None

    async def _swap(self, client: Client, key: str) -> None:
        value = client.unique()
        answer = await client.session.cas(key, self._last.get(key), value)
        if answer is not None:
            succeeded, *found = answer.result
            held = found[0] if found else None
            self._last[key] = value if succeeded else held.value if held is not None else None

    async def finish(self, world: World) -> None:
        """Reads every key once at every member."""
        for member in world.members:
            for key in self._keys:
                await answered(world, lambda session, key=key: self._read(session, key), members=(member,))  # type: ignore[misc]

    async def _read(self, session: Session, key: str) -> Answer | None:
        return await session.get(key)

    def check(self, history: History) -> Verdict:
        """Order of revisions, and linearizability of each key."""
        return merged(
            (
                order.check(history.operations, closed=keyspace.is_alone(history)),
                search.check(history.operations),
            )
        )


class StaleRegister(Register):
    """The same with reads that any member answers by itself."""

    name = "stale-register"
    serializable = True
