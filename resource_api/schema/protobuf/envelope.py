"""The protobuf form of the built-in kinds: the `k8s\\0` envelope to an object and back.

Driven by the field numbers in the data file; each message is compiled to two tables of small functions on first use. Absent members are
absent, zeros are written to JSON only where upstream writes them, inlined messages stand beside their holder's members. Fields nobody knows
are skipped, members without a number are left out. Hot path: bodies of typed Go clients.

A Pod of 1 kB in protobuf is read, and written, in about 100 µs; a ConfigMap in 8 µs (CPython 3.11).
"""

from __future__ import annotations

import base64
import binascii
import functools
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import cast

from resource_api.errors import Json, Object
from resource_api.schema import builtin
from resource_api.schema.kinds import GroupVersionKind
from resource_api.schema.protobuf.values import (
    MAGIC,
    SPECIAL,
    Read,
    Write,
    either,
    fields,
    parse_json,
    read_raw,
    schema_or_bool,
    text,
    write_json,
)
from resource_api.schema.protobuf.wire import (
    BYTES,
    FIXED64,
    VARINT,
    ProtobufError,
    delimited,
    double,
    end_of_input,
    key,
    read_double,
    read_length,
    read_varint,
    signed,
    skip,
    varint,
)

__all__ = [
    "MAGIC",
    "ProtobufError",
    "decode_envelope",
    "element_writer",
    "encode_envelope",
    "encode_watch_event",
    "has_protobuf",
    "watch_frame",
]

Into = Callable[[bytes, int, int, Object], None]
"""Reads `data[pos:end]` into an object."""
Number = Callable[[float, Object], None]
"""Takes a number into an object."""
Out = Callable[[Json], bytes]
"""A member's value as its field, key included."""

ENVELOPE_META, ENVELOPE_RAW = 1, 2
NUMBERS = {"int32": VARINT, "int64": VARINT, "bool": VARINT, "double": FIXED64}
SCHEMA = "k8s.io.apiextensions_apiserver.pkg.apis.apiextensions.v1.JSONSchemaProps"
IN_EVERY_GROUP = frozenset({"CreateOptions", "DeleteOptions", "GetOptions", "PatchOptions", "UpdateOptions"})


UNVERSIONED = frozenset({"APIResourceList", "APIVersions"})
"""Discovery's kinds that are answered without apiVersion for the core group."""


class Message:
    """One message compiled: `lengths` and `numbers` go by a field's whole key, `writers` by member, `inline` has the others."""

    __slots__ = ("inline", "known", "lengths", "name", "numbers", "writers")

    def __init__(self, name: str) -> None:
        self.name = name
        self.lengths: dict[int, Into] = {}
        self.numbers: dict[int, Number] = {}
        self.writers: dict[str, Out] = {}
        self.inline: dict[str, tuple[bytes, Message]] = {}
        self.known: dict[int, str] = {}


@functools.cache
def _message(name: str) -> Message:
    message = Message(name)
    for number, member, label, target, keep in builtin.protobuf_table()["messages"][name]:
        message.known[number] = member
        if label == "inline":
            _add_inline(message, number, _message(target))
        elif label == "map":
            _add_map(message, number, member, target)
        elif target in NUMBERS:
            _add_number(message, number, member, target, many=label == "many", keep=bool(keep))
        elif label == "many":
            _add_many(message, number, member, target)
        else:
            _add_one(message, number, member, target, keep=bool(keep))
    return message


def _add_inline(message: Message, number: int, held: Message) -> None:
    head = key(number, BYTES)

    def into(data: bytes, pos: int, end: int, obj: Object) -> None:
        _read(held, data, pos, end, obj)

    message.lengths[number << 3 | BYTES] = into
    for member in (*held.writers, *held.inline):
        message.inline[member] = (head, held)


def _add_number(message: Message, number: int, member: str, target: str, *, many: bool, keep: bool) -> None:
    wire = NUMBERS[target]
    head = key(number, wire)
    bits = 32 if target == "int32" else 64

    def value_of(value: float) -> Json:
        if target == "double":
            return value
        return bool(value) if target == "bool" else signed(int(value), bits)

    def take(value: float, obj: Object) -> None:
        found = value_of(value)
        if many:
            obj.setdefault(member, []).append(found)
        elif found or keep:
            obj[member] = found

    def packed(data: bytes, pos: int, end: int, obj: Object) -> None:
        while pos < end:
            value: float
            value, pos = read_varint(data, pos, end) if wire == VARINT else read_double(data, pos, end)
            take(value, obj)

    def one(value: Json) -> bytes:
        return head + (double(value) if target == "double" else varint(int(value)))

    def all_of(value: Json) -> bytes:
        return b"".join(map(one, value))

    message.numbers[number << 3 | wire] = take
    if many:
        message.lengths[number << 3 | BYTES] = packed
    message.writers[member] = all_of if many else one


