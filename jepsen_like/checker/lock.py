"""Locks and elections: one holder at a time, fencing tokens that only rise, and observers who never see it go back.

Owns the order of holds, which the tokens give: holds are laid one after another as early as their calls allow, so that a hold
that finds no room is proof. Who the store says is first at a revision is looked at by `holders`, header revisions against real
time by `real_time`, over all processes. Linear but for the sorts. Source: spec/faults.md §5a K4, L5, lock and election rows of §1.

A holder whose lease died keeps believing: under pauses two may hold at once, and only the token keeps the second write out.
`overlap` says which of the two is being tested. With it a hold lasts until its release is called; without it, it may be lost
at any time after its last accepted write. `key` names the lock or election in `guarded` and `observe`, too.

| kind | the rule it breaks |
|---|---|
| lock-overlap | nobody acquires while another still holds, by its own belief |
| lock-stale-token | no write of an older token is accepted once a newer one was acquired |
| lock-token-order | who acquires later has the greater token |
| lock-token-reused | a token belongs to one holder |
| lock-used-after-release | a released token's write is not accepted, and nobody sees it hold who asks later |
| lock-not-first | who holds at a revision has the lowest create revision of those alive then |
| lock-unknown-token | a token in use was acquired by somebody |
| election-went-back | whoever asks later, one observer or another, sees no older token |
| election-two-leaders | a token names one leader |
| election-early | nobody is seen leading before campaigning |
| stale-revision | who asks later is answered at no lower revision |
| revision-reused | a write makes a revision of its own, that nobody was shown before it began |
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from jepsen_like.checker import holders, real_time
from jepsen_like.checker.real_time import Floor
from jepsen_like.checker.verdict import Findings, Verdict
from jepsen_like.history import FAIL, OK, UNKNOWN, History, Operation


def check(history: History, *, overlap: bool = True) -> Verdict:
    """Whether every lock and election of the history kept its promises.

    Args:
        history: its acquire, release, guarded and observe calls; others are passed over.
        overlap: whether holders may count on holding until they release; False for locks used with tokens, whose accepted writes show
            that they were first in line.
    """
    findings = Findings()
    locks: dict[str, list[Operation]] = {}
    count = 0
    for operation in history.operations:
        if operation.f in ("acquire", "release", "guarded", "observe"):
            locks.setdefault(operation.key, []).append(operation)
            count += 1
    floor = Floor(history.operations)
    writes = {id(one) for operations in locks.values() for one in operations if one.f == "guarded" and one.outcome == OK}
    real_time.check(floor, writes, findings)
    for name, operations in locks.items():
        holds, sure = _holds(name, operations, findings)
        _check_holds(name, holds, overlap, findings)
        _check_revisions(name, operations, findings)
        holders.check(name, operations, floor, findings, fenced=not overlap)
        if sure:
            _check_known(name, operations, holds, findings)
        _check_observers(name, [one for one in operations if one.f == "observe" and one.outcome == OK], holds, findings)
    return findings.verdict(count)


class _Hold(NamedTuple):
    """One token's hold: who acquired it, what it was used for, how it was given back."""

    token: int
    acquired: Operation
    """The first, if it was acquired again by its holder."""

    used: list[Operation]
    released: list[Operation]
    """At most one, of whatever outcome."""


def _holds(name: str, operations: Sequence[Operation], findings: Findings) -> tuple[dict[int, _Hold], bool]:
    """Token -> hold, and whether every acquire's token is known."""
    holds: dict[int, _Hold] = {}
    sure = True
    for operation in sorted(operations, key=lambda one: one.complete_ns):
        if operation.f != "acquire":
            continue
        sure = sure and operation.outcome != UNKNOWN
        if operation.outcome != OK:
            continue
        held = holds.setdefault(operation.result, _Hold(operation.result, operation, [], []))
        if held.acquired.process != operation.process:
            text = f"{name!r} was acquired by processes {held.acquired.process} and {operation.process} with one token, {held.token}"
            findings.add("lock-token-reused", text, (held.acquired, operation), (name,))
    for operation in operations:
        hold = holds.get(operation.argument) if operation.f in ("release", "guarded") else None
        if hold is None:
            continue
        if operation.f == "guarded" and operation.outcome == OK:
            hold.used.append(operation)
        elif operation.f == "release" and operation.outcome != FAIL and not hold.released:
            hold.released.append(operation)
    return holds, sure


