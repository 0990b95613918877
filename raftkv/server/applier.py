"""Applies committed entries in order and completes the proposals they came from.

Hot path. Entries are applied in slices within the turn's budget; after each slice the applied index is noted beside the
changes, watchers are told, and consensus is told. Loop only.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable

from raftkv.failpoints import FAILPOINTS, hit
from raftkv.mvcc.watch_hub import WatchHub
from raftkv.raft.messages import Entry, EntryKind
from raftkv.server.proposals import Proposals
from raftkv.state.apply import StateMachine
from raftkv.state.requests import request_id

SLICE_ENTRIES = 32
"""Entries applied between two looks at the clock: about a fifth of a millisecond."""


class Applier:
    """Queue of committed entries in front of the state machine.

    Invariants: 1. entries are applied in index order without a gap; 2. an entry at or below the applied index is
    skipped (it was applied before a restart); 3. a proposal's `done` is called after its change is visible to reads.
    """

    __slots__ = (
        "_apply_change",
        "_on_applied",
        "_proposals",
        "applied",
        "deletes_total",
        "hub",
        "machine",
        "paused",
        "puts_total",
        "queue",
        "term",
    )

    def __init__(
        self,
        machine: StateMachine,
        hub: WatchHub,
        proposals: Proposals,
        *,
        apply_change: Callable[[Entry], None],
        on_applied: Callable[[int, int], None],
    ) -> None:
        self.machine = machine
        self.hub = hub
        self._proposals = proposals
        self._apply_change = apply_change
        self._on_applied = on_applied
        self.queue: deque[Entry] = deque()
        self.applied = machine.applied_index
        self.term = machine.applied_term
        self.paused = False
        self.puts_total = self.deletes_total = 0

    def add(self, entries: Iterable[Entry]) -> None:
        """Committed entries, in order."""
        self.queue.extend(entries)

    def use_machine(self, machine: StateMachine) -> None:
        """A received snapshot replaced the state; entries below it are not applied any more."""
        self.machine = machine
        self.applied, self.term = machine.applied_index, machine.applied_term
        self.queue.clear()
        self.paused = False

    def run(self, now_s: Callable[[], float], deadline_s: float) -> None:
        """Applies until the queue is empty or the time is up, but always one slice."""
        while self.queue and not self.paused:
            self._slice()
            if now_s() >= deadline_s:
                return

    def _slice(self) -> None:
        if FAILPOINTS:
            hit("beforeApplyOneEntryNormal")
        queue, machine = self.queue, self.machine
        apply, pop_waiting = machine.apply, self._proposals.waiting.pop
        completed = []
        for _ in range(min(SLICE_ENTRIES, len(queue))):
            term, index, kind, data = entry = queue.popleft()
            if index <= self.applied:
                continue
            assert index == self.applied + 1, f"entry {index} was to be applied after entry {self.applied}"
            self.applied, self.term = index, term
            if kind == EntryKind.CONF_CHANGE:
                self._apply_change(entry)
                continue
            number = request_id(data)
            waiting = pop_waiting(number, None)
            if waiting is None:
                apply(term, index, data)
            else:
                completed.append((waiting[0], apply(term, index, data, waiting[1])))
        if FAILPOINTS:
            hit("commitBeforePreCommitHook")
        machine.note_applied(self.applied, self.term)
        if FAILPOINTS:
            hit("commitAfterPreCommitHook")
        events = machine.store.take_events()
        if events:
            deletes = sum([event[4] for event in events])
            self.deletes_total += deletes
            self.puts_total += len(events) - deletes
            self.hub.notify(events, machine.store.revision)
        for done, (revision, body, error) in completed:
            if error is None:
                done((revision, body), None)
            else:
                done(None, error)
        self._on_applied(self.applied, self.term)
