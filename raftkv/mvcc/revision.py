"""Revisions and the table keys made of them.

A change is known by (main, sub): main is the store's revision, which every change of one log entry shares, sub numbers
the changes inside it from 0. Its record lies in Table.KEY under 17 bytes, main and sub as 8 bytes big-endian with `_`
between them; a tombstone has `t` behind that. Byte order is therefore the order of the changes. Source: etcd
server/storage/mvcc/revision.go.
"""

from __future__ import annotations

import struct
from typing import Final, NamedTuple

_KEY: Final = struct.Struct(">QcQ")
_pack = _KEY.pack
_unpack_from = _KEY.unpack_from

PUT_KEY_BYTES: Final = 17
"""Length of the table key of a put."""

TOMBSTONE_KEY_BYTES: Final = 18
"""Length of the table key of a deletion."""


class Revision(NamedTuple):
    """Where one change stands in the order of all changes."""

    main: int
    sub: int
    is_tombstone: bool


def put_key(main: int, sub: int) -> bytes:
    """Table key of a put."""
    return _pack(main, b"_", sub)


def tombstone_key(main: int, sub: int) -> bytes:
    """Table key of a deletion."""
    return _pack(main, b"_", sub) + b"t"


def first_key(main: int) -> bytes:
    """The lowest table key a change of this main revision can have; a bound for scans."""
    return main.to_bytes(8, "big")


def main_of(table_key: bytes) -> int:
    """Main revision of a table key."""
    return int.from_bytes(table_key[:8], "big")


def parse_key(table_key: bytes) -> Revision:
    """The revision a table key stands for.

    Raises:
        ValueError: these bytes are no table key.
    """
    size = len(table_key)
    if size != PUT_KEY_BYTES and (size != TOMBSTONE_KEY_BYTES or table_key[-1:] != b"t"):
        raise ValueError(f"not a revision: {table_key.hex()}")
    main, separator, sub = _unpack_from(table_key)
    if separator != b"_":
        raise ValueError(f"not a revision: {table_key.hex()}")
    return Revision(main, sub, size == TOMBSTONE_KEY_BYTES)


def describe_key(table_key: bytes) -> str:
    """A table key for people: `revision 12.0`, or its bytes when it is none."""
    try:
        main, sub, is_tombstone = parse_key(table_key)
    except ValueError:
        return f"table key {table_key.hex()}"
    return f"revision {main}.{sub}{' (deletion)' if is_tombstone else ''}"
