"""Compaction by itself: the leader drops history that is older than a time, or than a number of revisions.

Owns when, and down to which revision; what compacting is, the state machine and `compactor.py` say. Every member keeps the samples,
so that a new leader goes on where the old one was; only the leader proposes. A duty as those of `duties.py`: `tick` once each
heartbeat interval, on the loop. Source of the windows: etcd's v3compactor, periodic.go and revision.go.
"""

from __future__ import annotations

import logging
from collections import deque
from typing import TYPE_CHECKING

from raftkv.errors import CompactedError, RaftKVError
from raftkv.pb import rpc
from raftkv.state.requests import RequestKind

if TYPE_CHECKING:
    from raftkv.server.member import MemberCore

log = logging.getLogger("raftkv.server")

INTERVAL_S_MAX = 3600.0
"""A longer period is compacted once an hour all the same."""

SAMPLES_PER_INTERVAL = 10

REVISION_INTERVAL_S = 300.0
"""How often the revision mode looks."""


class AutoCompactor:
    """Invariants: 1. at most one proposal is under way; 2. no revision is proposed twice in a row once it was compacted."""

    def __init__(self, core: MemberCore) -> None:
        settings = core.settings
        self._core = core
        self._period_s = settings.auto_compaction_period_s
        self._revisions = settings.auto_compaction_revisions
        self._mode = "periodic" if self._period_s else "revision"
        """As etcd's log lines say it."""
        self._interval_s = min(self._period_s, INTERVAL_S_MAX)
        self._look_s = self._interval_s / SAMPLES_PER_INTERVAL if self._period_s else REVISION_INTERVAL_S
        self._samples: deque[int] = deque(maxlen=max(1, round(self._period_s / self._look_s) + 1) if self._period_s else 1)
        """Revisions, oldest first, one for each look back to the period before now."""
        self._next_s = 0.0
        self._due_s = 0.0
        self._compacted = 0
        self._busy = False

    @property
    def enabled(self) -> bool:
        """Whether the settings ask for it."""
        return bool(self._period_s or self._revisions)

    def tick(self, now_s: float) -> None:
        """Looks when it is time to."""
        if not self.enabled or now_s < self._next_s:
            return
        revision = self._core.store.revision
        if not self._next_s:
            self._next_s, self._due_s = now_s + self._look_s, now_s + self._period_s
            self._samples.append(revision)
            return
        # From the time it was due: late ticks must not stretch the period.
        self._next_s = max(self._next_s + self._look_s, now_s)
        if self._period_s:
            target = self._samples[0]
            self._samples.append(revision)
        else:
            target = revision - self._revisions
        if now_s >= self._due_s and target > 0 and target != self._compacted and self._core.pipeline.is_leader():
            self._propose(target, now_s)

    def _propose(self, target: int, now_s: float) -> None:
        core = self._core
        if self._busy or core.stopping:
            return

        def done(result: object, error: Exception | None) -> None:
            self._busy = False
            fields = {"revision": target}
            if error is None or isinstance(error, CompactedError):
                self._compacted = target
                self._due_s = now_s + self._interval_s if self._period_s else 0.0
                log.info(f"completed auto {self._mode} compaction", extra={"fields": fields})
            else:
                log.warning(f"failed auto {self._mode} compaction", extra={"fields": {**fields, "error": str(error)}})

        log.info(f"starting auto {self._mode} compaction", extra={"fields": {"revision": target}})
        request = rpc.CompactionRequest(revision=target)
        self._busy = True
        try:
            core.proposals.submit(RequestKind.COMPACT, request.SerializeToString(), request, done)
        except RaftKVError as error:
            done(None, error)
