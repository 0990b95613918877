"""The store against a list of everything that happened, through random changes, compactions, commits and power cuts."""

from __future__ import annotations

import pytest
from crc32c import crc32c
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule, run_state_machine_as_test

from raftkv.errors import CompactedError, FutureRevError
from raftkv.mvcc.hash import HashKV
from raftkv.mvcc.record import body_of
from raftkv.mvcc.revision import parse_key
from raftkv.mvcc.store import Store
from raftkv.pb import kv
from raftkv.storage.backend import Table
from tests.mvcc.kinds import KINDS, Kind
from tests.mvcc.naive_store import NaiveStore, record_of

KEYS = st.sampled_from([b"\x00", b"a", b"ab", b"c" * 130, b"\xff"])
ENDS = st.one_of(st.just(b""), st.just(b"\x00"), KEYS)
VALUES = st.one_of(st.binary(max_size=3), st.sampled_from([b"v" * 127, b"v" * 128]))
LEASES = st.sampled_from([0, 0, 1, 7_587_848_290_000_000_000, -1, -(1 << 63)])
BACK = st.sampled_from([0, 0, 0, 1, 1, 2, 3, 5, 8, -1])
"""How far below the newest revision; -1 is the future."""

OPERATIONS = st.lists(
    st.one_of(st.tuples(st.just("put"), KEYS, VALUES, LEASES), st.tuples(st.just("delete"), KEYS, ENDS, st.just(0))), max_size=4
)


