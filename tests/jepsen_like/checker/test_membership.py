"""The member list against real time: valid histories pass, each kind of fault is named, and a slow twin agrees."""

from __future__ import annotations

from itertools import permutations
from random import Random

import pytest

from jepsen_like.checker import membership
from jepsen_like.checker.membership import ADD, LIST, PROMOTE, REMOVE, Listed
from jepsen_like.history import FAIL, OK, UNKNOWN, Operation

URL, OTHER = "http://127.7.0.1:1", "http://127.7.0.2:1"


def call(f, begin, end, *, key="", argument=None, result=None, outcome=OK):
    return Operation(0, f, key, argument, result, begin, end, outcome)


def add(begin, end, url=URL, member_id=7, outcome=OK, role="learner"):
    return call(ADD, begin, end, key=url, argument=role, result=(member_id,) if outcome == OK else None, outcome=outcome)


def remove(begin, end, member_id=7, outcome=OK):
    return call(REMOVE, begin, end, argument=member_id, outcome=outcome)


def listed(begin, end, *members):
    return call(LIST, begin, end, result=tuple(members))


def promote(begin, end, member_id=7, outcome=OK):
    return call(PROMOTE, begin, end, argument=member_id, outcome=outcome)


def joining(begin, end, member_id=7, outcome=OK):
    return add(begin, end, member_id=member_id, outcome=outcome, role="joining")


THERE = Listed(7, URL, True)
VOTES = Listed(7, URL, False)
BEFORE = Listed(6, URL, False)
FOUNDER = Listed(1, "http://m0:2380", False)


@pytest.mark.parametrize(
    ("operations", "kinds"),
    [
        ([listed(1, 2, FOUNDER), add(3, 4), listed(5, 6, FOUNDER, THERE), remove(7, 8), listed(9, 10, FOUNDER)], ()),
        ([add(3, 9), listed(4, 5), listed(6, 7, THERE), remove(10, 20), listed(11, 12, THERE), listed(13, 14)], ()),
        ([add(1, 2, outcome=UNKNOWN), listed(3, 4), listed(5, 6, THERE)], ()),
        ([add(1, 2), remove(3, 4, outcome=UNKNOWN), listed(5, 6, THERE), listed(7, 8)], ()),
        ([add(1, 2), listed(3, 4)], ("member-lost",)),
        ([add(1, 2, outcome=UNKNOWN), listed(3, 4, THERE), listed(5, 6)], ("member-lost",)),
        ([add(1, 2), remove(3, 4), listed(5, 6, THERE)], ("removed-member-listed",)),
        ([listed(1, 2, THERE), add(3, 4)], ("member-from-nowhere",)),
        ([add(1, 2, outcome=FAIL), listed(3, 4, THERE)], ("member-from-nowhere",)),
        ([add(1, 2), listed(3, 4, THERE._replace(is_learner=False))], ("learner-promoted",)),
        ([add(1, 2), call(PROMOTE, 3, 4, argument=7)], ("learner-promoted",)),
        # Who starts may be promoted, and then is a voter for good.
        ([joining(1, 2), listed(3, 4, THERE), promote(5, 8), listed(6, 7, VOTES), listed(9, 10, VOTES), remove(11, 12)], ()),
        ([joining(1, 2), promote(3, 4, outcome=UNKNOWN), listed(5, 6, THERE), listed(7, 8, VOTES)], ()),
        ([joining(1, 2), listed(3, 4, VOTES), promote(5, 6)], ("learner-promoted",)),
        ([joining(1, 2), promote(3, 4, outcome=FAIL), listed(5, 6, VOTES)], ("learner-promoted",)),
        ([joining(1, 2), promote(3, 4), listed(5, 6, THERE)], ("voter-demoted",)),
        ([joining(1, 2), promote(3, 4, outcome=UNKNOWN), listed(5, 6, VOTES), listed(7, 8, THERE)], ("voter-demoted",)),
        ([add(1, 2, role="voter"), listed(3, 4, VOTES)], ()),
        # A member is removed and comes again at its address, under another id.
        ([listed(1, 2, BEFORE), remove(3, 4, 6), joining(5, 6), listed(7, 8, THERE), promote(9, 10), listed(11, 12, VOTES)], ()),
        ([listed(1, 2, BEFORE), remove(3, 4, 6), joining(5, 6, outcome=UNKNOWN), listed(7, 8, THERE), listed(9, 10, THERE)], ()),
        ([listed(1, 2, BEFORE), remove(3, 4, 6), joining(5, 6), listed(7, 8, THERE, BEFORE)], ("removed-member-listed",)),
        ([listed(1, 2, BEFORE), joining(5, 6), listed(7, 8, THERE)], ("member-lost",)),
        ([listed(1, 2, BEFORE), remove(3, 4, 6), joining(5, 6, 6)], ("learner-promoted", "member-from-nowhere")),
        ([joining(1, 2), remove(3, 4), joining(5, 6)], ("member-id-reused",)),
        ([joining(1, 2), remove(3, 4), joining(5, 6, 8), listed(7, 8)], ("member-lost",)),
        ([add(1, 2), add(3, 4, OTHER)], ("member-id-reused",)),
        # Of members that were there before: nobody goes without a removal or comes without an add.
        ([listed(1, 2, FOUNDER, BEFORE), listed(3, 4, FOUNDER)], ("member-lost",)),
        ([listed(1, 2, FOUNDER, BEFORE), remove(3, 4, 6, UNKNOWN), listed(5, 6, FOUNDER, BEFORE), listed(7, 8, FOUNDER)], ()),
        ([listed(1, 2, FOUNDER, BEFORE), remove(3, 4, 6), listed(5, 6, FOUNDER, BEFORE)], ("removed-member-listed",)),
        ([listed(1, 2, FOUNDER), listed(3, 4, FOUNDER, THERE)], ("member-from-nowhere",)),
        ([listed(1, 3, FOUNDER), listed(2, 4, FOUNDER, BEFORE)], ()),
        ([listed(1, 2, FOUNDER), listed(3, 4, FOUNDER._replace(is_learner=True))], ("voter-demoted",)),
    ],
)
def test_history_of_changes_gets_its_verdict(operations, kinds):
    assert membership.check(operations).kinds == kinds


