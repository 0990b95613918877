"""What a member owes its cluster besides serving: publishing itself, the cluster version, cutting the log, not leading without a disk.

Each duty is a small state that `tick` moves on, once each heartbeat interval. Loop only.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Callable
from typing import TYPE_CHECKING

from raftkv import ETCD_VERSION
from raftkv.failpoints import FAILPOINTS, hit
from raftkv.raft.messages import SnapshotMeta
from raftkv.server.hello import BOOTSTRAP_INDEX
from raftkv.state.requests import ClusterVersion, Publication

if TYPE_CHECKING:
    from raftkv.server.member import MemberCore

log = logging.getLogger("raftkv.server")

LAG_BYTES_MAX = 128 << 20
"""How much log, about, is kept for a connected follower that is behind. Under load any number of entries tied to the snapshot interval goes
by faster than a snapshot of a large store is installed, and the follower would be sent one after the other for ever: 500 000 records take
some seconds, 10 000 small writes one."""

RETRY_S = 5.0
"""A duty's proposal that got no answer is made again after this long; each is idempotent."""


class Publisher:
    """Tells the cluster this member's name and client URLs, until they stand in the applied state."""

    def __init__(self, core: MemberCore, on_published: Callable[[], None]) -> None:
        self._core = core
        self._on_published = on_published
        self.published = False
        self._next_s = 0.0

    def tick(self, now_s: float) -> None:
        """Proposes when a leader is known, the last attempt is old and the own log holds something of the cluster's.

        Who is published counts as started, and is refused with an empty log as one whose disk was lost (design §4 rule 15).
        """
        node = self._core.node
        if self.published or now_s < self._next_s or not node.leader_id or node.stable <= BOOTSTRAP_INDEX:
            return
        self._next_s = now_s + RETRY_S
        if FAILPOINTS:
            hit("beforePublishing")
        settings = self._core.settings
        request = Publication(self._core.member_id, settings.name, tuple(settings.advertise_client_urls))
        self._core.proposals.submit_own(request, self._done)

    def _done(self, result: object, error: Exception | None) -> None:
        if error is not None:
            self._next_s = 0.0
        elif not self.published:
            self.published = True
            log.info(
                "published local member to cluster through raft",
                extra={"fields": {"local-member-id": f"{self._core.member_id:x}", "cluster-id": f"{self._core.cluster_id:x}"}},
            )
            self._on_published()


class VersionKeeper:
    """The leader sets the cluster version: the lowest of its members', as far as they have said theirs."""

    def __init__(self, core: MemberCore) -> None:
        self._core = core
        self._next_s = 0.0

    def tick(self, now_s: float) -> None:
        """Proposes a version when it would rise."""
        core = self._core
        if now_s < self._next_s or not core.pipeline.is_leader():
            return
        versions = [ETCD_VERSION, *core.peers.versions().values()]
        if len(versions) <= len(core.voters()) // 2:
            return
        wanted = min(versions, key=_parts)
        wanted = ".".join(map(str, (*_parts(wanted)[:2], 0)))
        current = core.machine.cluster_version
        if not current or _parts(current) < _parts(wanted):
            self._next_s = now_s + RETRY_S
            core.proposals.submit_own(ClusterVersion(wanted), lambda _r, _e: None)


def _parts(version: str) -> tuple[int, ...]:
    """Major, minor and patch of `3.7.0` and of `3.8.0-alpha.0`; what another member says may be anything."""
    return tuple(int(part) for part in re.findall("[0-9]+", version)[:3]) or (0, 0)


def best_successor(core: MemberCore) -> int:
    """The voter whose log is furthest, of those heard of lately; 0 when this member does not lead or is alone."""
    if not core.pipeline.is_leader():
        return 0
    progress = core.node.status().progress
    others = [(p.match, i) for i, p in progress.items() if i != core.member_id and not p.is_learner and p.recent_active]
    return max(others)[1] if others else 0


