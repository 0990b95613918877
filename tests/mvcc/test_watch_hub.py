from __future__ import annotations

import itertools

import pytest

from raftkv.mvcc.store import Store
from raftkv.mvcc.watch_hub import WatchHub
from raftkv.mvcc.watch_state import ALLOWED, WatcherState
from raftkv.mvcc.watcher import WatchSpec, WatchStream
from raftkv.pb import kv
from tests.mvcc.dict_tables import DictTables
from tests.mvcc.recording_sink import RecordingSink, Told

KEY = WatchSpec(b"a", b"")
PREFIX = WatchSpec(b"a", b"b")


class Bench:
    """A store, its hub and one stream."""

    def __init__(self, puts: int = 0, room: int = 1_000_000) -> None:
        self.store = Store(DictTables())
        for number in range(puts):
            self.store.put(b"a%d" % number, b"%d" % number, 0)
        self.store.take_events()
        self.woken = 0
        self.hub = WatchHub(self.store, progress_interval_s=10, on_runnable=self.wake)
        self.sink = RecordingSink(room)
        self.stream: WatchStream = self.hub.stream(self.sink)

    def wake(self) -> None:
        self.woken += 1

    def put(self, *keys: bytes) -> None:
        for key in keys:
            self.store.put(key, b"v", 0)
        self.notify()

    def notify(self) -> None:
        self.hub.notify(self.store.take_events(), self.store.revision)
        self.hub.check_invariants()

    def finish(self, budget: int = 1000) -> int:
        slices = 0
        while self.hub.is_runnable:
            self.hub.step(budget)
            self.hub.check_invariants()
            slices += 1
        return slices


def test_live_watcher_gets_each_revision_of_its_range() -> None:
    bench = Bench()
    bench.stream.create(0, PREFIX)
    bench.stream.create(7, KEY)
    bench.put(b"a", b"ab", b"b")
    bench.put(b"c")
    assert sorted((told.watch_id, told.revision) for told in bench.sink.told) == [(0, 3), (7, 2)]
    assert bench.sink.revisions(0) == [2, 3] and bench.sink.revisions(7) == [2]


def test_live_events_are_encoded_once_and_shared() -> None:
    """One object, however many watchers."""
    bench = Bench()
    handed: list[list[bytes]] = []
    for watch_id in range(5):
        sink = RecordingSink()
        sink.on_events = lambda watch_id, revision, events: handed.append(events)  # type: ignore[method-assign]
        bench.hub.stream(sink).create(watch_id, PREFIX)
    bench.put(b"a")
    assert len(handed) == 5 and len({id(events) for events in handed}) == 1


def test_delete_event_has_key_and_mod_revision_alone() -> None:
    """Spec §4 mistake 7."""
    bench = Bench()
    bench.stream.create(0, PREFIX._replace(prev_kv=True))
    bench.put(b"a")
    write = bench.store.begin()
    write.delete_range(b"a", b"b")
    write.end()
    bench.notify()
    put, delete = (told.events[0][0] for told in bench.sink.told)
    assert put.type == kv.Event.PUT and not put.HasField("prev_kv")
    assert delete == kv.Event(type=kv.Event.DELETE, kv=kv.KeyValue(key=b"a", mod_revision=3), prev_kv=put.kv)


def test_prev_kv_is_absent_once_its_revision_is_compacted() -> None:
    bench = Bench()
    bench.put(b"a", b"a", b"a")
    bench.store.compact(3)
    bench.stream.create(0, KEY._replace(prev_kv=True, start_revision=3))
    bench.finish()
    first, second = (item[0] for item in bench.sink.told[0].events)
    assert not first.HasField("prev_kv")
    assert second.prev_kv.mod_revision == 3


def test_filters_drop_their_kind_and_a_revision_all_filtered_says_nothing() -> None:
    bench = Bench()
    for watch_id, flags in enumerate([{}, {"no_put": True}, {"no_delete": True}, {"no_put": True, "no_delete": True}]):
        bench.stream.create(watch_id, PREFIX._replace(**flags))
    bench.put(b"a")
    write = bench.store.begin()
    write.delete_range(b"a", b"b")
    write.put(b"ab", b"", 0)
    write.end()
    bench.notify()
    assert [bench.sink.revisions(watch_id) for watch_id in range(4)] == [[2, 3], [3], [2, 3], []]
    assert [len(told.events[-1]) for told in bench.sink.told if told.revision == 3] == [2, 1, 1]


