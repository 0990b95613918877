"""Read rounds: who is asked, and what an answer confirms."""

from __future__ import annotations

import struct

from hypothesis import given, settings
from hypothesis import strategies as st

from raftkv.raft.messages import ConfState
from raftkv.raft.read_index import ROUNDS_TO_ALL, ReadRounds

ME = 1
CONF = ConfState((1, 2, 3), (), (), (), False)
JOINT = ConfState((1, 2, 3), (), (1, 4, 5), (), False)


def _round(rounds: ReadRounds, conf: ConfState = CONF) -> tuple[frozenset[int] | None, bytes]:
    assert rounds.add(ME, b"read")
    rounds.start(member_id=ME, commit=7)
    return rounds.asked(conf), rounds.newest_context()


def _busy(rounds: ReadRounds, answering: tuple[int, ...], conf: ConfState = CONF) -> None:
    """As many rounds as ask everybody, each answered by some and confirmed."""
    for _ in range(ROUNDS_TO_ALL):
        asked, context = _round(rounds, conf)
        assert asked is None
        for member_id in answering:
            rounds.on_answer(member_id, context)
        assert len(rounds.take_confirmed(conf)) == 1


def test_thick_rounds_ask_only_the_quorum_that_answers_first() -> None:
    """A busy leader does not wake the members whose answer it does not need."""
    rounds = ReadRounds(10_000)
    _busy(rounds, (3,))
    assert _round(rounds)[0] == frozenset({ME, 3})


def test_a_heartbeat_makes_the_next_rounds_ask_everybody() -> None:
    """A quorum that fell silent is not asked alone for longer than a heartbeat interval."""
    rounds = ReadRounds(10_000)
    _busy(rounds, (3,))
    rounds.on_heartbeat()
    _busy(rounds, (2,))
    assert _round(rounds)[0] == frozenset({ME, 2})


def test_another_configuration_is_asked_whole() -> None:
    """What was a quorum need not be one of the configuration in force."""
    rounds = ReadRounds(10_000)
    _busy(rounds, (3,))
    assert _round(rounds, JOINT)[0] is None
    rounds.clear()
    assert _round(rounds)[0] is None, "nor is an earlier leadership's"


@settings(derandomize=True, max_examples=200, deadline=None)
@given(
    st.lists(st.tuples(st.sampled_from(["round", "answer", "late", "heartbeat"]), st.integers(2, 5)), max_size=80),
    st.sampled_from([CONF, JOINT]),
)
def test_whoever_is_asked_can_confirm_the_round(steps: list[tuple[str, int]], conf: ConfState) -> None:
    """When some are asked and not all, their answers alone confirm it."""
    rounds = ReadRounds(10_000)
    for act, member_id in steps:
        if act == "round":
            asked, context = _round(rounds, conf)
            if asked is not None:
                for one in asked - {ME}:
                    rounds.on_answer(one, context)
                rounds.take_confirmed(conf)
                assert not rounds.newest_context()
        elif act == "answer":
            rounds.on_answer(member_id, rounds.newest_context())
            rounds.take_confirmed(conf)
        elif act == "late":
            rounds.on_answer(member_id, struct.pack(">Q", 1))
            rounds.take_confirmed(conf)
        else:
            rounds.on_heartbeat()
        rounds.check_invariants()
