"""What consensus tells about itself: rare events, handed to an optional callback instead of a log.

The driver turns them into log lines and metrics, the simulator into its trace. Nothing on the per-entry path emits one.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum
from typing import NamedTuple


class TraceKind(StrEnum):
    """What happened."""

    BECAME_FOLLOWER = "became follower"
    BECAME_PRE_CANDIDATE = "became pre-candidate"
    BECAME_CANDIDATE = "became candidate"
    BECAME_LEADER = "became leader"
    LEADER_FOUND = "leader found"
    LEADER_LOST = "leader lost"
    VOTE_GRANTED = "vote granted"
    VOTE_REFUSED = "vote refused"
    VOTE_IGNORED = "vote ignored"
    QUORUM_LOST = "quorum lost"
    LOG_TRUNCATED = "log truncated"
    APPEND_REJECTED = "append rejected"
    SNAPSHOT_SENT = "snapshot sent"
    SNAPSHOT_RESTORED = "snapshot restored"
    SNAPSHOT_REFUSED = "snapshot refused"
    CONFIGURATION_APPLIED = "configuration applied"
    PROPOSAL_REFUSED = "proposal refused"
    TRANSFER_STARTED = "transfer started"
    TRANSFER_ABORTED = "transfer aborted"
    CAMPAIGN_POSTPONED = "campaign postponed"


class TraceEvent(NamedTuple):
    """One event at one member. `peer` is 0 when no other member is concerned."""

    kind: TraceKind
    member_id: int
    term: int
    peer: int
    detail: str


Trace = Callable[[TraceEvent], None]
"""Called inside the core; must not call back into it."""
