"""A log under test: a small Wal on a file system, and a plain model of what it must hold."""

from __future__ import annotations

from raftkv.raft.messages import ConfState, Entry, HardState, SnapshotMeta
from raftkv.storage.record import WalMetadata, encode_entries
from raftkv.storage.recovery import Recovered, open_log
from raftkv.storage.wal import Wal, WalSettings, WalWrite

DIRECTORY = "/wal"
METADATA = WalMetadata(cluster_id=0xC1, member_id=0xA1)
SMALL = WalSettings(segment_bytes=2_000, extent_bytes=4_096)
CONF = ConfState(voters=(1, 2, 3))


def entry(index, term=1, size=20):
    return Entry(term, index, 0, b"%d.%d/" % (term, index) + b"x" * size)


def write(entries=(), hard_state=None):
    entries = list(entries)
    if not entries:
        return WalWrite(b"", 0, 0, hard_state)
    return WalWrite(encode_entries(entries), entries[0].index, entries[-1].index, hard_state)


def meta(index, term=1):
    return SnapshotMeta(index, term, CONF)


def append(wal, first, last, term=1, *, commit=None, sync=True, size=20):
    hard_state = None if commit is None else HardState(term, 1, commit)
    wal.append([write([entry(i, term, size) for i in range(first, last + 1)], hard_state)], sync=sync)


def create(fs, settings=SMALL) -> Wal:
    return Wal.create(fs, DIRECTORY, METADATA, settings)


def reopen(fs, settings=SMALL) -> Recovered:
    return open_log(fs, DIRECTORY, settings)


def contents(recovered):
    """(index, term) of every entry readable, and the data checked."""
    if recovered.first_index > recovered.last_index:
        return []
    found = recovered.wal.read_entries(recovered.first_index, recovered.last_index + 1)
    assert all(e.data.startswith(b"%d.%d/" % (e.term, e.index)) for e in found)
    assert [recovered.terms.term(e.index) for e in found] == [e.term for e in found]
    return [(e.index, e.term) for e in found]


def run(first, last, term=1):
    return [(i, term) for i in range(first, last + 1)]
