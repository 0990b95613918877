"""The contract of RawNode: what Ready holds back, what is refused, what is ignored, and what is bounded."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from raftkv.errors import ConfigError
from raftkv.raft.confchange import ChangeKind, ChangeStep, ConfChange
from raftkv.raft.config import RaftConfig
from raftkv.raft.messages import ConfState, Entry, EntryKind, HardState, Message, MessageKind, Role, SnapshotMeta
from raftkv.raft.proposals import ConfChangeRefusedError, ProposalDroppedError
from raftkv.raft.raw_node import RawNode
from raftkv.raft.storage import MemoryStorage
from raftkv.raft.tracker import ProgressState
from tests.raft.sim import Cluster

THREE = ConfState((1, 2, 3))


def make(config: RaftConfig | None = None, conf: ConfState = THREE) -> RawNode:
    return RawNode(config or RaftConfig(1), MemoryStorage(conf), randrange=lambda limit: 0)


def follower(*, last: int) -> RawNode:
    """A follower of 2 in term 1 that has taken, and not yet written, entries up to `last`."""
    node = make()
    entries = tuple(Entry(1, index, 0, b"x") for index in range(1, last + 1))
    node.step(Message(MessageKind.APPEND, 1, 2, 1, entries=entries))
    return node


def test_ready_without_a_write_holds_its_acknowledgement_for_the_write_under_way() -> None:
    """A repeated append is acknowledged only when the first one's entries are durable."""
    node = follower(last=2)
    first = node.ready()
    assert (first.write_number, first.held_after, len(first.held)) == (1, 1, 1)
    node.step(Message(MessageKind.APPEND, 1, 2, 1, entries=first.entries))
    second = node.ready()
    assert (second.write_number, second.held_after, len(second.held)) == (0, 1, 1)
    assert not second.messages
    node._core.storage.write(first.hard_state, None, first.entries)
    node.persisted(1, 1, 2)
    node.step(Message(MessageKind.APPEND, 1, 2, 1, entries=first.entries))
    third = node.ready()
    assert (third.held, third.held_after, len(third.messages)) == ((), 0, 1)


def test_ready_hands_everything_out_once() -> None:
    """Taken twice in a row, the second Ready is empty."""
    node = follower(last=2)
    assert node.has_ready()
    node.ready()
    assert not node.has_ready()
    again = node.ready()
    assert (again.write_number, again.entries, again.messages, again.held, again.soft_state) == (0, (), (), (), None)


def test_heartbeat_of_a_new_term_is_answered_after_the_term_is_durable() -> None:
    """Every message that depends on a term waits for it (faults §5c 2)."""
    node = make()
    node.step(Message(MessageKind.HEARTBEAT, 1, 2, 3))
    ready = node.ready()
    assert (ready.hard_state, ready.messages) == (HardState(3, 0, 0), ())
    assert [message.kind for message in ready.held] == [MessageKind.HEARTBEAT_REPLY]
    node.persisted(1, 0, 0)
    node.step(Message(MessageKind.HEARTBEAT, 1, 2, 3))
    assert [message.kind for message in node.ready().messages] == [MessageKind.HEARTBEAT_REPLY]


def test_sole_voter_leads_only_after_its_vote_is_durable() -> None:
    """It counts itself as anybody else: when a crash cannot forget it (faults §5c 1, 4)."""
    node = make(conf=ConfState((1,)))
    node.campaign()
    assert node.role is Role.CANDIDATE
    ready = node.ready()
    assert node.role is Role.CANDIDATE
    node.persisted(ready.write_number, 0, 0)
    assert node.role is Role.LEADER
    ready = node.ready()
    assert (node.commit, ready.committed) == (0, ())
    node._core.storage.write(ready.hard_state, None, ready.entries)
    node.persisted(ready.write_number, 1, 1)
    assert node.commit == 1
    assert len(node.ready().committed) == 1


def test_commit_beyond_stable_is_not_applied() -> None:
    """Entries are applied when they are durable here, whatever the others have (faults §5c 35)."""
    node = follower(last=2)
    node.step(Message(MessageKind.HEARTBEAT, 1, 2, 1, commit=2))
    ready = node.ready()
    assert (node.commit, ready.committed) == (2, ())
    node._core.storage.write(ready.hard_state, None, ready.entries)
    node.persisted(ready.write_number, 1, 2)
    assert [entry.index for entry in node.ready().committed] == [1, 2]


