"""Defaults of a structural schema, and nulls that mean "not set" (spec C.3; apiextensions `schema/defaulting`). Hot path.

A field that is absent, or null where null is no value, gets its default; a null without a default goes. Twice changes nothing more.
"""

from __future__ import annotations

from collections.abc import Callable

from resource_api.errors import Json, Object
from resource_api.schema.json_values import copied

Default = Callable[[Json], None]
"""Works in place."""

Rule = tuple[bool, Json, Default | None]
"""Whether null is a value, the default, and what is done below."""


def compile_default(props: Object) -> Default | None:
    """None when there is nothing a value could gain or lose."""
    fields = props.get("properties") or {}
    additional = props.get("additionalProperties")
    items = props.get("items")
    if fields:
        return _struct(fields)
    if isinstance(additional, dict):
        return _map(additional)
    if isinstance(items, dict):
        return _list(items)
    return None


def _rule(child: Object) -> Rule:
    return child.get("nullable") is True, child.get("default"), compile_default(child)


def _struct(fields: dict[str, Object]) -> Default:
    defaults = [(name, child["default"]) for name, child in fields.items() if child.get("default") is not None]
    rules: dict[str, Rule] = {}
    rule = rules.get

    def default(value: Json) -> None:
        if type(value) is not dict:
            return
        for name, given in defaults:
            if name not in value:
                value[name] = copied(given)
        gone: list[str] | None = None
        for name, inner in value.items():
            found = rule(name)
            if found is None:
                if name not in fields:
                    continue
                # Compiled when first met: most fields of most kinds never are.
                found = rules[name] = _rule(fields[name])
            if inner is None:
                if found[0]:
                    continue
                if found[1] is None:
                    gone = [*(gone or ()), name]
                    continue
                inner = value[name] = copied(found[1])
            below = found[2]
            if below is not None:
                below(inner)
        if gone is not None:
            for name in gone:
                del value[name]

    return default


def _map(child: Object) -> Default:
    nullable, given, below = _rule(child)

    def default(value: Json) -> None:
        if type(value) is not dict:
            return
        for name in [name for name, inner in value.items() if inner is None and not nullable]:
            if given is None:
                del value[name]
            else:
                value[name] = copied(given)
        if below is not None:
            for inner in value.values():
                below(inner)

    return default


def _list(child: Object) -> Default | None:
    nullable, given, below = _rule(child)
    if below is None and given is None:
        return None

    def default(value: Json) -> None:
        if type(value) is not list:
            return
        for index, inner in enumerate(value):
            if inner is None and not nullable and given is not None:
                inner = value[index] = copied(given)
            if below is not None:
                below(inner)

    return default


def default_at_root(props: Object) -> Default:
    """Of a whole object: `apiVersion`, `kind` and `metadata` are the server's business."""
    fields = {name: child for name, child in (props.get("properties") or {}).items() if name not in ("apiVersion", "kind", "metadata")}
    return compile_default({"properties": fields}) or _nothing


def _nothing(value: Json) -> None:
    """There are no defaults."""
