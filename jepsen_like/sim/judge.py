"""Whether what a run left behind can have happened: members against each other, and clients' history against the stores.

The workloads judge their own histories; here stands what only an onlooker sees: every member's store, processes that ended
by themselves, calls that met a bug. Source: spec/faults.md §5a M1, §4c.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from jepsen_like.checker import membership, order
from jepsen_like.checker.verdict import Findings, Verdict
from jepsen_like.history import OK, Event, History, KeyValue
from jepsen_like.sim.cluster import SimulatedCluster, SimulatedMember
from jepsen_like.sim.rules import contents
from raftkv.pb import rpc

if TYPE_CHECKING:
    from raftkv.mvcc.kv import Event as StoredEvent


def judge(cluster: SimulatedCluster, history: History, unexpected: Sequence[str]) -> Verdict:
    """The onlooker's verdict; every member must run."""
    findings = Findings()
    for text in unexpected:
        findings.add("process-ended", text)
    for text in cluster.loop.callback_errors:
        findings.add("callback-raised", text.strip())
    for member in cluster.members:
        assert member.running is not None
        metrics = member.running.metrics
        if metrics.internal_errors.value:
            findings.add("internal-error", f"{member.host} met {metrics.internal_errors.value:g} bugs of its own in calls")
        if watchers_of(member):
            text = f"{member.host} feeds {watchers_of(member)} watchers though every client has gone"
            findings.add("watchers-left", text)
    _compare(cluster, findings)
    contents.compare(cluster.members, history.operations, findings)
    events = _events(cluster.members[0])
    _find_lost(history, events, _compacted(cluster.members[0]), findings)
    _add(membership.check(history.operations), findings)
    placed = order.check(history.operations, events=events, closed=_compacted(cluster.members[0]) < 2)
    _add(placed, findings)
    return findings.verdict(len(history.operations) + len(events))


def watchers_of(member: SimulatedMember) -> int:
    """How many watchers the member feeds, as its metrics tell."""
    return 0 if member.running is None else member.running.core.hub.statistics().watchers


def _add(verdict: Verdict, findings: Findings) -> None:
    for anomaly in verdict.anomalies:
        findings.add(anomaly.kind, anomaly.explanation, anomaly.operations, anomaly.keys)
    for reason in verdict.reasons:
        findings.undecided(reason)


def _compacted(member: SimulatedMember) -> int:
    assert member.running is not None
    return member.running.core.store.compact_revision


def _stored(member: SimulatedMember, first: int) -> list[StoredEvent]:
    assert member.running is not None
    store = member.running.core.store
    return list(store.replay(first, store.revision))


def _compare(cluster: SimulatedCluster, findings: Findings) -> None:
    """All stores hold the same changes since the newest compaction, and the same leases."""
    first = max(2, *(_compacted(member) + 1 for member in cluster.members)) if len(cluster.members) > 1 else 2
    reference = None
    for member in cluster.members if len(cluster.members) > 1 else ():
        assert member.running is not None
        core = member.running.core
        state = (core.store.revision, sorted(core.machine.lessor.ids()), [tuple(event) for event in _stored(member, first)])
        if reference is None:
            reference = state
        elif state[0] != reference[0]:
            findings.add("members-differ", f"{member.host} stands at revision {state[0]}, m0 at {reference[0]}")
        elif state != reference:
            part = "leases" if state[1] != reference[1] else "changes"
            findings.add("members-differ", f"the {part} of {member.host} and m0 differ though both stand at revision {state[0]}")


def _events(member: SimulatedMember) -> list[Event]:
    """What the store says happened since its compaction, in order."""
    found = []
    for event in _stored(member, max(2, _compacted(member) + 1)):
        key = event.key.decode("latin-1")
        if event.is_delete:
            found.append(Event("delete", KeyValue(key, "", 0, event.revision, 0)))
            continue
        kv = rpc.RangeResponse.FromString(event.record).kvs[0]
        value = kv.value.decode("latin-1")
        found.append(Event("put", KeyValue(key, value, kv.create_revision, kv.mod_revision, kv.version, kv.lease), None, kv.version == 1))
    return found


def _find_lost(history: History, events: Sequence[Event], compacted: int, findings: Findings) -> None:
    """Every acknowledged put stands at its revision."""
    stored = {(event.kv.mod_revision, event.kv.key): event for event in events}
    for operation in history.operations:
        if operation.f != "put" or operation.outcome != OK or operation.revision <= compacted:
            continue
        event = stored.get((operation.revision, operation.key))
        if event is None or event.kv.value != operation.argument:
            text = (
                f"put {operation.key!r} = {operation.argument!r} was acknowledged at revision {operation.revision}, which does not hold it"
            )
            findings.add("lost-write", text, (operation,), (operation.key,))