def test_committed_comes_in_slices_of_bounded_size() -> None:
    storage = MemoryStorage(ConfState((1,)))
    storage.write(HardState(1, 1, 9), None, [Entry(1, index, 0, b"12345") for index in range(1, 10)])
    node = RawNode(RaftConfig(1, committed_bytes_max=20), storage, randrange=lambda limit: 0)
    sizes = []
    while node.has_ready():
        sizes.append(len(node.ready().committed))
    assert sizes == [4, 4, 1]


def test_reports_may_be_joined_and_repeated() -> None:
    """One report of the newest number stands for all before it."""
    node = follower(last=1)
    node.ready()
    node.step(Message(MessageKind.APPEND, 1, 2, 1, log_term=1, index=1, entries=(Entry(1, 2, 0, b"y"),)))
    node.ready()
    node.persisted(2, 1, 2)
    assert node.stable == 2
    node.persisted(1, 1, 1)
    assert node.stable == 2


def test_report_of_a_write_never_handed_out_ends_the_member() -> None:
    with pytest.raises(AssertionError):
        make().persisted(1, 0, 0)


def test_applied_beyond_what_was_handed_out_ends_the_member() -> None:
    with pytest.raises(AssertionError):
        follower(last=2).applied_to(1)


def test_proposal_without_a_leader_is_dropped() -> None:
    node = make()
    with pytest.raises(ProposalDroppedError):
        node.propose([b"x"])
    assert not node.read_index(b"context")
    assert not node.transfer_leader(2)


def test_proposal_at_a_follower_travels_once_in_one_message() -> None:
    """faults §5c 38: never sent again, never forwarded by a third."""
    cluster = Cluster(THREE)
    cluster.elect(1)
    cluster.propose(2, b"a", b"b")
    cluster.take_ready(cluster.members[2])
    (packet,) = cluster.packets
    assert [entry.data for entry in packet.message.entries] == [b"a", b"b"]
    cluster.packets.clear()
    cluster.tick(30)
    assert cluster.members[1].history == []
    cluster.members[3].running.step(Message(MessageKind.PROPOSE, 3, 2, 1, entries=packet.message.entries))
    assert not cluster.members[3].running.has_ready()


def test_proposals_beyond_the_uncommitted_bound_are_refused_whole() -> None:
    """A batch is taken whole or not at all, and one always passes however large."""
    cluster = Cluster(THREE, config=RaftConfig(1, uncommitted_bytes_max=10))
    node = cluster.elect(1).running
    last = node.last_index
    node.propose([b"x" * 50])
    with pytest.raises(ProposalDroppedError):
        node.propose([b"y", b"z"])
    assert node.last_index == last + 1
    cluster.settle()
    assert node.status().uncommitted_bytes == 0
    node.propose([b"y", b"z"])


def test_change_before_an_entry_of_the_own_term_is_committed_is_refused() -> None:
    """Ongaro's correction of 2015 (faults §5c 22)."""
    cluster = Cluster(THREE)
    cluster.elect(1)
    cluster.isolate(1)
    cluster.members[1].running.transfer_leader(2)
    cluster.heal()
    member = cluster.members[2]
    member.running.step(Message(MessageKind.TIMEOUT_NOW, 2, 1, member.running.term))
    cluster.take_ready(member)
    cluster.make_durable(member)
    member.running.step(Message(MessageKind.VOTE_REPLY, 2, 3, member.running.term))
    assert member.running.role is Role.LEADER and not member.running.has_committed_in_term
    # Wait out nothing: the entry an earlier leader may have left counts as a change until it is applied.
    with pytest.raises(ConfChangeRefusedError):
        member.running.propose_change(ConfChange((ChangeStep(ChangeKind.REMOVE, 3),)))


def test_second_change_before_the_first_is_applied_is_refused() -> None:
    """faults §5c 23."""
    cluster = Cluster(THREE)
    node = cluster.elect(1).running
    node.propose_change(ConfChange((ChangeStep(ChangeKind.ADD_LEARNER, 4),)))
    with pytest.raises(ConfChangeRefusedError):
        node.propose_change(ConfChange((ChangeStep(ChangeKind.ADD_LEARNER, 5),)))


