"""Rounds of linearizable reads: which reads join which round, and how often a leader is asked."""

from __future__ import annotations

from raftkv.raft.messages import ReadState
from raftkv.server.reads import Reads


def test_round_under_way_is_not_asked_again_because_others_wait() -> None:
    """A round is asked once of each leader; those who wait behind it cost nothing until it is answered (found by seed 15 of 10 s)."""
    served: list[Exception | None] = []
    reads = Reads(timeout_s=7.0, wake=lambda: None)
    reads.submit(served.append)
    context = reads.start_round(2, 1.0)
    assert context is not None
    reads.submit(served.append)
    assert reads.start_round(2, 1.0) is None
    assert reads.take_unasked(2, 1.0) is None
    reads.leader_changed(known=True)
    again = reads.take_unasked(3, 1.1)
    assert again is not None and again != context
    assert reads.take_unasked(3, 1.1) is None
    reads.answered((ReadState(5, again),))
    assert len(reads.take_ready(5)) == 1
    assert reads.start_round(3, 1.2) is not None
