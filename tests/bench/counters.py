"""What a server itself counted: the check that a generator's answers were answers.

A call that was refused is an HTTP success to h2load. So around each load the server's `grpc_server_handled_total` and the
store's revision are read, and the load is void unless they moved by exactly its number of requests.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterator
from contextlib import asynccontextmanager
from typing import NamedTuple

from raftkv.pb import rpc
from raftkv.transport.channel import Channel, RpcError
from tests.bench.systems import HOST, BenchError

METRICS_WITHIN_S = 10.0
TXN_OPS = 100
"""Below the limit of 128 operations that both systems have by default."""

_SAMPLE = re.compile(r"^grpc_server_handled_total\{(?P<labels>[^}]*)\} (?P<value>\S+)$", re.MULTILINE)
_LABEL = re.compile(r'(\w+)="([^"]*)"')


class Counts(NamedTuple):
    """Calls of one method that ended, and where the store stands."""

    ok: int
    failed: int
    revision: int


def handled(text: str, method: str) -> tuple[int, int]:
    """(OK, any other code) of a method's full path, from a page of metrics."""
    ok = failed = 0
    for labels, value in _samples(text):
        if f"/{labels.get('grpc_service')}/{labels.get('grpc_method')}" == method:
            if labels.get("grpc_code") == "OK":
                ok += int(value)
            else:
                failed += int(value)
    return ok, failed


def _samples(text: str) -> Iterator[tuple[dict[str, str], float]]:
    for sample in _SAMPLE.finditer(text):
        yield dict(_LABEL.findall(sample["labels"])), float(sample["value"])


async def metrics_page(port: int) -> str:
    """GET /metrics over HTTP/1.1."""
    try:
        async with asyncio.timeout(METRICS_WITHIN_S):
            reader, writer = await asyncio.open_connection(HOST, port)
            writer.write(b"GET /metrics HTTP/1.0\r\nHost: bench\r\n\r\n")
            page = await reader.read()
            writer.close()
    except (OSError, TimeoutError) as exc:
        raise BenchError(f"no metrics from port {port}: {exc}") from exc
    head, _, body = page.partition(b"\r\n\r\n")
    if b" 200 " not in head.splitlines()[0]:
        raise BenchError(f"no metrics from port {port}: {head[:80]!r}")
    return body.decode()


class Control:
    """A connection of the harness's own to one member: fills the store, asks for what was stored."""

    def __init__(self, channel: Channel, port: int) -> None:
        self.channel = channel
        self.port = port

    async def call(self, path: str, body: bytes) -> bytes:
        """One call; raises BenchError when it is refused."""
        try:
            return await self.channel.call(path, body, timeout_s=30.0)
        except RpcError as exc:
            raise BenchError(f"{path} at port {self.port}: {exc}") from exc

    async def range(self, request: rpc.RangeRequest) -> rpc.RangeResponse:
        """KV.Range."""
        return rpc.RangeResponse.FromString(await self.call("/etcdserverpb.KV/Range", request.SerializeToString()))

    async def put_all(self, pairs: list[tuple[bytes, bytes]]) -> None:
        """Puts in txns."""
        for at in range(0, len(pairs), TXN_OPS):
            txn = rpc.TxnRequest()
            for key, value in pairs[at : at + TXN_OPS]:
                txn.success.add(request_put=rpc.PutRequest(key=key, value=value))
            await self.call("/etcdserverpb.KV/Txn", txn.SerializeToString())

    async def counts(self, method: str) -> Counts:
        """As of now. Takes a linearizable range for the revision first, whose own call is not counted among a Range's."""
        revision = (await self.range(rpc.RangeRequest(key=b"x"))).header.revision
        ok, failed = handled(await metrics_page(self.port), method)
        return Counts(ok, failed, revision)


@asynccontextmanager
async def control(port: int):
    """A Control for a `with` block."""
    channel = Channel((HOST, port))
    try:
        await channel.connect()
        yield Control(channel, port)
    except RpcError as exc:
        raise BenchError(f"port {port}: {exc}") from exc
    finally:
        channel.close()


def void_because(before: Counts, after: Counts, requests: int, *, own_calls: int, writes: bool) -> str:
    """Why a load does not count; empty when it does. `own_calls` of the method were made by the harness in between."""
    ok = after.ok - before.ok - own_calls
    if after.failed != before.failed:
        return f"{after.failed - before.failed} of {requests} calls were refused"
    if ok != requests:
        return f"the server served {ok} of {requests} calls"
    if after.revision - before.revision != (requests if writes else 0):
        return f"the store's revision rose by {after.revision - before.revision} for {requests} {'writes' if writes else 'reads'}"
    return ""
