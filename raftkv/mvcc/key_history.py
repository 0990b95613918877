"""Superseded revisions of every key, packed.

A key's history holds, oldest first, every revision that is not its present one: earlier puts and all tombstones, each
packed into 12 bytes of one bytearray. A generation (the key's life between tombstones) needs no mark of its own: a
tombstone ends one and the next entry begins the next. Keys never changed since they were made have no history, so
the dictionary holds only keys that a compaction may have to look at; the collector has nothing here to walk.

Invariants:
1. Entries of a key ascend by (main, sub); none is empty.
2. Every key with a history is named exactly once: in `_waiting`, or in a list that `take_keys` gave away.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import Final

from raftkv.mvcc.revision import put_key, tombstone_key

_ENTRY: Final = struct.Struct(">QI")
_pack = _ENTRY.pack
_unpack_from = _ENTRY.unpack_from
_ENTRY_BYTES: Final = _ENTRY.size


def _table_key(packed: bytearray, entry: int) -> bytes:
    main, mark = _unpack_from(packed, entry * _ENTRY_BYTES)
    return tombstone_key(main, mark >> 1) if mark & 1 else put_key(main, mark >> 1)


def _count_up_to(packed: bytearray, revision: int) -> int:
    """Entries with main <= revision. Readers mostly ask for recent revisions, so the newest entry is looked at first."""
    high = len(packed) // _ENTRY_BYTES
    if high and _unpack_from(packed, (high - 1) * _ENTRY_BYTES)[0] <= revision:
        return high
    low = 0
    while low < high:
        middle = (low + high) >> 1
        if _unpack_from(packed, middle * _ENTRY_BYTES)[0] <= revision:
            low = middle + 1
        else:
            high = middle
    return low


class KeyHistory:
    """Histories by key; see the module for the invariants."""

    __slots__ = ("_packed", "_waiting")

    def __init__(self) -> None:
        self._packed: dict[bytes, bytearray] = {}
        self._waiting: list[bytes] = []

    def __len__(self) -> int:
        """Keys with a history."""
        return len(self._packed)

    def __iter__(self) -> Iterator[bytes]:
        return iter(self._packed)

    def __contains__(self, key: bytes) -> bool:
        return key in self._packed

    def entry_count(self) -> int:
        """Superseded revisions held. Walks all keys: for `statistics` of small stores and for tests."""
        return sum(map(len, self._packed.values())) // _ENTRY_BYTES

    def append(self, key: bytes, main: int, sub: int, *, is_tombstone: bool = False) -> None:
        """Adds the revision that has just been superseded, or a tombstone."""
        packed = self._packed.get(key)
        if packed is None:
            self._packed[key] = bytearray(_pack(main, sub << 1 | is_tombstone))
            self._waiting.append(key)
        else:
            packed += _pack(main, sub << 1 | is_tombstone)

    def locate(self, key: bytes, revision: int) -> bytes | None:
        """Table key of the newest entry at or below a revision; None when there is none or it is a tombstone."""
        packed = self._packed.get(key)
        if packed is None:
            return None
        count = _count_up_to(packed, revision)
        if not count:
            return None
        main, mark = _unpack_from(packed, (count - 1) * _ENTRY_BYTES)
        return None if mark & 1 else put_key(main, mark >> 1)

    def entries(self, key: bytes) -> list[bytes]:
        """Table keys of a key's whole history, oldest first."""
        packed = self._packed.get(key, bytearray())
        return [_table_key(packed, entry) for entry in range(len(packed) // _ENTRY_BYTES)]

    def take_keys(self) -> list[bytes]:
        """Hands every waiting key to a compaction, which prunes each; `prune` puts those that keep a history back."""
        taken = self._waiting
        self._waiting = []
        return taken

    def prune(self, key: bytes, revision: int, live_main: int, limit: int) -> tuple[list[bytes], bool]:
        """Removes what a compaction at `revision` makes unreadable, oldest first, at most `limit` entries.

        Goes: every entry below the newest one at or before the revision, and that one too if it is a tombstone from
        before the revision. Stays: whatever carries the compact revision itself, tombstones included, because a
        watcher may still start there.

        Args:
            key: one that `take_keys` gave; it must be asked again until the second result is False.
            revision: the compact revision.
            live_main: main of the key's present revision, 0 for a key that is deleted.
            limit: entries.

        Returns:
            The table keys removed, oldest first, and whether more of this key has to go.
        """
        packed = self._packed[key]
        below = _count_up_to(packed, revision - 1)
        removable = below
        if below and not 0 < live_main <= revision:
            newest_is_at_revision = below * _ENTRY_BYTES < len(packed) and _unpack_from(packed, below * _ENTRY_BYTES)[0] == revision
            newest_below_is_tombstone = _unpack_from(packed, (below - 1) * _ENTRY_BYTES)[1] & 1
            if not newest_is_at_revision and not newest_below_is_tombstone:
                removable = below - 1
        taken = min(removable, limit)
        removed = [_table_key(packed, entry) for entry in range(taken)]
        if taken:
            del packed[: taken * _ENTRY_BYTES]
        if taken < removable:
            return removed, True
        if packed:
            self._waiting.append(key)
        else:
            del self._packed[key]
        return removed, False

    def check_invariants(self, given_away: list[bytes]) -> None:
        """Asserts the numbered invariants; `given_away` are the keys a compaction still holds."""
        named = self._waiting + given_away
        assert len(named) == len(set(named)), "2: a key is named twice"
        assert set(named) == set(self._packed), "2: a key with a history is not named"
        for key, packed in self._packed.items():
            entries = self.entries(key)
            assert packed and entries == sorted(set(entries)), "1: entries out of order"
