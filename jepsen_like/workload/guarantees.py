"""Watch guarantees: writers at every member, and watchers of every kind on what they write.

One collector per member reads everything from the first revision to the end, one of them slowly. Beside them come and go
watchers that begin in the past, now or in the future, with and without previous values, filters and progress reports, on one
key or a range. At the end all collectors must reach the last revision, and those that are open by themselves. Checked by
`checker.watch` and, with the events as witnesses of unknown writes, by `checker.order`.
"""

from __future__ import annotations

import asyncio
import itertools

from jepsen_like.checker import order, watch
from jepsen_like.checker.verdict import Verdict, merged
from jepsen_like.history import History, TxnArgument
from jepsen_like.workload import keyspace
from jepsen_like.workload.pacing import Client, answered, drive
from jepsen_like.workload.session import Session, prefix_end
from jepsen_like.workload.watching import Wanted, Watcher, awaited_of, events_of, left_open, read_to
from jepsen_like.workload.workload import World
from raftkv.errors import RaftKVError

KEYS = 10
VISITORS_PER_MEMBER = 3
START_SPREAD = 100
"""A visitor begins this many revisions before or after the newest, at most."""

COMPACT_EVERY_S = 2.0
KEEP_REVISIONS = 400
PROGRESS_EVERY_S = 0.1
SLOW_S = 0.02

PROGRESS_FIXED_IN = (3, 4, 25)
"""Older etcd answers a progress request with a revision whose events are still to come (its own changelog)."""

TOMBSTONE_FIXED_IN = (3, 4, 36)
"""Older etcd accepts a watch from the compact revision on and leaves out a delete made at it (etcd #19179). This workload found it
in 3.4.23 within 45 s of compactions and reconnecting collectors; as a control etcd is asked for what it can keep."""


class WatchGuarantees:
    """Every promise etcd makes to a watcher."""

    name = "watch"

    def __init__(self, prefix: str = "", *, compact: bool = True) -> None:
        self._prefix = f"{prefix}w/"
        self._end = prefix_end(self._prefix)
        self._keys = [f"{self._prefix}{number:02d}" for number in range(KEYS)]
        self._numbers = itertools.count()
        self._revision = 0
        self._compact = compact
        self._collectors: list[Watcher] = []

    def _number(self) -> int:
        return next(self._numbers)

    async def run(self, world: World, *, until_s: float, rate: float) -> None:
        """See `Workload`."""
        base = self._revision = await keyspace.begin(world, self._prefix)
        everything = Wanted(self._prefix, self._end, since=base + 1, prev_kv=True, progress=True)
        version = await oldest_version(world)
        asks, beyond = version >= PROGRESS_FIXED_IN, int(version < TOMBSTONE_FIXED_IN)
        self._collectors = [
            Watcher(world, member, everything, self._number, pause_s=0.0 if index else SLOW_S, beyond=beyond)
            for index, member in enumerate(world.members)
        ]
        async with left_open(self._collectors), asyncio.TaskGroup() as group:
            beside = [group.create_task(one.run(keep=True), name=f"collector {one.member}") for one in self._collectors]
            for member in world.members:
                for number in range(VISITORS_PER_MEMBER):
                    name = f"visitor {member} {number}"
                    beside.append(group.create_task(self._visits(world, member, name, asks=asks), name=name))
            if self._compact:
                beside.append(group.create_task(self._compactions(world), name="compactions"))
            await drive(world, self.name, self._step, count=2 * len(world.members), until_s=until_s, rate=rate)
            for task in beside:
                task.cancel()

    async def _step(self, client: Client) -> None:
        session, key, act = client.session, client.random.choice(self._keys), client.random.random()
        if session.cautious:
            answer = await session.get(key)
        elif act < 0.5:
            answer = await session.put(key, client.unique())
        elif act < 0.7:
            answer = await session.delete(key)
        elif act < 0.75:
            answer = await session.delete(self._prefix, self._keys[client.random.randrange(1, KEYS)])
        elif act < 0.95:
            answer = await session.txn(self._several(client))
        else:
            answer = await session.range(self._prefix, self._end)
        if answer is not None:
            self._revision = max(self._revision, answer.revision)

    def _several(self, client: Client) -> TxnArgument:
        """Changes of several keys in one revision, in an order that must be kept."""
        keys = client.random.sample(self._keys, client.random.choice((2, 3, 4)))
        return TxnArgument(
            (), tuple(("put", key, client.unique()) if client.random.random() < 0.7 else ("delete", key, "") for key in keys)
        )

    async def _visits(self, world: World, member: str, name: str, *, asks: bool) -> None:
        """One watcher after another, each for a second or two."""
        draws = world.random(name)
        process = world.recorder.process()
        while True:
            since = draws.choice((0, max(1, self._revision + draws.randint(-START_SPREAD, START_SPREAD))))
            key = draws.choice(self._keys)
            span = draws.choice(((key, ""), (self._prefix, self._end), (self._keys[2], self._keys[7])))
            filters = draws.choice(((), (), ("noput",), ("nodelete",)))
            wanted = Wanted(*span, since, prev_kv=draws.random() < 0.5, filters=filters, progress=draws.random() < 0.5)
            watcher = Watcher(world, member, wanted, self._number, process=process)
            async with asyncio.TaskGroup() as group:
                reading = group.create_task(watcher.run(once=True), name=f"{name} reads")
                left_s = draws.uniform(0.5, 2.5)
                while left_s > 0 and not reading.done():
                    await world.sleep(PROGRESS_EVERY_S)
                    left_s -= PROGRESS_EVERY_S
                    if asks:
                        watcher.request_progress()
                reading.cancel()

    async def _compactions(self, world: World) -> None:
        session = Session(world, world.members[-1])
        try:
            while True:
                await world.sleep(COMPACT_EVERY_S)
                revision = self._revision - KEEP_REVISIONS
                if revision > 0:
                    await session.compact(revision)
        finally:
            await session.aclose()

    async def finish(self, world: World) -> None:
        """A last write, which every collector must reach."""
        last = await answered(world, lambda session: session.put(f"{self._prefix}last", "last"))
        await read_to(world, self._collectors, last.revision)

    def check(self, history: History) -> Verdict:
        """See `Workload`."""
        closed, awaited = keyspace.is_alone(history), awaited_of(history)
        return merged(
            (
                watch.check(history, closed=closed, awaited=awaited.revisions, kept=awaited.kept),
                order.check(history.operations, events=events_of(history), closed=closed),
            )
        )


async def oldest_version(world: World) -> tuple[int, ...]:
    """Of all members; the oldest there can be when one does not say."""
    versions = []
    for member in world.members:
        client = world.client(member)
        try:
            said = (await client.maintenance.status()).version
        except RaftKVError:
            said = "0"
        finally:
            await client.aclose()
        versions.append(tuple(int(part) for part in said.split("-")[0].split(".") if part.isdigit()))
    return min(versions)
