"""The few protobuf encodings that records and answers are spliced with by hand.

Everything else is left to protobuf: these exist where bytes that are stored or shared must not be decoded again. Hot path: numbers below
2^14, which most are, come out of a table.
"""

from __future__ import annotations

from typing import Final

_BYTES = tuple(bytes((n,)) for n in range(256))
_SMALL: Final = (*_BYTES[:128], *(low + high for high in _BYTES[1:128] for low in _BYTES[128:]))
"""Numbers below 2^14 as varints."""

_LOW: Final = tuple(low + high for high in _BYTES[128:] for low in _BYTES[128:])
"""The first two bytes of a number that has more."""


def varint(number: int) -> bytes:
    """A number as protobuf's int64 and uint64: seven bits a byte, a negative one in ten bytes."""
    if 0 <= number < 16384:
        return _SMALL[number]
    if 0 < number < 268435456:
        return _LOW[number & 16383] + _SMALL[number >> 14]
    if number < 0:
        number += 1 << 64
    out = bytearray()
    while number > 127:
        out.append(number & 127 | 128)
        number >>= 7
    out.append(number)
    return bytes(out)


def read_varint(data: bytes, offset: int) -> tuple[int, int]:
    """The unsigned number at offset and the offset behind it."""
    number = data[offset]
    offset += 1
    if number < 128:
        return number, offset
    number &= 127
    shift = 7
    while True:
        byte = data[offset]
        offset += 1
        number |= (byte & 127) << shift
        if byte < 128:
            return number, offset
        shift += 7


def delimited(tag: bytes, content: bytes) -> bytes:
    """A field of bytes, a string or a message."""
    return tag + varint(len(content)) + content


def field_end(fields: bytes, start: int) -> int:
    """Where the length-delimited field with a one-byte tag that begins at `start` ends."""
    size, position = read_varint(fields, start + 1)
    return position + size
