"""What must be true of the running members after every event.

Invariants: 1. a term has one leader; 2. applied ≤ applying ≤ min(commit, stable); 3. term, commit and applied never fall
in one process's life; 4. members that applied up to one index applied the same entry there and stand at the same revision.
Source: spec/faults.md §3c; Ongaro's thesis, fig. 3.2. Looks only; costs about a microsecond an event.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from jepsen_like.sim.reached import reached
from raftkv.raft.messages import Role

if TYPE_CHECKING:
    from jepsen_like.sim.cluster import SimulatedMember


class InvariantError(AssertionError):
    """The text names the invariant, the member and the values."""


class Invariants:
    """Of one cluster, over all lives of its members."""

    def __init__(self) -> None:
        self.leaders: dict[int, str] = {}
        """Term -> who led it."""
        self.on_leader: Callable[[str, int], None] = lambda host, term: None
        self._states: dict[int, tuple[int, int, str]] = {}
        """Applied index -> its entry's term, the store's revision, and who was there first."""

    def attach(self, member: SimulatedMember) -> None:
        """Watches the process that runs there now."""
        life, running = member.life, member.running
        assert life is not None and running is not None
        core, host = running.core, member.host
        node, log, applier, inside = core.node, core.node._log, core.applier, core.node._core
        term = commit = applied = 0
        leading = 0

        def probe() -> None:
            nonlocal term, commit, applied, leading
            if inside.term != term:
                if inside.term < term:
                    raise InvariantError(f"{host}: its term fell from {term} to {inside.term}")
                term = inside.term
            if inside.role is Role.LEADER and leading != term:
                leading = term
                self._led(host, term)
            if log.commit != commit:
                if log.commit < commit:
                    raise InvariantError(f"{host}: its commit index fell from {commit} to {log.commit}")
                commit = log.commit
            if applier.applied != applied:
                if applier.applied < applied:
                    raise InvariantError(f"{host}: its applied index fell from {applied} to {applier.applied}")
                applied = applier.applied
                self._applied(host, applied, applier.term, core.store.revision)
                if not log.applied <= log.applying <= min(commit, log.stable):
                    raise InvariantError(f"{host}: not applied ≤ applying ≤ min(commit, stable): {node.describe()}")

        life.probe = probe

    def _led(self, host: str, term: int) -> None:
        other = self.leaders.setdefault(term, host)
        if other != host:
            raise InvariantError(f"two leaders in term {term}: {other} and {host}")
        self.on_leader(host, term)

    def _applied(self, host: str, index: int, term: int, revision: int) -> None:
        known = self._states.get(index)
        if known is None:
            self._states[index] = (term, revision, host)
        elif known[:2] != (term, revision):
            raise InvariantError(
                f"at index {index} {known[2]} applied an entry of term {known[0]} and stood at revision {known[1]}, "
                f"{host} one of term {term} and stands at revision {revision}"
            )
        elif known[2] != host:
            reached("members_compared")