def test_revision_with_many_changes_arrives_in_one_call_in_execution_order() -> None:
    """Spec §4 mistake 6: a revision is never split, live or from history."""
    bench = Bench()
    bench.stream.create(0, PREFIX)
    write = bench.store.begin()
    for number in range(300):
        write.put(b"a%03d" % number, b"", 0)
    write.delete_range(b"a", b"b")
    write.end()
    bench.notify()
    bench.stream.create(1, PREFIX._replace(start_revision=1))
    bench.finish(budget=10)
    live, replayed = bench.sink.told
    assert live.events == replayed.events and len(live.events) == 1
    assert [event.type for event in live.events[0]] == [kv.Event.PUT] * 300 + [kv.Event.DELETE] * 300


def test_catch_up_is_cut_into_a_thousand_revisions_with_the_current_header() -> None:
    """2 300 revisions arrive as 1000, 1000, 300, each under the store's revision (etcd does the same)."""
    bench = Bench(puts=2300)
    bench.stream.create(0, PREFIX._replace(start_revision=2))
    assert bench.woken == 1 and not bench.sink.told
    bench.finish()
    assert [(len(told.events), told.revision) for told in bench.sink.told] == [(1000, 2301), (1000, 2301), (300, 2301)]
    assert bench.sink.revisions() == list(range(2, 2302))
    bench.put(b"a")
    assert bench.sink.told[-1].revision == 2302


def test_catch_up_slice_ends_at_its_bytes() -> None:
    """Big records make shorter responses, so memory stays bounded."""
    bench = Bench()
    for _ in range(10):
        bench.store.put(b"a", b"x" * 200_000, 0)
    bench.notify()
    bench.stream.create(0, KEY._replace(start_revision=2))
    bench.finish()
    assert [len(told.events) for told in bench.sink.told] == [3, 3, 3, 1]


def test_watchers_that_reconnect_together_share_one_pass() -> None:
    bench = Bench(puts=500)
    sinks = [RecordingSink() for _ in range(50)]
    for place, sink in enumerate(sinks):
        bench.hub.stream(sink).create(0, PREFIX._replace(start_revision=450 + place % 10))
    assert bench.finish() <= 10
    assert all(sink.revisions() == list(range(450 + place % 10, 502)) for place, sink in enumerate(sinks))


def test_one_far_behind_does_not_hold_up_those_nearly_done() -> None:
    """Watchers take turns by their place in the line, not by how old their revision is."""
    bench = Bench(puts=5000)
    bench.stream.create(0, PREFIX._replace(start_revision=2))
    bench.hub.step()
    near = RecordingSink()
    bench.hub.stream(near).create(0, PREFIX._replace(start_revision=5000))
    bench.hub.step()
    bench.hub.step()
    assert near.revisions() == [5000, 5001] and bench.hub.is_runnable


def test_start_in_the_future_is_silent_until_then() -> None:
    """Spec §4 mistake 5."""
    bench = Bench()
    bench.stream.create(0, PREFIX._replace(start_revision=4))
    bench.put(b"a")
    assert not bench.sink.told and not bench.hub.is_runnable and bench.hub.statistics().waiting == 1
    bench.put(b"a", b"a", b"a")
    bench.finish()
    assert bench.sink.revisions() == [4, 5]
    bench.put(b"a")
    assert bench.sink.revisions() == [4, 5, 6] and bench.hub.statistics().waiting == 0


def test_created_between_apply_and_notify_starts_after_what_its_header_said() -> None:
    """No gap and no duplicate at the seam: the created response carries the store's revision."""
    bench = Bench()
    bench.store.put(b"a", b"", 0)
    bench.stream.create(0, PREFIX)
    bench.stream.create(1, PREFIX._replace(start_revision=2))
    bench.stream.create(2, PREFIX._replace(start_revision=1))
    bench.notify()
    bench.finish()
    bench.put(b"a")
    assert [bench.sink.revisions(watch_id) for watch_id in range(3)] == [[3], [2, 3], [2, 3]]