def _add_one(message: Message, number: int, member: str, target: str, *, keep: bool) -> None:
    head = key(number, BYTES)
    read, write = _codec(target)
    scalar = target in ("string", "bytes")
    nested = None if scalar or target in SPECIAL or target.startswith("@") else target

    def into(data: bytes, pos: int, end: int, obj: Object) -> None:
        value = read(data, pos, end)
        if value is not None and (value or keep or not scalar):
            obj[member] = value

    def merge(data: bytes, pos: int, end: int, obj: Object) -> None:
        _read(_message(cast(str, nested)), data, pos, end, obj.setdefault(member, {}))

    def out(value: Json) -> bytes:
        return delimited(head, write(value))

    message.lengths[number << 3 | BYTES] = merge if nested else into
    message.writers[member] = out


def _add_many(message: Message, number: int, member: str, target: str) -> None:
    head = key(number, BYTES)
    read, write = _codec(target)

    def into(data: bytes, pos: int, end: int, obj: Object) -> None:
        obj.setdefault(member, []).append(read(data, pos, end))

    def out(value: Json) -> bytes:
        return b"".join([delimited(head, write(item)) for item in value])

    message.lengths[number << 3 | BYTES] = into
    message.writers[member] = out


def _add_map(message: Message, number: int, member: str, target: str) -> None:
    head = key(number, BYTES)
    read, write = _codec(target)

    def into(data: bytes, pos: int, end: int, obj: Object) -> None:
        name, value = "", None
        while pos < end:
            tag, pos = read_varint(data, pos, end)
            if tag & 7 != BYTES:
                pos = skip(data, pos, end, tag & 7)
                continue
            start, pos = read_length(data, pos, end)
            if tag >> 3 == 1:
                name = text(data[start:pos])
            elif tag >> 3 == 2:
                value = read(data, start, pos)
        obj.setdefault(member, {})[name] = read(b"", 0, 0) if value is None else value

    def out(value: Json) -> bytes:
        entries = [delimited(b"\x0a", name.encode()) + delimited(b"\x12", write(item)) for name, item in value.items()]
        return b"".join([delimited(head, entry) for entry in entries])

    message.lengths[number << 3 | BYTES] = into
    message.writers[member] = out


def _read_text(data: bytes, pos: int, end: int) -> Json:
    return text(data[pos:end])


def _write_text(value: Json) -> bytes:
    return cast(bytes, value.encode())


def _read_bytes(data: bytes, pos: int, end: int) -> Json:
    return base64.b64encode(data[pos:end]).decode()


def _write_bytes(value: Json) -> bytes:
    try:
        return base64.b64decode(value, validate=True)
    except binascii.Error as error:
        raise ProtobufError(f"illegal base64 data: {error}") from error


def _read_raw(data: bytes, pos: int, end: int) -> Json:
    """Raw JSON; clients in Go put an envelope there when the object inside has a protobuf form."""
    raw = read_raw(data, pos, end)
    return decode_envelope(raw) if raw.startswith(MAGIC) else parse_json(raw)


@functools.cache
def _codec(target: str) -> tuple[Read, Write]:
    """How the bytes of a field of this type are read and written."""
    if target == "string":
        return _read_text, _write_text
    if target == "bytes":
        return _read_bytes, _write_bytes
    if target == "@json":
        return _read_raw, write_json
    if target in SPECIAL:
        return SPECIAL[target]
    if target == "@schema_or_bool":
        return schema_or_bool(_codec(SCHEMA))
    if target.startswith("@"):
        return either(_codec(SCHEMA), many=target == "@schema_or_array")

    def read(data: bytes, pos: int, end: int) -> Json:
        obj: Object = {}
        _read(_message(target), data, pos, end, obj)
        return obj

    return read, lambda value: _write(_message(target), value)


def _read(message: Message, data: bytes, pos: int, end: int, obj: Object) -> None:
    lengths, numbers = message.lengths, message.numbers
    while pos < end:
        tag = data[pos]
        if tag < 0x80:
            pos += 1
        else:
            tag, pos = read_varint(data, pos, end)
        into = lengths.get(tag)
        if into is not None:
            size = data[pos] if pos < end else 0x80
            if size < 0x80:
                pos += 1
                stop = pos + size
                if stop > end:
                    raise end_of_input()
            else:
                pos, stop = read_length(data, pos, end)
            into(data, pos, stop, obj)
            pos = stop
            continue
        take = numbers.get(tag)
        if take is None:
            pos = _unknown(message, data, pos, end, tag)
        elif tag & 7 == VARINT:
            value, pos = read_varint(data, pos, end)
            take(value, obj)
        else:
            real, pos = read_double(data, pos, end)
            take(real, obj)


def _unknown(message: Message, data: bytes, pos: int, end: int, tag: int) -> int:
    number, wire = tag >> 3, tag & 7
    short = message.name.rpartition(".")[2]
    if number == 0 or wire == 4:
        raise ProtobufError(f"proto: {short}: illegal tag {number} (wire type {wire})")
    if number in message.known:
        raise ProtobufError(f"proto: wrong wireType = {wire} for field {message.known[number]}")
    return skip(data, pos, end, wire)


