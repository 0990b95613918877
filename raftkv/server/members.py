"""Changes of the members: checked and proposed by the leader, passed on to it by the others, answered when applied here.

A change is proposed once (design §4 rule 13). While the leader takes none (another one is unapplied, it has committed
nothing in its term, it hands leadership over first), the change waits, unproposed, and may move on to the next leader.
Rules and texts: spec/etcd-behaviour.md §1.5 (etcd's server.go, mayAddMember, mayRemoveMember, PromoteMember). Loop only.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from raftkv.errors import (
    LearnerNotReadyError,
    MemberBadURLsError,
    MemberExistError,
    MemberNotEnoughStartedError,
    MemberNotFoundError,
    MemberNotLearnerError,
    NotLeaderError,
    PeerURLExistError,
    RaftKVError,
    RequestError,
    RequestTooManyRequestsError,
    StoppedError,
    TimeoutError,
    TooManyLearnersError,
    UnhealthyError,
)
from raftkv.pb import peer
from raftkv.raft.confchange import ChangeKind as StepKind
from raftkv.raft.confchange import ChangeStep, ConfChange
from raftkv.raft.proposals import ProposalDroppedError
from raftkv.state.membership import ChangeKind, Member, MemberChange, member_id

if TYPE_CHECKING:
    from raftkv.server.member import MemberCore

log = logging.getLogger("raftkv.server")

PATH = "/raftkv.Peer/MemberChange"

HEALTHY_S = 5.0
"""A connection to a member counts once it is as old as this (etcd's HealthInterval)."""

READY_SHARE = 0.9
"""Of the leader's log, which a learner must have to be promoted (etcd's readyPercentThreshold)."""

WAITING_MAX = 100
"""Changes under way at one member; beyond it one is refused. No cluster changes so much at once."""

_SCHEMES = ("http", "https", "unix", "unixs")

_REFUSALS: dict[str, type[RaftKVError]] = {
    error.text: error
    for error in (
        LearnerNotReadyError,
        MemberBadURLsError,
        MemberExistError,
        MemberNotEnoughStartedError,
        MemberNotFoundError,
        MemberNotLearnerError,
        PeerURLExistError,
        TooManyLearnersError,
        UnhealthyError,
    )
}
"""What a leader answers to the member that asked, by its text."""

ChangeDone = Callable[[int, Exception | None], None]
"""(id of the member that was changed, None), once this member has applied the change; or (0, the reason)."""


class Members:
    """Invariants: 1. every `done` is called exactly once, never inside the call that was given it; 2. a change that was
    proposed, or passed on and not given back, is never proposed or passed on again.
    """

    def __init__(self, core: MemberCore, *, timeout_s: float, strict: bool, learners_max: int) -> None:
        """`strict`: refuse what would leave the cluster without a quorum (etcd's --strict-reconfig-check)."""
        self._core = core
        self._timeout_s = timeout_s
        self._strict = strict
        self._learners_max = learners_max
        self._asked: dict[int, tuple[float, ChangeDone]] = {}
        """Deadline and caller of each change asked for here, by request id, in order of age."""
        self._unsent: list[peer.MemberChangeRequest] = []
        """Those of them that no leader has taken yet."""

    # Asking.

    def change(self, kind: ChangeKind, number: int, urls: Iterable[str], is_learner: bool, done: ChangeDone) -> None:
        """Adds (the id is found by the leader), removes, updates or promotes a member."""
        core = self._core
        try:
            if core.stopping:
                raise StoppedError
            if kind in (ChangeKind.ADD, ChangeKind.UPDATE):
                urls = check_urls(urls)
            if len(self._asked) >= WAITING_MAX:
                raise RequestTooManyRequestsError
        except RaftKVError as error:
            core.loop.call_soon(done, 0, error)
            return
        request_id = core.proposals.new_request_id()
        self._asked[request_id] = core.loop.time() + self._timeout_s, done
        request = peer.MemberChangeRequest(kind=kind, id=number, peer_urls=sorted(urls), is_learner=is_learner, request_id=request_id)
        self._unsent.append(request)
        # Not at once: a refusal never comes from inside the call that asked.
        core.loop.call_soon(core.guarded, self._send)

    def tick(self, now_s: float) -> None:
        """Tries again what no leader has taken, and ends what waited too long."""
        if not self._asked:
            return
        self._send()
        for request_id in [one for one, (deadline_s, _) in self._asked.items() if now_s >= deadline_s]:
            self._end(request_id, TimeoutError())

    def stop(self) -> None:
        """Ends everything: what was not sent had no effect, the rest may have one."""
        unsent = {request.request_id for request in self._unsent}
        for request_id in list(self._asked):
            self._end(request_id, StoppedError() if request_id in unsent else TimeoutError())

    def _end(self, request_id: int, error: Exception | None, number: int = 0) -> None:
        self._unsent = [request for request in self._unsent if request.request_id != request_id]
        asked = self._asked.pop(request_id, None)
        if asked is not None:
            asked[1](number, error)

    def _send(self) -> None:
        core = self._core
        if core.stopping or core.failure.done():
            return
        unsent, self._unsent = self._unsent, []
        for request in unsent:
            if core.pipeline.is_leader():
                self._lead(request)
            elif core.node.leader_id and core.peers.reaches(core.node.leader_id):
                self._pass_on(request)
            else:
                self._unsent.append(request)

    def _lead(self, request: peer.MemberChangeRequest) -> None:
        try:
            self._propose(request)
        except ProposalDroppedError:
            self._unsent.append(request)
        except RaftKVError as error:
            self._end(request.request_id, error)

    def _pass_on(self, request: peer.MemberChangeRequest) -> None:
        core = self._core

        def on_reply(body: bytes | None, error: Exception | None) -> None:
            reply = peer.MemberChangeReply.FromString(body) if body is not None else None
            if isinstance(error, ConnectionError) or (reply is not None and reply.again):
                if request.request_id in self._asked:
                    self._unsent.append(request)
            elif reply is not None and reply.error:
                self._end(request.request_id, _REFUSALS.get(reply.error, RequestError)(reply.error))
            # Proposed, or its fate is not known: it comes out of the log, or the deadline ends the wait.

        deadline_s = self._asked[request.request_id][0]
        core.peers.ask(core.node.leader_id, PATH, request.SerializeToString(), on_reply, deadline_s)

    # Leading.

    def on_peer_change(self, body: bytes, done: Callable[[bytes], None]) -> None:
        """A change another member passed on; `done` takes the encoded reply."""
        reply = peer.MemberChangeReply()
        try:
            if not self._core.pipeline.is_leader():
                raise ProposalDroppedError(NotLeaderError.text)
            self._propose(peer.MemberChangeRequest.FromString(body))
        except ProposalDroppedError:
            reply.again = True
        except RaftKVError as error:
            reply.error = str(error)
        done(reply.SerializeToString())

    def _propose(self, request: peer.MemberChangeRequest) -> None:
        """Raises ProposalDroppedError when it may be tried again, else what etcd answers."""
        core = self._core
        change = self._checked(request)
        if change.kind == ChangeKind.REMOVE:
            step = StepKind.REMOVE
        elif change.member.is_learner and change.kind != ChangeKind.PROMOTE:
            step = StepKind.ADD_LEARNER
        else:
            # An update makes it again what it is: consensus knows no addresses.
            step = StepKind.ADD_VOTER
        core.node.propose_change(ConfChange((ChangeStep(step, change.member.id),), context=change.encode()))
        core.pipeline.wake()

    def _checked(self, request: peer.MemberChangeRequest) -> MemberChange:
        """The change as it goes into the log. Raises what etcd answers."""
        core = self._core
        members = core.machine.members
        kind, number = ChangeKind(request.kind), request.id
        known = members.get(number)
        if kind == ChangeKind.ADD:
            number = member_id(request.peer_urls, "", int(core.clock.wall_s()))
            member = Member(number, "", tuple(request.peer_urls), (), request.is_learner)
            if self._strict:
                self._check_add(member)
        elif known is None:
            raise MemberNotFoundError
        elif kind == ChangeKind.UPDATE:
            member = known._replace(peer_urls=tuple(request.peer_urls))
        else:
            member = known
        change = MemberChange(kind, member, request_id=request.request_id)
        if kind == ChangeKind.REMOVE and self._strict and not member.is_learner:
            self._check_remove(member)
        members.check(change)
        if kind == ChangeKind.ADD and member.is_learner and len(core.node.conf_state.learners) >= self._learners_max:
            raise TooManyLearnersError
        if kind == ChangeKind.PROMOTE:
            self._check_promote(member)
        return change

    def _voters(self) -> list[Member]:
        return [member for member in self._core.machine.members.all() if not member.is_learner]

    def _active_count(self) -> int:
        """This member and the voters it has been connected with for long enough."""
        core = self._core
        voters = {member.id for member in self._voters()}
        return 1 + len(voters.intersection(core.peers.connected_since(core.loop.time() - HEALTHY_S)))

    def _check_add(self, member: Member) -> None:
        voters = self._voters()
        started = sum(one.started for one in voters)
        after = len(voters) + 1
        if len(voters) == 1 and started == 1:
            # Nobody else could be reached: a cluster of one may always grow.
            return
        if not member.is_learner and started < after // 2 + 1:
            raise MemberNotEnoughStartedError
        if self._active_count() < after // 2 + 1:
            raise UnhealthyError

    def _check_remove(self, member: Member) -> None:
        core = self._core
        voters = self._voters()
        remaining = [one for one in voters if one.id != member.id]
        if not remaining or sum(one.started for one in remaining) < len(remaining) // 2 + 1:
            raise MemberNotEnoughStartedError
        if member.id != core.member_id and member.id not in core.peers.connected():
            # It is down already: the quorum does not rest on it.
            return
        if self._active_count() - 1 < len(remaining) // 2 + 1:
            raise UnhealthyError

    def _check_promote(self, member: Member) -> None:
        progress = self._core.node.status().progress
        leader, learner = progress[self._core.member_id], progress.get(member.id)
        if learner is None or learner.match < leader.match * READY_SHARE:
            raise LearnerNotReadyError
        voters = self._voters()
        if self._strict and 1 + sum(one.started for one in voters) < (len(voters) + 1) // 2 + 1:
            raise MemberNotEnoughStartedError

    # Applying.

    def applied(self, change: MemberChange, index: int, error: Exception | None) -> None:
        """A change of the log was applied here, or refused by every member alike."""
        fields = {
            "change": change.kind.name.lower(),
            "changed-member-id": f"{change.member.id:x}",
            "peer-urls": list(change.member.peer_urls),
        }
        if error is not None:
            log.warning("a membership change was refused", extra={"fields": {**fields, "error": str(error)}})
        else:
            log.info("applied a membership change", extra={"fields": fields})
        self._end(change.request_id, error, change.member.id)


def check_urls(urls: Iterable[str]) -> tuple[str, ...]:
    """Refuses what is no peer URL: without a scheme of a member, host or port, or with a path. Raises MemberBadURLsError."""
    checked = []
    for url in urls:
        try:
            parts = urlsplit(url)
            if parts.scheme not in _SCHEMES or parts.path not in ("", "/") or parts.hostname is None or parts.port is None:
                raise MemberBadURLsError
        except ValueError as error:
            raise MemberBadURLsError from error
        checked.append(url)
    if not checked:
        raise MemberBadURLsError
    return tuple(checked)
