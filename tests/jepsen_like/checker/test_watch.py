"""Watchers that were kept every promise pass; one event changed, and they do not; a slow twin agrees on small runs."""

from __future__ import annotations

from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jepsen_like.checker import watch
from jepsen_like.history import OK, Event, History, KeyValue, Operation, Watch, WatchResponse
from tests.jepsen_like.watch_mutations import MUTATIONS, mutated
from tests.jepsen_like.watch_twin import possible
from tests.jepsen_like.watched import watched

MAY_STAY_POSSIBLE = {"swap", "value", "type", "version", "wrong-previous", "no-previous"}
"""Of a change that only one watcher saw, nobody can say that it was another; a compacted previous record may be left out."""


@pytest.mark.parametrize("seed", range(20))
def test_watch_of_what_happened_is_valid(seed: int) -> None:
    """No false alarm: unknown outcomes, compactions, fragments, filters, future starts and lost streams included."""
    verdict = watch.check(watched(seed, 120, 10))
    assert verdict.valid, verdict.anomalies[:2]


@pytest.mark.slow
def test_watch_of_a_large_valid_history_is_valid() -> None:
    """What small random histories do not show."""
    history = watched(7, 10_000, 30, span=5_000)
    verdict = watch.check(history)
    assert verdict.valid, verdict.anomalies[:2]
    assert sum(len(response.events) for response in history.responses) > 20_000


@pytest.mark.parametrize("name", sorted(MUTATIONS))
def test_watch_of_a_changed_history_is_refuted(name: str) -> None:
    """A checker that cannot fail proves nothing."""
    applied = refuted = 0
    for seed in range(25):
        history = mutated(Random(seed), watched(seed, 60, 8, unknown=0.02), name)
        if history is not None:
            applied += 1
            refuted += not watch.check(history).valid
    assert applied > 5
    assert refuted == applied or (name in MAY_STAY_POSSIBLE and refuted > 0.9 * applied)


@settings(max_examples=120, derandomize=True, deadline=None, database=None)
@given(st.integers(0, 10**6), st.sampled_from(["", *sorted(MUTATIONS)]))
def test_watch_checker_and_its_twin_agree(seed: int, name: str) -> None:
    """What the checker refutes, no log of a store can explain; what it passes, one can."""
    history: History | None = watched(seed, 6, 3, keys=2, unknown=0.3)
    assert history is not None
    top = 1 + sum(operation.f != "get" for operation in history.operations)
    if name:
        history = mutated(Random(seed), history, name)
    if history is None:
        return
    verdict = watch.check(history, closed=False)
    explained = possible(history, ["k0", "k1"], top)
    if not verdict.valid:
        assert not explained, verdict.anomalies
    elif not any(operation.f == "delete" and operation.argument for operation in history.operations):
        # A deleted range's count may speak of keys the twin does not know.
        assert explained, history


def _put(key: str, value: str, revision: int, create: int = 0, version: int = 1) -> Event:
    kv = KeyValue(key, value, create or revision, revision, version)
    return Event("put", kv, None, version == 1)


def _history(*responses: WatchResponse, start: int = 2, operations: tuple[Operation, ...] = (), **asked: object) -> History:
    opened = Watch(0, 9, "a", "z", start, 0, "n1", **asked)  # type: ignore[arg-type]
    return History(list(operations), [opened], [WatchResponse(0, 1, 1, created=True), *responses])


def _write(value: str, revision: int, key: str = "k") -> Operation:
    return Operation(1, "put", key, value, (), 1, 2, OK, revision)


def _kinds(history: History, **how: object) -> tuple[str, ...]:
    return watch.check(history, **how).kinds  # type: ignore[arg-type]


def test_watch_that_never_got_an_acknowledged_write_between_two_others_is_unreliable() -> None:
    """W3: the write's answer is enough; no other watcher need have seen it."""
    writes = (_write("1", 2, "a"), _write("2", 3, "b"), _write("3", 4, "c"))
    shown = WatchResponse(0, 5, 4, (_put("a", "1", 2), _put("c", "3", 4)))
    assert _kinds(_history(shown, operations=writes)) == ("watch-reliable",)


def test_watch_that_skipped_its_first_event_is_not_resumable() -> None:
    """W5: resuming begins with the first event from the start revision on."""
    writes = (_write("1", 2, "a"), _write("2", 3, "b"))
    shown = WatchResponse(0, 5, 4, (_put("b", "2", 3),))
    assert _kinds(_history(shown, operations=writes)) == ("watch-resumable",)


