"""One seeded run of a simulated cluster under load and faults, held against what must be true of it."""

from __future__ import annotations

import asyncio
import errno
import random
from collections.abc import Awaitable, Callable

from jepsen_like.sim.client import RpcError, SimulatedClient
from jepsen_like.sim.cluster import SimulatedCluster, SimulatedMember
from tests.support.faulty_load import LEASE_TTL_S, Lease, Load, Watch, stored_events, versions_of
from tests.support.history import Operation, check

ELECTION_S = 1.0

SETTINGS = {"snapshot_count": 40, "snapshot_catchup_entries": 10, "wal_segment_bytes": 20_000}
"""Small, so that snapshots travel and segments go within seconds."""

DURATION_S = 15.0


class Faults:
    """One fault after another, never more than a minority down at a time, but for whole-cluster power cuts."""

    def __init__(self, cluster: SimulatedCluster, rng: random.Random) -> None:
        self.cluster = cluster
        self.random = rng
        self.unexpected: list[str] = []
        self._acts: list[Callable[[SimulatedMember], Awaitable[None]]] = [
            self._crash,
            self._crash,
            self._power_cut,
            self._isolate,
            self._cut_one_way,
            self._transfer,
            self._reset,
            self._pause,
            self._slow_disk,
            self._bad_disk,
            self._restart,
        ]

    async def run(self, duration_s: float) -> None:
        """Until the time is up; everything is whole again afterwards."""
        loop, rng = self.cluster.loop, self.random
        end = loop.time() + duration_s
        while loop.time() < end:
            await asyncio.sleep(rng.uniform(0.2, 1.2))
            act = rng.choice(self._acts)
            victim = rng.choice(self.cluster.members)
            if rng.random() < 0.4:
                victim = self.cluster.leader() or victim
            await act(victim)
            self.check()
        loop.network.heal()

    def check(self) -> None:
        """Notes processes that ended though nothing was wrong with their disks."""
        for host, error in self.cluster.failures:
            if not isinstance(error, OSError) and "(injected)" not in _texts(error):
                self.unexpected.append(f"{host} ended with {error!r}: {_texts(error)}")
        self.cluster.failures.clear()

    def _others(self, victim: SimulatedMember) -> list[SimulatedMember]:
        return [member for member in self.cluster.members if member is not victim]

    async def _crash(self, victim: SimulatedMember) -> None:
        power = self.random.random() < 0.7
        victim.crash(power=power, silent=power and self.random.random() < 0.5)
        await asyncio.sleep(self.random.uniform(0.1, 2.5))
        victim.start()

    async def _power_cut(self, victim: SimulatedMember) -> None:
        for member in self.cluster.members:
            member.crash(power=True)
        await asyncio.sleep(self.random.uniform(0.05, 0.5))
        self.cluster.start()

    async def _isolate(self, victim: SimulatedMember) -> None:
        network = self.cluster.loop.network
        network.isolate(victim.host, [member.host for member in self._others(victim)])
        await asyncio.sleep(self.random.uniform(0.3, 3.0))
        network.heal()

    async def _cut_one_way(self, victim: SimulatedMember) -> None:
        network = self.cluster.loop.network
        network.cut(victim.host, self.random.choice(self._others(victim)).host)
        await asyncio.sleep(self.random.uniform(0.3, 3.0))
        network.heal()

    async def _transfer(self, victim: SimulatedMember) -> None:
        target = victim.running.member_id if victim.running is not None else 0
        for member in self.cluster.members:
            member.run(lambda running: running.core.transfer_leader(target, lambda error: None))

    async def _reset(self, victim: SimulatedMember) -> None:
        for _ in range(self.random.randint(1, 5)):
            self.cluster.loop.network.reset(victim.host, self.random.choice(self._others(victim)).host)
            await asyncio.sleep(self.random.uniform(0.0, 0.3))

    async def _pause(self, victim: SimulatedMember) -> None:
        victim.pause()
        await asyncio.sleep(self.random.uniform(0.2, 4.0))
        victim.resume()

    async def _slow_disk(self, victim: SimulatedMember) -> None:
        victim.disk_s = (0.05, self.random.uniform(0.1, 1.5))
        await asyncio.sleep(self.random.uniform(0.5, 3.0))
        victim.disk_s = None

    async def _bad_disk(self, victim: SimulatedMember) -> None:
        """A call fails, and with it the process; it is started again, on a disk that works or after a power cut."""
        rng = self.random
        victim.fail_disk(rng.randint(1, 30), rng.choice((errno.EIO, errno.ENOSPC)), rng.randint(0, 200))
        await asyncio.sleep(rng.uniform(0.3, 2.0))
        self.check()
        victim.crash(power=rng.random() < 0.5)
        await asyncio.sleep(rng.uniform(0.1, 1.0))
        victim.start()

    async def _restart(self, victim: SimulatedMember) -> None:
        if victim.running is not None:
            await victim.stop()
            await asyncio.sleep(self.random.uniform(0.0, 0.5))
            victim.start()


