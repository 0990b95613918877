"""List-append: transactions that read lists and append to them, built as etcd's users build them.

A transaction reads all its keys at once, then writes the longer lists under the condition that none of the keys was written
meanwhile; refused, it begins again from what the refusal read. Every element is appended once in a run, so a list read shows
the whole order of its writers, and cycles between transactions can be named. Keys rotate, or lists would grow for ever.
"""

from __future__ import annotations

from typing import Any

from jepsen_like.checker import list_append
from jepsen_like.checker.verdict import Verdict
from jepsen_like.history import History, KeyValue, TxnArgument
from jepsen_like.workload import keyspace
from jepsen_like.workload.pacing import Client, answered, drive
from jepsen_like.workload.session import Answer, Refused, Session, looked, txn_result
from jepsen_like.workload.workload import World
from raftkv.client import TxnResult as TxnAnswer

KEYS = 4
STEPS_MAX = 4
APPENDS_PER_KEY = 60
ATTEMPTS_MAX = 4

Steps = tuple[tuple[Any, ...], ...]


class ListAppend:
    """Multi-key transactions on lists."""

    name = "append"

    def __init__(self, prefix: str = "") -> None:
        self._prefix = f"{prefix}a/"
        self._elements = 0
        self._appended = [0] * KEYS

    async def run(self, world: World, *, until_s: float, rate: float) -> None:
        """See `Workload`."""
        await keyspace.begin(world, self._prefix)
        await drive(world, self.name, self._step, count=2 * len(world.members), until_s=until_s, rate=rate)

    def _key(self, slot: int) -> str:
        return f"{self._prefix}{slot}.{self._appended[slot] // APPENDS_PER_KEY}"

    async def _step(self, client: Client) -> None:
        draws = client.random
        steps: list[tuple[Any, ...]] = []
        only_reads = client.session.cautious or draws.random() < 0.25
        for _number in range(draws.randint(1, STEPS_MAX)):
            slot = draws.randrange(KEYS)
            key = self._key(slot)
            if only_reads or draws.random() < 0.4:
                steps.append(("r", key))
            else:
                self._elements += 1
                self._appended[slot] += 1
                steps.append(("append", key, self._elements))
        await append(client.session, tuple(steps))

    async def finish(self, world: World) -> None:
        """Reads every list at every member."""
        for member in world.members:
            for slot in range(KEYS):
                for number in range(self._appended[slot] // APPENDS_PER_KEY + 1):
                    key = f"{self._prefix}{slot}.{number}"
                    await answered(world, lambda session, key=key: append(session, (("r", key),)), members=(member,))  # type: ignore[misc]

    def check(self, history: History) -> Verdict:
        """See `Workload`."""
        return list_append.check(history.operations)


async def append(session: Session, steps: Steps) -> Answer | None:
    """One transaction, recorded as `append` whatever number of requests it took."""
    keys = sorted({step[1] for step in steps})
    reads = tuple(("get", key) for key in keys)
    writes = any(step[0] == "append" for step in steps)

    async def send() -> tuple[Any, int]:
        look = TxnArgument((), reads)
        found = _found(look, await looked(session.execute_txn(look)))
        for _attempt in range(ATTEMPTS_MAX):
            lists = {key: _elements(kv) for key, kv in zip(keys, found[1], strict=True)}
            result, after = _applied(steps, lists)
            if not writes:
                return result, found[2]
            puts = tuple(("put", key, " ".join(map(str, after[key]))) for key in keys if after[key] != lists[key])
            guards = tuple((key, "mod", "=", 0 if kv is None else kv.mod_revision) for key, kv in zip(keys, found[1], strict=True))
            swap = TxnArgument(guards, puts, reads)
            found = _found(swap, await session.execute_txn(swap))
            if found[0]:
                return result, found[2]
        raise Refused(f"others wrote first, {ATTEMPTS_MAX} times")

    return await session.call("append", keys[0], steps, send, mutates=writes)


def _found(argument: TxnArgument, done: TxnAnswer) -> tuple[bool, tuple[KeyValue | None, ...], int]:
    result = txn_result(argument, done)
    return result.succeeded, result.responses, done.header.revision


def _elements(kv: KeyValue | None) -> tuple[int, ...]:
    return () if kv is None else tuple(map(int, kv.value.split()))


def _applied(steps: Steps, lists: dict[str, tuple[int, ...]]) -> tuple[tuple[Any, ...], dict[str, tuple[int, ...]]]:
    """What each step reads when they run in order, and the lists after them."""
    after = dict(lists)
    result: list[tuple[int, ...] | None] = []
    for step in steps:
        if step[0] == "r":
            result.append(after[step[1]])
        else:
            after[step[1]] = (*after[step[1]], step[2])
            result.append(None)
    return tuple(result), after
