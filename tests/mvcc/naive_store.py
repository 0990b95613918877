"""The store as a list of everything that ever happened: slow, and plainly right."""

from __future__ import annotations

import copy
from typing import NamedTuple

from raftkv.errors import CompactedError, FutureRevError
from raftkv.mvcc.kv import Event, KeyState
from raftkv.pb import kv


class Change(NamedTuple):
    """One put, or a deletion when value is None."""

    main: int
    sub: int
    key: bytes
    value: bytes | None
    create: int = 0
    version: int = 0
    lease: int = 0


def in_range(key: bytes, low: bytes, range_end: bytes) -> bool:
    if not range_end:
        return key == low
    return low <= key and (range_end == b"\0" or key < range_end)


def encode(message: kv.KeyValue) -> bytes:
    """A record as the protobuf library writes it."""
    body = message.SerializeToString()
    size = b""
    rest = len(body)
    while rest > 127:
        size += bytes((rest & 127 | 128,))
        rest >>= 7
    return b"\x12" + size + bytes((rest,)) + body


def record_of(change: Change) -> bytes:
    if change.value is None:
        return encode(kv.KeyValue(key=change.key, mod_revision=change.main))
    return encode(
        kv.KeyValue(
            key=change.key,
            value=change.value,
            create_revision=change.create,
            mod_revision=change.main,
            version=change.version,
            lease=change.lease,
        )
    )


class NaiveStore:
    def __init__(self) -> None:
        self.changes: list[Change] = []
        self.revision = 1
        self.compact_revision = -1
        self.taken = 0

    def copy(self) -> NaiveStore:
        return copy.deepcopy(self)

    def state_at(self, revision: int) -> dict[bytes, Change]:
        state: dict[bytes, Change] = {}
        for change in self.changes:
            if change.main > revision:
                break
            if change.value is None:
                del state[change.key]
            else:
                state[change.key] = change
        return state

    def range(self, key: bytes, range_end: bytes, revision: int = 0) -> list[bytes]:
        if revision > self.revision:
            raise FutureRevError
        if 0 < revision < self.compact_revision:
            raise CompactedError
        state = self.state_at(revision if revision > 0 else self.revision)
        return [record_of(state[found]) for found in sorted(state) if in_range(found, key, range_end)]

    def key_state(self, key: bytes) -> KeyState:
        change = self.state_at(self.revision).get(key)
        return KeyState(0, 0, 0, 0) if change is None else KeyState(change.create, change.main, change.version, change.lease)

    def put(self, main: int, sub: int, key: bytes, value: bytes, lease: int) -> None:
        former = self.state_at(self.revision).get(key)
        create, version = (main, 1) if former is None else (former.create, former.version + 1)
        self.changes.append(Change(main, sub, key, value, create, version, lease))
        self.revision = main

    def delete_range(self, main: int, sub: int, key: bytes, range_end: bytes) -> list[bytes]:
        found = [name for name in sorted(self.state_at(self.revision)) if in_range(name, key, range_end)]
        for name in found:
            self.changes.append(Change(main, sub, name, None))
            self.revision = main
            sub += 1
        return found

    def compact(self, revision: int) -> None:
        if revision <= self.compact_revision:
            raise CompactedError
        if revision > self.revision:
            raise FutureRevError
        self.compact_revision = revision

    def take_events(self) -> list[Event]:
        taken, self.taken = self.taken, len(self.changes)
        return [event_of(change) for change in self.changes[taken:]]


def event_of(change: Change) -> Event:
    return Event(change.key, change.main, change.sub, record_of(change), change.value is None, change.version == 1)
