"""Bytes of entries and records."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from raftkv.errors import CorruptionError
from raftkv.raft.messages import ConfState, Entry, HardState, SnapshotMeta
from raftkv.storage.record import (
    FRAME_BYTES,
    Batch,
    Head,
    Mark,
    RecordType,
    WalMetadata,
    decode_batch,
    decode_entries,
    decode_frame,
    decode_head,
    decode_snapshot,
    encode_batch,
    encode_entries,
    encode_frame,
    encode_head,
    encode_snapshot,
    entry_positions,
)

U64 = st.integers(0, 2**64 - 1)
ENTRIES = st.lists(st.builds(Entry, U64, U64, st.integers(0, 255), st.binary(max_size=40)), max_size=6)
IDS = st.lists(U64, max_size=3).map(tuple)
CONFS = st.builds(ConfState, IDS, IDS, IDS, IDS, st.booleans())
STATES = st.builds(HardState, U64, U64, U64)
MARKS = st.builds(Mark, st.builds(SnapshotMeta, U64, U64, CONFS), st.booleans())


@given(ENTRIES)
@settings(derandomize=True, max_examples=100)
def test_entries_decoded_are_the_entries_encoded(entries):
    """One layout for the log and for peers."""
    blob = encode_entries(entries)
    assert decode_entries(blob) == entries
    assert entry_positions(blob) == [(e.index, e.term) for e in entries]
    assert all(type(e) is Entry for e in decode_entries(blob))


@given(ENTRIES.filter(bool), st.data())
@settings(derandomize=True, max_examples=100)
def test_entries_cut_anywhere_but_between_entries_are_refused(entries, data):
    """A peer's or a disk's short bytes never become a shorter entry."""
    blob = encode_entries(entries)
    ends = {len(encode_entries(entries[:n])) for n in range(len(entries) + 1)}
    cut = data.draw(st.integers(0, len(blob) - 1).filter(lambda n: n not in ends))
    for decode in (decode_entries, entry_positions):
        with pytest.raises(CorruptionError):
            decode(blob[:cut])


@given(U64, st.builds(WalMetadata, U64, U64), STATES, st.one_of(st.none(), MARKS))
@settings(derandomize=True, max_examples=50)
def test_head_decoded_is_the_head_encoded(number, metadata, state, mark):
    """The state older segments led to survives their purge."""
    head = Head(1, metadata, number, 7, state, mark)
    assert decode_head(encode_head(head)) == head


@given(st.one_of(st.none(), STATES), ENTRIES, MARKS)
@settings(derandomize=True, max_examples=50)
def test_batch_and_snapshot_decoded_are_those_encoded(state, entries, mark):
    """Hard state and entries travel in one record."""
    blob = encode_entries(entries)
    batch = Batch(state, 3, 2 + len(entries), blob) if entries else Batch(state, 0, 0, b"")
    assert decode_batch(b"".join(encode_batch(*batch))) == batch
    assert decode_snapshot(encode_snapshot(mark, HardState(1, 2, 3))) == (mark, HardState(1, 2, 3))


@pytest.mark.parametrize("decode", [decode_head, decode_batch, decode_snapshot])
def test_payload_cut_short_is_corruption(decode):
    """A whole record with too short a payload is our bug or damage, never an IndexError."""
    with pytest.raises(CorruptionError):
        decode(b"")
    with pytest.raises(CorruptionError):
        decode(b"\x03\0\0")


def test_frame_with_any_bit_flipped_is_not_whole():
    """The crc covers header and payload."""
    parts, crc = encode_frame(RecordType.BATCH, 9, 8, 0xFEED, [b"pay", b"load"])
    blob = b"".join(parts)
    frame = decode_frame(b"??" + blob, 2)
    assert frame is not None and frame.payload == b"payload" and frame.crc == crc and frame.end == len(blob) + 2
    assert (frame.type, frame.sequence, frame.synced_sequence, frame.link) == (RecordType.BATCH, 9, 8, 0xFEED)
    for bit in range(len(blob) * 8):
        flipped = bytearray(blob)
        flipped[bit // 8] ^= 1 << bit % 8
        assert decode_frame(bytes(flipped), 0) is None


def test_frame_cut_at_any_byte_is_not_whole():
    """Torn writes."""
    blob = b"".join(encode_frame(RecordType.BATCH, 9, 8, 1, [b"payload"])[0])
    assert all(decode_frame(blob[:n], 0) is None for n in range(len(blob)))
    assert decode_frame(bytes(FRAME_BYTES * 2), 0) is None
