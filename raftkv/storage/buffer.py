"""Applied changes on their way to the store: a chain of buffers over the last commit. Hot path.

Owns which changes are not yet in the store's last commit, and the rule by which a reader sees them (design §4 rule 6):
chain first, store snapshot second, the newest buffer wins, a delete is an entry. Loop only; the store's thread is handed
frozen batches, which nobody changes any more.

    batches = tables.seal()                                    # loop
    worker.submit(lambda: backend.commit(batches), report)     # store's thread
    tables.committed(batches)                                  # loop, in report

Measured: get of a buffered key 0.08–0.14 µs, of one in LMDB 0.45 µs; put 0.07 µs.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from raftkv.storage.backend import Backend, Reader, Table, WriteBatch
from raftkv.storage.overlay import overlaid, within

_SIZE = max(Table) + 1
_ABSENT = object()

_UNSEALED_MAX = 16
"""Buffers frozen by views and not yet sealed; at the bound they are merged into one, because each costs every get a lookup."""


class _Buffer:
    """Changes by table number. Frozen ones are immutable and keep their keys sorted once a scan asked for them."""

    __slots__ = ("_sorted", "count", "tables")

    def __init__(self) -> None:
        self.tables: list[dict[bytes, bytes | None]] = [{} for _ in range(_SIZE)]
        self.count = 0
        self._sorted: list[list[bytes] | None] = [None] * _SIZE

    def keys_within(self, table: Table, low: bytes, high: bytes | None, *, frozen: bool) -> Sequence[bytes]:
        keys = self._sorted[table]
        if keys is None:
            keys = sorted(self.tables[table])
            if frozen:
                self._sorted[table] = keys
        return within(keys, low, high)

    def batch(self) -> WriteBatch:
        """The same dicts under their table names."""
        return {table: self.tables[table] for table in Table if self.tables[table]}


def _scan(
    chain: Sequence[_Buffer], reader: Reader, table: Table, low: bytes, high: bytes | None, *, reverse: bool, frozen: int
) -> Iterator[tuple[bytes, bytes]]:
    """Oldest buffer first in `chain`; the first `frozen` of them are immutable."""
    changes: dict[bytes, bytes | None] = {}
    for position, buffer in enumerate(chain):
        pairs = buffer.tables[table]
        if pairs:
            for key in buffer.keys_within(table, low, high, frozen=position < frozen):
                changes[key] = pairs[key]
    base = reader.scan(table, low, high, reverse=reverse)
    return overlaid(changes, base, reverse=reverse) if changes else base


class BufferedView:
    """A pinned view: the chain as it was, over a store snapshot taken after it."""

    __slots__ = ("_chain", "_newest_first", "_reader")

    def __init__(self, chain: tuple[_Buffer, ...], reader: Reader) -> None:
        self._chain = chain
        self._newest_first = tuple(reversed(chain))
        self._reader = reader

    def get(self, table: Table, key: bytes) -> bytes | None:
        """See Reader."""
        for buffer in self._newest_first:
            value = buffer.tables[table].get(key, _ABSENT)
            if value is not _ABSENT:
                return value  # type: ignore[return-value]  # only the default has another type
        return self._reader.get(table, key)

    def get_many(self, table: Table, keys: Sequence[bytes]) -> list[bytes | None]:
        """See Reader."""
        return [self.get(table, key) for key in keys]

    def scan(self, table: Table, low: bytes, high: bytes | None, *, reverse: bool = False) -> Iterator[tuple[bytes, bytes]]:
        """See Reader."""
        return _scan(self._chain, self._reader, table, low, high, reverse=reverse, frozen=len(self._chain))

    def close(self) -> None:
        """See Reader."""
        self._reader.close()
        self._chain = self._newest_first = ()


class BufferedTables:
    """See Tables. Invariants:

    1. `_reader` and the chain together hold every change made; nothing is dropped from the chain before `_reader` sees it.
    2. The chain is sealed buffers, then frozen unsealed ones, then the active one; only the active one changes.
    3. `pending_records` counts the changes in buffers not yet sealed.
    """

    def __init__(self, backend: Backend) -> None:
        self._backend = backend
        self._reader = backend.reader()
        self._sealed: list[_Buffer] = []
        self._unsealed: list[_Buffer] = []
        self._handed_out: list[tuple[WriteBatch, ...]] = []
        self._start_active()

    @property
    def pending_records(self) -> int:
        """Changes not yet sealed."""
        return sum(buffer.count for buffer in self._unsealed) + sum(map(len, self._tables))

    @property
    def uncommitted_records(self) -> int:
        """Changes not known to be in the store: the sealed ones and the pending ones."""
        return sum(buffer.count for buffer in self._sealed) + self.pending_records

    def get(self, table: Table, key: bytes) -> bytes | None:
        """See Tables."""
        value = self._tables[table].get(key, _ABSENT)
        if value is not _ABSENT:
            return value  # type: ignore[return-value]  # only the default has another type
        for tables in self._older:
            value = tables[table].get(key, _ABSENT)
            if value is not _ABSENT:
                return value  # type: ignore[return-value]  # as above
        return self._reader.get(table, key)

    def get_many(self, table: Table, keys: Sequence[bytes]) -> list[bytes | None]:
        """See Tables."""
        get = self.get
        return [get(table, key) for key in keys]

    def scan(self, table: Table, low: bytes, high: bytes | None, *, reverse: bool = False) -> Iterator[tuple[bytes, bytes]]:
        """See Tables."""
        frozen = [*self._sealed, *self._unsealed]
        return _scan([*frozen, self._active], self._reader, table, low, high, reverse=reverse, frozen=len(frozen))

    def put(self, table: Table, key: bytes, value: bytes) -> None:
        """See Tables."""
        self._tables[table][key] = value

    def delete(self, table: Table, key: bytes) -> None:
        """See Tables."""
        self._tables[table][key] = None

    def view(self) -> Reader:
        """See Tables. Freezes the active buffer, so a view costs the same however much is buffered."""
        self._freeze()
        if len(self._unsealed) > _UNSEALED_MAX:
            self._merge_unsealed()
        return BufferedView((*self._sealed, *self._unsealed), self._backend.reader())

    def seal(self) -> tuple[WriteBatch, ...]:
        """Freezes what was written since the last seal and hands it out for one commit, oldest first; empty when nothing was."""
        self._freeze()
        if not self._unsealed:
            return ()
        if len(self._unsealed) > 1:
            self._merge_unsealed()
        buffer = self._unsealed.pop()
        self._sealed.append(buffer)
        batches = (buffer.batch(),)
        self._handed_out.append(batches)
        return batches

    def committed(self, batches: tuple[WriteBatch, ...]) -> None:
        """The commit of these batches, the oldest handed out, has returned: they are now read from the store."""
        if not batches:
            return
        assert self._handed_out and self._handed_out[0] is batches, "commits are reported in the order they were sealed"
        # Invariant 1: the store's view is renewed before the buffer goes.
        old, self._reader = self._reader, self._backend.reader()
        old.close()
        del self._handed_out[0]
        del self._sealed[0]
        self._list_older()

    def close(self) -> None:
        """Drops the store's view; nothing may be read afterwards."""
        self._reader.close()

    def _freeze(self) -> None:
        count = sum(map(len, self._tables))
        if count:
            self._active.count = count
            self._unsealed.append(self._active)
            self._start_active()

    def _start_active(self) -> None:
        self._active = _Buffer()
        self._tables = self._active.tables
        self._list_older()

    def _merge_unsealed(self) -> None:
        merged = _Buffer()
        for buffer in self._unsealed:
            for into, pairs in zip(merged.tables, buffer.tables, strict=True):
                into.update(pairs)
        merged.count = sum(map(len, merged.tables))
        self._unsealed = [merged]
        self._list_older()

    def _list_older(self) -> None:
        self._older = tuple(buffer.tables for buffer in reversed([*self._sealed, *self._unsealed]))
