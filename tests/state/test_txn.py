"""Transactions: compares, checks, order, revisions and headers (spec/etcd-behaviour.md §1.2 Txn, Compare)."""

from __future__ import annotations

import pytest

from raftkv.errors import CompactedError, FutureRevError, KeyNotFoundError, LeaseNotFoundError, RaftKVError
from raftkv.pb import rpc
from raftkv.state import reads, txn
from tests.state.machine import Driver

C = rpc.Compare
Op = rpc.RequestOp
Txn = rpc.TxnRequest


def put(key: bytes, value: bytes = b"v", **options: object) -> Op:
    return Op(request_put=rpc.PutRequest(key=key, value=value, **options))


def delete(key: bytes, range_end: bytes = b"", prev_kv: bool = False) -> Op:
    return Op(request_delete_range=rpc.DeleteRangeRequest(key=key, range_end=range_end, prev_kv=prev_kv))


def get(key: bytes, **options: object) -> Op:
    return Op(request_range=rpc.RangeRequest(key=key, **options))


def nested(**parts: object) -> Op:
    return Op(request_txn=Txn(**parts))


@pytest.fixture
def filled(member: Driver) -> Driver:
    """a: revisions 2 and 4, version 2, value m; b: revision 3, leased by 9. Current revision 4."""
    member.grant(9)
    member.put(b"a", b"old")
    member.put(b"b", b"m", 9)
    member.put(b"a", b"m")
    return member


COMPARES = [
    (C(key=b"a", target=C.VERSION, version=2, result=C.EQUAL), True),
    (C(key=b"a", target=C.VERSION, version=1, result=C.GREATER), True),
    (C(key=b"a", target=C.VERSION, version=3, result=C.GREATER), False),
    (C(key=b"a", target=C.VERSION, version=3, result=C.LESS), True),
    (C(key=b"a", target=C.VERSION, version=3, result=C.NOT_EQUAL), True),
    (C(key=b"a", target=C.CREATE, create_revision=2, result=C.EQUAL), True),
    (C(key=b"a", target=C.MOD, mod_revision=4, result=C.EQUAL), True),
    (C(key=b"a", target=C.MOD, mod_revision=4, result=C.NOT_EQUAL), False),
    (C(key=b"a", target=C.VALUE, value=b"m", result=C.EQUAL), True),
    (C(key=b"a", target=C.VALUE, value=b"l", result=C.GREATER), True),
    (C(key=b"a", target=C.VALUE, value=b"ma", result=C.LESS), True),
    (C(key=b"b", target=C.LEASE, lease=9, result=C.EQUAL), True),
    (C(key=b"a", target=C.LEASE, lease=0, result=C.EQUAL), True),
    # A key that is not there: zeros, and no value whatever the relation.
    (C(key=b"x", target=C.VERSION, version=0, result=C.EQUAL), True),
    (C(key=b"x", target=C.CREATE, create_revision=0, result=C.EQUAL), True),
    (C(key=b"x", target=C.MOD, mod_revision=1, result=C.LESS), True),
    (C(key=b"x", target=C.LEASE, lease=0, result=C.EQUAL), True),
    (C(key=b"x", target=C.VALUE, value=b"", result=C.EQUAL), False),
    (C(key=b"x", target=C.VALUE, value=b"z", result=C.NOT_EQUAL), False),
    (C(key=b"x", target=C.VALUE, value=b"z", result=C.LESS), False),
    # A union field that does not belong to the target counts as zero or empty.
    (C(key=b"a", target=C.VERSION, mod_revision=2, result=C.EQUAL), False),
    (C(key=b"a", target=C.VERSION, mod_revision=2, result=C.GREATER), True),
    (C(key=b"a", target=C.VALUE, version=3, result=C.GREATER), True),
    # Numbers no client should send.
    (C(key=b"a", target=C.VERSION, version=7, result=9), True),
    (C(key=b"x", target=C.VALUE, value=b"", result=9), False),
    (C(key=b"a", target=9, version=5, result=C.EQUAL), True),
    (C(key=b"a", target=9, version=5, result=C.GREATER), False),
    # Ranges: every key must satisfy; an empty range is one key that is not there.
    (C(key=b"a", range_end=b"c", target=C.VALUE, value=b"m", result=C.EQUAL), True),
    (C(key=b"a", range_end=b"c", target=C.VERSION, version=2, result=C.EQUAL), False),
    (C(key=b"a", range_end=b"\0", target=C.MOD, mod_revision=2, result=C.GREATER), True),
    (C(key=b"\0", range_end=b"\0", target=C.CREATE, create_revision=3, result=C.LESS), False),
    (C(key=b"x", range_end=b"z", target=C.VERSION, version=0, result=C.EQUAL), True),
    (C(key=b"x", range_end=b"z", target=C.VALUE, value=b"", result=C.EQUAL), False),
    (C(key=b"c", range_end=b"a", target=C.CREATE, create_revision=0, result=C.EQUAL), True),
]


