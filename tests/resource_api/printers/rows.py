"""What tests of tables share: the row of one object, by column."""

from __future__ import annotations

from typing import Any

from resource_api.errors import Object
from resource_api.printers.table import Tables
from resource_api.schema.builtin import resource_types
from resource_api.schema.kinds import ResourceType
from resource_api.schema.times import parse_time, rfc3339

NOW = "2026-01-02T00:00:00Z"
BORN = "2026-01-01T23:00:00Z"
"""An hour before: AGE is 60m."""

NOW_S = parse_time(NOW)


def before(seconds: float) -> str:
    """A time that long ago."""
    return rfc3339(NOW_S - seconds)


def type_of(kind: str, group: str | None = None) -> ResourceType:
    """The newest version of a built-in kind."""
    return next(one for one in resource_types() if one.kind == kind and group in (None, one.group))


TABLES = Tables(lambda: NOW_S)


def row(kind: str, obj: Object, group: str | None = None) -> dict[str, Any]:
    """The cells of an object `x` of that age, by column."""
    made = {**obj, "kind": kind, "metadata": {"name": "x", "creationTimestamp": BORN, **obj.get("metadata", {})}}
    printed = TABLES(type_of(kind, group), [made])
    ((cells, _),) = printed.rows
    names = [column["name"] for column in printed.columns]
    assert len(cells) == len(names), (names, cells)
    found = dict(zip(names, cells, strict=True))
    assert found["Name"].startswith("x")
    if "Age" in found:
        assert found.pop("Age") == "60m"
    return found


def conditions(kind: str, obj: Object) -> list[Object]:
    """The conditions of the row."""
    ((_, found),) = TABLES(type_of(kind), [{**obj, "metadata": {"name": "x"}}]).rows
    return found
