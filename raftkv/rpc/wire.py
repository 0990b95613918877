"""The few protobuf encodings that responses are spliced with by hand.

Everything else is left to protobuf: these exist where bytes that are stored or shared must not be decoded again.
"""

from __future__ import annotations


def varint(value: int) -> bytes:
    """A number as protobuf's int64 and uint64: seven bits a byte, a negative one in ten bytes."""
    value &= 0xFFFF_FFFF_FFFF_FFFF
    encoded = bytearray()
    while value > 0x7F:
        encoded.append(value & 0x7F | 0x80)
        value >>= 7
    encoded.append(value)
    return bytes(encoded)


def delimited(tag: bytes, content: bytes) -> bytes:
    """A field of bytes, a string or a message."""
    return b"".join((tag, varint(len(content)), content))


def field_end(fields: bytes, start: int) -> int:
    """Where the length-delimited field with a one-byte tag that begins at `start` ends."""
    size = shift = 0
    position = start + 1
    while True:
        byte = fields[position]
        position += 1
        size |= (byte & 0x7F) << shift
        if byte < 0x80:
            return position + size
        shift += 7
