"""Clients of a simulated cluster under faults: what they ask, and what they write down of the answers.

Each kind of client is a coroutine that goes on until it is told to stop; none of them fails when the cluster does not
answer, and each remembers what must not be forgotten: acknowledged writes, events, leases that were kept alive.
"""

from __future__ import annotations

import asyncio
import random
from typing import Any

from jepsen_like.sim.client import RpcError, SimulatedClient
from jepsen_like.sim.cluster import SimulatedCluster, SimulatedMember
from raftkv.pb import rpc
from tests.support.history import Operation

KEYS = [b"a", b"b", b"c"]
LEASE_TTL_S = 3
ALL_KEYS = b"\0"


class Load:
    """Clients that read and write at every member."""

    def __init__(self, cluster: SimulatedCluster, seed: int) -> None:
        self.cluster = cluster
        self.random = random.Random(seed)
        self.operations: list[Operation] = []
        self.stopping = False
        self._number = 0

    async def run(self, member: SimulatedMember) -> None:
        """One client: one call after another, at one member."""
        client = SimulatedClient(member)
        acts = [self._put, self._put, self._get, self._get, self._get, self._stale, self._txn, self._delete]
        while not self.stopping:
            try:
                await self.random.choice(acts)(client, self.random.choice(KEYS))
            except RpcError:
                pass
            await asyncio.sleep(self.random.uniform(0.005, 0.05))
        client.close()

    def value(self) -> bytes:
        """A value nobody wrote before."""
        self._number += 1
        return b"%d" % self._number

    def note(self, kind: str, key: bytes, value: bytes, started: float, revision: int = 0, mod: int = 0, *, ok: bool = True) -> None:
        """Writes an operation down that ended now."""
        self.operations.append(Operation(kind, key, value, mod, revision, started, self.cluster.loop.time(), ok))

    async def _put(self, client: SimulatedClient, key: bytes) -> None:
        started, value = self.cluster.loop.time(), self.value()
        try:
            revision, ok = (await client.put(key, value)).header.revision, True
        except RpcError:
            revision, ok = 0, False
        self.note("put", key, value, started, revision, ok=ok)

    async def _delete(self, client: SimulatedClient, key: bytes) -> None:
        started = self.cluster.loop.time()
        try:
            answer = await client.call("/etcdserverpb.KV/DeleteRange", rpc.DeleteRangeRequest(key=key), rpc.DeleteRangeResponse)
        except RpcError:
            self.note("delete", key, b"", started, ok=False)
            return
        # A delete that finds nothing is a linearizable read of nothing.
        self.note("delete" if answer.deleted else "get", key, b"", started, answer.header.revision)

    async def _get(self, client: SimulatedClient, key: bytes) -> None:
        started = self.cluster.loop.time()
        self._note_read("get", key, await client.get(key), started)

    async def _stale(self, client: SimulatedClient, key: bytes) -> None:
        started = self.cluster.loop.time()
        request = rpc.RangeRequest(key=key, serializable=True)
        self._note_read("stale", key, await client.call("/etcdserverpb.KV/Range", request, rpc.RangeResponse), started)

    async def _txn(self, client: SimulatedClient, key: bytes) -> None:
        """Puts two keys in one revision if the first was not written since it was read."""
        before = await client.get(key)
        mod = before.kvs[0].mod_revision if before.kvs else 0
        other = self.random.choice([k for k in KEYS if k != key])
        values = [(key, self.value()), (other, self.value())]
        request = rpc.TxnRequest(
            compare=[rpc.Compare(result=rpc.Compare.EQUAL, target=rpc.Compare.MOD, key=key, mod_revision=mod)],
            success=[rpc.RequestOp(request_put=rpc.PutRequest(key=k, value=v)) for k, v in values],
            failure=[rpc.RequestOp(request_range=rpc.RangeRequest(key=key))],
        )
        started = self.cluster.loop.time()
        try:
            answer = await client.call("/etcdserverpb.KV/Txn", request, rpc.TxnResponse)
        except RpcError:
            for k, v in values:
                self.note("put", k, v, started, ok=False)
            return
        if not answer.succeeded:
            found = answer.responses[0].response_range
            self._note_read("get", key, found, started, answer.header.revision)
            assert mod != (found.kvs[0].mod_revision if found.kvs else 0), "a comparison failed that holds"
            return
        for k, v in values:
            self.note("put", k, v, started, answer.header.revision)

    def _note_read(self, kind: str, key: bytes, answer: rpc.RangeResponse, started: float, revision: int = 0) -> None:
        value, mod = (answer.kvs[0].value, answer.kvs[0].mod_revision) if answer.kvs else (b"", 0)
        self.note(kind, key, value, started, revision or answer.header.revision, mod)