class StoreMachine(RuleBasedStateMachine):
    kind_class: type[Kind]

    @initialize(cache_bytes=st.sampled_from([0, 700, 1 << 20]))
    def open(self, cache_bytes: int) -> None:
        self.kind: Kind = self.kind_class()
        self.cache_bytes = cache_bytes
        self.store = Store(self.kind.tables(), record_cache_bytes=cache_bytes)
        self.naive = NaiveStore()
        self.committed = self.naive.copy()

    @rule(puts=st.lists(st.tuples(KEYS, VALUES, LEASES), min_size=1, max_size=6))
    def put(self, puts: list[tuple[bytes, bytes, int]]) -> None:
        for key, value, lease in puts:
            self.naive.put(self.naive.revision + 1, 0, key, value, lease)
            assert self.store.put(key, value, lease) == self.naive.revision

    @rule(operations=OPERATIONS)
    def txn(self, operations: list[tuple[str, bytes, bytes, int]]) -> None:
        main, sub = self.naive.revision + 1, 0
        write = self.store.begin()
        for name, key, argument, lease in operations:
            if name == "put":
                write.put(key, argument, lease)
                self.naive.put(main, sub, key, argument, lease)
                sub += 1
            else:
                deleted = write.delete_range(key, argument)
                assert deleted == self.naive.delete_range(main, sub, key, argument)
                sub += len(deleted)
            assert write.revision == self.naive.revision
            assert self.store.range(b"\x00", b"\x00").records == self.naive.range(b"\x00", b"\x00")
        assert write.end() == self.naive.revision

    @rule(back=BACK)
    def compact(self, back: int) -> None:
        revision = self.naive.revision - back
        try:
            self.naive.compact(revision)
        except (CompactedError, FutureRevError) as error:
            with pytest.raises(type(error)):
                self.store.compact(revision)
        else:
            self.store.compact(revision)

    @precondition(lambda self: self.store.compaction.is_active)
    @rule(limit=st.integers(1, 5))
    def compaction_step(self, limit: int) -> None:
        self.store.compaction.step(limit)

    @precondition(lambda self: self.naive.compact_revision > 0)
    @rule(limit=st.integers(1, 5))
    def finish_compaction(self, limit: int) -> None:
        """What stays is what a read from the compact revision on may see, or a watch from there may replay."""
        while self.store.compaction.step(limit):
            pass
        naive, mark = self.naive, self.naive.compact_revision
        expected = [(change.main, change.sub) for change in naive.changes if change.main >= mark]
        expected += [(change.main, change.sub) for change in naive.state_at(mark).values() if change.main < mark]
        stored = [parse_key(table_key)[:2] for table_key, _ in self.kind.tables().scan(Table.KEY, b"", None)]
        assert stored == sorted(expected)

    @rule()
    def commit(self) -> None:
        self.kind.commit()
        self.committed = self.naive.copy()

    @rule(loses=st.sampled_from([False, False, False, True]))
    def crash(self, loses: bool) -> None:
        if not loses:
            self.commit()
        self.store = Store(self.kind.crash(), record_cache_bytes=self.cache_bytes)
        self.naive = self.committed.copy()
        # A new store has no events of old changes.
        self.naive.take_events()
        assert dict(self.store.leased_keys()) == {
            key: change.lease for key, change in self.naive.state_at(self.naive.revision).items() if change.lease
        }

    @rule(key=KEYS, end=ENDS, back=BACK, limit=st.integers(0, 3))
    def range(self, key: bytes, end: bytes, back: int, limit: int) -> None:
        revision = self.naive.revision - back
        try:
            expected = self.naive.range(key, end, revision)
        except (CompactedError, FutureRevError) as error:
            with pytest.raises(type(error)):
                self.store.range(key, end, revision=revision, limit=limit)
            return
        cut = expected[:limit] if limit else expected
        assert self.store.range(key, end, revision=revision, limit=limit) == (cut, len(expected))
        assert self.store.range(key, end, revision=revision, count_only=True) == ([], len(expected))
        sliced = self.store.range(key, end, revision=revision, limit=limit, need_total=False)
        assert sliced.records == cut and sliced.total in (-1, len(expected))
        keys_only = self.store.range(key, end, revision=revision, limit=limit, keys_only=True)
        state = self.naive.state_at(revision if revision > 0 else self.naive.revision)
        valueless = {record_of(change): record_of(change._replace(value=b"", lease=0)) for change in state.values()}
        assert keys_only == ([valueless[record] for record in cut], len(expected))

    @rule(key=KEYS, back=BACK)
    def previous(self, key: bytes, back: int) -> None:
        revision = self.naive.revision - back
        expected = None
        if revision - 1 >= self.naive.compact_revision:
            change = self.naive.state_at(revision - 1).get(key)
            expected = None if change is None else record_of(change)
        assert self.store.previous(key, revision) == expected

    @rule(key=KEYS)
    def state_of_key(self, key: bytes) -> None:
        assert self.store.key_state(key) == self.naive.key_state(key)
        change = self.naive.state_at(self.naive.revision).get(key)
        assert self.store.value(key) == (None if change is None else change.value)
        assert self.store.lease_of(key) == (0 if change is None else change.lease)

    @rule(back=BACK, length=st.integers(0, 10))
    def replay(self, back: int, length: int) -> None:
        first = max(self.naive.revision - back, self.naive.compact_revision, 1)
        naive = NaiveStore()
        naive.changes = [change for change in self.naive.changes if first <= change.main <= first + length]
        assert list(self.store.replay(first, first + length)) == naive.take_events()

    @rule()
    def take_events(self) -> None:
        assert self.store.take_events() == self.naive.take_events()

    @rule(back=BACK, limit=st.integers(1, 4))
    def hash(self, back: int, limit: int) -> None:
        """The hash is that of a store with the same history that finished its compaction at once."""
        revision = self.naive.revision - back
        try:
            under_way = HashKV(self.store, revision)
        except (CompactedError, FutureRevError):
            assert revision > self.naive.revision or 0 < revision < self.naive.compact_revision
            return
        while under_way.step(limit):
            pass
        assert under_way.result.compact_revision == self.naive.compact_revision
        assert under_way.result.hash == naive_hash(self.naive, under_way.result.hash_revision)

    @invariant()
    def agrees(self) -> None:
        if not hasattr(self, "store"):
            return
        assert self.store.revision == self.naive.revision
        assert self.store.compact_revision == self.naive.compact_revision
        assert self.store.range(b"\x00", b"\x00").records == self.naive.range(b"\x00", b"\x00")
        self.store.check_invariants()


def naive_hash(naive: NaiveStore, revision: int) -> int:
    """etcd's rule, written down once more over the list of changes."""
    alive = {(change.main, change.sub) for change in naive.state_at(revision).values()}
    crc = crc32c(b"key")
    for change in naive.changes:
        if change.main > revision or (change.main <= naive.compact_revision and (change.main, change.sub) not in alive):
            continue
        table_key = change.main.to_bytes(8, "big") + b"_" + change.sub.to_bytes(8, "big")
        if change.value is None:
            body = kv.KeyValue(key=change.key).SerializeToString()
            table_key += b"t"
        else:
            body = body_of(record_of(change))
        crc = crc32c(body, crc32c(table_key, crc))
    return crc


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_store_any_history_agrees_with_naive_model(kind: type[Kind]) -> None:
    """Every answer is that of a list of all changes, whatever the compactions and restarts in between."""
    machine = type("Machine", (StoreMachine,), {"kind_class": kind})
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=150,
            stateful_step_count=40,
            derandomize=True,
            deadline=None,
            database=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
