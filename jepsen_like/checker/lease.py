"""Leases live as long as they were promised to, end once, and take their keys with them.

Owns the interval in which a lease can have ended: every answer that needs it alive, or proves it gone, bounds the instant
from one side, and an end without a revoke must lie a whole TTL after the latest renewal. Where no instant is left, the two
answers that exclude each other are the proof. What keys tell is gathered by `lease_keys`. Source: spec/faults.md §5a L1-L5.

| kind | the rule it breaks |
|---|---|
| lease-expired-early | it was gone before the TTL since a renewal that was answered, and nobody can have revoked it |
| lease-renewed-dead, lease-renewed-revoked | a keepalive succeeded after it was gone, or after its revoke was answered |
| lease-used-dead, lease-used-revoked | a put was given it, or a key showed it, after that |
| lease-revoked-twice | two revokes, or one after it was gone, succeeded |
| lease-never-expired | it lived on, or was listed, beyond the bound the caller declared |
| lease-never-granted | a call succeeded that needs a lease which nobody had asked for by then |
| lease-wrong-ttl | more seconds were left than any leader may have given it, or a renewal was for other than the granted TTL |
| lease-short-grant | fewer seconds were granted than asked for |
| lease-granted-twice | one number was given out again; nothing else is said of that lease |
| lease-keys-... | see `lease_keys` |

Servers count TTLs on clocks of their own: `clock_rate_error` and `clock_error_ns` say how far those may be off.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Mapping, Sequence
from itertools import accumulate
from typing import NamedTuple

from jepsen_like.checker import lease_keys
from jepsen_like.checker.lease_keys import Evidence
from jepsen_like.checker.verdict import Findings, Verdict
from jepsen_like.history import FAIL, OK, UNKNOWN, History, KeyValue, Mark, Operation
from jepsen_like.ledger import NOTE

SECOND_NS = 1_000_000_000

GONE_ERROR = "requested lease not found"
"""The server's words for a lease that is not there."""

CALLS = frozenset({"grant", "keepalive", "lease-ttl", "revoke"})

LISTED = "leases listed"
"""The note of leases that a member lists, from its own state: it may be behind."""

UNCOUNTED_S = (2**63 - 1) // SECOND_NS
"""What etcd says is left of a lease whose time nobody counts: its leader has just been elected."""

NEEDS = frozenset({"put", "cas", "txn", "keepalive", "lease-ttl"})
"""Calls that succeed only with a lease that is there."""

EXISTS_ERROR = "lease already exists"
SPREAD_PER_S = 250


class Bounds(NamedTuple):
    """What clocks and the server may add or take."""

    clock_rate_error: float = 0.0
    """Of the members' clocks against the history's: 0.01 is one in a hundred."""

    clock_error_ns: int = 0
    """Fixed slack: ticks, rounding."""

    late_ns: int | None = None
    """How long after its TTL a lease must be gone, once nothing gives it time anew; None: not held against anyone."""

    anew: tuple[tuple[int, int], ...] = ()
    """Spans, by their beginnings, in which any lease may have been given its full time again: leaders are elected, faults last."""

    def earliest(self, renewed_ns: int, ttl_s: int) -> int:
        """The first instant at which a lease renewed then may expire."""
        return renewed_ns + int(ttl_s * SECOND_NS * (1 - self.clock_rate_error)) - self.clock_error_ns

    def latest(self, renewed_ns: int, ttl_s: int) -> int | None:
        """The last instant at which it may still live."""
        if self.late_ns is None:
            return None
        return renewed_ns + int(ttl_s * SECOND_NS * (1 + self.clock_rate_error)) + self.clock_error_ns + self.late_ns


class _Calm:
    """When leases may have been given time anew."""

    def __init__(self, spans: Sequence[tuple[int, int]]) -> None:
        spans = sorted(spans)
        self._starts = [start for start, _end in spans]
        self._ends = list(accumulate((end for _start, end in spans), max))

    def since(self, when_ns: int) -> int | None:
        """The end of the last span before the instant, 0 when there was none; None: it lies in one."""
        place = bisect_right(self._starts, when_ns)
        latest = self._ends[place - 1] if place else 0
        return latest if latest <= when_ns else None


class _Lease(NamedTuple):
    """All that was said about one lease."""

    grants: list[Operation]
    renewals: list[Operation]
    alive: list[Evidence]
    gone: list[Evidence]
    revokes: list[Operation]
    """Succeeded."""

    tried: list[Operation]
    """Revokes of unknown outcome."""

    maybe: list[Operation]
    """Keepalives of unknown outcome."""

    asked: list[Operation]
    """Grants that did not fail."""

    listed: list[Evidence]
    """Lists that show it, from the state of a member that may be behind."""

    @classmethod
    def empty(cls) -> _Lease:
        """Of one that nothing was said about yet."""
        return cls([], [], [], [], [], [], [], [], [])


