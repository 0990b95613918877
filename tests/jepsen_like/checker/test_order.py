"""The order of revisions against every order there is, against mutations, and with writes whose outcome is unknown."""

from __future__ import annotations

from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jepsen_like.checker import order
from jepsen_like.history import FAIL, OK, UNKNOWN, Event, KeyValue, Operation, RangeArgument, RangeResult, TxnArgument, TxnResult
from tests.jepsen_like.checker import twins
from tests.jepsen_like.generated import EVERYTHING, SIMPLE, history
from tests.jepsen_like.mutations import mutated

NO_PAST = {**EVERYTHING, "old-get": 0}
"""The twin has no old revisions."""

EMPTY = Operation(99, "get", "z", 0, None, -2, -1, OK, 1)
"""Says, as a run's first call does, that the store began empty."""


def _small(random: Random, unknown: float) -> list[Operation]:
    operations = history(
        random,
        random.randint(2, 8),
        keys=random.choice([1, 2, 3]),
        clients=random.choice([2, 3, 8]),
        unknown=unknown,
        values=random.choice([0, 2]),
        mix=random.choice([SIMPLE, NO_PAST]),
    )
    for _ in range(random.choice([0, 1, 1, 2])):
        operations = mutated(random, operations)
    return [EMPTY, *operations]


@pytest.mark.slow
@settings(derandomize=True, max_examples=600, deadline=None)
@given(st.integers(0, 2**40))
def test_verdict_of_small_histories_is_that_of_trying_every_order(seed: int) -> None:
    """Exact in both directions where every outcome is known."""
    operations = _small(Random(seed), 0)
    expected = twins.explained(operations, twins.EMPTY_STORE, twins.store, accepts=twins.store_accepts)
    verdict = order.check(operations)
    assert verdict.valid == expected, verdict.anomalies


@pytest.mark.slow
@settings(derandomize=True, max_examples=600, deadline=None)
@given(st.integers(0, 2**40))
def test_verdict_of_small_histories_with_unknown_outcomes_is_that_of_trying_every_order(seed: int) -> None:
    """Exact in both directions as well, where it is decided which unknown write made which revision."""
    operations = _small(Random(seed), 0.3)
    expected = twins.explained(operations, twins.EMPTY_STORE, twins.store, accepts=twins.store_accepts)
    verdict = order.check(operations)
    assert verdict.valid == expected, verdict.anomalies


@pytest.mark.slow
@pytest.mark.parametrize("unknown", [0, 0.02, 0.2])
@pytest.mark.parametrize("values", [0, 4])
def test_large_history_that_happened_is_valid(unknown: float, values: int) -> None:
    """A rule that is wrong once in ten thousand operations shows here and nowhere else."""
    operations = history(Random(1), 10_000, keys=10, clients=20, unknown=unknown, mix=EVERYTHING, values=values)
    verdict = order.check(operations)
    assert verdict.valid, verdict.anomalies[:2]


@pytest.mark.slow
def test_changed_answers_are_refuted() -> None:
    """With every outcome known the revision leaves one possible answer, so that every other one is refuted."""
    tried = 0
    for seed in range(300):
        random = Random(seed)
        operations = history(random, 60, keys=3, mix=EVERYTHING)
        changed = mutated(random, operations, revisions=False)
        if changed != operations:
            tried += 1
            assert order.check(changed).outcome == "invalid", seed
    assert tried > 200


KV = KeyValue("k", "a", 2, 2, 1)


def _put(process: int, value: str, began: int, ended: int, revision: int = 0, outcome: str = OK, key: str = "k") -> Operation:
    return Operation(process, "put", key, value, () if outcome == OK else None, began, ended, outcome, revision)


def _get(process: int, result: KeyValue | None, began: int, ended: int, revision: int, asked: int = 0) -> Operation:
    return Operation(process, "get", "k", asked, result, began, ended, OK, revision)


