"""The built-in kinds: which resources there are, the shape of each type, what selectors may name. Read from `data/builtin.bin`.

The file is made by `tools/kube_schema.py` and has parts that are read on first use, each kept decoded except the prose. Importing this
module reads nothing. Schema nodes are built a type at a time, on first use, and shared. Knows nothing of custom kinds. Loop or any
thread: what is built twice by two threads is equal.
"""

from __future__ import annotations

import functools
import pkgutil
import zlib
from collections.abc import Mapping
from typing import cast

import msgspec

from resource_api.errors import Json, Object
from resource_api.schema.kinds import GroupVersionKind, ResourceType, Subresource
from resource_api.schema.types import Schema, Shape

REFERENCE = "#/components/schemas/"
SCALARS = frozenset({"bool", "bytes", "double", "int32", "int64", "string"})
"""Of protobuf."""
META = "io.k8s.apimachinery.pkg.apis.meta.v1."
QUANTITY = "io.k8s.apimachinery.pkg.api.resource.Quantity"
INT_OR_STRING = "io.k8s.apimachinery.pkg.util.intstr.IntOrString"


@functools.cache
def _file() -> tuple[bytes, int, dict[str, tuple[int, int]]]:
    data = pkgutil.get_data(__package__, "data/builtin.bin")
    assert data is not None
    start = 4 + int.from_bytes(data[:4], "big")
    return data, start, msgspec.json.decode(data[4:start], type=dict[str, tuple[int, int]])


def read_part(name: str) -> Object:
    """A part of the data file, decoded anew: resources, kinds, types, prose, protobuf, written. About 1 ms per 100 kB."""
    data, start, index = _file()
    offset, size = index[name]
    return cast(Object, msgspec.json.decode(zlib.decompress(data[start + offset : start + offset + size])))


@functools.cache
def _resources() -> Object:
    return read_part("resources")


@functools.cache
def _kinds() -> dict[str, str]:
    return cast("dict[str, str]", read_part("kinds"))


@functools.cache
def definitions() -> dict[str, Object]:
    """Every type by its full name as OpenAPI v3 publishes it, without prose. Read only."""
    return read_part("types")


@functools.cache
def protobuf_table() -> Object:
    """Protobuf messages by name, and the message of each type that is a kind. Read only."""
    return read_part("protobuf")


@functools.cache
def _always_written() -> dict[str, Object]:
    return read_part("written")


def always_written(name: str) -> Object:
    """The members of a type that upstream writes even when nobody set them, and what it writes then: null, {}, "", 0, false. Read only."""
    return _always_written().get(name, {})


@functools.cache
def left_out_when_zero(name: str) -> frozenset[str]:
    """The members of a type that upstream does not write when they are `""`, 0, false, `[]` or `{}`; structs and quantities always are.

    Decoding into Go types and writing again loses these and no others (`test_zeros.py` asks kubectl).
    """
    found: set[str] = set()
    todo = ["k8s.io." + name.removeprefix("io.k8s.").replace("-", "_")]
    written = {*definitions()[name].get("required", ()), *always_written(name)}
    while todo:
        for _, member, label, target, keep in protobuf_table()["messages"].get(todo.pop(), ()):
            if label == "inline":
                todo.append(target)
            elif (label == "one" and target in SCALARS and not keep) or (label in ("many", "map") and member not in written):
                found.add(member)
    return frozenset(found)


def _resource_type(entry: Object) -> ResourceType:
    subresources = {
        name: Subresource(name, GroupVersionKind(group, version, kind), tuple(verbs))
        for name, (group, version, kind, verbs) in entry["subresources"].items()
    }
    return ResourceType(
        group=entry["group"],
        version=entry["version"],
        kind=entry["kind"],
        plural=entry["plural"],
        singular=entry["singular"],
        namespaced=entry["namespaced"],
        verbs=tuple(entry["verbs"]),
        short_names=tuple(entry["short_names"]),
        categories=tuple(entry["categories"]),
        subresources=subresources,
        storage_path=entry["storage_path"],
        stored_as=GroupVersionKind(*entry["stored_as"]) if entry["stored_as"] else None,
    )


