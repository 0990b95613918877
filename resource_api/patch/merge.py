"""JSON merge patch (RFC 7386): objects merge, nulls delete, everything else replaces."""

from __future__ import annotations

from resource_api.errors import Json
from resource_api.schema.json_values import copied


def apply(document: Json, patch: Json) -> Json:
    """The patched value. Shares nothing with either argument."""
    return _merged(copied(document), patch)


def _merged(target: Json, patch: Json) -> Json:
    if not isinstance(patch, dict):
        return copied(patch)
    if not isinstance(target, dict):
        target = {}
    for name, value in patch.items():
        if value is None:
            target.pop(name, None)
        else:
            target[name] = _merged(target.get(name), value)
    return target
