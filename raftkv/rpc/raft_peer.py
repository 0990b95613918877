"""The peer port: carries bytes between members and the `PeerApi`; knows streams, no consensus.

No raft message is read before the greeting was answered with an acceptance.
"""

from __future__ import annotations

import logging

from raftkv.errors import ProtocolError, RaftKVError
from raftkv.rpc import status
from raftkv.server.api import PeerApi, SnapshotIntake
from raftkv.transport.server import Kind, Route, ServerCall

log = logging.getLogger("raftkv.rpc.peer")

FAILED_PRECONDITION = 9


class MessageStream:
    """One incoming lane: the greeting, then batches."""

    __slots__ = ("_api", "_call", "_sender_id")

    def __init__(self, api: PeerApi, call: ServerCall) -> None:
        self._api = api
        self._call = call
        self._sender_id = 0

    def on_message(self, body: bytes) -> None:
        """The first message is the hello; later ones are batches."""
        try:
            if self._sender_id:
                self._api.receive(self._sender_id, body)
                return
            self._sender_id, reply = self._api.greet(body)
            self._call.send(reply)
            if not self._sender_id:
                self._call.finish()
        except (RaftKVError, ProtocolError) as error:
            log.warning("ended a peer connection", extra={"fields": {"error": str(error)}})
            self._call.fail(FAILED_PRECONDITION, str(error))

    def on_half_close(self) -> None:
        """The peer is done sending."""
        self._call.finish()

    def on_cancel(self) -> None:
        """The connection went away."""

    def on_writable(self) -> None:
        """Nothing waits for room: the reply stream carries one message."""


class SnapshotStream:
    """One incoming snapshot."""

    __slots__ = ("_call", "_intake")

    def __init__(self, api: PeerApi, call: ServerCall) -> None:
        self._call = call
        self._intake: SnapshotIntake | None = api.take_snapshot()

    def on_message(self, body: bytes) -> None:
        """One chunk."""
        if self._intake is None:
            return
        try:
            self._intake.chunk(body)
        except RaftKVError as error:
            self._end(str(error))

    def on_half_close(self) -> None:
        """All chunks are here."""
        if self._intake is not None:
            intake, self._intake = self._intake, None
            intake.end(self._end)

    def on_cancel(self) -> None:
        """The sender went away in the middle."""
        if self._intake is not None:
            self._intake.abort()
            self._intake = None

    def on_writable(self) -> None:
        """Nothing waits for room."""

    def _end(self, refusal: str) -> None:
        if self._intake is not None:
            self._intake.abort()
            self._intake = None
        if self._call.cancelled:
            return
        if refusal:
            self._call.fail(FAILED_PRECONDITION, refusal)
        else:
            self._call.send(b"")
            self._call.finish()


def peer_routes(api: PeerApi) -> dict[str, Route]:
    """Every method of raftkv.Peer."""

    def lease_renew(call: ServerCall, body: bytes) -> None:
        api.lease_renew(body, lambda reply, error: _answer(call, reply, error))

    def lease_ttl(call: ServerCall, body: bytes) -> None:
        api.lease_ttl(body, lambda reply, error: _answer(call, reply, error))

    def member_change(call: ServerCall, body: bytes) -> None:
        api.member_change(body, call.reply)

    return {
        "/raftkv.Peer/MemberChange": Route(Kind.UNARY, member_change),
        "/raftkv.Peer/Messages": Route(Kind.BIDI, lambda call: MessageStream(api, call)),
        "/raftkv.Peer/Snapshot": Route(Kind.CLIENT_STREAM, lambda call: SnapshotStream(api, call)),
        "/raftkv.Peer/Info": Route(Kind.UNARY, lambda call, body: call.reply(api.info())),
        "/raftkv.Peer/RoundTrip": Route(Kind.UNARY, lambda call, body: call.reply(b"")),
        "/raftkv.Peer/LeaseRenew": Route(Kind.UNARY, lease_renew),
        "/raftkv.Peer/LeaseTtl": Route(Kind.UNARY, lease_ttl),
    }


def _answer(call: ServerCall, reply: bytes, error: Exception | None) -> None:
    if error is not None:
        status.fail(call, error)
    else:
        call.reply(reply)
