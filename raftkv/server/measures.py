"""What a member is and what it counted, gathered for a status, a member list or a scrape of its metrics."""

from __future__ import annotations

from typing import TYPE_CHECKING

from raftkv.server.api import Alarm, Member, MemberMeasures, MemberStatus, PeerMeasure, ProgressView, RaftView

if TYPE_CHECKING:
    from raftkv.server.member import MemberCore


def members_of(core: MemberCore) -> tuple[Member, ...]:
    """The members by id."""
    return tuple(Member(m.id, m.name, m.peer_urls, m.client_urls, m.is_learner) for m in core.machine.members.all())


def status_of(core: MemberCore) -> MemberStatus:
    """A moment's view."""
    backend, store = core.store_writer.backend, core.store
    return MemberStatus(
        leader_id=core.node.leader_id,
        raft_index=core.node.commit,
        raft_term=core.node.term,
        applied_index=core.applier.applied,
        db_size_bytes=backend.size_bytes(),
        # A store that is being replaced cannot be asked.
        db_size_in_use_bytes=backend.size_bytes() if core.pipeline.suspended else backend.size_in_use_bytes(),
        quota_bytes=core.quota.limit_bytes,
        is_learner=core.is_learner,
        revision=store.revision,
        compact_revision=store.compact_revision,
        alarms=tuple(Alarm(member_id, kind) for member_id, kind in core.machine.alarms.standing()),
        cluster_version=core.machine.cluster_version,
    )


def raft_of(core: MemberCore) -> RaftView:
    """Consensus as it stands."""
    status = core.node.status()
    return RaftView(
        member_id=core.member_id,
        term=status.term,
        vote=status.vote,
        commit=status.commit,
        leader_id=status.leader_id,
        role=status.role.name,
        applied=status.applied,
        progress=tuple(ProgressView(member_id, one.match, one.next, one.state.name) for member_id, one in sorted(status.progress.items())),
        transferee=status.transferee,
    )


def measures_of(core: MemberCore, *, ranges: int, txns: int) -> MemberMeasures:
    """Reads every part; about 20 µs."""
    store, hub = core.store.statistics(), core.hub.statistics()
    return MemberMeasures(
        leader_changes=core.leader_changes_total,
        proposals_pending=len(core.proposals.waiting),
        proposals_failed=core.proposals.failed_total,
        slow_read_indexes=core.reads.slow_total,
        puts=core.applier.puts_total,
        deletes=core.applier.deletes_total,
        ranges=ranges,
        txns=txns,
        keys=store.keys,
        watch_streams=hub.streams,
        watchers=hub.watchers,
        slow_watchers=hub.unsynced,
        events=hub.events_total,
        pending_events=store.pending_events,
        compacted_records=store.compacted_records,
        leases_granted=core.machine.lessor.granted_total,
        leases_revoked=core.machine.lessor.revoked_total,
        leases_renewed=core.leases.renewed_total,
        leases_expired=core.leases.expired_total,
        peers=tuple(_peers(core)),
    )


def _peers(core: MemberCore) -> list[PeerMeasure]:
    found: dict[int, PeerMeasure] = {}
    for lane in core.peers.lanes():
        before = found.get(lane.peer_id, PeerMeasure(lane.peer_id, True, 0, core.peers.received_bytes_total.get(lane.peer_id, 0), 0, 0))
        found[lane.peer_id] = before._replace(
            connected=before.connected and lane.open,
            sent_bytes=before.sent_bytes + lane.sent_bytes_total,
            send_failures=before.send_failures + lane.dropped_total,
            disconnects=before.disconnects + lane.disconnects_total,
        )
    return list(found.values())