@pytest.mark.parametrize("place", range(len(COMPARES)))
def test_compare_holds_as_in_etcd(filled: Driver, place: int) -> None:
    compare, expected = COMPARES[place]
    assert filled.do(Txn(compare=[compare])).succeeded is expected


def test_txn_without_compares_succeeds_and_makes_no_revision(filled: Driver) -> None:
    response = filled.do(Txn())
    assert (response.succeeded, response.header.revision, len(response.responses)) == (True, 4, 0)


def test_txn_takes_failure_when_one_compare_does_not_hold(filled: Driver) -> None:
    yes, no = C(key=b"a", target=C.VERSION, version=2), C(key=b"a", target=C.VERSION, version=1)
    response = filled.do(Txn(compare=[yes, no], success=[put(b"s")], failure=[put(b"f")]))
    assert not response.succeeded
    assert filled.keys() == [b"a", b"b", b"f"]


def test_txn_writes_share_one_revision_nested_ones_too(filled: Driver) -> None:
    response = filled.do(Txn(success=[put(b"x"), nested(success=[put(b"y")]), delete(b"b")]))
    assert response.header.revision == 5
    assert [filled.range(key).kvs[0].mod_revision for key in (b"x", b"y")] == [5, 5]
    assert filled.put(b"z").header.revision == 6


def test_txn_of_reads_and_idle_deletes_makes_no_revision(filled: Driver) -> None:
    response = filled.do(Txn(success=[get(b"a"), delete(b"none"), nested(success=[get(b"a")])]))
    assert response.header.revision == 4


def test_txn_operations_see_earlier_ones(filled: Driver) -> None:
    response = filled.do(Txn(success=[put(b"x", b"1"), get(b"x"), delete(b"b"), get(b"b"), get(b"\0", range_end=b"\0", count_only=True)]))
    assert response.responses[1].response_range.kvs[0].value == b"1"
    assert response.responses[3].response_range.count == 0
    assert response.responses[4].response_range.count == 2


def test_txn_nested_compares_look_at_the_state_before_any_operation(filled: Driver) -> None:
    inner = nested(compare=[C(key=b"x", target=C.VERSION, version=0)], success=[put(b"saw-before")], failure=[put(b"saw-after")])
    response = filled.do(Txn(success=[put(b"x"), inner]))
    assert response.responses[1].response_txn.succeeded
    assert filled.range(b"saw-before").count == 1


def test_txn_inner_headers_hold_revision_alone_and_change_at_the_first_write(filled: Driver) -> None:
    response = filled.do(Txn(success=[get(b"a"), delete(b"none"), put(b"x"), get(b"a"), delete(b"none")]))
    headers = [getattr(op, op.WhichOneof("response")).header for op in response.responses]
    assert [header.revision for header in headers] == [4, 4, 5, 5, 5]
    assert {header.ByteSize() for header in headers} == {2}