def test_change_beside_one_that_an_earlier_leader_left_is_refused_until_that_is_applied() -> None:
    """Committed is not applied: until then a leader does not know the configuration it would change (faults §5c 23)."""
    node = make(RaftConfig(2))

    def write() -> None:
        ready = node.ready()
        node._core.storage.write(ready.hard_state, None, ready.entries)
        last = ready.entries[-1] if ready.entries else None
        node.persisted(ready.write_number, last.term if last else 0, last.index if last else 0)

    left = ConfChange((ChangeStep(ChangeKind.ADD_LEARNER, 4),))
    node.step(Message(MessageKind.APPEND, 2, 1, 1, entries=(Entry(1, 1, EntryKind.CONF_CHANGE, left.encode()),)))
    write()
    node.step(Message(MessageKind.TIMEOUT_NOW, 2, 1, 1))
    write()
    node.step(Message(MessageKind.VOTE_REPLY, 2, 3, node.term))
    write()
    node.step(Message(MessageKind.APPEND_REPLY, 2, 3, node.term, index=node.last_index))
    write()
    assert node.role is Role.LEADER and node.has_committed_in_term
    mine = ConfChange((ChangeStep(ChangeKind.ADD_LEARNER, 5),))
    with pytest.raises(ConfChangeRefusedError):
        node.propose_change(mine)
    while node.has_ready():
        write()
    node.apply_change(left)
    node.applied_to(node.commit)
    node.propose_change(mine)


def test_change_counts_as_committed_when_the_own_disk_knows_it() -> None:
    """The member that leaves must not hear of it before a crash of the leader could no longer forget it."""
    cluster = Cluster(THREE)
    leader = cluster.elect(1)
    node = leader.running
    node.propose_change(ConfChange((ChangeStep(ChangeKind.REMOVE, 2),)))
    cluster.take_ready(leader)
    cluster.make_durable(leader)
    change = node.last_index
    node.step(Message(MessageKind.APPEND_REPLY, 1, 2, node.term, index=change))
    assert node.commit == change - 1
    ready = node.ready()
    assert ready.hard_state is not None and ready.hard_state.commit == change and not ready.committed
    node.step(Message(MessageKind.APPEND_REPLY, 1, 3, node.term, index=change))
    assert node.commit == change - 1, "however many have it, the write is still on its way"
    leader.storage.write(ready.hard_state, None, ())
    node.persisted(ready.write_number, 0, 0)
    assert node.commit == change
    ready = node.ready()
    told = [message.commit for message in ready.messages if message.to == 2]
    assert told == [change], "the one that leaves hears of it in the same turn"
    assert [entry.index for entry in ready.committed] == [change]


def test_leader_of_two_does_not_remove_itself_before_it_handed_over() -> None:
    for conf, steps in (
        (ConfState((1, 2)), ((ChangeKind.REMOVE, 1),)),
        (ConfState((1, 2)), ((ChangeKind.ADD_LEARNER, 1), (ChangeKind.ADD_VOTER, 3))),
        (ConfState((1,), (2,)), ((ChangeKind.ADD_VOTER, 2), (ChangeKind.REMOVE, 1))),
    ):
        node = Cluster(conf).elect(1).running
        last = node.last_index
        with pytest.raises(ConfChangeRefusedError, match="handed over"):
            node.propose_change(ConfChange(tuple(ChangeStep(*step) for step in steps)))
        assert node.last_index == last
        assert node.transferee == (2 if 2 in conf.voters else 0)


def test_change_forwarded_by_a_follower_is_dropped_when_refused() -> None:
    """Nothing is appended in its place, and nothing raises at the leader."""
    cluster = Cluster(THREE)
    node = cluster.elect(1).running
    node.propose_change(ConfChange((ChangeStep(ChangeKind.ADD_LEARNER, 4),)))
    last = node.last_index
    entry = Entry(0, 0, EntryKind.CONF_CHANGE, ConfChange((ChangeStep(ChangeKind.REMOVE, 3),)).encode())
    for refused in (entry, entry._replace(data=b"\xff")):
        node.step(Message(MessageKind.PROPOSE, 1, 2, node.term, entries=(refused,)))
    assert node.last_index == last


def test_read_of_an_answer_from_another_than_the_leader_is_dropped() -> None:
    """faults §5c 14."""
    cluster = Cluster(THREE)
    cluster.elect(1)
    node = cluster.members[2].running
    node.step(Message(MessageKind.READ_INDEX_REPLY, 2, 3, node.term, index=1, context=b"c"))
    node.step(Message(MessageKind.READ_INDEX_REPLY, 2, 1, node.term - 1, index=1, context=b"c"))
    node.step(Message(MessageKind.READ_INDEX_REPLY, 2, 1, node.term + 1, index=1, context=b"c"))
    assert not node._core.read_states


