"""The newest records in memory, up to a byte budget.

Two generations: puts go into the young one; when the budget is full, records leave from the old one a few at a time, and
once that is empty the young one becomes the old. So the oldest written records go first, each in constant time, and no
eviction ever frees more than it must (dropping a whole generation would stop the loop for 10 ms).
Only a record that is its key's present one is ever held: `put` and `drop` follow every change.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final

ENTRY_OVERHEAD_BYTES: Final = 160
"""Counted for each record beside key and record: object heads and the dictionary's slot."""


class RecordCache:
    """Key to present record. Hot path."""

    __slots__ = ("_old", "_young", "budget_bytes", "size_bytes")

    def __init__(self, budget_bytes: int) -> None:
        self.budget_bytes = budget_bytes
        self.size_bytes = 0
        self._young: dict[bytes, bytes] = {}
        self._old: dict[bytes, bytes] = {}

    def __len__(self) -> int:
        return len(self._young) + len(self._old)

    def get(self, key: bytes) -> bytes | None:
        """The present record, if held."""
        return self._young.get(key) or self._old.get(key)

    def get_many(self, keys: Iterable[bytes]) -> list[bytes | None]:
        """As `get` for each."""
        records: list[bytes | None] = list(map(self._young.get, keys))
        if self._old and None in records:
            old = self._old.get
            for place, key in enumerate(keys):
                if records[place] is None:
                    records[place] = old(key)
        return records

    def put(self, key: bytes, record: bytes) -> None:
        """Holds the key's new present record; may let others go."""
        former = self._young.get(key) or self._old.pop(key, None)
        self._young[key] = record
        if former is not None:
            self.size_bytes += len(record) - len(former)
        else:
            self.size_bytes += len(record) + len(key) + ENTRY_OVERHEAD_BYTES
        if self.size_bytes > self.budget_bytes:
            self._evict()

    def offer(self, key: bytes, record: bytes) -> None:
        """Holds a record read from the tables if there is room: a long range must not drive out what was just written."""
        if self.size_bytes < self.budget_bytes:
            self.put(key, record)

    def drop(self, key: bytes) -> None:
        """Forgets a key."""
        record = self._young.pop(key, None) or self._old.pop(key, None)
        if record is not None:
            self.size_bytes -= len(record) + len(key) + ENTRY_OVERHEAD_BYTES

    def items(self) -> Iterator[tuple[bytes, bytes]]:
        """Everything held, in no order."""
        yield from self._young.items()
        yield from self._old.items()

    @staticmethod
    def cost(key: bytes, record: bytes) -> int:
        """Bytes one record counts for."""
        return len(record) + len(key) + ENTRY_OVERHEAD_BYTES

    def _evict(self) -> None:
        while self.size_bytes > self.budget_bytes:
            if not self._old:
                self._old, self._young = self._young, {}
            key, record = self._old.popitem()
            self.size_bytes -= len(record) + len(key) + ENTRY_OVERHEAD_BYTES