def _write(message: Message, obj: Object) -> bytes:
    parts: list[bytes] = []
    held: dict[bytes, tuple[Message, Object]] = {}
    writers = message.writers
    for member, value in obj.items():
        if value is None:
            continue
        out = writers.get(member)
        if out is not None:
            parts.append(out(value))
        elif member in message.inline:
            head, inner = message.inline[member]
            held.setdefault(head, (inner, {}))[1][member] = value
    parts.extend(delimited(head, _write(inner, members)) for head, (inner, members) in held.items())
    return b"".join(parts)


def _kind_message(gvk: GroupVersionKind) -> Message | None:
    """The message of a kind, or None when there is none; options are the same in every group."""
    if gvk.kind in IN_EVERY_GROUP:
        return _message(builtin.protobuf_table()["kinds"][builtin.META + gvk.kind])
    try:
        name = builtin.definition_name(gvk)
    except KeyError:
        return None
    message = builtin.protobuf_table()["kinds"].get(name)
    return _message(message) if message is not None else None


def has_protobuf(gvk: GroupVersionKind) -> bool:
    """Whether objects of this kind have a protobuf form."""
    return _kind_message(gvk) is not None


def _envelope(data: bytes) -> tuple[str, str, bytes]:
    """apiVersion, kind and the message's bytes."""
    if not data:
        raise ProtobufError("empty data")
    if not data.startswith(MAGIC):
        raise ProtobufError("provided data does not appear to be a protobuf message, expected prefix [107 56 115 0]")
    version, kind, raw = "", "", b""
    for number, value in fields(data, len(MAGIC), len(data)):
        if number == ENVELOPE_META and isinstance(value, bytes):
            for inner, said in fields(value, 0, len(value)):
                if isinstance(said, bytes) and inner in (1, 2):
                    version, kind = (text(said), kind) if inner == 1 else (version, text(said))
        elif number == ENVELOPE_RAW:
            if not isinstance(value, bytes):
                raise ProtobufError("proto: wrong wireType = 0 for field Raw")
            raw = value
    return version, kind, raw


def decode_envelope(data: bytes, default: GroupVersionKind | None = None) -> Object:
    """The object in an envelope; `default` stands in for a kind or version the envelope leaves out. Raises ProtobufError."""
    version, kind, raw = _envelope(data)
    if default is not None:
        version, kind = version or default.api_version, kind or default.kind
    if not kind:
        raise ProtobufError("Object 'Kind' is missing in the protobuf envelope")
    if not version:
        raise ProtobufError("Object 'apiVersion' is missing in the protobuf envelope")
    group, _, short = version.rpartition("/")
    message = _kind_message(GroupVersionKind(group, short, kind))
    if message is None:
        raise ProtobufError(f'no kind "{kind}" is registered for version "{version}"')
    obj: Object = {"kind": kind, "apiVersion": version}
    try:
        _read(message, raw, 0, len(raw), obj)
    except RecursionError as error:
        raise ProtobufError("the message is nested too deeply") from error
    if kind.endswith("List") and "items" in message.writers:
        obj.setdefault("items", [])
    return obj


def encode_envelope(obj: Object, fields: bytes = b"") -> bytes:
    """The envelope of an object with apiVersion and kind; `fields` of its message are written already and come behind the others.

    Raises ProtobufError: no such protobuf, or a value does not fit.
    """
    kind, version, message = _registered(obj)
    with _told_as_protobuf(kind):
        raw = _write(message, obj) + fields
    meta = delimited(b"\x0a", version.encode()) + delimited(b"\x12", kind.encode())
    return MAGIC + delimited(b"\x0a", meta) + delimited(b"\x12", raw) + b"\x1a\x00\x22\x00"


def element_writer(listed: Object) -> Callable[[Object], bytes]:
    """Writes an object as one of the `items` of a list of that kind, for `encode_envelope`. Raises ProtobufError, as its result does."""
    kind, _, message = _registered(listed)
    out = message.writers["items"]

    def write(obj: Object) -> bytes:
        with _told_as_protobuf(kind):
            return out([obj])

    return write


def _registered(obj: Object) -> tuple[str, str, Message]:
    kind = obj.get("kind") or ""
    version = obj.get("apiVersion") or ("v1" if kind in UNVERSIONED else "")
    group, _, short = version.rpartition("/")
    message = _kind_message(GroupVersionKind(group, short, kind))
    if message is None:
        raise ProtobufError(f'no kind "{kind}" is registered for version "{version}"')
    return kind, version, message


@contextmanager
def _told_as_protobuf(kind: str) -> Iterator[None]:
    """What writing raises for values that do not fit, as one error."""
    try:
        yield
    except ProtobufError:
        raise
    except (AttributeError, TypeError, ValueError, OverflowError, RecursionError) as error:
        raise ProtobufError(f"{kind} cannot be written as protobuf: {error}") from error


def watch_frame(message: bytes) -> bytes:
    """One message of a stream: four bytes of length, big-endian, before it."""
    return len(message).to_bytes(4, "big") + message


def encode_watch_event(event_type: str, envelope: bytes) -> bytes:
    """A frame of a watch: the event's type and an object that is already in its envelope. The event itself has none."""
    carried = delimited(b"\x0a", envelope)
    return watch_frame(delimited(b"\x0a", event_type.encode()) + delimited(b"\x12", carried))
