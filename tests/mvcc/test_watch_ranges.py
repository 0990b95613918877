from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from raftkv.mvcc.store import Store
from raftkv.mvcc.watch_hub import HubStream, WatchHub
from raftkv.mvcc.watch_ranges import WatchRanges, prefix_end
from raftkv.mvcc.watch_state import HubWatcher
from raftkv.mvcc.watcher import WatchSpec
from tests.mvcc.dict_tables import DictTables
from tests.mvcc.naive_store import in_range
from tests.mvcc.recording_sink import RecordingSink

KEY = st.text("ab\x00\xff", min_size=1, max_size=4).map(lambda text: text.encode("latin-1"))
END = st.one_of(st.just(b""), st.just(b"\x00"), KEY)


def a_stream() -> HubStream:
    return HubStream(WatchHub(Store(DictTables())), RecordingSink())


def matched(ranges: WatchRanges, key: bytes) -> list[int]:
    return sorted(watcher.id for group in ranges.match(key) for bucket in group.buckets.values() for watcher in bucket)


@pytest.mark.slow
@settings(max_examples=60, derandomize=True, deadline=None)
@given(
    bounds=st.lists(st.tuples(KEY, END), max_size=120), removed=st.sets(st.integers(0, 119)), keys=st.lists(KEY, min_size=1, max_size=10)
)
def test_match_any_set_of_ranges_is_that_of_a_linear_search(
    bounds: list[tuple[bytes, bytes]], removed: set[int], keys: list[bytes]
) -> None:
    """Every watcher whose range holds the key, and no other, whatever was added and removed before."""
    stream, ranges = a_stream(), WatchRanges()
    watchers = [HubWatcher(stream, watch_id, WatchSpec(*pair), 1) for watch_id, pair in enumerate(bounds)]
    for watcher in watchers:
        ranges.add(watcher)
    gone = {watch_id for watch_id in removed if watch_id < len(watchers)}
    for watch_id in gone:
        ranges.remove(watchers[watch_id])
    for key in keys:
        assert matched(ranges, key) == [n for n, pair in enumerate(bounds) if n not in gone and in_range(key, *pair)]
    for watcher in watchers:
        if watcher.id not in gone:
            ranges.remove(watcher)
    assert len(ranges) == 0 and not ranges.match(b"a")


def test_match_thousands_of_odd_ranges_is_that_of_a_linear_search() -> None:
    """Ranges that are no prefixes fill many blocks, with short and long ones mixed."""
    stream, ranges = a_stream(), WatchRanges()
    bounds = [(b"%04d" % (n * 7 % 1000), b"%04d" % (n * 7 % 1000 + 1 + n * n % 90)) for n in range(1000)]
    bounds += [(b"0100", b"\x00"), (b"0005", b"0995"), (b"0995", b"0005")]
    watchers = [HubWatcher(stream, n, WatchSpec(*pair), 1) for n, pair in enumerate(bounds)]
    for watcher in watchers:
        ranges.add(watcher)
    for watcher in watchers[::3]:
        ranges.remove(watcher)
    for number in range(0, 1100, 13):
        key = b"%04d" % number
        assert matched(ranges, key) == [n for n, pair in enumerate(bounds) if n % 3 and in_range(key, *pair)]


def test_prefix_end_is_the_lowest_key_above_all_keys_with_the_prefix() -> None:
    assert prefix_end(b"a") == b"b"
    assert prefix_end(b"a\xff\xff") == b"b"
    assert prefix_end(b"\xff") is None
