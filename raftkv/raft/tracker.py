"""What a leader knows about every member: progress, the inflight window, and the votes of an election.

Hot path: `Progress` is touched once per message, never per entry. Source: etcd-io/raft tracker/.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from enum import IntEnum
from operator import attrgetter

from raftkv.raft.messages import ConfState
from raftkv.raft.quorum import VoteResult, has_quorum, quorum_index, vote_result


class ProgressState(IntEnum):
    """How the leader sends to one member."""

    PROBE = 0
    """Where its log agrees is not known: one append at a time."""

    REPLICATE = 1
    """It agrees up to match: appends are pipelined up to the inflight window."""

    SNAPSHOT = 2
    """A snapshot is on its way: no appends until its outcome is known."""


_MATCH = attrgetter("match")
_PROBE, _REPLICATE = ProgressState.PROBE, ProgressState.REPLICATE


class Progress:
    """One member seen from the leader.

    Invariants: 1. match < next; 2. the window is used in REPLICATE only and its bytes add up;
    3. pending_snapshot is set in SNAPSHOT only.
    """

    __slots__ = (
        "_bytes_max",
        "_inflight",
        "_inflight_max",
        "inflight_bytes",
        "is_learner",
        "match",
        "member_id",
        "next",
        "pending_snapshot",
        "probe_sent",
        "recent_active",
        "sent_commit",
        "state",
    )

    def __init__(self, member_id: int, *, next_index: int, is_learner: bool, inflight_max: int, inflight_bytes_max: int) -> None:
        self.member_id = member_id
        self.match = 0
        self.next = next_index
        self.state = ProgressState.PROBE
        self.pending_snapshot = 0
        self.probe_sent = False
        # A new member counts as heard from, so that adding it does not cost the leader its quorum at the next check.
        self.recent_active = True
        self.is_learner = is_learner
        self.sent_commit = 0
        self.inflight_bytes = 0
        self._inflight: deque[tuple[int, int]] = deque()
        self._inflight_max = inflight_max
        self._bytes_max = inflight_bytes_max

    @property
    def is_paused(self) -> bool:
        """True when no entries may be sent now."""
        if self.state is _REPLICATE:
            return len(self._inflight) >= self._inflight_max or self.inflight_bytes >= self._bytes_max
        return self.probe_sent if self.state is _PROBE else True

    @property
    def inflight_count(self) -> int:
        """Append messages with entries that are not acknowledged."""
        return len(self._inflight)

    def become_probe(self) -> None:
        """Sends one append at a time again, after a reject, a loss, or the end of a snapshot."""
        self.next = max(self.match, self.pending_snapshot) + 1
        self._reset(ProgressState.PROBE)
        self.sent_commit = min(self.sent_commit, self.next - 1)

    def become_replicate(self) -> None:
        """Pipelines from the first entry that is not acknowledged."""
        self._reset(ProgressState.REPLICATE)
        self.next = self.match + 1

    def become_snapshot(self, index: int) -> None:
        """Waits for the outcome of a snapshot at `index`."""
        self._reset(ProgressState.SNAPSHOT)
        self.pending_snapshot = index
        self.next = index + 1
        self.sent_commit = index

    def on_sent(self, *, last_index: int, size_bytes: int, commit: int) -> None:
        """Notes one append: up to `last_index`, with `size_bytes` of data, telling of `commit`."""
        if self.state is _PROBE:
            self.probe_sent = True
        elif last_index >= self.next:
            self.next = last_index + 1
            self._inflight.append((last_index, size_bytes))
            self.inflight_bytes += size_bytes
        self.sent_commit = commit

    def maybe_update(self, index: int) -> bool:
        """Takes an acknowledgement; False when it tells nothing new."""
        if index <= self.match:
            return False
        self.match = index
        self.probe_sent = False
        if index >= self.next:
            self.next = index + 1
        return True

    def free_to(self, index: int) -> None:
        """Takes what is acknowledged up to `index` out of the window."""
        inflight = self._inflight
        while inflight and inflight[0][0] <= index:
            self.inflight_bytes -= inflight.popleft()[1]

    def maybe_decrease(self, *, rejected: int, hint: int) -> bool:
        """Moves next back after a reject of the append that followed `rejected`; False when the reject is out of date."""
        if self.state is ProgressState.REPLICATE:
            if rejected <= self.match:
                return False
            self.next = self.match + 1
            return True
        if self.state is ProgressState.SNAPSHOT or self.next - 1 != rejected:
            return False
        self.next = max(min(rejected, hint + 1), self.match + 1)
        self.probe_sent = False
        return True

    def on_commit_told(self, commit: int) -> None:
        """Notes a heartbeat that told of `commit`, so that no append need tell it again."""
        if commit > self.sent_commit:
            self.sent_commit = commit

    def may_tell_commit(self, commit: int) -> bool:
        """True when an empty append would teach a follower in REPLICATE a newer commit index."""
        return self.sent_commit < commit and self.sent_commit < self.next - 1 and self.state is _REPLICATE

    def check_invariants(self) -> None:
        """Asserts the class's invariants by number."""
        assert self.match < self.next, "1"
        if self._inflight:
            assert self.state is _REPLICATE, "2"
            assert self.inflight_bytes == sum([size for _, size in self._inflight]), "2"
        else:
            assert self.inflight_bytes == 0, "2"
        assert self.pending_snapshot == 0 or self.state is ProgressState.SNAPSHOT, "3"

    def _reset(self, state: ProgressState) -> None:
        self.state = state
        self.probe_sent = False
        self.pending_snapshot = 0
        self._inflight.clear()
        self.inflight_bytes = 0


