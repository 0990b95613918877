"""OpenAPI v2 documents as protobuf: `openapi.v2.Document`, with the field numbers of google/gnostic-models' OpenAPIv2.proto.

Owns the messages such a document of ours is made of; other security schemes than API keys, and XML, never stand in one. Maps are lists of
name and value there, and what may be any value is YAML text: here JSON, which YAML readers take. kubectl reads nothing else before it
checks a `kind: List`. Fields stand in the order of the document. Plain functions; the whole document takes about 50 ms.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

import msgspec

from resource_api.errors import Json, Object
from resource_api.schema.protobuf.wire import BYTES, FIXED64, VARINT, ProtobufError, delimited, double, key, varint

Write = Callable[[Json], bytes]
"""A value as the bytes of its message, or as a whole field with its key."""

_encode = msgspec.json.Encoder().encode
_unreadable = re.compile("[\x7f-\x9f\u2028\u2029\ufeff\ufffe\uffff]")
"""Characters that JSON leaves as they are and YAML takes for line breaks or refuses; one of them would cost kubectl the whole document."""
_ONE, _TWO = key(1, BYTES), key(2, BYTES)


def _text(number: int) -> Write:
    head = key(number, BYTES)
    return lambda value: delimited(head, value.encode())


def _texts(number: int) -> Write:
    head = key(number, BYTES)
    return lambda values: b"".join([delimited(head, value.encode()) for value in values])


def _flag(number: int) -> Write:
    head = key(number, VARINT)
    return lambda value: head + varint(bool(value))


def _count(number: int) -> Write:
    head = key(number, VARINT)
    return lambda value: head + varint(value)


def _number(number: int) -> Write:
    head = key(number, FIXED64)
    return lambda value: head + double(value)


def _message(number: int, write: Write) -> Write:
    head = key(number, BYTES)
    return lambda value: delimited(head, write(value))


def _messages(number: int, write: Write) -> Write:
    head = key(number, BYTES)
    return lambda values: b"".join([delimited(head, write(value)) for value in values])


def _any(value: Json) -> bytes:
    text = _unreadable.sub(lambda found: f"\\u{ord(found[0]):04x}", _encode(value).decode())
    return delimited(_TWO, text.encode())


def _named(name: str, body: bytes) -> bytes:
    return delimited(_ONE, name.encode()) + delimited(_TWO, body)


def _map(write: Write, number: int = 1) -> Write:
    """A message that is nothing but a map, its entries field `number`."""
    head = key(number, BYTES)
    return lambda values: b"".join([delimited(head, _named(name, write(value))) for name, value in values.items()])


def _fields(table: Mapping[str, Write], extensions: int) -> Write:
    """A message of named fields; those called `x-…` go where extensions belong, others that are in no table are left out."""
    head = key(extensions, BYTES)

    def write(value: Json) -> bytes:
        out = []
        for name, member in value.items():
            field = table.get(name)
            if field is not None:
                out.append(field(member))
            elif name.startswith("x-"):
                out.append(delimited(head, _named(name, _any(member))))
        return b"".join(out)

    return write


def _schema(value: Json) -> bytes:
    """Apart from its table, which needs it."""
    return _SCHEMA(value)


def _type(value: Json) -> bytes:
    return _texts(1)([value] if isinstance(value, str) else value)


def _items(value: Json) -> bytes:
    return _messages(1, _schema)(value if isinstance(value, list) else [value])


def _additional(value: Json) -> bytes:
    """A schema, or yes or no: the one field where false is said."""
    return _flag(2)(value) if isinstance(value, bool) else delimited(_ONE, _schema(value))


_EXTERNAL = _fields({"description": _text(1), "url": _text(2)}, 3)
_SCHEMA = _fields(
    {
        "$ref": _text(1),
        "format": _text(2),
        "title": _text(3),
        "description": _text(4),
        "default": _message(5, _any),
        "multipleOf": _number(6),
        "maximum": _number(7),
        "exclusiveMaximum": _flag(8),
        "minimum": _number(9),
        "exclusiveMinimum": _flag(10),
        "maxLength": _count(11),
        "minLength": _count(12),
        "pattern": _text(13),
        "maxItems": _count(14),
        "minItems": _count(15),
        "uniqueItems": _flag(16),
        "maxProperties": _count(17),
        "minProperties": _count(18),
        "required": _texts(19),
        "enum": _messages(20, _any),
        "additionalProperties": _message(21, _additional),
        "type": _message(22, _type),
        "items": _message(23, _items),
        "allOf": _messages(24, _schema),
        "properties": _message(25, _map(_schema)),
        "discriminator": _text(26),
        "readOnly": _flag(27),
        "externalDocs": _message(29, _EXTERNAL),
        "example": _message(30, _any),
    },
    31,
)

_BODY = _fields({"description": _text(1), "name": _text(2), "in": _text(3), "required": _flag(4), "schema": _message(5, _schema)}, 6)
_HEADER = {"required": _flag(1), "in": _text(2), "description": _text(3), "name": _text(4), "type": _text(5), "format": _text(6)}
"""Of headers and parts of the path; the numbers behind these are others for each place, and none of ours says more but `uniqueItems`."""
_QUERY = _HEADER | {"allowEmptyValue": _flag(5), "type": _text(6), "format": _text(7), "uniqueItems": _flag(20)}
_NON_BODY = {
    "header": _message(1, _fields(_HEADER | {"uniqueItems": _flag(19)}, 22)),
    "query": _message(3, _fields(_QUERY, 23)),
    "path": _message(4, _fields(_HEADER | {"uniqueItems": _flag(19)}, 22)),
}


def _parameter(value: Json) -> bytes:
    """A ParametersItem, never a reference."""
    where = value["in"]
    if where == "body":
        parameter = delimited(_ONE, _BODY(value))
    elif where in _NON_BODY:
        parameter = delimited(_TWO, _NON_BODY[where](value))
    else:
        raise ProtobufError(f"a parameter in {where!r} is not known")
    return delimited(_ONE, parameter)


_RESPONSE = _fields({"description": _text(1), "schema": _message(2, _message(1, _schema))}, 5)
_SECURITY = _messages(12, _map(_texts(1)))
_OPERATION = _fields(
    {
        "tags": _texts(1),
        "summary": _text(2),
        "description": _text(3),
        "externalDocs": _message(4, _EXTERNAL),
        "operationId": _text(5),
        "produces": _texts(6),
        "consumes": _texts(7),
        "parameters": _messages(8, _parameter),
        "responses": _message(9, _map(_message(1, _RESPONSE))),
        "schemes": _texts(10),
        "deprecated": _flag(11),
        "security": _SECURITY,
    },
    13,
)
_PATH = _fields(
    {
        "get": _message(2, _OPERATION),
        "put": _message(3, _OPERATION),
        "post": _message(4, _OPERATION),
        "delete": _message(5, _OPERATION),
        "options": _message(6, _OPERATION),
        "head": _message(7, _OPERATION),
        "patch": _message(8, _OPERATION),
        "parameters": _messages(9, _parameter),
    },
    10,
)
_API_KEY = _fields({"type": _text(1), "name": _text(2), "in": _text(3), "description": _text(4)}, 5)
_DOCUMENT = _fields(
    {
        "swagger": _text(1),
        "info": _message(2, _fields({"title": _text(1), "version": _text(2), "description": _text(3)}, 7)),
        "host": _text(3),
        "basePath": _text(4),
        "schemes": _texts(5),
        "consumes": _texts(6),
        "produces": _texts(7),
        "paths": _message(8, _map(_PATH, 2)),
        "definitions": _message(9, _map(_schema)),
        "security": _SECURITY,
        "securityDefinitions": _message(13, _map(_message(2, _API_KEY))),
        "externalDocs": _message(15, _EXTERNAL),
    },
    16,
)


def encoded(swagger: Object) -> bytes:
    """The document as protobuf. Raises ProtobufError for a parameter in a place that there is not."""
    return _DOCUMENT(swagger)
