"""How entries and log records look as bytes; hot path.

Owns the packed form of entries, which the log and peer messages share (an entry is encoded once and the same bytes go
to the disk and to every peer), and the frame of a log record. Knows nothing of files. Any thread.

A frame is `magic, length, type, sequence, synced sequence, link, header crc, crc` and the payload. `crc` (crc32c) covers
all of it; `link` is the crc of the record before, so a record that is whole but stands in the wrong place shows. The
header has its own crc, so that a search for whole records steps over a torn one's payload, which clients wrote.
`synced sequence` names the newest record that was durable when this one was written: a whole record therefore proves
that everything up to it was on the disk once, which is how recovery tells damage from a torn tail
(`recovery.judge`).

Measured (CPython 3.11, 300-byte entries): encode 0.15 µs, decode 0.3 µs an entry.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from enum import IntEnum
from struct import Struct, error
from typing import NamedTuple

from crc32c import crc32c

from raftkv.errors import CorruptionError
from raftkv.raft.messages import ConfState, Entry, HardState, SnapshotMeta

FORMAT = 1
"""Number of the layout in this module; raise it when an older binary could not read what a newer one writes."""

_ENTRY = Struct("<QQBI")  # term, index, kind, length of data
_FRAME = Struct("<4sIBQQI")  # magic, length, type, sequence, synced sequence, link
_CRCS = Struct("<II")  # of the header, of header and payload
_HEAD = Struct("<HQQQQ")  # format, cluster id, member id, segment, first index
_HARD_STATE = Struct("<QQQ")
_RANGE = Struct("<QQ")
_MARK = Struct("<QQB")
_COUNTS = Struct("<HHHHB")

MAGIC = b"\xd5rkW"
FRAME_BYTES = _FRAME.size + _CRCS.size
ENTRY_HEADER_BYTES = _ENTRY.size

_WITH_HARD_STATE = 1
_WITH_ENTRIES = 2

_pack_entry = _ENTRY.pack
_unpack_entry = _ENTRY.unpack_from
_new_tuple = tuple.__new__


def encode_entries(entries: Iterable[Entry]) -> bytes:
    """Entries one after another, each a fixed header and its data. No entries give no bytes."""
    parts: list[bytes] = []
    add = parts.append
    for term, index, kind, data in entries:
        add(_pack_entry(term, index, kind, len(data)))
        add(data)
    return b"".join(parts)


def decode_entries(blob: bytes) -> list[Entry]:
    """What encode_entries packed. Raises CorruptionError when the bytes do not end where the last entry does."""
    entries: list[Entry] = []
    add = entries.append
    offset, size, header = 0, len(blob), _ENTRY.size
    try:
        while offset < size:
            term, index, kind, length = _unpack_entry(blob, offset)
            offset += header
            end = offset + length
            # Skips the named tuple's own __new__: 0.3 instead of 0.4 µs an entry.
            add(_new_tuple(Entry, (term, index, kind, blob[offset:end])))
            offset = end
    except error as exc:
        raise CorruptionError("packed entries end inside an entry's header") from exc
    if offset != size:
        raise CorruptionError("packed entries end inside an entry's data")
    return entries


def entry_positions(blob: bytes) -> list[tuple[int, int]]:
    """(index, term) of each packed entry, without its data. Raises CorruptionError as decode_entries does."""
    found: list[tuple[int, int]] = []
    offset, size = 0, len(blob)
    try:
        while offset < size:
            term, index, _, length = _unpack_entry(blob, offset)
            offset += _ENTRY.size + length
            found.append((index, term))
    except error as exc:
        raise CorruptionError("packed entries end inside an entry's header") from exc
    if offset != size:
        raise CorruptionError("packed entries end inside an entry's data")
    return found


class RecordType(IntEnum):
    """Kinds of log records. Numbers are part of the stored format; 0 is what a zero-filled segment holds."""

    HEAD = 1
    """First record of a segment: who owns the log, and the state that earlier segments led to."""

    BATCH = 2
    """Entries, hard state, or both, written together."""

    SNAPSHOT = 3
    """A snapshot stands in the place of the entries up to its index, with the hard state of that moment."""


_TYPES = frozenset(int(t) for t in RecordType)


class FrameHeader(NamedTuple):
    """A whole header; `end` is where the payload should end."""

    type: int
    sequence: int
    synced_sequence: int
    link: int
    header_crc: int
    crc: int
    end: int


class Frame(NamedTuple):
    """One whole record as read from a segment. `end` is the offset of the byte after it."""

    type: int
    sequence: int
    synced_sequence: int
    link: int
    crc: int
    payload: bytes
    end: int


def encode_frame(kind: RecordType, sequence: int, synced_sequence: int, link: int, payload: Sequence[bytes]) -> tuple[list[bytes], int]:
    """The record as parts to be joined into one write, and its crc, which is the next record's link."""
    length = 0
    for part in payload:
        length += len(part)
    head = _FRAME.pack(MAGIC, length, kind, sequence, synced_sequence, link)
    header_crc: int = crc32c(head)
    crc = header_crc
    for part in payload:
        crc = crc32c(part, crc)
    return [head, _CRCS.pack(header_crc, crc), *payload], crc


def decode_header(blob: bytes, offset: int) -> FrameHeader | None:
    """The header that begins at offset, or None when there is no whole one there."""
    start = offset + FRAME_BYTES
    if start > len(blob):
        return None
    magic, length, kind, sequence, synced_sequence, link = _FRAME.unpack_from(blob, offset)
    header_crc, crc = _CRCS.unpack_from(blob, offset + _FRAME.size)
    if magic != MAGIC or kind not in _TYPES or crc32c(blob[offset : offset + _FRAME.size]) != header_crc:
        return None
    return FrameHeader(kind, sequence, synced_sequence, link, header_crc, crc, start + length)


