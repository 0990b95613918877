"""gRPC over HTTP/2 as bytes (grpc/doc/PROTOCOL-HTTP2.md): message prefix, timeouts, status texts, metadata, constant blocks.

Sans-IO and stateless, but for `MessageReader`, which puts one stream's messages together.
"""

from __future__ import annotations

import base64
import binascii
import re
import struct
import urllib.parse
from collections.abc import Iterable, Sequence
from enum import IntEnum

from raftkv.errors import RemoteProtocolError
from raftkv.transport import hpack

PREFIX = struct.Struct(">BI")
"""Compressed flag and length, before each message."""
PREFIX_BYTES = 5

_TIMEOUT_UNITS_S = {"H": 3600.0, "M": 60.0, "S": 1.0, "m": 1e-3, "u": 1e-6, "n": 1e-9}
_TIMEOUT_DIGITS_MAX = 8

RESPONSE_BLOCK = hpack.stateless([(":status", "200"), ("content-type", "application/grpc")])
OK_BLOCK = hpack.literal("grpc-status", "0")


class Code(IntEnum):
    """gRPC status codes."""

    OK = 0
    CANCELLED = 1
    UNKNOWN = 2
    INVALID_ARGUMENT = 3
    DEADLINE_EXCEEDED = 4
    NOT_FOUND = 5
    ALREADY_EXISTS = 6
    PERMISSION_DENIED = 7
    RESOURCE_EXHAUSTED = 8
    FAILED_PRECONDITION = 9
    ABORTED = 10
    OUT_OF_RANGE = 11
    UNIMPLEMENTED = 12
    INTERNAL = 13
    UNAVAILABLE = 14
    DATA_LOSS = 15
    UNAUTHENTICATED = 16


class MessageFault(RemoteProtocolError):
    """A stream of messages that cannot be read on; `code` is the gRPC status that says so."""

    def __init__(self, code: Code, text: str) -> None:
        super().__init__(text)
        self.code = code


class MessageReader:
    """Cuts the DATA bytes of one stream into messages.

    1. `held_bytes` are kept of a message that is not complete; they never exceed its announced length, which never exceeds the limit.
    """

    __slots__ = ("_chunks", "_max", "_need", "held_bytes")

    def __init__(self, message_bytes_max: int) -> None:
        self._max = message_bytes_max
        self._chunks: list[bytes] = []
        self._need = PREFIX_BYTES
        self.held_bytes = 0

    def feed(self, chunk: bytes) -> list[bytes]:
        """The messages that are complete with this chunk. Raises MessageFault, after which nothing more may be fed."""
        if self.held_bytes:
            self._chunks.append(chunk)
            self.held_bytes += len(chunk)
            if self.held_bytes < self._need:
                return []
            chunk = b"".join(self._chunks)
            self._chunks.clear()
        messages: list[bytes] = []
        at, size, self._need = 0, len(chunk), PREFIX_BYTES
        while size - at >= PREFIX_BYTES:
            compressed, length = PREFIX.unpack_from(chunk, at)
            self._check(compressed, length)
            end = at + PREFIX_BYTES + length
            if end > size:
                self._need = PREFIX_BYTES + length
                break
            messages.append(chunk[at + PREFIX_BYTES : end])
            at = end
        self.held_bytes = size - at
        if self.held_bytes:
            self._chunks.append(chunk[at:] if at else chunk)
        return messages

    def _check(self, compressed: int, length: int) -> None:
        if compressed:
            text = (
                "grpc: compressed flag set with identity or empty encoding"
                if compressed == 1
                else f"grpc: received unexpected payload format {compressed}"
            )
            raise MessageFault(Code.INTERNAL, text)
        if length > self._max:
            raise MessageFault(Code.RESOURCE_EXHAUSTED, f"grpc: received message larger than max ({length} vs. {self._max})")


def parse_timeout(text: str) -> float:
    """Seconds of a grpc-timeout value; ValueError, in grpc-go's words, if it is none."""
    unit, digits = _TIMEOUT_UNITS_S.get(text[-1:]), text[:-1]
    if unit is not None and digits.isdecimal() and digits.isascii() and len(digits) <= _TIMEOUT_DIGITS_MAX:
        return int(digits) * unit
    if len(text) < 2:
        raise ValueError(f'transport: timeout string is too short: "{text}"')
    if len(text) > _TIMEOUT_DIGITS_MAX + 1:
        raise ValueError(f'transport: timeout string is too long: "{text}"')
    if unit is None:
        raise ValueError(f'transport: timeout unit is not recognized: "{text}"')
    raise ValueError(f'strconv.ParseUint: parsing "{digits}": invalid syntax')


