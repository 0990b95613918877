"""Tables over sorted dictionaries: the smallest thing that keeps the rules, with crashes at any commit."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from sortedcontainers import SortedDict

from raftkv.storage.backend import Table


class DictReader:
    """A view; also the read half of DictTables."""

    def __init__(self, tables: dict[Table, SortedDict]) -> None:
        self._tables = tables

    def get(self, table: Table, key: bytes) -> bytes | None:
        return self._tables[table].get(key)

    def get_many(self, table: Table, keys: Sequence[bytes]) -> list[bytes | None]:
        return list(map(self._tables[table].get, keys))

    def scan(self, table: Table, low: bytes, high: bytes | None, *, reverse: bool = False) -> Iterator[tuple[bytes, bytes]]:
        rows = self._tables[table]
        for key in rows.irange(low, high, (True, False), reverse=reverse):
            yield key, rows[key]

    def close(self) -> None:
        pass


class DictTables(DictReader):
    """Everything written is kept at once; `copy` is what a restart finds."""

    def __init__(self) -> None:
        super().__init__({table: SortedDict() for table in Table})

    def put(self, table: Table, key: bytes, value: bytes) -> None:
        self._tables[table][key] = value

    def delete(self, table: Table, key: bytes) -> None:
        self._tables[table].pop(key, None)

    def view(self) -> DictReader:
        return DictReader({table: rows.copy() for table, rows in self._tables.items()})

    def copy(self) -> DictTables:
        copied = DictTables()
        copied._tables = {table: rows.copy() for table, rows in self._tables.items()}
        return copied
