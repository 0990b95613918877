"""Leases: granting, renewing and ending them, and keeping one alive while a block runs.

A lease is judged dead on our own clock: its TTL counted from when the last answered renewal was *sent*. So we stop before the
server frees it.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

from raftkv import errors
from raftkv.client import answers, results
from raftkv.client.caller import Backoff, Caller, Method
from raftkv.client.outcome import DEADLINE_TEXT, judge
from raftkv.client.stream import Stream
from raftkv.pb import rpc
from raftkv.transport.client import RpcError
from raftkv.transport.grpc_wire import Code

GRANT = Method("/etcdserverpb.Lease/LeaseGrant", mutates=True)
REVOKE = Method("/etcdserverpb.Lease/LeaseRevoke", mutates=True)
TIME_TO_LIVE = Method("/etcdserverpb.Lease/LeaseTimeToLive", mutates=False)
LEASES = Method("/etcdserverpb.Lease/LeaseLeases", mutates=False)
KEEP_ALIVE_PATH = "/etcdserverpb.Lease/LeaseKeepAlive"

RENEWALS_PER_TTL = 3
"""A renewal goes out after this fraction of the TTL, so two may be lost."""


class Leases:
    """The lease calls; all raise as `AsyncClient.execute`."""

    def __init__(self, caller: Caller, timeout_s: float | None) -> None:
        self._caller = caller
        self._timeout_s = timeout_s

    async def grant(self, ttl_s: int, *, lease_id: int = 0) -> results.LeaseGrant:
        """A new lease of `ttl_s` seconds (the server has a minimum); id 0 lets the server choose."""
        body = rpc.LeaseGrantRequest(TTL=ttl_s, ID=lease_id).SerializeToString()
        return answers.grant_from(await self._caller.call(GRANT, body, timeout_s=self._timeout_s))

    async def revoke(self, lease_id: int) -> results.HeaderResult:
        """Ends a lease and deletes its keys in one revision."""
        body = rpc.LeaseRevokeRequest(ID=lease_id).SerializeToString()
        return answers.header_from(await self._caller.call(REVOKE, body, timeout_s=self._timeout_s))

    async def time_to_live(self, lease_id: int, *, keys: bool = False) -> results.LeaseTimeToLive:
        """What is left of a lease, and its keys on request; an unknown lease is no error but has `ttl_s` −1."""
        body = rpc.LeaseTimeToLiveRequest(ID=lease_id, keys=keys).SerializeToString()
        return answers.time_to_live_from(await self._caller.call(TIME_TO_LIVE, body, timeout_s=self._timeout_s))

    async def list(self) -> results.LeaseList:
        """All leases."""
        return answers.leases_from(await self._caller.call(LEASES, b"", timeout_s=self._timeout_s))

    async def keep_alive_once(self, lease_id: int) -> results.LeaseKeepAlive:
        """Renews a lease.

        Raises:
            LeaseNotFoundError: there is no such lease, or no longer.
        """
        clock = self._caller.clock
        deadline_s = None if self._timeout_s is None else clock.monotonic_s() + self._timeout_s
        backoff = Backoff(clock, len(self._caller.connections))
        while True:
            try:
                answer = await self._renew(lease_id, deadline_s)
            except RpcError as exc:
                await self._recover(exc, backoff, deadline_s)
                continue
            if answer.ttl_s <= 0:
                raise errors.LeaseNotFoundError()
            return answer

    async def keep_alive(self, lease_id: int) -> AsyncIterator[results.LeaseKeepAlive]:
        """Renews a lease for as long as it is iterated, yielding every answer.

        Raises:
            LeaseNotFoundError: the lease is gone, or could not be renewed within its TTL.
        """
        clock = self._caller.clock
        backoff = Backoff(clock, len(self._caller.connections))
        expires_s: float | None = None
        while True:
            sent_s = clock.monotonic_s()
            try:
                answer = await self._renew(lease_id, expires_s)
            except RpcError as exc:
                if expires_s is not None and clock.monotonic_s() >= expires_s:
                    raise errors.LeaseNotFoundError() from exc
                await self._recover(exc, backoff, expires_s)
                continue
            if answer.ttl_s <= 0:
                raise errors.LeaseNotFoundError()
            backoff.reset()
            expires_s = sent_s + answer.ttl_s
            yield answer
            await asyncio.sleep(max(0.0, sent_s + answer.ttl_s / RENEWALS_PER_TTL - clock.monotonic_s()))

    async def _renew(self, lease_id: int, deadline_s: float | None) -> results.LeaseKeepAlive:
        """One renewal on a stream of its own: renewals are rare, and a stream costs one header block."""
        connections = self._caller.connections
        metadata = await self._caller.metadata(deadline_s, require_leader=True)
        stream = await Stream.open(connections.link(connections.current), KEEP_ALIVE_PATH, metadata)
        stream.send(rpc.LeaseKeepAliveRequest(ID=lease_id).SerializeToString())
        remaining_s = None if deadline_s is None else max(0.0, deadline_s - self._caller.clock.monotonic_s())
        try:
            async with asyncio.timeout(remaining_s):
                raw = await stream.receive()
        except TimeoutError as exc:
            raise RpcError(Code.DEADLINE_EXCEEDED, DEADLINE_TEXT) from exc
        finally:
            stream.cancel()
        if raw is None:
            raise RpcError(Code.UNAVAILABLE, "the server ended the stream")
        return answers.keep_alive_from(raw)

    async def _recover(self, exc: RpcError, backoff: Backoff, deadline_s: float | None) -> None:
        """After a failed renewal: the next endpoint, in a while. A renewal may always be repeated.

        Raises:
            RaftKVError: another try cannot help, or comes too late.
        """
        verdict = judge(exc, mutates=False)
        if verdict.reauthenticate and self._caller.renew_token():
            return
        if not verdict.retry:
            raise verdict.error from exc
        self._caller.connections.rotate(self._caller.connections.current)
        if not await backoff.wait(deadline_s):
            raise verdict.error from exc
