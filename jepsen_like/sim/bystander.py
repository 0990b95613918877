"""A client beside the load that asks for what workloads' clients do not, and judges what it got.

Workloads speak through raftkv's own client, which opens a stream for each watch and asks for little that is odd. Here are
several watchers on one stream that begin in the past, at the compact revision or in the future, end and are followed by
others; readers that stop reading; answers too large for one message; leases with many keys; compactions under which
transactions read; streams that must not outlive the leader. Its keys are its own, and so is its history: `checker.watch`
judges it, with the compactions that others made. Source: spec/faults.md §5c 55-68.
"""

from __future__ import annotations

import asyncio
import itertools
import random

from jepsen_like.checker import watch
from jepsen_like.checker.verdict import Findings, Verdict, merged
from jepsen_like.history import History, Operation, TxnArgument
from jepsen_like.sim.cluster import SimulatedCluster, SimulatedMember
from jepsen_like.sim.watch_stream import RawStream, RawWatcher, Wish
from jepsen_like.sim.world import SimulatedWorld
from jepsen_like.workload import leasing
from jepsen_like.workload.session import Answer, Session
from raftkv import client as etcd
from raftkv.transport.channel import RpcError

PREFIX = "y/"
END = "y0"
SMALL_END = "y/x"
"""What lies before it is small."""

KEYS = tuple(f"{PREFIX}{number}" for number in range(6))
QUIET = f"{PREFIX}quiet"
"""Nobody writes it."""

KEYS_END = f"{PREFIX}:"
LARGE = tuple(f"{SMALL_END}{number}" for number in range(3))
LARGE_BYTES = 440_000
"""Three of them fit into one request; three with what they replace do not fit into one answer of a watch that wants fragments."""

LARGE_EVERY_S = (8.0, 16.0)
WRITE_EVERY_S = (0.04, 0.2)
COMPACT_EVERY_S = (1.0, 5.0)
KEEP_REVISIONS = 60
VISIT_S = (0.8, 3.5)
LOOK_S = 0.05
LEADER_LOOK_S = 0.1
FUTURE = 30
PAST = 150

LEASED = 12
"""Keys of one lease."""

LEASE_TTL_S = 6000
"""It ends by being revoked."""

LEASE_S = (0.5, 6.0)

LEADERLESS_TIMEOUTS = 4
"""A stream that asked for a leader must end within so many election timeouts without one: three, and the one that is under way."""

LEADERLESS_SLACK_S = 0.5

ENDED_WITHIN_S = 5.0
"""After all is healed a stream that had to end has ended."""


