"""Same log, same bytes on every member (design §4 rule 5), whatever happened to the member meanwhile."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from raftkv.mvcc.store import Store
from raftkv.pb import rpc
from raftkv.state import membership
from raftkv.state.requests import ClusterVersion, LeaseExpiry, Publication
from raftkv.storage.backend import Table
from tests.state import strategies
from tests.state.machine import Driver, entry_data
from tests.state.naive_kv import DictTables

alarms = st.builds(rpc.AlarmRequest, action=st.integers(0, 2), memberID=st.integers(1, 2), alarm=st.integers(0, 1))
own = st.one_of(
    st.builds(LeaseExpiry, st.integers(1, 3), st.sampled_from([1, 2, -3])),
    st.builds(Publication, st.integers(1, 2), st.sampled_from(["a", "b"]), st.just(("http://c",))),
    st.builds(ClusterVersion, st.sampled_from(["3.6.0", "3.7.0"])),
)
logs = st.lists(st.one_of(strategies.log_requests, strategies.log_requests, own, alarms), max_size=25)


def member(tables: DictTables | None = None) -> Driver:
    tables = tables or DictTables()
    return Driver(tables, Store(tables))


def bootstrap(driver: Driver) -> None:
    for change in membership.initial_changes(membership.initial_members((("a", "http://a:1"), ("b", "http://b:1")), "t")):
        driver.state.apply_member_change(1, driver.state.applied_index + 1, change)
    driver.state.save_conf_state(((1, 2), (), (), (), False))
    driver.state.note_applied(driver.state.applied_index, 1)


@pytest.mark.slow
@given(logs, st.integers(0, 25), st.booleans())
@settings(max_examples=100, derandomize=True, deadline=None)
def test_same_log_makes_the_same_bytes_across_a_restart(log: list[object], stop: int, leads: bool) -> None:
    """One member proposes (requests come decoded) and leads; the other decodes them itself and restarts in the middle."""
    proposer, follower = member(), member()
    bootstrap(proposer)
    bootstrap(follower)
    if leads:
        proposer.state.lessor.promote(5.0, 1.0)
    for place, request in enumerate(log):
        if place == stop:
            follower = member(follower.tables)  # type: ignore[arg-type]
        index, term = proposer.state.applied_index + 1, 1 + place // 10
        data = entry_data(request, index)
        mine = proposer.state.apply(term, index, data, request)
        theirs = follower.state.apply(term, index, data)
        assert mine[:2] == theirs[:2] and type(mine[2]) is type(theirs[2])
        proposer.state.note_applied(index, term)
        follower.state.note_applied(index, term)
        proposer.state.lessor.arm_fresh(7.0)
    assert rows(proposer) == rows(follower)
    again = member(follower.tables)  # type: ignore[arg-type]
    assert again.state.describe() == proposer.state.describe()
    assert again.state.lessor.attached == proposer.state.lessor.attached


def rows(driver: Driver) -> dict[Table, dict[bytes, bytes]]:
    assert isinstance(driver.tables, DictTables)
    return driver.tables.rows


def test_applied_index_stands_beside_the_changes() -> None:
    """One commit carries both, so that replay after a crash is exactly-once."""
    driver = member()
    driver.put(b"a")
    driver.put(b"b")
    assert (driver.state.applied_index, driver.state.applied_term) == (2, 1)
    again = member(driver.tables)  # type: ignore[arg-type]
    assert (again.state.applied_index, again.state.applied_term) == (2, 1)
    assert again.keys() == [b"a", b"b"]


SCRIPT = """
import hashlib
from tests.state.test_determinism import member
from raftkv.pb import rpc
driver = member()
driver.grant(5)
for number in range(40):
    driver.put(b"key%d" % (number * 7919 % 40), b"v", 5)
driver.put(b"key3", b"free")
driver.revoke(5)
print(hashlib.sha256(repr(sorted((t, sorted(r.items())) for t, r in driver.tables.rows.items())).encode()).hexdigest())
"""


@pytest.mark.slow
def test_hash_seed_of_the_process_does_not_matter() -> None:
    """Sets of keys are iterated in key order wherever it shows."""
    root = Path(__file__).parents[2]
    outputs = {
        subprocess.run(
            [sys.executable, "-c", SCRIPT], cwd=root, env={"PYTHONHASHSEED": seed}, capture_output=True, text=True, check=True
        ).stdout
        for seed in ("1", "2")
    }
    assert len(outputs) == 1
