"""The fingerprint of a run: every event goes in, two runs of one seed must come out equal.

Holds integers only (virtual time, member, kind of event, a digest of what it carried), so that neither the addresses of
objects nor the interpreter's hash seed can show. Hot path: an event costs one extension of a list.
"""

from __future__ import annotations

import hashlib
from struct import pack

FLUSH_AT = 1 << 10
"""Numbers that are best hashed in one go."""


class TraceHash:
    """A rolling hash. With `keep`, all numbers stay, so that the first difference of two runs can be shown."""

    __slots__ = ("_hash", "count", "kept", "numbers")

    def __init__(self, *, keep: bool = False) -> None:
        self.numbers: list[int] = []
        self.kept: list[int] | None = [] if keep else None
        self.count = 0
        self._hash = hashlib.blake2b(digest_size=16)

    def flush(self) -> None:
        """Take in what `numbers` gathered; callers add to it directly and call this now and then."""
        numbers = self.numbers
        self.count += len(numbers)
        # Twice as fast as an array made of them.
        self._hash.update(pack(f"{len(numbers)}q", *numbers))
        if self.kept is not None:
            self.kept += numbers
        numbers.clear()

    def hexdigest(self) -> str:
        """The hash of all events so far."""
        self.flush()
        return self._hash.hexdigest()
