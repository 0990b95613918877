"""What the values below one storage path are: of which kind, and of that kind's types. Whatever else stands there is damage.

A value that is no object of its kind is never served, changed or removed as if it were one: the error names its key and revision. The types
of a value are looked at once when it is first used, without making an object of it. Hot path: `StoredForm.check`.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import msgspec

from resource_api.errors import Object, StatusError, UndecodableError
from resource_api.registry.objects import PROTOBUF_MAGIC, decode_stored
from resource_api.registry.store import Stored
from resource_api.schema import typed_json
from resource_api.schema.builtin import META, definition, schema_of
from resource_api.schema.decoding import decode
from resource_api.schema.kinds import GroupVersionKind, ResourceType
from resource_api.schema.protobuf.envelope import decode_envelope
from resource_api.schema.types import Schema


class StoredForm:
    """Of one kind. What it needs is made on first use: most kinds are never read.

    Invariant: `check` passes exactly what `decode` decodes.
    """

    def __init__(self, gvk: GroupVersionKind, schema: Callable[[], Schema], *, any_version: bool = False) -> None:
        """With `any_version` values of every version of the kind's group may stand there, as those of custom kinds do."""
        self._gvk = gvk
        self._schema = schema
        self._any_version = any_version
        self._api_version = gvk.api_version
        self._decoder: msgspec.json.Decoder[Any] | None = None

    def decode(self, stored: Stored) -> Object:
        """The object in the version it is stored in, with its resourceVersion, the caller's to change. Raises UndecodableError."""
        self.check(stored)
        return decode_stored(stored, decode_envelope)

    def check(self, stored: Stored) -> None:
        """Raises UndecodableError."""
        decoder = self._decoder
        if decoder is None:
            decoder = self._decoder = typed_json.decoder(self._schema())
        try:
            found = decoder.decode(stored.value)
        except (msgspec.DecodeError, ValueError, OverflowError, RecursionError):
            self._look(stored)
            return
        if found.kind != self._gvk.kind or found.metadata is None or not self._is_version(found.apiVersion or ""):
            self._look(stored)

    def _look(self, stored: Stored) -> None:
        """Closely, in the way of the API's own decoding, whose words are told."""
        obj = decode_stored(stored, decode_envelope)
        api_version, kind = obj.get("apiVersion"), obj.get("kind")
        for name, value in (("Kind", kind), ("apiVersion", api_version)):
            if not value or not isinstance(value, str):
                raise UndecodableError(stored.key, stored.revision, f"Object '{name}' is missing")
        if kind != self._gvk.kind or not self._is_version(str(api_version)):
            why = f'it is {kind} of "{api_version}", and only {self._gvk.kind} of "{self._api_version}" is stored here'
            raise UndecodableError(stored.key, stored.revision, why)
        if not stored.value.startswith(PROTOBUF_MAGIC):
            try:
                decode(self._gvk, self._schema(), obj)
            except StatusError as error:
                raise UndecodableError(stored.key, stored.revision, error.message) from error

    def _is_version(self, api_version: str) -> bool:
        return api_version == self._api_version or (self._any_version and api_version.rpartition("/")[0] == self._gvk.group)


def stored_form(type: ResourceType) -> StoredForm:
    """Of a resource's kind; of a custom one, whose schema is its definition's and changes, the metadata."""
    if type.custom:
        return StoredForm(type.gvk, _custom_object, any_version=True)
    gvk = type.stored_as or type.gvk
    return StoredForm(gvk, lambda: schema_of(gvk))


@functools.cache
def _custom_object() -> Schema:
    text = Schema("string")
    return Schema("object", properties={"apiVersion": text, "kind": text, "metadata": definition(META + "ObjectMeta")})