def test_watch_from_a_future_revision_shown_an_older_event_is_not_resumable() -> None:
    """A future start waits; what happens before it is not for this watcher."""
    shown = WatchResponse(0, 5, 6, (_put("a", "1", 6),))
    assert _kinds(_history(shown, start=50, operations=(_write("1", 6, "a"),))) == ("watch-resumable",)
    idle = WatchResponse(0, 5, 6)
    assert _kinds(_history(idle, start=50, operations=(_write("1", 6, "a"),))) == ()


def test_watch_shown_a_version_that_skips_one_missed_an_event_nobody_saw() -> None:
    """Versions count puts: two puts of versions 1 and 3 prove one between."""
    shown = WatchResponse(0, 5, 9, (_put("a", "1", 2), _put("a", "3", 5, 2, 3)))
    verdict = watch.check(_history(shown), closed=False)
    assert verdict.kinds == ("watch-reliable",)
    assert "1 more puts must lie between" in verdict.anomalies[0].explanation
    filtered = WatchResponse(0, 5, 9, (_put("a", "1", 2), _put("a", "3", 5, 5, 1)))
    assert _kinds(_history(filtered, filters=("nodelete",)), closed=False) == ()


def test_watch_of_two_who_disagree_is_divergent() -> None:
    """One revision of a key is one thing."""
    opened = [Watch(number, number, "a", "", 2, 0) for number in (0, 1)]
    sent = [WatchResponse(0, 5, 2, (_put("a", "1", 2),)), WatchResponse(1, 5, 2, (_put("a", "2", 2),))]
    assert watch.check(History([], opened, sent), closed=False).kinds == ("watch-divergent",)


def test_watch_shown_what_only_a_failed_call_wrote_is_phantom() -> None:
    """A call that certainly failed never happens later."""
    failed = Operation(1, "put", "a", "1", None, 1, 2, "fail")
    assert _kinds(_history(WatchResponse(0, 5, 2, (_put("a", "1", 2),)), operations=(failed,))) == ("watch-phantom",)


def test_watch_shown_a_write_before_it_was_asked_for_is_early() -> None:
    late = _write("1", 2, "a")._replace(invoke_ns=50, complete_ns=60)
    assert _kinds(_history(WatchResponse(0, 5, 2, (_put("a", "1", 2),)), operations=(late,))) == ("watch-early",)


def test_watch_told_of_a_newer_revision_than_its_response_is_refused() -> None:
    assert _kinds(_history(WatchResponse(0, 5, 2, (_put("a", "1", 3),)), operations=(_write("1", 3, "a"),))) == ("watch-header",)


def test_watch_in_which_one_revision_changes_two_keys_is_not_unique_where_writes_are_single() -> None:
    """Kubernetes counts on it: one write, one revision."""
    history = _history(WatchResponse(0, 5, 2, (_put("a", "1", 2), _put("b", "1", 2))))
    assert _kinds(history, closed=False) == ()
    assert _kinds(history, closed=False, unique_revisions=True) == ("watch-unique",)


def test_watch_cancelled_as_compacted_needs_a_revision_and_a_reason() -> None:
    """W10: the compact revision is told, was asked for, and lies above what the watcher still needed."""
    compaction = Operation(1, "compact", "", 8, None, 1, 2, OK, 9)

    def cancelled(compact_revision: int, reason: str = "", start: int = 2) -> tuple[str, ...]:
        response = WatchResponse(0, 5, 0, cancelled=True, compact_revision=compact_revision, reason=reason)
        return _kinds(_history(response, start=start, operations=(compaction,)))

    assert cancelled(8) == ()
    assert cancelled(7) == ("watch-cancel",)
    assert cancelled(8, start=8) == ("watch-cancel",)
    assert cancelled(0, "mvcc: required revision has been compacted") == ("watch-cancel",)
    assert cancelled(0, "the stream was lost") == ()


def test_watch_that_was_awaited_in_vain_leaves_the_verdict_unknown() -> None:
    """W9: lateness is not refuted, but never passes for convergence."""
    history = _history(WatchResponse(0, 5, 4))
    assert watch.check(history, awaited={0: 4}).valid
    assert watch.check(history, awaited={0: 5}).outcome == "unknown"


