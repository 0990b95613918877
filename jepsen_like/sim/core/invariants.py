"""What must hold of a whole cluster at every event, whatever happened to it (spec: faults.md §3c).

Each rule has a name, which a broken run's verdict carries. Seen from outside consensus: from messages as they leave,
writes as they are handed out or durable, entries as they are applied. What was true once is remembered, so an event is
looked at in constant time. Hot path: called for every turn, message and entry of the simulation.
"""

from __future__ import annotations

from collections.abc import Callable, Container
from functools import lru_cache
from itertools import cycle
from typing import TYPE_CHECKING

from raftkv.raft.messages import TRANSFER_CONTEXT, ConfState, Entry, HardState, Message, MessageKind, ReadState, Role, SnapshotMeta
from raftkv.raft.storage import CompactedIndexError, UnavailableIndexError
from raftkv.raft.tracker import ProgressState

if TYPE_CHECKING:
    from jepsen_like.sim.core.member import Member

_LEADER = Role.LEADER
_APPEND = int(MessageKind.APPEND)
_APPEND_REPLY = int(MessageKind.APPEND_REPLY)
_PRE_VOTE = int(MessageKind.PRE_VOTE)
_PRE_VOTE_REPLY = int(MessageKind.PRE_VOTE_REPLY)
_VOTE = int(MessageKind.VOTE)
_VOTE_REPLY = int(MessageKind.VOTE_REPLY)
_SNAPSHOT = int(MessageKind.SNAPSHOT)
_GRANTS = (_VOTE_REPLY, _PRE_VOTE_REPLY)
_OF_DISK = frozenset({_APPEND_REPLY, _VOTE, _VOTE_REPLY, _SNAPSHOT})
"""Messages that say more of their sender's disk than its term."""
_OF_LEADERS = (_APPEND, int(MessageKind.HEARTBEAT), _SNAPSHOT)
_SNAPSHOT_STATE = ProgressState.SNAPSHOT
_TERM_BITS = 24
"""A key of `written` is the index above, the term below these bits."""


_INSIDE_EVERY = 16
"""Turns between two looks at what consensus itself asserts of its state, which costs as much as a turn."""


class InvariantError(Exception):
    """A rule was broken. `rule` is its name, `detail` what was seen."""

    def __init__(self, rule: str, detail: str) -> None:
        super().__init__(f"{rule}: {detail}")
        self.rule = rule
        self.detail = detail


