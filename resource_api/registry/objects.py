"""Objects as they are stored and as they are answered: `metadata` first, `apiVersion` and `kind` last, the version spliced in.

A stored value is JSON without `metadata.resourceVersion`, which is the revision of its last write. Because `metadata` stands first, the
version goes in at a fixed offset, and a GET or a list needs no decoding. Values another server wrote are read too: JSON in any order, and
the protobuf envelope. Hot path: `with_version` and `as_item`.
"""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from resource_api.errors import Object, UndecodableError
from resource_api.go_numbers import go_number
from resource_api.registry.store import Stored
from resource_api.schema import depth
from resource_api.schema.kinds import GroupVersionKind

HEAD = b'{"metadata":{'
PROTOBUF_MAGIC = b"k8s\x00"

_decode = msgspec.json.Decoder(float_hook=go_number).decode
"""Whole floats are integers: another writer may have stored a count of 2.0, or a definition that defaults one."""
_encode = msgspec.json.Encoder().encode

DecodeProtobuf = Callable[[bytes], Object]
"""The protobuf envelope to an object; raises ValueError."""


class TooDeepError(Exception):
    """An object nests deeper than any may that is stored: nothing could read it back."""


def tail(gvk: GroupVersionKind) -> bytes:
    """How every value of ours ends."""
    return f',"apiVersion":"{gvk.api_version}","kind":"{gvk.kind}"}}'.encode()


def encode_stored(obj: Object) -> bytes:
    """The bytes to store; `obj` must have kind, apiVersion and a name, and is not changed. Raises TooDeepError."""
    metadata = {name: value for name, value in obj["metadata"].items() if name not in ("resourceVersion", "selfLink")}
    ordered: Object = {"metadata": metadata}
    for name, value in obj.items():
        if name not in ("metadata", "apiVersion", "kind"):
            ordered[name] = value
    ordered["apiVersion"] = obj["apiVersion"]
    ordered["kind"] = obj["kind"]
    value = _encode(ordered)
    if depth.may_be_too_deep(value) and depth.is_too_deep(ordered):
        raise TooDeepError
    return value


def decode_stored(stored: Stored, protobuf: DecodeProtobuf | None = None) -> Object:
    """The object with its resourceVersion, the caller's to change. Raises UndecodableError."""
    value = stored.value
    try:
        is_protobuf = protobuf is not None and value.startswith(PROTOBUF_MAGIC)
        obj = protobuf(value) if protobuf is not None and is_protobuf else _decode(value)
    except (msgspec.DecodeError, ValueError, OverflowError, RecursionError) as error:
        raise UndecodableError(stored.key, stored.revision, str(error)) from error
    if (is_protobuf or depth.may_be_too_deep(value)) and depth.is_too_deep(obj):
        raise UndecodableError(stored.key, stored.revision, depth.TEXT)
    if not isinstance(obj, dict) or not isinstance(obj.get("metadata"), dict):
        raise UndecodableError(stored.key, stored.revision, "it is no object with metadata")
    obj["metadata"]["resourceVersion"] = str(stored.revision)
    return obj


def is_ours(value: bytes, end: bytes) -> bool:
    """Whether the splices below hold for it: metadata first and not empty, apiVersion and kind last."""
    return value.startswith(b'{"metadata":{"') and value.endswith(end)


def with_version(value: bytes, revision: int) -> bytes:
    """The answer's bytes of a value that `is_ours`."""
    return b'%b"resourceVersion":"%d",%b' % (HEAD, revision, value[13:])


def as_item(value: bytes, revision: int, end: bytes) -> bytes:
    """The same without apiVersion and kind, as the items of typed lists stand."""
    return b'%b"resourceVersion":"%d",%b}' % (HEAD, revision, value[13 : -len(end)])


def name_of(obj: Object) -> str:
    """`metadata.name`, or nothing."""
    return str((obj.get("metadata") or {}).get("name") or "")
