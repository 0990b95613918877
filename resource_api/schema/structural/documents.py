"""What a version's schema may say at all: the rules of OpenAPI v3 as definitions take it, of extensions and of defaults (spec C.2).

Source: apiextensions `pkg/apis/apiextensions/validation`, `pkg/apiserver/schema/defaulting`. CEL rules are refused: they are not evaluated
yet, and ignoring them would let through what the author meant to keep out.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from resource_api.errors import FieldError, Json, Object, forbidden_field, invalid, not_supported, required
from resource_api.schema.decoding import DecodeError
from resource_api.schema.json_values import copied
from resource_api.schema.structural.pruning import compile_prune
from resource_api.schema.structural.rules import structural_errors
from resource_api.schema.structural.uniqueness import compile_embedded
from resource_api.schema.structural.validation import ABSENT, compile_check

TYPES = ("array", "boolean", "integer", "null", "number", "object", "string")
META_FIELDS = ("metadata", "kind", "apiVersion")

MAP_KEY_ERRORS_MAX = 100
"""Each repeats the list of keys; a definition with more errors than that is refused without the rest."""

CEL_REFUSED = "validation rules (CEL) are not supported by this server yet"

_UNSUPPORTED: tuple[tuple[str, str], ...] = (
    ("id", "id is not supported"),
    ("additionalItems", "additionalItems is not supported"),
    ("patternProperties", "patternProperties is not supported"),
    ("definitions", "definitions is not supported"),
    ("dependencies", "dependencies is not supported"),
    ("$ref", "$ref is not supported"),
)

_AT_ROOT = {
    "description": "Description",
    "type": "Type",
    "format": "Format",
    "title": "Title",
    "maximum": "Maximum",
    "exclusiveMaximum": "ExclusiveMaximum",
    "minimum": "Minimum",
    "exclusiveMinimum": "ExclusiveMinimum",
    "maxLength": "MaxLength",
    "minLength": "MinLength",
    "pattern": "Pattern",
    "maxItems": "MaxItems",
    "minItems": "MinItems",
    "uniqueItems": "UniqueItems",
    "multipleOf": "MultipleOf",
    "required": "Required",
    "items": "Items",
    "properties": "Properties",
    "externalDocs": "ExternalDocs",
    "example": "Example",
    "x-kubernetes-preserve-unknown-fields": "XPreserveUnknownFields",
    "x-kubernetes-validations": "XValidations",
}
"""What the root may have when status is a subresource, with the names upstream's message uses."""


@dataclass(frozen=True, slots=True)
class _Place:
    """Where in the tree a node is, as far as rules depend on it."""

    no_default: str = ""
    """Why there may be no default here; empty where there may."""
    inside_meta: bool = False


def document_errors(props: Object, path: str, *, status: bool) -> list[FieldError]:
    """Everything wrong with the schema of a version; `path` ends in `openAPIV3Schema`."""
    errors = _root_errors(props, path, status=status)
    shape = structural_errors(props, path)
    errors += shape
    if not shape:
        errors += _default_errors(props, path, root=True)
    _document(props, path, _Place(), errors, root=True)
    return errors


def _root_errors(props: Object, path: str, *, status: bool) -> list[FieldError]:
    errors = []
    if status:
        if props.get("type") not in (None, "", "object"):
            detail = 'only "object" is allowed as the type at the root of the schema if the status subresource is enabled'
            errors.append(invalid(f"{path}.type", props["type"], detail))
        elif any(field not in _AT_ROOT and value not in (None, False, "", [], {}) for field, value in props.items()):
            allowed = " ".join(_AT_ROOT.values())
            detail = f"only [{allowed}] fields are allowed at the root of the schema if the status subresource is enabled"
            errors.append(invalid(path, props, detail))
    if props.get("nullable"):
        errors.append(forbidden_field(f"{path}.nullable", "nullable cannot be true at the root"))
    return errors


