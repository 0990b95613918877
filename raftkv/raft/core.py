"""The state of one consensus member and its role changes; what election, replication and the rest act upon.

Nothing here decides: `election.py`, `replication.py`, `heartbeat.py` and `proposals.py` do, `step.py` dispatches to
them, `raw_node.py` is the way in. Owns the outbox and the one rule about it: a message leaves at once only when what it
says is already durable (`send`), and otherwise with the newest write (`send_held`). Source: thesis ch. 3; etcd-io/raft.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

from raftkv.raft.confchange import check_conf_state
from raftkv.raft.config import RaftConfig
from raftkv.raft.log import RaftLog
from raftkv.raft.messages import Entry, EntryKind, Message, ReadState, Role, new_append_reply
from raftkv.raft.read_index import ReadRounds
from raftkv.raft.storage import Storage
from raftkv.raft.trace import Trace, TraceEvent, TraceKind
from raftkv.raft.tracker import Tracker

_LEADER = Role.LEADER
TRANSITIONS = frozenset(
    {
        (Role.FOLLOWER, Role.FOLLOWER),
        (Role.FOLLOWER, Role.PRE_CANDIDATE),
        (Role.FOLLOWER, Role.CANDIDATE),
        (Role.PRE_CANDIDATE, Role.FOLLOWER),
        (Role.PRE_CANDIDATE, Role.PRE_CANDIDATE),
        (Role.PRE_CANDIDATE, Role.CANDIDATE),
        (Role.CANDIDATE, Role.FOLLOWER),
        (Role.CANDIDATE, Role.PRE_CANDIDATE),
        (Role.CANDIDATE, Role.CANDIDATE),
        (Role.CANDIDATE, Role.LEADER),
        (Role.LEADER, Role.FOLLOWER),
    }
)
"""Role changes that may happen (thesis fig. 3.3, with the pre-candidate of §9.6). Any other is a bug."""


class Core:
    """One member's state.

    Invariants:
    1. The vote is for a member of the present term only; the term never falls.
    2. A leader knows itself as leader, and its term began at an entry in its log.
    3. A leader's own match is its stable index: it counts itself only for what is durable.
    4. commit never falls; a leader moves it only to entries of its own term, counted on a quorum.
    5. Reads, a transfer and the account of uncommitted bytes exist at a leader only.
    """

    __slots__ = (
        "_randrange",
        "_trace",
        "campaign_due",
        "change_to_commit",
        "change_write",
        "commit_write_due",
        "config",
        "durable_write",
        "election_elapsed",
        "election_timeout_ticks",
        "flush_due",
        "hard_state_changed",
        "hard_state_write",
        "heartbeat_elapsed",
        "held",
        "leader_id",
        "log",
        "member_id",
        "messages",
        "pending_change_index",
        "read_states",
        "reads",
        "role",
        "storage",
        "term",
        "term_start_index",
        "tracker",
        "transferee",
        "uncommitted_batches",
        "uncommitted_bytes",
        "vote",
        "write_number",
    )

    def __init__(self, config: RaftConfig, storage: Storage, *, applied: int, randrange: Callable[[int], int], trace: Trace | None) -> None:
        config.validate()
        hard_state, conf = storage.initial_state()
        check_conf_state(conf)
        self.config = config
        self.member_id = config.member_id
        self.storage = storage
        self.log = RaftLog(storage, hard_state, applied=applied)
        self.tracker = Tracker(conf, inflight_max=config.inflight_max, inflight_bytes_max=config.inflight_bytes_max)
        self.reads = ReadRounds(config.reads_max)
        self.term = hard_state.term
        self.vote = hard_state.vote
        self.role = Role.FOLLOWER
        self.leader_id = 0
        self.election_elapsed = 0
        self.heartbeat_elapsed = 0
        self.election_timeout_ticks = 0
        self.transferee = 0
        self.term_start_index = 0
        """Index of the entry this leader's term began with."""
        self.pending_change_index = 0
        """No change may be proposed until applied has reached this index (design §4 rule 16)."""
        self.campaign_due = False
        """True when a leader handed over to this member before it had applied a change it knows committed."""
        self.messages: list[Message] = []
        self.held: list[Message] = []
        self.read_states: list[ReadState] = []
        self.flush_due = False
        """True when the leader may have something to send; `replication.flush` finds out."""
        self.hard_state_changed = False
        """True when term or vote changed since the last Ready."""
        self.commit_write_due = False
        """True when the commit index is to be written though nothing else is: it reached a configuration change."""
        self.change_to_commit = 0
        """Index of a change that a quorum has, and that counts as committed once the own disk knows. See `_hold_back`."""
        self.change_write = 0
        """Write number that tells the disk so; 0 before it is handed out."""
        self.hard_state_write = 0
        """Write number that carries the present term and vote."""
        self.write_number = 0
        self.durable_write = 0
        self.uncommitted_bytes = 0
        self.uncommitted_batches: deque[tuple[int, int]] = deque()
        self._randrange = randrange
        self._trace = trace
        self.draw_election_timeout()

    @property
    def is_term_durable(self) -> bool:
        """True when a crash now would not forget the present term and vote."""
        return not self.hard_state_changed and self.durable_write >= self.hard_state_write

    @property
    def has_committed_in_term(self) -> bool:
        """True for a leader whose commit index is known to be the newest: an entry of its own term is committed."""
        return self.role is Role.LEADER and self.log.commit >= self.term_start_index

    def emit(self, kind: TraceKind, *, peer: int = 0, detail: str = "") -> None:
        """Tells the trace, if there is one."""
        if self._trace is not None:
            self._trace(TraceEvent(kind, self.member_id, self.term, peer, detail))

    def send(self, message: Message) -> None:
        """Queues a message that depends on the present term at most; it waits while that is not durable."""
        # What `is_term_durable` says; asked for every message, and a property costs more than all of this.
        if self.durable_write >= self.hard_state_write and not self.hard_state_changed:
            self.messages.append(message)
        else:
            self.held.append(message)

    def send_held(self, message: Message) -> None:
        """Queues a message that depends on all that was written or is about to be: votes and acknowledgements."""
        self.held.append(message)

    def reply_append(self, to: int, index: int) -> None:
        """Acknowledges everything up to `index`, once it is durable."""
        self.held.append(new_append_reply(to, self.member_id, self.term, index))

    def draw_election_timeout(self) -> None:
        """Draws a fresh timeout of [1, 2) times the election ticks."""
        self.election_timeout_ticks = self.config.election_ticks + self._randrange(self.config.election_ticks)

    def set_vote(self, member_id: int) -> None:
        """Votes in the present term; counts once durable."""
        assert self.vote in (0, member_id), "a member votes once in a term"
        if self.vote != member_id:
            self.vote = member_id
            self.hard_state_changed = True

    def set_leader(self, member_id: int) -> None:
        """Follows a leader of the present term, or none."""
        if member_id != self.leader_id:
            kind = TraceKind.LEADER_FOUND if member_id else TraceKind.LEADER_LOST
            self.emit(kind, peer=member_id or self.leader_id)
            self.leader_id = member_id

    def become_follower(self, term: int, leader_id: int) -> None:
        """Follows `leader_id` (0: nobody yet) in `term`, which is not below the present one."""
        self._change_role(Role.FOLLOWER, term)
        self.set_leader(leader_id)
        self.emit(TraceKind.BECAME_FOLLOWER, peer=leader_id)

    def become_pre_candidate(self) -> None:
        """Asks whether it could win; term and vote stay as they are (thesis §9.6)."""
        self._change_role(Role.PRE_CANDIDATE, self.term)
        self.emit(TraceKind.BECAME_PRE_CANDIDATE)

    def become_candidate(self) -> None:
        """Stands for election in the next term and votes for itself."""
        self._change_role(Role.CANDIDATE, self.term + 1)
        self.set_vote(self.member_id)
        self.emit(TraceKind.BECAME_CANDIDATE)

    def become_leader(self) -> None:
        """Leads the present term, beginning with an empty entry of it (thesis §6.4 and §3.6.2)."""
        log = self.log
        self._change_role(Role.LEADER, self.term)
        self.leader_id = self.member_id
        self.tracker.restart(last_index=log.last_index)
        own = self.tracker.progress.get(self.member_id)
        if own is not None:
            own.become_replicate()
            own.recent_active = True
            own.maybe_update(log.stable)
        # A change that an earlier leader left in the log may still be committed; until it is applied there is no other.
        self.pending_change_index = log.find_change(log.applied + 1, log.last_index + 1)
        self.term_start_index = log.last_index + 1
        log.extend([Entry(self.term, self.term_start_index, EntryKind.NORMAL, b"")])
        self.flush_due = True
        self.emit(TraceKind.BECAME_LEADER, detail=f"first index {self.term_start_index}")

    def maybe_commit(self) -> bool:
        """Moves a leader's commit index to what a quorum has durable, if that is of its own term (thesis §3.6.2)."""
        index = self._hold_back(self.tracker.match_of_quorum())
        if index <= self.log.commit or index < self.term_start_index:
            return False
        self.log.commit_to(index)
        batches = self.uncommitted_batches
        while batches and batches[0][0] <= index:
            self.uncommitted_bytes -= batches.popleft()[1]
        self.flush_due = True
        return True

    def on_hard_state(self, write_number: int) -> None:
        """A hard state goes out under this number."""
        self.commit_write_due = False
        if self.hard_state_changed:
            self.hard_state_changed = False
            self.hard_state_write = write_number
        if self.change_to_commit and not self.change_write:
            self.change_write = write_number

    def check_invariants(self) -> None:
        """Asserts the class's invariants by number, and those of what it holds."""
        self.log.check_invariants()
        self.tracker.check_invariants()
        self.reads.check_invariants()
        check_conf_state(self.tracker.conf)
        is_leader = self.role is _LEADER
        assert self.vote == 0 or self.term > 0, "1"
        if is_leader:
            assert self.leader_id == self.member_id, "2"
            assert 0 < self.term_start_index <= self.log.last_index, "2"
            assert self.log.last_term == self.term, "2"
            own = self.tracker.progress.get(self.member_id)
            assert own is None or own.match == self.log.stable, "3"
            assert self.log.commit < self.term_start_index or self.log.term(self.log.commit) == self.term, "4"
            assert self.uncommitted_bytes == sum(size for _, size in self.uncommitted_batches), "5"
        else:
            assert self.leader_id != self.member_id, "2"
            assert not self.reads.is_waiting and not self.reads.newest_context(), "5"
            assert self.transferee == 0 and self.uncommitted_bytes == 0 and not self.uncommitted_batches, "5"

    def _hold_back(self, index: int) -> int:
        """How much of `index`, which a quorum has, may be committed now: nothing from a change on that the own disk does
        not know to be committed.

        A member that leaves on the word of its leader cannot help the leader to learn that word again: were it forgotten
        in a crash, a leader of two would come back needing the vote of one that is gone, or whose log is longer.
        """
        change = self.pending_change_index
        if not self.log.commit < change <= index:
            return index
        if self.change_to_commit != change:
            self.change_to_commit = change
            self.change_write = 0
            self.commit_write_due = True
        if 0 < self.change_write <= self.durable_write:
            return index
        return change - 1

    def _change_role(self, role: Role, term: int) -> None:
        assert (self.role, role) in TRANSITIONS, f"{self.role.name} never becomes {role.name}"
        assert term >= self.term, "the term never falls"
        if term != self.term:
            self.term = term
            self.vote = 0
            self.hard_state_changed = True
        self.role = role
        self.leader_id = 0
        self.election_elapsed = 0
        self.heartbeat_elapsed = 0
        self.draw_election_timeout()
        self.transferee = 0
        self.campaign_due = False
        self.pending_change_index = 0
        self.change_to_commit = 0
        self.change_write = 0
        self.tracker.votes.clear()
        self.reads.clear()
        self.uncommitted_bytes = 0
        self.uncommitted_batches.clear()
        self.flush_due = False
