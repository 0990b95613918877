"""What becomes of writes under way when terms change."""

from __future__ import annotations

from raftkv.errors import LeaderChangedError
from raftkv.server.proposals import Proposals, RequestIds
from raftkv.state.requests import RequestKind


class Writes:
    """Proposals of a member, and what their callers were told."""

    def __init__(self) -> None:
        self.proposals = Proposals(RequestIds(1, 0), timeout_s=5.0, bytes_max=1000, wake=lambda: None)
        self.told: dict[str, Exception | None] = {}

    def send(self, name: str, term: int) -> None:
        """Submits a write and proposes it in the term."""
        self.submit(name)
        self.proposals.drop_batch(len(self.proposals.queue), term)

    def submit(self, name: str) -> None:
        """A write that stays in the queue."""
        self.proposals.submit(RequestKind.PUT, b"", None, lambda result, error: self.told.__setitem__(name, error))


def test_write_sent_in_an_earlier_term_ends_when_a_later_one_is_applied():
    """A proposal enters a log only in the term it was sent in: once the next term's entry is applied, it never will be."""
    writes = Writes()
    writes.send("old", 2)
    writes.send("old too", 2)
    writes.send("new", 3)
    writes.submit("queued")
    writes.proposals.term_applied(2)
    assert not writes.told
    writes.proposals.term_applied(3)
    assert {name: type(error) for name, error in writes.told.items()} == {"old": LeaderChangedError, "old too": LeaderChangedError}
    assert len(writes.proposals.waiting) == 2


def test_write_that_a_snapshot_may_hold_is_not_said_to_be_lost():
    """A received snapshot may contain the entry, so its fate is unknown and it waits for its deadline."""
    writes = Writes()
    writes.send("unsure", 2)
    writes.proposals.state_replaced()
    writes.send("lost", 3)
    writes.proposals.term_applied(4)
    assert list(writes.told) == ["lost"]
