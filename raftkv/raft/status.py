"""What a member says about itself: a cheap live view for the driver, and a frozen record for people and metrics."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from raftkv.raft.core import Core
from raftkv.raft.messages import ConfState, Role
from raftkv.raft.proposals import format_conf
from raftkv.raft.tracker import ProgressState


@dataclass(frozen=True, slots=True)
class ProgressStatus:
    """One member as its leader sees it. Fields as in `tracker.Progress`."""

    match: int
    next: int
    state: ProgressState
    recent_active: bool
    pending_snapshot: int
    is_learner: bool
    inflight_count: int
    inflight_bytes: int


@dataclass(frozen=True, slots=True)
class Status:
    """One moment of one member. `progress` is empty at members that do not lead."""

    member_id: int
    term: int
    vote: int
    role: Role
    leader_id: int
    commit: int
    stable: int
    applying: int
    applied: int
    first_index: int
    last_index: int
    conf_state: ConfState
    transferee: int
    uncommitted_bytes: int
    progress: Mapping[int, ProgressStatus]


class NodeView:
    """The present values, each one attribute away; read on the loop between two calls of the node."""

    def __init__(self, core: Core) -> None:
        self._core = core
        self._log = core.log

    @property
    def inside(self) -> Core:
        """The state itself, for simulation and tests that look on and change nothing."""
        return self._core

    @property
    def member_id(self) -> int:
        """This member."""
        return self._core.member_id

    @property
    def term(self) -> int:
        """Present term, possibly not durable yet."""
        return self._core.term

    @property
    def vote(self) -> int:
        """Whom this member voted for in the present term; 0 for nobody."""
        return self._core.vote

    @property
    def role(self) -> Role:
        """Present role."""
        return self._core.role

    @property
    def leader_id(self) -> int:
        """Leader of the present term as far as known; 0 for none."""
        return self._core.leader_id

    @property
    def commit(self) -> int:
        """Commit index."""
        return self._log.commit

    @property
    def stable(self) -> int:
        """Highest index durable in the own log."""
        return self._log.stable

    @property
    def applying(self) -> int:
        """Highest index handed out to be applied."""
        return self._log.applying

    @property
    def applied(self) -> int:
        """Highest index the driver reported applied."""
        return self._log.applied

    @property
    def last_index(self) -> int:
        """Last index of the log, stable or not."""
        return self._log.last_index

    @property
    def conf_state(self) -> ConfState:
        """Configuration in force: as of the applied index, or of a snapshot just received."""
        return self._core.tracker.conf

    @property
    def has_committed_in_term(self) -> bool:
        """True for a leader that has committed an entry of its own term."""
        return self._core.has_committed_in_term

    @property
    def transferee(self) -> int:
        """Whom a leader is handing over to; 0 for nobody. Proposals are refused meanwhile."""
        return self._core.transferee

    def status(self) -> Status:
        """A frozen copy of everything worth showing."""
        core, log = self._core, self._log
        progress = core.tracker.progress if core.role is Role.LEADER else {}
        return Status(
            member_id=core.member_id,
            term=core.term,
            vote=core.vote,
            role=core.role,
            leader_id=core.leader_id,
            commit=log.commit,
            stable=log.stable,
            applying=log.applying,
            applied=log.applied,
            first_index=log.first_index,
            last_index=log.last_index,
            conf_state=core.tracker.conf,
            transferee=core.transferee,
            uncommitted_bytes=core.uncommitted_bytes,
            progress={
                member_id: ProgressStatus(
                    match=one.match,
                    next=one.next,
                    state=one.state,
                    recent_active=one.recent_active,
                    pending_snapshot=one.pending_snapshot,
                    is_learner=one.is_learner,
                    inflight_count=one.inflight_count,
                    inflight_bytes=one.inflight_bytes,
                )
                for member_id, one in progress.items()
            },
        )

    def describe(self) -> str:
        """The status as text for people."""
        status = self.status()
        lines = [
            f"raft member {status.member_id}: {status.role.name} term={status.term} vote={status.vote} leader={status.leader_id}",
            f"  log [{status.first_index}, {status.last_index}] applied={status.applied} applying={status.applying}"
            f" stable={status.stable} commit={status.commit}",
            f"  voters={format_conf(status.conf_state)}",
        ]
        lines += [
            f"  {member_id}: {one.state.name} match={one.match} next={one.next} inflight={one.inflight_count}"
            + (" learner" if one.is_learner else "")
            + ("" if one.recent_active else " silent")
            for member_id, one in status.progress.items()
        ]
        return "\n".join(lines)

    def check_invariants(self) -> None:
        """Asserts the invariants of everything inside."""
        self._core.check_invariants()
