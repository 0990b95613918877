"""The values consensus speaks in: entries, messages, hard state, configurations, and what `ready()` hands out.

Plain immutable values; nothing here does anything. Sans-IO: see raft/raw_node.py for the contract of `Ready`.
"""

from __future__ import annotations

from enum import IntEnum
from typing import NamedTuple, NewType

Term = NewType("Term", int)
Index = NewType("Index", int)
MemberID = NewType("MemberID", int)

NO_MEMBER = MemberID(0)
"""No member has this id; "no leader", "no vote"."""


class EntryKind(IntEnum):
    """What an entry's data is."""

    NORMAL = 0
    """A request for the state machine; empty data is the entry a new leader commits first."""

    CONF_CHANGE = 1
    """A configuration change, in the form of `raft/confchange.py`."""


class Entry(NamedTuple):
    """One position of the log."""

    term: int
    index: int  # type: ignore[assignment]  # hides tuple.index, which nobody calls
    kind: int
    data: bytes


class HardState(NamedTuple):
    """What must be durable before any message that depends on it leaves (thesis fig. 3.1)."""

    term: int = 0
    vote: int = 0
    commit: int = 0


class ConfState(NamedTuple):
    """A configuration; `voters_outgoing` is not empty while a joint change is under way. Ids are sorted."""

    voters: tuple[int, ...] = ()
    learners: tuple[int, ...] = ()
    voters_outgoing: tuple[int, ...] = ()
    learners_next: tuple[int, ...] = ()
    auto_leave: bool = False


class SnapshotMeta(NamedTuple):
    """Where a snapshot stands in the log. The state itself never passes through consensus."""

    index: int  # type: ignore[assignment]  # hides tuple.index, which nobody calls
    term: int
    conf_state: ConfState


class MessageKind(IntEnum):
    """Message kinds between members. Numbers are ours and part of the peer protocol: never reuse one.

    Every message carries its sender's term; PRE_VOTE and a granting PRE_VOTE_REPLY carry the term asked for.
    """

    APPEND = 1
    """`index`, `log_term`: the entry before `entries`; `commit`: the leader's."""

    APPEND_REPLY = 2
    """`index`: everything up to it is durable and equal to the leader's. Rejected: `index` repeats the request's,
    `reject_hint` and `log_term` say where to probe next."""

    VOTE = 3
    """`index`, `log_term`: the candidate's last entry; `context`: TRANSFER_CONTEXT when the leader asked for it."""

    VOTE_REPLY = 4
    PRE_VOTE = 5
    PRE_VOTE_REPLY = 6
    HEARTBEAT = 7
    """`commit`: min(match, commit); `context`: the newest read round, echoed by the reply."""

    HEARTBEAT_REPLY = 8
    SNAPSHOT = 9
    """`snapshot`: where it stands. The receiver steps this message only when the state itself is complete."""

    PROPOSE = 10
    """`entries`: kind and data count, term and index are 0."""

    READ_INDEX = 11
    READ_INDEX_REPLY = 12
    """`index`: what must be applied before the reads of `context` are served."""

    TIMEOUT_NOW = 13
    TRANSFER_LEADER = 14
    """`index`: the id of the member that is to lead."""


TRANSFER_CONTEXT = b"transfer"
"""Marks a vote request that the leader itself asked for; leader stickiness does not refuse it (thesis §4.2.3)."""


class Message(NamedTuple):
    """One message from `sender` to `to`. Fields a kind does not use stay at their defaults."""

    kind: int
    to: int
    sender: int
    term: int = 0
    log_term: int = 0
    index: int = 0  # type: ignore[assignment]  # hides tuple.index, which nobody calls
    entries: tuple[Entry, ...] = ()
    commit: int = 0
    reject: bool = False
    reject_hint: int = 0
    context: bytes = b""
    snapshot: SnapshotMeta | None = None


_new = tuple.__new__
# Looked up once: to ask an enum for a member costs more than a call (CPython 3.11). So in every module of the hot path.
_APPEND, _APPEND_REPLY = MessageKind.APPEND, MessageKind.APPEND_REPLY
_HEARTBEAT, _HEARTBEAT_REPLY = MessageKind.HEARTBEAT, MessageKind.HEARTBEAT_REPLY


def new_append(to: int, sender: int, term: int, log_term: int, index: int, entries: tuple[Entry, ...], commit: int) -> Message:
    """An APPEND. This and the next three are what a busy cluster sends: made without the default arguments' Python code,
    0.15 instead of 0.4 µs each."""
    return _new(Message, (_APPEND, to, sender, term, log_term, index, entries, commit, False, 0, b"", None))


def new_append_reply(to: int, sender: int, term: int, index: int) -> Message:
    """An APPEND_REPLY that acknowledges."""
    return _new(Message, (_APPEND_REPLY, to, sender, term, 0, index, (), 0, False, 0, b"", None))


def new_heartbeat(to: int, sender: int, term: int, commit: int, context: bytes) -> Message:
    """A HEARTBEAT."""
    return _new(Message, (_HEARTBEAT, to, sender, term, 0, 0, (), commit, False, 0, context, None))


def new_heartbeat_reply(to: int, sender: int, term: int, context: bytes) -> Message:
    """A HEARTBEAT_REPLY."""
    return _new(Message, (_HEARTBEAT_REPLY, to, sender, term, 0, 0, (), 0, False, 0, context, None))


class ReadState(NamedTuple):
    """Reads that joined `context` may be served once the applied index reaches `index`."""

    index: int  # type: ignore[assignment]  # hides tuple.index, which nobody calls
    context: bytes


class Role(IntEnum):
    """What a member is in the current term."""

    FOLLOWER = 0
    PRE_CANDIDATE = 1
    CANDIDATE = 2
    LEADER = 3


class SoftState(NamedTuple):
    """Who leads, as far as this member knows; never stored."""

    leader: int
    role: Role


class Ready(NamedTuple):
    """One turn's work for the driver, in the order it must be done. See `RawNode.ready`.

    `write_number` is 0 when nothing is to be written. Otherwise the driver hands `hard_state`, `snapshot` and
    `entries` to the log under that number and, when they are durable, calls `persisted`.
    `messages` may leave at once. `held` leaves when write number `held_after` is durable: this Ready's own number, or
    the newest still on its way when this Ready writes nothing itself. Everything a held message says was handed out
    for writing no later than with the Ready that carries it, and writes become durable in order, so one number is
    enough. `held` is empty and `held_after` 0 when nothing is on its way.
    `committed` never reaches above this member's stable index. A Ready with `snapshot` has no `entries`, and no
    `committed` comes until its write is durable.
    """

    write_number: int
    hard_state: HardState | None
    entries: tuple[Entry, ...]
    snapshot: SnapshotMeta | None
    messages: tuple[Message, ...]
    held: tuple[Message, ...]
    committed: tuple[Entry, ...]
    read_states: tuple[ReadState, ...]
    soft_state: SoftState | None
    must_sync: bool
    held_after: int = 0
