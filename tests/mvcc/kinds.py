"""The kinds of tables the store is tested on, each with commits and power cuts."""

from __future__ import annotations

import random

from raftkv.storage.backend import Tables
from raftkv.storage.buffer import BufferedTables
from raftkv.storage.memory_backend import MemoryBackend
from raftkv.storage.memory_fs import MemoryFileSystem
from tests.mvcc.dict_tables import DictTables


class DictKind:
    """The dictionaries of this folder; what is committed is a copy."""

    def __init__(self) -> None:
        self._tables = DictTables()
        self._committed = DictTables()

    def tables(self) -> Tables:
        return self._tables

    def commit(self) -> None:
        self._committed = self._tables.copy()

    def crash(self) -> Tables:
        self._tables = self._committed.copy()
        return self._tables


class BufferKind:
    """What a member uses, on the in-memory backend."""

    def __init__(self) -> None:
        self._fs = MemoryFileSystem()
        self._rng = random.Random(1)
        self._open()

    def _open(self) -> None:
        self._backend = MemoryBackend(self._fs, "/store")
        self._tables = BufferedTables(self._backend)

    def tables(self) -> Tables:
        return self._tables

    def commit(self) -> None:
        batches = self._tables.seal()
        self._backend.commit(batches)
        self._tables.committed(batches)

    def crash(self) -> Tables:
        self._fs.lose_power(self._rng)
        self._open()
        return self._tables


KINDS = (DictKind, BufferKind)
Kind = DictKind | BufferKind
