"""Whether the member list is one register that everybody sees: what was added is listed until it is removed, and never after.

Looks at the members a load added itself, which never start: such a learner is never promoted. Others come and go by faults and
are passed over. Real time only: a list answered after an add was answered holds it, unless a removal had begun. Quadratic in
the number of changes, of which a run has some hundred. Source: etcd's MemberList since 3.5 (linearizable); spec/faults.md §5c 27.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from jepsen_like.checker.verdict import Findings, Verdict
from jepsen_like.history import FAIL, OK, Operation

ADD, PROMOTE, REMOVE, LIST = "member-add", "member-promote", "member-remove", "member-list"


class Listed(NamedTuple):
    """One member of an answer."""

    id: int
    peer_url: str
    is_learner: bool


def check(operations: Sequence[Operation]) -> Verdict:
    """Judges all calls of the four kinds. An add's key is the new member's URL, a promotion's and a removal's argument its id."""
    findings = Findings()
    adds = {one.key: one for one in operations if one.f == ADD}
    lists = [one for one in operations if one.f == LIST and one.outcome == OK]
    removals: dict[int, list[Operation]] = {}
    for one in operations:
        if one.f == REMOVE and one.outcome != FAIL:
            removals.setdefault(one.argument, []).append(one)
        elif one.f == PROMOTE and one.outcome == OK:
            findings.add("learner-promoted", f"learner {one.argument:x} was made a voter though it never started", (one,))
    ids = _ids(adds, lists, findings)
    known_ns = {url: add.complete_ns for url, add in adds.items() if add.outcome == OK}
    for answer in lists:
        for member in answer.result:
            if member[1] in adds:
                known_ns[member[1]] = min(known_ns.get(member[1], answer.complete_ns), answer.complete_ns)
    for answer in lists:
        shown = {member[1]: member for member in answer.result}
        for url, add in adds.items():
            gone = removals.get(ids.get(url, 0), [])
            if url in shown:
                _judge_shown(answer, add, gone, is_learner=shown[url][2], findings=findings)
            elif known_ns.get(url, answer.invoke_ns) < answer.invoke_ns and all(one.invoke_ns > answer.complete_ns for one in gone):
                text = f"member {url} had been added, nobody had begun to remove it, and a list asked for later does not show it"
                findings.add("member-lost", text, (add, answer))
    return findings.verdict(len(adds) + len(lists) + len(removals))


def _ids(adds: dict[str, Operation], lists: Sequence[Operation], findings: Findings) -> dict[str, int]:
    """The id of each URL, as far as anybody was told."""
    ids: dict[str, int] = {}
    urls: dict[int, str] = {}
    said = [(url, add.result[0], add) for url, add in adds.items() if add.outcome == OK]
    said += [(member[1], member[0], answer) for answer in lists for member in answer.result if member[1] in adds]
    for url, member_id, witness in said:
        if ids.setdefault(url, member_id) != member_id or urls.setdefault(member_id, url) != url:
            findings.add("member-id-reused", f"id {member_id:x} and member {url} are not one and the same throughout", (witness,))
    return ids


def _judge_shown(answer: Operation, add: Operation, gone: Sequence[Operation], *, is_learner: bool, findings: Findings) -> None:
    if add.outcome == FAIL or add.invoke_ns > answer.complete_ns:
        findings.add("member-from-nowhere", f"a list shows member {add.key}, whose add had failed or not begun", (add, answer))
    if not is_learner:
        findings.add("learner-promoted", f"a list shows member {add.key} as a voter though it never started", (add, answer))
    for removal in gone:
        if removal.outcome == OK and removal.complete_ns < answer.invoke_ns:
            findings.add("removed-member-listed", f"a list shows member {add.key}, whose removal had been answered", (removal, answer))
