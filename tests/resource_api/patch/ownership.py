"""Writes through field ownership, and who owns what afterwards."""

from __future__ import annotations

import copy

from resource_api.errors import Object
from resource_api.patch.apply import FieldOwnership
from resource_api.patch.field_sets import paths

NOW, LATER = "2026-01-01T00:00:00Z", "2026-01-02T00:00:00Z"


def created(manager: FieldOwnership, obj: Object, by: str = "creator") -> Object:
    obj = manager.on_update(None, copy.deepcopy(obj), manager=by, now=NOW)
    obj["metadata"].update(uid="u", resourceVersion="1", creationTimestamp=NOW)
    return obj


def entries(obj: Object) -> list[Object]:
    return obj["metadata"].get("managedFields", [])


def owned(obj: Object, by: str, operation: str = "") -> set[str]:
    """The paths somebody owns."""
    found = set()
    for entry in entries(obj):
        if entry["manager"] == by and operation in ("", entry["operation"]):
            found |= {"/".join(path) for path in paths(entry["fieldsV1"])}
    return found


def applied(manager: FieldOwnership, live: Object | None, config: Object, by: str = "me", *, force: bool = False, now: str = NOW) -> Object:
    before = copy.deepcopy(live)
    result = manager.apply(live, copy.deepcopy(config), manager=by, force=force, now=now)
    assert live == before
    return result
