from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from raftkv.errors import CorruptionError
from raftkv.mvcc import record, revision
from raftkv.pb import kv
from tests.mvcc.naive_store import encode

INT64 = st.integers(-(1 << 63), (1 << 63) - 1)
POSITIVE = st.one_of(
    st.integers(1, 1 << 40), st.sampled_from([127, 128, 16383, 16384, 2097151, 2097152, 268435455, 268435456, (1 << 63) - 1])
)
SIZES = st.one_of(st.integers(0, 300), st.sampled_from([16_383, 16_384, 70_000]))


@settings(max_examples=200, derandomize=True, deadline=None)
@given(key_size=SIZES, value_size=SIZES, create=POSITIVE, mod=POSITIVE, version=POSITIVE, lease=INT64)
def test_put_record_any_fields_are_protobufs_bytes(key_size: int, value_size: int, create: int, mod: int, version: int, lease: int) -> None:
    """The hand-written encoding is what the protobuf library writes, and every reader finds its field."""
    key, value = b"k" * max(key_size, 1), b"\x2a" * value_size
    create = mod if version == 1 else create
    encoded = record.encode_put(key, value, create, mod, version, lease)
    message = kv.KeyValue(key=key, value=value, create_revision=create, mod_revision=mod, version=version, lease=lease)
    assert encoded == encode(message)
    assert record.header_of(encoded) == (key, create, mod, version, lease)
    assert record.key_of(encoded) == key
    assert record.value_of(encoded) == value
    assert record.body_of(encoded) == message.SerializeToString()


def test_tombstone_record_has_key_and_mod_revision_alone() -> None:
    """What a DELETE event carries."""
    assert record.encode_tombstone(b"k" * 200, 300) == encode(kv.KeyValue(key=b"k" * 200, mod_revision=300))


def test_unseal_any_flipped_bit_is_corruption_naming_the_revision() -> None:
    """No damaged byte of a record, and no record under another's key, is ever handed out."""
    table_key = revision.put_key(7, 3)
    sealed = record.seal(table_key, record.encode_put(b"key", b"value", 7, 7, 1, 0))
    for place in range(len(sealed)):
        damaged = bytearray(sealed)
        damaged[place] ^= 0x10
        with pytest.raises(CorruptionError, match=r"revision 7\.3"):
            record.unseal(table_key, bytes(damaged))
    for size in range(len(sealed)):
        with pytest.raises(CorruptionError):
            record.unseal(table_key, sealed[:size])
    with pytest.raises(CorruptionError, match=r"revision 7\.4"):
        record.unseal(revision.put_key(7, 4), sealed)
    with pytest.raises(CorruptionError, match="not in the tables|but not in"):
        record.unseal(table_key, None)


def test_revision_keys_sort_as_changes_happened() -> None:
    """Table order is the order of changes, tombstones included; bounds lie below every key of their revision."""
    keys = [revision.put_key(1, 0), revision.tombstone_key(1, 1), revision.put_key(1, 2), revision.put_key(2, 0), revision.put_key(256, 0)]
    assert keys == sorted(keys)
    assert [revision.parse_key(key) for key in keys[:2]] == [(1, 0, False), (1, 1, True)]
    assert keys[2] < revision.first_key(2) < keys[3]
    assert [len(key) for key in keys[:2]] == [17, 18]
    for wrong in (b"", keys[0][:-1], keys[0] + b"x", b"x" * 17):
        with pytest.raises(ValueError):
            revision.parse_key(wrong)
        assert wrong.hex() in revision.describe_key(wrong)
