"""A compaction that a crash cuts short, after any number of its steps."""

from __future__ import annotations

import pytest

from raftkv.mvcc.store import Store
from tests.mvcc.dict_tables import DictTables


@pytest.mark.parametrize("steps", range(1, 12))
def test_compaction_cut_short_brings_no_deleted_key_back(steps: int) -> None:
    """faults §5c 55, etcd #17780: what a restart finds is the state before the crash, and going on ends as if nothing had happened."""
    tables = DictTables()
    store = Store(tables)
    for number in range(6):
        store.put(b"gone", b"%d" % number, 0)
    write = store.begin()
    write.delete_range(b"gone", b"")
    write.end()
    store.put(b"kept", b"x", 0)
    revision = store.revision
    store.compact(revision)
    for _ in range(steps):
        store.compaction.step(1)
    again = Store(tables)
    assert again.revision == revision
    assert again.value(b"gone") is None and again.value(b"kept") == b"x"
    while again.compaction.step(1):
        pass
    again.check_invariants()
    assert again.value(b"gone") is None
    assert again.range(b"\0", b"\0", revision=revision).total == 1