def test_snapshot_is_not_sent_to_a_silent_member() -> None:
    """A state is streamed only to somebody who was heard since the leader began."""
    cluster = Cluster(THREE)
    cluster.elect(1)
    cluster.isolate(3)
    cluster.propose(1, b"a")
    cluster.settle()
    cluster.members[1].make_snapshot(0)
    cluster.members[2].make_snapshot(0)
    cluster.members[1].running.transfer_leader(2)
    cluster.settle()
    leader = cluster.leader()
    assert leader is not None and leader.id == 2
    assert leader.running.status().progress[3].state is ProgressState.PROBE
    cluster.heal()
    cluster.tick(3)
    assert cluster.members[3].history == leader.history


def test_snapshot_failure_is_tried_again_after_a_heartbeat() -> None:
    cluster = Cluster(THREE)
    cluster.elect(1)
    cluster.isolate(3)
    cluster.propose(1, b"a")
    cluster.settle()
    cluster.members[1].make_snapshot(0)
    cluster.heal()
    node = cluster.members[1].running
    node.report_unreachable(3)
    cluster.tick(2)
    assert cluster.members[3].history == cluster.members[1].history
    node.report_snapshot(3, False)
    assert node.status().progress[3].state is ProgressState.REPLICATE, "a late report changes nothing"


def test_snapshot_received_moves_applied_when_it_is_durable() -> None:
    node = make()
    node.step(Message(MessageKind.SNAPSHOT, 1, 2, 1, snapshot=SnapshotMeta(9, 1, ConfState((1, 2)))))
    ready = node.ready()
    assert ready.snapshot is not None and [message.index for message in ready.held] == [9]
    assert (node.commit, node.applied, node.conf_state) == (9, 0, ConfState((1, 2)))
    node.campaign()
    assert node.role is Role.FOLLOWER, "a member whose state is being replaced does not stand for election"
    node._core.storage.write(ready.hard_state, ready.snapshot, ())
    node.persisted(ready.write_number, 1, 9)
    assert (node.applied, node.applying, node.stable) == (9, 9, 9)
    node.applied_to(3)
    assert node.applied == 9, "a late report of what was applied before changes nothing"


def test_snapshot_at_or_below_commit_takes_nothing_back() -> None:
    """A late or repeated one is answered with what is committed here (faults §5c 31)."""
    node = follower(last=4)
    node.step(Message(MessageKind.HEARTBEAT, 1, 2, 1, commit=3))
    node.ready()
    for index in (2, 3):
        node.step(Message(MessageKind.SNAPSHOT, 1, 2, 1, snapshot=SnapshotMeta(index, 1, THREE)))
        ready = node.ready()
        assert ready.snapshot is None
        assert [(message.kind, message.index) for message in ready.held] == [(MessageKind.APPEND_REPLY, 3)]
    assert (node.commit, node.last_index) == (3, 4)


def test_snapshot_of_entries_that_are_here_only_moves_commit() -> None:
    """Entries already here are kept: applying them is cheaper than a state."""
    node = follower(last=4)
    node.ready()
    node.step(Message(MessageKind.SNAPSHOT, 1, 2, 1, snapshot=SnapshotMeta(3, 1, THREE)))
    assert node.ready().snapshot is None
    assert (node.commit, node.last_index) == (3, 4)


def test_pre_vote_granted_for_an_earlier_round_does_not_count() -> None:
    """A grant names the term that was asked for."""
    node = make()
    node.step(Message(MessageKind.HEARTBEAT, 1, 2, 4))
    node.campaign()
    node.step(Message(MessageKind.PRE_VOTE_REPLY, 1, 3, 4))
    assert node.role is Role.PRE_CANDIDATE
    node.step(Message(MessageKind.PRE_VOTE_REPLY, 1, 3, 5))
    assert node.role is Role.CANDIDATE


def test_entries_behind_a_snapshot_come_in_a_ready_of_their_own() -> None:
    """A driver installs a state or appends entries, never both under one write number."""
    node = make()
    node.step(Message(MessageKind.SNAPSHOT, 1, 2, 1, snapshot=SnapshotMeta(9, 1, THREE)))
    node.step(Message(MessageKind.APPEND, 1, 2, 1, log_term=1, index=9, entries=(Entry(1, 10, 0, b"x"),), commit=10))
    first, second = node.ready(), node.ready()
    assert (first.snapshot is not None, first.entries, second.snapshot) == (True, (), None)
    assert [entry.index for entry in second.entries] == [10]
    assert (first.held, second.held_after, first.committed, second.committed) == ((), 2, (), ())
    assert (first.hard_state, second.hard_state) == (HardState(1, 0, 9), HardState(1, 0, 10))
    node._core.storage.write(first.hard_state, first.snapshot, ())
    node.persisted(1, 1, 9)
    assert not node.has_ready()
    node._core.storage.write(second.hard_state, None, second.entries)
    node.persisted(2, 1, 10)
    assert [entry.index for entry in node.ready().committed] == [10]


