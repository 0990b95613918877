"""Numbers of the list that no edit stands for, and why."""

from __future__ import annotations

from typing import NamedTuple


class Absent(NamedTuple):
    """Why there is no mutant of a number."""

    what: str
    """The way to be wrong."""

    waits_for: str
    """The feature that is not built; empty where the design leaves no place for it."""

    why: str


ABSENT = {
    15: Absent(
        "lease reads with a clock that drifts",
        "",
        "no read is served on the strength of a leader's clock: every linearizable read has a quorum round",
    ),
    16: Absent("lease read kept after a leader transfer", "", "as 15: there are no lease reads"),
    51: Absent("defrag crash makes revisions differ", "defragmentation", "Defragment waits for the store to be durable and moves nothing"),
    52: Absent("snapshot applied while a defragmentation runs", "defragmentation", "as 51; a snapshot beside a running commit is 82"),
    60: Absent("users and roles not in the snapshot", "authentication", "there are no users; everything replicated lies in one store"),
    71: Absent("Lock returns though its lease has ended", "lock service", "Lock and Election are answered UNIMPLEMENTED"),
}
