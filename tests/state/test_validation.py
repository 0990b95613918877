"""What is refused before the log: etcd's checks with its quirks (spec/etcd-behaviour.md §1.2)."""

from __future__ import annotations

import pytest

from raftkv.errors import (
    DuplicateKeyError,
    EmptyKeyError,
    InvalidSortOptionError,
    KeyNotFoundError,
    LeaseProvidedError,
    RaftKVError,
    TooManyOpsError,
    ValueProvidedError,
)
from raftkv.pb import rpc
from raftkv.state import validation

Op = rpc.RequestOp
Txn = rpc.TxnRequest


def put(key: bytes) -> Op:
    return Op(request_put=rpc.PutRequest(key=key))


def delete(key: bytes, range_end: bytes = b"") -> Op:
    return Op(request_delete_range=rpc.DeleteRangeRequest(key=key, range_end=range_end))


def get(key: bytes = b"g") -> Op:
    return Op(request_range=rpc.RangeRequest(key=key))


def nested(success: list[Op] | None = None, failure: list[Op] | None = None) -> Op:
    return Op(request_txn=Txn(success=success, failure=failure))


@pytest.mark.parametrize(
    ("request_", "error"),
    [
        (rpc.PutRequest(), EmptyKeyError),
        (rpc.PutRequest(key=b"a", value=b"v", ignore_value=True), ValueProvidedError),
        (rpc.PutRequest(key=b"a", lease=1, ignore_lease=True), LeaseProvidedError),
    ],
)
def test_put_check_refuses(request_: rpc.PutRequest, error: type[RaftKVError]) -> None:
    with pytest.raises(error):
        validation.check_put(request_)


def test_put_check_allows_empty_value_and_both_ignores() -> None:
    validation.check_put(rpc.PutRequest(key=b"a"))
    validation.check_put(rpc.PutRequest(key=b"a", ignore_value=True, ignore_lease=True))


@pytest.mark.parametrize(
    ("request_", "error"),
    [
        (rpc.RangeRequest(), EmptyKeyError),
        (rpc.RangeRequest(range_end=b"\0"), EmptyKeyError),
        (rpc.RangeRequest(key=b"a", sort_order=3), InvalidSortOptionError),
        (rpc.RangeRequest(key=b"a", sort_target=5), InvalidSortOptionError),
    ],
)
def test_range_check_refuses(request_: rpc.RangeRequest, error: type[RaftKVError]) -> None:
    with pytest.raises(error):
        validation.check_range(request_)


def test_delete_check_refuses_empty_key() -> None:
    with pytest.raises(EmptyKeyError):
        validation.check_delete(rpc.DeleteRangeRequest(range_end=b"\0"))


@pytest.mark.parametrize(
    ("txn", "error"),
    [
        (Txn(success=[Op()]), KeyNotFoundError),
        (Txn(failure=[nested([Op()])]), KeyNotFoundError),
        (Txn(success=[put(b"")]), EmptyKeyError),
        (Txn(failure=[delete(b"")]), EmptyKeyError),
        (Txn(success=[get(b"")]), EmptyKeyError),
        (Txn(compare=[rpc.Compare()]), EmptyKeyError),
        (Txn(success=[Op(request_txn=Txn(compare=[rpc.Compare()]))]), EmptyKeyError),
        (Txn(success=[Op(request_range=rpc.RangeRequest(key=b"a", sort_order=9))]), InvalidSortOptionError),
        (Txn(success=[Op(request_put=rpc.PutRequest(key=b"a", value=b"v", ignore_value=True))]), ValueProvidedError),
    ],
)
def test_txn_check_refuses_a_faulty_part_in_either_branch(txn: Txn, error: type[RaftKVError]) -> None:
    with pytest.raises(error):
        validation.check_txn(txn, 128)


