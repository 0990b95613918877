"""The comparison itself: it sees what differs, and only that. Needs no etcd."""

from __future__ import annotations

import pytest

from raftkv.pb import kv, rpc
from tests.differential.answers import Normal, joined, tree
from tests.differential.exchange import UNEXPLAINED_MAX, Answer, Difference, Exchange, Rule, Verdict, differences
from tests.differential.known import RULES

HEADER = rpc.ResponseHeader(cluster_id=1, member_id=2, revision=9, raft_term=2)


def exchange(etcd, raftkv, *, method="Range", request=None):
    """Two OK answers to one request."""
    request = request or rpc.RangeRequest(key=b"k")
    sides = (Answer("OK", "", Normal().tree(request, answer)) for answer in (etcd, raftkv))
    return Exchange(1, method, request, *sides)


def verdict_of(*exchanges, rules=RULES):
    found = Verdict(rules)
    for one in exchanges:
        found.judge(one)
    return found


def pairs(count, **changed):
    """Keys in order, one of them changed."""
    found = [kv.KeyValue(key=b"%02d" % number, mod_revision=5, version=1) for number in range(count)]
    for field, value in changed.items():
        setattr(found[1], field, value)
    return found


@pytest.mark.parametrize("field", ["key", "value", "create_revision", "mod_revision", "version", "lease"])
def test_every_field_of_a_key_is_compared(field):
    other = b"other" if field in ("key", "value") else 77
    one, two = (rpc.RangeResponse(header=HEADER, kvs=pairs(3, **change), count=3) for change in ({}, {field: other}))
    assert [found.path for found in differences(exchange(one, two))] == [f"kvs[1].{field}"]
    assert differences(exchange(one, one)) == []


def test_unset_message_is_not_an_empty_one():
    """`prev_kv` that is absent and `prev_kv` without fields are different answers."""
    one, two = rpc.PutResponse(header=HEADER), rpc.PutResponse(header=HEADER, prev_kv=kv.KeyValue())
    assert differences(exchange(one, two, method="Put")) == [Difference("prev_kv", None, {})]


def test_field_we_do_not_know_is_counted():
    assert tree(rpc.PutResponse.FromString(b"\xf8\x07\x01")) == {"unknown fields": 1}


def test_status_differs_by_code_and_by_text():
    for other in (Answer("INTERNAL", "x", None), Answer("UNKNOWN", "y", None)):
        found = differences(Exchange(1, "Put", rpc.PutRequest(), Answer("UNKNOWN", "x", None), other))
        assert [one.path for one in found] == ["status"]


def test_difference_nobody_listed_is_a_problem_and_ends_a_hopeless_run():
    one, two = (rpc.RangeResponse(header=HEADER, count=count) for count in (1, 2))
    verdict = verdict_of(*[exchange(one, two)] * UNEXPLAINED_MAX)
    assert verdict.hopeless
    assert len(verdict.problems()) == UNEXPLAINED_MAX and "count: etcd 1, raftkv 2" in verdict.problems()[0]


def test_rule_that_explained_nothing_is_a_problem():
    rule = Rule("never", "1.2 Range", "count", lambda exchange, found: False)
    assert verdict_of(rules=[rule]).problems() == ["known.py lists 'never', which never occurred"]


def test_listed_difference_is_explained_for_what_it_says_only():
    """keys_only drops the lease: not a lease that was asked for, and not another field."""
    one, two = (rpc.RangeResponse(header=HEADER, kvs=pairs(2, **change), count=2) for change in ({"lease": 7}, {}))
    asked, plain = rpc.RangeRequest(key=b"0", range_end=b"1", keys_only=True), rpc.RangeRequest(key=b"0", range_end=b"1")
    assert verdict_of(exchange(one, two, request=asked)).unexplained == []
    assert len(verdict_of(exchange(one, two, request=plain)).unexplained) == 1
    assert len(verdict_of(exchange(two, one, request=asked)).unexplained) == 1


def test_lease_ids_are_named_in_the_order_they_were_granted():
    """The servers choose different ids; what refers to them must agree."""
    trees = []
    for ids in ([111, 222], [4444, 3333]):
        normal = Normal()
        for lease_id in ids:
            normal.leases.add(lease_id)
        answer = rpc.RangeResponse(kvs=[kv.KeyValue(key=b"k", lease=ids[1])])
        trees.append(normal.tree(rpc.RangeRequest(key=b"k"), answer))
        request = rpc.PutRequest(key=b"k", lease=trees[-1]["kvs"][0]["lease"])
        normal.leases.to_ids(request)
        assert request.lease == ids[1]
    assert trees[0] == trees[1]


def test_keys_that_sort_alike_may_come_in_any_order_when_there_are_many():
    """Go's sort keeps the order of up to twelve; of a group that a limit cuts, which keys are left is open."""
    request = rpc.RangeRequest(key=b"0", range_end=b"9", sort_target=rpc.RangeRequest.VERSION, limit=5)
    some, others = pairs(15)[:5], pairs(15)[5:10]
    for count, equal in ((15, True), (12, False)):
        one, two = (rpc.RangeResponse(header=HEADER, kvs=kvs, count=count, more=True) for kvs in (some, others))
        assert (differences(exchange(one, two, request=request)) == []) == equal
    one, two = (rpc.RangeResponse(header=HEADER, kvs=kvs, count=15) for kvs in (some, others))
    assert differences(exchange(one, two, request=request)), "nothing was cut"


def response(*revisions, header=9, fragment=False):
    events = [kv.Event(kv=kv.KeyValue(key=b"k", mod_revision=revision)) for revision in revisions]
    return rpc.WatchResponse(header=rpc.ResponseHeader(revision=header), events=events, fragment=fragment)


def test_past_may_be_cut_between_revisions():
    assert list(joined([response(1, 2), response(3, 3), response(4)])) == [response(1, 2, 3, 3, 4)]


@pytest.mark.parametrize(
    "responses",
    [
        pytest.param([response(1, 2), response(2, 3)], id="inside a revision"),
        pytest.param([response(1, header=1), response(2, header=2)], id="live events"),
        pytest.param([response(1, fragment=True), response(2)], id="fragments"),
        pytest.param([response(3), response(1)], id="out of order"),
        pytest.param([response(1), response(*range(2, 1003))], id="too many revisions"),
        pytest.param([response(1), rpc.WatchResponse(header=rpc.ResponseHeader(revision=9), canceled=True)], id="a cancellation"),
    ],
)
def test_other_cuts_of_a_watch_are_compared(responses):
    assert list(joined(responses)) == responses