NAMED: dict[str, list[Operation]] = {
    "stale-revision": [_put(0, "a", 1, 2, 2), _get(1, None, 3, 4, 1)],
    "stale-read": [_put(0, "a", 1, 2, 2), _put(0, "b", 3, 4, 3), _get(1, KV, 5, 6, 3)],
    "lost-write": [_put(0, "a", 1, 2, 2), _get(1, None, 3, 4, 2)],
    "revision-reused": [_put(0, "a", 1, 9, 2), _put(1, "b", 1, 9, 2)],
    "aborted-read": [_put(0, "a", 1, 2, outcome=FAIL), _get(1, KV, 3, 4, 2)],
    "phantom-read": [_get(1, KV, 3, 4, 2)],
    "future-read": [_put(0, "a", 1, 9, 2), _get(1, KV, 1, 9, 1)],
    "phantom-revision": [_put(0, "a", 1, 2, 2), _put(0, "b", 3, 4, 4)],
    "write-before-call": [_put(0, "x", 1, 2, 3, key="j"), _put(1, "a", 3, 4, outcome=UNKNOWN), _get(2, KV, 5, 6, 3)],
    "wrong-compare": [_put(0, "a", 1, 2, 2), Operation(1, "cas", "k", ("b", "c"), (True,), 3, 4, OK, 3)],
    "wrong-count": [_put(0, "a", 1, 2, 2), Operation(1, "delete", "k", "", 2, 3, 4, OK, 3)],
    "no-placement": [
        EMPTY,
        _put(0, "x", 1, 2, outcome=UNKNOWN),
        _put(1, "a", 3, 4, 3),
        Operation(2, "delete", "j", "", 0, 5, 6, OK, 3),
        _get(2, KeyValue("k", "a", 3, 3, 1), 7, 8, 3),
    ],
    "spurious-future": [_put(0, "a", 1, 2, 2), Operation(1, "get", "k", 2, None, 3, 4, FAIL, error="a future revision")],
    "spurious-compaction": [_put(0, "a", 1, 2, 2), Operation(1, "get", "k", 2, None, 3, 4, FAIL, error="compacted")],
    "read-below-compaction": [
        _put(0, "a", 1, 2, 2),
        _put(0, "b", 3, 4, 3),
        Operation(0, "compact", "", 3, None, 5, 6, OK, 3),
        _get(1, KV, 7, 8, 3, asked=2),
    ],
}


@pytest.mark.parametrize("kind", NAMED)
def test_anomaly_is_named(kind: str) -> None:
    """Each promise has its own name when it is broken."""
    verdict = order.check(NAMED[kind])
    assert kind in verdict.kinds, verdict.anomalies


def test_unknown_write_that_was_seen_stands_where_it_was_seen() -> None:
    """From then on it is a write like any other."""
    operations = [_put(0, "a", 1, 2, outcome=UNKNOWN), _get(1, KV, 3, 4, 2), _get(1, None, 5, 6, 2)]
    assert order.check(operations[:2]).valid
    assert "lost-write" in order.check(operations).kinds


def test_watched_event_places_an_unknown_write() -> None:
    """Nobody read it, but a watcher saw it: a later answer must know it."""
    operations = [_put(0, "a", 1, 2, outcome=UNKNOWN), _put(1, "x", 1, 4, 3, key="j"), _get(2, None, 5, 6, 3)]
    assert order.check(operations).valid
    assert not order.check(operations, events=[Event("put", KV, None, True)]).valid


