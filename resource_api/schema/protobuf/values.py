"""Messages that stand in JSON as something else than an object: times, quantities, ports, raw JSON, one-or-many schemas.

One reader and one writer each, over the bytes of the message alone. Pure.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import msgspec

from resource_api.errors import Json
from resource_api.schema.protobuf.wire import (
    BYTES,
    VARINT,
    ProtobufError,
    delimited,
    key,
    read_length,
    read_varint,
    signed,
    skip,
    varint,
)

Read = Callable[[bytes, int, int], Json]
"""From `data[pos:end]`; None when there is nothing to write in JSON."""
Write = Callable[[Json], bytes]

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MAGIC = b"k8s\x00"

_json = msgspec.json.Decoder()
_encode = msgspec.json.Encoder().encode


def fields(data: bytes, pos: int, end: int) -> list[tuple[int, int | bytes]]:
    """The varints and byte strings of a small message, by number, in order."""
    found: list[tuple[int, int | bytes]] = []
    while pos < end:
        head, pos = read_varint(data, pos, end)
        number, wire = head >> 3, head & 7
        if wire == VARINT:
            value, pos = read_varint(data, pos, end)
            found.append((number, value))
        elif wire == BYTES:
            start, pos = read_length(data, pos, end)
            found.append((number, data[start:pos]))
        else:
            pos = skip(data, pos, end, wire)
    return found


def text(data: bytes) -> str:
    """A string field."""
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        raise ProtobufError("proto: string field contains invalid UTF-8") from error


def _number(value: int | bytes, bits: int) -> int:
    if isinstance(value, bytes):
        raise ProtobufError("proto: wrong wireType = 2 for a number")
    return signed(value, bits)


def _bytes(value: int | bytes) -> bytes:
    if isinstance(value, int):
        raise ProtobufError("proto: wrong wireType = 0 for bytes")
    return value


def _moment(data: bytes, pos: int, end: int) -> tuple[datetime, int] | None:
    values = dict(fields(data, pos, end))
    if not values:
        return None
    seconds, nanos = _number(values.get(1, 0), 64), _number(values.get(2, 0), 32)
    try:
        return EPOCH + timedelta(seconds=seconds), nanos
    except OverflowError as error:
        raise ProtobufError(f"a time of {seconds} s is out of range") from error


def read_time(data: bytes, pos: int, end: int) -> Json:
    """Whole seconds, UTC; the zero time is nothing."""
    found = _moment(data, pos, end)
    return None if found is None else _seconds(found[0]) + "Z"


def _seconds(moment: datetime) -> str:
    return moment.replace(tzinfo=None).isoformat(timespec="seconds")


def read_micro_time(data: bytes, pos: int, end: int) -> Json:
    """Six digits of the second, UTC."""
    found = _moment(data, pos, end)
    return None if found is None else f"{_seconds(found[0])}.{found[1] // 1000 % 1_000_000:06d}Z"


def _parsed(value: Json) -> tuple[int, int]:
    try:
        moment = datetime.fromisoformat(value)
    except (TypeError, ValueError) as error:
        raise ProtobufError(f"{value!r} is no time") from error
    if moment.tzinfo is None:
        raise ProtobufError(f"{value!r} is a time without a zone")
    since = moment - EPOCH
    return since.days * 86400 + since.seconds, since.microseconds * 1000


def write_time(value: Json) -> bytes:
    """Whole seconds; upstream leaves the fraction out as well."""
    return key(1, VARINT) + varint(_parsed(value)[0]) + key(2, VARINT) + b"\x00"


def write_micro_time(value: Json) -> bytes:
    """Seconds and nanoseconds."""
    seconds, nanos = _parsed(value)
    return key(1, VARINT) + varint(seconds) + key(2, VARINT) + varint(nanos)


def read_quantity(data: bytes, pos: int, end: int) -> Json:
    """The text as it was sent; none is zero."""
    return text(_bytes(dict(fields(data, pos, end)).get(1, b""))) or "0"


def write_quantity(value: Json) -> bytes:
    """The text; numbers as their text."""
    said = value if isinstance(value, str) else _encode(value).decode()
    return delimited(key(1, BYTES), said.encode())


def read_int_or_string(data: bytes, pos: int, end: int) -> Json:
    """A number unless the message says text."""
    values = dict(fields(data, pos, end))
    if _number(values.get(1, 0), 64) == 0:
        return _number(values.get(2, 0), 32)
    return text(_bytes(values.get(3, b"")))


def write_int_or_string(value: Json) -> bytes:
    """Both members are always there, as upstream writes them."""
    if isinstance(value, str):
        return b"\x08\x01\x10\x00" + delimited(key(3, BYTES), value.encode())
    if isinstance(value, bool) or not isinstance(value, int):
        raise ProtobufError(f"{value!r} is neither a number nor text")
    return b"\x08\x00\x10" + varint(value) + b"\x1a\x00"


def read_raw(data: bytes, pos: int, end: int) -> bytes:
    """The bytes that the message carries."""
    return _bytes(dict(fields(data, pos, end)).get(1, b""))


def parse_json(raw: bytes) -> Json:
    """A JSON value; no bytes are nothing."""
    if not raw:
        return None
    try:
        return _json.decode(raw)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
        raise ProtobufError(f"the raw JSON inside cannot be read: {error}") from error


def write_json(value: Json) -> bytes:
    """As compact JSON."""
    return delimited(key(1, BYTES), _encode(value))


def read_strings(data: bytes, pos: int, end: int) -> Json:
    """A list of texts."""
    return [text(_bytes(value)) for number, value in fields(data, pos, end) if number == 1]


def write_strings(value: Json) -> bytes:
    """A list of texts."""
    return b"".join(delimited(key(1, BYTES), item.encode()) for item in value)


def either(schema: tuple[Read, Write], *, many: bool) -> tuple[Read, Write]:
    """One schema, or a list: of schemas when `many`, of texts otherwise."""
    read_schema, write_schema = schema

    def read(data: bytes, pos: int, end: int) -> Json:
        one, rest = None, []
        for number, value in fields(data, pos, end):
            body = _bytes(value)
            if number == 1:
                one = read_schema(body, 0, len(body))
            elif number == 2:
                rest.append(read_schema(body, 0, len(body)) if many else text(body))
        return one if one is not None and not rest else rest

    def write(value: Json) -> bytes:
        if isinstance(value, list):
            return b"".join(delimited(key(2, BYTES), write_schema(item) if many else item.encode()) for item in value)
        return delimited(key(1, BYTES), write_schema(value))

    return read, write


def schema_or_bool(schema: tuple[Read, Write]) -> tuple[Read, Write]:
    """A schema, or whether anything is allowed."""
    read_schema, write_schema = schema

    def read(data: bytes, pos: int, end: int) -> Json:
        allows: Json = False
        for number, value in fields(data, pos, end):
            if number == 2:
                body = _bytes(value)
                return read_schema(body, 0, len(body))
            if number == 1:
                allows = bool(_number(value, 64))
        return allows

    def write(value: Json) -> bytes:
        if isinstance(value, bool):
            return b"\x08\x01" if value else b"\x08\x00"
        return b"\x08\x01" + delimited(key(2, BYTES), write_schema(value))

    return read, write


SPECIAL: dict[str, tuple[Read, Write]] = {
    "@time": (read_time, write_time),
    "@micro_time": (read_micro_time, write_micro_time),
    "@quantity": (read_quantity, write_quantity),
    "@int_or_string": (read_int_or_string, write_int_or_string),
    "@strings": (read_strings, write_strings),
}
"""By the names of the data file; raw JSON and the three that hold schemas are put together by whoever knows messages."""
