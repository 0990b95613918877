"""Elections: timers of members that do not lead, pre-votes, votes, and the hand-over's immediate campaign.

Source: thesis §3.4, §3.6.1, §4.2.3 (stickiness), §9.6 (pre-vote); the leader's side of a hand-over is in proposals.py.
"""

from __future__ import annotations

from raftkv.raft.core import Core
from raftkv.raft.messages import TRANSFER_CONTEXT, Message, MessageKind, Role
from raftkv.raft.quorum import VoteResult
from raftkv.raft.trace import TraceKind


def tick(core: Core) -> None:
    """One tick of a member that does not lead."""
    core.election_elapsed += 1
    if core.election_elapsed < core.election_timeout_ticks:
        return
    core.election_elapsed = 0
    if is_promotable(core):
        campaign(core)
    elif core.role is not Role.FOLLOWER:
        core.become_follower(core.term, 0)
    else:
        # A learner never finds out by campaigning that its leader is gone; it must not keep on trusting it.
        core.set_leader(0)


def is_promotable(core: Core) -> bool:
    """True when this member may stand for election: a voter whose log is not waiting for a snapshot."""
    return core.tracker.is_voter(core.member_id) and not core.log.has_pending_snapshot


def campaign(core: Core, *, is_transfer: bool = False, is_asked: bool = False) -> None:
    """Stands for election if it may; asks for pre-votes first, unless the leader itself handed over.

    `is_asked`: a member that is no voter here was asked for a vote that it cannot give. See `on_vote`.
    """
    if core.role is Role.LEADER or core.log.has_pending_snapshot or not (is_asked or is_promotable(core)):
        return
    if core.log.find_change(core.log.applied + 1, core.log.commit + 1):
        # The configuration in force here is out of date: a quorum of it may be none (thesis §4.1).
        core.emit(TraceKind.CAMPAIGN_POSTPONED)
        core.campaign_due = is_transfer
        return
    core.campaign_due = False
    if core.config.pre_vote and not is_transfer:
        core.become_pre_candidate()
        if core.tracker.record_vote(core.member_id, granted=True) is VoteResult.WON:
            _stand(core, b"")
        else:
            _ask(core, MessageKind.PRE_VOTE, core.term + 1, b"")
    else:
        _stand(core, TRANSFER_CONTEXT if is_transfer else b"")


def on_own_vote_durable(core: Core) -> None:
    """Counts a candidate's vote for itself, which is one only when a crash cannot forget it."""
    _count(core, core.member_id, granted=True)


def on_vote(core: Core, message: Message) -> None:
    """Answers VOTE or PRE_VOTE of the present term (VOTE) or a later one (PRE_VOTE)."""
    is_pre_vote = message.kind == MessageKind.PRE_VOTE
    may_vote = core.vote == message.sender or (core.vote == 0 and core.leader_id == 0) or (is_pre_vote and message.term > core.term)
    # A learner votes too: it may have been made a voter by an entry it has yet to apply.
    if may_vote and core.log.is_up_to_date(index=message.index, term=message.log_term):
        core.emit(TraceKind.VOTE_GRANTED, peer=message.sender, detail=MessageKind(message.kind).name)
        if is_pre_vote:
            # The term asked for, not ours: the asker has not raised its own yet and would drop a lower one.
            core.send(Message(MessageKind.PRE_VOTE_REPLY, message.sender, core.member_id, message.term))
        else:
            core.set_vote(message.sender)
            core.election_elapsed = 0
            core.send_held(Message(MessageKind.VOTE_REPLY, message.sender, core.member_id, core.term))
        return
    core.emit(TraceKind.VOTE_REFUSED, peer=message.sender, detail=MessageKind(message.kind).name)
    reply = MessageKind.PRE_VOTE_REPLY if is_pre_vote else MessageKind.VOTE_REPLY
    core.send(Message(reply, message.sender, core.member_id, core.term, reject=True))
    tracker = core.tracker
    if core.role is Role.FOLLOWER and core.leader_id == 0 and not tracker.is_voter(core.member_id) and tracker.is_voter(message.sender):
        # The asker counts on us: it has not applied the change that made us leave, or we not the one that made us join.
        # Refused for its log, it can win without us never, and we by its vote at once. Whoever stands, the quorum that
        # elects is one of a configuration in its log, which is all that safety asks for (thesis §4.2.2: a server outside
        # its own configuration still starts elections). Such a leader leaves once its term's first entry is applied.
        campaign(core, is_asked=True)


def on_vote_reply(core: Core, message: Message) -> None:
    """Counts VOTE_REPLY at a candidate, PRE_VOTE_REPLY at a pre-candidate; each ignores the other's."""
    if core.role is Role.CANDIDATE:
        is_ours = message.kind == MessageKind.VOTE_REPLY
    else:
        # A grant names the term it was asked for; one of an earlier round does not count in this.
        is_ours = message.kind == MessageKind.PRE_VOTE_REPLY and (message.reject or message.term == core.term + 1)
    if is_ours:
        _count(core, message.sender, granted=not message.reject)


def on_timeout_now(core: Core, message: Message) -> None:
    """Campaigns at once: the leader hands over (thesis §3.10)."""
    if message.sender == core.leader_id:
        campaign(core, is_transfer=True)


def _stand(core: Core, context: bytes) -> None:
    core.become_candidate()
    # The requests leave with the write of the own vote; the vote itself counts when that write is reported.
    _ask(core, MessageKind.VOTE, core.term, context)


def _ask(core: Core, kind: MessageKind, term: int, context: bytes) -> None:
    log = core.log
    send = core.send_held if kind is MessageKind.VOTE else core.send
    for member_id in core.tracker.voters():
        if member_id != core.member_id:
            send(Message(kind, member_id, core.member_id, term, log_term=log.last_term, index=log.last_index, context=context))


def _count(core: Core, member_id: int, *, granted: bool) -> None:
    result = core.tracker.record_vote(member_id, granted=granted)
    if result is VoteResult.WON:
        if core.role is Role.PRE_CANDIDATE:
            _stand(core, b"")
        else:
            core.become_leader()
    elif result is VoteResult.LOST:
        core.become_follower(core.term, 0)
