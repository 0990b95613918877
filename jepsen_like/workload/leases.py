"""Leases from grant to end: attached keys, renewals, revocations, and expiries that come neither early nor never.

Each client leads one lease after another through its life; TTLs are the smallest a server grants. One collector per member shows
when keys went. At the end, with every fault healed, all leases are left alone and waited for: whatever happened to them before, they
must end, and their keys with them. Checked by `checker.lease` (intervals of earliest and latest legal expiry), and by
`checker.order` for what the keys show.
"""

from __future__ import annotations

import asyncio
import itertools

from jepsen_like.checker import lease, order, watch
from jepsen_like.checker.lease import SECOND_NS, Bounds
from jepsen_like.checker.verdict import Verdict, merged
from jepsen_like.history import History
from jepsen_like.ledger import FAULT, LEADER, NOTE, FaultRecord, note
from jepsen_like.workload import keyspace, leasing
from jepsen_like.workload.pacing import Client, answered, drive
from jepsen_like.workload.session import Session, prefix_end
from jepsen_like.workload.watching import Wanted, Watcher, awaited_of, events_of, left_open, read_to
from jepsen_like.workload.workload import World
from raftkv.errors import RaftKVError

TTLS_S = (2, 3)
KEYS_MAX = 2
LOOKS_MAX = 5
CLIENTS_PER_MEMBER = 3
GONE_WITHIN_S = 5.0
"""How long past its TTL an abandoned lease is looked at."""

LATE_S = 20.0
"""How long past its TTL a lease may live, while no fault lasts and nobody is elected. Expiry is the leader's: it looks twice a second,
waits for a quorum, and hands a lease out again after three seconds when its end was lost. Whoever is elected gives every lease its full
TTL and an election timeout more: such elections, and the ends of faults, are instants from which a lease's time counts anew."""

LOOK_S = 0.5
LEFT_ALONE = "leases left alone"
"""The note of when the cluster answered after the load, and nobody renewed a lease any more."""

BENDING = ("clock-skew", "clock-rate")
"""Faults that make a member's time run at another rate."""

RATE_ERROR_MAX = 0.5
"""At twice the rate a lease lives half as long."""


