"""Locks that worked pass; holds that overlap, tokens that fall and writes of old tokens do not."""

from __future__ import annotations

from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jepsen_like.checker import lock
from jepsen_like.history import FAIL, OK, UNKNOWN, History, Operation
from tests.jepsen_like.locked import explained, locked, possible


@pytest.mark.parametrize("seed", range(20))
def test_lock_history_that_happened_is_valid(seed: int) -> None:
    """No false alarm, lost locks whose late writes were refused included."""
    verdict = lock.check(locked(seed))
    assert verdict.valid, verdict.anomalies[:2]
    verdict = lock.check(locked(seed, fenced=True), overlap=False)
    assert verdict.valid, verdict.anomalies[:2]


def test_large_lock_history_that_happened_is_valid() -> None:
    verdict = lock.check(locked(1, 5_000))
    assert verdict.valid, verdict.anomalies[:2]
    assert verdict.checked > 15_000


def test_lost_locks_overlap_in_some_histories() -> None:
    """What fencing is for: the same runs, held to exclusion, fail."""
    assert any(lock.check(locked(seed, fenced=True)).kinds == ("lock-overlap",) for seed in range(5))


def _call(f: str, process: int, begin: int, end: int, token: int, outcome: str = OK, **more: object) -> Operation:
    argument, result = (0, token) if f == "acquire" else (token, None)
    return Operation(process, f, "l", argument, result if outcome == OK else None, begin, end, outcome)._replace(**more)


def _kinds(*calls: Operation, overlap: bool = True) -> tuple[str, ...]:
    return lock.check(History(list(calls)), overlap=overlap).kinds


def test_lock_acquired_while_another_holds_overlaps() -> None:
    """Two processes in the critical section at once, by their own belief."""
    first = (_call("acquire", 1, 0, 1, 5), _call("release", 1, 10, 11, 5))
    assert _kinds(*first, _call("acquire", 2, 2, 9, 6)) == ("lock-overlap",)
    assert _kinds(*first, _call("acquire", 2, 2, 10, 6)) == ()
    assert _kinds(*first, _call("acquire", 2, 2, 9, 6), overlap=False) == ()
    assert _kinds(_call("acquire", 1, 0, 1, 5), _call("acquire", 2, 2, 9, 6)) == ()


def test_write_of_an_older_token_after_a_newer_was_acquired_is_stale() -> None:
    """L5: the fence keeps it out, by time or by revision."""
    holders = (_call("acquire", 1, 0, 1, 5), _call("acquire", 2, 2, 4, 6))
    assert _kinds(*holders, _call("guarded", 1, 5, 6, 5), overlap=False) == ("lock-stale-token",)
    assert _kinds(*holders, _call("guarded", 1, 3, 6, 5), overlap=False) == ()
    late = (_call("guarded", 2, 3, 9, 6, revision=20), _call("guarded", 1, 3, 8, 5, revision=21))
    assert _kinds(*holders, *late, overlap=False) == ("lock-stale-token",)
    assert _kinds(*holders, _call("guarded", 1, 5, 6, 5, FAIL), overlap=False) == ()


def test_token_smaller_than_one_acquired_before_is_out_of_order() -> None:
    assert _kinds(_call("acquire", 1, 0, 1, 6), _call("acquire", 2, 2, 3, 5)) == ("lock-token-order",)


def test_token_of_two_holders_is_reused_and_one_of_none_is_unknown() -> None:
    assert _kinds(_call("acquire", 1, 0, 1, 6), _call("acquire", 2, 0, 3, 6)) == ("lock-token-reused",)
    assert _kinds(_call("acquire", 1, 0, 1, 6), _call("guarded", 2, 2, 3, 7)) == ("lock-unknown-token",)
    assert _kinds(_call("acquire", 1, 0, 1, 6, UNKNOWN), _call("guarded", 1, 2, 3, 7)) == ()


def test_write_after_the_release_was_answered_is_refused() -> None:
    calls = (_call("acquire", 1, 0, 1, 6), _call("release", 1, 2, 3, 6), _call("guarded", 2, 4, 5, 6))
    assert _kinds(*calls) == ("lock-used-after-release",)


def _seen(process: int, at: int, leader: str, token: int) -> Operation:
    return Operation(process, "observe", "l", 0, (leader, token), at, at + 1, OK)


