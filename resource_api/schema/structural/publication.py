"""How a version of a custom kind stands in the OpenAPI documents: everything in v3, what clients of v2 understand in v2 (spec C.7, A.3)."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from resource_api.errors import Json, Object
from resource_api.schema.kinds import GroupVersionKind
from resource_api.schema.structural.defaulting import copied

_META = "io.k8s.apimachinery.pkg.apis.meta.v1"
_API_VERSION = (
    "APIVersion defines the versioned schema of this representation of an object. Servers should convert recognized schemas to the latest "
    "internal value, and may reject unrecognized values. More info: "
    "https://git.k8s.io/community/contributors/devel/sig-architecture/api-conventions.md#resources"
)
_KIND = (
    "Kind is a string value representing the REST resource this object represents. Servers may infer this from the endpoint the client "
    "submits requests to. Cannot be updated. In CamelCase. More info: "
    "https://git.k8s.io/community/contributors/devel/sig-architecture/api-conventions.md#types-kinds"
)
_OBJECT_META = (
    "Standard object's metadata. More info: https://git.k8s.io/community/contributors/devel/sig-architecture/api-conventions.md#metadata"
)
_LIST_META = (
    "Standard list metadata. More info: https://git.k8s.io/community/contributors/devel/sig-architecture/api-conventions.md#types-kinds"
)

_NOT_IN_V2 = ("nullable", "default", "allOf", "anyOf", "oneOf", "not", "x-kubernetes-validations")


def definition_name(gvk: GroupVersionKind) -> str:
    """`com.example.v1.Widget`."""
    return ".".join([*reversed(gvk.group.split(".")), gvk.version, gvk.kind])


def openapi_v3(gvk: GroupVersionKind, list_kind: str, props: Object | None, *, selectable: tuple[str, ...] = ()) -> dict[str, Object]:
    """The schemas of the kind and of its list by name, for `components.schemas`."""
    reference = "#/components/schemas/"
    root = _object(gvk, props, lambda node: node, {"allOf": [{"$ref": f"{reference}{_META}.ObjectMeta"}], "default": {}})
    if selectable:
        root["x-kubernetes-selectable-fields"] = [{"fieldPath": path.removeprefix(".")} for path in selectable]
    listed = _list(gvk, list_kind, reference, {"allOf": [{"$ref": f"{reference}{_META}.ListMeta"}], "default": {}})
    return {definition_name(gvk): root, definition_name(gvk._replace(kind=list_kind)): listed}


def openapi_v2(gvk: GroupVersionKind, list_kind: str, props: Object | None) -> dict[str, Object]:
    """The same for `definitions`: what v2 cannot say is left out, and subtrees of anything are free objects."""
    reference = "#/definitions/"
    root = _object(gvk, props, _simple, {"$ref": f"{reference}{_META}.ObjectMeta"})
    listed = _list(gvk, list_kind, reference, {"$ref": f"{reference}{_META}.ListMeta"})
    return {definition_name(gvk): root, definition_name(gvk._replace(kind=list_kind)): listed}


def _object(gvk: GroupVersionKind, props: Object | None, simplify: Callable[[Object], Object], metadata: Object) -> Object:
    node = simplify(copied(props or {"type": "object", "x-kubernetes-preserve-unknown-fields": True}))
    fields = dict(node.get("properties") or {})
    if props is not None and ("properties" in node or not node.get("x-kubernetes-preserve-unknown-fields")):
        fields = {
            "apiVersion": {"description": _API_VERSION, "type": "string"},
            "kind": {"description": _KIND, "type": "string"},
            "metadata": {"description": _OBJECT_META, **metadata},
            **{name: child for name, child in fields.items() if name not in ("apiVersion", "kind", "metadata")},
        }
        node["properties"] = fields
    node["type"] = "object"
    node["x-kubernetes-group-version-kind"] = [gvk._asdict()]
    return node


def _list(gvk: GroupVersionKind, list_kind: str, reference: str, metadata: Object) -> Object:
    items: Mapping[str, Json] = {"$ref": f"{reference}{definition_name(gvk)}"}
    return {
        "description": f"{list_kind} is a list of {gvk.kind}",
        "type": "object",
        "required": ["items"],
        "properties": {
            "apiVersion": {"description": _API_VERSION, "type": "string"},
            "items": {
                "description": f"List of {gvk.kind.lower()}s. "
                "More info: https://git.k8s.io/community/contributors/devel/sig-architecture/api-conventions.md",
                "type": "array",
                "items": items,
            },
            "kind": {"description": _KIND, "type": "string"},
            "metadata": {"description": _LIST_META, **metadata},
        },
        "x-kubernetes-group-version-kind": [gvk._replace(kind=list_kind)._asdict()],
    }


def _simple(node: Object) -> Object:
    """A node as v2 takes it."""
    free = bool(node.get("x-kubernetes-preserve-unknown-fields"))
    kept = {name: value for name, value in node.items() if name not in _NOT_IN_V2}
    if node.get("x-kubernetes-int-or-string") or node.get("nullable"):
        # A type with null or a second one cannot be said: anything goes.
        kept.pop("type", None)
        for field in ("items", "properties", "required", "additionalProperties", "enum"):
            if node.get("nullable"):
                kept.pop(field, None)
    if free or ("items" in kept and not isinstance(kept["items"], dict)):
        for field in ("items", "properties", "required", "additionalProperties"):
            kept.pop(field, None)
    if "properties" in kept:
        kept["properties"] = {name: _simple(child) for name, child in kept["properties"].items()}
    for field in ("items", "additionalProperties"):
        if isinstance(kept.get(field), dict):
            kept[field] = _simple(kept[field])
    return kept