class Invariants:
    """Sees everything, remembers what was ever true, and raises `InvariantError` as soon as it is not."""

    def __init__(self, members: dict[int, Member], conf: ConfState) -> None:
        self.commit = 0
        """The highest index ever committed anywhere."""
        self.applied: list[Entry] = []
        """What every member applies, in order; the entry of index i stands at i - 1."""
        self.confs: dict[int, ConfState] = {0: conf}
        self.newest_conf = conf
        self.leaders: dict[int, int] = {}
        self.refused: set[bytes] = set()
        """Proposals a client was told had no effect."""
        self._members = members
        self._written: dict[int, tuple[Entry, int]] = {}
        self._votes: dict[tuple[int, int], int] = {}
        self._committed: list[tuple[int, int]] = [(0, 0)]
        self._proposals: dict[bytes, int] = {}
        self._is_due = cycle([*[False] * (_INSIDE_EVERY - 1), True]).__next__
        self._changes: set[tuple[int, int]] = set()

    def on_written(self, member: Member, entries: tuple[Entry, ...]) -> None:
        """Log matching: an index and a term name one entry and one entry before it, everywhere."""
        written = self._written
        before = member.log.term(entries[0].index - 1)
        for entry in entries:
            term = entry.term
            key = (entry.index << _TERM_BITS) | term
            known = written.get(key)
            if known is None:
                written[key] = (entry, before)
            elif (known[0] is not entry and known[0] != entry) or known[1] != before:
                raise InvariantError("log matching", f"{known} at one member, {(before, entry)} at {member.id}")
            before = term
            if entry.kind:
                self._on_change_written(member, entry)

    def _on_change_written(self, member: Member, entry: Entry) -> None:
        """No log holds two changes of which neither is known to be committed. A leader's first follows a commit of its own term, and
        each the one before it, in force at the leader: on that configuration it was decided."""
        core = member.core
        if core.role is _LEADER and entry.term == core.term and self._committed[member.log.commit][0] != core.term:
            raise InvariantError("no change before a commit of the own term", f"leader {member.id} of term {core.term} at {entry.index}")
        log = member.log
        if core.role is _LEADER and entry.term == core.term:
            inherited = [index for index, term in self._changes if log.applied < index < entry.index and log.matches(index, term)]
            if inherited:
                raise InvariantError("one change at a time", f"leader {member.id} adds {entry.index}, has yet to apply {sorted(inherited)}")
        self._changes.add((entry.index, entry.term))
        above = [index for index, term in self._changes if self.commit < index <= entry.index and log.matches(index, term)]
        if len(above) > 1:
            raise InvariantError("one change at a time", f"changes at {sorted(above)} at member {member.id}")

    def on_durable(self, member: Member, before: HardState, after: HardState) -> None:
        """Term and vote on the disk: the term never falls, a vote is given once a term."""
        if after.term < before.term or (after.term == before.term and before.vote not in (0, after.vote)):
            raise InvariantError("term and vote monotone", f"member {member.id}: {before}, then {after}")
        last = member.storage.last_index()
        if after.commit > last:
            raise InvariantError("commit within the log", f"member {member.id} stores {after} above {last}")
        if member.node is not None and member.log.applied > last:
            raise InvariantError(
                "applied within commit and disk", f"member {member.id}: applied {member.log.applied}, its disk ends at {last}"
            )

    def on_released(self, member: Member, messages: tuple[Message, ...]) -> bool:
        """Durable before dependent message: what a message says of its sender's disk is true when it leaves. True when a
        snapshot is among them."""
        durable_term = member.storage.hard_state.term
        is_snapshot_among = False
        for message in messages:
            kind = message.kind
            term = message.term
            if durable_term < term and not (
                (kind == _PRE_VOTE and durable_term >= term - 1) or (kind == _PRE_VOTE_REPLY and not message.reject)
            ):
                durable = member.storage.hard_state
                raise InvariantError("term durable before message", f"member {member.id} has {durable} on disk and sends {message}")
            if kind not in _OF_DISK:
                continue
            if kind == _APPEND_REPLY:
                if durable_term == term and not message.reject:
                    self._on_acknowledgement(member, message)
            elif kind == _VOTE:
                self._on_vote(member, term, member.id)
            elif kind == _VOTE_REPLY:
                if not message.reject:
                    self._on_vote(member, term, message.to)
            elif message.snapshot is not None:
                is_snapshot_among = True
                self._on_snapshot_sent(member, message.snapshot)
        return is_snapshot_among

    def _on_vote(self, member: Member, term: int, candidate: int) -> None:
        durable = member.storage.hard_state
        if durable.term == term and durable.vote != candidate:
            raise InvariantError("vote durable before message", f"member {member.id} votes for {candidate}, its disk has {durable}")
        if self._votes.setdefault((term, member.id), candidate) != candidate:
            raise InvariantError("one vote a term", f"member {member.id} in term {term}")

    def _on_acknowledgement(self, member: Member, message: Message) -> None:
        """The disk holds up to the index what the leader of that term holds there."""
        index = message.index
        try:
            stored = member.storage.term(index)
        except UnavailableIndexError:
            last = member.storage.last_index()
            raise InvariantError("entries durable before acknowledgement", f"member {member.id}: {message} above {last}") from None
        except CompactedIndexError:
            return
        leader = self._members.get(self.leaders.get(message.term, 0))
        if leader is None or leader.node is None or leader.core.term != message.term or leader.core.role is not _LEADER:
            return
        log = leader.log
        # The newest entry of all is what is mostly acknowledged, and the quickest to compare.
        if stored != log.last_term if index == log.last_index else log.first_index <= index and not log.matches(index, stored):
            raise InvariantError("acknowledged what the leader has", f"member {member.id} acknowledges {index} to {leader.id}")

    def _on_snapshot_sent(self, member: Member, snapshot: SnapshotMeta) -> None:
        if snapshot.index > member.log.commit or snapshot.index > self.commit:
            raise InvariantError("snapshot within commit", f"member {member.id} sends {snapshot.index}")
        if snapshot.term != self._committed[snapshot.index][0]:
            raise InvariantError("state machine safety", f"snapshot {snapshot} at {member.id}")
        at = max(index for index in self.confs if index <= snapshot.index)
        if self.confs[at] != snapshot.conf_state:
            raise InvariantError("snapshot carries its configuration", f"{snapshot} at {member.id}, not {self.confs[at]}")

    def on_match(self, leader: Member, peer: int) -> None:
        """After an acknowledgement: the leader believes no more than stands on that member's disk, and goes on above it."""
        core = leader.core
        progress = core.tracker.progress.get(peer)
        if progress is None:
            return
        if progress.next <= progress.match:
            raise InvariantError("next above match", f"leader {leader.id} of {peer}: {progress.next}, {progress.match}")
        if progress.state is _SNAPSHOT_STATE and progress.match + 1 >= leader.log.first_index:
            raise InvariantError("who needs no snapshot is sent entries", f"{peer} at leader {leader.id}: {progress.match}")
        found = self._members.get(peer)
        if found is not None and found.storage.hard_state.term == core.term and progress.match > found.storage.last_index():
            raise InvariantError("match within the follower's disk", f"{peer} at leader {leader.id}: {progress.match}")

    def on_vote_asked(self, member: Member, message: Message, step: Callable[[Message], None]) -> None:
        """Leader stickiness (thesis §4.2.3): who heard of its leader within the shortest election timeout helps nobody to depose it."""
        core = member.core
        held_back = (
            core.config.check_quorum
            and core.leader_id != 0
            and core.election_elapsed < core.config.election_ticks
            and message.term > core.term
            and message.context != TRANSFER_CONTEXT
        )
        term, leader_id, before, held_before = core.term, core.leader_id, len(core.messages), len(core.held)
        role, elapsed = core.role, core.election_elapsed
        step(message)
        if message.kind == _PRE_VOTE and core.election_elapsed < elapsed and (core.role, core.term) == (role, term):
            raise InvariantError("who only asks holds nobody back", f"member {member.id} waits anew because of {message}")
        # Only what this message brought about: a grant given earlier in the turn may wait beside a log that has grown since.
        answers = core.messages[before:] + core.held[held_before:]
        if held_back and (core.term != term or answers):
            raise InvariantError("leader stickiness", f"member {member.id} follows {leader_id} in term {term} and answers {message}")
        log = member.log
        if (message.log_term, message.index) < (log.last_term, log.last_index):
            for answer in answers:
                if answer.kind in _GRANTS and answer.to == message.sender and answer.term == message.term and not answer.reject:
                    raise InvariantError(
                        "vote for a log as new as the own", f"member {member.id} ends at {log.last_index}, grants {message}"
                    )

    def on_late(self, member: Member, message: Message, step: Callable[[Message], None]) -> None:
        """A message of an older term changes nothing, and who leads or asks in one learns of the newer (etcd #8243)."""
        core = member.core
        progress = core.tracker.progress.get(message.sender)
        known = (progress.match, progress.next) if progress is not None else None
        term, sent = core.term, len(core.messages) + len(core.held)
        step(message)
        if core.term != term or (progress is not None and (progress.match, progress.next) != known):
            raise InvariantError("what is late changes nothing", f"member {member.id} of term {term} takes {message}")
        must_tell = core.config.check_quorum or core.config.pre_vote if message.kind in _OF_LEADERS else message.kind == _PRE_VOTE
        if must_tell and message.to == member.id and len(core.messages) + len(core.held) == sent:
            raise InvariantError("who is behind in term is told", f"member {member.id} of term {term} is silent about {message}")

    def on_round_answered(self, member: Member, message: Message, step: Callable[[Message], None]) -> None:
        """An answer confirms the read round whose number it carries, and none that began later."""
        answered = member.core.reads._answered
        before = answered.get(message.sender, 0)
        step(message)
        after = answered.get(message.sender, 0)
        if after > before and after != int.from_bytes(message.context, "big"):
            raise InvariantError("an answer confirms its round", f"leader {member.id} counts {after} by {message}")

    def on_commit_told(self, member: Member, message: Message) -> None:
        """The message moved the commit index: a follower's not above what the leader said, nor above what it is known to share."""
        if member.core.role is _LEADER or message.kind == _SNAPSHOT:
            return
        shared = message.commit if message.kind != _APPEND else min(message.commit, message.index + len(message.entries))
        if member.log.commit > max(shared, member.seen_commit, member.restarted_commit):
            raise InvariantError("commit as far as told", f"member {member.id} commits {member.log.commit} by {message}")

    def on_leader_tick(self, member: Member) -> None:
        """A leader that hears of no quorum steps down (thesis §6.2): after two election timeouts of its own clock it leads no more."""
        core = member.core
        if member.led_term != core.term or core.transferee:
            # A hand-over begins the leader's count anew.
            member.led_ticks = 0
            member.heard.clear()
            return
        member.led_ticks += 1
        floor = member.led_ticks - 2 * core.config.election_ticks - 1
        if floor <= 0 or not core.config.check_quorum:
            return
        active = {member.id, *(peer for peer, at in member.heard.items() if at >= floor)}
        if not is_quorum(core.tracker.conf, active):
            raise InvariantError(
                "a leader without a quorum steps down", f"leader {member.id} of term {core.term} hears of {sorted(active)}"
            )

    def on_own_conf(self, member: Member, before: ConfState, after: ConfState) -> None:
        """A leader that is no voter any more steps down (thesis §4.2.2). Who was added counts as heard from."""
        voters = (*after.voters, *after.voters_outgoing)
        if member.core.role is _LEADER and member.id not in voters and member.id in (*before.voters, *before.voters_outgoing):
            raise InvariantError("a removed leader steps down", f"member {member.id} leads term {member.core.term} outside {after}")
        member.led_ticks = 0
        member.heard.clear()

    def on_turn(self, member: Member) -> None:
        """After anything happened to a running member."""
        core = member.core
        log = member.log
        if core.term != member.seen_term:
            if core.term < member.seen_term:
                raise InvariantError("term monotone", f"member {member.id}: {member.seen_term}, then {core.term}")
            member.seen_term = core.term
        if log.commit != member.seen_commit:
            self.on_commit(member)
        if log.applied != member.seen_applied:
            self._on_applied_to(member)
        if log.stable != member.seen_stable:
            self._on_stable(member)
        if core.role is _LEADER:
            if member.led_term != core.term:
                self._on_leader(member, core.term)
            elif log.last_index < member.led_last or log.truncation_count != member.led_truncations:
                raise InvariantError("leader append-only", f"member {member.id} in term {core.term}")
            member.led_last = log.last_index
        if self._is_due():
            core.check_invariants()

    def _on_applied_to(self, member: Member) -> None:
        """The applied index moved. The commit index never falls, and `on_durable` sees to it that the disk keeps what is applied."""
        applied, commit = member.log.applied, member.log.commit
        if applied > commit or applied < member.seen_applied or applied > member.storage.last_index():
            raise InvariantError("applied within commit and disk", f"member {member.id}: applied {applied}, commit {commit}")
        member.seen_applied = applied

    def _on_stable(self, member: Member) -> None:
        """What is said to be stable is on the disk, and is what the log holds there."""
        log = member.log
        stable = member.seen_stable = log.stable
        try:
            stored = member.storage.term(stable)
        except UnavailableIndexError:
            last = member.storage.last_index()
            raise InvariantError("stable within the disk", f"member {member.id}: {stable} above {last}") from None
        except CompactedIndexError:
            return
        if log.first_index <= stable and not log.matches(stable, stored):
            raise InvariantError("stable within the disk", f"member {member.id}: its disk has another entry at {stable}")

    def on_commit(self, member: Member) -> None:
        """A member's commit index moved just now, in the role and configuration it is still in."""
        log = member.log
        commit = log.commit
        if commit < member.seen_commit:
            raise InvariantError("commit monotone", f"member {member.id}: {member.seen_commit}, then {commit}")
        if commit > self.commit:
            self._on_committed(member, commit)
        elif log.first_index <= commit and not log.matches(commit, self._committed[commit][0]):
            raise InvariantError("state machine safety", f"member {member.id} commits another entry at {commit}")
        member.seen_commit = commit

    def _on_leader(self, member: Member, term: int) -> None:
        """Election safety and leader completeness; what follows the election is append-only."""
        if self.leaders.setdefault(term, member.id) != member.id:
            raise InvariantError("election safety", f"{self.leaders[term]} and {member.id} lead term {term}")
        electors = {member.id, *(other for other in self._members if self._votes.get((term, other)) == member.id)}
        if not is_quorum(member.core.tracker.conf, electors):
            raise InvariantError("elected by a quorum", f"member {member.id} leads term {term} by {electors} of {member.core.tracker.conf}")
        log = member.log
        member.led_term = term
        member.led_truncations = log.truncation_count
        index = self.commit
        while index and self._committed[index][1] >= term:
            index -= 1
        if index > log.last_index or (index >= log.first_index and not log.matches(index, self._committed[index][0])):
            raise InvariantError("leader completeness", f"leader {member.id} of term {term} lacks the committed entry {index}")

    def _on_committed(self, member: Member, commit: int) -> None:
        """Something is committed for the first time."""
        log = member.log
        core = member.core
        for index in range(self.commit + 1, commit + 1):
            if index < log.first_index:
                raise InvariantError("commit known before its snapshot", f"member {member.id} at {index}")
            self._committed.append((log.term(index), core.term))
        self.commit = commit
        if core.role is not _LEADER:
            # Its disk may know first, when a leader crashed between writing that a change is committed and acting upon it.
            if commit > member.restarted_commit:
                raise InvariantError("only a leader commits first", f"member {member.id} at {commit}")
            return
        term = self._committed[commit][0]
        if term != core.term:
            raise InvariantError("commit of the own term", f"leader {member.id} of term {core.term} commits an entry of term {term}")
        if not is_quorum(core.tracker.conf, self._holders(commit, term)):
            raise InvariantError("commit on a quorum of disks", f"leader {member.id} commits {commit} in {core.tracker.conf}")

    def _holders(self, index: int, term: int) -> set[int]:
        """The members whose disks hold the entry, or a snapshot above it."""
        holders = set()
        for member in self._members.values():
            storage = member.storage
            if index <= storage.last_index() and (index < storage.first_index() or storage.term(index) == term):
                holders.add(member.id)
        return holders

    def on_applied(self, member: Member, entry: Entry) -> None:
        """State machine safety: every member applies the same entry at an index; a proposal is applied once."""
        applied = self.applied
        index = entry.index
        if index <= len(applied):
            known = applied[index - 1]
            if known is not entry and known != entry:
                raise InvariantError("state machine safety", f"{known} was applied, then {entry} at {member.id}")
            return
        if index != len(applied) + 1 or index > member.log.commit:
            raise InvariantError("applied in order", f"member {member.id} applies {index} after {len(applied)}")
        applied.append(entry)
        data = entry.data
        if data and not entry.kind:
            if self._proposals.setdefault(data, index) != index:
                raise InvariantError("a proposal is applied once", f"{data!r} at {self._proposals[data]} and {index}")
            if data in self.refused:
                raise InvariantError("a refused proposal has no effect", f"{data!r} at {index}")

    def on_conf(self, member: Member, index: int, conf: ConfState) -> None:
        """Configurations come in one order everywhere, and quorums of neighbours overlap."""
        known = self.confs.get(index)
        if known is not None:
            if known != conf:
                raise InvariantError("state machine safety", f"configuration at {index}: {known}, then {conf} at {member.id}")
            return
        check_overlap(self.newest_conf, conf)
        self.confs[index] = self.newest_conf = conf

    def on_read_state(self, member: Member, state: ReadState, floor: int) -> None:
        """Read index: a linearizable read sees all that was committed before it was asked for."""
        if state.index < floor:
            raise InvariantError("read index", f"member {member.id} is told {state.index}, {floor} was committed when it asked")


@lru_cache(maxsize=4096)
def check_overlap(before: ConfState, after: ConfState) -> None:
    """Any quorum of one configuration shares a member with any of the next. Raises InvariantError."""
    members = sorted({*before.voters, *before.voters_outgoing, *after.voters, *after.voters_outgoing})
    for mask in range(1 << len(members)):
        inside = {member_id for position, member_id in enumerate(members) if mask >> position & 1}
        if is_quorum(before, inside) and is_quorum(after, set(members) - inside):
            raise InvariantError("quorums overlap", f"{before} and {after}")


def is_quorum(conf: ConfState, members: Container[int]) -> bool:
    """Whether these are a majority of each half; written out here, so that a fault of the product's own cannot hide itself."""
    return _is_majority(conf.voters, members) and _is_majority(conf.voters_outgoing, members)


def _is_majority(half: tuple[int, ...], members: Container[int]) -> bool:
    """An empty half never objects."""
    return not half or 2 * len([one for one in half if one in members]) > len(half)
