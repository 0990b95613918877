"""Whether the member list is one register that everybody sees: who was added is listed until it is removed, and never after.

Looks at the members whose addresses a load or a fault of the run added: learners that never start and so are never promoted,
learners that start and are, voters; and at all others that a list has shown, who were there before: they stay until their
removal begins, and nobody joins them without an add. Every change is in the history, those of faults too. Real time only: a
list answered after an add was answered holds the member, unless a removal had begun. Quadratic in the number of changes, of
which a run has some hundred. Source: etcd's MemberList since 3.5 (linearizable); spec/faults.md §5c 27.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from jepsen_like.checker.verdict import Findings, Verdict
from jepsen_like.history import FAIL, OK, UNKNOWN, Operation

ADD, PROMOTE, REMOVE, LIST = "member-add", "member-promote", "member-remove", "member-list"

UPDATE = "member-update"
"""Other addresses. Its argument is the id, as a promotion's; it changes nothing that is looked at here, and must not: not the first
address, by which members are known, and not who is a voter."""

LEARNER, JOINING, VOTER = "learner", "joining", "voter"
"""An add's argument: a learner that never starts, a learner that does, a voter."""


class Listed(NamedTuple):
    """One member of an answer."""

    id: int
    peer_url: str
    is_learner: bool


class Known(NamedTuple):
    """What the history says of one id."""

    id: int
    url: str
    add: Operation | None
    """None: it was there before, or the add that made it is one of unknown outcome."""

    since_ns: int
    """From then on everybody must see it: its add was answered, or a list that showed it."""

    promotions: Sequence[Operation]
    removals: Sequence[Operation]
    """Both as far as they can have happened."""


def check(operations: Sequence[Operation]) -> Verdict:
    """Judges all calls of the four kinds. An add's key is the new member's URL, a promotion's and a removal's argument its id."""
    findings = Findings()
    changes = [one for one in operations if one.f in (ADD, PROMOTE, REMOVE)]
    lists = [one for one in operations if one.f == LIST and one.outcome == OK]
    adds: dict[str, list[Operation]] = {}
    for one in changes:
        if one.f == ADD:
            adds.setdefault(one.key, []).append(one)
    for known in _members(adds, lists, changes, findings):
        for promotion in known.promotions:
            if promotion.outcome == OK and known.add is not None and known.add.argument == LEARNER:
                findings.add("learner-promoted", f"learner {known.id:x} was made a voter though it never started", (promotion,))
        for answer in lists:
            shown = next((member for member in answer.result if member[0] == known.id), None)
            if shown is not None:
                if known.url in adds:
                    _judge_shown(answer, known, adds[known.url], is_learner=shown[2], findings=findings)
                else:
                    _judge_founder(answer, known, lists, findings)
                _judge_removed(answer, known, findings)
            elif known.since_ns < answer.invoke_ns and all(one.invoke_ns > answer.complete_ns for one in known.removals):
                text = f"member {known.id:x} at {known.url} was there, nobody had begun to remove it, and a list asked for later lacks it"
                findings.add("member-lost", text, (answer,) if known.add is None else (known.add, answer))
        _judge_role(lists, known, findings)
    return findings.verdict(len(changes) + len(lists))


def _members(
    adds: dict[str, list[Operation]], lists: Sequence[Operation], changes: Sequence[Operation], findings: Findings
) -> Iterable[Known]:
    """Every id that an add or a list of the history shows."""
    urls: dict[int, str] = {}
    own: dict[int, Operation] = {}
    since_ns: dict[int, int] = {}
    for add in (one for some in adds.values() for one in some if one.outcome == OK):
        number = add.result[0]
        if number in own:
            findings.add("member-id-reused", f"two adds were answered with the id {number:x}", (own[number], add))
        own[number], urls[number], since_ns[number] = add, add.key, add.complete_ns
    for answer in lists:
        for number, url, _is_learner in answer.result:
            if urls.setdefault(number, url) == url:
                since_ns[number] = min(since_ns.get(number, answer.complete_ns), answer.complete_ns)
            else:
                findings.add("member-id-reused", f"id {number:x} is member {urls[number]} and member {url}", (answer,))
    for number, url in urls.items():
        of_it = [one for one in changes if one.f != ADD and one.argument == number and one.outcome != FAIL]
        kinds = ([one for one in of_it if one.f == kind] for kind in (PROMOTE, REMOVE))
        yield Known(number, url, own.get(number), since_ns[number], *kinds)


def _judge_shown(answer: Operation, known: Known, adds: Sequence[Operation], *, is_learner: bool, findings: Findings) -> None:
    """One list that holds the member."""
    candidates = [known.add] if known.add is not None else [one for one in adds if one.outcome == UNKNOWN]
    # NB: the addresses of learners that never start are used once, and nobody had them before.
    founders = known.add is None and any(one.argument != LEARNER for one in adds)
    was_there = founders and known.since_ns < min(one.invoke_ns for one in adds)
    if not was_there and all(one.invoke_ns > answer.complete_ns for one in candidates):
        text = f"a list shows member {known.id:x} at {known.url}, whose add had failed or not begun"
        findings.add("member-from-nowhere", text, (adds[0], answer))
    never_starts = not was_there and all(one.argument == LEARNER for one in candidates)
    begun = any(one.invoke_ns < answer.complete_ns for one in known.promotions)
    if not is_learner and never_starts:
        findings.add("learner-promoted", f"a list shows member {known.url} as a voter though it never started", (*candidates, answer))
    elif not is_learner and not begun and not was_there and all(one.argument != VOTER for one in candidates):
        findings.add("learner-promoted", f"a list shows member {known.url} as a voter though nobody had begun to promote it", (answer,))


def _judge_founder(answer: Operation, known: Known, lists: Sequence[Operation], findings: Findings) -> None:
    """One list that holds a member whose address nobody added: all before it must hold it, too."""
    earlier = next(
        (one for one in lists if one.complete_ns < answer.invoke_ns and all(member[0] != known.id for member in one.result)), None
    )
    if earlier is not None:
        text = f"a list shows member {known.id:x} at {known.url}, which an earlier one lacks and nobody added"
        findings.add("member-from-nowhere", text, (earlier, answer))


def _judge_removed(answer: Operation, known: Known, findings: Findings) -> None:
    """One list that holds the member: its removal had not been answered."""
    for removal in known.removals:
        if removal.outcome == OK and removal.complete_ns < answer.invoke_ns:
            findings.add("removed-member-listed", f"a list shows member {known.url}, whose removal had been answered", (removal, answer))


def _judge_role(lists: Sequence[Operation], known: Known, findings: Findings) -> None:
    """Who is a voter stays one: by an answer to its promotion, or by a list that showed it."""
    voter_ns: int | None = min((one.complete_ns for one in known.promotions if one.outcome == OK), default=None)
    roles = [(answer, member[2]) for answer in lists for member in answer.result if member[0] == known.id]
    for answer, is_learner in roles:
        if not is_learner and (voter_ns is None or answer.complete_ns < voter_ns):
            voter_ns = answer.complete_ns
    for answer, is_learner in roles:
        if is_learner and voter_ns is not None and voter_ns < answer.invoke_ns:
            findings.add("voter-demoted", f"member {known.url} was a voter, and a list asked for later shows it as a learner", (answer,))
