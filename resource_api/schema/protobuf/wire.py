"""Protobuf's wire: varints, lengths, what to skip. Knows no message; `protobuf.py` does. Pure.

Texts of errors are those that generated Go code gives, because clients show them.
"""

from __future__ import annotations

import struct

VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5
_SIGN, _WRAP = 1 << 63, 1 << 64
_double = struct.Struct("<d")


class ProtobufError(ValueError):
    """Bytes that are no such message, or an object that no such message can hold."""


def end_of_input() -> ProtobufError:
    """Something goes on past the end."""
    return ProtobufError("unexpected EOF")


def read_varint(data: bytes, pos: int, end: int) -> tuple[int, int]:
    """An unsigned number and where it ends."""
    result = shift = 0
    while pos < end:
        byte = data[pos]
        pos += 1
        result |= (byte & 0x7F) << shift
        if byte < 0x80:
            return result & (_WRAP - 1), pos
        shift += 7
        if shift >= 70:
            raise ProtobufError("proto: integer overflow")
    raise end_of_input()


def signed(value: int, bits: int) -> int:
    """A varint as int32 or int64: cut to its size, two's complement."""
    value &= (1 << bits) - 1
    return value - (1 << bits) if value >> (bits - 1) else value


def read_length(data: bytes, pos: int, end: int) -> tuple[int, int]:
    """Where the bytes of a field begin and end."""
    size, pos = read_varint(data, pos, end)
    if size >= _SIGN:
        raise ProtobufError("proto: negative length found during unmarshaling")
    if pos + size > end:
        raise end_of_input()
    return pos, pos + size


def read_double(data: bytes, pos: int, end: int) -> tuple[float, int]:
    """A fixed64 as a number."""
    if pos + 8 > end:
        raise end_of_input()
    return _double.unpack_from(data, pos)[0], pos + 8


def skip(data: bytes, pos: int, end: int, wire: int) -> int:
    """Behind the value of a field nobody knows."""
    if wire == VARINT:
        return read_varint(data, pos, end)[1]
    if wire == BYTES:
        return read_length(data, pos, end)[1]
    size = {FIXED64: 8, FIXED32: 4}.get(wire)
    if size is None:
        raise ProtobufError(f"proto: illegal wireType {wire}")
    if pos + size > end:
        raise end_of_input()
    return pos + size


def varint(value: int) -> bytes:
    """A number; a negative one as ten bytes."""
    if 0 <= value < 0x80:
        return bytes((value,))
    if not -_SIGN <= value < _WRAP:
        raise ProtobufError(f"{value} does not fit in 64 bits")
    if value < 0:
        value += _WRAP
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def key(number: int, wire: int) -> bytes:
    """What stands before a field."""
    return varint(number << 3 | wire)


def delimited(head: bytes, body: bytes) -> bytes:
    """A field of bytes, `head` its key."""
    return head + varint(len(body)) + body


def double(value: float) -> bytes:
    """A number as fixed64."""
    return _double.pack(value)