def test_observers_see_an_election_go_forward_with_one_leader_each() -> None:
    """All of them together: their reads are linearizable."""
    campaigns = (_call("acquire", 1, 10, 11, 6), _call("acquire", 2, 12, 13, 7))
    assert _kinds(*campaigns, _seen(8, 12, "a", 6), _seen(8, 30, "b", 7)) == ()
    campaigns = (_call("acquire", 1, 10, 11, 6), _call("acquire", 2, 12, 40, 7))
    assert _kinds(*campaigns, _seen(8, 20, "a", 6), _seen(8, 22, "b", 7), _seen(9, 22, "a", 6)) == ()
    assert _kinds(*campaigns, _seen(8, 20, "a", 6), _seen(8, 22, "b", 7), _seen(9, 30, "a", 6)) == ("election-went-back",)
    assert _kinds(*campaigns, _seen(8, 22, "", 0), _seen(8, 24, "b", 7)) == ()
    assert _kinds(*campaigns, _seen(8, 20, "b", 7), _seen(8, 22, "a", 6)) == ("election-went-back",)
    assert _kinds(*campaigns, _seen(8, 20, "a", 6), _seen(9, 22, "b", 6)) == ("election-two-leaders",)
    assert _kinds(*campaigns, _seen(8, 8, "a", 6)) == ("election-early",)


def _election() -> list[Operation]:
    """Two leaders one after the other, and an observer of each; revisions are told."""
    return [
        _call("acquire", 1, 0, 2, 5, revision=5),
        _call("acquire", 2, 3, 4, 7, revision=7),
        _seen(3, 5, "2", 7)._replace(revision=7),
    ]


def test_observer_is_shown_a_leader_who_was_over_before_it_asked() -> None:
    """A stale read, though no observer sees anything go back: the header gives it away, and so does real time alone."""
    assert _kinds(*_election(), overlap=False) == ()
    stale = _seen(4, 7, "1", 5)
    assert _kinds(*_election(), stale._replace(revision=5), overlap=False) == ("election-went-back", "stale-revision")
    assert _kinds(*_election(), stale._replace(revision=8), overlap=False) == ("election-went-back", "lock-not-first")
    assert _kinds(*_election(), stale, overlap=False) == ("election-went-back",)


def test_leader_observed_is_the_oldest_alive_at_the_revision() -> None:
    """Of answers that overlap in time only the revisions say who can have led."""
    beside = _seen(4, 2, "", 0)._replace(invoke_ns=0, complete_ns=90)
    assert _kinds(*_election(), beside._replace(result=("1", 5), revision=6), overlap=False) == ()
    assert _kinds(*_election(), beside._replace(result=("1", 5), revision=7), overlap=False) == ("lock-not-first",)
    assert _kinds(*_election(), beside._replace(result=("", 0), revision=6), overlap=False) == ()
    assert _kinds(*_election(), beside._replace(result=("", 0), revision=7), overlap=False) == ("lock-not-first",)
    assert _kinds(*_election(), beside._replace(result=("2", 7), revision=6), overlap=False) == ("lock-not-first",)
    left = _call("release", 1, 3, 5, 5)._replace(revision=6)
    assert _kinds(*_election(), left, beside._replace(result=("1", 5), revision=5), overlap=False) == ()
    assert _kinds(*_election(), left, beside._replace(result=("1", 5), revision=6), overlap=False) == ("lock-not-first",)
    unheard = left._replace(outcome=UNKNOWN, revision=0)
    assert _kinds(*_election(), unheard, beside._replace(result=("1", 5), revision=6), overlap=False) == ()


def test_leader_is_not_seen_after_his_release_was_answered() -> None:
    calls = (_call("acquire", 1, 0, 2, 5), _call("release", 1, 3, 5, 5))
    assert _kinds(*calls, _seen(4, 5, "1", 5), overlap=False) == ()
    assert _kinds(*calls, _seen(4, 6, "1", 5), overlap=False) == ("lock-used-after-release",)


