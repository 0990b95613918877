"""Stored bytes as answers, without decoding: objects, items of lists, events. Hot path."""

from __future__ import annotations

from collections.abc import Callable

from resource_api.cache.item import Item
from resource_api.errors import Object
from resource_api.http.representation import encode_json
from resource_api.registry.objects import as_item, is_ours, tail, with_version
from resource_api.registry.resource import Resource
from resource_api.schema.kinds import GroupVersionKind


def reads_as_stored(resource: Resource) -> bool:
    """Whether stored bytes may be answered as they are: same version, and no defaults are put in on reading."""
    type = resource.type
    return not type.custom and (type.stored_as is None or type.stored_as == type.gvk)


class Splices:
    """The JSON of stored objects of every kind."""

    def __init__(self) -> None:
        self._tails: dict[GroupVersionKind, bytes] = {}

    def object(self, resource: Resource, item: Item) -> bytes:
        """The object; decoded only when its stored form is not the answer's. Raises UndecodableError."""
        stored = item.stored
        if reads_as_stored(resource) and is_ours(stored.value, self._tail(resource)):
            if not item.is_sound:
                resource.form.check(stored)
                item.is_sound = True
            return with_version(stored.value, stored.revision)
        return encode_json(item.object())

    def for_list(self, resource: Resource) -> Callable[[Item], bytes]:
        """Makes items of a list: without apiVersion and kind for built-in kinds."""
        end, splice, keep_type = self._tail(resource), reads_as_stored(resource), resource.type.custom
        check = resource.form.check

        def encode(item: Item) -> bytes:
            _, value, revision = item.stored
            if splice and is_ours(value, end):
                if not item.is_sound:
                    check(item.stored)
                    item.is_sound = True
                return as_item(value, revision, end)
            obj = item.object()
            return encode_json(obj if keep_type else without_type(obj))

        return encode

    def _tail(self, resource: Resource) -> bytes:
        gvk = resource.type.gvk
        found = self._tails.get(gvk)
        if found is None:
            found = self._tails[gvk] = tail(gvk)
        return found


def without_type(obj: Object) -> Object:
    """The object as it stands in a typed list."""
    return {name: value for name, value in obj.items() if name not in ("apiVersion", "kind")}