def test_full_sink_parks_its_watchers_and_resumes_from_history() -> None:
    """A slow watcher costs no memory and loses nothing; the others do not wait."""
    bench = Bench(room=2)
    other = RecordingSink()
    bench.hub.stream(other).create(0, PREFIX)
    bench.stream.create(0, PREFIX)
    for _ in range(10):
        bench.put(b"a")
    assert bench.sink.revisions() == [2, 3] and other.revisions() == list(range(2, 12))
    statistics = bench.hub.statistics()
    assert (statistics.slow, statistics.unsynced, statistics.pending_revisions_max, statistics.events_total) == (1, 1, 8, 12)
    assert not bench.hub.is_runnable and not bench.hub.step()
    bench.sink.room = 100
    bench.put(b"a")
    assert bench.sink.revisions() == [2, 3], "writable again, but it has not resumed"
    bench.stream.resume()
    assert bench.woken == 1
    bench.finish()
    assert bench.sink.revisions() == list(range(2, 13))
    bench.put(b"a")
    assert bench.sink.revisions()[-1] == 13 and bench.hub.statistics().unsynced == 0


def test_full_sink_overtaken_by_compaction_is_told_when_it_drains() -> None:
    """faults.md 64: never silently skipped."""
    bench = Bench(room=1)
    bench.stream.create(0, PREFIX)
    bench.put(b"a")
    bench.put(b"a")
    bench.put(b"a")
    bench.store.compact(4)
    bench.sink.room = 5
    bench.stream.resume()
    bench.finish()
    assert bench.sink.told[-1] == Told("compacted", 0, 4)
    bench.put(b"a")
    assert bench.sink.revisions() == [2] and not bench.stream.cancel(0)


def test_full_sink_behind_the_compact_revision_only_by_what_it_has_is_not_cancelled() -> None:
    """start == compact revision is fine, and so is a watcher that stands exactly there."""
    bench = Bench(room=1)
    bench.stream.create(0, PREFIX)
    bench.put(b"a")
    bench.put(b"a")
    bench.put(b"a")
    bench.store.compact(3)
    while bench.store.compaction.step():
        pass
    bench.sink.room = 5
    bench.stream.resume()
    bench.finish()
    assert bench.sink.revisions() == [2, 3, 4]


@pytest.mark.parametrize(("start", "told"), [(3, [Told("compacted", 0, 4)]), (4, [])])
def test_start_below_the_compact_revision_is_compacted_in_a_later_turn(start: int, told: list[Told]) -> None:
    bench = Bench(puts=5)
    bench.store.compact(4)
    bench.stream.create(0, PREFIX._replace(start_revision=start))
    assert not bench.sink.told
    bench.finish()
    assert [item for item in bench.sink.told if item.what == "compacted"] == told
    assert bench.sink.revisions() == ([] if told else [4, 5, 6])


def test_deletion_at_the_compact_revision_is_replayed() -> None:
    """etcd #19179 lost this event."""
    bench = Bench()
    bench.put(b"a")
    write = bench.store.begin()
    write.delete_range(b"a", b"")
    write.end()
    bench.notify()
    bench.store.compact(3)
    while bench.store.compaction.step():
        pass
    bench.stream.create(0, KEY._replace(start_revision=3))
    bench.finish()
    assert bench.sink.told[0].events[0][0].type == kv.Event.DELETE


def test_cancel_ends_events_in_every_state() -> None:
    bench = Bench(puts=5, room=1)
    bench.stream.create(0, PREFIX)
    bench.stream.create(1, PREFIX._replace(start_revision=2))
    bench.stream.create(2, PREFIX._replace(start_revision=100))
    bench.stream.create(3, PREFIX)
    bench.put(b"a")
    states = bench.hub.statistics()
    assert (states.slow, states.unsynced, states.waiting) == (1, 2, 1)
    bench.sink.take()
    assert all(bench.stream.cancel(watch_id) for watch_id in range(4))
    assert not bench.stream.cancel(0) and not bench.stream.cancel(99)
    bench.sink.room = 10
    bench.stream.resume()
    bench.put(b"a")
    bench.finish()
    assert not bench.sink.told and bench.hub.statistics().watchers == 0