def decode_frame(blob: bytes, offset: int) -> Frame | None:
    """The record that begins at offset, or None when there is no whole one there."""
    header = decode_header(blob, offset)
    if header is None or header.end > len(blob):
        return None
    payload = blob[offset + FRAME_BYTES : header.end]
    if crc32c(payload, header.header_crc) != header.crc:
        return None
    return Frame(header.type, header.sequence, header.synced_sequence, header.link, header.crc, payload, header.end)


class WalMetadata(NamedTuple):
    """Whose log it is. Never changes."""

    cluster_id: int
    member_id: int


class Mark(NamedTuple):
    """A snapshot mark. `installed`: it came from the leader, and no entry written before it counts."""

    meta: SnapshotMeta
    installed: bool


class Head(NamedTuple):
    """Payload of a HEAD record."""

    format: int
    metadata: WalMetadata
    segment: int
    first_index: int
    hard_state: HardState
    mark: Mark | None


class Batch(NamedTuple):
    """Payload of a BATCH record; `last_index` is 0 when it holds no entries."""

    hard_state: HardState | None
    first_index: int
    last_index: int
    blob: bytes


def encode_head(head: Head) -> bytes:
    """Payload of a HEAD record."""
    fixed = _HEAD.pack(head.format, *head.metadata, head.segment, head.first_index)
    mark = b"\0" if head.mark is None else b"\1" + _encode_mark(head.mark)
    return fixed + _HARD_STATE.pack(*head.hard_state) + mark


def decode_head(payload: bytes) -> Head:
    """Raises CorruptionError when the payload is too short for what it says it holds."""
    try:
        fmt, cluster_id, member_id, segment, first_index = _HEAD.unpack_from(payload)
        offset = _HEAD.size
        hard_state = HardState(*_HARD_STATE.unpack_from(payload, offset))
        offset += _HARD_STATE.size
        mark = _decode_mark(payload, offset + 1) if payload[offset] else None
    except (error, IndexError) as exc:
        raise CorruptionError("segment head is cut short") from exc
    return Head(fmt, WalMetadata(cluster_id, member_id), segment, first_index, hard_state, mark)


def encode_batch(hard_state: HardState | None, first_index: int, last_index: int, blob: bytes) -> list[bytes]:
    """Payload of a BATCH record as parts; `blob` is passed through uncopied."""
    flags = (0 if hard_state is None else _WITH_HARD_STATE) | (_WITH_ENTRIES if last_index else 0)
    parts = [bytes((flags,))]
    if hard_state is not None:
        parts.append(_HARD_STATE.pack(*hard_state))
    if last_index:
        parts.append(_RANGE.pack(first_index, last_index))
        parts.append(blob)
    return parts


def decode_batch(payload: bytes) -> Batch:
    """Raises CorruptionError when the payload is too short for what it says it holds."""
    try:
        flags, offset = payload[0], 1
        hard_state = None
        if flags & _WITH_HARD_STATE:
            hard_state = HardState(*_HARD_STATE.unpack_from(payload, offset))
            offset += _HARD_STATE.size
        if not flags & _WITH_ENTRIES:
            return Batch(hard_state, 0, 0, b"")
        first_index, last_index = _RANGE.unpack_from(payload, offset)
    except (error, IndexError) as exc:
        raise CorruptionError("batch record is cut short") from exc
    return Batch(hard_state, first_index, last_index, payload[offset + _RANGE.size :])


def encode_snapshot(mark: Mark, hard_state: HardState) -> bytes:
    """Payload of a SNAPSHOT record."""
    return _HARD_STATE.pack(*hard_state) + _encode_mark(mark)


def decode_snapshot(payload: bytes) -> tuple[Mark, HardState]:
    """Raises CorruptionError when the payload is too short for what it says it holds."""
    try:
        hard_state = HardState(*_HARD_STATE.unpack_from(payload))
        return _decode_mark(payload, _HARD_STATE.size), hard_state
    except error as exc:
        raise CorruptionError("snapshot record is cut short") from exc


def encode_conf_state(conf: ConfState) -> bytes:
    """A configuration; also part of a snapshot's header."""
    groups = (conf.voters, conf.learners, conf.voters_outgoing, conf.learners_next)
    ids = [member for group in groups for member in group]
    return _COUNTS.pack(*(len(group) for group in groups), conf.auto_leave) + Struct(f"<{len(ids)}Q").pack(*ids)


def decode_conf_state(blob: bytes, offset: int) -> ConfState:
    """The configuration at offset. Raises struct.error when it is cut short."""
    *counts, auto_leave = _COUNTS.unpack_from(blob, offset)
    offset += _COUNTS.size
    groups: list[tuple[int, ...]] = []
    for count in counts:
        groups.append(Struct(f"<{count}Q").unpack_from(blob, offset))
        offset += 8 * count
    return ConfState(groups[0], groups[1], groups[2], groups[3], bool(auto_leave))


def _encode_mark(mark: Mark) -> bytes:
    meta = mark.meta
    return _MARK.pack(meta.index, meta.term, mark.installed) + encode_conf_state(meta.conf_state)


def _decode_mark(blob: bytes, offset: int) -> Mark:
    index, term, installed = _MARK.unpack_from(blob, offset)
    return Mark(SnapshotMeta(index, term, decode_conf_state(blob, offset + _MARK.size)), bool(installed))