@functools.cache
def resource_types() -> tuple[ResourceType, ...]:
    """Every built-in resource, in discovery order; those without a storage path are never stored."""
    return tuple(map(_resource_type, _resources()["types"]))


def field_labels(group: str, kind: str) -> dict[str, tuple[str, ...]]:
    """What a field selector may name, and where the value stands in the object; `metadata.name` and `.namespace` are always among them.

    A path that ends at a list means its first item's value.
    """
    labels: dict[str, tuple[str, ...]] = {"metadata.name": ("metadata", "name"), "metadata.namespace": ("metadata", "namespace")}
    for label, path in _resources()["labels"].get(f"{group}/{kind}", {}).items():
        labels[label] = tuple(path)
    return labels


def definition_name(gvk: GroupVersionKind) -> str:
    """The full name of a kind's type. Raises KeyError."""
    return _kinds()[f"{gvk.api_version}/{gvk.kind}"]


def definition_names() -> tuple[str, ...]:
    """Every type there is, sorted."""
    return tuple(definitions())


def schema_of(gvk: GroupVersionKind) -> Schema:
    """The shape of a kind, lists and options included. Raises KeyError for one that is not built in."""
    return definition(definition_name(gvk))


@functools.cache
def definition(name: str) -> Schema:
    """The shape of a named type; one node per name. Raises KeyError."""
    return _named(name, {})


def _named(name: str, field: Mapping[str, Json]) -> Schema:
    """A node of a named type; what the holding field says goes before what the type says."""
    node = {**definitions()[name], **{key: value for key, value in field.items() if key != "$ref"}}
    if name == INT_OR_STRING:
        return Schema("string", name=name, format="int-or-string", int_or_string=True, **_merging(node))
    if name == QUANTITY:
        return Schema("string", name=name, format="quantity", **_merging(node))
    if "properties" in node:
        return Schema(
            "object",
            name=name,
            loader=functools.partial(_properties, name),
            required=tuple(node.get("required", ())),
            preserve_unknown=_preserves(node),
            **_merging(node),
        )
    if "type" not in node:
        return Schema("any", name=name, preserve_unknown=True, **_merging(node))
    return _plain(node, name)


def _preserves(node: Mapping[str, Json]) -> bool:
    return bool(node.get("x-kubernetes-preserve-unknown-fields"))


@functools.cache
def _properties(name: str) -> Mapping[str, Schema]:
    return {field: _node(node) for field, node in definitions()[name]["properties"].items()}


def _node(node: Mapping[str, Json]) -> Schema:
    reference = node.get("$ref")
    if reference is None:
        return _plain(node, "")
    name = reference.removeprefix(REFERENCE)
    return definition(name) if len(node) == 1 else _named(name, node)


def _plain(node: Mapping[str, Json], name: str) -> Schema:
    items, additional = node.get("items"), node.get("additionalProperties")
    return Schema(
        cast(Shape, node["type"]),
        name=name,
        items=_node(items) if items is not None else None,
        additional=_node(additional) if additional is not None else None,
        format=node.get("format", ""),
        default=node.get("default"),
        preserve_unknown=_preserves(node),
        **_merging(node),
    )


def _merging(node: Mapping[str, Json]) -> Object:
    """How patches and ownership treat a node."""
    return {
        "list_type": node.get("x-kubernetes-list-type", "atomic"),
        "list_map_keys": tuple(node.get("x-kubernetes-list-map-keys", ())),
        "map_type": node.get("x-kubernetes-map-type", "granular"),
        "patch_strategy": tuple(node["x-kubernetes-patch-strategy"].split(",")) if "x-kubernetes-patch-strategy" in node else (),
        "patch_merge_key": node.get("x-kubernetes-patch-merge-key", ""),
    }