@pytest.mark.parametrize(
    ("txn", "fits"),
    [
        (Txn(success=[get()] * 128), True),
        (Txn(success=[get()] * 129), False),
        (Txn(compare=[rpc.Compare(key=b"a")] * 129), False),
        (Txn(compare=[rpc.Compare(key=b"a")] * 128, success=[get()] * 128, failure=[get()] * 128), True),
        (Txn(success=[nested([get()] * 127)]), True),
        (Txn(success=[nested([get()] * 128)]), False),
        (Txn(success=[nested([get()] * 64)] * 64), True),
        (Txn(success=[nested([get()] * 65)] * 64), False),
        (Txn(failure=[get()] * 100, success=[nested([get()] * 28)]), True),
        (Txn(failure=[get()] * 100, success=[nested([get()] * 29)]), False),
    ],
)
def test_txn_check_counts_the_longest_list_and_leaves_nested_txns_the_rest(txn: Txn, fits: bool) -> None:
    """The limit of an inner txn is the outer one's less its longest list, the same for each sibling."""
    if fits:
        validation.check_txn(txn, 128)
    else:
        with pytest.raises(TooManyOpsError):
            validation.check_txn(txn, 128)


ALLOWED = {
    "two keys": [put(b"a"), put(b"b")],
    "delete beside the key": [delete(b"a", b"b"), put(b"b")],
    "delete of another key": [delete(b"a"), put(b"a\0")],
    "two deletes overlap": [delete(b"a", b"c"), delete(b"b", b"d")],
    "delete to the end does not count": [delete(b"a", b"\0"), put(b"b")],
    "delete of an empty range": [delete(b"c", b"a"), put(b"b")],
    "then and else of one txn share a key": [nested([put(b"a")], [put(b"a")])],
    "then and else delete and put": [nested([delete(b"a")], [put(b"a")])],
    "sibling puts, then deletes": [nested([put(b"a")]), nested([delete(b"a")])],
    "range of a put key": [put(b"a"), get(b"a")],
}

REFUSED = {
    "key put twice": [put(b"a"), put(b"a")],
    "put, then deleted": [put(b"a"), delete(b"a")],
    "deleted, then put": [delete(b"a"), put(b"a")],
    "put inside a deleted range": [delete(b"a", b"c"), put(b"b")],
    "outer put, nested put": [put(b"a"), nested([put(b"a")])],
    "outer put, nested else put": [put(b"a"), nested([], [put(b"a")])],
    "outer put, nested delete": [put(b"a"), nested([delete(b"a")])],
    "nested delete, outer put": [nested([delete(b"a")]), put(b"a")],
    "outer delete, nested put": [delete(b"a"), nested([put(b"a")])],
    "nested put, outer delete": [nested([put(b"a")]), delete(b"a", b"b")],
    "siblings put one key": [nested([put(b"a")]), nested([put(b"a")])],
    "siblings, then against else": [nested([put(b"a")]), nested([], [put(b"a")])],
    "sibling deletes, then puts": [nested([delete(b"a")]), nested([put(b"a")])],
    "two levels down": [put(b"a"), nested([nested([], [put(b"a")])])],
    "twice inside a nested txn": [nested([put(b"a"), put(b"a")])],
}


@pytest.mark.parametrize("name", ALLOWED)
def test_txn_check_allows_keys_that_etcd_allows(name: str) -> None:
    validation.check_txn(Txn(success=ALLOWED[name]), 128)
    validation.check_txn(Txn(failure=ALLOWED[name]), 128)


@pytest.mark.parametrize("name", REFUSED)
def test_txn_check_refuses_duplicate_keys_as_etcd_does(name: str) -> None:
    for txn in (Txn(success=REFUSED[name]), Txn(failure=REFUSED[name])):
        with pytest.raises(DuplicateKeyError):
            validation.check_txn(txn, 128)


def test_txn_check_keeps_the_two_lists_apart() -> None:
    validation.check_txn(Txn(success=[put(b"a")], failure=[put(b"a"), delete(b"b")]), 128)


def test_txn_check_counts_before_it_looks_at_keys() -> None:
    """Which of two faults is named is visible to clients."""
    with pytest.raises(TooManyOpsError):
        validation.check_txn(Txn(success=[put(b"a")] * 129), 128)
    with pytest.raises(EmptyKeyError):
        validation.check_txn(Txn(success=[put(b"a"), put(b"a"), put(b"")]), 128)
