"""Bodies to objects: JSON, YAML and the protobuf envelope, with upstream's words when they cannot be read.

Owns limits of depth and expansion and the finding of duplicate fields; what fields a kind has is the registry's business.
Hot path: `decode`.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Callable
from dataclasses import dataclass, field

import msgspec

from resource_api.errors import Json, Object, StatusError, bad_request, invalid, invalid_object
from resource_api.go_numbers import WrittenFloat
from resource_api.http.negotiation import Media
from resource_api.schema import depth, json_fault
from resource_api.schema.builtin import resource_types
from resource_api.schema.json_values import whole_numbers
from resource_api.schema.kinds import GroupVersionKind
from resource_api.schema.yaml_values import PREFACE, yaml_value

PROTOBUF_MAGIC = b"k8s\x00"
TYPE_META = r"""struct { APIVersion string "json:\"apiVersion,omitempty\""; Kind string "json:\"kind,omitempty\"" }"""
"""How Go writes the type that a body's kind is read into."""

_decode_json = msgspec.json.Decoder().decode
_decode_as_written = msgspec.json.Decoder(float_hook=WrittenFloat).decode

DecodeEnvelope = Callable[[bytes, GroupVersionKind | None], Object]
"""The protobuf envelope to an object; raises ValueError with a text for the client."""


@dataclass(slots=True)
class Decoded:
    """A body's object and what strict decoding holds against it."""

    obj: Object
    faults: list[str] = field(default_factory=list)


class Bodies:
    """Reads bodies. `protobuf` is the schema's decoder."""

    def __init__(self, protobuf: DecodeEnvelope) -> None:
        self._protobuf = protobuf

    def decode(self, body: bytes, media: Media, expected: GroupVersionKind, *, strict: bool = True, kinds: tuple[str, ...] = ()) -> Decoded:
        """The object of a write, with apiVersion and kind. Raises StatusError 400.

        `expected` is the kind a body without one has; `strict` looks for duplicate fields. With `kinds`, kinds of any group named so are
        taken as well (`DeleteOptions`).
        """
        try:
            custom = not _is_builtin_group(expected.group)
            found = self._read(body, media, expected, strict, as_written=not custom)
        except StatusError:
            raise
        except (ValueError, RecursionError) as error:
            raise _undecodable(body, expected, str(error)) from error
        obj = found.obj
        if custom:
            whole_numbers(obj)
        if custom and not obj.get("kind"):
            raise _undecodable(body, expected, f"Object 'Kind' is missing in '{body.decode(errors='replace')}'")
        if not obj.get("kind"):
            obj["kind"] = expected.kind
        if not obj.get("apiVersion"):
            obj["apiVersion"] = "" if custom else expected.api_version
        kind, api_version = obj["kind"], obj["apiVersion"]
        if kind in kinds:
            return found
        if not isinstance(kind, str) or not isinstance(api_version, str):
            wrong = "kind" if not isinstance(kind, str) else "apiVersion"
            text = f"json: cannot unmarshal {go_type(obj[wrong])} into Go struct field .{wrong} of type string"
            text = f"couldn't get version/kind; json parse error: {text}"
            raise _undecodable(body, expected, text)
        if api_version.count("/") > 1:
            missing = f"Object 'Kind' is missing in '{body.decode(errors='replace')}'"
            raise _undecodable(body, expected, missing if custom else f"unexpected GroupVersion string: {api_version}")
        if not custom:
            _check_kind(kind, api_version, expected)
        if api_version != expected.api_version:
            raise bad_request(
                f"the API version in the data ({api_version}) does not match the expected API version ({expected.api_version})"
            )
        metadata = obj.get("metadata")
        if kind != expected.kind:
            name = metadata.get("name") if isinstance(metadata, dict) else ""
            raise invalid_object(expected.group, expected.kind, str(name or ""), [invalid("kind", kind, f"must be {expected.kind}")])
        if metadata is not None and not isinstance(metadata, dict):
            text = f"json: cannot unmarshal {go_type(metadata)} into Go struct field {kind}.metadata of type v1.ObjectMeta"
            raise bad_request(f'{kind} in version "{expected.version}" cannot be handled as a {expected.kind}: {text}')
        return found

    def _read(self, body: bytes, media: Media, expected: GroupVersionKind, strict: bool, *, as_written: bool) -> Decoded:
        if media == "protobuf":
            if not body.startswith(PROTOBUF_MAGIC):
                raise ValueError("provided data does not appear to be a protobuf message, expected prefix [107 56 115 0]")
            obj = self._protobuf(body, expected)
            if depth.is_too_deep(obj):
                raise ValueError(depth.TEXT)
            return Decoded(obj)
        if media == "yaml" and body.lstrip()[:1] != b"{":
            return yaml_object(body)
        return json_object(body, strict=strict, as_written=as_written)


@functools.cache
def _builtin_kinds() -> frozenset[tuple[str, str]]:
    """Groups with versions, and kinds."""
    own = {(type.gvk.api_version, type.kind) for type in resource_types()}
    return frozenset(own | {(sub.kind.api_version, sub.kind.kind) for type in resource_types() for sub in type.subresources.values()})


@functools.cache
def _is_builtin_group(group: str) -> bool:
    return any(api_version.rpartition("/")[0] == group for api_version, _ in _builtin_kinds())