def _check_holds(name: str, holds: dict[int, _Hold], overlap: bool, findings: Findings) -> None:
    """Lay the holds one after another in the order of their tokens, each as early as it can be."""
    now = 0
    cause: Operation | None = None
    for token in sorted(holds):
        hold = holds[token]
        acquired = hold.acquired
        if now > acquired.complete_ns and cause is not None:
            kind, why = _why(cause)
            text = f"{name!r} was acquired by process {acquired.process} with token {token}, answered {_before(acquired, now)} {why}"
            findings.add(kind, text, (cause, acquired), (name,))
            now = 0
        if acquired.invoke_ns >= now:
            now, cause = acquired.invoke_ns, acquired
        now, cause = _check_used(name, hold, now, cause, findings)
        if overlap and hold.released and hold.released[0].invoke_ns > now:
            now, cause = hold.released[0].invoke_ns, hold.released[0]


def _check_used(name: str, hold: _Hold, began: int, cause: Operation | None, findings: Findings) -> tuple[int, Operation | None]:
    """Accepted writes lie within the hold; the result is how far they push its end."""
    now = began
    for used in hold.used:
        if used.complete_ns < began and cause is not None:
            kind, why = _why(cause) if cause is not hold.acquired else ("lock-unknown-token", "anybody had asked for it")
            text = f"a write of {name!r} with token {hold.token} was accepted, answered {_before(used, began)} {why}"
            findings.add(kind, text, (cause, used), (name,))
        elif hold.released and hold.released[0].outcome == OK and used.invoke_ns > hold.released[0].complete_ns:
            text = f"a write of {name!r} was accepted with token {hold.token} after its release was answered"
            findings.add("lock-used-after-release", text, (hold.released[0], used), (name,))
        elif used.invoke_ns > now:
            now, cause = used.invoke_ns, used
    return now, cause


def _why(cause: Operation) -> tuple[str, str]:
    who = f"process {cause.process}"
    if cause.f == "release":
        return "lock-overlap", f"{who}, which held token {cause.argument}, called its release"
    if cause.f == "guarded":
        return "lock-stale-token", f"{who} called a write with the older token {cause.argument}, which was accepted"
    return "lock-token-order", f"{who} asked for what became the smaller token {cause.result}"


def _before(answered: Operation, now: int) -> str:
    return f"{(now - answered.complete_ns) / 1e6:.3f} ms before"


def _check_revisions(name: str, operations: Sequence[Operation], findings: Findings) -> None:
    """Accepted writes, in the order of their revisions, have tokens that do not fall, and a revision each."""
    writes = sorted((one for one in operations if one.f == "guarded" and one.outcome == OK and one.revision), key=lambda one: one.revision)
    before: Operation | None = None
    newest: Operation | None = None
    for write in writes:
        if before is not None and before.revision == write.revision:
            text = f"two writes of {name!r}, with tokens {before.argument} and {write.argument}, were accepted at revision {write.revision}"
            findings.add("revision-reused", text, (before, write), (name,))
        before = write
        if newest is not None and write.argument < newest.argument:
            text = (
                f"a write of {name!r} with token {write.argument} was accepted at revision {write.revision}, "
                f"after one with token {newest.argument} at {newest.revision}"
            )
            findings.add("lock-stale-token", text, (newest, write), (name,))
        elif newest is None or write.argument > newest.argument:
            newest = write


def _check_known(name: str, operations: Sequence[Operation], holds: dict[int, _Hold], findings: Findings) -> None:
    """With every acquire answered, tokens come from acquires."""
    for operation in operations:
        if operation.outcome != OK or operation.f not in ("guarded", "observe"):
            continue
        token = operation.argument if operation.f == "guarded" else operation.result[1]
        if token and token not in holds:
            text = f"token {token} of {name!r}, in a {operation.f} of process {operation.process}, was acquired by nobody"
            findings.add("lock-unknown-token", text, (operation,), (name,))


def _check_observers(name: str, observed: Sequence[Operation], holds: dict[int, _Hold], findings: Findings) -> None:
    """What observers saw: all the same leader for a token, none before its campaign."""
    leaders: dict[int, Operation] = {}
    for operation in sorted(observed, key=lambda one: one.complete_ns):
        leader, token = operation.result
        if not token:
            continue  # nobody led
        other = leaders.setdefault(token, operation)
        if other.result[0] != leader:
            text = f"token {token} of {name!r} was {other.result[0]!r} to one observer and {leader!r} to another"
            findings.add("election-two-leaders", text, (other, operation), (name,))
        hold = holds.get(token)
        if hold is not None and operation.complete_ns < hold.acquired.invoke_ns:
            text = f"observer {operation.process} of {name!r} saw token {token} before its holder had campaigned"
            findings.add("election-early", text, (operation, hold.acquired), (name,))
