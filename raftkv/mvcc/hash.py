"""Hashes of the store: HashKV, which members compare, and Hash, which covers everything one member has stored.

HashKV at revision r, as etcd computes it (server/storage/mvcc/hash.go): crc32c over `key`, the name of etcd's bucket, then
over table key and marshalled KeyValue of every record at or below r in the order of revisions, of a tombstone the
KeyValue with the key alone. Records at or below the compact revision count only if a read at r sees them, so it does not
matter how much of a compaction a member has carried out; a tombstone of the compact revision itself never counts.
(etcd also counts, when no key at all is alive at r, whatever its compaction has left; we do not, because that would depend
on it.)

Both run in slices over a pinned view: `while hash.step(limit): …`, then `result`. Loop only.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from itertools import islice
from typing import Final, NamedTuple

from crc32c import crc32c

from raftkv.errors import CompactedError, FutureRevError
from raftkv.mvcc.record import body_of, key_of, unseal
from raftkv.mvcc.revision import TOMBSTONE_KEY_BYTES, main_of
from raftkv.mvcc.store import Store
from raftkv.storage.backend import Reader, Table
from raftkv.wire import varint

_BUCKET: Final = b"key"


class HashKVResult(NamedTuple):
    """A HashKV answer."""

    hash: int
    compact_revision: int
    """The one the hash was taken at; -1 before the first compaction."""

    hash_revision: int


class _Hashing(ABC):
    """A crc32c of records in slices. The view is held until `close` or the last `step`."""

    def __init__(self, view: Reader, records: Iterator[tuple[bytes, bytes]], crc: int) -> None:
        self._view = view
        self._records = records
        self._crc = crc
        self._is_done = False

    def step(self, limit: int = 1000) -> bool:
        """Hashes up to `limit` records; True while there is more to do."""
        if not self._is_done:
            self._crc, count = self._hashed(self._crc, islice(self._records, limit))
            if count < limit:
                self._is_done = True
                self.close()
        return not self._is_done

    @abstractmethod
    def _hashed(self, crc: int, records: Iterator[tuple[bytes, bytes]]) -> tuple[int, int]:
        """The hash with these records, and how many they were."""

    def close(self) -> None:
        """Lets go of the view; idempotent."""
        self._records = iter(())
        self._view.close()


class HashKV(_Hashing):
    """HashKV of one revision, under way."""

    def __init__(self, store: Store, revision: int = 0) -> None:
        """Pins the store as it is now.

        Raises:
            FutureRevError: the revision is above the newest.
            CompactedError: it has been compacted. 0 or less means the newest.
        """
        if revision > store.revision:
            raise FutureRevError
        if 0 < revision < store.compact_revision:
            raise CompactedError
        self._store = store
        self._revision = revision if revision > 0 else store.revision
        self._compact_revision = store.compact_revision
        view = store.view()
        super().__init__(view, view.scan(Table.KEY, b"", (self._revision + 1).to_bytes(8, "big")), crc32c(_BUCKET))

    def step(self, limit: int = 1000) -> bool:
        """See the base class.

        Raises:
            CompactedError: a compaction above the revision came in between, so what is seen at it is no longer known.
            CorruptionError: a record fails its checksum.
        """
        if not self._is_done and self._store.compact_revision > self._revision:
            self.close()
            raise CompactedError
        return super().step(limit)

    def _hashed(self, crc: int, records: Iterator[tuple[bytes, bytes]]) -> tuple[int, int]:
        count = 0
        for table_key, stored in records:
            count += 1
            record = unseal(table_key, stored)
            is_tombstone = len(table_key) == TOMBSTONE_KEY_BYTES
            if main_of(table_key) <= self._compact_revision and (
                is_tombstone or self._store.located(key_of(record), self._revision) != table_key
            ):
                continue
            if is_tombstone:
                key = key_of(record)
                body = b"\x0a" + varint(len(key)) + key
            else:
                body = body_of(record)
            crc = crc32c(body, crc32c(table_key, crc))
        return crc, count

    @property
    def result(self) -> HashKVResult:
        """The hash, once `step` has returned False."""
        assert self._is_done
        return HashKVResult(self._crc, self._compact_revision, self._revision)


class HashState(_Hashing):
    """crc32c of every table of one member, under way. Two members' are not comparable: their compactions differ."""

    def __init__(self, view: Reader) -> None:
        """Takes over the view and closes it."""
        super().__init__(view, _all_rows(view), 0)

    def _hashed(self, crc: int, records: Iterator[tuple[bytes, bytes]]) -> tuple[int, int]:
        count = 0
        for key, value in records:
            count += 1
            crc = crc32c(value, crc32c(key, crc))
        return crc, count

    @property
    def result(self) -> int:
        """The hash, once `step` has returned False."""
        assert self._is_done
        return self._crc


def _all_rows(view: Reader) -> Iterator[tuple[bytes, bytes]]:
    for table in Table:
        yield bytes((table,)), b""
        yield from view.scan(table, b"", None)
