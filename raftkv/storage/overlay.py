"""Changes laid over sorted pairs: how a reader sees writes that its base does not hold.

Owns the merge that the buffers above the store (`buffer.py`) and the old views of the in-memory store
(`memory_backend.py`) share. Pure; any thread.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Mapping, Sequence

Changes = Mapping[bytes, bytes | None]
"""Key to its value; None: there is no such key."""


def within(keys: Sequence[bytes], low: bytes, high: bytes | None) -> Sequence[bytes]:
    """Those of the sorted keys with low <= key < high."""
    return keys[bisect_left(keys, low) : len(keys) if high is None else bisect_left(keys, high)]


def overlaid(changes: Changes, base: Iterator[tuple[bytes, bytes]], *, reverse: bool = False) -> Iterator[tuple[bytes, bytes]]:
    """Pairs of base with the changes made to them, in key order; a key of `changes` hides the base's."""
    order = iter(sorted(changes, reverse=reverse))
    change = next(order, None)
    for key, value in base:
        while change is not None and (change > key if reverse else change < key):
            changed = changes[change]
            if changed is not None:
                yield change, changed
            change = next(order, None)
        if change == key:
            changed = changes[key]
            if changed is not None:
                yield key, changed
            change = next(order, None)
        else:
            yield key, value
    while change is not None:
        changed = changes[change]
        if changed is not None:
            yield change, changed
        change = next(order, None)
