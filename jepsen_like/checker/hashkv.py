"""Members hold the same data: equal hashes at equal revision and equal compact revision.

Owns which hashes may be compared: only calls that name their revision, of members compacted to the same point. A member
whose hash could be compared with nobody's leaves the verdict unknown, as silence must not pass for equality.
Source: spec/faults.md §5a M1.

| kind | the rule it breaks |
|---|---|
| hash-divergence | two members, or one at two times, have different data at one revision |
| hash-compact-revision | a member's compact revision is not above the hashed revision, and never falls |
"""

from __future__ import annotations

from collections.abc import Collection

from jepsen_like.checker.verdict import Findings, Verdict
from jepsen_like.history import OK, History, Operation


def check(history: History, *, members: Collection[str] = ()) -> Verdict:
    """Whether all hashes that can be compared agree.

    Args:
        history: its `hashkv` calls; others are passed over.
        members: those that must have been compared with another, each; those that answered, when left out.
    """
    findings = Findings()
    hashes = [one for one in history.operations if one.f == "hashkv" and one.outcome == OK]
    groups: dict[tuple[int, int], list[Operation]] = {}
    for operation in hashes:
        if operation.argument:
            groups.setdefault((operation.argument, operation.result[1]), []).append(operation)
    compared: set[str] = set()
    for (revision, compacted), group in groups.items():
        first = group[0]
        if compacted > revision:
            text = f"{first.member} answered a hash of revision {revision}, which it had compacted at {compacted}"
            findings.add("hash-compact-revision", text, (first,))
        for other in group[1:]:
            if other.result[0] != first.result[0]:
                text = f"at revision {revision}, compacted at {compacted}, {_told(first)} and {_told(other)}"
                findings.add("hash-divergence", text, (first, other))
        if len({one.member for one in group}) > 1:
            compared.update(one.member for one in group)
    _check_compactions(hashes, findings)
    for member in sorted({one.member for one in hashes} | set(members)):
        if member not in compared:
            findings.undecided(f"no hash of {member or 'a member without a name'} could be compared with another member's")
    return findings.verdict(len(hashes))


def _told(operation: Operation) -> str:
    return f"{operation.member or 'a member'} has hash {operation.result[0]}"


def _check_compactions(hashes: list[Operation], findings: Findings) -> None:
    newest: dict[str, Operation] = {}
    for operation in sorted(hashes, key=lambda one: one.invoke_ns):
        before = newest.get(operation.member)
        if before is not None and operation.result[1] < before.result[1] and before.complete_ns < operation.invoke_ns:
            text = f"{operation.member}'s compact revision fell from {before.result[1]} to {operation.result[1]}"
            findings.add("hash-compact-revision", text, (before, operation))
        if before is None or operation.result[1] > before.result[1]:
            newest[operation.member] = operation
