"""What must be true of the writes that members have taken.

1. A write of which its caller is told that it is lost is in no log that counts: it was not committed, and never will be. 2. A
write is handed on only to a leader that a connection leads to; what is sent into nothing is known of by nobody. Looks at what
consensus hands out as committed, and at who waits before and after an entry of a new term is applied.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from jepsen_like.sim.rules import InvariantError
from raftkv.raft.messages import Entry, EntryKind, Message
from raftkv.state.requests import request_id

if TYPE_CHECKING:
    from raftkv.server.member import MemberCore


class WriteRules:
    """Of one cluster, over all lives of its members. Requests are known by their ids, which no two share."""

    def __init__(self) -> None:
        self._committed: dict[int, int] = {}
        """Request -> the index of its entry."""
        self._seen = 0
        """All up to this index was looked at."""
        self._lost: dict[int, str] = {}
        """Request -> the member that told its caller that it was lost."""

    def attach(self, host: str, core: MemberCore) -> None:
        """Watches the answers of a member's process."""
        applier, proposals = core.applier, core.proposals
        on_applied, seen = applier._on_applied, applier.term

        def applied(index: int, term: int) -> None:
            nonlocal seen
            if term == seen:
                on_applied(index, term)
                return
            seen = term
            before = list(proposals.waiting)
            on_applied(index, term)
            self._told_lost(host, [number for number in before if number not in proposals.waiting])

        applier._on_applied = applied

    def _told_lost(self, host: str, requests: Sequence[int]) -> None:
        for number in requests:
            index = self._committed.get(number)
            if index is not None:
                raise InvariantError(f"{host}: says that request {number:x} is lost, which was committed at {index}")
            self._lost[number] = host

    def committed(self, entries: Sequence[Entry]) -> None:
        """Somebody is handed committed entries."""
        if entries[-1].index <= self._seen:
            return
        for entry in entries:
            if entry.index <= self._seen:
                continue
            self._seen = entry.index
            if entry.kind != EntryKind.NORMAL or not entry.data:
                continue
            number = request_id(entry.data)
            self._committed[number] = entry.index
            if number in self._lost:
                raise InvariantError(f"request {number:x} is committed at {entry.index}, and {self._lost[number]} has told it lost")

    @staticmethod
    def handed_on(core: MemberCore, message: Message) -> None:
        """Consensus hands out writes for the leader; until the own log is written the connection may break, as on the way."""
        if not core.peers.reaches(message.to):
            raise InvariantError(f"{core.settings.name}: hands {len(message.entries)} writes on to {message.to:x}, to which nothing leads")
