"""The watch hub against a replay of the history: slow sinks, late creations, compactions and a replaced store."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule, run_state_machine_as_test

from raftkv.mvcc.store import Store
from raftkv.mvcc.watch_hub import WatchHub
from raftkv.mvcc.watcher import WatchSpec, WatchStream
from raftkv.pb import kv
from tests.mvcc.dict_tables import DictTables
from tests.mvcc.naive_store import Change, NaiveStore, in_range, record_of
from tests.mvcc.recording_sink import RecordingSink, Told

KEYS = st.sampled_from([b"a", b"ab", b"b", b"b\xff", b"c"])
RANGES = st.sampled_from(
    [
        (b"a", b""),
        (b"ab", b""),
        (b"a", b"b"),
        (b"b", b"c"),
        (b"b\xff", b"c"),
        (b"ab", b"b\x01"),
        (b"b", b"\x00"),
        (b"\x00", b"\x00"),
        (b"", b"\x00"),
    ]
)
BACK = st.sampled_from([0, 0, 1, 2, 3, 5, 9])
PLACES = st.integers(0, 2)


class Expected:
    """One watcher as the replay sees it."""

    def __init__(self, spec: WatchSpec, created_at: int) -> None:
        self.spec = spec
        self.start = spec.start_revision or created_at + 1
        self.received: list[tuple[int, bytes, bool]] = []
        self.is_over = False

    def wants(self, change: Change) -> bool:
        filtered = self.spec.no_delete if change.value is None else self.spec.no_put
        return change.main >= self.start and not filtered and in_range(change.key, self.spec.key or b"\x00", self.spec.range_end)

    def history(self, naive: NaiveStore, up_to: int) -> list[tuple[int, bytes, bool]]:
        return [(change.main, change.key, change.value is None) for change in naive.changes if change.main <= up_to and self.wants(change)]


class WatchMachine(RuleBasedStateMachine):
    @initialize()
    def open(self) -> None:
        self.tables = DictTables()
        self.store = Store(self.tables)
        self.naive = NaiveStore()
        self.is_woken = False
        self.now_s = 1.0
        self.hub = WatchHub(self.store, progress_interval_s=10.0, on_runnable=self.wake)
        self.sinks: list[RecordingSink] = []
        self.streams: list[WatchStream] = []
        self.watchers: list[dict[int, Expected]] = []
        self.ids = 0
        for _ in range(3):
            self.new_stream()

    def new_stream(self) -> None:
        self.sinks.append(RecordingSink(room=3))
        self.streams.append(self.hub.stream(self.sinks[-1]))
        self.watchers.append({})

    def wake(self) -> None:
        self.is_woken = True

    # Changes.

    @rule(
        entries=st.lists(st.lists(st.tuples(KEYS, st.booleans()), min_size=1, max_size=3), min_size=1, max_size=4), announce=st.booleans()
    )
    def apply(self, entries: list[list[tuple[bytes, bool]]], announce: bool) -> None:
        for entry in entries:
            main, sub = self.naive.revision + 1, 0
            write = self.store.begin()
            for key, is_delete in entry:
                if is_delete:
                    write.delete_range(key, b"")
                    sub += len(self.naive.delete_range(main, sub, key, b""))
                else:
                    write.put(key, b"v%d.%d" % (main, sub), 0)
                    self.naive.put(main, sub, key, b"v%d.%d" % (main, sub), 0)
                    sub += 1
            write.end()
        if announce:
            self.notify()

    @rule()
    def notify(self) -> None:
        self.hub.notify(self.store.take_events(), self.store.revision)
        self.check_told()

    @rule(back=BACK)
    def compact(self, back: int) -> None:
        revision = self.naive.revision - back
        if revision > self.naive.compact_revision:
            self.store.compact(revision)
            self.naive.compact(revision)

    @rule(limit=st.integers(1, 6))
    def compaction_step(self, limit: int) -> None:
        self.store.compaction.step(limit)

    @rule(entries=st.lists(st.lists(st.tuples(KEYS, st.booleans()), min_size=1, max_size=2), max_size=3))
    def replace_store(self, entries: list[list[tuple[bytes, bool]]]) -> None:
        """A snapshot arrives: a store that has more than was announced here."""
        self.apply(entries, announce=False)
        self.store = Store(self.tables)
        self.hub.restored(self.store)
        self.check_told()

    # Streams.

    @rule(
        place=PLACES,
        bounds=RANGES,
        start=st.one_of(st.none(), BACK, st.integers(-3, -1)),
        flags=st.tuples(st.booleans(), st.sampled_from([(False, False)] * 3 + [(True, False), (False, True), (True, True)]), st.booleans()),
    )
    def create(self, place: int, bounds: tuple[bytes, bytes], start: int | None, flags: tuple[bool, tuple[bool, bool], bool]) -> None:
        start_revision = 0 if start is None else max(1, self.naive.revision - start)
        prev_kv, (no_put, no_delete), progress = flags
        spec = WatchSpec(*bounds, start_revision, prev_kv, no_put, no_delete, progress)
        self.ids += 1
        self.watchers[place][self.ids] = Expected(spec, self.naive.revision)
        self.streams[place].create(self.ids, spec)
        assert not self.sinks[place].told, "events begin in a later turn"

    @precondition(lambda self: self.ids)
    @rule(place=PLACES, pick=st.integers(0, 100))
    def cancel(self, place: int, pick: int) -> None:
        watch_id = pick % self.ids + 1
        expected = self.watchers[place].get(watch_id)
        is_there = expected is not None and not expected.is_over
        assert self.streams[place].cancel(watch_id) == is_there
        self.check_told()
        if expected is not None:
            expected.is_over = True
            self.check_told()

    @rule(place=PLACES)
    def close(self, place: int) -> None:
        self.streams[place].close()
        for expected in self.watchers[place].values():
            expected.is_over = True
        self.sinks[place], self.watchers[place] = RecordingSink(room=3), {}
        self.streams[place] = self.hub.stream(self.sinks[place])

    @rule(place=PLACES, room=st.integers(1, 4))
    def resume(self, place: int, room: int) -> None:
        self.sinks[place].room = room
        self.streams[place].resume()
        self.check_told()

    @rule(place=PLACES)
    def request_progress(self, place: int) -> None:
        self.streams[place].request_progress()
        self.check_told()

    @rule(elapsed_s=st.sampled_from([1, 6, 11]))
    def tick(self, elapsed_s: int) -> None:
        self.now_s += elapsed_s
        self.hub.tick_progress(self.now_s)
        self.check_told()

    @rule(budget=st.integers(1, 8))
    def step(self, budget: int) -> None:
        more = self.hub.step(budget)
        assert more == self.hub.is_runnable
        self.check_told()

    # Checks.

    def check_told(self) -> None:
        for sink, watchers in zip(self.sinks, self.watchers, strict=True):
            for told in sink.take():
                if told.what == "events":
                    self.check_events(watchers[told.watch_id], told)
                elif told.what == "progress":
                    self.check_progress(watchers, told)
                else:
                    expected = watchers[told.watch_id]
                    missing = expected.history(self.naive, self.hub.revision)[len(expected.received) :]
                    assert told.revision == self.naive.compact_revision
                    assert expected.start < told.revision
                    assert not missing or missing[0][0] < told.revision or not expected.is_over
                    expected.is_over = True

    def check_events(self, expected: Expected, told: Told) -> None:
        assert not expected.is_over, "events after the end"
        history = expected.history(self.naive, self.hub.revision)
        for item in told.events:
            revisions = {event.kv.mod_revision for event in item}
            assert len(revisions) == 1, "an item is one revision"
            for event in item:
                is_delete = event.type == kv.Event.DELETE
                expected.received.append((event.kv.mod_revision, event.kv.key, is_delete))
                self.check_event(expected, event)
        assert expected.received == history[: len(expected.received)], "a gap, a duplicate or a wrong order"
        complete = len(expected.received)
        assert complete == len(history) or history[complete][0] > expected.received[-1][0], "a revision was split"
        assert expected.received[-1][0] <= told.revision <= self.hub.revision

    def check_event(self, expected: Expected, event: kv.Event) -> None:
        main = event.kv.mod_revision
        changes = [change for change in self.naive.changes if change.main == main and change.key == event.kv.key]
        assert any(record_of(change).endswith(event.kv.SerializeToString()) for change in changes)
        before = self.naive.state_at(main - 1).get(event.kv.key)
        is_create = any(change.version == 1 for change in changes)
        if not expected.spec.prev_kv or before is None or main - 1 < self.naive.compact_revision:
            assert not event.HasField("prev_kv")
        elif not is_create:
            assert record_of(before).endswith(event.prev_kv.SerializeToString())
            assert event.prev_kv.mod_revision == before.main

    def check_progress(self, watchers: dict[int, Expected], told: Told) -> None:
        alive = [expected for expected in watchers.values() if not expected.is_over]
        assert alive, "progress without a watcher"
        for expected in alive if told.watch_id == -1 else [watchers[told.watch_id]]:
            assert not expected.is_over
            assert told.watch_id == -1 or expected.spec.progress_notify
            assert expected.received == expected.history(self.naive, told.revision), "progress overtook events"
            assert told.revision >= expected.spec.start_revision
        assert told.revision == self.hub.revision

    @invariant()
    def holds(self) -> None:
        if hasattr(self, "hub"):
            self.hub.check_invariants()
            assert self.is_woken or not self.hub.is_runnable
            self.is_woken = self.hub.is_runnable

    def teardown(self) -> None:
        """Once every sink drains, every watcher has its whole history."""
        if not hasattr(self, "hub"):
            return
        self.notify()
        for _ in range(1000):
            for sink, stream in zip(self.sinks, self.streams, strict=True):
                sink.room = 2
                stream.resume()
            self.step(7)
            if not self.hub.is_runnable and not self.hub.statistics().slow:
                break
        for watchers in self.watchers:
            for expected in watchers.values():
                if not expected.is_over:
                    assert expected.received == expected.history(self.naive, self.naive.revision), "an event was lost"
        for stream in self.streams:
            stream.close()
        statistics = self.hub.statistics()
        assert not (statistics.watchers or statistics.waiting or statistics.unsynced or statistics.ranges or statistics.streams)


@pytest.mark.slow
def test_hub_any_schedule_delivers_the_history_once() -> None:
    """Every event of a watcher's range from its start on, once, in order, revisions whole; progress never overtakes."""
    run_state_machine_as_test(
        WatchMachine,
        settings=settings(
            max_examples=150,
            stateful_step_count=40,
            derandomize=True,
            deadline=None,
            database=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
