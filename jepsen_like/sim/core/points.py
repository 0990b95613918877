"""The rare states a run of the core simulation can reach, seen from outside consensus.

Most are told by consensus's trace events, combined with what the simulation knows of the member; the others are noted
where the simulation brings them about. A full set of runs must reach every one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from jepsen_like.sim.reached import reached
from raftkv.raft.messages import ConfState
from raftkv.raft.trace import TraceEvent, TraceKind

if TYPE_CHECKING:
    from jepsen_like.sim.core.member import Member

_OF_TRACE: dict[TraceKind, str] = {
    TraceKind.BECAME_PRE_CANDIDATE: "pre_vote_asked",
    TraceKind.BECAME_CANDIDATE: "stood_for_election",
    TraceKind.BECAME_LEADER: "leader_elected",
    TraceKind.LEADER_LOST: "leader_lost",
    TraceKind.VOTE_REFUSED: "vote_refused",
    TraceKind.VOTE_IGNORED: "vote_ignored_beside_a_leader",
    TraceKind.QUORUM_LOST: "leader_without_quorum_stepped_down",
    TraceKind.LOG_TRUNCATED: "log_truncated",
    TraceKind.APPEND_REJECTED: "append_rejected",
    TraceKind.SNAPSHOT_SENT: "snapshot_sent",
    TraceKind.SNAPSHOT_RESTORED: "snapshot_restored",
    TraceKind.SNAPSHOT_REFUSED: "snapshot_refused",
    TraceKind.PROPOSAL_REFUSED: "forwarded_proposal_refused",
    TraceKind.TRANSFER_STARTED: "transfer_started",
    TraceKind.TRANSFER_ABORTED: "transfer_aborted",
    TraceKind.CAMPAIGN_POSTPONED: "campaign_postponed_for_a_change",
}

POINTS: tuple[str, ...] = (
    *_OF_TRACE.values(),
    "change_applied_without_effect",
    "change_refused",
    "held_message_released",
    "joint_entered",
    "joint_left",
    "leader_crashed",
    "leader_removed",
    "learner_added",
    "learner_promoted",
    "log_cut",
    "member_removed",
    "message_of_an_older_term_came_again",
    "power_cut_of_all",
    "proposal_refused",
    "read_answered",
    "read_answered_too_late",
    "read_asked_again",
    "snapshot_behind_running_sync",
    "snapshot_while_applying",
    "sync_failed",
    "ticks_before_messages_after_a_pause",
    "transfer_asked",
    "truncated_while_being_written",
    "voter_became_learner",
    "write_applied_after_its_timeout",
    "writes_lost_in_crash",
)
"""Every name that counts."""


def on_trace(event: TraceEvent) -> None:
    """Consensus tells of a rare event."""
    name = _OF_TRACE.get(event.kind)
    if name is not None:
        reached(name)


def on_truncated(member: Member) -> None:
    """A log was cut while a write of what was cut is on its way: the case in which an old report names an index again."""
    if not member.disk.idle:
        reached("truncated_while_being_written")


def on_changed(member: Member, before: ConfState, after: ConfState) -> None:
    """A member put a configuration in force; counted at every member that does."""
    if after.voters_outgoing and not before.voters_outgoing:
        reached("joint_entered")
    if before.voters_outgoing and not after.voters_outgoing:
        reached("joint_left")
    if set(after.learners) - set(before.learners) - set(before.voters):
        reached("learner_added")
    if set(before.learners) & set(after.voters):
        reached("learner_promoted")
    if set(before.voters) & {*after.learners, *after.learners_next}:
        reached("voter_became_learner")
    members = {*after.voters, *after.voters_outgoing, *after.learners, *after.learners_next}
    if {*before.voters, *before.learners} - members:
        reached("member_removed")
    if member.id not in members and member.led_term == member.core.term:
        reached("leader_removed")
