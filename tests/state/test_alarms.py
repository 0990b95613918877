"""Alarms and what they forbid (spec/etcd-behaviour.md §1.6)."""

from __future__ import annotations

import pytest
from google.protobuf.message import Message

from raftkv.errors import CorruptError, NoSpaceError
from raftkv.pb import rpc
from raftkv.state import quota
from raftkv.state.requests import LeaseExpiry
from tests.state.machine import Driver

GET, ACTIVATE, DEACTIVATE = rpc.AlarmRequest.GET, rpc.AlarmRequest.ACTIVATE, rpc.AlarmRequest.DEACTIVATE
NONE, NOSPACE, CORRUPT = rpc.NONE, rpc.NOSPACE, rpc.CORRUPT

Op = rpc.RequestOp
PUT = rpc.PutRequest(key=b"k", value=b"v")
DELETE = rpc.DeleteRangeRequest(key=b"k")
TXN_PUT = rpc.TxnRequest(success=[Op(request_put=PUT)])
TXN_PUT_NOT_TAKEN = rpc.TxnRequest(failure=[Op(request_put=PUT)])
TXN_NESTED_PUT = rpc.TxnRequest(failure=[Op(request_txn=TXN_PUT)])
TXN_DELETE = rpc.TxnRequest(success=[Op(request_delete_range=DELETE)])
COMPACT = rpc.CompactionRequest(revision=2)
GRANT = rpc.LeaseGrantRequest(ID=4, TTL=9)
REVOKE = rpc.LeaseRevokeRequest(ID=3)


def alarm(member: Driver, action: int, member_id: int = 0, kind: int = 0) -> list[tuple[int, int]]:
    response = member.do(rpc.AlarmRequest(action=action, memberID=member_id, alarm=kind))
    return [(item.memberID, item.alarm) for item in response.alarms]


@pytest.fixture
def ready(member: Driver) -> Driver:
    member.grant(3)
    member.put(b"k")
    member.put(b"l", lease=3)
    return member


def test_activate_answers_the_alarm_each_time(member: Driver) -> None:
    assert alarm(member, ACTIVATE, 5, NOSPACE) == [(5, NOSPACE)]
    assert alarm(member, ACTIVATE, 5, NOSPACE) == [(5, NOSPACE)]
    assert alarm(member, GET) == [(5, NOSPACE)]


def test_activate_none_does_nothing(member: Driver) -> None:
    assert alarm(member, ACTIVATE, 5, NONE) == []
    assert alarm(member, GET) == []


def test_get_ignores_member_and_filters_by_type(member: Driver) -> None:
    alarm(member, ACTIVATE, 1 << 63, CORRUPT)
    alarm(member, ACTIVATE, 5, NOSPACE)
    assert alarm(member, GET, 77) == [(5, NOSPACE), (1 << 63, CORRUPT)]
    assert alarm(member, GET, 77, CORRUPT) == [(1 << 63, CORRUPT)]


def test_deactivate_needs_the_exact_pair(member: Driver) -> None:
    alarm(member, ACTIVATE, 5, NOSPACE)
    assert alarm(member, DEACTIVATE, 0, NONE) == []
    assert alarm(member, DEACTIVATE, 5, CORRUPT) == []
    assert alarm(member, DEACTIVATE, 6, NOSPACE) == []
    assert alarm(member, DEACTIVATE, 5, NOSPACE) == [(5, NOSPACE)]
    assert alarm(member, DEACTIVATE, 5, NOSPACE) == []
    assert alarm(member, GET) == []


def test_alarm_makes_no_revision(member: Driver) -> None:
    alarm(member, ACTIVATE, 5, NOSPACE)
    assert member.store.revision == 1


@pytest.mark.parametrize("request_", [PUT, GRANT, TXN_PUT, TXN_PUT_NOT_TAKEN, TXN_NESTED_PUT])
def test_no_space_refuses_what_may_grow(ready: Driver, request_: Message) -> None:
    alarm(ready, ACTIVATE, 5, NOSPACE)
    with pytest.raises(NoSpaceError):
        ready.do(request_)
    assert ready.keys() == [b"k", b"l"]


@pytest.mark.parametrize("request_", [DELETE, COMPACT, REVOKE, TXN_DELETE, rpc.TxnRequest()])
def test_no_space_allows_what_frees(ready: Driver, request_: Message) -> None:
    alarm(ready, ACTIVATE, 5, NOSPACE)
    ready.do(request_)


@pytest.mark.parametrize("request_", [PUT, DELETE, TXN_PUT, TXN_DELETE, COMPACT, GRANT, REVOKE, LeaseExpiry(1, 3)])
def test_corrupt_refuses_every_change(ready: Driver, request_: object) -> None:
    alarm(ready, ACTIVATE, 5, CORRUPT)
    alarm(ready, ACTIVATE, 5, NOSPACE)
    revision, body, error = ready.apply(request_)
    assert (revision, body) == (3, b"") and isinstance(error, CorruptError)
    assert ready.range(b"\0", b"\0").count == 2


def test_refusal_lasts_until_the_last_alarm_of_its_type_is_lifted(ready: Driver) -> None:
    alarm(ready, ACTIVATE, 5, NOSPACE)
    alarm(ready, ACTIVATE, 6, NOSPACE)
    alarm(ready, DEACTIVATE, 5, NOSPACE)
    with pytest.raises(NoSpaceError):
        ready.do(PUT)
    alarm(ready, DEACTIVATE, 6, NOSPACE)
    ready.do(PUT)


def test_alarm_stands_after_a_restart(ready: Driver) -> None:
    alarm(ready, ACTIVATE, 5, NOSPACE)
    again = Driver(ready.tables, ready.store)
    assert again.state.alarms.standing() == ((5, NOSPACE),)
    with pytest.raises(NoSpaceError):
        again.do(PUT)


def test_cost_is_etcds_formula_and_counts_nested_puts() -> None:
    def put(size: int) -> Op:
        return Op(request_put=rpc.PutRequest(key=b"12345", value=bytes(size)))

    assert quota.put_bytes(rpc.PutRequest(key=b"12345", value=b"123")) == 264
    assert quota.txn_bytes(rpc.TxnRequest(success=[put(0), put(1)], failure=[put(500)])) == 761
    assert quota.txn_bytes(rpc.TxnRequest(success=[put(0), put(1)], failure=[put(5)])) == 523
    assert quota.txn_bytes(rpc.TxnRequest(success=[Op(request_txn=rpc.TxnRequest(success=[put(0)]))])) == 261
    assert quota.txn_bytes(TXN_DELETE) == 0
