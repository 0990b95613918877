"""The `PeerApi` of one member: what arrives on the peer port, decoded and handed on. Loop only."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from raftkv import ETCD_VERSION
from raftkv.errors import RemoteProtocolError
from raftkv.pb import peer
from raftkv.server.api import SnapshotIntake
from raftkv.server.measures import members_of

if TYPE_CHECKING:
    from raftkv.server.member import MemberCore


class PeerPort:
    """See `PeerApi`."""

    def __init__(self, core: MemberCore) -> None:
        self._core = core

    def greet(self, body: bytes) -> tuple[int, bytes]:
        """See `PeerApi`."""
        frame = peer.StreamFrame.FromString(body)
        if frame.WhichOneof("frame") != "hello":
            raise RemoteProtocolError("a peer connection began without a hello")
        reply = self._core.peers.greet(frame.hello)
        return 0 if reply.refusal else frame.hello.sender_id, peer.StreamReply(hello=reply).SerializeToString()

    def receive(self, sender_id: int, body: bytes) -> None:
        """See `PeerApi`."""
        self._core.peers.receive(sender_id, body)

    def info(self) -> bytes:
        """See `PeerApi`."""
        core = self._core
        members = [
            peer.MemberInfo(id=m.id, name=m.name, peer_urls=m.peer_urls, client_urls=m.client_urls, is_learner=m.is_learner)
            for m in members_of(core)
        ]
        return peer.ClusterInfo(
            cluster_id=core.cluster_id,
            member_id=core.member_id,
            members=members,
            version=ETCD_VERSION,
            formed=core.node.leader_id != 0,
        ).SerializeToString()

    def lease_renew(self, body: bytes, done: Callable[[bytes, Exception | None], None]) -> None:
        """See `PeerApi`."""
        self._core.leases.on_peer_renew(body, done)

    def lease_ttl(self, body: bytes, done: Callable[[bytes, Exception | None], None]) -> None:
        """See `PeerApi`."""
        self._core.leases.on_peer_ttl(body, done)

    def member_change(self, body: bytes, done: Callable[[bytes], None]) -> None:
        """See `PeerApi`."""
        self._core.members.on_peer_change(body, done)

    def take_snapshot(self) -> SnapshotIntake:
        """See `PeerApi`."""
        return self._core.transfers.intake()
