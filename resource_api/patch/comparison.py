"""What changed between two objects, as field sets. Hot path: every write compares once, in one walk.

`compare` gives what was added or changed and what was removed; whoever owns fields loses or gains by these two sets.
"""

from __future__ import annotations

from collections import Counter
from typing import NamedTuple

from resource_api.errors import Json, Object
from resource_api.patch.field_sets import LEAF as MEMBER
from resource_api.patch.field_sets import SELF, FieldSet, Node
from resource_api.patch.shapes import LEAF, LIST, MAP, child, element_of, sort_of
from resource_api.schema.json_values import same
from resource_api.schema.types import ANY, Schema


class Comparison(NamedTuple):
    """Both sets hold leaves, and items and maps that came or went as a whole."""

    changed: FieldSet
    removed: FieldSet


def compare(schema: Schema, old: Object, new: Object) -> Comparison:
    """From `old` to `new`. Raises UnidentifiedItemError when an associative list has items without identity."""
    changed: FieldSet = {}
    removed: FieldSet = {}
    _maps(schema, old, new, changed, removed)
    return Comparison(changed, removed)


def whole(schema: Schema, value: Json) -> Node:
    """The node of a value that stands where nothing stood, itself a member. Raises UnidentifiedItemError."""
    sort = sort_of(schema, value)
    if sort is LEAF or not value:
        return MEMBER
    node: Node = {SELF: MEMBER}
    if sort is MAP:
        if not isinstance(value, dict):
            return MEMBER
        fields, additional = schema.properties, schema.additional or ANY
        for name, part in value.items():
            node["f:" + name] = whole(fields.get(name) or additional, part) if type(part) is dict or type(part) is list else MEMBER
        return node
    if not isinstance(value, list):
        return MEMBER
    items = schema.items or ANY
    for item in value:
        node[element_of(schema, item)] = whole(items, item)
    return node


def _maps(schema: Schema, old: Object, new: Object, changed: Node, removed: Node) -> None:
    for name, value in new.items():
        if name not in old:
            changed["f:" + name] = whole(child(schema, name), value)
            continue
        before = old[name]
        if before is value or (before == value and (type(value) is str or schema.shape != "any")):
            continue
        _values(child(schema, name), before, value, "f:" + name, changed, removed)
    for name, before in old.items():
        if name not in new:
            removed["f:" + name] = whole(child(schema, name), before)


def _values(schema: Schema, old: Json, new: Json, element: str, changed: Node, removed: Node) -> None:
    """Two values in the same place; null counts as empty."""
    sort = sort_of(schema, new)
    came: Node = {}
    went: Node = {}
    if sort is MAP and (old or new) and isinstance(old, dict | None) and isinstance(new, dict | None):
        _maps(schema, old or {}, new or {}, came, went)
    elif sort is LIST and (old or new) and isinstance(old, list | None) and isinstance(new, list | None):
        _lists(schema, old or [], new or [], came, went)
    elif not same(old, new):
        changed[element] = MEMBER
    if came:
        changed[element] = came
    if went:
        removed[element] = went


def _lists(schema: Schema, old: list[Json], new: list[Json], changed: Node, removed: Node) -> None:
    items = schema.items or ANY
    before, after = _indexed(schema, old), _indexed(schema, new)
    for element, found in after.items():
        earlier = before.get(element)
        if earlier is None:
            changed[element] = whole(items, found[0]) if len(found) == 1 else MEMBER
        elif len(found) == len(earlier) == 1:
            if found[0] != earlier[0]:
                _values(items, earlier[0], found[0], element, changed, removed)
        elif not same(earlier, found):
            changed[element] = MEMBER
    for element, earlier in before.items():
        if element not in after:
            removed[element] = whole(items, earlier[0]) if len(earlier) == 1 else MEMBER


def _indexed(schema: Schema, values: list[Json]) -> dict[str, list[Json]]:
    """The items by identity; stored lists may hold one twice."""
    found: dict[str, list[Json]] = {}
    for item in values:
        found.setdefault(element_of(schema, item), []).append(item)
    return found


def repeated(schema: Schema, values: list[Json]) -> list[str]:
    """Identities that stand in a list more than once."""
    counts = Counter(element_of(schema, item) for item in values)
    return [element for element, count in counts.items() if count > 1]