def _check_kind(kind: str, api_version: str, expected: GroupVersionKind) -> None:
    """A built-in kind in another version of its group is told apart by its version; none other can be made this one. Raises a 400."""
    group, _, version = api_version.rpartition("/")
    if kind == expected.kind and group in (expected.group, "extensions"):
        return
    if (api_version, kind) in _builtin_kinds():
        package = (expected.group or "core").partition(".")[0]
        why = f"converting ({version}.{kind}) to ({package}.{expected.kind}): unknown conversion"
    else:
        why = f'no kind "{kind}" is registered for version "{api_version}" in scheme "pkg/api/legacyscheme/scheme.go:30"'
    raise bad_request(f'{kind} in version "{version}" cannot be handled as a {expected.kind}: {why}')


def json_object(body: bytes, *, strict: bool = True, as_written: bool = False) -> Decoded:
    """A JSON object and its duplicate fields; `as_written` is `json_value`'s. Raises ValueError in the words of Go's decoder."""
    try:
        value = json_value(body, as_written=as_written)
    except OverflowError as error:
        # Looking for version and kind passes over numbers; only decoding the whole fails.
        raise ValueError(str(error)) from error
    except ValueError as error:
        raise ValueError(f"couldn't get version/kind; json parse error: {error}") from error
    if value is None:
        value = {}  # As Go reads null: nothing is set.
    if not isinstance(value, dict):
        text = f"json: cannot unmarshal {go_type(value)} into Go value of type {TYPE_META}"
        raise ValueError(f"couldn't get version/kind; json parse error: {text}")
    faults = duplicate_fields(body) if strict and _may_repeat(body, value) else []
    return Decoded(value, faults)


def json_value(body: bytes, *, as_written: bool = False) -> Json:
    """Any JSON value; floats keep their text, and may be infinite, when it goes through `decoding.decode` `as_written`.

    What is no UTF-8 is U+FFFD. Raises ValueError, or OverflowError for a number past float64, in the words of Go's decoder.
    """
    decode = _decode_as_written if as_written else _decode_json
    try:
        return _bounded(body, decode(body))
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        if fault := json_fault.describe(body, ""):
            raise ValueError(fault) from error
    except RecursionError as error:
        raise ValueError(depth.TEXT) from error
    if not as_written and (too_large := json_fault.number_out_of_range(body)):
        raise OverflowError(too_large)
    try:
        return _bounded(body, decode(json_fault.readable(body)))
    except msgspec.DecodeError as error:
        # An integer of thousands of digits is not kept as it was written either.
        raise OverflowError(json_fault.number_out_of_range(body) or str(error)) from error


def _bounded(body: bytes, value: Json) -> Json:
    if depth.may_be_too_deep(body) and depth.is_too_deep(value):
        raise ValueError(depth.TEXT)
    return value


def _may_repeat(body: bytes, value: Json) -> bool:
    """False only when the text has exactly as many names as the value: then none stood twice."""
    names = body.count(b'":') - body.count(b'\\":')
    stack, found = [value], 0
    while stack:
        node = stack.pop()
        if type(node) is dict:
            found += len(node)
            stack.extend(child for child in node.values() if type(child) is dict or type(child) is list)
        else:
            stack.extend(child for child in node if type(child) is dict or type(child) is list)
    return names != found


class _Pairs(dict[str, Json]):
    """An object with the names that stood twice in it."""

    repeated: tuple[str, ...] = ()


def duplicate_fields(body: bytes) -> list[str]:
    """`duplicate field "spec.replicas"` for every name that stands twice in one object of valid JSON."""

    def pairs(items: list[tuple[str, Json]]) -> _Pairs:
        made = _Pairs(items)
        if len(made) < len(items):
            seen: set[str] = set()
            made.repeated = tuple(dict.fromkeys(name for name, _ in items if name in seen or seen.add(name)))  # type: ignore[func-returns-value]
        return made

    faults: list[str] = []
    try:
        _collect(json.loads(body, object_pairs_hook=pairs), "", faults)
    except (ValueError, RecursionError):
        return []
    return faults


def _collect(value: Json, path: str, faults: list[str]) -> None:
    if isinstance(value, _Pairs):
        prefix = f"{path}." if path else ""
        faults.extend(f'duplicate field "{prefix}{name}"' for name in value.repeated)
        for name, child in value.items():
            if type(child) is not str:
                _collect(child, prefix + name, faults)
    elif isinstance(value, list):
        for index, child in enumerate(value):
            _collect(child, f"{path}[{index}]", faults)


def yaml_object(body: bytes) -> Decoded:
    """A YAML mapping. Raises ValueError."""
    try:
        value, faults = yaml_value(body)
    except ValueError as error:
        raise ValueError(str(error).removeprefix(PREFACE)) from error
    if value is None and body.strip():
        value = {}
    if not isinstance(value, dict):
        text = f"json: cannot unmarshal {go_type(value)} into Go value of type {TYPE_META}"
        raise ValueError(f"couldn't get version/kind; json parse error: {text}")
    return Decoded(value, faults)


def go_type(value: Json) -> str:
    """A value's JSON type as Go's decoder names it."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "bool"
    if isinstance(value, str):
        return "string"
    return "number" if isinstance(value, int | float) else "array" if isinstance(value, list) else "object"


def _undecodable(body: bytes, expected: GroupVersionKind, why: str) -> StatusError:
    return bad_request(f"the object provided is unrecognized (must be of type {expected.kind}): {why} ({_summary(body)})")


def _summary(body: bytes, bytes_max: int = 30) -> str:
    """The start of a body, as upstream's decoder shows it: text when it looks like JSON, else hexadecimal."""
    if not body:
        return "<empty>"
    cut = body[:bytes_max]
    text = cut.decode(errors="replace") if body[:1] == b"{" else cut.hex()
    return text + " ..." if len(body) > bytes_max else text