def format_timeout(timeout_s: float) -> str:
    """A grpc-timeout value that is not shorter than the time given; 0 or less is the shortest there is."""
    for unit, size_s in (("u", 1e-6), ("m", 1e-3), ("S", 1.0), ("M", 60.0)):
        count = -int(-timeout_s // size_s)
        if count < 10**_TIMEOUT_DIGITS_MAX:
            return f"{max(count, 1)}{unit}"
    return f"{10**_TIMEOUT_DIGITS_MAX - 1}H"


_UNESCAPED = "".join(map(chr, range(0x20, 0x7F))).replace("%", "")


def encode_message(text: str) -> str:
    """The percent-encoding of grpc-message: everything but printable ASCII, and the percent sign."""
    return text if text.isascii() and text.isprintable() and "%" not in text else urllib.parse.quote(text, safe=_UNESCAPED)


def decode_message(text: str) -> str:
    """The text of a grpc-message; wrong escapes stay as they are."""
    return urllib.parse.unquote(text, errors="replace") if "%" in text else text


def trailer_block(code: int, message: str, trailers: Sequence[tuple[str, str]] = ()) -> bytes:
    """The header block that ends a call."""
    fields = [("grpc-status", str(int(code)))]
    if message:
        fields.append(("grpc-message", encode_message(message)))
    fields.extend(trailers)
    return hpack.stateless(fields)


def trailers_only_block(code: int, message: str, trailers: Sequence[tuple[str, str]] = (), *, status: str = "200") -> bytes:
    """The one block of a call that fails before it answered anything."""
    return hpack.stateless([(":status", status), ("content-type", "application/grpc")]) + trailer_block(code, message, trailers)


def encode_binary(value: bytes) -> str:
    """The text of a `-bin` metadata value."""
    return base64.b64encode(value).decode().rstrip("=")


def decode_binary(text: str) -> bytes:
    """The value of a `-bin` metadata field, padded or not; what is no base64 is handed over as it came."""
    try:
        return base64.b64decode(text + "=" * (-len(text) % 4), validate=True)
    except (binascii.Error, ValueError):
        return text.encode("latin-1")


RESERVED = frozenset(("content-type", "te", "grpc-timeout", "grpc-encoding", "grpc-accept-encoding", "grpc-status", "grpc-message"))
_NAME = re.compile(r"[0-9a-z_.-]+")
_VALUE = re.compile(r"[\x20-\x7e]*")


def metadata_of(fields: Iterable[tuple[str, str]]) -> dict[str, str | bytes]:
    """A call's metadata: lower-case names, values of `-bin` names decoded, repeated names joined by a comma (the last wins for `-bin`)."""
    metadata: dict[str, str | bytes] = {}
    for name, value in fields:
        if name[0] == ":" or name in RESERVED:
            continue
        if name.endswith("-bin"):
            metadata[name] = decode_binary(value.rpartition(",")[2])
        else:
            known = metadata.get(name)
            metadata[name] = f"{known},{value}" if isinstance(known, str) else value
    return metadata


def metadata_fields(metadata: Iterable[tuple[str, str | bytes]]) -> list[tuple[str, str]]:
    """Metadata as header fields; ValueError for names or values that gRPC does not allow."""
    fields = []
    for name, value in metadata:
        text = encode_binary(value) if isinstance(value, bytes) else value
        if not _NAME.fullmatch(name) or name in RESERVED or name.startswith("grpc-") or isinstance(value, bytes) != name.endswith("-bin"):
            raise ValueError(f"not a metadata name for this value: {name!r}")
        if not _VALUE.fullmatch(text):
            raise ValueError(f"not a metadata value: {name!r}")
        fields.append((name, text))
    return fields


_STATUS_OF_HTTP = {
    400: Code.INTERNAL,
    401: Code.UNAUTHENTICATED,
    403: Code.PERMISSION_DENIED,
    404: Code.UNIMPLEMENTED,
    429: Code.UNAVAILABLE,
    502: Code.UNAVAILABLE,
    503: Code.UNAVAILABLE,
    504: Code.UNAVAILABLE,
}


def code_of_http(status: int) -> Code:
    """What an HTTP status without grpc-status means (grpc/doc/http-grpc-status-mapping.md)."""
    return _STATUS_OF_HTTP.get(status, Code.UNKNOWN)


_STATUS_OF_RESET = {7: Code.UNAVAILABLE, 8: Code.CANCELLED, 11: Code.RESOURCE_EXHAUSTED, 12: Code.PERMISSION_DENIED}


def code_of_reset(error_code: int) -> Code:
    """What a RST_STREAM means for the call it ends."""
    return _STATUS_OF_RESET.get(error_code, Code.INTERNAL)
