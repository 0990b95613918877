"""What a new object contains before anybody set anything.

Upstream keeps some structs by value and some lists without omitting them: they are always there, so whoever creates the object owns what he
puts into them, but not them. Custom kinds have nothing but `metadata`.
"""

from __future__ import annotations

import functools

from resource_api.errors import Object
from resource_api.schema.builtin import always_written, schema_of
from resource_api.schema.kinds import GroupVersionKind, ResourceType
from resource_api.schema.types import Schema

_BARE: Object = {"metadata": {}}


def zero_object(type: ResourceType) -> Object:
    """The object one is compared with when it is created; never changed by anybody."""
    return _BARE if type.custom else _zero_of(type.gvk)


@functools.cache
def _zero_of(gvk: GroupVersionKind) -> Object:
    return _BARE | _zero_struct(schema_of(gvk))


def _zero_struct(schema: Schema) -> Object:
    fields = schema.properties
    return {
        member: _zero_struct(fields[member]) if isinstance(zero, dict) else zero for member, zero in always_written(schema.name).items()
    }
