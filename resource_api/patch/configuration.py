"""An applied configuration: checked against the schema, and the set of fields it speaks of.

Unlike stored objects it must fit the schema in every field and may name no list item twice; texts are structured-merge-diff's.
"""

from __future__ import annotations

from resource_api.errors import Json, Object
from resource_api.patch.comparison import repeated
from resource_api.patch.field_sets import LEAF as MEMBER
from resource_api.patch.field_sets import FieldSet, Path, made, path_text
from resource_api.patch.shapes import LEAF, MAP, UnidentifiedItemError, element_of, sort_of
from resource_api.schema.json_values import go_text, go_type
from resource_api.schema.types import ANY, Schema

IMPLIED = ("apiVersion", "kind", "metadata")
"""Every object has these, also where a custom kind's schema does not say so."""


class MisfitError(ValueError):
    """The configuration does not fit its schema; the text lists every fault."""


def fields_of(schema: Schema, configuration: Object) -> FieldSet:
    """The fields a configuration sets. Raises MisfitError."""
    walk = _Walk()
    result = walk.map(schema, configuration, ())
    if walk.faults:
        raise MisfitError(walk.faults[0] if len(walk.faults) == 1 else "errors:\n" + "\n".join(f"  {fault}" for fault in walk.faults))
    return result


def stored_fields(schema: Schema, obj: Object) -> FieldSet:
    """The same of an object that was stored or merged: what does not fit is a leaf."""
    return _Walk().map(schema, obj, ())


class _Walk:
    """One pass; collects faults and goes on."""

    def __init__(self) -> None:
        self.faults: list[str] = []

    def map(self, schema: Schema, value: Object, path: Path) -> FieldSet:
        named, closed = schema.properties, bool(schema.properties) and schema.additional is None and not schema.preserve_unknown
        result: FieldSet = {}
        for name, part in value.items():
            element = "f:" + name
            node = named.get(name)
            if node is None and closed and not (not path and name in IMPLIED):
                self.faults.append(f"{path_text((*path, element))}: field not declared in schema")
                continue
            member, children = self.value(node or schema.additional or ANY, part, (*path, element))
            found = made(member or node is None or part is None or part == {}, children)
            if found is not None:
                result[element] = found
        return result

    def value(self, schema: Schema, value: Json, path: Path) -> tuple[bool, FieldSet]:
        """Whether the path itself belongs to the set, and what is below it."""
        sort = sort_of(schema, value)
        if not self._fits(schema, value, path):
            return True, {}
        if sort is LEAF:
            return True, {}
        if value is None:
            return False, {}
        if sort is MAP:
            return False, self.map(schema, value, path)
        return False, self.list(schema, value, path)

    def list(self, schema: Schema, values: list[Json], path: Path) -> FieldSet:
        result: FieldSet = {}
        items = schema.items or ANY
        for place, item in enumerate(values):
            try:
                element = element_of(schema, item)
            except UnidentifiedItemError as error:
                self.faults.append(f"{path_text(path)}: element {place}: {error}")
                continue
            _, children = self.value(items, item, (*path, element))
            node = made(True, children)
            result[element] = MEMBER if node is None else node
        if len(result) < len(values) and not self.faults:
            self.faults += [f"{path_text(path)}: duplicate entries for key {path_text((element,))}" for element in repeated(schema, values)]
        return result

    def _fits(self, schema: Schema, value: Json, path: Path) -> bool:
        problem = _problem(schema, value)
        if problem:
            self.faults.append(f"{path_text(path)}: {problem}")
        return not problem


def _problem(schema: Schema, value: Json) -> str:
    shape = schema.shape
    if value is None or shape == "any" or schema.int_or_string:
        return ""
    if shape == "object":
        return "" if isinstance(value, dict) else f"expected map, got &{{{go_text(value)}}}"
    if shape == "array":
        return "" if isinstance(value, list) else f"expected list, got &{{{go_text(value)}}}"
    if shape in ("integer", "number"):
        good = isinstance(value, int | float) and not isinstance(value, bool)
        return "" if good else f"expected numeric (int or float), got {go_type(value)}"
    if shape == "boolean":
        return "" if isinstance(value, bool) else f"expected boolean, got &{{{go_text(value)}}}"
    if schema.format == "quantity":
        return "" if not isinstance(value, dict | list | bool) else f"expected string, got &{{{go_text(value)}}}"
    return "" if isinstance(value, str) else f"expected string, got &value.valueUnstructured{{Value:{go_text(value)}}}"