class Leases:
    """Grant, keepalive, revoke, expiry."""

    name = "lease"

    def __init__(self, prefix: str = "") -> None:
        self._prefix = f"{prefix}e/"
        self._numbers = itertools.count()
        self._keys = itertools.count()
        self._until_s = 0.0
        self._world: World | None = None
        self._collectors: list[Watcher] = []
        self._ttls: dict[int, int] = {}
        """Every lease, and the seconds granted, or asked for."""
        self._left: set[int] = set()
        """Those that nobody has seen gone."""

    async def run(self, world: World, *, until_s: float, rate: float) -> None:
        """See `Workload`."""
        self._world, self._until_s = world, until_s
        base = await keyspace.begin(world, self._prefix)
        wanted = Wanted(self._prefix, prefix_end(self._prefix), base + 1, prev_kv=True, progress=True)
        self._collectors = [Watcher(world, member, wanted, lambda: next(self._numbers)) for member in world.members]
        async with left_open(self._collectors), asyncio.TaskGroup() as group:
            beside = [group.create_task(one.run(keep=True), name=f"collector {one.member}") for one in self._collectors]
            # A step is a whole life of a lease: about ten calls in a few seconds.
            count = CLIENTS_PER_MEMBER * len(world.members)
            await drive(world, self.name, self._life, count=count, until_s=until_s, rate=max(rate, count * 5.0))
            for task in beside:
                task.cancel()

    async def _life(self, client: Client) -> None:
        assert self._world is not None
        world, session, draws = self._world, client.session, client.random
        if session.cautious:
            await session.get(f"{self._prefix}probe")
            return
        lease_id = leasing.lease_id(draws)
        asked_s = self._ttls[lease_id] = draws.choice(TTLS_S)
        self._left.add(lease_id)
        granted = await leasing.grant(session, lease_id, asked_s)
        if granted is None:
            return
        self._ttls[lease_id] = granted.result
        keys = [f"{self._prefix}{next(self._keys):06d}" for _key in range(draws.randint(1, KEYS_MAX))]
        for key in keys:
            await session.put(key, client.unique(), lease=lease_id)
        renews, ttl_s = draws.random() < 0.6, granted.result
        for _look in range(draws.randint(1, LOOKS_MAX)):
            await world.sleep(ttl_s * draws.uniform(0.1, 0.7))
            act = draws.random()
            if renews and act < 0.6:
                await leasing.keepalive(session, lease_id)
            elif act < 0.8:
                await session.get(draws.choice(keys))
            else:
                await leasing.time_to_live(session, lease_id)
            if world.now_s() >= self._until_s:
                return
        if draws.random() < 0.4:
            if await leasing.revoke(session, lease_id) is not None:
                self._left.discard(lease_id)
        else:
            await self._wait_gone(world, client, lease_id, ttl_s)
        await session.get(keys[0])

    async def _wait_gone(self, world: World, client: Client, lease_id: int, ttl_s: int) -> None:
        """Looks at an abandoned lease until it is gone; one that is not yet is waited for at the end."""
        deadline_s = min(world.now_s() + ttl_s + GONE_WITHIN_S, self._until_s)
        while world.now_s() < deadline_s:
            left = await leasing.time_to_live(client.session, lease_id)
            if left is not None and left.result <= 0:
                self._left.discard(lease_id)
                return
            await world.sleep(client.random.uniform(0.1, 0.5))

    async def finish(self, world: World) -> None:
        """Waits for the end of every lease, and looks for what is left; then a last write, which every collector must reach."""
        await answered(world, lambda session: session.get(f"{self._prefix}probe"))
        world.recorder.write(note(LEFT_ALONE, world.recorder.now_ns()))
        await self._wait_for_ends(world)
        await answered(world, lambda session: session.range(self._prefix, prefix_end(self._prefix)))
        last = await answered(world, lambda session: session.put(f"{self._prefix}last", "last"))
        await read_to(world, self._collectors, last.revision)

    async def _wait_for_ends(self, world: World) -> None:
        """Until no member lists one of the leases and each is gone, or so long that one that is not should have been."""
        ttl_s = max(self._ttls.values(), default=0)
        deadline_s = world.now_s() + ttl_s * (1 + RATE_ERROR_MAX) + LATE_S + 1.0
        sessions = [Session(world, member) for member in world.members]
        try:
            over = False
            while not over:
                over = world.now_s() >= deadline_s
                for lease_id in sorted(self._left):
                    left = await leasing.time_to_live(sessions[0], lease_id)
                    if left is not None and left.result <= 0:
                        self._left.discard(lease_id)
                listed = [await self._list(session) for session in sessions]
                over = over or (not self._left and listed.count([]) == len(listed))
                await world.sleep(0.0 if over else LOOK_S)
        finally:
            for session in sessions:
                await session.aclose()

    async def _list(self, session: Session) -> list[int] | None:
        """Which of the leases the member lists, noted for the checker if there are any; None when it does not answer."""
        recorder = session.world.recorder
        began_ns = recorder.now_ns()
        try:
            found = (await session.client.leases.list()).ids
        except RaftKVError:
            return None
        ours = sorted(self._ttls.keys() & set(found))
        if ours:
            recorder.write(note({lease.LISTED: ours, "member": session.member}, began_ns, recorder.now_ns()))
        return ours

    def check(self, history: History) -> Verdict:
        """See `Workload`."""
        awaited = awaited_of(history)
        return merged(
            (
                lease.check(history, bounds=bounds_of(history)),
                watch.check(history, closed=False, awaited=awaited.revisions, kept=awaited.kept),
                order.check(history.operations, events=events_of(history), closed=False),
            )
        )


def bounds_of(history: History) -> Bounds:
    """How far the members' clocks may have been off, by as much as the run bent them; and when leases may have begun anew."""
    bent = any(mark.kind == FAULT and FaultRecord.from_mark(mark).name in BENDING for mark in history.marks)
    anew = [(mark.start_ns, mark.end_ns) for mark in history.marks if mark.kind == FAULT]
    anew += [(mark.start_ns, mark.start_ns) for mark in history.marks if mark.kind == LEADER]
    anew += [(mark.end_ns, mark.end_ns) for mark in history.marks if mark.kind == LEADER]
    anew += [(mark.start_ns, mark.start_ns) for mark in history.marks if mark.kind == NOTE and mark.detail == LEFT_ALONE]
    return Bounds(clock_rate_error=RATE_ERROR_MAX if bent else 0.0, late_ns=int(LATE_S * SECOND_NS), anew=tuple(sorted(anew)))
