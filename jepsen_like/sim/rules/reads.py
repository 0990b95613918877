"""What must be true of the linearizable reads that members have taken.

1. A read is served at an index that is at least the highest committed anywhere when it came (thesis §6.4): a round confirms
   only reads that were there when it began. 2. Nobody waits for a read unasked: turn after turn there is a round under way,
   whose time runs out, whether somebody leads or not. Looks after every event and when consensus answers a round.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from jepsen_like.sim.rules import InvariantError

if TYPE_CHECKING:
    from raftkv.raft.messages import ReadState
    from raftkv.server.reads import Reads, Serve

UNASKED_TURNS_MAX = 8
"""The next turn asks; some more, so that what a turn itself submits is no alarm."""


class ReadRules:
    """Of one cluster, over all lives of its members."""

    def __init__(self) -> None:
        self.commit = 0
        """The highest index that any member knew to be committed."""

    def attach(
        self, host: str, reads: Reads, turns: Callable[[], int]
    ) -> tuple[Callable[[], None], Callable[[tuple[ReadState, ...]], None]]:
        """What to call after an event that left reads waiting, and before consensus's answers are taken. `turns`: how many the
        process has taken."""
        floors: dict[Serve, int] = {}
        first: Serve | None = None
        since = 0

        def waiting() -> None:
            nonlocal first, since
            if reads.waiting[-1] not in floors:
                for read in reads.waiting:
                    floors.setdefault(read, self.commit)
            if reads._round is not None or reads.waiting[0] is not first:
                first, since = reads.waiting[0], turns()
            elif turns() > since + UNASKED_TURNS_MAX:
                raise InvariantError(f"{host}: {len(reads.waiting)} reads wait for no round since {turns() - since} turns")

        def answered(states: tuple[ReadState, ...]) -> None:
            for state in states:
                under_way = reads._round
                if under_way is None or state.context not in under_way.contexts:
                    continue
                for read in under_way.reads:
                    floor = floors.pop(read, 0)
                    if floor > state.index:
                        raise InvariantError(f"{host}: a read is to be served at {state.index}, {floor} was committed when it came")

        return waiting, answered