def test_txn_nested_header_is_there_and_empty(filled: Driver) -> None:
    response = filled.do(Txn(success=[nested(success=[put(b"x")])]))
    inner = response.responses[0].response_txn
    assert inner.HasField("header") and inner.header.ByteSize() == 0
    assert inner.responses[0].response_put.header.revision == 5


def test_txn_answers_prev_kvs(filled: Driver) -> None:
    response = filled.do(Txn(success=[put(b"a", b"n", prev_kv=True), delete(b"b", prev_kv=True), put(b"new", prev_kv=True)]))
    first, second, third = response.responses
    assert first.response_put.prev_kv.value == b"m"
    assert [item.key for item in second.response_delete_range.prev_kvs] == [b"b"]
    assert not third.response_put.HasField("prev_kv")


def test_txn_range_at_old_revision_reads_it_after_writes_too(filled: Driver) -> None:
    response = filled.do(Txn(success=[put(b"a", b"n"), get(b"a", revision=4), get(b"a", revision=2)]))
    assert [op.response_range.kvs[0].value for op in response.responses[1:]] == [b"m", b"old"]


@pytest.mark.parametrize(
    ("operation", "error"),
    [
        (put(b"none", b"", ignore_value=True), KeyNotFoundError),
        (put(b"none", ignore_lease=True), KeyNotFoundError),
        (put(b"c", lease=77), LeaseNotFoundError),
        (put(b"none", b"", ignore_value=True, lease=77), KeyNotFoundError),
        (get(b"a", revision=6), FutureRevError),
        (get(b"a", revision=5), FutureRevError),
        (get(b"a", revision=2), CompactedError),
        (nested(success=[get(b"a", revision=2)]), CompactedError),
        (nested(success=[put(b"c", lease=77)]), LeaseNotFoundError),
        (get(b"a", revision=-1), CompactedError),
    ],
)
def test_txn_with_an_operation_that_fails_writes_nothing(filled: Driver, operation: Op, error: type[RaftKVError]) -> None:
    """The chosen branch is checked before the first write; a negative revision is below the compacted one (3.4.23)."""
    filled.do(rpc.CompactionRequest(revision=3))
    before = filled.range(b"\0", b"\0")
    with pytest.raises(error):
        filled.do(Txn(success=[put(b"x"), delete(b"a"), operation]))
    assert filled.range(b"\0", b"\0") == before


def test_txn_put_ignoring_value_of_a_key_the_txn_makes_is_not_found(filled: Driver) -> None:
    """Checks look at the state before the txn."""
    with pytest.raises(KeyNotFoundError):
        filled.do(Txn(success=[nested(success=[put(b"x")]), put(b"x", b"", ignore_value=True)]))


def test_txn_put_ignoring_value_after_open_ended_delete_is_not_found(filled: Driver) -> None:
    """The duplicate check does not see a delete to the end of the keys; etcd's server stops at this request."""
    with pytest.raises(KeyNotFoundError):
        filled.do(Txn(success=[delete(b"a", b"\0"), put(b"a", b"", ignore_value=True)]))
    assert filled.keys() == [b"a", b"b"]
    filled.do(Txn(success=[put(b"a", b"", ignore_value=True), delete(b"b", b"\0")]))
    assert filled.range(b"a").kvs[0].value == b"m"


def test_txn_faults_of_the_other_branch_do_not_matter(filled: Driver) -> None:
    response = filled.do(Txn(success=[put(b"x")], failure=[put(b"c", lease=77), get(b"a", revision=99)]))
    assert response.succeeded


def test_txn_puts_are_checked_before_ranges(filled: Driver) -> None:
    with pytest.raises(LeaseNotFoundError):
        filled.do(Txn(success=[get(b"a", revision=99), put(b"c", lease=77)]))


def test_txn_keeps_leases_up_to_date(filled: Driver) -> None:
    filled.do(Txn(success=[put(b"b"), put(b"c", lease=9), put(b"a", b"", ignore_value=True, lease=9)]))
    assert filled.state.lessor.keys(9) == (b"a", b"c")
    filled.do(Txn(success=[delete(b"a", b"z")]))
    assert filled.state.lessor.keys(9) == ()


