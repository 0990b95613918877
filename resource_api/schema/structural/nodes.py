"""A structural schema as the nodes patches, field ownership and decoding walk (`schema.types`). Built once per served version."""

from __future__ import annotations

from typing import cast

from resource_api.errors import Object
from resource_api.schema import builtin
from resource_api.schema.types import ANY, SCALARS, Schema, Shape

OBJECT_META = "io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta"


def schema_node(props: Object, *, name: str = "") -> Schema:
    """The node of a JSONSchemaProps tree, metadata excepted."""
    described = str(props.get("description") or "")
    nullable = props.get("nullable") is True
    if props.get("x-kubernetes-int-or-string"):
        return Schema(
            "string", format="int-or-string", int_or_string=True, nullable=nullable, default=props.get("default"), description=described
        )
    kind = props.get("type")
    preserve = props.get("x-kubernetes-preserve-unknown-fields") is True
    if kind == "array":
        return _array(props, described)
    if kind == "object" or (not kind and props.get("properties")):
        return _object(props, name, described, preserve=preserve)
    if kind in SCALARS:
        return Schema(
            cast(Shape, kind),
            format=str(props.get("format") or ""),
            enum=tuple(one for one in props.get("enum") or () if isinstance(one, str)),
            nullable=nullable,
            default=props.get("default"),
            description=described,
        )
    return Schema("any", preserve_unknown=True, nullable=nullable, default=props.get("default"), description=described)


def _array(props: Object, described: str) -> Schema:
    items = props.get("items")
    keys = tuple(props.get("x-kubernetes-list-map-keys") or ())
    kind = props.get("x-kubernetes-list-type")
    return Schema(
        "array",
        items=schema_node(items) if isinstance(items, dict) else ANY,
        nullable=props.get("nullable") is True,
        default=props.get("default"),
        list_type="map" if kind == "map" and keys else "set" if kind == "set" else "atomic",
        list_map_keys=keys if kind == "map" else (),
        description=described,
    )


def _object(props: Object, name: str, described: str, *, preserve: bool) -> Schema:
    fields = {field: schema_node(child) for field, child in (props.get("properties") or {}).items()}
    embedded = props.get("x-kubernetes-embedded-resource") is True
    if embedded:
        fields |= {"apiVersion": Schema("string"), "kind": Schema("string"), "metadata": builtin.definition(OBJECT_META)}
    additional = props.get("additionalProperties")
    child = schema_node(additional) if isinstance(additional, dict) else ANY if additional is True else None
    return Schema(
        "object",
        name=name,
        properties=fields,
        additional=None if fields else child,
        required=tuple(props.get("required") or ()),
        nullable=props.get("nullable") is True,
        default=props.get("default"),
        preserve_unknown=preserve,
        embedded=embedded,
        map_type="atomic" if props.get("x-kubernetes-map-type") == "atomic" else "granular",
        description=described,
    )


def root_node(props: Object | None, *, name: str) -> Schema:
    """The node of a whole object: `apiVersion`, `kind` and `metadata` are what they are for every kind."""
    props = props or {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
    root = schema_node({**props, "type": "object", "additionalProperties": None}, name=name)
    fields = {
        "apiVersion": Schema("string"),
        "kind": Schema("string"),
        **{field: child for field, child in root.properties.items() if field not in ("apiVersion", "kind", "metadata")},
        "metadata": builtin.definition(OBJECT_META),
    }
    return Schema(
        "object",
        name=name,
        properties=fields,
        required=root.required,
        preserve_unknown=root.preserve_unknown,
        map_type=root.map_type,
        description=root.description,
    )
