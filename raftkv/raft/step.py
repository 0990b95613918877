"""One message or tick into a member: the rule about terms first, then the handler of its kind at its role.

Nothing from outside raises here: what is stale, foreign or makes no sense at this role is ignored. Source: thesis fig.
3.1 "Rules for Servers"; etcd-io/raft for members that fell behind in a cluster with pre-vote or check-quorum (#8243).
"""

from __future__ import annotations

from collections.abc import Callable

from raftkv.raft import election, heartbeat, proposals, replication
from raftkv.raft.core import Core
from raftkv.raft.messages import TRANSFER_CONTEXT, Message, MessageKind, Role
from raftkv.raft.trace import TraceKind

_Handler = Callable[[Core, Message], None]

_FROM_LEADER = frozenset({MessageKind.APPEND, MessageKind.HEARTBEAT, MessageKind.SNAPSHOT})
_FOLLOWER, _LEADER = Role.FOLLOWER, Role.LEADER


def tick(core: Core) -> None:
    """One tick of logical time."""
    if core.role is _LEADER:
        heartbeat.tick(core)
    else:
        election.tick(core)


def step(core: Core, message: Message) -> None:
    """Takes one message."""
    sender, term = message.sender, message.term
    if message.to != core.member_id or sender == core.member_id or not sender or term <= 0:
        return
    if term > core.term:
        if not _raise_term(core, message):
            return
    elif term < core.term:
        _answer_lower_term(core, message)
        return
    if message.kind in _FROM_LEADER and not _follow(core, message):
        return
    handler = _HANDLERS[core.role].get(message.kind)
    if handler is not None:
        handler(core, message)


def _raise_term(core: Core, message: Message) -> bool:
    """Handles a message of a later term; False when it is to be ignored."""
    kind = message.kind
    if kind == MessageKind.VOTE or kind == MessageKind.PRE_VOTE:
        if (
            core.config.check_quorum
            and core.leader_id != 0
            and core.election_elapsed < core.config.election_ticks
            and message.context != TRANSFER_CONTEXT
        ):
            # Stickiness (thesis §4.2.3): a member that hears its leader helps nobody to depose it.
            core.emit(TraceKind.VOTE_IGNORED, peer=message.sender, detail=f"term {message.term}")
            return False
        if kind == MessageKind.PRE_VOTE:
            return True
    if kind == MessageKind.PRE_VOTE_REPLY and not message.reject:
        # It grants the term we asked for; we raise ours when a quorum has.
        return True
    core.become_follower(message.term, message.sender if kind in _FROM_LEADER else 0)
    return True


def _answer_lower_term(core: Core, message: Message) -> None:
    kind = message.kind
    if kind in _FROM_LEADER and (core.config.check_quorum or core.config.pre_vote):
        # Our votes are ignored or never sent, so this is how a leader left behind in an older term learns of ours.
        core.reply_append(message.sender, 0)
    elif kind == MessageKind.PRE_VOTE:
        # The asker may be ahead of everybody in log and behind in term; silence would keep it asking for ever.
        core.send(Message(MessageKind.PRE_VOTE_REPLY, message.sender, core.member_id, core.term, reject=True))


def _follow(core: Core, message: Message) -> bool:
    """Follows the sender, who leads the present term; False at a leader, whom no other leader of its term can exist beside."""
    if core.role is not _FOLLOWER:
        if core.role is _LEADER:
            return False
        core.become_follower(core.term, message.sender)
    core.election_elapsed = 0
    if core.leader_id != message.sender:
        core.set_leader(message.sender)
    return True


def _on_heartbeat_reply(core: Core, message: Message) -> None:
    progress = core.tracker.progress.get(message.sender)
    if progress is None:
        return
    progress.recent_active = True
    replication.poke(core, progress)
    if message.context:
        core.reads.on_answer(message.sender, message.context)
        heartbeat.confirm_reads(core)


_VOTES: dict[int, _Handler] = {MessageKind.VOTE: election.on_vote, MessageKind.PRE_VOTE: election.on_vote}

_CANDIDATE: dict[int, _Handler] = {
    **_VOTES,
    MessageKind.VOTE_REPLY: election.on_vote_reply,
    MessageKind.PRE_VOTE_REPLY: election.on_vote_reply,
}

_HANDLERS: dict[Role, dict[int, _Handler]] = {
    Role.FOLLOWER: {
        **_VOTES,
        MessageKind.APPEND: replication.on_append,
        MessageKind.HEARTBEAT: heartbeat.on_heartbeat,
        MessageKind.SNAPSHOT: replication.on_snapshot,
        MessageKind.READ_INDEX_REPLY: heartbeat.on_read_index_reply,
        MessageKind.TIMEOUT_NOW: election.on_timeout_now,
    },
    Role.PRE_CANDIDATE: _CANDIDATE,
    Role.CANDIDATE: _CANDIDATE,
    Role.LEADER: {
        **_VOTES,
        MessageKind.APPEND_REPLY: replication.on_append_reply,
        MessageKind.HEARTBEAT_REPLY: _on_heartbeat_reply,
        MessageKind.PROPOSE: proposals.on_propose,
        MessageKind.READ_INDEX: heartbeat.on_read_index,
        MessageKind.TRANSFER_LEADER: proposals.on_transfer_leader,
    },
}
"""What each role listens to; every other pair is ignored on purpose (a follower re-forwards nothing)."""
