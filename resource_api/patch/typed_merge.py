"""Merging an applied configuration into a live object, and taking fields out of an object; both along the schema.

Neither changes its arguments; results share nothing with them.
"""

from __future__ import annotations

from resource_api.errors import Json, Object
from resource_api.patch.field_sets import FieldSet, is_member
from resource_api.patch.shapes import LEAF, LIST, MAP, child, element_of, sort_of
from resource_api.schema.json_values import copied
from resource_api.schema.types import ANY, Schema


def merged(schema: Schema, live: Object, applied: Object) -> Object:
    """`live` with the fields of `applied` set; lists of identified items merge by identity. Raises UnidentifiedItemError."""
    result = {}
    for name, value in live.items():
        result[name] = _merged(child(schema, name), value, applied[name]) if name in applied else copied(value)
    for name, value in applied.items():
        if name not in live:
            result[name] = copied(value)
    return result


def _merged(schema: Schema, live: Json, applied: Json) -> Json:
    sort = sort_of(schema, applied)
    if sort is LEAF or not live:
        return copied(applied)
    if sort is MAP and isinstance(live, dict):
        if not applied:
            return copied(live)
        return merged(schema, live, applied) if isinstance(applied, dict) else copied(applied)
    if sort is LIST and isinstance(live, list):
        if not applied:
            return copied(live)
        return _merged_list(schema, live, applied) if isinstance(applied, list) else copied(applied)
    return copied(applied)


def _merged_list(schema: Schema, live: list[Json], applied: list[Json]) -> list[Json]:
    """Applied items in their order; live ones keep their places relative to the shared items where the two orders agree."""
    left = [(element_of(schema, item), item) for item in live]
    right = {element_of(schema, item): item for item in applied}
    counts: dict[str, int] = {}
    for element, _ in left:
        counts[element] = counts.get(element, 0) + 1
    by_element = {element: item for element, item in left if counts[element] == 1}
    items = schema.items or ANY

    def joined(element: str) -> Json:
        item = right[element]
        return _merged(items, by_element[element], item) if element in by_element else copied(item)

    shared = iter([element for element in right if element in counts])
    wanted = next(shared, None)
    order = list(right)
    result: list[Json] = []
    place, done = 0, 0
    taken: set[str] = set()
    while place < len(left) or done < len(order):
        if place < len(left):
            element = left[place][0]
            if element not in right:
                result.append(copied(left[place][1]))
                place += 1
                continue
            if done == len(order) or (element != order[done] and wanted is not None and element != wanted):
                place += 1
                continue
            if element in taken:
                place += 1
        element = order[done]
        result.append(joined(element))
        taken.add(element)
        done += 1
        if place < len(left) and left[place][0] == element:
            place += 1
        if element == wanted:
            wanted = next(shared, None)
    return result


def without(schema: Schema, obj: Object, fields: FieldSet) -> tuple[Object, list[tuple[Object, str]]]:
    """The object without those fields and what is below them, and where that left a container empty.

    Such a container is null in the result: whoever owns it still does. When ownership is settled, `drop` takes these nulls out.
    """
    emptied: list[tuple[Object, str]] = []
    return _without_fields(schema, obj, fields, emptied), emptied


def drop(emptied: list[tuple[Object, str]]) -> None:
    """Removes the nulls `without` left behind, in place."""
    for container, name in emptied:
        container.pop(name, None)


def _without(schema: Schema, value: Json, fields: FieldSet, emptied: list[tuple[Object, str]]) -> Json:
    sort = sort_of(schema, value)
    if sort is MAP and isinstance(value, dict):
        return _without_fields(schema, value, fields, emptied) or None
    if sort is LIST and isinstance(value, list):
        return _without_items(schema, value, fields, emptied) or None
    return copied(value)


def _without_fields(schema: Schema, value: Object, fields: FieldSet, emptied: list[tuple[Object, str]]) -> Object:
    result: Object = {}
    for name, part in value.items():
        node = fields.get("f:" + name)
        if node is None:
            result[name] = copied(part)
        elif not is_member(node):
            result[name] = _without(child(schema, name), part, node, emptied)
            if result[name] is None:
                emptied.append((result, name))
    return result


def _without_items(schema: Schema, values: list[Json], fields: FieldSet, emptied: list[tuple[Object, str]]) -> list[Json]:
    items = schema.items or ANY
    result = []
    for item in values:
        node = fields.get(element_of(schema, item))
        if node is None:
            result.append(copied(item))
        elif not is_member(node):
            left = _without(items, item, node, emptied)
            if left is not None:
                result.append(left)
    return result
