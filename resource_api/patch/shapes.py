"""What ownership sees in a value: a map of fields, a list of identified items, or one leaf.

Decided by the schema, deduced where it is silent.

Structs and maps are granular unless marked atomic; lists are atomic unless marked as a set or a map. Values without a schema have granular
maps and atomic lists. Hot path: `sort_of`, `child`, `element_of`.
"""

from __future__ import annotations

from enum import IntEnum

from resource_api.errors import Json, Object
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


def sort_of(schema: Schema, value: Json) -> Sort:
    """How a value of this schema is owned; the value decides only where the schema allows anything."""
    shape = schema.shape
    if shape == "object":
        if schema.map_type == "atomic":
            return LEAF
        return MAP if schema.properties or schema.additional is not None or schema.preserve_unknown else LEAF
    if shape == "array":
        return LEAF if schema.list_type == "atomic" else LIST
    if shape == "any" and schema.preserve_unknown and schema.map_type != "atomic":
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
        if item is None:
            raise UnidentifiedItemError("associative list with keys may not have a null element")
        return value_element(item)
    if not isinstance(item, dict):
        what = "a null" if item is None else "non-map"
        raise UnidentifiedItemError(f"associative list with keys may not have {what} element" + ("s" if item is not None else ""))
    fields = (schema.items or ANY).properties
    keys: Object = {}
    for name in schema.list_map_keys:
        value = item.get(name)
        if value is None:
            node = fields.get(name)
            value = node.default if node is not None else None
            if value is None:
                text = f'associative list with keys has an element that omits key field "{name}" (and doesn\'t have default value)'
                raise UnidentifiedItemError(text)
        keys[name] = value
    return key_element(keys)


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
