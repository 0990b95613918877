"""What a history proves: checkers, hashes of the members and the rules of acceptance, put together in one place.

Runs, old history files and pages are all judged by `judge`, from the history and its stamp alone, so that none of them can say
something else than the others. What a run found out by itself (a cluster that was never there, one that did not recover) stands in
its history as a note.

| name in the stamp | value | what is left out without it |
|---|---|---|
| workload | whose checks apply | everything, unless the caller names it |
| nemesis | list of the faults asked for | whether the faults worked |
| time_s | seconds of load under faults | whether enough was tried, but for nothing at all |
| seed | of the run | nothing |
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

from jepsen_like import acceptance, hashes, ledger, restriction
from jepsen_like.checker import hashkv, membership
from jepsen_like.checker.verdict import INVALID, VALID, Findings, Verdict, merged
from jepsen_like.history import UNKNOWN, History, Mark
from jepsen_like.workload import catalog

REJECTED = "rejected"
"""Nothing was wrong, and nothing was proved."""

NOT_RECOVERED = "not-recovered"
"""The anomaly of a cluster that stays away after every fault was healed."""

UNAVAILABLE = "not available"
"""A run's word for a cluster that was never there."""

CUT_SHORT = "cut short"
"""A run's word for its own end before its time."""

UNSEEN_S = 5.0
"""A call lasts so long at most, or twice as long as the longest of its history: what was lost at a history's end began no earlier."""

TEXT_MAX = 1000

MEMBERSHIP = "membership"

GUARDED = "guarded"
"""The call that a token guards in some workloads and nothing in others."""


@dataclass(frozen=True, slots=True)
class Judgement:
    """Of one history."""

    workload: str
    nemesis: tuple[str, ...]
    seed: int
    time_s: float
    """0: the history does not say."""

    verdict: Verdict
    """Of all checkers."""

    rejected: tuple[str, ...] = ()
    """Why the history proves nothing."""

    left_out: tuple[str, ...] = ()
    """Which rules could not be applied, as the stamp does not say enough, and what such a run cannot show."""

    not_injected: tuple[str, ...] = ()
    """Faults that were asked for and never begun, with the reason of each: the history says nothing of them."""

    @property
    def outcome(self) -> str:
        """`valid`, `invalid`, `unknown` or `rejected`; rejection never hides anything."""
        return REJECTED if self.verdict.outcome == VALID and self.rejected else self.verdict.outcome

    @property
    def reasons(self) -> tuple[str, ...]:
        """The first anomaly, what could not be decided, why nothing was proved, what was not looked at."""
        first = self.verdict.anomalies[:1] if self.verdict.outcome == INVALID else ()
        return (*(one.explanation for one in first), *self.verdict.reasons, *self.rejected, *self.left_out)


def note_of(kind: str, text: str, at_ns: int) -> Mark:
    """What a run found out by itself, for its history; `kind` is `NOT_RECOVERED`, `UNAVAILABLE` or `CUT_SHORT`."""
    return ledger.note({kind: text[:TEXT_MAX]}, at_ns)


def workload_of(history: History, workload: str | None = None) -> str:
    """The name given, or the one in the stamp.

    Raises:
        ValueError: there is none.
    """
    name = workload or history.about.get("workload")
    if not isinstance(name, str):
        raise ValueError(f"the history does not name its workload; say --workload, one of {', '.join(catalog.BY_NAME)}")
    return name


class Refusal(NamedTuple):
    """Why a workload's checks cannot judge a history."""

    number: int
    """Of the call that they do not know, among the operations; -1: no single call is the reason."""

    text: str


def refusal(history: History, workload: str) -> Refusal | None:
    """Why the workload's checks would pass over something of the history, or take it for something else; None: they read all of it.

    Raises:
        UnknownWorkloadError: there is no workload of that name.
    """
    entry, own = catalog.entry_of(workload), history.about.get("workload")
    for number, one in enumerate(history.operations):
        call = catalog.call_of(one)
        if not entry.knows(call):
            return Refusal(number, f"the checks of {workload} do not know the call {call!r}: is it another workload's history?")
    if own in entry.apart:
        return Refusal(-1, f"the history is one of {own}: to the checks of {workload} its {GUARDED!r} calls would promise something else")
    return None


def checked(history: History, workload: str) -> Verdict:
    """What the workload's checkers, the hashes, the calls about members and the run's own notes come to.

    Raises:
        UnknownWorkloadError: there is no workload of that name.
    """
    seen = Findings()
    for text in _notes(history, NOT_RECOVERED):
        seen.add(NOT_RECOVERED, text)
    of_members = hashkv.check(history, members=hashes.asked_of(history) - hashes.not_offered(history).keys())
    # Faults that replace members write down their calls in every workload's history; `Membership` judges them itself.
    changes = () if workload == MEMBERSHIP else (membership.check(history.operations),)
    whole = merged((catalog.make(workload).check(history), of_members, *changes, seen.verdict(0)))
    return restriction.only_its_own(history, whole)


