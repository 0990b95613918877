"""What becomes of writes under way when terms change."""

from __future__ import annotations

import pytest

from raftkv.errors import LeaderChangedError, RequestTooLargeError, UnavailableError
from raftkv.server.proposals import Proposals, RequestIds
from raftkv.state.requests import RequestKind
from raftkv.wire import varint


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
    assert set(writes.told) == {"old", "old too"}
    for error in writes.told.values():
        assert isinstance(error, UnavailableError) and str(error) == LeaderChangedError.text
    assert len(writes.proposals.waiting) == 2


def test_write_that_a_snapshot_may_hold_is_not_said_to_be_lost():
    """A received snapshot may contain the entry, so its fate is unknown and it waits for its deadline."""
    writes = Writes()
    writes.send("unsure", 2)
    writes.proposals.state_replaced()
    writes.send("lost", 3)
    writes.proposals.term_applied(4)
    assert list(writes.told) == ["lost"]


@pytest.mark.parametrize("member_id", [0, 1, 0x8001], ids=["small ids", "ids of 8 bytes", "ids of 10 bytes"])
def test_request_is_limited_by_its_length_in_etcds_log(member_id):
    """The limit is of the request as etcd writes it: header with the id in field 100, the request in field 4."""
    for size in range(900, 1001):
        ids = RequestIds(member_id, 0)
        raw = bytes(size)
        head = b"\x08" + varint(RequestIds(member_id, 0).take())
        in_etcds_log = b"\xa2\x06" + varint(len(head)) + head + b"\x22" + varint(size) + raw
        proposals = Proposals(ids, timeout_s=5.0, bytes_max=1000, wake=lambda: None)
        refused = False
        try:
            proposals.submit(RequestKind.PUT, raw, None, lambda result, error: None)
        except RequestTooLargeError:
            refused = True
        assert refused == (len(in_etcds_log) > 1000) == (not proposals.queue), size