def possible(operations):
    """Whether some order within real time explains every list: one member, added and removed once at most."""
    choices = [one for one in operations if one.outcome != FAIL]
    optional = [one for one in choices if one.outcome == UNKNOWN]
    for mask in range(1 << len(optional)):
        left_out = {id(one) for place, one in enumerate(optional) if mask >> place & 1}
        for order in permutations([one for one in choices if id(one) not in left_out]):
            if any(
                after.complete_ns < before.invoke_ns and after.outcome == OK for i, before in enumerate(order) for after in order[i + 1 :]
            ):
                continue
            there, right = False, True
            for one in order:
                if one.f == ADD:
                    there = True
                elif one.f == REMOVE:
                    right = right and there
                    there = False
                else:
                    right = right and (THERE in one.result) == there
            if right:
                return True
    return False


def test_twin_that_tries_every_order_finds_nothing_that_the_checker_calls_wrong_possible():
    """What the checker refutes no order explains. It lets a few impossible ones pass: it looks at pairs of calls."""
    random, refuted, missed = Random(3), 0, 0
    for _ in range(3_000):
        moments = random.sample(range(100), 10)
        spans = [sorted(moments[place : place + 2]) for place in range(0, 10, 2)]
        calls = [add(*spans[0], outcome=random.choice((OK, OK, UNKNOWN))), remove(*spans[1], outcome=random.choice((OK, OK, UNKNOWN)))]
        if spans[1][0] < spans[0][0]:
            continue
        calls += [listed(*span, *([THERE] if random.random() < 0.5 else [])) for span in spans[2:]]
        wrong = bool(membership.check(calls).anomaly_count)
        is_possible = possible(calls)
        assert not (wrong and is_possible), calls
        refuted += wrong
        missed += not wrong and not is_possible
    assert refuted > 300
    assert missed < refuted / 4
