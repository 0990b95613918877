"""What is taken out of a right history is missed: a kind of calls, of watches or of notes, in any workload's."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import pytest

from jepsen_like import judgement
from jepsen_like.history import History, Mark
from jepsen_like.ledger import NOTE
from jepsen_like.workload import catalog, keyspace, leases, watching
from tests.jepsen_like.recorded import history_of

NEEDED = [(entry.name, index) for entry in catalog.WORKLOADS for index in range(len(entry.needs))]
NOTED = [(entry.name, note) for entry in catalog.WORKLOADS for note in entry.notes]
WATCHING = [entry.name for entry in catalog.WORKLOADS if entry.watches]


def is_note(mark: Mark, name: str) -> bool:
    return mark.kind == NOTE and (mark.detail == name or (isinstance(mark.detail, Mapping) and name in mark.detail))


def test_names_of_notes_are_those_that_workloads_write():
    assert set(catalog.NOTES) == {keyspace.BASE, watching.AWAITED, leases.LEFT_ALONE}


@pytest.mark.slow
@pytest.mark.parametrize(("name", "index"), NEEDED)
def test_history_without_any_call_that_its_checks_need_is_not_valid(name, index):
    """Every run makes such calls, and its last answers are some: this one proves less than its name says."""
    history, needed = history_of(name), catalog.entry_of(name).needs[index]
    assert not any("was not judged" in reason for reason in judgement.judge(history).rejected)
    judged = judgement.judge(replace(history, operations=[one for one in history.operations if one.f not in needed]))
    assert judged.outcome != "valid"
    assert any("judged" in reason for reason in judged.rejected)


@pytest.mark.slow
@pytest.mark.parametrize(("name", "note"), NOTED)
def test_history_without_a_note_names_what_was_not_looked_at(name, note):
    history = history_of(name)
    assert judgement.judge(history).left_out == ()
    judged = judgement.judge(replace(history, marks=[mark for mark in history.marks if not is_note(mark, note)]))
    assert any(catalog.NOTES[note] in reason for reason in judged.left_out)


def without_watches(history: History) -> History:
    return replace(history, watches=[], responses=[])


@pytest.mark.slow
@pytest.mark.parametrize("name", WATCHING)
def test_history_whose_watchers_were_shown_nothing_is_not_valid(name):
    history = history_of(name)
    for less in (replace(history, responses=[]), without_watches(history), replace(without_watches(history), marks=[])):
        judged = judgement.judge(less)
        assert judged.outcome != "valid" and any(f"nothing of {name} was judged" in reason for reason in judged.rejected)


@pytest.mark.slow
def test_watches_that_checks_are_not_about_are_named():
    history = history_of("watch")
    judged = judgement.judge(history, "txn")
    assert judged.outcome == "valid"
    assert judged.left_out == (
        f"not looked at: what {len(history.watches)} watches were shown, because the checks of txn are not about watches",
    )