def _document(props: Object, path: str, place: _Place, errors: list[FieldError], *, root: bool = False) -> None:
    """One node and all below it."""
    _node(props, path, place, errors)
    additional, fields, items = props.get("additionalProperties"), props.get("properties") or {}, props.get("items")
    if additional is not None and fields and additional is not True:
        detail = "additionalProperties and properties are mutual exclusive"
        errors.append(forbidden_field(f"{path}.additionalProperties", detail))
    if isinstance(additional, dict):
        reason = "inside additionalProperties applying to object metadata"
        _document(additional, f"{path}.additionalProperties", replace(place, no_default=reason) if place.inside_meta else place, errors)
    for name, child in fields.items():
        below = place
        if name in META_FIELDS and (root or props.get("x-kubernetes-embedded-resource")):
            below = _Place(f"in top-level {name}" if root else place.no_default, inside_meta=True)
        _document(child, f"{path}.properties[{name}]", below, errors)
    for field in ("allOf", "oneOf", "anyOf"):
        for index, child in enumerate(props.get(field) or []):
            _document(child, f"{path}.{field}[{index}]", place, errors)
    if isinstance(props.get("not"), dict):
        _document(props["not"], f"{path}.not", place, errors)
    if isinstance(items, dict):
        _document(items, f"{path}.items", place, errors)
    _extensions(props, path, errors)


def _node(props: Object, path: str, place: _Place, errors: list[FieldError]) -> None:
    kind = props.get("type") or ""
    if kind and kind not in TYPES:
        errors.append(not_supported(f"{path}.type", kind, TYPES))
    if props.get("default") is not None and place.no_default:
        errors.append(forbidden_field(f"{path}.default", f"must not be set {place.no_default}"))
    for field, detail in _UNSUPPORTED:
        if props.get(field) not in (None, "", {}):
            errors.append(forbidden_field(f"{path}.{field}", detail))
    if kind == "null":
        errors.append(forbidden_field(f"{path}.type", "type cannot be set to null, use nullable as an alternative"))
    if isinstance(props.get("items"), list):
        errors.append(forbidden_field(f"{path}.items", "items must be a schema object and not an array"))
    if place.inside_meta and props.get("x-kubernetes-embedded-resource"):
        errors.append(forbidden_field(f"{path}.x-kubernetes-embedded-resource", "must not be used inside of resource meta"))
    if props.get("uniqueItems"):
        detail = "uniqueItems cannot be set to true since the runtime complexity becomes quadratic"
        errors.append(forbidden_field(f"{path}.uniqueItems", detail))
    if props.get("additionalProperties") is False and not props.get("properties"):
        errors.append(forbidden_field(f"{path}.additionalProperties", "additionalProperties cannot be set to false"))
    if props.get("x-kubernetes-validations"):
        errors.append(forbidden_field(f"{path}.x-kubernetes-validations", CEL_REFUSED))


def _extensions(props: Object, path: str, errors: list[FieldError]) -> None:
    if props.get("x-kubernetes-preserve-unknown-fields") is False:
        errors.append(invalid(f"{path}.x-kubernetes-preserve-unknown-fields", False, "must be true or undefined"))
    kind = props.get("type") or ""
    for field, wanted, known in (
        ("x-kubernetes-map-type", "object", ("atomic", "granular")),
        ("x-kubernetes-list-type", "array", ("atomic", "set", "map")),
    ):
        given = props.get(field)
        if given is None:
            continue
        if kind != wanted:
            detail = f"must be {wanted} if {field} is specified"
            errors.append(invalid(f"{path}.type", kind, detail) if kind else required(f"{path}.type", detail))
        if given not in known:
            errors.append(not_supported(f"{path}.{field}", given, known))
    items = props.get("items")
    listed = props.get("x-kubernetes-list-type")
    if listed == "set" and kind == "array" and isinstance(items, dict):
        _set_items(items, f"{path}.items", errors)
    keys = props.get("x-kubernetes-list-map-keys") or []
    if keys and listed != "map":
        at, detail = f"{path}.x-kubernetes-list-type", "must be map if x-kubernetes-list-map-keys is non-empty"
        errors.append(required(at, detail) if listed is None else invalid(at, listed, detail))
    if listed == "map":
        _map_list(items, keys, path, errors)
    if listed in ("set", "map") and isinstance(items, dict) and items.get("nullable"):
        errors.append(forbidden_field(f"{path}.items.nullable", f"cannot be nullable when x-kubernetes-list-type is {listed}"))
    if listed == "map" and isinstance(items, dict):
        _map_keys(items, keys, f"{path}.items", errors)