def test_watch_of_a_deleted_range_shown_too_few_deletes_is_not_atomic() -> None:
    """The answer counts what went; a watcher of the whole range sees each."""
    operations = (_write("1", 2, "a"), _write("2", 3, "b"), Operation(1, "delete", "a", "z", 2, 3, 4, OK, 4))
    gone = Event("delete", KeyValue("a", "", 0, 4, 0))
    shown = WatchResponse(0, 5, 4, (_put("a", "1", 2), _put("b", "2", 3), gone))
    assert _kinds(_history(shown, operations=operations)) == ("watch-atomic",)


PUT = Operation(0, "put", "k", "1", (), 10, 11, OK, 2)
LAST = Operation(0, "put", "k", "2", (), 12, 13, OK, 3)
OPENED = Watch(0, 1, "k", "", 2, 5, "n1", True)


def _shown(*events: Event, time_ns: int = 20) -> WatchResponse:
    return WatchResponse(0, time_ns, events[-1].kv.mod_revision, events)


def test_watch_that_was_open_and_did_not_get_there_is_stalled() -> None:
    """What is open is shown everything in the end; of what broke, nobody can say how far it would have come."""
    shown = _shown(Event("put", KeyValue("k", "1", 2, 2, 1), None, True))
    history = History([PUT, LAST], [OPENED], [shown])
    assert watch.check(history, awaited={0: 3}, kept={0}).kinds == ("watch-stalled",)
    assert watch.check(history, awaited={0: 3}).outcome == "unknown"
    assert watch.check(history, awaited={0: 2}, kept={0}).valid
    assert watch.check(history).valid


def test_watch_without_an_end_that_nobody_waited_for_leaves_the_run_undecided() -> None:
    """A run writes how each of its watches ended, so of one without an end something is missing."""
    first = _shown(Event("put", KeyValue("k", "1", 2, 2, 1), None, True))
    whole = first._replace(
        watch=1, revision=3, events=(*first.events, Event("put", KeyValue("k", "2", 2, 3, 2), KeyValue("k", "1", 2, 2, 1)))
    )
    history = History([PUT, LAST], [OPENED, OPENED._replace(watch=1)], [first, whole])
    assert watch.check(history, awaited={1: 3}, kept={1}).outcome == "unknown"
    history.responses.append(WatchResponse(0, 30, 0, cancelled=True, reason="connection lost"))
    assert watch.check(history, awaited={1: 3}, kept={1}).valid


@pytest.mark.parametrize("change", [{"value": "garbage"}, {"create_revision": 1}, {"version": 9}, {"lease": 7}])
def test_watch_event_of_a_delete_with_more_than_key_and_revision_is_wrong(change: dict[str, object]) -> None:
    gone = KeyValue("k", "", 0, 3, 0)
    deleted = Operation(0, "delete", "k", "", 1, 12, 13, OK, 3)
    events = (Event("put", KeyValue("k", "1", 2, 2, 1), None, True), Event("delete", gone, KeyValue("k", "1", 2, 2, 1)))
    assert watch.check(History([PUT, deleted], [OPENED], [_shown(*events)])).valid
    wrong = events[1]._replace(kv=gone._replace(**change))
    assert watch.check(History([PUT, deleted], [OPENED], [_shown(events[0], wrong)])).kinds == ("watch-wrong-event",)


@pytest.mark.parametrize("change", [{"create_revision": 1}, {"create_revision": 0}, {"mod_revision": 1}, {"version": 0}, {"version": 2}])
def test_watch_event_of_a_delete_with_a_wrong_previous_record_is_refuted(change: dict[str, int]) -> None:
    """Also in a run whose deletes nobody asked for: a lease takes its keys. Zero is no version, where elsewhere it means unknown."""
    gone, before = KeyValue("k", "", 0, 3, 0), KeyValue("k", "1", 2, 2, 1)
    events = (Event("put", before, None, True), Event("delete", gone, before._replace(**change)))
    assert "watch-prev-kv" in watch.check(History([PUT], [OPENED], [_shown(*events)]), closed=False).kinds


def test_watch_event_of_a_put_without_version_is_wrong() -> None:
    event = Event("put", KeyValue("k", "1", 2, 2, 0), None, True)
    assert watch.check(History([PUT], [OPENED], [_shown(event)])).kinds == ("watch-wrong-event",)