def check(
    history: History,
    *,
    initial: Mapping[str, KeyValue] | None = None,
    bounds: Bounds | None = None,
    ttl_is_current: bool = True,
    closed: bool = True,
) -> Verdict:
    """Whether every lease kept its promises.

    Args:
        history: grants, keepalives, revokes and `lease-ttl` calls; puts and reads of keys with leases; watches.
        initial: what the store held before; empty when left out.
        bounds: how far clocks may be off, and how late an expiry may be.
        ttl_is_current: `lease-ttl` answers of life count; False where a deposed leader may answer them.
        closed: nobody else deletes keys, so an unexplained delete of an attached key is its lease's end.
    """
    bounds = bounds or Bounds()
    findings = Findings()
    leases: dict[int, _Lease] = {}
    count = 0
    for operation in history.operations:
        number = lease_keys.lease_of(operation)
        if number:
            count += 1
            _take(leases.setdefault(number, _Lease.empty()), operation, ttl_is_current)
    if closed:
        for number, evidence in lease_keys.check(history, initial or {}, findings):
            one = leases.setdefault(number, _Lease.empty())
            (one.alive if evidence.alive else one.gone).append(evidence)
            count += 1
    for number, evidence in _listed(history.marks):
        leases.setdefault(number, _Lease.empty()).listed.append(evidence)
    foreign = {kv.lease for kv in (initial or {}).values()}
    calm = _Calm(bounds.anew)
    for number, one in leases.items():
        if closed and number not in foreign:
            _check_granted(number, one, findings)
        if len(one.grants) > 1:
            text = f"lease {number} was granted {len(one.grants)} times"
            findings.add("lease-granted-twice", text, one.grants[:2])
        else:
            _check_lease(number, one, bounds, calm, findings)
            _check_ttl(number, one, len(leases), findings)
    return findings.verdict(count)


def _take(lease: _Lease, operation: Operation, ttl_is_current: bool) -> None:
    f, outcome = operation.f, operation.outcome
    if f == "grant" and (outcome != FAIL or EXISTS_ERROR in operation.error):
        lease.asked.append(operation)
    if outcome == OK and f == "grant":
        lease.grants.append(operation)
        lease.renewals.append(operation)
    elif outcome == OK and f in ("keepalive", "lease-ttl"):
        if operation.result <= 0:
            lease.gone.append(Evidence(False, operation.invoke_ns, operation.complete_ns, f, operation))
        elif f == "keepalive":
            lease.renewals.append(operation)
        if operation.result > 0 and (f == "keepalive" or ttl_is_current):
            lease.alive.append(Evidence(True, operation.invoke_ns, operation.complete_ns, f, operation))
    elif f == "revoke" and outcome == OK:
        lease.revokes.append(operation)
    elif f == "revoke" and outcome == UNKNOWN:
        lease.tried.append(operation)
    elif f == "keepalive" and outcome == UNKNOWN:
        lease.maybe.append(operation)
    elif outcome == OK and f in ("put", "cas", "txn") and lease_keys.attaches(operation):
        lease.alive.append(Evidence(True, operation.invoke_ns, operation.complete_ns, f, operation))
    elif outcome == FAIL and GONE_ERROR in operation.error:
        lease.gone.append(Evidence(False, operation.invoke_ns, operation.complete_ns, f, operation))


def _listed(marks: Sequence[Mark]) -> Iterator[tuple[int, Evidence]]:
    """Every lease that a list of leases shows."""
    for mark in marks:
        if mark.kind == NOTE and isinstance(mark.detail, dict) and isinstance(numbers := mark.detail.get(LISTED), (list, tuple)):
            for number in numbers:
                yield number, Evidence(True, mark.start_ns, mark.end_ns, "list", mark)


def _check_granted(number: int, lease: _Lease, findings: Findings) -> None:
    """No call that needs the lease succeeds before somebody has asked for it."""
    asked_ns = min((one.invoke_ns for one in lease.asked), default=None)
    needs = [*(one.record for one in lease.alive if isinstance(one.record, Operation) and one.what in NEEDS), *lease.revokes]
    for one in needs:
        assert isinstance(one, Operation)
        if asked_ns is None or one.complete_ns < asked_ns:
            text = f"a {one.f} with lease {number} succeeded, and nobody had {'ever' if asked_ns is None else 'yet'} asked for that lease"
            findings.add("lease-never-granted", text, (*lease.asked[:1], one))
            return


def _check_ttl(number: int, lease: _Lease, count: int, findings: Findings) -> None:
    """Nobody has more seconds left than a leader may have given it, and a renewal is for what was granted."""
    if not lease.grants:
        return
    grant = lease.grants[0]
    # A new leader adds an election timeout, and no lease is granted for less than one and a half of them; etcd spreads the ends of
    # many leases that it renews at once, some hundreds to a second.
    longest_s = 2 * grant.result + 1 + count // SPREAD_PER_S
    for one in (evidence.record for evidence in lease.alive if evidence.what in ("keepalive", "lease-ttl")):
        assert isinstance(one, Operation)
        if one.f == "keepalive" and one.result != grant.result:
            text = f"lease {number} of {grant.result} s was renewed for {one.result} s"
        elif one.f == "lease-ttl" and longest_s < one.result < UNCOUNTED_S:
            text = f"lease {number} of {grant.result} s had {one.result} s left"
        else:
            continue
        findings.add("lease-wrong-ttl", text, (grant, one))
        return


