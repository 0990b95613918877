"""The rules of the Raft thesis, one test each, named after the section that states it."""

from __future__ import annotations

import pytest

from raftkv.raft.config import RaftConfig
from raftkv.raft.core import TRANSITIONS, Core
from raftkv.raft.messages import ConfState, Entry, HardState, Message, MessageKind, Role
from raftkv.raft.raw_node import RawNode
from raftkv.raft.storage import MemoryStorage
from tests.raft.sim import Cluster

THREE = ConfState((1, 2, 3))
PLAIN = RaftConfig(1, pre_vote=False, check_quorum=False)


def make(conf: ConfState = THREE, *, terms: str = "", term: int = 0, config: RaftConfig = PLAIN) -> RawNode:
    """A member with a stored log of these one-digit terms."""
    storage = MemoryStorage(conf)
    entries = [Entry(int(one), index, 0, b"") for index, one in enumerate(terms, 1)]
    storage.write(HardState(term or int(terms[-1:] or 0)), None, entries)
    return RawNode(config, storage, randrange=lambda limit: 0)


def take(node: RawNode) -> list[Message]:
    """Everything the member sends, with its writes durable at once."""
    sent: list[Message] = []
    while node.has_ready():
        ready = node.ready()
        sent += ready.messages
        if ready.write_number:
            storage = node._core.storage
            assert isinstance(storage, MemoryStorage)
            storage.write(ready.hard_state, ready.snapshot, ready.entries)
            last = ready.entries[-1] if ready.entries else None
            node.persisted(ready.write_number, last.term if last else 0, last.index if last else 0)
        sent += ready.held
        if ready.committed:
            node.applied_to(ready.committed[-1].index)
    return sent


def lead(node: RawNode) -> RawNode:
    """Makes member 1 of three lead."""
    node.campaign()
    take(node)
    node.step(Message(MessageKind.VOTE_REPLY, 1, 2, node.term))
    assert node.role is Role.LEADER
    return node


@pytest.mark.parametrize("role", list(Role))
def test_3_3_member_of_any_role_follows_a_later_term(role: Role) -> None:
    """§3.3: a server that learns of a later term becomes a follower of it."""
    node = make(config=RaftConfig(1))
    if role in (Role.PRE_CANDIDATE, Role.CANDIDATE, Role.LEADER):
        node.campaign()
    if role in (Role.CANDIDATE, Role.LEADER):
        take(node)
        node.step(Message(MessageKind.PRE_VOTE_REPLY, 1, 2, node.term + 1))
        take(node)
    if role is Role.LEADER:
        node.step(Message(MessageKind.VOTE_REPLY, 1, 2, node.term))
    assert node.role is role
    node.step(Message(MessageKind.APPEND, 1, 2, 9))
    assert (node.term, node.role, node.leader_id, node.vote) == (9, Role.FOLLOWER, 2, 0)


def test_3_3_message_of_an_earlier_term_changes_nothing() -> None:
    """§3.3: a request with a stale term is refused."""
    node = make(term=5)
    node.step(Message(MessageKind.APPEND, 1, 2, 4, entries=(Entry(4, 1, 0, b"x"),)))
    assert (node.last_index, node.leader_id) == (0, 0)


@pytest.mark.parametrize("was", list(Role))
@pytest.mark.parametrize("becomes", list(Role))
def test_3_4_role_change_that_is_not_drawn_is_a_bug(was: Role, becomes: Role) -> None:
    """Figure 3.3: every pair of roles is either an arrow or an assertion."""
    core = Core(PLAIN, MemoryStorage(THREE), applied=0, randrange=lambda limit: 0, trace=None)
    core.role = was
    changes = {
        Role.FOLLOWER: lambda: core.become_follower(1, 0),
        Role.PRE_CANDIDATE: core.become_pre_candidate,
        Role.CANDIDATE: core.become_candidate,
        Role.LEADER: core.become_leader,
    }
    if (was, becomes) in TRANSITIONS:
        changes[becomes]()
        assert core.role is becomes
    else:
        with pytest.raises(AssertionError):
            changes[becomes]()


def test_3_4_leader_sends_heartbeats_every_heartbeat_timeout() -> None:
    node = lead(make())
    take(node)
    node.tick()
    kinds = [(MessageKind(message.kind), message.to) for message in take(node)]
    assert kinds == [(MessageKind.HEARTBEAT, 2), (MessageKind.HEARTBEAT, 3)]