def test_close_forgets_everything() -> None:
    """faults.md 66: no zombie watchers."""
    bench = Bench(puts=3)
    for start in (0, 2, 50):
        bench.stream.create(start, PREFIX._replace(start_revision=start, progress_notify=True))
    bench.stream.request_progress()
    bench.stream.close()
    bench.put(b"a")
    bench.hub.tick_progress(1.0)
    bench.hub.tick_progress(100.0)
    statistics = bench.hub.statistics()
    assert not bench.sink.told
    assert (statistics.streams, statistics.watchers, statistics.waiting, statistics.unsynced, statistics.ranges) == (0, 0, 0, 0, 0)


def test_progress_request_without_watchers_is_dropped() -> None:
    bench = Bench()
    bench.stream.request_progress()
    bench.stream.create(0, PREFIX)
    bench.put(b"a")
    assert [told.what for told in bench.sink.told] == ["events"]


def test_progress_request_waits_until_every_watcher_of_the_stream_is_synced() -> None:
    """Spec §4 mistake 6: progress never overtakes events."""
    bench = Bench(puts=50)
    bench.stream.create(0, PREFIX)
    bench.stream.create(1, PREFIX._replace(start_revision=2))
    bench.stream.request_progress()
    bench.stream.request_progress()
    assert not bench.sink.told
    bench.finish(budget=10)
    assert bench.sink.told[-1] == Told("progress", -1, 51)
    assert [told.what for told in bench.sink.told].count("progress") == 1
    bench.stream.request_progress()
    assert bench.sink.told[-1] == Told("progress", -1, 51)


def test_progress_request_between_apply_and_notify_is_below_what_is_not_announced() -> None:
    bench = Bench()
    bench.stream.create(0, PREFIX)
    bench.store.put(b"a", b"", 0)
    bench.stream.request_progress()
    assert bench.sink.told == [Told("progress", -1, 1)]


def test_progress_request_below_an_asked_start_is_not_answered() -> None:
    """etcd #20221: a watcher of the future hears nothing from before it."""
    bench = Bench()
    bench.stream.create(0, PREFIX._replace(start_revision=2, progress_notify=True))
    bench.stream.request_progress()
    bench.hub.tick_progress(1.0)
    bench.hub.tick_progress(20.0)
    assert not bench.sink.told
    bench.put(b"c")
    assert bench.sink.told == [Told("progress", -1, 2)]


def test_progress_request_of_a_full_sink_waits_for_it() -> None:
    bench = Bench(room=0)
    bench.stream.create(0, PREFIX)
    bench.stream.request_progress()
    assert not bench.sink.told
    bench.sink.room = 1
    bench.stream.resume()
    assert bench.sink.told == [Told("progress", -1, 1)]


def test_progress_request_is_answered_when_the_watcher_it_waited_for_is_cancelled() -> None:
    bench = Bench()
    bench.stream.create(0, PREFIX)
    bench.stream.create(1, PREFIX._replace(start_revision=9))
    bench.stream.request_progress()
    assert not bench.sink.told
    bench.stream.cancel(1)
    assert bench.sink.told == [Told("progress", -1, 1)]


def test_progress_notify_comes_after_an_idle_interval_only() -> None:
    bench = Bench()
    bench.stream.create(0, PREFIX._replace(progress_notify=True))
    bench.stream.create(1, PREFIX)
    for now_s in (100.0, 105.0, 109.9):
        bench.hub.tick_progress(now_s)
    assert not bench.sink.told
    bench.hub.tick_progress(110.0)
    assert bench.sink.take() == [Told("progress", 0, 1)]
    bench.hub.tick_progress(119.0)
    bench.put(b"a")
    bench.sink.take()
    bench.hub.tick_progress(120.0)
    bench.hub.tick_progress(129.9)
    assert not bench.sink.told
    bench.put(b"c")
    bench.hub.tick_progress(130.0)
    assert bench.sink.told == [Told("progress", 0, 3)]