def _check_lease(number: int, lease: _Lease, bounds: Bounds, calm: _Calm, findings: Findings) -> None:
    """Narrow the instant of its end from both sides until nothing is left, or all is taken."""
    for grant in lease.grants:
        if grant.result < grant.argument:
            text = f"lease {number} was granted {grant.result} s of the {grant.argument} s asked for"
            findings.add("lease-short-grant", text, (grant,))
    gone = _after_grant(lease)
    if len(lease.revokes) > 1:
        findings.add("lease-revoked-twice", f"lease {number} was revoked twice, both times with success", lease.revokes[:2])
        return
    revoked = lease.revokes[0] if lease.revokes else None
    for evidence in lease.alive:
        if revoked is not None and evidence.invoke_ns > revoked.complete_ns:
            kind = "lease-renewed-revoked" if evidence.what == "keepalive" else "lease-used-revoked"
            after = _after(evidence.invoke_ns, revoked.complete_ns)
            text = f"lease {number} was alive for a {evidence.what} called {after} its revoke was answered"
            findings.add(kind, text, (revoked, evidence.record))
            return
    first_gone = min(gone, key=lambda one: one.complete_ns, default=None)
    if first_gone is not None:
        if _outlived(number, lease, first_gone, revoked, findings):
            return
        if revoked is None:
            _check_early(number, lease, first_gone, bounds, findings)
    if bounds.late_ns is not None:
        _check_late(number, lease, bounds, calm, findings)


def _outlived(number: int, lease: _Lease, gone: Evidence, revoked: Operation | None, findings: Findings) -> bool:
    """Whether something needed it alive after it was gone."""
    last = max(lease.alive, key=lambda one: one.invoke_ns, default=None)
    if last is not None and last.invoke_ns > gone.complete_ns:
        kind = "lease-renewed-dead" if last.what == "keepalive" else "lease-used-dead"
        text = (
            f"lease {number} was alive for a {last.what} called {_after(last.invoke_ns, gone.complete_ns)} a {gone.what} had shown it gone"
        )
        findings.add(kind, text, (gone.record, last.record))
        return True
    if revoked is not None and revoked.invoke_ns > gone.complete_ns:
        text = f"lease {number} was revoked with success {_after(revoked.invoke_ns, gone.complete_ns)} a {gone.what} had shown it gone"
        findings.add("lease-revoked-twice", text, (gone.record, revoked))
        return True
    return False


def _check_early(number: int, lease: _Lease, gone: Evidence, bounds: Bounds, findings: Findings) -> None:
    if any(revoke.invoke_ns <= gone.complete_ns for revoke in lease.tried):
        return
    for renewal in lease.renewals:
        legal = bounds.earliest(renewal.invoke_ns, renewal.result)
        if gone.complete_ns < legal:
            text = (
                f"lease {number} was gone for a {gone.what} answered {_seconds(gone.complete_ns - renewal.invoke_ns)} after a "
                f"{renewal.f} of {renewal.result} s was called; nobody can have revoked it"
            )
            findings.add("lease-expired-early", text, (renewal, gone.record))
            return


def _check_late(number: int, lease: _Lease, bounds: Bounds, calm: _Calm, findings: Findings) -> None:
    """A renewal of unknown outcome may have come as late as an expiry may; where all leases may have begun anew, so has this one."""
    ttl_s = max((one.result for one in lease.renewals), default=0)
    unknown = [(one.invoke_ns, bounds.latest(one.complete_ns + (bounds.late_ns or 0), ttl_s)) for one in lease.maybe]
    for evidence in (*lease.alive, *lease.listed):
        since_ns = calm.since(evidence.invoke_ns)
        if since_ns is None:
            continue
        before = [one for one in lease.renewals if one is not evidence.record and one.invoke_ns <= evidence.invoke_ns]
        ends = [end for one in before if (end := bounds.latest(one.complete_ns, one.result)) is not None]
        ends += [end for invoke_ns, end in unknown if end is not None and invoke_ns <= evidence.invoke_ns]
        ends += [end] if (end := bounds.latest(since_ns, ttl_s)) is not None else []
        if before and evidence.invoke_ns > max(ends):
            late = _seconds(evidence.invoke_ns - max(ends))
            text = f"lease {number} was alive for a {evidence.what} called {late} after the latest instant it was to end"
            findings.add("lease-never-expired", text, (before[-1], *([evidence.record] if evidence.what != "list" else [])))
            return


def _after_grant(lease: _Lease) -> Sequence[Evidence]:
    """Answers that it is gone which cannot mean that it was not there yet."""
    starts = [evidence.complete_ns for evidence in lease.alive]
    starts += [grant.complete_ns for grant in lease.grants]
    begun = min(starts, default=None)
    return [one for one in lease.gone if begun is not None and one.invoke_ns > begun]


def _after(later_ns: int, earlier_ns: int) -> str:
    return f"{_seconds(later_ns - earlier_ns)} after"


def _seconds(duration_ns: int) -> str:
    return f"{duration_ns / SECOND_NS:.3f} s"