def test_limited_range_does_not_say_which_key_is_gone() -> None:
    """The count is one less than known, and two unknown deletions can be why: neither is taken for the one."""
    ranged = Operation(
        5, "range", "a", RangeArgument("z", limit=1), RangeResult((KeyValue("a", "v", 2, 2, 1),), 2, more=True), 20, 21, OK, 5
    )
    for survivor, revision in (("b", 3), ("c", 4)):
        operations = [
            _put(0, "v", 1, 2, 2, key="a"),
            _put(0, "v", 3, 4, 3, key="b"),
            _put(0, "v", 5, 6, 4, key="c"),
            Operation(1, "delete", "b", "", None, 7, 8, UNKNOWN),
            Operation(2, "delete", "c", "", None, 7, 8, UNKNOWN),
            ranged,
            Operation(5, "get", survivor, 0, KeyValue(survivor, "v", revision, revision, 1), 22, 23, OK, 5),
        ]
        assert order.check(operations).valid


def test_member_s_own_revision_of_a_lease_answer_is_not_held_to_real_time() -> None:
    """Only answers of the key-value API promise the newest revision."""
    operations = [_put(0, "a", 1, 2, 2), Operation(1, "keepalive", "1", 0, 5, 3, 4, OK, 1)]
    assert order.check(operations).valid


def test_revoke_takes_the_keys_of_its_lease_and_no_others() -> None:
    """A lease is named by the key of its calls; keys without a lease are no one's."""

    def call(number: int, f: str, key: str, argument: object, result: object, revision: int, lease: int = 0) -> Operation:
        return Operation(1, f, key, argument, result, number * 10, number * 10 + 5, OK, revision, "", "", lease)

    held = KeyValue("plain", "1", 2, 2, 1)
    operations = [
        EMPTY,
        call(1, "put", "plain", "1", (), 2),
        call(2, "put", "leased", "2", (), 3, lease=7),
        call(3, "revoke", "7", 0, None, 4),
        call(4, "get", "plain", 0, held, 4),
        call(5, "get", "leased", 0, None, 4),
    ]
    assert order.check(operations).valid
    survivor = [*operations[:-1], call(5, "get", "leased", 0, KeyValue("leased", "2", 3, 3, 1, 7), 4)]
    assert not order.check(survivor).valid


@pytest.mark.parametrize(("target", "sign", "operand"), [("create", ">", 2), ("version", "=", 1)])
@pytest.mark.parametrize("deleted", [True, False])
def test_compare_of_what_counts_from_creation_may_be_due_to_an_unseen_deletion_before_the_last_write(target, sign, operand, deleted):
    """Found by seed 20046 of 15 s: a delete of unknown outcome began the key anew, and a transaction was the first to see it."""
    argument = TxnArgument((("k", target, sign, operand),), (("put", "j", "3"),), ())
    operations = [
        EMPTY,
        Operation(0, "put", "k", "1", (), 0, 10, OK, 2),
        *([Operation(1, "delete", "k", "", None, 11, 20, UNKNOWN)] if deleted else []),
        Operation(0, "put", "j", "0", (), 21, 30, OK, 4 if deleted else 3),
        Operation(0, "put", "k", "2", (), 31, 40, OK, 5 if deleted else 4),
        Operation(2, "txn", "", argument, TxnResult(True, ((),)), 41, 50, OK, 6 if deleted else 5),
    ]
    assert order.check(operations).kinds == (() if deleted else ("wrong-compare",))


def _compared(result: bool, *, seen: bool) -> list[Operation]:
    """One of two unknown puts made revision 3; then a put was answered, maybe read, and compared by its value."""
    argument = TxnArgument((("k", "value", "=", "c"),), (("put", "j", "1"),), (("put", "j", "2"),))
    return [
        EMPTY,
        _put(0, "x", 1, 2, 2, key="i"),
        _put(1, "a", 3, 4, outcome=UNKNOWN),
        _put(2, "b", 3, 4, outcome=UNKNOWN),
        _put(0, "c", 5, 6, 4),
        *([_get(0, KeyValue("k", "c", 3, 4, 2), 7, 8, 4)] if seen else []),
        Operation(0, "txn", "", argument, TxnResult(result, ((),)), 9, 10, OK, 5),
    ]