def test_progress_notify_is_not_sent_while_unsynced() -> None:
    bench = Bench(puts=10)
    bench.stream.create(0, PREFIX._replace(progress_notify=True, start_revision=2))
    bench.hub.tick_progress(1.0)
    bench.hub.tick_progress(50.0)
    assert not bench.sink.told
    bench.finish()
    bench.hub.tick_progress(51.0)
    bench.hub.tick_progress(61.0)
    assert [told.what for told in bench.sink.told] == ["events", "progress"]


@pytest.mark.parametrize("missed", [5, 50])
def test_restored_store_is_caught_up_from_without_replaying_old_events(missed: int) -> None:
    """faults.md 62: what lies between the announced revision and the snapshot arrives once, however much it is."""
    bench = Bench()
    bench.stream.create(0, PREFIX)
    bench.stream.create(1, PREFIX._replace(start_revision=5))
    bench.put(b"a")
    newer = Store(DictTables())
    for _ in range(missed):
        newer.put(b"a", b"", 0)
    newer.take_events()
    bench.hub.restored(newer)
    bench.store = newer
    bench.finish()
    bench.put(b"a")
    assert bench.sink.revisions(0) == list(range(2, missed + 3))
    assert bench.sink.revisions(1) == list(range(5, missed + 3))


def test_restored_store_that_is_compacted_cancels_whom_it_overtook() -> None:
    bench = Bench()
    bench.stream.create(0, PREFIX)
    newer = Store(DictTables())
    for _ in range(5):
        newer.put(b"a", b"", 0)
    newer.take_events()
    newer.compact(4)
    bench.hub.restored(newer)
    bench.finish()
    assert bench.sink.told == [Told("compacted", 0, 4)]


def test_empty_key_means_the_zero_byte() -> None:
    """Empty key with range_end "\\0" is everything, alone it is the key "\\0"."""
    bench = Bench()
    bench.stream.create(0, WatchSpec(b"", b"\x00"))
    bench.stream.create(1, WatchSpec(b"", b""))
    bench.put(b"a", b"\x00")
    assert bench.sink.revisions(0) == [2, 3] and bench.sink.revisions(1) == [3]


def test_one_key_watcher_sees_no_later_key() -> None:
    """GHSA-xg4h-6gfc-h4m8: an open range must never come of one key."""
    bench = Bench()
    bench.stream.create(0, KEY)
    bench.stream.create(1, WatchSpec(b"a", b"a\x00"))
    bench.put(b"a", b"a\x00", b"b")
    assert bench.sink.revisions(0) == [2] and bench.sink.revisions(1) == [2]


def test_notify_of_announced_or_future_events_is_a_bug() -> None:
    bench = Bench()
    bench.store.put(b"a", b"", 0)
    events = bench.store.take_events()
    with pytest.raises(AssertionError):
        WatchHub(bench.store).notify(events, 2)
    with pytest.raises(AssertionError):
        bench.hub.notify(events, 1)


def test_watcher_states_every_pair_not_allowed_is_refused() -> None:
    """The transition table is enforced for all pairs of states."""
    for former, state in itertools.product(WatcherState, repeat=2):
        bench = Bench(puts=2)
        bench.stream.create(0, PREFIX._replace(start_revision=2))
        (watcher,) = bench.hub._catch_up
        watcher.state = former
        if (former, state) not in ALLOWED:
            with pytest.raises(AssertionError, match=f"{former.name} to {state.name}"):
                bench.hub._move(watcher, state)
    assert all(former is not WatcherState.GONE and state is not WatcherState.NEW for former, state in ALLOWED)


def test_describe_names_every_number() -> None:
    bench = Bench()
    bench.stream.create(0, PREFIX)
    assert "watchers: 1" in bench.hub.describe() and "pending_revisions_max: 0" in bench.hub.describe()