def test_header_revisions_of_a_lock_rise_with_real_time() -> None:
    """Over all processes, and whatever else they ask for: a write makes a revision nobody had been shown."""
    before = Operation(9, "get", "other", 0, None, 0, 1, OK, 30)
    assert _kinds(before, _call("acquire", 1, 2, 3, 5, revision=29)) == ("lock-token-order", "stale-revision")
    assert _kinds(before, _call("acquire", 1, 2, 3, 30, revision=30)) == ("lock-token-order",)
    assert _kinds(before, _call("acquire", 1, 2, 3, 31, revision=31)) == ()
    held = _call("acquire", 1, 0, 1, 5, revision=5)
    assert _kinds(held, before, _call("guarded", 1, 2, 3, 5, revision=30)) == ("revision-reused",)
    assert _kinds(held, before, _call("guarded", 1, 2, 3, 5, revision=31)) == ()


def _mutated(seed: int) -> list[Operation]:
    """A small history that happened, and one number of one answer changed."""
    random = Random(seed)
    operations = [one for one in locked(seed, 3).operations if one.outcome == OK]
    place = random.randrange(len(operations))
    one = operations[place]
    tokens = [other.result for other in operations if other.f == "acquire"]
    if one.f == "observe":
        token = random.choice([0, *tokens])
        if random.random() < 0.5:
            one = one._replace(result=(f"p{token}", token))
        else:
            begin = random.choice(operations).invoke_ns
            one = one._replace(process=77, invoke_ns=begin, complete_ns=max(begin + 1, random.choice(operations).complete_ns))
    if one is operations[place]:
        one = one._replace(revision=max(1, one.revision + random.choice([-3, -2, -1, 1, 2, 3])))
    operations[place] = one
    return operations


def test_lock_checker_and_every_order_of_a_stores_events_agree_on_mutated_histories() -> None:
    """Leaders, tokens and header revisions: what no store can have answered is refuted, and nothing else is."""
    refuted = 0
    for seed in range(400):
        operations = _mutated(seed)
        verdict = lock.check(History(operations), overlap=False)
        assert verdict.valid == explained(operations), (seed, operations, verdict.anomalies)
        refuted += not verdict.valid
    assert 150 < refuted < 350


@pytest.mark.parametrize("seed", range(30))
def test_lock_history_with_an_old_token_let_in_is_refuted(seed: int) -> None:
    """A refused late write turned into an accepted one."""
    history = locked(seed, fenced=True)
    late = [place for place, one in enumerate(history.operations) if one.outcome == FAIL]
    place = Random(seed).choice(late)
    one = history.operations[place]
    before = [other for other in history.operations if other.outcome == OK and other.complete_ns < one.invoke_ns]
    newer = any(other.f == "acquire" and other.result > one.argument for other in before)
    newer = newer or any(other.f == "observe" and other.result[1] > one.argument for other in before)
    history.operations[place] = one._replace(outcome=OK)
    assert lock.check(history, overlap=False).valid == (not newer)


@settings(max_examples=300, derandomize=True, deadline=None, database=None)
@given(st.data())
def test_lock_checker_and_trying_every_order_agree(data: st.DataObject) -> None:
    """A place for every hold is found exactly when some order of the calls has one."""
    calls: list[Operation] = []
    for process in range(data.draw(st.integers(1, 3))):
        token = data.draw(st.integers(1, 3)) * 10 + process
        begin = data.draw(st.integers(0, 6))
        end = begin + data.draw(st.integers(1, 4))
        calls.append(_call("acquire", process, begin, end, token))
        if data.draw(st.booleans()):
            begin = end + data.draw(st.integers(1, 3))
            end = begin + data.draw(st.integers(1, 4))
            calls.append(_call("guarded", process, begin, end, token))
        if data.draw(st.booleans()):
            begin = end + data.draw(st.integers(1, 3))
            outcome = data.draw(st.sampled_from([OK, OK, UNKNOWN]))
            calls.append(_call("release", process, begin, begin + 2, token, outcome))
    overlap = data.draw(st.booleans())
    verdict = lock.check(History(calls), overlap=overlap)
    assert verdict.valid == possible(calls, overlap=overlap), (calls, overlap, verdict.anomalies)


def test_two_accepted_writes_made_two_revisions() -> None:
    """A revision has one maker."""
    acquired = _call("acquire", 1, 0, 1, 5)
    first, second = (_call("guarded", process, 2, 3, 5, revision=6) for process in (1, 2))
    assert _kinds(acquired, first, second) == ("revision-reused",)
    assert _kinds(acquired, first, second._replace(revision=7)) == ()
