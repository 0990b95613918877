"""Fields a structural schema does not name go (spec C.3; apiextensions `schema/pruning`). Compiled once to closures; hot path.

`x-kubernetes-preserve-unknown-fields` stops it below for what is not named; what is named is pruned still. The metadata of objects, at the
root and embedded, is not looked at here: `decoding` knows it.
"""

from __future__ import annotations

from collections.abc import Callable

from resource_api.errors import Json, Object

Prune = Callable[[Json, str, list[str]], None]
"""Takes a value, its path and the list that gets the paths of what was removed."""

META_FIELDS = frozenset({"apiVersion", "kind", "metadata"})


def compile_prune(props: Object | None, *, root: bool = False) -> Prune:
    """Removes in place; `props` None stands for a value of which nothing is known."""
    if props is None:
        return _prune_all
    preserve = props.get("x-kubernetes-preserve-unknown-fields") is True
    kept = META_FIELDS if root or props.get("x-kubernetes-embedded-resource") else frozenset()
    fields: Object = props.get("properties") or {}
    additional = props.get("additionalProperties")
    others: Prune | None = None
    if additional:
        others = compile_prune(additional if isinstance(additional, dict) else None)
    items = props.get("items")
    each = compile_prune(items) if isinstance(items, dict) else None if preserve else _prune_all
    if not fields and others is None and preserve and each is None:
        return _keep_all
    return _node(fields, others, each, kept, preserve=preserve)


def _node(properties: Object, others: Prune | None, each: Prune | None, kept: frozenset[str], *, preserve: bool) -> Prune:
    fields: dict[str, Prune] = {}
    field = fields.get

    def prune(value: Json, path: str, unknown: list[str]) -> None:
        if type(value) is dict:
            gone: list[str] | None = None
            for name, inner in value.items():
                if name in kept:
                    continue
                child = field(name)
                if child is None:
                    # Compiled when first met: most fields of most kinds never are.
                    child = others if name not in properties else fields.setdefault(name, compile_prune(properties[name]))
                if child is not None:
                    if type(inner) is dict or type(inner) is list:
                        child(inner, f"{path}.{name}" if path else name, unknown)
                elif not preserve:
                    if gone is None:
                        gone = []
                    gone.append(name)
            if gone is not None:
                for name in gone:
                    del value[name]
                    unknown.append(f"{path}.{name}" if path else name)
        elif type(value) is list and each is not None:
            for index, inner in enumerate(value):
                if type(inner) is dict or type(inner) is list:
                    each(inner, f"{path}[{index}]", unknown)

    return prune


def _prune_all(value: Json, path: str, unknown: list[str]) -> None:
    """Nothing is known: objects become empty, lists keep their length."""
    if type(value) is dict:
        unknown.extend(f"{path}.{name}" if path else name for name in value)
        value.clear()
    elif type(value) is list:
        for index, inner in enumerate(value):
            _prune_all(inner, f"{path}[{index}]", unknown)


def _keep_all(value: Json, path: str, unknown: list[str]) -> None:
    """Everything may stay."""
