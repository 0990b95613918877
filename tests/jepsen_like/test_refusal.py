"""A history is judged by checks that know each of its calls, or refused by name: never found invalid for what they do not look at."""

from __future__ import annotations

import pytest

from jepsen_like import judgement
from jepsen_like.history import OK, Operation, TxnArgument, TxnResult
from jepsen_like.workload import catalog
from tests.jepsen_like.recorded import history_of

NAMES = list(catalog.BY_NAME)


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_history_judged_as_any_workload_is_judged_alike_or_refused(name):
    """Every pair: what is right by its own checks is invalid by nobody's."""
    history = history_of(name)
    own = judgement.judge(history).outcome
    assert judgement.refusal(history, name) is None
    for other in NAMES:
        refused = judgement.refusal(history, other)
        if refused is not None:
            assert refused.text.startswith((f"the checks of {other} do not know the call '", f"the history is one of {name}"))
            continue
        judged = judgement.judge(history, other)
        assert judged.outcome in (own, "rejected"), (name, other, judged.reasons)
        if judged.outcome == "rejected" and own != "rejected":
            assert judged.rejected[0].startswith((f"nothing of {other} was judged", f"a part of {other} was not judged"))


def operation(f: str, argument: object, result: object, *, lease: int = 0) -> Operation:
    return Operation(0, f, "k", argument, result, 1, 2, OK, 2, "n1", "", lease)


PUT, DELETE = ("put", "k", "v"), ("delete", "k", "")
CALLS = {
    "delete": operation("delete", "", 1),
    catalog.RANGE_DELETE: operation("delete", "l", 1),
    "txn": operation("txn", TxnArgument((), (PUT,), (("get", "k"), DELETE)), TxnResult(True, ((),))),
    catalog.SEVERAL: operation("txn", TxnArgument((), (), (PUT, ("delete", "l", ""))), TxnResult(True, ())),
    f"put {catalog.LEASED}": operation("put", "v", (), lease=7),
}
KNOWN_TO = {
    "register": {"delete"},
    "stale-register": {"delete"},
    "membership": {"delete"},
    "kubernetes": {"delete", "txn"},
    "txn": {"delete", "txn", catalog.RANGE_DELETE, catalog.SEVERAL},
    "watch": {"delete", "txn", catalog.RANGE_DELETE, catalog.SEVERAL},
    "lease": set(CALLS),
}


@pytest.mark.parametrize("name", NAMES)
def test_calls_of_one_name_are_told_apart_where_checks_reckon_with_only_some(name):
    """The search on single keys reckons with no other writes than those of single keys, which nobody's lease takes away."""
    assert {call: catalog.call_of(one) for call, one in CALLS.items()} == {call: call for call in CALLS}
    assert {call for call in CALLS if catalog.entry_of(name).knows(call)} == KNOWN_TO.get(name, set())


def test_delete_of_a_range_within_a_txn_may_change_several_keys():
    one = operation("txn", TxnArgument((), (("delete", "k", "l"),)), TxnResult(True, (2,)))
    assert catalog.call_of(one) == catalog.SEVERAL
