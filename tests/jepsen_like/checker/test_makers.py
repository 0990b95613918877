"""Which unknown write made which revision: a choice that explains everything, the proof that there is none, or neither in time."""

from __future__ import annotations

import pytest

from jepsen_like.checker.makers import Candidate, Makers, Question
from jepsen_like.history import OK, UNKNOWN, KeyValue, Operation


def _unknown(f: str, key: str, argument: object) -> Candidate:
    return Candidate(Operation(1, f, key, argument, None, 0, 1, UNKNOWN), 1)


def _get(key: str, result: KeyValue | None, revision: int) -> Operation:
    return Operation(2, "get", key, 0, result, 2, 3, OK, revision)


def _question(candidates: list[Candidate], gaps: list[int], *answers: Operation, closed_from: int = 0) -> Question:
    return Question([one.revision * 2 + 1 for one in answers], answers, gaps, candidates, {}, {}, closed_from)


CHAIN = [_unknown("cas", "k", ("b", "c")), _unknown("cas", "k", ("a", "b")), _unknown("put", "k", "a")]
"""Only the other way round do they make three revisions."""


def test_choice_that_explains_everything_is_found_whatever_order_the_writes_began_in():
    answer = _get("k", KeyValue("k", "c", 2, 4, 3), 4)
    assert Makers(_question(CHAIN, [2, 3, 4], answer)).search().explained is True


def test_revision_that_no_choice_can_make_is_proof():
    """Two of the three are needed for the third, so that none is left for a fourth revision."""
    answer = _get("k", KeyValue("k", "c", 2, 4, 3), 5)
    assert Makers(_question(CHAIN, [2, 3, 4, 5], answer)).search().explained is False
    assert Makers(_question(CHAIN, [2, 3, 4, 5], answer, closed_from=6)).search().explained is True


@pytest.mark.parametrize("version", [2, 3])
def test_answers_about_two_keys_must_have_one_explanation(version):
    """Each alone could be due to either write; together they leave one revision for the two."""
    both = [_unknown("put", "k", "x"), _unknown("put", "j", "x")]
    answers = [_get("k", KeyValue("k", "x", 2, 2, 1), 3), _get("j", KeyValue("j", "x", 3, 3, version - 1), 3)]
    assert Makers(_question(both, [2, 3], *answers)).search().explained is (version == 2)


def test_question_too_large_for_its_work_stays_open():
    answer = _get("k", KeyValue("k", "c", 2, 4, 3), 4)
    makers = Makers(_question(CHAIN, [2, 3, 4], answer))
    assert makers.search(2).explained is None