@settings(max_examples=80, derandomize=True, deadline=None)
@given(
    st.lists(
        st.builds(
            Message,
            st.sampled_from([*MessageKind, 99]),
            st.sampled_from([1, 2]),
            st.sampled_from([0, 1, 2, 9]),
            st.integers(0, 4),
            st.integers(0, 3),
            st.integers(0, 3),
            st.sampled_from([(), (Entry(1, 7, 0, b"x"),), (Entry(0, 0, 1, b"\xff"),)]),
            st.just(0),
            reject=st.booleans(),
            snapshot=st.none(),
            reject_hint=st.integers(0, 9),
            context=st.sampled_from([b"", b"transfer", b"12345678"]),
        ),
        max_size=30,
    )
)
def test_messages_that_make_no_sense_never_raise(messages: list[Message]) -> None:
    """What is stale, foreign or out of place is ignored; the member's invariants hold."""
    node = make()
    for message in messages:
        node.step(message)
        node.check_invariants()


def test_config_names_all_its_faults_at_once() -> None:
    with pytest.raises(ConfigError) as caught:
        RaftConfig(0, election_ticks=1, append_bytes_max=0, inflight_max=0).validate()
    text = str(caught.value)
    assert all(name in text for name in ("member_id", "election_ticks", "append_bytes_max", "inflight_max"))


def test_member_restarted_knows_what_was_applied_as_committed() -> None:
    """The commit index is not written by itself; the store's applied index is proof enough."""
    storage = MemoryStorage(THREE)
    storage.write(HardState(1, 0, 1), None, [Entry(1, index, 0, b"x") for index in range(1, 5)])
    node = RawNode(RaftConfig(1), storage, applied=3, randrange=lambda limit: 0)
    assert (node.commit, node.applied) == (3, 3)


def test_status_is_a_copy_and_describe_names_every_member() -> None:
    cluster = Cluster(THREE)
    node = cluster.elect(1).running
    before = node.status()
    cluster.propose(1, b"x")
    cluster.settle()
    assert before.last_index + 1 == node.status().last_index
    assert sorted(node.status().progress) == [1, 2, 3]
    assert all(f"  {member}: " in node.describe() for member in (1, 2, 3))
    assert cluster.members[2].running.status().progress == {}


def test_learner_whose_leader_is_gone_stops_trusting_it() -> None:
    """It never campaigns, so nothing else would tell it; its clients must not wait for a dead leader."""
    cluster = Cluster(ConfState((1,), (2,)))
    cluster.elect(1)
    assert cluster.members[2].running.leader_id == 1
    cluster.members[1].crash(0)
    for _ in range(20):
        cluster.members[2].running.tick()
    assert cluster.members[2].running.leader_id == 0


def test_learner_asked_for_a_vote_that_its_longer_log_refuses_stands_itself() -> None:
    """The asker counts it as a voter and could never win without it; it leads until its term's first entry is applied."""
    cluster = Cluster(ConfState((2,), (1,)), config=RaftConfig(1, check_quorum=False))
    cluster.elect(2)
    voter, learner = cluster.members[2], cluster.members[1]
    for data in (b"sent before it is durable", b"and so is this"):
        cluster.propose(2, data)
        cluster.take_ready(voter)
    voter.crash(0)
    cluster.settle()
    for _ in range(20):
        learner.running.tick()
    assert (learner.running.leader_id, learner.running.role) == (0, Role.FOLLOWER)
    last = learner.running.last_index
    learner.running.step(Message(MessageKind.PRE_VOTE, 1, 2, 2, log_term=1, index=last - 1))
    assert learner.running.role is Role.PRE_CANDIDATE
    voter.start(0)
    cluster.settle()
    leader = cluster.leader()
    assert leader is voter and voter.running.last_index > last, "it led, told the voter what it lacked, and handed over"
    assert voter.running.conf_state == ConfState((2,), (1,))


def test_followers_in_the_same_state_share_one_tuple_of_entries() -> None:
    """The leader cuts its log once per turn, not once per follower."""
    cluster = Cluster(THREE)
    node = cluster.elect(1).running
    node.propose([b"a", b"b"])
    first, second = [message.entries for message in node.ready().messages if message.kind == MessageKind.APPEND]
    assert first is second
