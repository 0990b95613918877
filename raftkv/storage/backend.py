"""SEAM: tables of the replicated state, durable by whole commits.

`Backend` is what LMDB and the in-memory store implement (one conformance suite). `Tables` is what the state machine
sees: the backend's last commit under a chain of buffers with what was applied since (`storage/buffer.py`).
No table key is made from a user's key, so keys stay far below LMDB's 511 bytes.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from enum import IntEnum
from typing import Protocol


class Table(IntEnum):
    """Every table there is. Numbers are part of the stored format."""

    KEY = 1
    """Revision (17 or 18 bytes, as etcd's) to record; see mvcc/revision.py."""

    META = 2
    """Applied index and term, compaction marks, configuration, cluster version, format."""

    LEASE = 3
    """Lease id, 8 bytes big-endian, to its granted and remaining TTL."""

    MEMBER = 4
    """Member id, 8 bytes big-endian, to its URLs and name; removed members keep a mark."""

    ALARM = 5
    """Member id and alarm type to nothing."""

    AUTH = 6
    """Reserved for users, roles and the auth revision."""


WriteBatch = dict[Table, dict[bytes, bytes | None]]
"""Table to key to value; None deletes. Later batches win over earlier ones."""


class Reader(Protocol):
    """One consistent view. Long-lived readers keep old pages from being reused: close them."""

    def get(self, table: Table, key: bytes) -> bytes | None:
        """The value, or None."""

    def get_many(self, table: Table, keys: Sequence[bytes]) -> list[bytes | None]:
        """One value or None for each key, in the order asked."""

    def scan(self, table: Table, low: bytes, high: bytes | None, *, reverse: bool = False) -> Iterator[tuple[bytes, bytes]]:
        """Pairs of low <= key < high in key order (high None: to the end)."""

    def close(self) -> None:
        """Idempotent."""


class Backend(Protocol):
    """Durable tables. `commit` runs on the store's thread; readers may be opened on any thread."""

    def commit(self, batches: Sequence[WriteBatch]) -> None:
        """Applies the batches in order as one transaction; durable when it returns. An OSError ends the member."""

    def reader(self) -> Reader:
        """A view of the last commit."""

    def size_bytes(self) -> int:
        """Bytes the store takes on disk; never 0."""

    def size_in_use_bytes(self) -> int:
        """Bytes of it that hold live pages."""

    def close(self) -> None:
        """Idempotent; called by the thread that commits."""


class Tables(Protocol):
    """What the state machine reads and writes. Loop only. Reads see every write made before them."""

    def get(self, table: Table, key: bytes) -> bytes | None:
        """The value, or None."""

    def get_many(self, table: Table, keys: Sequence[bytes]) -> list[bytes | None]:
        """One value or None for each key, in the order asked."""

    def scan(self, table: Table, low: bytes, high: bytes | None, *, reverse: bool = False) -> Iterator[tuple[bytes, bytes]]:
        """Pairs of low <= key < high; the tables must not be written while the iterator lives."""

    def put(self, table: Table, key: bytes, value: bytes) -> None:
        """Into the newest buffer; durable with the commit that contains it."""

    def delete(self, table: Table, key: bytes) -> None:
        """As put, of nothing."""

    def view(self) -> Reader:
        """A pinned view of now, for work that spans turns; buffers first, snapshot second (design §4 rule 6)."""


class BackendOpener(Protocol):
    """Makes and opens stores: LMDB in production, in memory in the simulator. A store is one file at `path`, which may be
    renamed like any other while it is closed.
    """

    def open(self, path: str) -> Backend:
        """Opens the store, made empty when missing. Raises ConfigError for a format it does not know, CorruptionError."""

    def side_files(self, path: str) -> tuple[str, ...]:
        """Files beside `path` that mean nothing while the store is closed and go when it is removed or replaced."""