def certain(history: History) -> History:
    """Of a history without its end, what nothing that is missing can explain: all before the missing calls can have begun.

    Its file ends where it was cut, so whatever is missing was over later than all that is there. Reads that ended when it may have been
    under way are left out; writes have an unknown outcome.
    """
    if history.whole:
        return history
    operations = history.operations
    last_ns = max([one.complete_ns for one in operations] + [one.time_ns for one in history.responses], default=0)
    longest_ns = max((one.complete_ns - one.invoke_ns for one in operations), default=0)
    begun_ns = last_ns - max(int(UNSEEN_S * 1e9), 2 * longest_ns)
    kept = [
        one if one.complete_ns < begun_ns else one._replace(outcome=UNKNOWN, result=None, revision=0, error="")
        for one in operations
        if one.complete_ns < begun_ns or (one.invoke_ns < begun_ns and restriction.writes(one))
    ]
    return replace(
        history,
        operations=kept,
        # Who was asked for its hash may have answered in what is missing.
        marks=[mark for mark in history.marks if not hashes.is_asked(mark)],
        watches=[one for one in history.watches if one.opened_ns < begun_ns],
        responses=[one for one in history.responses if one.time_ns < begun_ns],
        whole=True,
    )


def judge(history: History, workload: str | None = None) -> Judgement:
    """The one judgement there is.

    Args:
        history: with its stamp.
        workload: whose checks apply; the stamp's when left out.

    Raises:
        ValueError: no workload is named.
        UnknownWorkloadError: there is none of that name.
    """
    name = workload_of(history, workload)
    entry = catalog.entry_of(name)
    time_s, nemesis, left_out = _asked_for(history.about)
    rejected = [*_notes(history, UNAVAILABLE), *_notes(history, CUT_SHORT)]
    if not history.whole:
        rejected.append("the history has no end: its run was cut short, and calls are missing; what its last seconds show was not judged")
    if _notes(history, UNAVAILABLE):
        left_out = []  # Of a cluster that was not there, nothing else is worth saying.
    elif restriction.is_part(history):
        left_out = ["this is a part of a history, made to show one anomaly: nothing else was looked at"]
    else:
        rejected += acceptance.rejections(history, entry, time_s=time_s, wanted_faults=nemesis)
        left_out += [*hashes.not_compared(history), *_not_read(history, entry)]
    seed = history.about.get("seed")
    verdict = checked(certain(history), name)
    if verdict.valid and _at_one_member(history) and entry.expected == catalog.INVALID:
        left_out.append(f"a single endpoint cannot show stale reads: that {name} found none says nothing of the harness or the store")
    return Judgement(
        name,
        nemesis,
        seed if isinstance(seed, int) else 0,
        time_s,
        verdict,
        tuple(rejected),
        tuple(left_out),
        tuple(acceptance.not_injected(history)),
    )


def _not_read(history: History, entry: catalog.Entry) -> list[str]:
    """What the workload's checks pass over, or cannot look at for want of a note."""
    details = [mark.detail for mark in history.marks if mark.kind == ledger.NOTE]
    noted = {name for detail in details for name in (detail if isinstance(detail, Mapping) else (detail,)) if isinstance(name, str)}
    said = [f"not looked at: {catalog.NOTES[name]}, because the history has no note of {name}" for name in entry.notes if name not in noted]
    if history.watches and not entry.watches:
        said.append(
            f"not looked at: what {len(history.watches)} watches were shown, because the checks of {entry.name} are not about watches"
        )
    return said


def _at_one_member(history: History) -> bool:
    """Whether nobody asked a second one."""
    return len({one.member for one in history.operations if one.member}) <= 1


def _asked_for(about: Mapping[str, Any]) -> tuple[float, tuple[str, ...], list[str]]:
    """Time and faults, and what cannot be held against the history because it does not say."""
    time_s, nemesis, left_out = about.get("time_s"), about.get("nemesis"), []
    if not isinstance(time_s, int | float) or not time_s > 0:
        time_s = 0.0
        left_out.append("not looked at: whether enough was tried, because the history does not say how long its load was")
    if not isinstance(nemesis, list | tuple):
        nemesis = ()
        left_out.append("not looked at: whether the faults worked, because the history does not say which were asked for")
    return float(time_s), tuple(map(str, nemesis)), left_out


def _notes(history: History, kind: str) -> list[str]:
    found = (mark.detail for mark in history.marks if mark.kind == ledger.NOTE and isinstance(mark.detail, Mapping))
    return [str(detail[kind]) for detail in found if kind in detail]
