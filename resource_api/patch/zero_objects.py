"""What a new object of a built-in kind contains before anybody set anything.

Upstream keeps some structs by value: they are always there, so whoever creates the object does not own them but what he puts into them.
Of custom kinds there is nothing but `metadata`.
"""

from __future__ import annotations

from resource_api.errors import Object
from resource_api.schema.types import Schema

BY_VALUE = frozenset(
    {
        "metadata",
        "spec",
        "status",
        "template",
        "strategy",
        "updateStrategy",
        "jobTemplate",
        "nodeInfo",
        "daemonEndpoints",
        "kubeletEndpoint",
        "source",
        "series",
        "scaleTargetRef",
        "names",
        "acceptedNames",
        "devices",
    }
)
"""Fields that hold a struct by value wherever they occur, `BY_POINTER` excepted."""

BY_POINTER = frozenset({("ReplicationControllerSpec", "template"), ("Event", "series"), ("Namespace", "template")})

ALSO_BY_VALUE = frozenset({("PersistentVolumeClaimSpec", "resources")})

EMPTY_LISTS = frozenset({("PodSpec", "containers"), ("CustomResourceDefinitionStatus", "conditions")})
"""Lists that are written even when they are empty."""


def zero_object(schema: Schema, *, custom: bool) -> Object:
    """The object an object is compared with when it is created."""
    return {"metadata": {}} if custom else _zero(schema)


def _zero(schema: Schema) -> Object:
    owner = schema.name.rpartition(".")[2]
    result: Object = {}
    for name, field in schema.properties.items():
        if field.shape == "object" and field.properties and field.map_type == "granular":
            by_value = name in BY_VALUE and (owner, name) not in BY_POINTER
            if by_value or (owner, name) in ALSO_BY_VALUE:
                result[name] = _zero(field)
        elif (owner, name) in EMPTY_LISTS:
            result[name] = None
    return result
