"""What comes late, from behind, or from one that cannot win changes nothing that it should not."""

from __future__ import annotations

from raftkv.raft.config import RaftConfig
from raftkv.raft.messages import ConfState, Entry, HardState, Message, MessageKind, Role
from raftkv.raft.raw_node import RawNode
from raftkv.raft.storage import MemoryStorage
from raftkv.raft.tracker import ProgressState

THREE = ConfState((1, 2, 3))


def make() -> RawNode:
    return RawNode(RaftConfig(1, election_ticks=10, pre_vote=True), MemoryStorage(THREE), randrange=lambda limit: 0)


def write(node: RawNode) -> list[Message]:
    """Takes what there is to do, makes it durable, and returns every message."""
    messages: list[Message] = []
    while node.has_ready():
        ready = node.ready()
        messages += [*ready.messages, *ready.held]
        if ready.write_number:
            last = ready.entries[-1] if ready.entries else None
            node._core.storage.write(ready.hard_state, None, ready.entries)
            node.persisted(ready.write_number, last.term if last else 0, last.index if last else 0)
    return messages


def leader_of_term_three() -> RawNode:
    """Member 1, which followed member 2 in term 2 and was given entries by it."""
    node = make()
    node.step(Message(MessageKind.APPEND, 1, 2, 2, entries=tuple(Entry(2, index, 0, b"x") for index in (1, 2, 3))))
    write(node)
    node.campaign()
    write(node)
    node.step(Message(MessageKind.PRE_VOTE_REPLY, 1, 3, 3))
    write(node)
    node.step(Message(MessageKind.VOTE_REPLY, 1, 3, 3))
    write(node)
    assert (node.role, node.term) == (Role.LEADER, 3)
    return node


def test_acknowledgement_of_an_older_term_moves_nothing() -> None:
    """faults §5c 8: what stood on a disk in term 2 may have been overwritten since."""
    node = leader_of_term_three()
    node.step(Message(MessageKind.APPEND_REPLY, 1, 2, 2, index=3))
    assert node.status().progress[2].match == 0 and node.commit == 0
    node.step(Message(MessageKind.APPEND_REPLY, 1, 2, 3, index=4))
    assert node.status().progress[2].match == 4 and node.commit == 4


def test_pre_vote_of_an_older_term_is_answered_with_the_newer_one() -> None:
    """faults §5c 17, etcd #8243: without an answer a member that fell behind in term would ask for ever."""
    node = make()
    node.step(Message(MessageKind.HEARTBEAT, 1, 2, 5))
    write(node)
    node.step(Message(MessageKind.PRE_VOTE, 1, 3, 4, log_term=4, index=9))
    (answer,) = write(node)
    assert (answer.kind, answer.to, answer.term, answer.reject) == (MessageKind.PRE_VOTE_REPLY, 3, 5, True)


def test_refused_pre_vote_does_not_hold_the_own_candidacy_back() -> None:
    """faults §5c 19: a member that cannot win must not keep those from standing that can, however often it asks."""
    storage = MemoryStorage(THREE)
    storage.write(HardState(1, 0, 0), None, (Entry(1, 1, 0, b"x"),))
    node = RawNode(RaftConfig(1, election_ticks=10, pre_vote=True), storage, randrange=lambda limit: 0)
    for _ in range(9):
        node.tick()
        node.step(Message(MessageKind.PRE_VOTE, 1, 3, 2, log_term=0, index=0))
    assert [message.reject for message in write(node)] == [True] * 9
    node.tick()
    assert node.role is Role.PRE_CANDIDATE


def test_member_that_caught_up_while_a_snapshot_is_on_its_way_is_sent_entries() -> None:
    """faults §5c 33, etcd #10308: the outcome of a transfer may take minutes; who acknowledges what entries can follow needs none."""
    node = leader_of_term_three()
    storage = node._core.storage
    node.step(Message(MessageKind.APPEND_REPLY, 1, 2, 3, index=4))
    write(node)
    node.applied_to(4)
    storage.make_snapshot(4, THREE)
    storage.compact(3)
    node.step(Message(MessageKind.APPEND_REPLY, 1, 3, 3, index=node.status().progress[3].next - 1, reject=True, reject_hint=0))
    (sent,) = [message for message in write(node) if message.to == 3]
    assert sent.kind == MessageKind.SNAPSHOT
    assert node.status().progress[3].state is ProgressState.SNAPSHOT
    node.step(Message(MessageKind.APPEND_REPLY, 1, 3, 3, index=4))
    assert node.status().progress[3].state is ProgressState.REPLICATE
    node.propose([b"next"])
    assert [message.kind for message in write(node) if message.to == 3 and message.entries] == [MessageKind.APPEND]
