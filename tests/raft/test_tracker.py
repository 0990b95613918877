"""Progress and its window, and the read rounds: small state, tested without a cluster."""

from __future__ import annotations

import pytest

from raftkv.raft.messages import ConfState
from raftkv.raft.read_index import ReadRounds
from raftkv.raft.tracker import Progress, ProgressState, Tracker

CONF = ConfState((1, 2, 3), (4,))


def make(*, count: int = 3, size: int = 100) -> Progress:
    progress = Progress(2, next_index=1, is_learner=False, inflight_max=count, inflight_bytes_max=size)
    progress.maybe_update(5)
    progress.become_replicate()
    return progress


@pytest.mark.parametrize(("count", "size", "sent"), [(3, 1000, 3), (99, 25, 3), (99, 20, 2), (1, 1, 1)])
def test_window_pauses_at_its_count_or_its_bytes(count: int, size: int, sent: int) -> None:
    progress = make(count=count, size=size)
    while not progress.is_paused:
        progress.on_sent(last_index=progress.next, size_bytes=10, commit=0)
    assert progress.inflight_count == sent
    progress.free_to(6)
    assert not progress.is_paused
    progress.check_invariants()


def test_window_freed_to_an_index_keeps_what_is_above() -> None:
    """An acknowledgement frees every message that ends at or below it, and no other."""
    progress = make()
    for last in (7, 8, 11):
        progress.on_sent(last_index=last, size_bytes=last, commit=0)
    progress.free_to(9)
    assert (progress.inflight_count, progress.inflight_bytes) == (1, 11)


def test_reject_in_replicate_below_match_is_out_of_date() -> None:
    """A delayed reject must not move next below what is acknowledged (faults §5c 8, 10)."""
    progress = make()
    assert not progress.maybe_decrease(rejected=5, hint=0)
    assert progress.maybe_decrease(rejected=9, hint=0)
    assert progress.next == progress.match + 1


def test_reject_in_probe_of_another_append_is_out_of_date() -> None:
    progress = make()
    progress.become_probe()
    progress.next = 9
    assert not progress.maybe_decrease(rejected=6, hint=2)
    assert progress.maybe_decrease(rejected=8, hint=2)
    assert progress.next == 6, "never at or below match, whatever the hint"


def test_snapshot_that_arrived_moves_next_behind_it() -> None:
    progress = make()
    progress.become_snapshot(20)
    assert progress.is_paused
    progress.become_probe()
    assert (progress.next, progress.state) == (21, ProgressState.PROBE)
    progress.check_invariants()


def test_member_kept_by_a_configuration_keeps_its_progress() -> None:
    tracker = Tracker(CONF, inflight_max=9, inflight_bytes_max=99)
    tracker.progress[2].maybe_update(7)
    tracker.apply(ConfState((1, 2), (3,), (1, 2, 3)), last_index=9)
    assert tracker.progress[2].match == 7
    assert tracker.progress[3].is_learner
    assert sorted(tracker.progress) == [1, 2, 3]
    tracker.check_invariants()


def test_learners_do_not_count_for_commit_votes_or_activity() -> None:
    """faults §5c 26."""
    tracker = Tracker(CONF, inflight_max=9, inflight_bytes_max=99)
    for member in (1, 4):
        tracker.progress[member].maybe_update(9)
    assert tracker.match_of_quorum() == 0
    tracker.take_quorum_active(1)
    tracker.progress[4].recent_active = True
    assert not tracker.take_quorum_active(1)
    tracker.progress[3].recent_active = True
    assert tracker.take_quorum_active(1)


def test_first_vote_of_a_member_stands() -> None:
    tracker = Tracker(CONF, inflight_max=9, inflight_bytes_max=99)
    tracker.record_vote(2, granted=False)
    tracker.record_vote(2, granted=True)
    assert tracker.votes == {2: False}


def test_round_is_confirmed_by_answers_to_it_or_a_later_one() -> None:
    rounds = ReadRounds(10)
    assert rounds.add(1, b"a")
    rounds.start(member_id=1, commit=5)
    assert rounds.add(3, b"b")
    rounds.start(member_id=1, commit=7)
    newest = rounds.newest_context()
    assert rounds.take_confirmed(CONF) == []
    rounds.on_answer(2, newest)
    done = rounds.take_confirmed(CONF)
    assert [(round_.commit, [one.context for one in round_.requests]) for round_ in done] == [(5, [b"a"]), (7, [b"b"])]
    rounds.check_invariants()


def test_answer_to_an_earlier_round_confirms_no_later_one() -> None:
    """faults §5c 13: a late or repeated answer belongs to the round it names."""
    rounds = ReadRounds(10)
    rounds.add(1, b"a")
    rounds.start(member_id=1, commit=5)
    first = rounds.newest_context()
    rounds.on_answer(2, first)
    assert len(rounds.take_confirmed(CONF)) == 1
    rounds.add(1, b"b")
    rounds.start(member_id=1, commit=6)
    for member in (2, 3):
        rounds.on_answer(member, first)
    assert rounds.take_confirmed(CONF) == []


def test_rounds_never_reuse_a_number_after_a_leader_change() -> None:
    """An answer from before the change must not confirm a round started after it."""
    rounds = ReadRounds(10)
    rounds.add(1, b"a")
    rounds.start(member_id=1, commit=5)
    old = rounds.newest_context()
    rounds.clear()
    rounds.add(1, b"b")
    rounds.start(member_id=1, commit=5)
    assert rounds.newest_context() != old
    rounds.on_answer(2, old)
    rounds.on_answer(3, b"no round of ours")
    assert rounds.take_confirmed(CONF) == []


def test_answer_to_a_round_that_never_was_confirms_nothing() -> None:
    rounds = ReadRounds(10)
    rounds.add(1, b"a")
    rounds.start(member_id=1, commit=5)
    rounds.on_answer(2, (99).to_bytes(8, "big"))
    assert rounds.take_confirmed(CONF) == []
    rounds.on_answer(2, rounds.newest_context())
    rounds.on_answer(2, (0).to_bytes(8, "big"))
    assert len(rounds.take_confirmed(CONF)) == 1, "nor does one take an answer back"


def test_learner_answers_confirm_nothing() -> None:
    rounds = ReadRounds(10)
    rounds.add(1, b"a")
    rounds.start(member_id=1, commit=5)
    rounds.on_answer(4, rounds.newest_context())
    assert rounds.take_confirmed(CONF) == []


def test_joint_configuration_needs_both_halves_to_confirm() -> None:
    conf = ConfState((1, 2, 3), (), (1, 4, 5))
    rounds = ReadRounds(10)
    rounds.add(1, b"a")
    rounds.start(member_id=1, commit=5)
    rounds.on_answer(2, rounds.newest_context())
    assert rounds.take_confirmed(conf) == []
    rounds.on_answer(5, rounds.newest_context())
    assert len(rounds.take_confirmed(conf)) == 1


def test_reads_above_the_bound_are_refused() -> None:
    rounds = ReadRounds(2)
    assert rounds.add(1, b"a") and rounds.add(1, b"b")
    assert not rounds.add(1, b"c")
    rounds.start(member_id=1, commit=1)
    assert not rounds.add(1, b"c"), "reads of a round under way count too"
    rounds.on_answer(2, rounds.newest_context())
    rounds.take_confirmed(CONF)
    assert rounds.add(1, b"c")