@pytest.mark.parametrize("seen", [False, True])
def test_hidden_write_excuses_no_compare_of_what_was_written_after_it(seen: bool) -> None:
    """Nothing can stand between the write of revision 4 and a transaction of revision 5, whatever stands at 3."""
    assert order.check(_compared(True, seen=seen)).valid
    assert order.check(_compared(False, seen=seen)).kinds == ("wrong-compare",)


def test_hidden_write_of_before_does_not_change_what_was_seen_after_it() -> None:
    """A read showed the whole record of revision 4; another answer about the same revision must show the same."""
    again = _get(0, KeyValue("k", "c", 2, 4, 3), 11, 12, 5)
    assert order.check([*_compared(True, seen=True), again]).kinds == ("wrong-read",)


def test_read_of_a_revision_that_the_answering_store_had_not_reached_is_of_the_future() -> None:
    """The header is of the same store as the answer."""
    operations = [EMPTY, _put(0, "a", 1, 9, 2), _get(1, KV, 2, 8, 1, asked=2)]
    assert order.check(operations).kinds == ("future-read",)


@pytest.mark.parametrize("unknown", [False, True])
def test_leased_key_that_expired_unseen_may_have_been_created_again(unknown: bool) -> None:
    """A later put began it anew, as only the create revision tells; without a revision for the expiry it cannot have."""
    hidden = [_put(7, "q", 0, 0, outcome=UNKNOWN, key="q")] if unknown else []
    operations = [EMPTY, *hidden, _put(0, "a", 1, 2, 2)._replace(lease=7), _put(0, "b", 3, 4, 4)]
    assert order.check([*operations, _get(0, KeyValue("k", "b", 4, 4, 1), 5, 6, 4)], closed=False).valid
    operations[-1] = operations[-1]._replace(revision=3)
    assert order.check([*operations, _get(0, KeyValue("k", "b", 3, 3, 1), 5, 6, 3)], closed=False).kinds == ("wrong-read",)


@pytest.mark.parametrize(
    "hidden",
    [
        Operation(0, "cas", "k", ("never written", "x"), None, 1, 2, UNKNOWN),
        Operation(0, "txn", "", TxnArgument((), (("get", "k"),)), None, 1, 2, UNKNOWN),
        Operation(0, "delete", "j", "", None, 1, 2, UNKNOWN),
    ],
)
def test_call_that_can_have_written_nothing_made_no_revision(hidden: Operation) -> None:
    """A compare with what was never there, a transaction that only reads, a deletion of nothing."""
    assert not order.check([EMPTY, hidden, _put(1, "a", 3, 4, 3)]).valid
    assert order.check([EMPTY, hidden, _put(1, "a", 3, 4, 2)]).valid
    assert order.check([EMPTY, hidden, _put(5, "b", 1, 2, outcome=UNKNOWN), _put(1, "a", 3, 4, 3)]).valid


def test_unseen_expiry_of_an_unseen_write_s_lease_explains_a_revision() -> None:
    """An unknown put that nobody saw may have had a lease, and the lease an end: two revisions of one call."""
    hidden = _put(3, "a", 1, 2, outcome=UNKNOWN)._replace(lease=7)
    assert order.check([EMPTY, hidden, _put(1, "x", 3, 4, 4, key="j")]).valid


@pytest.mark.parametrize("process", [0, 1])
def test_call_that_begins_as_the_last_one_of_its_process_ends_comes_after_it(process: int) -> None:
    """Of one process they are in sequence; of two they are concurrent."""
    verdict = order.check([EMPTY, _put(0, "a", 1, 2, 2), _get(process, None, 2, 3, 1)])
    assert verdict.kinds == (() if process else ("stale-revision",))
    unknown = _put(process, "a", 2, 3, outcome=UNKNOWN)
    verdict = order.check([EMPTY, _put(5, "y", 1, 2, 3, key="i"), _put(0, "x", 1, 2, 4, key="j"), unknown, _get(7, KV, 4, 5, 4)])
    assert ("write-before-call" in verdict.kinds) == (not process)
