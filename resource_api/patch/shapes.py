"""What ownership sees in a value: a map of fields, a list of identified items, or one leaf.

Decided by the schema, deduced where it is silent.

Structs and maps are granular unless marked atomic; lists are atomic unless marked as a set or a map. Values without a schema have granular
maps and atomic lists. Hot path: `sort_of`, `child`, `element_of`.
"""

from __future__ import annotations

from enum import IntEnum

from resource_api.errors import Json, Object, shown
from resource_api.patch.field_sets import Node, key_element, value_element
from resource_api.schema.types import ANY, Schema


class Sort(IntEnum):
    """How a value is owned."""

    LEAF = 0
    """As one."""
    MAP = 1
    """Field by field."""
    LIST = 2
    """Item by item."""


LEAF, MAP, LIST = Sort.LEAF, Sort.MAP, Sort.LIST


class UnidentifiedItemError(ValueError):
    """An item of an associative list has no identity."""


LOCAL_REFERENCE = "io.k8s.api.core.v1.LocalObjectReference"
"""Its name may be left out and then is empty."""

OPAQUE_TYPES = frozenset(
    {
        "io.k8s.apimachinery.pkg.runtime.RawExtension",
        "io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1.JSON",
    }
)
"""Types of built-in kinds that hold anything at all: owned as one."""


def sort_of(schema: Schema, value: Json) -> Sort:
    """How a value of this schema is owned; the value decides only where the schema allows anything."""
    shape = schema.shape
    if shape == "object":
        if schema.map_type == "atomic" or schema.name in OPAQUE_TYPES:
            return LEAF
        return MAP if schema.properties or schema.additional is not None or schema.preserve_unknown else LEAF
    if shape == "array":
        return LEAF if schema.list_type == "atomic" else LIST
    if shape == "any" and schema.preserve_unknown and schema.map_type != "atomic" and schema.name not in OPAQUE_TYPES:
        return MAP if isinstance(value, dict) else LEAF
    return LEAF


def child(schema: Schema, name: str) -> Schema:
    """The schema of a field, known or not."""
    return schema.properties.get(name) or schema.additional or ANY


def below(schema: Schema, element: str) -> Schema:
    """The schema at a path element."""
    return child(schema, element[2:]) if element.startswith("f:") else schema.items or ANY


def element_of(schema: Schema, item: Json) -> str:
    """The path element of an item of a set or map list. Raises UnidentifiedItemError."""
    if schema.list_type == "set":
        if item is None or isinstance(item, dict | list):
            what = "an explicit null" if item is None else "a map type" if isinstance(item, dict) else "a list"
            raise UnidentifiedItemError(f"associative list without keys has an element that's {what}")
        return value_element(item)
    if not isinstance(item, dict):
        what = "a null element" if item is None else "non-map elements"
        raise UnidentifiedItemError(f"associative list with keys may not have {what}")
    items = schema.items or ANY
    keys: Object = {}
    for name in schema.list_map_keys:
        if name in item:
            keys[name] = item[name]
        elif (default := _key_default(items, name)) is not None:
            keys[name] = default
    if not keys:
        said = " ".join(map(shown, schema.list_map_keys))
        omitted = f"associative list with keys has an element that omits all key fields [{said}]"
        raise UnidentifiedItemError(f"{omitted} (and doesn't have default values for any key fields)")
    return key_element(keys)


def _key_default(items: Schema, name: str) -> Json:
    """What an absent key counts as; None: an item without the key is another one than any with it."""
    node = items.properties.get(name)
    if node is None or node.default is not None:
        return node.default if node is not None else None
    return "" if items.name == LOCAL_REFERENCE else None


def with_named_fields(schema: Schema, fields: Node) -> Node:
    """The set with every declared field on the way to a member as a member too."""
    named = schema.properties
    result: Node = {}
    for element, node in fields.items():
        if not node or element == ".":
            result[element] = node
            continue
        wider = with_named_fields(below(schema, element), node)
        if "." not in wider and element[2:] in named and element.startswith("f:"):
            wider = {".": {}, **wider}
        result[element] = wider
    return result
