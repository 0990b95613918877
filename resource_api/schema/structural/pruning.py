"""Fields a structural schema does not name go (spec C.3; apiextensions `schema/pruning`). Compiled once to closures; hot path.

`x-kubernetes-preserve-unknown-fields` stops it below for what is not named; what is named is pruned still. The metadata of embedded objects
becomes an ObjectMeta (upstream's `schema/objectmeta`); that of the root is not looked at here, because not only pruning needs it decoded.
"""

from __future__ import annotations

from collections.abc import Callable

from resource_api.errors import Json, Object
from resource_api.schema import builtin
from resource_api.schema.decoding import decode_metadata
from resource_api.schema.structural.nodes import OBJECT_META

Prune = Callable[[Json, str, list[str]], None]
"""Takes a value, its path and the list that gets the paths of what was removed. Raises DecodeError for embedded metadata of wrong types."""

META_FIELDS = frozenset({"apiVersion", "kind", "metadata"})


def compile_prune(props: Object | None, *, root: bool = False) -> Prune:
    """Removes in place; `props` None stands for a value of which nothing is known."""
    if props is None:
        return _prune_all
    preserve = props.get("x-kubernetes-preserve-unknown-fields") is True
    embedded = props.get("x-kubernetes-embedded-resource") is True
    kept = META_FIELDS if root or embedded else frozenset()
    fields: Object = props.get("properties") or {}
    additional = props.get("additionalProperties")
    others: Prune | None = None
    if additional:
        others = compile_prune(additional if isinstance(additional, dict) else None)
    items = props.get("items")
    each = compile_prune(items) if isinstance(items, dict) else None if preserve else _prune_all
    if not fields and others is None and preserve and each is None:
        return _prune_metadata if embedded and not root else _keep_all
    node = _node(fields, others, each, kept, preserve=preserve)
    if not embedded or root:
        return node

    def prune(value: Json, path: str, unknown: list[str]) -> None:
        _prune_metadata(value, path, unknown)
        node(value, path, unknown)

    return prune


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


def _prune_metadata(value: Json, path: str, unknown: list[str]) -> None:
    """Of an embedded object. Metadata that is no object is left to validation."""
    metadata = value.get("metadata") if type(value) is dict else None
    if type(metadata) is dict:
        decode_metadata(builtin.definition(OBJECT_META), metadata, f"{path}.metadata" if path else "metadata", unknown)


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
