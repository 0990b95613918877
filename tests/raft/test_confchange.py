"""Configuration changes: bytes, what each does, and that neighbours always share a quorum member."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from raftkv.errors import CorruptionError
from raftkv.raft.confchange import (
    ChangeKind,
    ChangeStep,
    ConfChange,
    ConfChangeInvalidError,
    Transition,
    apply_change,
    check_conf_state,
    decode_change,
)
from raftkv.raft.messages import ConfState
from tests.raft.oracle import check_overlap

STEPS = st.builds(ChangeStep, st.sampled_from(ChangeKind), st.integers(1, 5))
CHANGES = st.builds(ConfChange, st.lists(STEPS, max_size=4).map(tuple), st.sampled_from(Transition), st.binary(max_size=20))


def add(*members: int) -> tuple[ChangeStep, ...]:
    return tuple(ChangeStep(ChangeKind.ADD_VOTER, member) for member in members)


def remove(*members: int) -> tuple[ChangeStep, ...]:
    return tuple(ChangeStep(ChangeKind.REMOVE, member) for member in members)


def learn(*members: int) -> tuple[ChangeStep, ...]:
    return tuple(ChangeStep(ChangeKind.ADD_LEARNER, member) for member in members)


@settings(max_examples=100, derandomize=True, deadline=None)
@given(CHANGES)
def test_change_decoded_is_the_change_encoded(change: ConfChange) -> None:
    """The bytes in the log say all of it."""
    found = decode_change(change.encode())
    if not change.steps and not change.context:
        assert found == ConfChange()
    else:
        assert found == change


@settings(max_examples=100, derandomize=True, deadline=None)
@given(CHANGES, st.data())
def test_change_cut_short_is_refused(change: ConfChange, data: st.DataObject) -> None:
    """Damaged bytes never become another change."""
    raw = change.encode()[: len(change.encode()) - len(change.context)]
    if len(raw) > 1:
        with pytest.raises(CorruptionError):
            decode_change(raw[: data.draw(st.integers(1, len(raw) - 1))])


def test_change_of_another_format_is_refused_by_name() -> None:
    with pytest.raises(CorruptionError, match="format 9"):
        decode_change(b"\x09\x00\x00\x00")


@settings(max_examples=100, derandomize=True, deadline=None)
@given(st.lists(CHANGES, max_size=8))
def test_any_sequence_of_changes_keeps_quorums_overlapping(changes: list[ConfChange]) -> None:
    """Successive configurations never have two quorums without a common member (thesis §4.1)."""
    conf = ConfState((1, 2, 3))
    for change in changes:
        try:
            after = apply_change(conf, change)
        except ConfChangeInvalidError:
            continue
        check_conf_state(after)
        check_overlap(conf, after)
        conf = after


@pytest.mark.parametrize(
    ("before", "change", "after"),
    [
        (ConfState((1,)), ConfChange(add(2)), ConfState((1, 2))),
        (ConfState((1, 2)), ConfChange(remove(2)), ConfState((1,))),
        (ConfState((1, 2)), ConfChange(remove(9)), ConfState((1, 2))),
        (ConfState((1,)), ConfChange(learn(2)), ConfState((1,), (2,))),
        (ConfState((1,), (2,)), ConfChange(add(2)), ConfState((1, 2))),
        (ConfState((1, 2)), ConfChange(learn(2)), ConfState((1,), (2,))),
        (ConfState((1, 2)), ConfChange(add(2)), ConfState((1, 2))),
        (ConfState((1,)), ConfChange(add(2, 3)), ConfState((1, 2, 3), (), (1,), (), True)),
        (ConfState((1, 2)), ConfChange(add(3) + remove(2)), ConfState((1, 3), (), (1, 2), (), True)),
        (ConfState((1, 2)), ConfChange(add(3) + learn(2)), ConfState((1, 3), (), (1, 2), (2,), True)),
        (ConfState((1,)), ConfChange(add(2), Transition.JOINT_IMPLICIT), ConfState((1, 2), (), (1,), (), True)),
        (ConfState((1,)), ConfChange(add(2), Transition.JOINT_EXPLICIT), ConfState((1, 2), (), (1,), (), False)),
        (ConfState((1, 3), (4,), (1, 2), (2,), True), ConfChange(), ConfState((1, 3), (2, 4))),
    ],
)
def test_change_of_a_configuration_gives_the_next(before: ConfState, change: ConfChange, after: ConfState) -> None:
    """One voter at a time is simple, more is joint; a voter that is to learn keeps its old vote until the end."""
    assert apply_change(before, change) == after


@pytest.mark.parametrize(
    ("before", "change"),
    [
        (ConfState((1,)), ConfChange()),
        (ConfState((1,)), ConfChange(remove(1))),
        (ConfState((1,)), ConfChange(learn(1))),
        (ConfState((1, 2), (), (1,)), ConfChange(add(3))),
        (ConfState((1,)), ConfChange(add(0))),
    ],
)
def test_change_that_does_not_fit_is_refused(before: ConfState, change: ConfChange) -> None:
    """No voters, nothing to leave, a second joint change, no member: never applied."""
    with pytest.raises(ConfChangeInvalidError):
        apply_change(before, change)
