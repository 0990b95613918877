"""Links that try once: what the client under a workload is given, so that no call is ever sent a second time.

raftkv's client repeats what certainly did nothing; a history must show every attempt instead, because "certainly" is what
is being tested. A client that repeated a write whose fate it did not know was blamed on etcd for two and a half years
(spec/faults.md §5b).
"""

from __future__ import annotations

from collections.abc import Callable

from raftkv import errors
from raftkv.client import AsyncClient, Endpoint
from raftkv.client.dial import dialer
from raftkv.client.link import Link, LinkStream, Metadata
from raftkv.client.outcome import NOT_APPLIED, judge
from raftkv.clock import Clock
from raftkv.transport.client import RpcError

DIAL_TIMEOUT_S = 1.0
KEEPALIVE_S = 10.0

READ_ONLY = ("/Range", "/Status", "/HashKV", "/Hash", "/LeaseTimeToLive", "/LeaseLeases", "/MemberList")
"""Methods that change nothing; every other may."""


class OneAttemptLink:
    """A link whose failures leave the client at once, already judged: its loop of attempts never sees them."""

    def __init__(self, link: Link) -> None:
        self._link = link

    async def call(self, path: str, body: bytes, *, metadata: Metadata = (), timeout_s: float | None = None) -> bytes:
        """See `Link`.

        Raises:
            RaftKVError: what the failure means (not `RpcError`, which the client would look into for another try).
        """
        try:
            return await self._link.call(path, body, metadata=metadata, timeout_s=timeout_s)
        except RpcError as exc:
            raise judged(exc, path) from exc

    async def stream(
        self, path: str, *, on_message: Callable[[bytes], None], on_done: Callable[[RpcError | None], None], metadata: Metadata = ()
    ) -> LinkStream:
        """See `Link`; a stream that cannot be opened raises as `call` does."""
        try:
            return await self._link.stream(path, on_message=on_message, on_done=on_done, metadata=metadata)
        except RpcError as exc:
            raise judged(exc, path) from exc

    async def aclose(self) -> None:
        """See `Link`."""
        await self._link.aclose()


def judged(error: RpcError, path: str) -> errors.RaftKVError:
    """What a failed attempt means. A server's word that it proposed nothing outranks the text it comes with."""
    meant = judge(error, mutates=not path.endswith(READ_ONLY)).error
    if NOT_APPLIED in error.trailers and isinstance(meant, errors.IndeterminateError):
        return errors.UnavailableError(error.message)
    return meant


def one_attempt(open_link: Callable[[Endpoint], Link]) -> Callable[[Endpoint], Link]:
    """An `open_link` for `AsyncClient` whose links try once."""
    return lambda endpoint: OneAttemptLink(open_link(endpoint))


def client_of(endpoints: list[str], clock: Clock, *, timeout_s: float, require_leader: bool = True) -> AsyncClient:
    """A client over real sockets that sends every call once; of several endpoints it uses the first."""
    links = dialer(None, dial_timeout_s=min(DIAL_TIMEOUT_S, timeout_s), keepalive_s=KEEPALIVE_S, keepalive_timeout_s=KEEPALIVE_S)
    return AsyncClient(endpoints, timeout_s=timeout_s, clock=clock, require_leader=require_leader, open_link=one_attempt(links))
