"""Heartbeats, the leader's own clock, and the read rounds that heartbeats confirm.

A leader's tick sends heartbeats, checks that a quorum still answers, and gives a hand-over up that takes too long.
Source: thesis §6.2 (check-quorum), §6.4 (read index).
"""

from __future__ import annotations

from collections.abc import Sequence

from raftkv.raft.core import Core
from raftkv.raft.messages import Message, MessageKind, ReadState, Role, new_heartbeat, new_heartbeat_reply
from raftkv.raft.read_index import ReadRequest
from raftkv.raft.trace import TraceKind


def tick(core: Core) -> None:
    """One tick of a leader."""
    core.heartbeat_elapsed += 1
    core.election_elapsed += 1
    if core.election_elapsed >= core.config.election_ticks:
        core.election_elapsed = 0
        if core.config.check_quorum and not core.tracker.take_quorum_active(core.member_id):
            core.emit(TraceKind.QUORUM_LOST)
            core.become_follower(core.term, 0)
            return
        if core.transferee:
            # The successor is slow or dead; proposals were refused meanwhile and must not be for ever.
            core.emit(TraceKind.TRANSFER_ABORTED, peer=core.transferee)
            core.transferee = 0
    if core.heartbeat_elapsed >= core.config.heartbeat_ticks:
        core.heartbeat_elapsed = 0
        core.reads.on_heartbeat()
        send_heartbeats(core)


def send_heartbeats(core: Core, to: frozenset[int] | None = None) -> None:
    """Heartbeats to all, or to some; they carry the newest read round, so a lost one is made good by the next."""
    context = core.reads.newest_context()
    commit = core.log.commit
    for progress in core.tracker.progress.values():
        if progress.member_id != core.member_id and (to is None or progress.member_id in to):
            # Never above match: the member may lack, or differ in, what lies beyond.
            known = progress.match if progress.match < commit else commit
            progress.on_commit_told(known)
            core.send(new_heartbeat(progress.member_id, core.member_id, core.term, known, context))


def on_heartbeat(core: Core, message: Message) -> None:
    """A follower learns the commit index and answers."""
    core.log.commit_to(message.commit)
    core.send(new_heartbeat_reply(message.sender, core.member_id, core.term, message.context))


def on_read_index(core: Core, message: Message) -> None:
    """A leader queues a read that a follower forwarded."""
    add_read(core, message.sender, message.context)


def add_read(core: Core, asker: int, context: bytes) -> bool:
    """Queues a read at the leader for the next round; False at the bound."""
    core.flush_due = True
    return core.reads.add(asker, context)


def start_read_round(core: Core) -> None:
    """Starts a round for all reads that wait. The leader has committed in its term, so its commit index is the newest."""
    if core.tracker.is_sole_voter(core.member_id):
        _answer(core, core.log.commit, core.reads.take_waiting())
        return
    core.reads.start(member_id=core.member_id, commit=core.log.commit)
    send_heartbeats(core, core.reads.asked(core.tracker.conf))


def confirm_reads(core: Core) -> None:
    """Answers the rounds that a quorum of the present configuration has confirmed."""
    for round_ in core.reads.take_confirmed(core.tracker.conf):
        _answer(core, round_.commit, round_.requests)


def on_read_index_reply(core: Core, message: Message) -> None:
    """A follower takes its leader's answer; another's or an older term's is dropped (design §4 rule 11)."""
    if core.role is Role.FOLLOWER and message.sender == core.leader_id:
        core.read_states.append(ReadState(message.index, message.context))


def _answer(core: Core, index: int, requests: Sequence[ReadRequest]) -> None:
    for asker, context in requests:
        if asker == core.member_id:
            core.read_states.append(ReadState(index, context))
        else:
            core.send(Message(MessageKind.READ_INDEX_REPLY, asker, core.member_id, core.term, index=index, context=context))
