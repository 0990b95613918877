"""Every option of a range (spec/etcd-behaviour.md §1.2 Range), whole and in slices."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from raftkv.errors import CompactedError, FutureRevError
from raftkv.mvcc.store import Store
from raftkv.pb import rpc
from raftkv.state import reads
from tests.state.machine import Driver
from tests.state.naive_kv import DictTables

R = rpc.RangeRequest


@pytest.fixture
def filled(member: Driver) -> Driver:
    """a: version 2, value 9; b: value 5; c: value 7; d: leased. Revisions: a 2 and 6, b 3, c 4, d 5."""
    member.grant(8)
    for key, value, lease in ((b"a", b"1", 0), (b"b", b"5", 0), (b"c", b"7", 0), (b"d", b"3", 8), (b"a", b"9", 0)):
        member.put(key, value, lease)
    return member


def names(response: rpc.RangeResponse) -> bytes:
    return b"".join(item.key for item in response.kvs)


@pytest.mark.parametrize(
    ("key", "range_end", "expected"),
    [
        (b"b", b"", b"b"),
        (b"x", b"", b""),
        (b"b", b"d", b"bc"),
        (b"c", b"\0", b"cd"),
        (b"\0", b"\0", b"abcd"),
        (b"c", b"b", b""),
        (b"b", b"b", b""),
        (b"x", b"z", b""),
    ],
)
def test_range_bounds_select_etcds_keys(filled: Driver, key: bytes, range_end: bytes, expected: bytes) -> None:
    response = filled.range(key, range_end)
    assert (names(response), response.count, response.more) == (expected, len(expected), False)


@pytest.mark.parametrize("revision", [0, -1, -100])
def test_range_revision_at_or_below_zero_is_the_latest(filled: Driver, revision: int) -> None:
    assert filled.range(b"a", revision=revision).kvs[0].value == b"9"


def test_range_past_revision_has_current_revision_in_header(filled: Driver) -> None:
    response = filled.range(b"\0", b"\0", revision=3)
    assert (names(response), response.count, response.header.revision) == (b"ab", 2, 6)
    assert response.kvs[0].value == b"1"


def test_range_future_revision_fails(filled: Driver) -> None:
    with pytest.raises(FutureRevError):
        filled.range(b"a", revision=7)


def test_range_below_compact_revision_fails_and_at_it_is_readable(filled: Driver) -> None:
    filled.do(rpc.CompactionRequest(revision=4))
    assert names(filled.range(b"\0", b"\0", revision=4)) == b"abc"
    with pytest.raises(CompactedError):
        filled.range(b"\0", b"\0", revision=3)


@pytest.mark.parametrize(("limit", "expected", "more"), [(2, b"ab", True), (4, b"abcd", False), (9, b"abcd", False), (-3, b"abcd", False)])
def test_range_limit_cuts_but_count_does_not(filled: Driver, limit: int, expected: bytes, more: bool) -> None:
    response = filled.range(b"\0", b"\0", limit=limit)
    assert (names(response), response.count, response.more) == (expected, 4, more)


def test_range_count_only_ignores_limit_filters_and_sort(filled: Driver) -> None:
    response = filled.range(b"\0", b"\0", count_only=True, limit=1, min_mod_revision=99, sort_order=R.DESCEND)
    assert (names(response), response.count, response.more) == (b"", 4, False)


def test_range_count_only_of_one_key(filled: Driver) -> None:
    assert (filled.range(b"a", count_only=True).count, filled.range(b"x", count_only=True).count) == (1, 0)


def test_range_keys_only_drops_value_and_lease(filled: Driver) -> None:
    (item,) = filled.range(b"d", keys_only=True).kvs
    assert (item.value, item.lease, item.mod_revision, item.version) == (b"", 0, 5, 1)


def test_range_keys_only_sorted_by_value_uses_real_values_and_keeps_lease(filled: Driver) -> None:
    """The index alone cannot sort by value, so the records are read; then only the value is dropped."""
    response = filled.range(b"\0", b"\0", keys_only=True, sort_target=R.VALUE, sort_order=R.ASCEND)
    assert names(response) == b"dbca"
    assert {item.value for item in response.kvs} == {b""}
    assert response.kvs[0].lease == 8


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"min_mod_revision": 4}, b"acd"),
        ({"max_mod_revision": 4}, b"bc"),
        ({"min_mod_revision": 4, "max_mod_revision": 4}, b"c"),
        ({"min_create_revision": 3}, b"bcd"),
        ({"max_create_revision": 2}, b"a"),
        ({"max_mod_revision": -1}, b""),
        ({"min_mod_revision": -1}, b"abcd"),
    ],
)
def test_range_revision_filters_are_inclusive_and_leave_count(filled: Driver, options: dict[str, int], expected: bytes) -> None:
    response = filled.range(b"\0", b"\0", **options)
    assert (names(response), response.count, response.more) == (expected, 4, False)


def test_range_filter_with_limit_reads_the_whole_range(filled: Driver) -> None:
    """The limit counts what passed the filter; it is not pushed down."""
    response = filled.range(b"\0", b"\0", min_create_revision=4, limit=1)
    assert (names(response), response.count, response.more) == (b"c", 4, True)
    assert not filled.range(b"\0", b"\0", min_create_revision=4, limit=2).more


@pytest.mark.parametrize(
    ("target", "order", "expected"),
    [
        (R.KEY, R.ASCEND, b"abcd"),
        (R.KEY, R.DESCEND, b"dcba"),
        (R.VERSION, R.DESCEND, b"abcd"),
        (R.VERSION, R.ASCEND, b"bcda"),
        (R.CREATE, R.DESCEND, b"dcba"),
        (R.MOD, R.ASCEND, b"bcda"),
        (R.MOD, R.DESCEND, b"adcb"),
        (R.VALUE, R.ASCEND, b"dbca"),
        (R.VALUE, R.DESCEND, b"acbd"),
        (R.MOD, R.NONE, b"bcda"),
    ],
)
def test_range_sorts_by_every_target(filled: Driver, target: int, order: int, expected: bytes) -> None:
    assert names(filled.range(b"\0", b"\0", sort_target=target, sort_order=order)) == expected


def test_range_sorted_then_cut_to_limit(filled: Driver) -> None:
    response = filled.range(b"\0", b"\0", sort_target=R.MOD, sort_order=R.DESCEND, limit=2)
    assert (names(response), response.more, response.count) == (b"ad", True, 4)


def test_range_without_order_sorts_only_the_first_keys(filled: Driver) -> None:
    """sort_order NONE with another target than the key: the limit was pushed down, so d (value 3) is never seen."""
    response = filled.range(b"\0", b"\0", sort_target=R.VALUE, limit=2)
    assert (names(response), response.more, response.count) == (b"bc", True, 4)


def answers(member: Driver, request: rpc.RangeRequest, keys_max: int) -> tuple[bytes, int]:
    """Steps until the body is there; returns it and the number of steps."""
    job = reads.RangeJob(member.store, request)
    steps = 1
    while not job.step(keys_max):
        steps += 1
        assert steps < 100
    return job.body, steps


requests_ = st.builds(
    rpc.RangeRequest,
    key=st.sampled_from([b"\0", b"a", b"b3", b"c", b"zz"]),
    range_end=st.sampled_from([b"", b"\0", b"b", b"c5", b"d"]),
    limit=st.integers(-1, 12),
    revision=st.integers(0, 33),
    sort_order=st.sampled_from(R.SortOrder.values()),
    sort_target=st.sampled_from(R.SortTarget.values()),
    keys_only=st.booleans(),
    count_only=st.booleans(),
    min_mod_revision=st.sampled_from([0, 0, 10]),
    max_create_revision=st.sampled_from([0, 0, 20]),
)


@pytest.fixture(scope="module")
def wide() -> Driver:
    """Thirty keys a0…c9, every fifth deleted again and some put twice: revisions 2 to 39."""
    tables = DictTables()
    driver = Driver(tables, Store(tables))
    names_ = [letter + b"%d" % number for letter in (b"a", b"b", b"c") for number in range(10)]
    for place, key in enumerate(names_):
        driver.put(key, b"%d" % (place * 7 % 10))
        if place % 5 == 4:
            driver.delete(key)
        elif place % 7 == 3:
            driver.put(key, b"again")
    return driver


@given(request=requests_, keys_max=st.integers(1, 9))
@settings(max_examples=200, derandomize=True, deadline=None)
def test_range_in_slices_answers_the_same_bytes(wide: Driver, request: rpc.RangeRequest, keys_max: int) -> None:
    """However it is cut, a range has one answer; and no slice looks at more keys than it may."""
    body, steps = answers(wide, request, keys_max)
    assert body == reads.range_body(wide.store, request)
    assert steps <= 30 // keys_max + 3


@pytest.mark.parametrize("count_only", [False, True])
@pytest.mark.parametrize("limit", [0, 3])
def test_range_at_a_past_revision_counts_in_slices(wide: Driver, limit: int, count_only: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """Counting at a past revision walks the keys, so of a long range it must not happen in one piece."""
    monkeypatch.setattr(reads, "COUNT_WALK_KEYS_MAX", 5)
    request = rpc.RangeRequest(key=b"\0", range_end=b"\0", revision=20, limit=limit, count_only=count_only)
    body, steps = answers(wide, request, 4)
    assert body == reads.range_body(wide.store, request)
    assert steps > 2


def test_range_job_sees_one_revision_while_writes_go_on(member: Driver) -> None:
    for number in range(6):
        member.put(b"k%d" % number, b"old")
    job = reads.RangeJob(member.store, rpc.RangeRequest(key=b"\0", range_end=b"\0"))
    assert not job.step(2)
    member.put(b"k5", b"new")
    member.put(b"k9", b"new")
    member.delete(b"k4")
    while not job.step(2):
        pass
    response = rpc.RangeResponse.FromString(job.body)
    assert [item.value for item in response.kvs] == [b"old"] * 6
    assert (response.count, job.revision) == (6, 7)


def test_range_job_overtaken_by_compaction_begins_again(member: Driver) -> None:
    """Who asked for the newest revision must not hear that it was compacted."""
    for number in range(6):
        member.put(b"k%d" % number)
    job = reads.RangeJob(member.store, rpc.RangeRequest(key=b"\0", range_end=b"\0"))
    steps = 1
    while not job.step(2):
        steps += 1
        member.put(b"k0")
        member.do(rpc.CompactionRequest(revision=member.store.revision))
        assert steps < 20
    response = rpc.RangeResponse.FromString(job.body)
    assert response.count == 6
    assert response.kvs[0].mod_revision == job.revision == member.store.revision


def test_range_job_of_named_revision_overtaken_by_compaction_fails(member: Driver) -> None:
    for number in range(6):
        member.put(b"k%d" % number)
    job = reads.RangeJob(member.store, rpc.RangeRequest(key=b"\0", range_end=b"\0", revision=6))
    assert not job.step(2)
    member.do(rpc.CompactionRequest(revision=7))
    with pytest.raises(CompactedError):
        job.step(2)


def test_machine_range_longer_than_a_slice_is_a_job(member: Driver) -> None:
    for number in range(5):
        member.put(b"k%d" % number)
    request = rpc.RangeRequest(key=b"k", range_end=b"l")
    job = member.state.range(request, 2)
    assert isinstance(job, reads.RangeJob)
    assert not job.step(2) and job.step(2)
    assert member.state.range(request) == (6, job.body)
