"""What a new object contains before anybody set anything.

Upstream keeps some structs by value and some lists without omitting them: they are always there, so whoever creates the object owns what he
puts into them, but not them. `zero_objects.json` has them by kind, made by `tools/kube/zero_objects.go` from the published Go types; kinds
without a line, and all custom ones, have nothing but `metadata`.
"""

from __future__ import annotations

import functools
import pkgutil

import msgspec

from resource_api.errors import Object
from resource_api.schema.kinds import ResourceType

_BARE: Object = {"metadata": {}}


@functools.cache
def _table() -> dict[str, Object]:
    data = pkgutil.get_data(__package__, "zero_objects.json")
    assert data is not None
    return msgspec.json.decode(data, type=dict[str, Object])


def zero_object(type: ResourceType) -> Object:
    """The object one is compared with when it is created; never changed by anybody."""
    return _BARE if type.custom else _table().get(f"{type.api_version} {type.kind}", _BARE)
