"""Transactions over several keys, and every kind of read: the whole of the key-value interface in one mix.

Compares on value, mod, create and version; puts, deletes, ranges and gets in both branches; range deletes, paged ranges, reads at
old revisions, puts that return what they replaced. Checked by replaying everything in the order of revisions.
"""

from __future__ import annotations

import random

from jepsen_like.checker import order
from jepsen_like.checker.verdict import Verdict
from jepsen_like.history import History, KeyValue, TxnArgument
from jepsen_like.workload import keyspace
from jepsen_like.workload.pacing import Client, answered, drive
from jepsen_like.workload.session import Answer, prefix_end
from jepsen_like.workload.workload import World

KEYS = 12
PAST_MAX = 200
"""How far back a read at an old revision goes."""


class Txn:
    """Multi-key transactions among everything else."""

    name = "txn"

    def __init__(self, prefix: str = "") -> None:
        self._prefix = f"{prefix}t/"
        self._keys = [f"{self._prefix}{number:02d}" for number in range(KEYS)]
        self._last: dict[str, KeyValue | None] = {}
        self._revision = 0

    async def run(self, world: World, *, until_s: float, rate: float) -> None:
        """See `Workload`."""
        self._revision = await keyspace.begin(world, self._prefix)
        await drive(world, self.name, self._step, count=2 * len(world.members), until_s=until_s, rate=rate)

    async def _step(self, client: Client) -> None:
        session, draws = client.session, client.random
        key = draws.choice(self._keys)
        act = draws.random() * (0.3 if session.cautious else 1.0)
        if act < 0.12:
            answer = await session.get(key)
            if answer is not None:
                self._last[key] = answer.result
        elif act < 0.2:
            answer = await session.range(*self._span(draws), limit=draws.choice((0, 0, 1, 3)))
            for kv in answer.result.kvs if answer is not None else ():
                self._last[kv.key] = kv
        elif act < 0.3:
            answer = await self._read_past(client, key)
        elif act < 0.42:
            answer = await session.put(key, client.unique(), previous=draws.random() < 0.5)
        elif act < 0.48:
            answer = await session.delete(key)
        elif act < 0.52:
            answer = await session.delete(*self._span(draws))
        else:
            answer = await session.txn(self._argument(client))
        if answer is not None:
            self._revision = max(self._revision, answer.revision)

    async def _read_past(self, client: Client, key: str) -> Answer | None:
        revision = max(1, self._revision - client.random.randrange(PAST_MAX))
        if client.random.random() < 0.5:
            return await client.session.get(key, revision=revision)
        return await client.session.range(*self._span(client.random), revision=revision)

    def _span(self, draws: random.Random) -> tuple[str, str]:
        if draws.random() < 0.3:
            return self._prefix, prefix_end(self._prefix)
        low, high = sorted(draws.sample(range(KEYS), 2))
        return self._keys[low], self._keys[high]

    def _argument(self, client: Client) -> TxnArgument:
        draws = client.random
        compares = tuple(self._compare(draws, key) for key in draws.sample(self._keys, draws.choice((0, 1, 1, 2))))
        return TxnArgument(compares, self._steps(client, draws.choice((1, 2, 3, 4))), self._steps(client, draws.choice((0, 1, 2))))

    def _compare(self, draws: random.Random, key: str) -> tuple[str, str, str, str | int]:
        kv = self._last.get(key)
        target = draws.choice(("mod", "mod", "version", "create", "value"))
        sign = draws.choice(("=", "=", "=", "!", "<", ">"))
        if target == "value":
            return key, target, sign, "" if kv is None else kv.value
        if kv is None:
            return key, target, "=", 0
        return key, target, sign, {"mod": kv.mod_revision, "version": kv.version, "create": kv.create_revision}[target]

    def _steps(self, client: Client, count: int) -> tuple[tuple[str, ...], ...]:
        """Every key is written at most once: etcd refuses a transaction that writes one twice."""
        steps: list[tuple[str, ...]] = []
        for key in client.random.sample(self._keys, count):
            act = client.random.random()
            if act < 0.5:
                steps.append(("put", key, client.unique()))
            elif act < 0.6:
                steps.append(("delete", key, ""))
            elif act < 0.9:
                steps.append(("get", key))
            else:
                steps.append(("range", self._prefix, prefix_end(self._prefix)))
        return tuple(steps)

    async def finish(self, world: World) -> None:
        """Reads everything at every member."""
        for member in world.members:
            await answered(world, lambda session: session.range(self._prefix, prefix_end(self._prefix)), members=(member,))

    def check(self, history: History) -> Verdict:
        """See `Workload`."""
        return order.check(history.operations, closed=keyspace.is_alone(history))
