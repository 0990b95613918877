"""From JSON to a value of a kind: wrong types refused, nulls and unknown fields dropped, quantities and times in the API's own form.

What decoding into Go structs does for upstream: a field of the wrong type is a 400 and not a validation error, `null` is the same as
absent, numbers given as quantities come back as text, and bytes as the one base64 text they have. Texts are those of `encoding/json`
with upstream's preface. Pure, in place.
"""

from __future__ import annotations

import binascii
import re
from datetime import UTC, datetime

from resource_api.errors import Json, Object, StatusError, bad_request
from resource_api.go_numbers import WrittenFloat, plain_float
from resource_api.schema.builtin import left_out_when_zero
from resource_api.schema.json_values import whole_numbers
from resource_api.schema.kinds import GroupVersionKind
from resource_api.schema.quantity import QuantityError, canonical
from resource_api.schema.types import Schema

QUANTITY = "io.k8s.apimachinery.pkg.api.resource.Quantity"
MICRO_TIME = "io.k8s.apimachinery.pkg.apis.meta.v1.MicroTime"

_CANONICAL_TIME = re.compile(r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$")
_TIME = re.compile(r"^(\d{4}-\d\d-\d\d)T(\d\d:\d\d:\d\d)(\.\d+)?(Z|[+-]\d\d:\d\d)$")
_NUMBERS = ("int32", "int64", "float64")
"""Go types that a number's text is told of when it does not fit."""
_INT32 = Schema("integer", format="int32")
_RANGES = {"int32": (-(2**31), 2**31 - 1), "int64": (-(2**63), 2**63 - 1)}


class DecodeError(ValueError):
    """The value cannot be one of its kind; the message is what follows the preface.

    `converted` is how upstream says the same of a value that comes out of a strategic merge, which it does not read as JSON.
    """

    def __init__(self, text: str, converted: str = "") -> None:
        super().__init__(text)
        self.converted = converted or text


def decode(gvk: GroupVersionKind, schema: Schema, obj: Object) -> list[str]:
    """Makes `obj` a value of its kind, in place; the paths of the unknown fields it dropped. Raises StatusError 400 on a wrong type."""
    unknown: list[str] = []
    try:
        _struct(schema, obj, "", gvk.kind, unknown)
    except DecodeError as error:
        raise refusal(gvk, str(error)) from error
    return unknown


def decode_metadata(schema: Schema, metadata: Object, path: str, unknown: list[str]) -> None:
    """Makes the metadata of an embedded object that of any object, in place; `path` is its own. Raises DecodeError on a wrong type."""
    _struct(schema, metadata, f"{path}.", "ObjectMeta", unknown)


def refusal(gvk: GroupVersionKind, why: str) -> StatusError:
    """The answer to a body that cannot be decoded into its kind."""
    return bad_request(f'{gvk.kind} in version "{gvk.version}" cannot be handled as a {gvk.kind}: {why}')


def _struct(schema: Schema, obj: Object, path: str, owner: str, unknown: list[str]) -> None:
    known = schema.properties
    if not known or schema.preserve_unknown:
        if schema.additional is not None:
            _map(schema.additional, obj, path, owner, unknown)
        else:
            _free(obj, owner, path)
        return
    for name in list(obj):
        child = known.get(name)
        if child is None:
            unknown.append(f"{path}{name}")
            del obj[name]
            continue
        value = obj[name]
        if value is None:
            if child.shape != "any":
                del obj[name]
        else:
            changed = _value(child, value, f"{path}{name}", owner, unknown)
            if changed is not value:
                obj[name] = changed
            if not changed and schema.name and name in left_out_when_zero(schema.name):
                del obj[name]


def _map(values: Schema, obj: Object, path: str, owner: str, unknown: list[str]) -> None:
    # Go names the map and not the key.
    whole = path.rstrip(".") if values.shape in ("string", "integer", "number", "boolean") else ""
    for name, value in list(obj.items()):
        if value is None:
            # A map's null is the zero value of what it holds.
            if values.name == QUANTITY:
                obj[name] = "0"
            else:
                obj[name] = {} if values.shape == "object" else [] if values.shape == "array" else "" if values.shape == "string" else None
        else:
            obj[name] = _value(values, value, whole or f"{path}{name}", owner, unknown)


def _value(schema: Schema, value: Json, path: str, owner: str, unknown: list[str]) -> Json:
    shape = schema.shape
    if schema.name == QUANTITY:
        return _quantity(value)
    if schema.int_or_string:
        return value if isinstance(value, str) else _integer(_INT32, value, owner, path)
    if shape == "string":
        if not isinstance(value, str):
            raise _mismatch(value, owner, path, "string")
        return _text(schema, value) if schema.format else value
    if shape == "object":
        if not isinstance(value, dict):
            raise _mismatch(value, owner, path, go_type(schema))
        if schema.additional is not None and not schema.properties:
            _map(schema.additional, value, f"{path}.", owner, unknown)
        else:
            _struct(schema, value, f"{path}.", schema.name.rpartition(".")[2] or owner, unknown)
        return value
    if shape == "array":
        if not isinstance(value, list):
            raise _mismatch(value, owner, path, go_type(schema))
        _items(schema, value, path, owner, unknown)
        return value
    if shape == "integer":
        return _integer(schema, value, owner, path)
    if shape == "boolean" and not isinstance(value, bool):
        raise _mismatch(value, owner, path, "bool")
    if shape == "number":
        return _number(value, owner, path)
    return value if shape == "boolean" else _free(value, owner, path)


def _items(schema: Schema, values: list[Json], path: str, owner: str, unknown: list[str]) -> None:
    item = schema.items
    assert item is not None
    for index, value in enumerate(values):
        if value is None:
            values[index] = {} if item.shape == "object" else "" if item.shape == "string" else 0 if item.shape == "integer" else None
        else:
            values[index] = _value(item, value, f"{path}[{index}]", owner, unknown)


def _number(value: Json, owner: str, path: str) -> float | int:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise _mismatch(value, owner, path, "float64")
    if isinstance(value, int):
        return value
    try:
        return plain_float(value)
    except OverflowError as error:
        raise _mismatch(value, owner, path, "float64") from error


def _free(value: Json, owner: str, path: str) -> Json:
    """What may be anything, with its numbers as Go would write them."""
    if type(value) is dict or type(value) is list or isinstance(value, float):
        try:
            return whole_numbers(value)
        except OverflowError as error:
            raise DecodeError(str(error)) from error
    return value


def _integer(schema: Schema, value: Json, owner: str, path: str) -> int:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise _mismatch(value, owner, path, go_type(schema))
    low, high = _RANGES.get(schema.format, _RANGES["int64"])
    if isinstance(value, float):
        # Go takes no number with a fraction or an exponent for an integer, be it whole; who may write one so makes it whole before.
        raise _mismatch(value, owner, path, go_type(schema))
    number: int = value
    if not low <= number <= high:
        raise _mismatch(number, owner, path, go_type(schema))
    return number


def _quantity(value: Json) -> str:
    try:
        return canonical(value)
    except QuantityError as error:
        raise DecodeError(str(error)) from error


def _text(schema: Schema, value: str) -> str:
    if schema.format == "date-time":
        return value if _CANONICAL_TIME.match(value) and schema.name != MICRO_TIME else _time(value, micro=schema.name == MICRO_TIME)
    return _base64(value) if schema.format == "byte" else value


def _base64(value: str) -> str:
    """Without line ends, and with nothing in the bits that its last character has to spare: as it is written from bytes."""
    packed = value.replace("\n", "").replace("\r", "")
    try:
        data = binascii.a2b_base64(packed, strict_mode=True)
        if len(packed) != (len(data) + 2) // 3 * 4:
            raise binascii.Error("padding behind whole groups")
    except (binascii.Error, ValueError) as error:
        raise DecodeError(f"illegal base64 data at input byte {_bad_base64(value)}") from error
    if not packed.endswith("="):
        return packed
    tail = binascii.b2a_base64(data[-(len(data) % 3) :], newline=False).decode()
    return packed if packed.endswith(tail) else packed[:-4] + tail


def _bad_base64(value: str) -> int:
    for offset, char in enumerate(value):
        if not (char.isascii() and (char.isalnum() or char in "+/=\r\n")):
            return offset
    return len(value) - len(value) % 4


def _time(value: str, *, micro: bool) -> str:
    """RFC 3339 in UTC, to the second or the microsecond, as upstream writes it back."""
    layout = "2006-01-02T15:04:05.000000Z07:00" if micro else "2006-01-02T15:04:05Z07:00"
    match = _TIME.match(value)
    try:
        if match is None:
            raise ValueError
        at = datetime.fromisoformat(f"{match[1]}T{match[2]}{match[4].replace('Z', '+00:00')}").astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise DecodeError(f'parsing time "{value}" as "{layout}": cannot parse "{value}" as "2006"') from error
    text = at.strftime("%Y-%m-%dT%H:%M:%S").rjust(19, "0")
    if micro:
        text += "." + (match[3] or ".")[1:7].ljust(6, "0")
    return text + "Z"


def go_type(schema: Schema) -> str:
    """The type as Go names it, as far as the schema tells."""
    if schema.shape == "array" and schema.items is not None:
        return "[]" + go_type(schema.items)
    if schema.shape == "object":
        if schema.additional is not None:
            return "map[string]" + go_type(schema.additional)
        version, _, name = schema.name.rpartition(".")
        return f"{version.rpartition('.')[2]}.{name}" if name else "map[string]interface {}"
    return {"integer": schema.format or "int64", "boolean": "bool", "number": "float64"}.get(schema.shape, "string")


def _mismatch(value: Json, owner: str, path: str, wanted: str) -> DecodeError:
    given = {bool: "bool", str: "string", list: "array", dict: "object"}.get(type(value)) or (
        f"number {value.text if isinstance(value, WrittenFloat) else value}" if wanted in _NUMBERS else "number"
    )
    plain = re.sub(r"\[\d+\]", "", path)
    text = f"json: cannot unmarshal {given} into Go struct field {owner}.{plain} of type {wanted}"
    return DecodeError(text, _conversion_fault(value, wanted))


def _conversion_fault(value: Json, wanted: str) -> str:
    """What upstream's converter of unstructured values says of one that is no `wanted`."""
    given = {bool: "bool", str: "string", list: "slice", dict: "map", int: "int64", float: "float64"}.get(type(value), "nil")
    if wanted.startswith("[]"):
        return f"cannot restore slice from {given}"
    if wanted.startswith("map["):
        return f"cannot restore map from {given}"
    if "." in wanted:
        return f"cannot restore struct from: {given}"
    if (given == "int64" and wanted == "string") or (given in ("int64", "float64") and wanted.startswith("int")):
        return f"cannot convert {given} to {wanted}"
    return f"unrecognized type: {wanted}"
