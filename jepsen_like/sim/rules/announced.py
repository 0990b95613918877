"""What members tell their watchers of each revision: the same everywhere, in the same order.

Owns one checksum a revision, of the records as they are handed to the watch hub, over all members and all their lives: a log
applied twice, or by two members, makes the same bytes. Looks only; about a microsecond an event. Source: spec/faults.md §5c 58.
"""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from typing import TYPE_CHECKING

from jepsen_like.sim.rules import InvariantError

if TYPE_CHECKING:
    from jepsen_like.sim.cluster import SimulatedMember
    from raftkv.mvcc.kv import Event


class Announced:
    """Of one cluster."""

    def __init__(self) -> None:
        self._told: dict[int, tuple[int, str]] = {}
        """Revision -> checksum of its changes in their order, and who was there first."""

    def attach(self, member: SimulatedMember) -> None:
        """Watches the process that runs there now."""
        assert member.running is not None
        hub, host = member.running.core.hub, member.host
        notify = hub.notify

        def announcing(events: Sequence[Event], revision: int) -> None:
            self.announce(host, events)
            notify(events, revision)

        hub.notify = announcing  # type: ignore[method-assign]

    def announce(self, host: str, events: Sequence[Event]) -> None:
        """Whole revisions in order, as the hub gets them. Raises InvariantError."""
        at = checksum = 0
        for event in events:
            if event.revision != at:
                if at:
                    self._hold(host, at, checksum)
                at, checksum = event.revision, 0
            checksum = zlib.crc32(event.record, checksum)
        if at:
            self._hold(host, at, checksum)

    def _hold(self, host: str, revision: int, checksum: int) -> None:
        known = self._told.setdefault(revision, (checksum, host))
        if known[0] != checksum:
            raise InvariantError(f"{host} announces other changes of revision {revision}, or in another order, than {known[1]}")