class Bystander:
    """See the module. An instance serves one run."""

    name = "bystander"

    def __init__(self, cluster: SimulatedCluster, *, election_s: float, may_compact: bool) -> None:
        self.history = History()
        self._cluster = cluster
        self._election_s = election_s
        self._may_compact = may_compact
        self._world = SimulatedWorld(cluster, self.history, clients="bystander's client")
        self._numbers = itertools.count()
        self._values = itertools.count()
        self._findings = Findings()
        self._revision = 1
        self._compacted = 0
        """The highest revision that a compaction was acknowledged at."""
        self._resume = 0
        """Where the last long watcher was."""
        self._overdue: list[tuple[RawStream, str, SimulatedMember, object]] = []
        """Streams that should have ended, with what to say, and the process of which member they are a stream of."""

    async def run(self, until_s: float) -> None:
        """Asks until the loop's time is `until_s`."""
        async with asyncio.TaskGroup() as group:
            tasks = [
                group.create_task(self._writes(), name="bystander writes"),
                group.create_task(self._leases(), name="bystander leases"),
                group.create_task(self._large(), name="bystander large"),
                group.create_task(self._watches(), name="bystander watches"),
            ]
            for member in self._cluster.members:
                tasks.append(group.create_task(self._needs_leader(member), name=f"bystander needs a leader at {member.host}"))
            if self._may_compact:
                tasks.append(group.create_task(self._compactions(), name="bystander compactions"))
            await asyncio.sleep(until_s - self._world.now_s())
            for task in tasks:
                task.cancel()

    async def finish(self) -> None:
        """After every fault is healed: what had to end has ended."""
        if self._overdue:
            await asyncio.sleep(ENDED_WITHIN_S)
        for stream, text, member, process in self._overdue:
            # The end that a process had sent may be lost with it, when its power is cut while its network is.
            if not stream.is_over and member.running is process:
                self._findings.add("stream-without-leader", text)
            stream.close(whole=True)
        self._world.recorder.close()

    def check(self, others: History) -> Verdict:
        """The verdict on its own history; `others`: what everybody else asked for."""
        compactions = [one for one in others.operations if one.f == "compact"]
        operations = sorted((*self.history.operations, *compactions), key=_begun)
        history = History(operations, self.history.watches, self.history.responses)
        return merged([self._findings.verdict(len(operations)), watch.check(history, closed=False)])

    # What it writes.

    async def _writes(self) -> None:
        draws = self._world.random("bystander writes")
        session = self._session(draws)
        try:
            while True:
                await asyncio.sleep(draws.uniform(*WRITE_EVERY_S))
                if session.cautious:
                    await session.aclose()
                    session = self._session(draws)
                key, act = draws.choice(KEYS), draws.random()
                if act < 0.45:
                    answer = await session.put(key, self._value())
                elif act < 0.7:
                    answer = await session.delete(key)
                elif act < 0.75:
                    answer = await session.delete(PREFIX, KEYS_END)
                else:
                    keys = draws.sample(KEYS, 3)
                    answer = await session.txn(TxnArgument((), tuple(("put", one, self._value()) for one in keys)))
                self._heard(answer)
        finally:
            await session.aclose()

    async def _large(self) -> None:
        """Several large keys in one revision, written over, and gone at once."""
        draws = self._world.random("bystander large")
        while True:
            await asyncio.sleep(draws.uniform(*LARGE_EVERY_S))
            session = self._session(draws)
            try:
                for _turn in range(2):
                    steps = tuple(("put", key, self._value().ljust(LARGE_BYTES, ".")) for key in LARGE)
                    self._heard(await session.txn(TxnArgument((), steps)))
                    await asyncio.sleep(draws.uniform(0.0, 0.5))
                self._heard(await session.delete(LARGE[0], END))
            finally:
                await session.aclose()

    async def _leases(self) -> None:
        draws = self._world.random("bystander leases")
        for turn in itertools.count():
            await asyncio.sleep(draws.uniform(0.1, 2.0))
            session = self._session(draws)
            try:
                lease = leasing.lease_id(draws)
                if await leasing.grant(session, lease, LEASE_TTL_S) is None:
                    continue
                keys = [f"{PREFIX}l{turn % 3}{number:02}" for number in range(LEASED)]
                draws.shuffle(keys)
                for start in range(0, LEASED, 4):
                    steps = tuple(("put", key, self._value()) for key in keys[start : start + 4])
                    self._heard(await session.txn(TxnArgument((), steps), lease=lease))
                await asyncio.sleep(draws.uniform(*LEASE_S))
                self._heard(await leasing.revoke(session, lease))
            finally:
                await session.aclose()

    async def _compactions(self) -> None:
        draws = self._world.random("bystander compactions")
        while True:
            await asyncio.sleep(draws.uniform(*COMPACT_EVERY_S))
            revision = self._revision - draws.choice((0, 0, draws.randint(1, KEEP_REVISIONS)))
            if revision <= max(2, self._compacted):
                continue
            sessions = [self._session(draws) for _ in range(2)]
            try:
                async with asyncio.TaskGroup() as group:
                    group.create_task(self._read_below(sessions[1], revision, draws.uniform(0.0, 0.05)), name="reads below")
                    if await sessions[0].compact(revision) is not None:
                        self._compacted = max(self._compacted, revision)
                if self._compacted >= revision:
                    await self._read_below(sessions[0], revision, 0.0)
            finally:
                for session in sessions:
                    await session.aclose()

    async def _read_below(self, session: Session, revision: int, after_s: float) -> None:
        """A write with a read at a revision that is, or is about to be, compacted: it happens whole or not at all."""
        await asyncio.sleep(after_s)
        key, value = f"{PREFIX}past", self._value()
        known = self._compacted
        operations = (
            etcd.PutOp(key.encode(), value.encode()),
            etcd.RangeOp(etcd.KeyRange(PREFIX.encode(), END.encode()), revision=revision - 1),
        )

        async def send() -> tuple[tuple[()], int]:
            done = await session.client.execute(etcd.TxnOp((), operations, ()))
            return (), done.header.revision

        answer = await session.call("put", key, value, send)
        self._heard(answer)
        if answer is not None and revision <= known:
            text = f"a transaction read at revision {revision - 1} after a compaction at {known} had been acknowledged"
            self._findings.add("compacted-read", text)

    # What it watches.

    async def _watches(self) -> None:
        draws = self._world.random("bystander watches")
        while True:
            stream = self._stream(draws.choice(self._cluster.members))
            try:
                await stream.open(needs_leader=draws.random() < 0.3)
            except RpcError:
                await asyncio.sleep(draws.uniform(0.05, 0.3))
                continue
            try:
                await self._visit(stream, draws)
            finally:
                stream.close(whole=draws.random() < 0.5)

    async def _visit(self, stream: RawStream, draws: random.Random) -> None:
        """Some watchers for some seconds."""
        long = stream.create(Wish(PREFIX, END, self._resume, prev_kv=True, progress=True, fragment=True))
        for _ in range(draws.randint(2, 4)):
            stream.create(self._wish(draws))
        if draws.random() < 0.7:
            stream.ask_progress()
        end_s = self._world.now_s() + draws.uniform(*VISIT_S)
        rests_until_s = 0.0
        while not stream.is_over and self._world.now_s() < end_s:
            await asyncio.sleep(LOOK_S)
            self._act(stream, draws)
            if rests_until_s and self._world.now_s() >= rests_until_s:
                stream.read(go_on=True)
                rests_until_s = 0.0
            elif not rests_until_s and draws.random() < 0.04:
                stream.read(go_on=False)
                rests_until_s = self._world.now_s() + draws.uniform(0.1, 1.5)
        self._resume = 0 if long.compact_revision else max(self._resume, long.seen + 1 if long.seen else 0)

    async def _needs_leader(self, member: SimulatedMember) -> None:
        """A stream that has nothing to do but to end when the member knows no leader, opened again and again."""
        while True:
            await asyncio.sleep(LEADER_LOOK_S)
            stream, looked = self._stream(member), Leaderless(member, self._election_s)
            try:
                await stream.open(needs_leader=True)
                stream.create(Wish(QUIET))
                while not stream.is_over:
                    await asyncio.sleep(LEADER_LOOK_S)
                    now_s = self._world.now_s()
                    if looked.is_overdue(now_s):
                        # The connection may be held up just now; what the member has sent will have come when all is healed.
                        text = f"{member.host} kept a stream that asked for a leader for {looked.lasted_s(now_s):.1f} s without one"
                        self._overdue.append((stream, text, member, member.running))
                        break
            except RpcError:
                pass
            finally:
                if not any(stream is one for one, *_of_it in self._overdue):
                    stream.close(whole=True)

    def _stream(self, member: SimulatedMember) -> RawStream:
        return RawStream(member, self._world.recorder, lambda: next(self._numbers), self._findings)

    def _act(self, stream: RawStream, draws: random.Random) -> None:
        """Now and then a request more."""
        act = draws.random()
        if act < 0.15:
            stream.ask_progress()
        elif act < 0.22:
            ended = [one for one in stream.watchers if one.compact_revision]
            if ended:
                # As a client does that was told how far history goes.
                wish = draws.choice(ended).wish
                stream.create(wish._replace(since=max(one.compact_revision for one in ended)))
        elif act < 0.27:
            running: list[RawWatcher] = [one for one in stream.watchers if one.watch_id >= 0 and not one.is_over]
            if running:
                stream.cancel(draws.choice(running), self._wish(draws))

    def _wish(self, draws: random.Random) -> Wish:
        key, range_end = draws.choice(((PREFIX, SMALL_END), (PREFIX, SMALL_END), (draws.choice(KEYS), ""), (PREFIX, END)))
        past, future = max(1, self._revision - draws.randint(0, PAST)), self._revision + draws.randint(1, FUTURE)
        return Wish(
            key,
            range_end,
            draws.choice((0, past, past, future, max(1, self._compacted))),
            prev_kv=draws.random() < 0.5,
            filters=draws.choice(((), (), (), ("noput",), ("nodelete",))),
            progress=draws.random() < 0.5,
            fragment=draws.random() < 0.5,
        )

    def _session(self, draws: random.Random) -> Session:
        return Session(self._world, draws.choice(self._world.members))

    def _value(self) -> str:
        return f"y{next(self._values)}"

    def _heard(self, answer: Answer | None) -> None:
        if answer is not None:
            self._revision = max(self._revision, answer.revision)


class Leaderless:
    """How long one process of a member has known no leader, without a break, as far as looks every now and then tell.

    A term that changes between two looks may have had a leader, and a paused process does not see time go by: both begin anew.
    """

    def __init__(self, member: SimulatedMember, election_s: float) -> None:
        self._member = member
        self._limit_s = LEADERLESS_TIMEOUTS * election_s
        self._seen: tuple[object, int] | None = None
        self.since_s: float | None = None

    def is_overdue(self, now_s: float) -> bool:
        """To be asked every tenth of a second: no leader is lost faster without another term."""
        member, running = self._member, self._member.running
        if running is None or member.life is None or member.life.paused or running.core.node.leader_id:
            self.since_s = None
            return False
        seen = (running, running.core.node.term)
        if self.since_s is None or seen != self._seen:
            self._seen, self.since_s = seen, now_s
        return self.lasted_s(now_s) * min(1.0, member.rate) > self._limit_s + LEADERLESS_SLACK_S

    def lasted_s(self, now_s: float) -> float:
        """How long it has lasted."""
        return 0.0 if self.since_s is None else now_s - self.since_s


def _begun(operation: Operation) -> int:
    return operation.invoke_ns
