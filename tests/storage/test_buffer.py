"""The buffer chain over a store, against one plain dict."""

from __future__ import annotations

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from raftkv.storage.backend import Table
from raftkv.storage.buffer import BufferedTables
from raftkv.storage.memory_backend import MemoryBackend
from raftkv.storage.memory_fs import MemoryFileSystem

KEYS = st.sampled_from([b"a", b"b", b"bb", b"c", b"d"])
TABLES = st.sampled_from([Table.KEY, Table.META])


def expected(model, table, low, high, reverse=False):
    found = sorted((k, v) for (t, k), v in model.items() if t == table and k >= low and (high is None or k < high))
    return found[::-1] if reverse else found


class BufferMachine(RuleBasedStateMachine):
    """Writes, seals, commits on the store's thread and reports in any legal order; every view stays as it was."""

    def __init__(self):
        super().__init__()
        self.backend = MemoryBackend(MemoryFileSystem(), "/store")
        self.tables = BufferedTables(self.backend)
        self.model: dict[tuple[Table, bytes], bytes] = {}
        self.sealed: list[tuple] = []
        self.returned: list[tuple] = []
        self.views: list[tuple] = []

    @rule(table=TABLES, key=KEYS, value=st.binary(max_size=2))
    def put(self, table, key, value):
        self.tables.put(table, key, value)
        self.model[table, key] = value

    @rule(table=TABLES, key=KEYS)
    def delete(self, table, key):
        self.tables.delete(table, key)
        self.model.pop((table, key), None)

    @rule()
    def seal(self):
        pending = self.tables.pending_records
        batches = self.tables.seal()
        assert bool(batches) == bool(pending)
        assert self.tables.pending_records == 0
        if batches:
            self.sealed.append(batches)

    @rule()
    def commit(self):
        if self.sealed:
            batches = self.sealed.pop(0)
            self.backend.commit(batches)
            self.returned.append(batches)

    @rule()
    def report(self):
        if self.returned:
            self.tables.committed(self.returned.pop(0))

    @rule()
    def view(self):
        self.views.append((self.tables.view(), dict(self.model)))

    @rule(data=st.data())
    def close_view(self, data):
        if self.views:
            self.views.pop(data.draw(st.integers(0, len(self.views) - 1)))[0].close()

    @rule(table=TABLES, low=KEYS, high=st.one_of(st.none(), KEYS), reverse=st.booleans())
    def scan(self, table, low, high, reverse):
        assert list(self.tables.scan(table, low, high, reverse=reverse)) == expected(self.model, table, low, high, reverse)
        for view, model in self.views:
            assert list(view.scan(table, low, high, reverse=reverse)) == expected(model, table, low, high, reverse)

    @invariant()
    def reads_see_every_write(self):
        keys = [b"a", b"b", b"bb", b"c", b"d"]
        for table in (Table.KEY, Table.META):
            assert self.tables.get_many(table, keys) == [self.model.get((table, key)) for key in keys]
            for view, model in self.views:
                assert view.get_many(table, keys) == [model.get((table, key)) for key in keys]


TestBufferMachine = pytest.mark.slow(BufferMachine.TestCase)
TestBufferMachine.settings = settings(max_examples=60, stateful_step_count=40, derandomize=True, deadline=None)


def test_view_many_times_keeps_the_chain_short():
    """The buffers that views freeze are merged at a bound, and views made before keep theirs."""
    tables = BufferedTables(MemoryBackend(MemoryFileSystem(), "/store"))
    views = []
    for i in range(100):
        tables.put(Table.KEY, b"%03d" % i, b"v")
        views.append(tables.view())
    assert len(tables._unsealed) <= 17
    assert [len(list(view.scan(Table.KEY, b"", None))) for view in views] == list(range(1, 101))
    assert tables.pending_records == tables.uncommitted_records == 100
    batches = tables.seal()
    assert len(batches) == 1 and len(batches[0][Table.KEY]) == 100
    assert (tables.pending_records, tables.uncommitted_records) == (0, 100)


def test_seal_of_nothing_hands_out_nothing():
    """An idle store commits nothing."""
    tables = BufferedTables(MemoryBackend(MemoryFileSystem(), "/store"))
    assert tables.seal() == ()
    tables.committed(())
    tables.close()
