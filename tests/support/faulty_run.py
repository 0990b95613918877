"""One seeded run of a simulated cluster under load and faults, held against what must be true of it."""

from __future__ import annotations

import asyncio
import random

from raftkv.pb import rpc
from tests.support.history import Operation, check
from tests.support.simulated import RpcError, SimulatedClient, SimulatedCluster, SimulatedMember

KEYS = [b"a", b"b", b"c"]
ELECTION_S = 1.0

SETTINGS = {"snapshot_count": 40, "snapshot_catchup_entries": 10, "wal_segment_bytes": 20_000}
"""Small, so that snapshots travel and segments go within seconds."""


class Load:
    """Clients that put and get at every member and write down what they saw."""

    def __init__(self, cluster: SimulatedCluster, seed: int) -> None:
        self.cluster = cluster
        self.random = random.Random(seed)
        self.operations: list[Operation] = []
        self.stopping = False
        self._number = 0

    async def run(self, member: SimulatedMember) -> None:
        client = SimulatedClient(member)
        while not self.stopping:
            await self._one(client)
            await asyncio.sleep(self.random.uniform(0.005, 0.05))
        client.close()

    async def _one(self, client: SimulatedClient) -> None:
        key, loop = self.random.choice(KEYS), self.cluster.loop
        started = loop.time()
        if self.random.random() < 0.5:
            self._number += 1
            value = b"%d" % self._number
            try:
                revision, ok = (await client.put(key, value)).header.revision, True
            except RpcError:
                revision, ok = 0, False
            self.operations.append(Operation("put", key, value, 0, revision, started, loop.time(), ok))
            return
        try:
            answer = await client.get(key)
        except RpcError:
            return
        value, mod = (answer.kvs[0].value, answer.kvs[0].mod_revision) if answer.kvs else (b"", 0)
        self.operations.append(Operation("get", key, value, mod, answer.header.revision, started, loop.time(), True))


async def _faults(cluster: SimulatedCluster, rng: random.Random, duration_s: float) -> None:
    """One fault after another, never more than a minority down at a time, but for whole-cluster power cuts."""
    loop = cluster.loop
    end = loop.time() + duration_s
    while loop.time() < end:
        await asyncio.sleep(rng.uniform(0.3, 1.5))
        victim = rng.choice(cluster.members)
        match rng.randrange(6):
            case 0 | 1:
                victim.crash(power=rng.random() < 0.7)
                await asyncio.sleep(rng.uniform(0.1, 2.5))
                victim.start()
            case 2:
                for member in cluster.members:
                    member.crash(power=True)
                await asyncio.sleep(rng.uniform(0.05, 0.5))
                cluster.start()
            case 3:
                loop.network.isolate(victim.host, [m.host for m in cluster.members if m is not victim])
                await asyncio.sleep(rng.uniform(0.3, 3.0))
                loop.network.heal()
            case 4:
                other = rng.choice([m for m in cluster.members if m is not victim])
                loop.network.cut(victim.host, other.host)
                await asyncio.sleep(rng.uniform(0.3, 3.0))
                loop.network.heal()
            case _:
                leader = cluster.leader()
                if leader is not None and leader is not victim and leader.running is not None and victim.running is not None:
                    leader.running.core.transfer_leader(victim.running.member_id, lambda error: None)
    loop.network.heal()


def _history(member: SimulatedMember) -> dict[bytes, list[tuple[int, bytes]]]:
    assert member.running is not None
    store = member.running.core.store
    versions: dict[bytes, list[tuple[int, bytes]]] = {}
    for event in store.replay(2, store.revision):
        parsed = rpc.RangeResponse.FromString(event.record).kvs[0]
        versions.setdefault(event.key, []).append((event.revision, parsed.value))
    return versions


async def faulty_run(cluster: SimulatedCluster) -> list[Operation]:
    cluster.start()
    await cluster.serving()
    load = Load(cluster, cluster.seed)
    clients = [cluster.loop.create_task(load.run(member)) for member in cluster.members * 2]
    await _faults(cluster, random.Random(cluster.seed), 15.0)
    await asyncio.sleep(3 * ELECTION_S)
    load.stopping = True
    await asyncio.wait(clients)
    await cluster.serving()
    last = SimulatedClient(cluster.members[0])
    for _ in range(50):
        try:
            target = (await last.put(b"end", b"0")).header.revision
            break
        except RpcError:
            await asyncio.sleep(0.1)
    load.operations.append(Operation("put", b"end", b"0", 0, target, cluster.loop.time(), cluster.loop.time(), True))
    await cluster.until(
        lambda: all(m.running is not None and m.running.core.store.revision >= target for m in cluster.members), 10, "all caught up"
    )
    histories = [_history(member) for member in cluster.members]
    assert histories[0] == histories[1] == histories[2], "members' stores differ"
    store = histories[0]
    faults = [fault for fault in check(load.operations, store) if "b'end'" not in fault]
    assert not faults, "\n".join(faults[:5])
    assert sum(o.ok for o in load.operations) >= 100, "too little was done to say anything"
    return load.operations
