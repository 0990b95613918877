"""What the store and the watch hub cost for each call; run with `pytest tests/bench/test_mvcc.py -s`."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest

from raftkv.mvcc.store import Store
from raftkv.mvcc.watch_hub import WatchHub
from raftkv.mvcc.watcher import WatchSpec
from tests.mvcc.dict_tables import DictTables

KEYS = [b"/registry/pods/%08d" % number for number in range(20_000)]
VALUE = b"x" * 256

pytestmark = pytest.mark.bench


def report(what: str, times: int, call: Callable[[], object]) -> None:
    best_s = min(_time(call, times) for _ in range(3)) / times
    print(f"{what:<42} {best_s * 1e6:10.2f} µs")


def _time(call: Callable[[], object], times: int) -> float:
    started_s = time.perf_counter()
    for _ in range(times):
        call()
    return time.perf_counter() - started_s


def filled(**options: int) -> tuple[DictTables, Store]:
    tables = DictTables()
    store = Store(tables, **options)
    for key in KEYS:
        store.put(key, VALUE, 0)
    store.take_events()
    return tables, store


def test_store_costs() -> None:
    tables, store = filled()
    print()
    report("range of one key", 5000, lambda: store.range(KEYS[5], b""))
    report("range of 500 keys, cached", 200, lambda: store.range(KEYS[0], KEYS[500]))
    report("range of 10 000 keys, cached", 10, lambda: store.range(KEYS[0], KEYS[10_000]))
    report("count of 10 000 keys", 2000, lambda: store.range(KEYS[0], KEYS[10_000], count_only=True))
    report("put of a present key", 5000, lambda: store.put(KEYS[7], VALUE, 0))
    pinned = store.revision - 1
    report("500 keys of a past revision", 50, lambda: store.range(KEYS[0], b"\x00", revision=pinned, limit=500, need_total=False))
    report("opening 35 000 records", 1, lambda: Store(tables))
    _, uncached = filled(record_cache_bytes=0)
    report("range of 500 keys from the tables", 50, lambda: uncached.range(KEYS[0], KEYS[500]))


class _Sink:
    def on_events(self, watch_id: int, revision: int, events: list[bytes]) -> None:
        pass

    def on_progress(self, watch_id: int, revision: int) -> None:
        pass

    def on_compacted(self, watch_id: int, compact_revision: int) -> None:
        pass

    def writable(self) -> bool:
        return True


def test_watch_costs() -> None:
    store = Store(DictTables())
    hub = WatchHub(store)
    for number in range(1000):
        stream = hub.stream(_Sink())
        stream.create(0, WatchSpec(b"/registry/pods/", b"/registry/pods0"))
        stream.create(1, WatchSpec(b"/own/%04d/" % number, b"/own/%04d0" % number))

    def change(key: bytes) -> None:
        store.put(key, VALUE, 0)
        hub.notify(store.take_events(), store.revision)

    print()
    report("put seen by 1 000 watchers of a prefix", 100, lambda: change(KEYS[0]))
    report("put seen by one of 1 000 prefixes", 2000, lambda: change(b"/own/0500/x"))
    report("put seen by nobody", 2000, lambda: change(b"/other"))

    def catch_up() -> None:
        late = hub.stream(_Sink())
        for watch_id in range(100):
            late.create(watch_id, WatchSpec(b"/registry/pods/", b"/registry/pods0", start_revision=2 + watch_id))
        while hub.step():
            pass
        late.close()

    report(f"100 watchers catching up {store.revision} revisions", 1, catch_up)