@pytest.mark.parametrize(("size", "votes", "role"), [(1, 0, Role.LEADER), (3, 1, Role.LEADER), (5, 1, Role.CANDIDATE), (5, 2, Role.LEADER)])
def test_3_4_candidate_leads_with_the_votes_of_a_majority(size: int, votes: int, role: Role) -> None:
    node = make(ConfState(tuple(range(1, size + 1))))
    node.campaign()
    take(node)
    for voter in range(2, 2 + votes):
        node.step(Message(MessageKind.VOTE_REPLY, 1, voter, 1))
    assert node.role is role


def test_3_4_candidate_counts_a_member_once() -> None:
    """A repeated vote is one vote."""
    node = make(ConfState((1, 2, 3, 4, 5)))
    node.campaign()
    take(node)
    for _ in range(3):
        node.step(Message(MessageKind.VOTE_REPLY, 1, 2, 1))
    assert node.role is Role.CANDIDATE


def test_3_4_candidate_follows_the_leader_of_its_term() -> None:
    node = make()
    node.campaign()
    node.step(Message(MessageKind.HEARTBEAT, 1, 3, 1))
    assert (node.role, node.leader_id) == (Role.FOLLOWER, 3)


def test_3_4_member_votes_once_in_a_term_first_come_first_served() -> None:
    node = make()
    for asker in (2, 3, 2):
        node.step(Message(MessageKind.VOTE, 1, asker, 1))
    replies = [(message.to, message.reject) for message in take(node)]
    assert sorted(replies) == [(2, False), (2, False), (3, True)]
    assert node.vote == 2


def test_3_4_election_timeouts_are_spread_over_one_to_two_times() -> None:
    """§3.4: randomized timeouts keep votes from being split again and again."""
    seen = set()
    for drawn in range(10):
        node = RawNode(PLAIN, MemoryStorage(THREE), randrange=lambda limit, drawn=drawn: drawn % limit)
        ticks = 0
        while node.role is Role.FOLLOWER:
            node.tick()
            ticks += 1
        seen.add(ticks)
    assert seen == set(range(10, 20))


def test_3_5_leader_commits_when_a_majority_has_the_entry_durable() -> None:
    node = lead(make())
    take(node)
    node.propose([b"x"])
    take(node)
    assert node.commit == 0
    node.step(Message(MessageKind.APPEND_REPLY, 1, 3, 1, index=2))
    assert node.commit == 2


def test_3_5_follower_rejects_an_append_whose_previous_entry_it_lacks() -> None:
    """§3.5, the consistency check."""
    node = make(terms="12")
    for index, term, rejected in ((0, 0, False), (1, 1, False), (2, 2, False), (2, 1, True), (3, 2, True)):
        node.step(Message(MessageKind.APPEND, 1, 2, 2, log_term=term, index=index))
        (reply,) = take(node)
        assert reply.reject is rejected, (index, term)


@pytest.mark.parametrize(
    ("follower", "name"),
    [("111445566", "a"), ("1114", "b"), ("11144556666", "c"), ("111445566677", "d"), ("1114444", "e"), ("11122233333", "f")],
)
def test_3_5_leader_brings_any_follower_of_figure_3_6_to_its_log(follower: str, name: str) -> None:
    """Figure 3.6: missing entries, extra entries, and both."""
    cluster = Cluster(THREE, config=PLAIN)
    for member_id, terms in ((1, "1114455666"), (2, follower), (3, "1114455666")):
        member = cluster.members[member_id]
        entries = [Entry(int(one), index, 0, terms[:index].encode()) for index, one in enumerate(terms, 1)]
        member.storage.write(HardState(7), None, entries)
        member.start(0)
    cluster.elect(1)
    cluster.tick(2)
    leader, found = cluster.members[1], cluster.members[2]
    assert found.running.last_index == leader.running.last_index == 11
    assert [found.term_at(index) for index in range(1, 12)] == [leader.term_at(index) for index in range(1, 12)]


@pytest.mark.parametrize(
    ("own", "asked", "granted"),
    [("1", (1, 1), True), ("1", (2, 1), True), ("11", (1, 1), False), ("1", (1, 2), True), ("11", (1, 2), True), ("2", (2, 1), False)],
)
def test_3_6_1_vote_is_refused_to_a_log_that_is_behind(own: str, asked: tuple[int, int], granted: bool) -> None:
    node = make(terms=own)
    node.step(Message(MessageKind.VOTE, 1, 2, 5, index=asked[0], log_term=asked[1]))
    (reply,) = take(node)
    assert reply.reject is not granted


