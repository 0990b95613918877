"""Records: one encoded `mvccpb.KeyValue` behind its field tag and length, and its sealed form in the tables.

The bytes `0x12 len KeyValue` are at once the `kvs` field of a RangeResponse, the `prev_kv` of a PutResponse and the `kv`
of an Event, so they are stored like that and joined into answers. A sealed record has a crc32c (4 bytes, big-endian) of
its table key and itself behind it, so a record that is damaged or lies under another revision is noticed by every read.

Hot path (about 0.6 µs to encode, against 1.5 µs through protobuf): written by hand. Fields stand in the order of their
numbers and zero ones are left out, as every protobuf implementation writes them; the readers below rely on it.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from crc32c import crc32c

from raftkv.errors import CorruptionError
from raftkv.mvcc.revision import describe_key
from raftkv.wire import read_varint, varint

_CHECKSUM_BYTES: Final = 4

_TAG_KEY = 0x0A
_TAG_CREATE = 0x10
_TAG_MOD = 0x18
_TAG_VERSION = 0x20
_TAG_VALUE = 0x2A
_TAG_LEASE = 0x30


class Header(NamedTuple):
    """A record without its value."""

    key: bytes
    create_revision: int
    mod_revision: int
    version: int
    lease: int


def encode_put(key: bytes, value: bytes, create_revision: int, mod_revision: int, version: int, lease: int) -> bytes:
    """The record of a put."""
    mod = varint(mod_revision)
    create = mod if version == 1 else varint(create_revision)
    fields = (b"\x0a", varint(len(key)), key, b"\x10", create, b"\x18", mod, b"\x20", varint(version))
    body = b"".join((*fields, b"\x2a", varint(len(value)), value) if value else fields)
    if lease:
        body += b"\x30" + varint(lease)
    return b"\x12" + varint(len(body)) + body


def encode_tombstone(key: bytes, mod_revision: int) -> bytes:
    """The record of a deletion: key and mod_revision alone."""
    body = b"\x0a%b%b\x18%b" % (varint(len(key)), key, varint(mod_revision))
    return b"\x12%b%b" % (varint(len(body)), body)


def seal(table_key: bytes, record: bytes) -> bytes:
    """What is stored under the table key."""
    return record + crc32c(record, crc32c(table_key)).to_bytes(_CHECKSUM_BYTES, "big")


def unseal(table_key: bytes, stored: bytes | None) -> bytes:
    """The record that was stored under the table key.

    Raises:
        CorruptionError: it is missing or fails its checksum; the text names the revision.
    """
    if stored is None:
        raise CorruptionError(f"store: {describe_key(table_key)} is in the index but not in the tables")
    record = stored[:-_CHECKSUM_BYTES]
    if crc32c(record, crc32c(table_key)) != int.from_bytes(stored[-_CHECKSUM_BYTES:], "big") or not record:
        raise CorruptionError(f"store: the record of {describe_key(table_key)} fails its checksum")
    return record


def body_of(record: bytes) -> bytes:
    """The KeyValue without tag and length."""
    _, offset = read_varint(record, 1)
    return record[offset:]


def key_of(record: bytes) -> bytes:
    """The key."""
    offset = 2 if record[1] < 128 else read_varint(record, 1)[1]
    size = record[offset + 1]
    if size < 128:
        offset += 2
    else:
        size, offset = read_varint(record, offset + 1)
    return record[offset : offset + size]


def header_of(record: bytes) -> Header:
    """Everything but the value, of a put's record."""
    offset = 2 if record[1] < 128 else read_varint(record, 1)[1]
    size, offset = read_varint(record, offset + 1)
    key = record[offset : offset + size]
    create, offset = read_varint(record, offset + size + 1)
    mod, offset = read_varint(record, offset + 1)
    version, offset = read_varint(record, offset + 1)
    end = len(record)
    if offset < end and record[offset] == _TAG_VALUE:
        size, offset = read_varint(record, offset + 1)
        offset += size
    lease = 0
    if offset < end:
        lease, offset = read_varint(record, offset + 1)
        if lease >= 1 << 63:
            lease -= 1 << 64
    return Header(key, create, mod, version, lease)


def value_of(record: bytes) -> bytes:
    """The value of a put's record; empty when it has none."""
    offset = read_varint(record, 1)[1]
    size, offset = read_varint(record, offset + 1)
    offset += size
    end = len(record)
    while offset < end:
        tag = record[offset]
        number, offset = read_varint(record, offset + 1)
        if tag == _TAG_VALUE:
            return record[offset : offset + number]
    return b""
