"""grpcio's asyncio half, with our messages."""

from __future__ import annotations

import asyncio
from typing import Any, TypeVar

import grpc.aio
from google.protobuf.message import Message

from raftkv.pb import kv, rpc
from tests.clients.session import arguments, perform_async

HOST, PORT, PREFIX = arguments()
END = PREFIX[:-1] + b"0"
COUNT = 8
TIMEOUT_S = 20.0

M = TypeVar("M", bound=Message)


class Session:
    """The subjects, in the order of SUBJECTS; each builds on what those before it left."""

    def __init__(self, channel: grpc.aio.Channel) -> None:
        self.channel = channel
        self.revisions: list[int] = []

    async def call(self, path: str, request: Message, response: type[M]) -> M:
        """A unary call."""
        stub = self.channel.unary_unary(path, type(request).SerializeToString, response.FromString)
        answer: M = await stub(request, timeout=TIMEOUT_S)
        return answer

    def converse(self, path: str, request: type[Message], response: type[Message]) -> Any:
        """A stream in both directions."""
        return self.channel.stream_stream(path, request.SerializeToString, response.FromString)(timeout=TIMEOUT_S)

    async def range(self, **fields: Any) -> rpc.RangeResponse:
        """A Range."""
        return await self.call("/etcdserverpb.KV/Range", rpc.RangeRequest(**fields), rpc.RangeResponse)

    async def put(self) -> None:
        """Many at the same time on one connection: each gets a revision of its own."""
        async with asyncio.TaskGroup() as group:
            puts = [
                group.create_task(self.call("/etcdserverpb.KV/Put", rpc.PutRequest(key=PREFIX + b"%d" % number), rpc.PutResponse))
                for number in range(COUNT)
            ]
        self.revisions = [put.result().header.revision for put in puts]
        assert len(set(self.revisions)) == COUNT

    async def get(self) -> None:
        """By key and by revision, in parts."""
        found = await self.range(key=PREFIX, range_end=END)
        assert [one.mod_revision for one in found.kvs] == self.revisions
        found = await self.range(
            key=PREFIX, range_end=END, sort_target=rpc.RangeRequest.CREATE, sort_order=rpc.RangeRequest.DESCEND, limit=3
        )
        assert [one.create_revision for one in found.kvs] == sorted(self.revisions, reverse=True)[:3] and found.more
        found = await self.range(key=PREFIX, range_end=END, revision=min(self.revisions), count_only=True)
        assert found.count == 1
        found = await self.range(key=PREFIX, range_end=END, min_mod_revision=max(self.revisions), keys_only=True, serializable=True)
        assert len(found.kvs) <= 1

    async def delete(self) -> None:
        """A range."""
        request = rpc.DeleteRangeRequest(key=PREFIX + b"6", range_end=PREFIX + b"8", prev_kv=True)
        answer = await self.call("/etcdserverpb.KV/DeleteRange", request, rpc.DeleteRangeResponse)
        assert (answer.deleted, len(answer.prev_kvs)) == (2, 2)

    async def txn(self) -> None:
        """The branch that the compare chooses."""
        compare = rpc.Compare(key=PREFIX + b"0", target=rpc.Compare.VERSION, result=rpc.Compare.GREATER, version=0)
        put = rpc.RequestOp(request_put=rpc.PutRequest(key=PREFIX + b"0", value=b"txn", prev_kv=True))
        request = rpc.TxnRequest(compare=[compare], success=[put])
        answer = await self.call("/etcdserverpb.KV/Txn", request, rpc.TxnResponse)
        assert answer.succeeded and answer.responses[0].response_put.prev_kv.key == PREFIX + b"0"

    async def watch(self) -> None:
        """History, prefix, prev_kv, and an event that comes while waiting."""
        stream = self.converse("/etcdserverpb.Watch/Watch", rpc.WatchRequest, rpc.WatchResponse)
        create = rpc.WatchCreateRequest(key=PREFIX, range_end=END, start_revision=min(self.revisions), prev_kv=True)
        await stream.write(rpc.WatchRequest(create_request=create))
        assert (await stream.read()).created
        events: list[Any] = []
        while len(events) < COUNT + 2 + 1:
            events += (await stream.read()).events
        assert [one.kv.mod_revision for one in events[:COUNT]] == sorted(self.revisions)
        assert [one.type for one in events[COUNT:]] == [kv.Event.DELETE, kv.Event.DELETE, kv.Event.PUT]
        assert events[-1].kv.value == b"txn" and events[-1].prev_kv.value == b""
        await self.call("/etcdserverpb.KV/Put", rpc.PutRequest(key=PREFIX + b"live"), rpc.PutResponse)
        assert (await stream.read()).events[0].kv.key == PREFIX + b"live"
        stream.cancel()

    async def lease(self) -> None:
        """Grant, keep alive twice, revoke: the key goes."""
        granted = await self.call("/etcdserverpb.Lease/LeaseGrant", rpc.LeaseGrantRequest(TTL=300), rpc.LeaseGrantResponse)
        await self.call("/etcdserverpb.KV/Put", rpc.PutRequest(key=PREFIX + b"leased", lease=granted.ID), rpc.PutResponse)
        stream = self.converse("/etcdserverpb.Lease/LeaseKeepAlive", rpc.LeaseKeepAliveRequest, rpc.LeaseKeepAliveResponse)
        for lease_id, ttl_s in ((granted.ID, 300), (granted.ID, 300), (12345, 0)):
            await stream.write(rpc.LeaseKeepAliveRequest(ID=lease_id))
            renewed = await stream.read()
            assert renewed == rpc.LeaseKeepAliveResponse(header=renewed.header, ID=lease_id, TTL=ttl_s)
        await stream.done_writing()
        assert await stream.read() is grpc.aio.EOF
        await self.call("/etcdserverpb.Lease/LeaseRevoke", rpc.LeaseRevokeRequest(ID=granted.ID), rpc.LeaseRevokeResponse)
        assert (await self.range(key=PREFIX + b"leased")).count == 0

    async def compaction(self) -> None:
        """A watch from before it is told where history begins."""
        revision = (await self.range(key=PREFIX)).header.revision
        request = rpc.CompactionRequest(revision=revision, physical=True)
        await self.call("/etcdserverpb.KV/Compact", request, rpc.CompactionResponse)
        stream = self.converse("/etcdserverpb.Watch/Watch", rpc.WatchRequest, rpc.WatchResponse)
        create = rpc.WatchCreateRequest(key=PREFIX, start_revision=revision - 1)
        await stream.write(rpc.WatchRequest(create_request=create))
        assert (await stream.read()).created
        cancelled = await stream.read()
        assert cancelled.canceled and cancelled.compact_revision >= revision
        stream.cancel()

    async def status(self) -> None:
        """This member's, and its hash."""
        status = await self.call("/etcdserverpb.Maintenance/Status", rpc.StatusRequest(), rpc.StatusResponse)
        assert status.leader and not status.errors and not status.isLearner
        hashed = await self.call("/etcdserverpb.Maintenance/HashKV", rpc.HashKVRequest(), rpc.HashKVResponse)
        assert hashed.hash and hashed.compact_revision > 0


async def main() -> None:
    """One channel for all of it."""
    async with grpc.aio.insecure_channel(f"{HOST}:{PORT}") as channel:
        await perform_async(Session(channel))


if __name__ == "__main__":
    asyncio.run(main())
