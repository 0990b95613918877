"""The index: where the record of a key at a revision lies, from memory alone.

Owns the present revision of every live key, the ordered keys and the histories. Knows no values and reads no tables; it
is rebuilt from them when a store is opened. A present revision is packed into 41 bytes, the first 17 of which are the
record's table key (17 + create revision, version, lease: 80 bytes of memory a key, nothing for the collector to walk).

Invariants:
1. `keys` holds exactly the keys of `live`.
2. `dead` holds exactly the keys that have a history and are not live; the newest entry of each is a tombstone.
3. A live key's history is older than its present revision.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from heapq import merge
from typing import Final

from raftkv.mvcc.key_history import KeyHistory
from raftkv.mvcc.key_tree import KeyTree
from raftkv.mvcc.kv import KeyState
from raftkv.mvcc.record import Header
from raftkv.mvcc.revision import PUT_KEY_BYTES, main_of, parse_key

_LIVE: Final = struct.Struct(">QcQQQq")
_pack = _LIVE.pack
_pack_tail = struct.Struct(">QQq").pack
_unpack = _LIVE.unpack
_MISSING: Final = KeyState(0, 0, 0, 0)


class KeyIndex:
    """See the module."""

    __slots__ = ("_live", "dead", "history", "keys")

    def __init__(self) -> None:
        self._live: dict[bytes, bytes] = {}
        self.keys = KeyTree()
        self.dead = KeyTree()
        self.history = KeyHistory()

    def __len__(self) -> int:
        """Live keys."""
        return len(self._live)

    def put(self, key: bytes, main: int, sub: int, lease: int) -> tuple[int, int]:
        """Makes (main, sub) the key's present revision; returns its create revision and version."""
        present = self._live.get(key)
        if present is None:
            self.keys.add(key)
            if key in self.history:
                self.dead.remove(key)
            self._live[key] = _pack(main, b"_", sub, main, 1, lease)
            return main, 1
        old_main, separator, old_sub, create, version, _ = _unpack(present)
        version += 1
        self.history.append(key, old_main, old_sub)
        self._live[key] = _pack(main, separator, sub, create, version, lease)
        return create, version

    def delete(self, key: bytes, main: int, sub: int) -> None:
        """Ends a live key by a tombstone at (main, sub)."""
        old_main, _, old_sub, _, _, _ = _unpack(self._live.pop(key))
        self.keys.remove(key)
        self.dead.add(key)
        self.history.append(key, old_main, old_sub)
        self.history.append(key, main, sub, is_tombstone=True)

    def state(self, key: bytes) -> KeyState:
        """What compares need; zeros for a key that is not live."""
        present = self._live.get(key)
        if present is None:
            return _MISSING
        main, _, _, create, version, lease = _unpack(present)
        return KeyState(create, main, version, lease)

    def lease_of(self, key: bytes) -> int:
        """The live key's lease, 0 for none."""
        present = self._live.get(key)
        return 0 if present is None else _unpack(present)[5]

    def leased_keys(self) -> Iterator[tuple[bytes, int]]:
        """Live keys with a lease, in no order."""
        for key, present in self._live.items():
            lease = _unpack(present)[5]
            if lease:
                yield key, lease

    def __contains__(self, key: bytes) -> bool:
        return key in self._live

    def locate_present(self, key: bytes) -> bytes | None:
        """Table key of a live key's record."""
        present = self._live.get(key)
        return None if present is None else present[:PUT_KEY_BYTES]

    def locate(self, key: bytes, revision: int) -> bytes | None:
        """Table key of the record a read at `revision` sees; None when the key did not exist then."""
        present = self._live.get(key)
        if present is not None and main_of(present) <= revision:
            return present[:PUT_KEY_BYTES]
        return self.history.locate(key, revision)

    def candidates(self, low: bytes, high: bytes | None) -> Iterator[bytes]:
        """Every key of the range that may have existed at some readable revision, in order, lazily."""
        live = self.keys.iterate(low, high)
        if not self.dead.count(low, high):
            return live
        return merge(live, self.dead.iterate(low, high))

    def prune(self, key: bytes, revision: int, limit: int) -> tuple[list[bytes], bool]:
        """See `KeyHistory.prune`; forgets a key nothing is left of."""
        present = self._live.get(key)
        removed, more = self.history.prune(key, revision, 0 if present is None else main_of(present), limit)
        if present is None and key not in self.history:
            self.dead.remove(key)
        return removed, more

    def load(self, table_key: bytes, header: Header) -> None:
        """Adds a record while a store is opened; records come in the order of their revisions, `finish_load` ends it."""
        key = header.key
        present = self._live.get(key)
        if present is not None:
            old_main, _, old_sub, _, _, _ = _unpack(present)
            self.history.append(key, old_main, old_sub)
        self._live[key] = table_key + _pack_tail(header.create_revision, header.version, header.lease)

    def load_tombstone(self, table_key: bytes, key: bytes) -> None:
        """Adds a deletion while a store is opened. The puts before it may have been compacted away."""
        present = self._live.pop(key, None)
        if present is not None:
            old_main, _, old_sub, _, _, _ = _unpack(present)
            self.history.append(key, old_main, old_sub)
        main, sub, _ = parse_key(table_key)
        self.history.append(key, main, sub, is_tombstone=True)

    def finish_load(self) -> None:
        """Orders the keys once all records are in."""
        live = self._live
        self.keys.update(live)
        self.dead.update([key for key in self.history if key not in live])

    def check_invariants(self, given_away: list[bytes]) -> None:
        """Asserts the numbered invariants of index and histories; walks everything."""
        self.history.check_invariants(given_away)
        live = self._live
        assert list(self.keys) == sorted(live), "1: ordered keys differ from live keys"
        assert list(self.dead) == sorted(key for key in self.history if key not in live), "2: dead keys"
        for key in self.history:
            newest = parse_key(self.history.entries(key)[-1])
            present = live.get(key)
            if present is None:
                assert newest.is_tombstone, "2: a dead key without tombstone"
            else:
                assert newest[:2] < parse_key(present[:PUT_KEY_BYTES])[:2], "3: history above the present"