class DiskWatch:
    """A leader whose log's disk does not answer hands leadership over: it can apply nothing, so it serves nobody, while its heartbeats keep
    the others from electing one that can. Not etcd's; there such a leader stays.
    """

    def __init__(self, core: MemberCore) -> None:
        self._core = core
        self._patience_s = 2 * core.settings.election_timeout_ms / 1000
        self._stable = 0
        self._since_s: float | None = None
        self.handed_over_total = 0

    def tick(self, now_s: float) -> None:
        """Looks whether the job at the log's thread is the one that was there before, and for how long."""
        core = self._core
        stable = core.node.stable
        if core.writer.idle or stable != self._stable or self._since_s is None:
            self._stable = stable
            self._since_s = None if core.writer.idle else now_s
            return
        if now_s - self._since_s < self._patience_s or core.stopping:
            return
        target = best_successor(core)
        if not target or core.node.status().transferee:
            return
        # A hand-over that fails is tried again after as long a wait.
        self._since_s = now_s
        self.handed_over_total += 1
        fields = {"waited": f"{self._patience_s:g}s", "transferee": f"{target:x}"}
        log.warning("the log's disk does not answer; leadership is handed over", extra={"fields": fields})
        core.transfer_leader(target, lambda _: None)


class LogCutter:
    """Marks raft snapshots and cuts the log below them (design §4 rule 7).

    A snapshot at index S is marked only when the store is durable at S or above; the log keeps the catch-up entries, and
    nothing is removed while a snapshot is being sent.
    """

    def __init__(self, core: MemberCore, snapshot_count: int, catchup_entries: int) -> None:
        self._core = core
        self._snapshot_count = snapshot_count
        self._catchup_entries = catchup_entries
        self._busy = False
        self._snapshot_index = core.machine.applied_index
        self.lag_bytes_max = LAG_BYTES_MAX
        self.snapshots_total = 0

    def after_apply(self, applied: int, term: int) -> None:
        """Starts a snapshot when enough was applied since the last one."""
        core = self._core
        if self._busy or applied - self._snapshot_index < self._snapshot_count:
            return
        self._busy = True
        self._snapshot_index = applied
        meta = SnapshotMeta(applied, term, core.node.conf_state)
        log.info("triggering snapshot", extra={"fields": {"local-member-applied-index": applied}})
        core.store_writer.when_durable(applied, lambda: self._mark(meta))

    def _mark(self, meta: SnapshotMeta) -> None:
        wal = self._core.writer.wal
        self._submit(lambda: wal.mark_snapshot(meta), lambda: self._cut(meta))

    def _submit(self, job: Callable[[], object], done: Callable[[], None]) -> None:
        # The last commit of all may be what a mark waited for, and the log's thread has ended by then. The next start marks one anew.
        if not self._core.stopping:
            self._core.writer.submit(job, done)

    def _followed_to(self, index: int) -> int:
        """The lowest index that a connected member still follows from, within the bound; beyond any index at a follower."""
        core = self._core
        progress, connected = core.node.status().progress, core.peers.connected()
        reached = [max(one.match, core.transfers.sent_index(other)) for other, one in progress.items() if other in connected]
        return max(min(reached), index - core.raft_storage.count_in(self.lag_bytes_max)) if reached else index

    def _cut(self, meta: SnapshotMeta) -> None:
        core = self._core
        self._busy = False
        self.snapshots_total += 1
        core.raft_storage.set_snapshot(meta)
        log.info("saved snapshot", extra={"fields": {"snapshot-index": meta.index}})
        keep_from = min(meta.index - self._catchup_entries, core.transfers.keep_from(), self._followed_to(meta.index))
        if keep_from <= core.raft_storage.first_index():
            return
        core.raft_storage.compact(keep_from)
        log.info("compacted Raft logs", extra={"fields": {"compact-index": keep_from}})
        wal = core.writer.wal

        def release() -> None:
            wal.purge(keep_from)
            if FAILPOINTS:
                hit("raftAfterWALRelease")

        self._submit(release, lambda: None)
