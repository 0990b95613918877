"""Who may talk to whom on the peer port: the first exchange of every peer connection (design §4 rules 14 and 15).

Pure decisions; `peers.py` carries them out.
"""

from __future__ import annotations

from dataclasses import dataclass

from raftkv.errors import ConfigError
from raftkv.pb import peer

PROTOCOL = 1
"""Version of the peer protocol. Raised when a message changes so that an old member cannot read it."""

FORMAT = 1
"""Newest format of log entries, peer messages and snapshots this version reads and writes."""

CHECK_FORMING = "check that --initial-cluster and --initial-cluster-token are the same on all members"
"""What a cluster's id is made of. Neither side gives up, as with etcd: the wrong one is corrected by a person."""

REPLACE = (
    "the cluster remembers data this member no longer has. Remove it from the cluster (raftctl member remove ID), add it again "
    "(raftctl member add NAME --peer-urls=URL) and start it with --initial-cluster-state existing, or restore its data directory"
)
"""What to do about a wiped member."""

BOOTSTRAP_INDEX = 1
"""A member's log begins with the snapshot at this index that holds the bootstrapped members; at or below it the log is empty."""


class MemberRemovedError(ConfigError):
    """The cluster removed this member: it ends, and does not start again with this data directory."""

    text = "the member has been permanently removed from the cluster"


@dataclass(frozen=True, slots=True)
class Self:
    """This side of a connection."""

    cluster_id: int
    member_id: int
    version: str
    """The level of etcd's API this side speaks; the cluster's is the lowest."""

    def hello(self, receiver_id: int, last_index: int) -> peer.Hello:
        """What this member says first."""
        return peer.Hello(
            protocol=PROTOCOL,
            cluster_id=self.cluster_id,
            sender_id=self.member_id,
            receiver_id=receiver_id,
            last_index=last_index,
            version=self.version,
            format=FORMAT,
        )

    def reply(self, refusal: str = "", *, bootstrapped: bool = False, removed: bool = False) -> peer.HelloReply:
        """What this member answers; an empty refusal accepts."""
        return peer.HelloReply(
            cluster_id=self.cluster_id,
            member_id=self.member_id,
            version=self.version,
            format=FORMAT,
            refusal=refusal,
            bootstrapped=bootstrapped,
            removed=removed,
        )


def refusal(me: Self, hello: peer.Hello, *, known: bool, removed: bool, started: bool) -> tuple[str, bool]:
    """Why a peer's hello is refused, and whether that is because its disk was lost; ("", False) accepts it.

    Args:
        me: this side.
        hello: what the other side said.
        known: the sender is a member of this side's applied configuration.
        removed: the sender was a member and was removed.
        started: this side knows that the sender once had state: it published itself, or acknowledged entries.
    """
    other, here = f"member {hello.sender_id:x}", f"member {me.member_id:x}"
    if hello.protocol != PROTOCOL:
        return f"{other} speaks peer protocol {hello.protocol}, {here} speaks {PROTOCOL}: run versions that share one", False
    if hello.cluster_id != me.cluster_id:
        return f"{other} is of cluster {hello.cluster_id:x}, {here} is of cluster {me.cluster_id:x}: {CHECK_FORMING}", False
    if hello.receiver_id != me.member_id:
        return f"{other} looked for member {hello.receiver_id:x} and reached {here}: check the peer URLs", False
    if removed:
        return f"{other} was removed from cluster {me.cluster_id:x}; {here} does not speak with it", False
    if not known:
        return f"{other} is not a member of cluster {me.cluster_id:x} as {here} knows it", False
    if started and hello.last_index <= BOOTSTRAP_INDEX:
        return f"member {hello.sender_id:x} has already been bootstrapped", True
    return "", False