def test_3_6_2_entry_of_an_earlier_term_is_not_committed_by_counting() -> None:
    """Figure 3.7 (figure 8 of the paper): only an entry of the own term on a majority commits, and all before it."""
    node = lead(make(terms="12"))
    take(node)
    term = node.term
    node.step(Message(MessageKind.APPEND_REPLY, 1, 2, term, index=2))
    assert node.commit == 0
    node.step(Message(MessageKind.APPEND_REPLY, 1, 2, term, index=3))
    assert node.commit == 3


def test_3_8_vote_survives_a_restart() -> None:
    """§3.8: term and vote are durable before they are acted upon."""
    node = make()
    node.step(Message(MessageKind.VOTE, 1, 2, 1))
    take(node)
    again = RawNode(PLAIN, node._core.storage, randrange=lambda limit: 0)
    again.step(Message(MessageKind.VOTE, 1, 3, 1))
    (reply,) = take(again)
    assert reply.reject


def test_3_10_leader_hands_over_only_when_the_successor_has_the_whole_log() -> None:
    node = lead(make())
    take(node)
    node.transfer_leader(2)
    assert MessageKind.TIMEOUT_NOW not in [message.kind for message in take(node)]
    node.step(Message(MessageKind.APPEND_REPLY, 1, 2, 1, index=1))
    assert MessageKind.TIMEOUT_NOW in [message.kind for message in take(node)]


def test_4_2_1_learner_that_is_a_voter_elsewhere_gives_its_vote() -> None:
    """§4.2.1: a server votes for whoever asks; it may have been made a voter by an entry it has yet to apply."""
    node = make(ConfState((2, 3), (1,)))
    node.step(Message(MessageKind.VOTE, 1, 2, 1))
    (reply,) = take(node)
    assert not reply.reject


def test_4_2_1_learner_never_campaigns() -> None:
    node = make(ConfState((2, 3), (1,)))
    for _ in range(50):
        node.tick()
    node.campaign()
    node.step(Message(MessageKind.HEARTBEAT, 1, 2, 1))
    node.step(Message(MessageKind.TIMEOUT_NOW, 1, 2, 1))
    assert node.role is Role.FOLLOWER


def test_4_2_3_member_that_hears_its_leader_ignores_candidates() -> None:
    """§4.2.3: no vote, and no later term, within an election timeout of hearing the leader, unless it hands over."""
    node = make(config=RaftConfig(1))
    node.step(Message(MessageKind.HEARTBEAT, 1, 2, 1))
    take(node)
    for kind in (MessageKind.VOTE, MessageKind.PRE_VOTE):
        node.step(Message(kind, 1, 3, 7))
    assert (node.term, take(node)) == (1, [])
    for _ in range(10):
        node._core.election_elapsed += 1
    node.step(Message(MessageKind.VOTE, 1, 3, 7))
    assert node.term == 7


def test_6_2_leader_without_a_quorum_steps_down() -> None:
    """§6.2: within an election timeout, or its clients would wait for nothing."""
    node = lead(make(config=RaftConfig(1, pre_vote=False)))
    take(node)
    for _ in range(10):
        node.tick()
    assert (node.role, node.leader_id) == (Role.FOLLOWER, 0)


def test_6_4_read_waits_for_an_entry_of_the_own_term() -> None:
    """§6.4 step 1 (faults §5c 11)."""
    node = lead(make(terms="1"))
    take(node)
    node.read_index(b"context")
    ready = node.ready() if node.has_ready() else None
    assert ready is None or not ready.read_states
    node.step(Message(MessageKind.APPEND_REPLY, 1, 2, node.term, index=2))
    (round_message, *_) = [message for message in node.ready().messages if message.kind == MessageKind.HEARTBEAT]
    assert round_message.context
    node.step(Message(MessageKind.HEARTBEAT_REPLY, 1, 2, node.term, context=round_message.context))
    assert [(state.index, state.context) for state in node.ready().read_states] == [(2, b"context")]


def test_9_6_pre_vote_raises_no_term_anywhere() -> None:
    """§9.6: a member that cannot win costs nobody a term."""
    node = make(config=RaftConfig(1))
    for _ in range(100):
        node.tick()
    assert node.term == 0
    other = make(config=RaftConfig(1))
    other.step(Message(MessageKind.PRE_VOTE, 1, 2, 4))
    assert (other.term, other.vote) == (0, 0)
