"""What a table is made of, and the columns of a custom kind: from `additionalPrinterColumns` to definitions and cells (spec B.13)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

from resource_api.errors import Json, Object, shown
from resource_api.schema.json_path import JsonPath, JsonPathError
from resource_api.schema.kinds import ResourceType
from resource_api.schema.structural.validation import number_text
from resource_api.schema.times import age

_NAME_DESCRIPTION = (
    "Name must be unique within a namespace. Is required when creating resources, although some resources may allow a client to request "
    "the generation of an appropriate name automatically. Name is primarily intended for creation idempotence and configuration "
    "definition. Cannot be updated. More info: https://kubernetes.io/docs/concepts/overview/working-with-objects/names#names"
)
_AGE: Object = {
    "name": "Age",
    "type": "date",
    "description": "CreationTimestamp is a timestamp representing the server time when this object was created. It is not guaranteed to be "
    "set in happens-before order across separate operations. Clients may not set this value. It is represented in RFC3339 form and is in "
    "UTC.\n\nPopulated by the system. Read-only. Null for lists. More info: "
    "https://git.k8s.io/community/contributors/devel/sig-architecture/api-conventions.md#metadata",
    "jsonPath": ".metadata.creationTimestamp",
}


class Printed(NamedTuple):
    """What a printer makes of objects of one kind."""

    columns: list[Object]
    """`columnDefinitions`: name, type, format, description, priority."""
    rows: list[tuple[list[Json], list[Object]]]
    """For each object its cells and its row's conditions."""


Rows = Callable[[ResourceType, Sequence[Object]], Printed]
"""The printer of a kind. Objects are read-only; no objects asks for the columns alone. Must not wait."""


class PrinterColumns:
    """The columns of one served version. A column whose path cannot be read ends them, as upstream."""

    def __init__(self, columns: list[Object] | None) -> None:
        self.definitions: list[Object] = [
            {"name": "Name", "type": "string", "format": "name", "description": _NAME_DESCRIPTION, "priority": 0}
        ]
        self._cells: list[tuple[str, JsonPath]] = []
        for column in columns or [_AGE]:
            try:
                path = JsonPath(column.get("jsonPath") or "")
            except JsonPathError:
                break
            described = column.get("description") or f"Custom resource definition column (in JSONPath format): {path.text}"
            self.definitions.append(
                {
                    "name": column.get("name", ""),
                    "type": column.get("type", ""),
                    "format": column.get("format", ""),
                    "description": described,
                    "priority": column.get("priority", 0),
                }
            )
            self._cells.append((column.get("type", ""), path))

    def cells(self, obj: Object, now_s: float) -> list[Json]:
        """One row; `now_s` is what ages are counted from."""
        name = (obj.get("metadata") or {}).get("name", "")
        return [name, *(_cell(kind, path, obj, now_s) for kind, path in self._cells)]


def cells(version: Object, obj: Object, now_s: float) -> list[Json]:
    """The row of an object by a version of its definition. Those who print many keep a `PrinterColumns`."""
    return PrinterColumns(version.get("additionalPrinterColumns")).cells(obj, now_s)


def _cell(kind: str, path: JsonPath, obj: Object, now_s: float) -> Json:
    found = path.find(obj)
    if not found:
        return None
    value = found[0]
    if kind == "string":
        return _text(value)
    if kind in ("integer", "number") and type(value) in (int, float):
        return int(value) if kind == "integer" else value
    if kind == "boolean" and type(value) is bool:
        return value
    if kind == "date" and type(value) is str:
        return age(value, now_s)
    return None


def _text(value: Json) -> Json:
    """As the value is printed: text as it is, numbers and truth as Go writes them, the rest as JSON."""
    if type(value) is str:
        return value
    if type(value) is float:
        return number_text(value)
    return "<nil>" if value is None else shown(value)
