"""What must hold of a whole cluster at every event, whatever happened to it (spec: faults.md §3c).

Invariants, by the names the assertions give: election safety, one vote a term, log matching, leader completeness, state
machine safety, monotony, durable before dependent message, match below durable, read index, one change at a time,
quorums overlap, proposal once.
"""

from __future__ import annotations

from itertools import combinations
from typing import TYPE_CHECKING

from raftkv.raft.messages import ConfState, Entry, EntryKind, Message, MessageKind, ReadState, Role

if TYPE_CHECKING:
    from tests.raft.sim import Member


class Oracle:
    """Sees everything, remembers what was ever true, and asserts that it stays so."""

    def __init__(self) -> None:
        self.leaders: dict[int, int] = {}
        self.votes: dict[tuple[int, int], int] = {}
        self.written: dict[tuple[int, int], tuple[int, Entry]] = {}
        self.changes: set[tuple[int, int]] = set()
        self.committed: dict[int, tuple[int, int]] = {}
        """index → (term of the entry, term in which it was seen committed first)"""
        self.commit = 0
        self.applied: dict[int, Entry] = {}
        self.proposals: dict[bytes, int] = {}
        self.confs: dict[int, ConfState] = {}
        self.reads: dict[bytes, int] = {}
        self.reads_answered = 0
        self._seen: dict[int, tuple[int, int, int, int, int]] = {}

    def on_start(self, member: Member) -> None:
        """A member begins or comes back: what it knew only in memory may be lower than before."""
        self._seen.pop(member.id, None)

    def on_written(self, member: Member, entries: tuple[Entry, ...]) -> None:
        """Log matching: an index and a term name one entry and one entry before it, everywhere."""
        for entry in entries:
            before = member.term_at(entry.index - 1)
            known = self.written.setdefault((entry.index, entry.term), (before, entry))
            assert known == (before, entry), f"log matching: {known} at one member, {(before, entry)} at {member.id}"
            if entry.kind == EntryKind.CONF_CHANGE:
                self.changes.add((entry.index, entry.term))
                above = [
                    index for index, term in self.changes if index > self.commit and member.has_entry(index, term) and index <= entry.index
                ]
                assert len(above) <= 1, f"one change at a time: {sorted(above)} at {member.id}"

    def on_released(self, member: Member, message: Message) -> None:
        """Durable before dependent message: what a message says of its sender's disk is true when it leaves."""
        durable = member.storage.hard_state
        kind = message.kind
        if kind == MessageKind.PRE_VOTE:
            assert durable.term >= message.term - 1, "durable before dependent message: pre-vote"
            return
        if kind == MessageKind.PRE_VOTE_REPLY and not message.reject:
            return
        assert durable.term >= message.term, f"durable before dependent message: term of {message}"
        voted = 0
        if kind == MessageKind.VOTE:
            voted = member.id
        elif kind == MessageKind.VOTE_REPLY and not message.reject:
            voted = message.to
        if voted:
            assert durable.term > message.term or durable.vote == voted, "durable before dependent message: vote"
            assert self.votes.setdefault((message.term, member.id), voted) == voted, "one vote a term"
        if kind == MessageKind.APPEND_REPLY and not message.reject and durable.term == message.term:
            assert member.storage.last_index() >= message.index, "durable before dependent message: acknowledgement"

    def on_event(self, member: Member, members: dict[int, Member]) -> None:
        """After anything happened to a running member."""
        node = member.node
        assert node is not None
        node.check_invariants()
        present = (node.term, node.commit, node.applying, node.applied, member.storage.hard_state.term)
        is_new = member.id not in self._seen
        before = self._seen.get(member.id, (0, 0, 0, 0, 0))
        assert all(now >= then for now, then in zip(present, before, strict=True)), f"monotony: {before} to {present}"
        self._seen[member.id] = present
        if node.commit > before[1]:
            self._on_commit(member, before[1] + 1, node.commit, is_new=is_new)
        if node.role is Role.LEADER:
            if self.leaders.setdefault(node.term, member.id) != member.id:
                raise AssertionError(f"election safety: {self.leaders[node.term]} and {member.id} lead term {node.term}")
            self._check_leader(member, members)

    def on_applied(self, member: Member, entry: Entry) -> None:
        """State machine safety: every member applies the same entry at an index; a proposal is applied once."""
        assert entry.index <= member.storage.last_index(), "applied before it was durable here"
        assert self.applied.setdefault(entry.index, entry) == entry, f"state machine safety at {entry.index}"
        if entry.kind == EntryKind.NORMAL and entry.data:
            assert self.proposals.setdefault(entry.data, entry.index) == entry.index, f"proposal once: {entry.data!r}"

    def on_conf(self, index: int, conf: ConfState) -> None:
        """Configurations come in one order everywhere, and quorums of neighbours overlap."""
        if index in self.confs:
            assert self.confs[index] == conf, f"state machine safety: configuration at {index}"
            return
        earlier = [found for found in self.confs if found < index]
        self.confs[index] = conf
        if earlier:
            check_overlap(self.confs[max(earlier)], conf)

    def on_read(self, context: bytes) -> None:
        """A read begins; its index must reach everything committed anywhere by now."""
        self.reads[context] = self.commit

    def on_read_state(self, state: ReadState) -> None:
        """Read index: a linearizable read sees all that was committed before it began."""
        assert state.index >= self.reads[state.context], f"read index {state.index} below {self.reads[state.context]}"
        self.reads_answered += 1

    def _on_commit(self, member: Member, low: int, high: int, *, is_new: bool) -> None:
        node = member.node
        assert node is not None
        for index in range(max(low, member.first_index()), high + 1):
            term = member.term_at(index)
            known = self.committed.setdefault(index, (term, node.term))
            assert known[0] == term, f"state machine safety: {index} committed with terms {known[0]} and {term}"
        if high > self.commit:
            # Or its disk does, when it crashed between writing that a change is committed and acting upon it.
            assert node.role is Role.LEADER or is_new, "only a leader finds out first that something is committed"
            self.commit = high

    def _check_leader(self, member: Member, members: dict[int, Member]) -> None:
        node = member.node
        assert node is not None
        index = self.commit
        while index and self.committed[index][1] >= node.term:
            index -= 1
        if index >= member.first_index():
            assert index <= node.last_index, f"leader completeness: {member.id} lacks {index}"
            assert member.term_at(index) == self.committed[index][0], f"leader completeness: {member.id} differs at {index}"
        for peer, progress in node.status().progress.items():
            found = members.get(peer)
            if found is not None and found.storage.hard_state.term == node.term:
                assert progress.match <= found.storage.last_index(), f"match below durable: {peer} at {member.id}"


def quorums(conf: ConfState) -> list[set[int]]:
    """Every minimal quorum, found the naive way."""
    found: list[set[int]] = [set()]
    for half in (conf.voters, conf.voters_outgoing):
        if half:
            found = [one | set(more) for one in found for more in combinations(half, len(half) // 2 + 1)]
    return found


def check_overlap(before: ConfState, after: ConfState) -> None:
    """Any quorum of one configuration shares a member with any of the next."""
    for one in quorums(before):
        for other in quorums(after):
            assert one & other, f"quorums overlap: {before} and {after}"
