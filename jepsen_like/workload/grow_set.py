"""A set that only grows: adds by compare-and-swap of one key, reads of the whole.

The simplest proof that nothing acknowledged is lost: every element whose add was acknowledged must be in every later read.
Every so many elements the set moves to a new key, or its value would grow for ever.
"""

from __future__ import annotations

from typing import Any

from jepsen_like.checker import set_full
from jepsen_like.checker.verdict import Verdict
from jepsen_like.history import History, KeyValue, TxnArgument
from jepsen_like.workload import keyspace
from jepsen_like.workload.pacing import Client, answered, drive
from jepsen_like.workload.session import Answer, Refused, Session, looked, txn_result
from jepsen_like.workload.workload import World

ELEMENTS_PER_KEY = 100
ATTEMPTS_MAX = 5


class GrowSet:
    """Lost adds."""

    name = "set"

    def __init__(self, prefix: str = "") -> None:
        self._prefix = f"{prefix}s/"
        self._elements = 0

    async def run(self, world: World, *, until_s: float, rate: float) -> None:
        """See `Workload`."""
        await keyspace.begin(world, self._prefix)
        await drive(world, self.name, self._step, count=2 * len(world.members), until_s=until_s, rate=rate)

    async def _step(self, client: Client) -> None:
        key = f"{self._prefix}{self._elements // ELEMENTS_PER_KEY}"
        if client.session.cautious or client.random.random() < 0.4:
            await read(client.session, key)
        else:
            self._elements += 1
            await add(client.session, key, self._elements)

    async def finish(self, world: World) -> None:
        """Reads every set at every member."""
        for member in world.members:
            for number in range(self._elements // ELEMENTS_PER_KEY + 1):
                key = f"{self._prefix}{number}"
                await answered(world, lambda session, key=key: read(session, key), members=(member,))  # type: ignore[misc]

    def check(self, history: History) -> Verdict:
        """See `Workload`."""
        return set_full.check(history.operations)


async def read(session: Session, key: str) -> Answer | None:
    """The elements of one set."""

    async def send() -> tuple[Any, int]:
        argument = TxnArgument((), (("get", key),))
        done = await session.execute_txn(argument)
        return _elements(txn_result(argument, done).responses[0]), done.header.revision

    return await session.call("members", key, None, send, mutates=False)


async def add(session: Session, key: str, element: int) -> Answer | None:
    """One element into one set, recorded as `add` whatever number of requests it took."""

    async def send() -> tuple[Any, int]:
        look = TxnArgument((), (("get", key),))
        held: KeyValue | None = txn_result(look, await looked(session.execute_txn(look))).responses[0]
        for _attempt in range(ATTEMPTS_MAX):
            value = " ".join(map(str, (*_elements(held), element)))
            guard = (key, "mod", "=", 0 if held is None else held.mod_revision)
            swap = TxnArgument((guard,), (("put", key, value),), (("get", key),))
            done = await session.execute_txn(swap)
            if done.succeeded:
                return None, done.header.revision
            held = txn_result(swap, done).responses[0]
        raise Refused(f"others added first, {ATTEMPTS_MAX} times")

    return await session.call("add", key, element, send)


def _elements(kv: KeyValue | None) -> tuple[int, ...]:
    return () if kv is None else tuple(map(int, kv.value.split()))
