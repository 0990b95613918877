"""The asynchronous client: one object per cluster, safe to share between tasks of one event loop.

Composes endpoints, caller and services. Bytes inside; `str` keys and values are taken as UTF-8. Every error is one of
`raftkv.errors` and answers "did it happen?": `RequestError` and `UnavailableError` no, `IndeterminateError` perhaps.
"""

from __future__ import annotations

import copy
import ssl
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Any, Self, overload

from raftkv.client import answers, results
from raftkv.client.caller import Caller, Credentials, Method
from raftkv.client.cluster import Cluster
from raftkv.client.dial import dialer
from raftkv.client.endpoints import Connections, Endpoint, parse_endpoint
from raftkv.client.lease import Leases
from raftkv.client.link import Link
from raftkv.client.maintenance import Maintenance
from raftkv.client.operations import DeleteOp, PutOp, RangeOp, TxnOp
from raftkv.client.selection import Selection
from raftkv.client.txn import Txn
from raftkv.client.watch import Watch, WatchOptions
from raftkv.clock import Clock, SystemClock
from raftkv.pb import rpc

RANGE = Method("/etcdserverpb.KV/Range", mutates=False)
PUT = Method("/etcdserverpb.KV/Put", mutates=True)
DELETE_RANGE = Method("/etcdserverpb.KV/DeleteRange", mutates=True)
TXN = Method("/etcdserverpb.KV/Txn", mutates=True)
TXN_READ = Method("/etcdserverpb.KV/Txn", mutates=False)
COMPACT = Method("/etcdserverpb.KV/Compact", mutates=True)

DEFAULT_ENDPOINT = "127.0.0.1:2379"
DEFAULT_TIMEOUT_S = 5.0
DEFAULT_DIAL_TIMEOUT_S = 2.0
DEFAULT_KEEPALIVE_S = 10.0
DEFAULT_KEEPALIVE_TIMEOUT_S = 6.0


