"""The naive store: every version of every key in a list, every answer by walking it. Also naive tables."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from raftkv.errors import CompactedError, FutureRevError
from raftkv.mvcc.kv import Event, KeyState, RangeResult
from raftkv.pb import kv
from raftkv.storage.backend import Reader, Table


class DictTables:
    """Tables in dictionaries. `view` is a copy."""

    def __init__(self) -> None:
        self.rows: dict[Table, dict[bytes, bytes]] = {table: {} for table in Table}

    def get(self, table: Table, key: bytes) -> bytes | None:
        return self.rows[table].get(key)

    def get_many(self, table: Table, keys: Sequence[bytes]) -> list[bytes | None]:
        return [self.rows[table].get(key) for key in keys]

    def scan(self, table: Table, low: bytes, high: bytes | None, *, reverse: bool = False) -> Iterator[tuple[bytes, bytes]]:
        for key in sorted(self.rows[table], reverse=reverse):
            if low <= key and (high is None or key < high):
                yield key, self.rows[table][key]

    def put(self, table: Table, key: bytes, value: bytes) -> None:
        self.rows[table][key] = value

    def delete(self, table: Table, key: bytes) -> None:
        self.rows[table].pop(key, None)

    def view(self) -> Reader:
        copy = DictTables()
        copy.rows = {table: dict(rows) for table, rows in self.rows.items()}
        return copy

    def close(self) -> None:
        pass


def record(item: kv.KeyValue) -> bytes:
    body = item.SerializeToString()
    head = bytearray(b"\x12")
    size = len(body)
    while size > 0x7F:
        head.append(size & 0x7F | 0x80)
        size >>= 7
    head.append(size)
    return bytes(head) + body


def in_range(key: bytes, low: bytes, high: bytes) -> bool:
    if not high:
        return key == low
    return low <= key and (high == b"\0" or key < high)


class NaiveKV:
    """Implements raftkv.mvcc.kv.KV, and `compact`. Nothing is stored in tables."""

    def __init__(self) -> None:
        self._revision = 1
        self._compacted = -1
        self._versions: list[tuple[int, bytes, kv.KeyValue | None]] = []
        self._write: NaiveWrite | None = None

    @property
    def revision(self) -> int:
        return self._revision

    @property
    def compact_revision(self) -> int:
        return self._compacted

    def _state_at(self, revision: int) -> dict[bytes, kv.KeyValue]:
        state: dict[bytes, kv.KeyValue] = {}
        for made, key, item in self._versions:
            if made <= revision:
                if item is None:
                    state.pop(key, None)
                else:
                    state[key] = item
        return state

    def _now(self) -> dict[bytes, kv.KeyValue]:
        return self._state_at(1 << 62)

    def range(
        self,
        key: bytes,
        range_end: bytes,
        *,
        revision: int = 0,
        limit: int = 0,
        count_only: bool = False,
        keys_only: bool = False,
        need_total: bool = True,
    ) -> RangeResult:
        newest = self._write.revision if self._write else self._revision
        if revision > newest:
            raise FutureRevError
        if 0 < revision < self._compacted:
            raise CompactedError
        state = self._state_at(revision) if revision > 0 else self._now()
        found = [state[name] for name in sorted(state) if in_range(name, key, range_end)]
        records = []
        for item in [] if count_only else found[: limit or None]:
            sent = kv.KeyValue()
            sent.CopyFrom(item)
            if keys_only:
                sent.ClearField("value")
                sent.ClearField("lease")
            records.append(record(sent))
        walks = 0 < revision < newest
        return RangeResult(records, -1 if walks and not need_total and not count_only else len(found))

    def key_state(self, key: bytes) -> KeyState:
        item = self._now().get(key, kv.KeyValue())
        return KeyState(item.create_revision, item.mod_revision, item.version, item.lease)

    def value(self, key: bytes) -> bytes | None:
        item = self._now().get(key)
        return None if item is None else item.value

    def lease_of(self, key: bytes) -> int:
        return self._now().get(key, kv.KeyValue()).lease

    def leased_keys(self) -> Iterator[tuple[bytes, int]]:
        return iter([(key, item.lease) for key, item in self._now().items() if item.lease])

    def put(self, key: bytes, value: bytes, lease: int) -> int:
        write = self.begin()
        write.put(key, value, lease)
        return write.end()

    def begin(self) -> NaiveWrite:
        assert self._write is None, "one write at a time"
        self._write = NaiveWrite(self)
        return self._write

    def take_events(self) -> list[Event]:
        return []

    def compact(self, revision: int) -> None:
        if revision <= self._compacted:
            raise CompactedError
        if revision > self._revision:
            raise FutureRevError
        self._compacted = revision


class NaiveWrite:
    def __init__(self, store: NaiveKV) -> None:
        self._store = store
        self._changed = False

    @property
    def revision(self) -> int:
        return self._store._revision + self._changed

    def put(self, key: bytes, value: bytes, lease: int) -> None:
        self._changed = True
        old = self._store._now().get(key)
        created = old.create_revision if old else self.revision
        version = old.version + 1 if old else 1
        item = kv.KeyValue(key=key, value=value, lease=lease, create_revision=created, mod_revision=self.revision, version=version)
        self._store._versions.append((self.revision, key, item))

    def delete_range(self, key: bytes, range_end: bytes) -> list[bytes]:
        keys = [name for name in sorted(self._store._now()) if in_range(name, key, range_end)]
        for name in keys:
            self._changed = True
            self._store._versions.append((self.revision, name, None))
        return keys

    def end(self) -> int:
        self._store._revision = self.revision
        self._store._write = None
        return self._store._revision