def _set_items(items: Object, path: str, errors: list[FieldError]) -> None:
    detail = "must be atomic as item of a list with x-kubernetes-list-type=set"
    if items.get("type") == "array" and items.get("x-kubernetes-list-type") not in (None, "atomic"):
        errors.append(invalid(f"{path}.x-kubernetes-list-type", items.get("x-kubernetes-list-type"), detail))
    if items.get("type") == "object" and items.get("x-kubernetes-map-type") != "atomic":
        errors.append(invalid(f"{path}.x-kubernetes-map-type", items.get("x-kubernetes-map-type"), detail))


def _map_list(items: Json, keys: list[str], path: str, errors: list[FieldError]) -> None:
    if not keys:
        errors.append(required(f"{path}.x-kubernetes-list-map-keys", "must not be empty if x-kubernetes-list-type is map"))
    if items is None:
        errors.append(required(f"{path}.items", "must have a schema if x-kubernetes-list-type is map"))
    if not isinstance(items, dict):
        return
    if items.get("type") != "object":
        detail = "must be object if parent array's x-kubernetes-list-type is map"
        errors.append(invalid(f"{path}.items.type", items.get("type") or "", detail))
        return
    fields = items.get("properties") or {}
    seen: set[str] = set()
    for key in keys:
        if len(errors) > MAP_KEY_ERRORS_MAX:
            break
        if key not in fields:
            errors.append(invalid(f"{path}.x-kubernetes-list-map-keys", keys, "entries must all be names of item properties"))
        elif fields[key].get("type") in ("array", "object"):
            detail = "must be a scalar type if parent array's x-kubernetes-list-type is map"
            errors.append(invalid(f"{path}.items.properties[{key}].type", items.get("type"), detail))
        if key in seen:
            errors.append(invalid(f"{path}.x-kubernetes-list-map-keys", keys, "must not contain duplicate entries"))
        seen.add(key)


def _map_keys(items: Object, keys: list[str], path: str, errors: list[FieldError]) -> None:
    fields, needed = items.get("properties") or {}, items.get("required") or []
    for key in keys:
        field = fields.get(key)
        if field is None:
            continue
        at = f"{path}.properties[{key}]"
        if key not in needed and field.get("default") is None:
            detail = "this property is in x-kubernetes-list-map-keys, so it must have a default or be a required property"
            errors.append(required(f"{at}.default", detail))
        if field.get("nullable"):
            errors.append(forbidden_field(f"{at}.nullable", "this property is in x-kubernetes-list-map-keys, so it cannot be nullable"))


def _default_errors(props: Object, path: str, *, root: bool = False) -> list[FieldError]:
    """Defaults are values their own schema takes, and have no field it does not have."""
    errors: list[FieldError] = []
    given = props.get("default")
    if given is not None and not root:
        at, pruned = f"{path}.default", copied(given)
        unknown: list[str] = []
        try:
            compile_prune(props)(pruned, "", unknown)
        except DecodeError as error:
            return [invalid(at, given, str(error))]
        if unknown:
            errors.append(invalid(at, given, "must not have unknown fields"))
        found: list[FieldError] = []
        embedded = compile_embedded(props)
        if embedded is not None:
            embedded(given, at, found, ABSENT)
        if not found:
            compile_check(props)(given, at, found, ABSENT)
        errors += found
    if isinstance(props.get("items"), dict):
        errors += _default_errors(props["items"], f"{path}.items")
    for name, child in (props.get("properties") or {}).items():
        errors += _default_errors(child, f"{path}.properties[{name}]")
    return errors
