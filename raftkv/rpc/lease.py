"""etcdserverpb.Lease: grants, revocations, and the keep-alive stream.

Owns the order of keep-alive answers; leases themselves are the member's. Source: etcd's api/v3rpc/lease.go.
"""

from __future__ import annotations

from collections import deque
from functools import partial

from raftkv.errors import LeaseNotFoundError
from raftkv.pb import rpc
from raftkv.rpc.method import Stream
from raftkv.rpc.router import Router
from raftkv.server.api import Done, LeaseTTL, MemberApi
from raftkv.transport.call import Kind, StreamHandler

SERVICE = "/etcdserverpb.Lease/"

KEEP_ALIVES_PENDING_MAX = 1024
"""Keep-alives of one stream that wait for their answer. At the bound the stream is not read from until half are answered,
which leaves its client one receive window of requests."""


def add_lease(router: Router, api: MemberApi) -> None:
    """Adds the service."""

    def grant(raw: bytes, request: rpc.LeaseGrantRequest, done: Done) -> None:
        api.lease_grant(request, done)

    def time_to_live(raw: bytes, request: rpc.LeaseTimeToLiveRequest, done: Done) -> None:
        lease_id = request.ID
        api.lease_time_to_live(lease_id, request.keys, partial(_answer_ttl, api, lease_id, done))

    def leases(raw: bytes, request: rpc.LeaseLeasesRequest, done: Done) -> None:
        found = [rpc.LeaseStatus(ID=lease_id) for lease_id in api.leases()]
        done((api.current_revision(), rpc.LeaseLeasesResponse(leases=found).SerializeToString()), None)

    def open_keep_alive(stream: Stream) -> StreamHandler:
        return KeepAlive(api, stream)

    router.unary(SERVICE + "LeaseGrant", rpc.LeaseGrantRequest, grant)
    router.unary(SERVICE + "LeaseRevoke", rpc.LeaseRevokeRequest, api.lease_revoke)
    router.stream(SERVICE + "LeaseKeepAlive", Kind.BIDI, open_keep_alive)
    router.unary(SERVICE + "LeaseTimeToLive", rpc.LeaseTimeToLiveRequest, time_to_live)
    router.unary(SERVICE + "LeaseLeases", rpc.LeaseLeasesRequest, leases)


def _answer_ttl(api: MemberApi, lease_id: int, done: Done, found: LeaseTTL | None, error: Exception | None) -> None:
    if found is None:
        done(None, error)
        return
    response = rpc.LeaseTimeToLiveResponse(ID=lease_id, TTL=found.ttl_s, grantedTTL=found.granted_ttl_s, keys=found.keys)
    done((api.current_revision(), response.SerializeToString()), None)


class _Renewal:
    """One keep-alive on its way. The revision is the one before it was renewed, as etcd answers."""

    __slots__ = ("error", "lease_id", "revision", "settled", "ttl_s")

    def __init__(self, lease_id: int, revision: int) -> None:
        self.lease_id = lease_id
        self.revision = revision
        self.settled = False
        self.ttl_s = 0
        self.error: Exception | None = None


class KeepAlive:
    """One keep-alive stream. Invariant: answers leave in the order of their requests, whatever order the leader gives them in."""

    __slots__ = ("_api", "_half_closed", "_paused", "_pending", "_stream")

    def __init__(self, api: MemberApi, stream: Stream) -> None:
        self._api = api
        self._stream = stream
        self._pending: deque[_Renewal] = deque()
        self._half_closed = False
        self._paused = False
        stream.when_ended(self._pending.clear)

    def on_message(self, body: bytes) -> None:
        """One lease to renew."""
        request = self._stream.decode(rpc.LeaseKeepAliveRequest, body)
        if request is None:
            return
        renewal = _Renewal(request.ID, self._api.current_revision())
        self._pending.append(renewal)
        self._api.lease_keep_alive(request.ID, partial(self._settle, renewal))
        if len(self._pending) >= KEEP_ALIVES_PENDING_MAX or not self._stream.writable:
            self._paused = True
            self._stream.pause()

    def on_half_close(self) -> None:
        """The client is done asking: what waits is answered, then the stream ends."""
        self._half_closed = True
        self._answer()

    def on_cancel(self) -> None:
        """The client went away."""
        self._stream.cancelled()

    def on_writable(self) -> None:
        """The client has read most of what waited."""
        self._maybe_resume()

    def _maybe_resume(self) -> None:
        if self._paused and len(self._pending) <= KEEP_ALIVES_PENDING_MAX // 2 and self._stream.writable:
            self._paused = False
            self._stream.resume()

    def _settle(self, renewal: _Renewal, ttl_s: int, error: Exception | None) -> None:
        renewal.settled = True
        renewal.ttl_s = ttl_s
        renewal.error = error
        self._answer()

    def _answer(self) -> None:
        pending = self._pending
        while pending and pending[0].settled:
            renewal = pending.popleft()
            # A lease that is not there is no failure of the stream: its TTL is 0.
            if renewal.error is not None and not isinstance(renewal.error, LeaseNotFoundError):
                self._stream.fail(renewal.error)
                return
            response = rpc.LeaseKeepAliveResponse(ID=renewal.lease_id, TTL=renewal.ttl_s)
            self._stream.send(self._api.header(renewal.revision) + response.SerializeToString())
        if self._half_closed and not pending:
            self._stream.finish()
        self._maybe_resume()
