"""A bare client of one simulated member, for tests that must see single calls: no retries, status codes as they come."""

from __future__ import annotations

import asyncio
from typing import Any, TypeVar

from jepsen_like.sim.cluster import CLIENT_PORT, SimulatedMember
from raftkv.pb import rpc
from raftkv.transport.channel import Channel, RpcError
from raftkv.transport.grpc_wire import Code

T = TypeVar("T")


class SimulatedClient:
    """One connection to one member, made again when it breaks; no retries of calls."""

    def __init__(self, member: SimulatedMember) -> None:
        self._member = member
        self._channel: Channel | None = None

    async def call(self, path: str, request: Any, response: type[T], timeout_s: float = 3.0) -> T:
        """One unary call. Raises RpcError."""
        channel = await self.channel(timeout_s)
        body = await channel.call(path, request.SerializeToString(), timeout_s=timeout_s)
        return response.FromString(body)  # type: ignore[attr-defined, no-any-return]

    async def channel(self, timeout_s: float) -> Channel:
        """The connection, made if there is none. Raises RpcError."""
        if self._channel is None or not self._channel.accepts_calls:
            self.close()
            self._channel = Channel((self._member.host, CLIENT_PORT))
            await self._channel.connect(timeout_s)
        return self._channel

    async def keep_alive(self, lease_id: int, timeout_s: float = 3.0) -> int:
        """One keepalive on a stream of its own; the TTL, 0 when the lease is not there. Raises RpcError."""
        channel = await self.channel(timeout_s)
        loop = asyncio.get_running_loop()
        answered: asyncio.Future[int] = loop.create_future()

        def on_message(body: bytes) -> None:
            if not answered.done():
                answered.set_result(rpc.LeaseKeepAliveResponse.FromString(body).TTL)

        def on_done(error: RpcError | None) -> None:
            if not answered.done():
                answered.set_exception(error or RpcError(Code.UNKNOWN, "no answer"))

        deadline_s = loop.time() + timeout_s
        call = channel.stream("/etcdserverpb.Lease/LeaseKeepAlive", on_message=on_message, on_done=on_done, deadline_s=deadline_s)
        call.send(rpc.LeaseKeepAliveRequest(ID=lease_id).SerializeToString())
        call.half_close()
        return await answered

    async def put(self, key: bytes, value: bytes, timeout_s: float = 3.0) -> rpc.PutResponse:
        """Raises RpcError."""
        return await self.call("/etcdserverpb.KV/Put", rpc.PutRequest(key=key, value=value), rpc.PutResponse, timeout_s)

    async def get(self, key: bytes, timeout_s: float = 3.0) -> rpc.RangeResponse:
        """Raises RpcError."""
        return await self.call("/etcdserverpb.KV/Range", rpc.RangeRequest(key=key), rpc.RangeResponse, timeout_s)

    def close(self) -> None:
        """Ends the connection, if there is one."""
        if self._channel is not None:
            self._channel.close()
            self._channel = None
