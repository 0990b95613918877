"""The state machine against etcd's rules written a second time: random logs, every answer compared."""

from __future__ import annotations

import pytest
from google.protobuf.message import Message
from hypothesis import given, settings
from hypothesis import strategies as st

from raftkv.errors import DuplicateKeyError, RaftKVError
from raftkv.mvcc.store import Store
from raftkv.pb import rpc
from raftkv.state import txn, validation
from tests.state import strategies
from tests.state.machine import Driver
from tests.state.naive_kv import DictTables
from tests.state.oracle import Oracle, Refused


def admitted(request: Message) -> bool:
    """As the server would: what the checks refuse never reaches the log."""
    if not isinstance(request, rpc.TxnRequest):
        return True
    try:
        validation.check_txn(request, 128)
    except DuplicateKeyError:
        return False
    return True


def agree(member: Driver, oracle: Oracle, request: Message) -> None:
    before = oracle.revision
    try:
        expected: Message | type[Exception] = oracle.do(request)
    except Refused as refused:
        expected = refused.error
        assert oracle.revision == before
    try:
        found: Message | type[Exception] = member.do(request)
    except RaftKVError as error:
        found = type(error)
    assert found == expected
    assert member.store.revision == oracle.revision


def agree_on_read(member: Driver, oracle: Oracle, request: rpc.RangeRequest) -> None:
    try:
        expected: Message | type[Exception] = oracle.range(request)
    except Refused as refused:
        expected = refused.error
    try:
        revision, body = member.state.range(request)  # type: ignore[misc]
        found: Message | type[Exception] = rpc.RangeResponse.FromString(body)
        found.header.revision = revision  # type: ignore[attr-defined]
    except RaftKVError as error:
        found = type(error)
    assert found == expected


@pytest.mark.slow
@given(st.lists(st.one_of(strategies.log_requests, strategies.ranges), max_size=25))
@settings(max_examples=120, derandomize=True, deadline=None)
def test_random_log_is_answered_as_the_rules_say(requests: list[Message]) -> None:
    """Responses, errors and revisions, field by field; ranges between the entries; leases at the end."""
    tables = DictTables()
    store = Store(tables)
    member, oracle = Driver(tables, store), Oracle()
    for request in filter(admitted, requests):
        if isinstance(request, rpc.RangeRequest):
            agree_on_read(member, oracle, request)
        else:
            agree(member, oracle, request)
    lessor = member.state.lessor
    lessor.check_invariants()
    assert {lease_id: lessor.ttl_s(lease_id) for lease_id in lessor.ids()} == oracle.leases
    assert lessor.attached == {key: item.lease for key, item in oracle.states[-1].items() if item.lease}
    store.check_invariants()


@pytest.mark.slow
@given(st.lists(strategies.puts, max_size=6), strategies.txns)
@settings(max_examples=120, derandomize=True, deadline=None)
def test_random_txn_fails_without_effect_or_succeeds_whole(puts: list[rpc.PutRequest], request: rpc.TxnRequest) -> None:
    tables = DictTables()
    member = Driver(tables, Store(tables))
    for lease_id in (1, 2, -3):
        member.grant(lease_id)
    for put in puts:
        member.apply(put)
    before = member.range(b"\0", b"\0")
    revision, body, error = member.apply(request)
    if error is not None:
        assert body == b""
        assert member.range(b"\0", b"\0") == before
    elif txn.is_read_only(request):
        assert member.state.read_txn(request) == (revision, body)