@pytest.mark.parametrize(
    ("request_", "read_only", "serializable"),
    [
        (Txn(), True, True),
        (Txn(compare=[C(key=b"a")]), True, True),
        (Txn(success=[get(b"a")]), True, False),
        (Txn(success=[get(b"a", serializable=True)], failure=[get(b"b", serializable=True)]), True, True),
        (Txn(success=[get(b"a", serializable=True)], failure=[get(b"b")]), True, False),
        (Txn(failure=[put(b"a")]), False, False),
        (Txn(success=[delete(b"a")]), False, False),
        (Txn(success=[nested(success=[get(b"a")])]), False, False),
    ],
)
def test_txn_read_only_and_serializable_are_told_from_both_lists(request_: Txn, read_only: bool, serializable: bool) -> None:
    """A nested txn goes through the log, whatever is in it."""
    assert txn.is_read_only(request_) is read_only
    if read_only:
        assert txn.is_serializable(request_) is serializable


def test_read_txn_answers_as_the_log_would(filled: Driver) -> None:
    request = Txn(
        compare=[C(key=b"a", target=C.VERSION, version=2)], success=[get(b"\0", range_end=b"\0"), get(b"x"), get(b"a", revision=2)]
    )
    revision, body, error = filled.apply(request)
    assert error is None
    assert filled.state.read_txn(request) == (revision, body)


@pytest.mark.parametrize(("revision", "error"), [(99, FutureRevError), (2, CompactedError), (-5, CompactedError)])
def test_read_txn_range_that_cannot_be_read_fails_all(filled: Driver, revision: int, error: type[RaftKVError]) -> None:
    filled.do(rpc.CompactionRequest(revision=3))
    with pytest.raises(error):
        filled.state.read_txn(Txn(success=[get(b"a"), get(b"a", revision=revision)]))


@pytest.mark.parametrize("keys_max", [1, 2, 3, 100])
def test_read_txn_in_slices_sees_one_revision(filled: Driver, keys_max: int) -> None:
    for number in range(5):
        filled.put(b"k%d" % number)
    request = Txn(success=[get(b"k", range_end=b"l"), get(b"none"), get(b"k0"), get(b"k", range_end=b"l", sort_target=3, sort_order=2)])
    whole = filled.state.read_txn(request)
    job = txn.ReadTxnJob(filled.store, request)
    while not job.step(keys_max):
        filled.put(b"k9")
        filled.delete(b"k0")
    assert (job.revision, job.body) == whole


def test_read_txn_overtaken_by_compaction_begins_again_as_a_whole(filled: Driver) -> None:
    for number in range(5):
        filled.put(b"k%d" % number)
    job = txn.ReadTxnJob(filled.store, Txn(success=[get(b"k", range_end=b"l"), get(b"k", range_end=b"l", limit=1)]))
    steps = 0
    while not job.step(2):
        steps += 1
        assert steps < 50
        filled.put(b"k0")
        filled.do(rpc.CompactionRequest(revision=filled.store.revision))
    first, second = rpc.TxnResponse.FromString(job.body).responses
    assert first.response_range.kvs[0] == second.response_range.kvs[0]
    assert first.response_range.header.revision == job.revision == filled.store.revision


def test_read_txn_slice_is_bounded_by_many_small_ranges(filled: Driver) -> None:
    job = txn.ReadTxnJob(filled.store, Txn(success=[get(b"none")] * 10))
    steps = 1
    while not job.step(3):
        steps += 1
    assert steps == 4


def test_compare_of_a_wide_range_reads_every_key(member: Driver) -> None:
    for number in range(reads.SLICE_KEYS + 1):
        member.put(b"k%04d" % number)
    compare = C(key=b"k", range_end=b"l", target=C.VERSION, version=1)
    assert member.do(Txn(compare=[compare])).succeeded
    member.put(b"k0500")
    assert not member.do(Txn(compare=[compare])).succeeded