def _texts(error: BaseException | None) -> str:
    if isinstance(error, BaseExceptionGroup):
        return " ".join(_texts(inner) for inner in error.exceptions)
    return str(error)


async def _last_write(cluster: SimulatedCluster, load: Load) -> int:
    """A write that must succeed now that everything is whole; its revision."""
    client = SimulatedClient(cluster.members[0])
    for _ in range(50):
        try:
            revision = (await client.put(b"end", b"0")).header.revision
        except RpcError:
            load.note("put", b"end", b"0", cluster.loop.time(), ok=False)
            await asyncio.sleep(0.1)
            continue
        load.note("put", b"end", b"0", cluster.loop.time(), revision)
        return revision
    raise AssertionError("no write succeeds though everything is whole")


async def faulty_run(cluster: SimulatedCluster) -> list[Operation]:
    """Runs load and faults, waits for everything to be whole, and raises AssertionError for what cannot be true."""
    cluster.start()
    await cluster.serving()
    loop = cluster.loop
    load = Load(cluster, cluster.seed)
    watches = [Watch(cluster, member) for member in cluster.members]
    lease = Lease(load)
    clients = [loop.create_task(load.run(member)) for member in cluster.members * 2]
    clients += [loop.create_task(watch.run()) for watch in watches]
    clients.append(loop.create_task(lease.run()))
    faults = Faults(cluster, random.Random(cluster.seed))
    await faults.run(DURATION_S)
    await asyncio.sleep(3 * ELECTION_S)
    load.stopping = lease.stopping = True
    await cluster.serving()
    await asyncio.sleep(LEASE_TTL_S + 3 * ELECTION_S)
    target = await _last_write(cluster, load)
    await cluster.until(
        lambda: all(m.running is not None and m.running.core.store.revision >= target for m in cluster.members), 10, "all caught up"
    )
    await cluster.until(lambda: all(watch.next_revision > target for watch in watches), 10, "all watchers caught up")
    for watch in watches:
        watch.stopping = True
    for client in clients:
        await client
    faults.check()
    judge(cluster, load, watches, lease, faults)
    return load.operations


def judge(cluster: SimulatedCluster, load: Load, watches: list[Watch], lease: Lease, faults: Faults) -> None:
    """Raises AssertionError for what cannot be true."""
    histories = [stored_events(member) for member in cluster.members]
    assert histories[0] == histories[1] == histories[2], "members' stores differ"
    store = versions_of(histories[0])
    leases = [member.run(lambda running: running.core.machine.lessor.ids()) for member in cluster.members]
    found = [*faults.unexpected, *lease.faults, *check(load.operations, store)]
    found += [fault for watch in watches for fault in watch.faults]
    found += [
        f"the watch at {w.member.host} saw {len(w.events)} events of {len(histories[0])}" for w in watches if w.events != histories[0]
    ]
    found += [f"leases never end: {leases}" for _ in range(1) if any(leases)]
    assert not found, "\n".join(found[:5])
    assert sum(o.ok for o in load.operations) >= 100, "too little was done to say anything"