class AsyncClient:
    """A client of one cluster.

    Args:
        endpoints: the servers' addresses, one string (comma-separated) or several; tried in this order.
        tls: encrypts; endpoints without a scheme are then https.
        credentials: buys a token on the first call, and again when it has expired.
        token: a token bought elsewhere.
        timeout_s: for a whole call with all its retries; `None` waits for ever.
        dial_timeout_s: for making one connection.
        keepalive_s: a connection silent for so long is asked for a sign of life; 0 never.
        keepalive_timeout_s: and given up when it stays silent for so long after.
        require_leader: have members without a leader refuse at once, so that another can be tried.
        clock: time and jitter.
        open_link: makes the connection to one endpoint; the transport's channel unless a test brings its own.
    """

    def __init__(
        self,
        endpoints: str | Sequence[str] = DEFAULT_ENDPOINT,
        *,
        tls: ssl.SSLContext | None = None,
        credentials: Credentials | None = None,
        token: str | None = None,
        timeout_s: float | None = DEFAULT_TIMEOUT_S,
        dial_timeout_s: float = DEFAULT_DIAL_TIMEOUT_S,
        keepalive_s: float = DEFAULT_KEEPALIVE_S,
        keepalive_timeout_s: float = DEFAULT_KEEPALIVE_TIMEOUT_S,
        require_leader: bool = True,
        clock: Clock | None = None,
        open_link: Callable[[Endpoint], Link] | None = None,
    ) -> None:
        texts = [text for text in endpoints.split(",") if text] if isinstance(endpoints, str) else endpoints
        parsed = [parse_endpoint(text, secure=tls is not None) for text in texts]
        if open_link is None:
            open_link = dialer(tls, dial_timeout_s=dial_timeout_s, keepalive_s=keepalive_s, keepalive_timeout_s=keepalive_timeout_s)
        self._caller = Caller(
            Connections(parsed, open_link),
            clock or SystemClock(),
            require_leader=require_leader,
            credentials=credentials,
            token=token,
        )
        self._require_leader = require_leader
        self._set_timeout(timeout_s)

    def _set_timeout(self, timeout_s: float | None) -> None:
        self._timeout_s = timeout_s
        self.cluster = Cluster(self._caller, timeout_s)
        self.leases = Leases(self._caller, timeout_s)
        self.maintenance = Maintenance(self._caller, timeout_s)

    def with_timeout(self, timeout_s: float | None) -> AsyncClient:
        """The same client, same connections, with another deadline for its calls."""
        other = copy.copy(self)
        other._set_timeout(timeout_s)
        return other

    @property
    def endpoints(self) -> Sequence[Endpoint]:
        """The configured endpoints."""
        return self._caller.connections.endpoints

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Closes all connections; may be called again. A write still on its way may or may not happen."""
        await self._caller.connections.aclose()

    async def get(self, key: bytes | str, *, revision: int = 0) -> results.KeyValue | None:
        """One key as it was at `revision` (0: now), or `None`."""
        found = await self.execute(RangeOp(key, revision=revision))
        return found.kvs[0] if found.kvs else None

    async def range(self, selection: Selection, **options: Any) -> results.RangeResult:
        """Many keys; options as `RangeOp`'s fields."""
        return await self.execute(RangeOp(selection, **options))

    async def count(self, selection: Selection) -> int:
        """How many keys there are."""
        return (await self.execute(RangeOp(selection, count_only=True))).count

    async def put(self, key: bytes | str, value: bytes | str = b"", **options: Any) -> results.PutResult:
        """Writes a key; options as `PutOp`'s fields."""
        return await self.execute(PutOp(key, value, **options))

    async def delete(self, selection: Selection, *, previous: bool = False) -> results.DeleteResult:
        """Deletes keys."""
        return await self.execute(DeleteOp(selection, previous))

    def txn(self) -> Txn:
        """A transaction to write out and commit."""
        return Txn(self.execute)

    @overload
    async def execute(self, operation: RangeOp) -> results.RangeResult: ...
    @overload
    async def execute(self, operation: PutOp) -> results.PutResult: ...
    @overload
    async def execute(self, operation: DeleteOp) -> results.DeleteResult: ...
    @overload
    async def execute(self, operation: TxnOp) -> results.TxnResult: ...

    async def execute(
        self, operation: RangeOp | PutOp | DeleteOp | TxnOp
    ) -> results.RangeResult | results.PutResult | results.DeleteResult | results.TxnResult:
        """Runs one operation.

        Raises:
            RequestError: the server refused it; no effect, and none if repeated unchanged.
            UnavailableError: no effect; no server could be reached in time.
            IndeterminateError: a write that may have happened, or may yet.
            CorruptionError: the cluster has found its data damaged.
        """
        body = operation.request().SerializeToString()
        if isinstance(operation, RangeOp):
            return answers.range_from(await self._call(RANGE, body))
        if isinstance(operation, PutOp):
            return answers.put_from(await self._call(PUT, body))
        if isinstance(operation, DeleteOp):
            return answers.delete_from(await self._call(DELETE_RANGE, body))
        return answers.txn_from(await self._call(TXN if operation.writes() else TXN_READ, body))

    async def compact(self, revision: int, *, physical: bool = False) -> results.HeaderResult:
        """Forgets history before `revision`; `physical` waits until it has left the store."""
        request = rpc.CompactionRequest(revision=revision, physical=physical)
        return answers.header_from(await self._call(COMPACT, request.SerializeToString()))

    def watch(self, selection: Selection, **options: Any) -> Watch:
        """A watch on keys; options as `WatchOptions`' fields."""
        options.setdefault("require_leader", self._require_leader)
        return Watch(self._caller, WatchOptions(selection, **options))

    async def _call(self, method: Method, body: bytes) -> bytes:
        return await self._caller.call(method, body, timeout_s=self._timeout_s)
