"""Clients that write, delete and read without pause, and note what they were told."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from jepsen_like.cluster.cluster import POLL_S, WITHIN_S, Cluster, ClusterError
from jepsen_like.cluster.member import MemberProcess
from raftkv.client import AsyncClient, Prefix
from raftkv.errors import IndeterminateError, RaftKVError
from tests.support.write_history import History, Kind, Operation, Outcome, WriteEvent

PREFIX = b"load/"
KEYS = 48
"""Few enough that writers overwrite each other all the time."""

WRITERS = 24
READERS = 3
DELETES = 0.1
PADDING_BYTES_MAX = 700
CALL_TIMEOUT_S = 5.0
PROBE_S = 0.02


class Load:
    """Writers and readers on every member. Invariant: every call that was begun is in the history once it has ended."""

    def __init__(self, cluster: Cluster, seed: int) -> None:
        self.history = History()
        self.acknowledged = 0
        """Writes acknowledged so far."""

        self.first_write_s: dict[float, float] = {}
        """Instant marked by `mark` to the return of the first write called after it."""

        self._cluster = cluster
        self._random = random.Random(seed)
        self._stopping = False
        self._marks: list[float] = []
        self._run = 0

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """The clients work for as long as the block lasts."""
        self._stopping = False
        self._run += 1
        endpoints = self._cluster.endpoints
        clients = [AsyncClient(endpoints[i:] + endpoints[:i], timeout_s=CALL_TIMEOUT_S) for i in range(len(endpoints))]
        try:
            async with asyncio.TaskGroup() as group:
                try:
                    for i in range(WRITERS):
                        group.create_task(self._write(clients[i % len(clients)], f"{self._run}.{i}"), name=f"writer {i}")
                    for i in range(READERS):
                        group.create_task(self._read(clients[i % len(clients)]), name=f"reader {i}")
                    yield
                finally:
                    self._stopping = True
        finally:
            for client in clients:
                await client.aclose()

    def mark(self) -> float:
        """Now; the first write called from now on that succeeds is noted in `first_write_s`."""
        now_s = time.monotonic()
        self._marks.append(now_s)
        return now_s

    async def first_write_after(self, mark_s: float) -> float:
        """Seconds from a mark to the first write called after it that succeeded.

        Clients whose calls were lost with a leader wait for their deadline, so a new call begins every PROBE_S meanwhile, as from
        clients that had nothing on its way. Those still waiting at the end are given up; their fate stays unknown.
        """
        endpoints = self._cluster.endpoints
        deadline_s = time.monotonic() + WITHIN_S
        probes: list[asyncio.Task[None]] = []
        async with AsyncClient(endpoints, timeout_s=CALL_TIMEOUT_S) as client, asyncio.TaskGroup() as group:
            while mark_s not in self.first_write_s:
                if time.monotonic() > deadline_s:
                    raise ClusterError(f"no write succeeded for {WITHIN_S:.0f} s")
                value = f"probe {mark_s}.{len(probes)}".encode()
                probes.append(group.create_task(self._call(client, Operation(Kind.PUT, PREFIX + b"probe", value)), name="probe"))
                await asyncio.sleep(PROBE_S)
            for probe in probes:
                probe.cancel()
        return self.first_write_s[mark_s] - mark_s

    async def wait_acknowledged(self, more: int, within_s: float = WITHIN_S) -> None:
        """Waits for so many further acknowledged writes."""
        target = self.acknowledged + more
        await self._cluster.until(lambda: self.acknowledged >= target, f"{more} further acknowledged writes", within_s)

    async def _write(self, client: AsyncClient, name: str) -> None:
        rng = random.Random(f"{name} {self._random.random()}")
        number = 0
        while not self._stopping:
            number += 1
            key = PREFIX + b"%03d" % rng.randrange(KEYS)
            if rng.random() < DELETES:
                op = Operation(Kind.DELETE, key)
            else:
                op = Operation(Kind.PUT, key, f"{name}.{number} ".encode() + bytes(rng.randrange(PADDING_BYTES_MAX)))
            await self._call(client, op)
            if op.outcome is not Outcome.ACKNOWLEDGED:
                await asyncio.sleep(POLL_S)

    async def _read(self, client: AsyncClient) -> None:
        rng = random.Random(self._random.random())
        while not self._stopping:
            await self._call(client, Operation(Kind.READ, PREFIX + b"%03d" % rng.randrange(KEYS)))
            # Readers check, writers load.
            await asyncio.sleep(POLL_S)

    async def _call(self, client: AsyncClient, op: Operation) -> None:
        self.history.operations.append(op)
        op.called_s = time.monotonic()
        try:
            if op.kind is Kind.PUT:
                op.revision = (await client.put(op.key, op.value)).header.revision
            elif op.kind is Kind.DELETE:
                deleted = await client.delete(op.key)
                op.revision, op.found = deleted.header.revision, deleted.deleted > 0
            else:
                read = await client.range(op.key)
                op.revision, op.found = read.header.revision, bool(read.kvs)
                op.value = read.kvs[0].value if read.kvs else b""
            op.outcome = Outcome.ACKNOWLEDGED
        except IndeterminateError as error:
            op.outcome, op.error = Outcome.UNKNOWN, str(error)
        except RaftKVError as error:
            op.outcome, op.error = Outcome.REFUSED, f"{type(error).__name__}: {error}"
        op.returned_s = time.monotonic()
        if op.wrote:
            self.acknowledged += 1
            for mark_s in [mark_s for mark_s in self._marks if mark_s <= op.called_s]:
                self._marks.remove(mark_s)
                self.first_write_s[mark_s] = op.returned_s


async def events_at(member: MemberProcess, revision: int) -> list[WriteEvent]:
    """All writes up to the revision, as this member has them."""
    events: list[WriteEvent] = []
    async with AsyncClient(member.endpoint) as client, client.watch(Prefix(PREFIX), since=1) as watch:
        try:
            async with asyncio.timeout(WITHIN_S):
                async for event in watch:
                    kv = event.kv
                    kind = Kind(event.type.lower())
                    events.append(WriteEvent(kind, kv.key, kv.value, kv.mod_revision, kv.create_revision, kv.version))
                    if kv.mod_revision >= revision:
                        break
        except TimeoutError as error:
            last = events[-1].revision if events else 0
            raise ClusterError(f"{member.name} gave {len(events)} events up to revision {last}, and not up to {revision}") from error
    return events


async def check(cluster: Cluster, load: Load) -> list[str]:
    """What is wrong with the cluster after all that was done to it; the load has stopped and every member serves."""
    async with AsyncClient(cluster.endpoints) as client:
        now = await client.range(Prefix(PREFIX))
    revision = now.header.revision
    histories = [await events_at(member, revision) for member in cluster.members] if revision > 1 else [[] for _ in cluster.members]
    faults = load.history.faults(histories[0])
    for member, events in zip(cluster.members[1:], histories[1:], strict=True):
        if events != histories[0]:
            differing = [(a, b) for a, b in zip(histories[0], events, strict=False) if a != b][:1]
            faults.append(f"{member.name} and {cluster.members[0].name} have different histories, from {differing or 'their lengths'} on")
    state: dict[bytes, tuple[bytes, int]] = {}
    for event in histories[0]:
        state.pop(event.key, None)
        if event.kind is Kind.PUT:
            state[event.key] = (event.value, event.revision)
    if {kv.key: (kv.value, kv.mod_revision) for kv in now.kvs} != state:
        faults.append(f"a linearizable read of everything at revision {revision} is not what the events add up to")
    hashes = {}
    for member in cluster.members:
        # Hashing hundreds of thousands of revisions in slices takes its time on a busy machine.
        async with AsyncClient(member.endpoint, timeout_s=60.0) as client:
            # A linearizable read first: it waits until this member has applied what the others have.
            await client.get(b"health")
            said = await client.maintenance.hash_kv(revision=revision)
            hashes[member.name] = (said.hash, said.hash_revision, said.compact_revision)
    if len(set(hashes.values())) != 1:
        faults.append(f"the members' hashes at revision {revision} differ: {hashes}")
    return faults
