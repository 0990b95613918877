"""Whose hash a run was to have is in its history, so that one that is missing is told from one that was never wanted."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest

from jepsen_like import hashes, judgement
from jepsen_like.endpoints import EndpointWorld
from jepsen_like.history import FAIL, OK, UNKNOWN, History, Operation
from jepsen_like.sim.world import MemorySink
from jepsen_like.workload import catalog
from raftkv.errors import DeadlineExceededError, RequestError
from tests.jepsen_like.recorded import history_of

FIRST = "m0"


def without(history: History, lost: Callable[[Operation], Operation | None]) -> History:
    """The hashes of some members are lost, or something else than they were."""
    kept = [lost(one) if one.f == "hashkv" else one for one in history.operations]
    return replace(history, operations=[one for one in kept if one is not None])


def as_outcome(outcome: str, member: str) -> Callable[[Operation], Operation]:
    return lambda one: one._replace(outcome=outcome, result=None, revision=0) if one.member == member else one


LOST: dict[str, Callable[[Operation], Operation | None]] = {
    "all of them": lambda _one: None,
    "those of one member": lambda one: None if one.member == FIRST else one,
    "those of one member failed": as_outcome(FAIL, FIRST),
    "those of one member unknown": as_outcome(UNKNOWN, FIRST),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", list(catalog.BY_NAME))
def test_member_that_gave_no_hash_when_asked_leaves_no_run_valid(name):
    """Silence is not equality, in any workload's history."""
    history = history_of(name)
    right = judgement.judge(history)
    for case, lost in LOST.items():
        judged = judgement.judge(without(history, lost))
        assert any("no hash of m0 could be compared" in reason for reason in judged.reasons), case
        assert judged.outcome == ("unknown" if right.outcome == "valid" else right.outcome), case


@pytest.mark.parametrize("case", LOST)
def test_older_history_that_does_not_say_who_was_asked_names_who_was_not_compared(case):
    """It can be judged as ever, and its reader learns of whom nothing is known."""
    older = replace(history_of("register"), marks=[])
    assert not any("HashKV" in reason for reason in judgement.judge(older).reasons)
    judged = judgement.judge(without(older, LOST[case]))
    names = "m0, m1, m2" if case == "all of them" else "m0"
    assert judged.outcome == "valid"
    assert any(f"not looked at: whether {names} held the same data" in reason for reason in judged.left_out)


def test_lone_member_has_nobody_to_agree_with_and_the_verdict_says_so():
    judged = judgement.judge(history_of("register", members=1))
    assert judged.outcome == "valid"
    assert judged.left_out == ("not looked at: whether all members hold the same data, because one alone was asked",)


def test_cut_history_is_not_held_to_hashes_that_may_be_missing():
    """Its run was cut before, while or after they were asked for; it is rejected whatever they were."""
    history = replace(without(history_of("register"), LOST["all of them"]), whole=False)
    assert judgement.judge(history).outcome == "rejected"


class Store(EndpointWorld):
    """Three members that answer one read, and HashKV as it is told to."""

    def __init__(self, history: History, hash_kv: Callable[[str], Any]) -> None:
        super().__init__(dict.fromkeys(("n1", "n2", "n3"), "127.0.0.1:1"), MemorySink(history), seed=1)
        self._hash_kv = hash_kv

    def client(self, member: str | None = None, *, timeout_s: float = 1.0) -> Any:
        """See `World`."""
        header = SimpleNamespace(revision=9)

        async def aclose() -> None:
            return None

        async def execute(_operation: object) -> Any:
            return SimpleNamespace(kvs=(), header=header)

        async def hash_kv(*, revision: int) -> Any:
            return SimpleNamespace(hash=self._hash_kv(member or ""), compact_revision=-1, header=header)

        return SimpleNamespace(aclose=aclose, execute=execute, maintenance=SimpleNamespace(hash_kv=hash_kv))


def asked(hash_kv: Callable[[str], Any]) -> History:
    history = History()
    asyncio.run(hashes.ask(Store(history, hash_kv)))
    return history


def unknown_to(*names: str) -> Callable[[str], int]:
    def answer(member: str) -> int:
        if member in names:
            raise RequestError("unknown method HashKV for service etcdserverpb.Maintenance")
        return 5

    return answer


def test_store_without_hashes_is_asked_once_and_named():
    """No member of it failed to recover: it has no such call, and nothing is known of its data."""
    history = asked(unknown_to("n1", "n2", "n3"))
    assert [(one.outcome, one.member) for one in history.operations if one.f == "hashkv"] == [(FAIL, name) for name in ("n1", "n2", "n3")]
    judged = judgement.judge(replace(history, about={"workload": "register", "nemesis": [], "time_s": 1.0}))
    assert judged.verdict.reasons == ()
    assert [said.split(" the ")[0] for said in judged.left_out[:3]] == [f"not looked at: whether n{n} holds" for n in (1, 2, 3)]


def test_member_without_the_call_excuses_no_other():
    history = asked(unknown_to("n3"))
    assert judgement.checked(history, "register").valid
    silent = without(history, lambda one: None if one.member == "n2" else one)
    assert judgement.checked(silent, "register").reasons == (
        "no hash of n1 could be compared with another member's",
        "no hash of n2 could be compared with another member's",
    )


def test_member_that_does_not_answer_is_asked_again():
    """An answer that is late says nothing of whether there is such a call."""
    tries: list[str] = []

    def answer(member: str) -> int:
        tries.append(member)
        if len(tries) == 1:
            raise DeadlineExceededError("context deadline exceeded")
        return 5

    history = asked(answer)
    assert tries == ["n1", "n1", "n2", "n3"]
    assert hashes.not_offered(history) == {}
    assert [one.outcome for one in history.operations if one.f == "hashkv"] == [FAIL, OK, OK, OK]