class Tracker:
    """The configuration in force and one `Progress` per member of it.

    Invariant: 1. progress has exactly the members of the configuration, in the order of their ids.
    """

    __slots__ = ("_inflight_bytes_max", "_inflight_max", "conf", "progress", "votes")

    def __init__(self, conf: ConfState, *, inflight_max: int, inflight_bytes_max: int) -> None:
        self._inflight_max = inflight_max
        self._inflight_bytes_max = inflight_bytes_max
        self.conf = conf
        self.progress: dict[int, Progress] = {}
        self.votes: dict[int, bool] = {}
        self.apply(conf, last_index=0)

    def apply(self, conf: ConfState, *, last_index: int) -> None:
        """Puts a configuration in force; members it keeps keep their progress."""
        old = self.progress
        self.conf = conf
        self.progress = {}
        for member_id in sorted({*conf.voters, *conf.voters_outgoing, *conf.learners, *conf.learners_next}):
            found = old.get(member_id) or self._new_progress(member_id, next_index=max(last_index, 1))
            found.is_learner = member_id in conf.learners
            self.progress[member_id] = found

    def restart(self, *, last_index: int) -> None:
        """Forgets what an earlier leadership knew."""
        self.progress = {
            member_id: self._new_progress(member_id, next_index=last_index + 1, is_learner=old.is_learner)
            for member_id, old in self.progress.items()
        }
        for progress in self.progress.values():
            progress.recent_active = False

    def is_voter(self, member_id: int) -> bool:
        """True for a member that votes in either half."""
        return member_id in self.conf.voters or member_id in self.conf.voters_outgoing

    def is_sole_voter(self, member_id: int) -> bool:
        """True when `member_id` is a quorum alone."""
        return self.conf.voters == (member_id,) and self.conf.voters_outgoing in ((), (member_id,))

    def voters(self) -> Iterable[int]:
        """Members that vote in either half, in the order of their ids."""
        return sorted({*self.conf.voters, *self.conf.voters_outgoing})

    def match_of_quorum(self) -> int:
        """The largest index that a quorum has durable."""
        progress = self.progress
        return quorum_index(self.conf, dict(zip(progress, map(_MATCH, progress.values()), strict=True)))

    def record_vote(self, member_id: int, *, granted: bool) -> VoteResult:
        """Notes a member's first vote and tells how the election stands."""
        self.votes.setdefault(member_id, granted)
        return vote_result(self.conf, self.votes)

    def take_quorum_active(self, member_id: int) -> bool:
        """True when a quorum was heard from since the last call; `member_id` is the leader, heard by itself."""
        active = {member_id}
        for progress in self.progress.values():
            if progress.recent_active:
                active.add(progress.member_id)
            progress.recent_active = False
        return has_quorum(self.conf, active)

    def check_invariants(self) -> None:
        """Asserts the class's invariants by number."""
        conf = self.conf
        members = {*conf.voters, *conf.voters_outgoing, *conf.learners, *conf.learners_next}
        assert list(self.progress) == sorted(members), "1"
        for progress in self.progress.values():
            progress.check_invariants()

    def _new_progress(self, member_id: int, *, next_index: int, is_learner: bool = False) -> Progress:
        return Progress(
            member_id,
            next_index=next_index,
            is_learner=is_learner,
            inflight_max=self._inflight_max,
            inflight_bytes_max=self._inflight_bytes_max,
        )