class Watch:
    """One client that watches every key at one member from the first revision on, and goes on where it was when it is cut off."""

    def __init__(self, cluster: SimulatedCluster, member: SimulatedMember) -> None:
        self.cluster = cluster
        self.member = member
        self.events: list[tuple[int, bytes, bytes]] = []
        """(revision, key, value), b"" for a deletion."""
        self.faults: list[str] = []
        self.next_revision = 2
        self.stopping = False

    async def run(self) -> None:
        """Until `stopping`."""
        client = SimulatedClient(self.member)
        while not self.stopping:
            try:
                await self._session(client)
            except RpcError:
                await asyncio.sleep(0.1)
        client.close()

    async def _session(self, client: SimulatedClient) -> None:
        channel = await client.channel(1.0)
        ended: asyncio.Future[None] = self.cluster.loop.create_future()

        def on_done(error: RpcError | None) -> None:
            if not ended.done():
                ended.set_result(None)

        call = channel.stream("/etcdserverpb.Watch/Watch", on_message=self._on_message, on_done=on_done)
        create = rpc.WatchCreateRequest(key=ALL_KEYS, range_end=ALL_KEYS, start_revision=self.next_revision, progress_notify=True)
        call.send(rpc.WatchRequest(create_request=create).SerializeToString())
        while not self.stopping and not ended.done():
            call.send(rpc.WatchRequest(progress_request=rpc.WatchProgressRequest()).SerializeToString())
            await asyncio.wait([ended], timeout=0.3)
        call.cancel()

    def _on_message(self, body: bytes) -> None:
        answer = rpc.WatchResponse.FromString(body)
        if answer.canceled:
            self.faults.append(f"{self.member.host}: the watch was cancelled: {answer.cancel_reason}")
        if answer.events and answer.events[0].kv.mod_revision < self.next_revision:
            self.faults.append(f"{self.member.host}: revision {answer.events[0].kv.mod_revision} comes again before {self.next_revision}")
        for event in answer.events:
            self.events.append((event.kv.mod_revision, event.kv.key, event.kv.value))
        if answer.events:
            revisions = [event.kv.mod_revision for event in answer.events]
            if revisions != sorted(revisions):
                self.faults.append(f"{self.member.host}: out of order: {revisions}")
            self.next_revision = revisions[-1] + 1
        elif not answer.created and not answer.canceled and answer.header.revision >= self.next_revision:
            # A progress notification: nothing up to its revision is still to come.
            self.next_revision = answer.header.revision + 1


class Lease:
    """One client that keeps a lease alive through any member, and looks whether its key outlives what it was promised."""

    def __init__(self, load: Load) -> None:
        self.load = load
        self.faults: list[str] = []
        self.alive_until_s = 0.0
        """No expiry may take effect before."""
        self.renewals = 0
        self.stopping = False
        self._id = 0

    async def run(self) -> None:
        """Until `stopping`; a lease that ran out is granted again under another id."""
        clients = [SimulatedClient(member) for member in self.load.cluster.members]
        while not self.stopping:
            client = self.load.random.choice(clients)
            try:
                if not self._id:
                    await self._grant(client)
                elif self.load.random.random() < 0.6:
                    await self._renew(client)
                else:
                    await self._look(client)
            except RpcError:
                pass
            await asyncio.sleep(self.load.random.uniform(0.05, 0.8))
        for client in clients:
            client.close()

    async def _grant(self, client: SimulatedClient) -> None:
        loop = self.load.cluster.loop
        started = loop.time()
        answer = await client.call("/etcdserverpb.Lease/LeaseGrant", rpc.LeaseGrantRequest(TTL=LEASE_TTL_S), rpc.LeaseGrantResponse)
        value, put_s, key = self.load.value(), loop.time(), _key_of(answer.ID)
        # It ends some day.
        self.load.note("delete", key, b"", put_s, ok=False)
        try:
            request = rpc.PutRequest(key=key, value=value, lease=answer.ID)
            revision = (await client.call("/etcdserverpb.KV/Put", request, rpc.PutResponse)).header.revision
        except RpcError:
            self.load.note("put", key, value, put_s, ok=False)
            raise
        self.load.note("put", key, value, put_s, revision)
        self._id, self.alive_until_s = answer.ID, started + answer.TTL

    async def _renew(self, client: SimulatedClient) -> None:
        started = self.load.cluster.loop.time()
        ttl_s = await client.keep_alive(self._id)
        if ttl_s:
            self.renewals += 1
            self.alive_until_s = max(self.alive_until_s, started + ttl_s)
            return
        if self.load.cluster.loop.time() < self.alive_until_s:
            self.faults.append(
                f"lease {self._id:x} is gone at {self.load.cluster.loop.time():.3f}, was alive until {self.alive_until_s:.3f}"
            )
        self._id = 0

    async def _look(self, client: SimulatedClient) -> None:
        answer = await client.get(_key_of(self._id))
        ended = self.load.cluster.loop.time()
        if not answer.kvs and ended < self.alive_until_s:
            self.faults.append(f"the key of lease {self._id:x} is gone at {ended:.3f}, was alive until {self.alive_until_s:.3f}")


def _key_of(lease_id: int) -> bytes:
    return b"leased %x" % lease_id


def versions_of(events: list[tuple[int, bytes, bytes]]) -> dict[bytes, list[tuple[int, bytes]]]:
    """Each key's versions, as `history.check` wants them."""
    versions: dict[bytes, list[tuple[int, bytes]]] = {}
    for revision, key, value in events:
        versions.setdefault(key, []).append((revision, value))
    return versions


def stored_events(member: Any) -> list[tuple[int, bytes, bytes]]:
    """What a running member's store says happened, in order."""
    store = member.running.core.store
    events = []
    for event in store.replay(2, store.revision):
        value = b"" if event.is_delete else rpc.RangeResponse.FromString(event.record).kvs[0].value
        events.append((event.revision, event.key, value))
    return events
