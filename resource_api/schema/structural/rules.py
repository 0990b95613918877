"""When a schema is structural: every field has one type in one place, and combinations only restrict values (spec C.2).

Source: apiextensions `pkg/apiserver/schema/validation.go`, `complete.go`. Paths are those of the definition:
`spec.versions[0].schema.openAPIV3Schema.properties[spec].items`. Errors come sorted, as upstream's.
"""

from __future__ import annotations

from typing import Literal

from resource_api.errors import FieldError, Object, forbidden_field, invalid, required
from resource_api.schema.structural.patterns import PatternError, compile_pattern

Level = Literal["root", "item", "field"]

INT_OR_STRING = [{"type": "integer"}, {"type": "string"}]

_EMPTY_TYPE: dict[Level, str] = {
    "root": "must not be empty at the root",
    "item": "must not be empty for specified array items",
    "field": "must not be empty for specified object fields",
}

_NOT_NESTED: tuple[tuple[str, str], ...] = (
    ("type", "must be empty to be structural"),
    ("additionalProperties", "must be undefined to be structural"),
    ("default", "must be undefined to be structural"),
    ("title", "must be empty to be structural"),
    ("description", "must be empty to be structural"),
    ("nullable", "must be false to be structural"),
    ("externalDocs", "must be undefined to be structural"),
    ("x-kubernetes-preserve-unknown-fields", "must be false to be structural"),
    ("x-kubernetes-embedded-resource", "must be false to be structural"),
    ("x-kubernetes-int-or-string", "must be false to be structural"),
    ("x-kubernetes-list-map-keys", "must be empty to be structural"),
    ("x-kubernetes-list-type", "must be undefined to be structural"),
    ("x-kubernetes-map-type", "must be undefined to be structural"),
    ("x-kubernetes-validations", "must be empty to be structural"),
)
"""What may not stand inside of allOf, anyOf, oneOf and not."""

_JUNCTIONS = ("not", "allOf", "anyOf", "oneOf")


def structural_errors(props: Object, path: str) -> list[FieldError]:
    """Why a schema is not structural; nothing when it is."""
    errors: list[FieldError] = []
    _invariants(props, "root", path, errors)
    _complete(props, props, path, path, errors)
    return sorted(errors, key=str)


def _invariants(props: Object, level: Level, path: str, errors: list[FieldError]) -> None:
    items, fields, additional = props.get("items"), props.get("properties") or {}, props.get("additionalProperties")
    if props.get("type") == "array" and items is None:
        errors.append(required(f"{path}.items", "must be specified"))
    if isinstance(items, dict):
        _invariants(items, "item", f"{path}.items", errors)
    for name, child in fields.items():
        _invariants(child, "field", f"{path}.properties[{name}]", errors)
    if additional not in (None, False):
        if level == "root":
            errors.append(forbidden_field(f"{path}.additionalProperties", "must not be used at the root"))
        if isinstance(additional, dict):
            _invariants(additional, "field", f"{path}.additionalProperties", errors)
    _extensions(props, path, errors)
    skip_any = bool(props.get("anyOf") == INT_OR_STRING)
    first = (props.get("allOf") or [{}])[0]
    _values(props, path, errors, skip_any=skip_any, skip_first_all=bool(first.get("anyOf") == INT_OR_STRING))
    _type(props, level, path, errors)
    _object_meta(props, level, path, errors)
    preserve = props.get("x-kubernetes-preserve-unknown-fields")
    if props.get("x-kubernetes-embedded-resource") and not preserve and not fields:
        detail = "must not be empty if x-kubernetes-embedded-resource is true without x-kubernetes-preserve-unknown-fields"
        errors.append(required(f"{path}.properties", detail))


def _extensions(props: Object, path: str, errors: list[FieldError]) -> None:
    if props.get("x-kubernetes-int-or-string"):
        for field in ("x-kubernetes-preserve-unknown-fields", "x-kubernetes-embedded-resource"):
            if props.get(field):
                errors.append(invalid(f"{path}.{field}", True, "must be false if x-kubernetes-int-or-string is true"))


def _type(props: Object, level: Level, path: str, errors: list[FieldError]) -> None:
    kind, at = props.get("type") or "", f"{path}.type"
    if props.get("x-kubernetes-embedded-resource"):
        if kind != "object":
            detail = "must be object if x-kubernetes-embedded-resource is true"
            errors.append(invalid(at, kind, detail) if kind else required(at, detail))
        if props.get("additionalProperties") not in (None, False):
            detail = "must not be used if x-kubernetes-embedded-resource is set"
            errors.append(forbidden_field(f"{path}.additionalProperties", detail))
    elif not kind and not props.get("x-kubernetes-int-or-string") and not props.get("x-kubernetes-preserve-unknown-fields"):
        errors.append(required(at, _EMPTY_TYPE[level]))
    if level == "root" and kind and kind != "object":
        errors.append(invalid(at, kind, "must be object at the root"))


def _object_meta(props: Object, level: Level, path: str, errors: list[FieldError]) -> None:
    """`apiVersion`, `kind` and `metadata` of objects are implied and may only be repeated."""
    fields = props.get("properties") or {}
    checked = level == "root" or bool(props.get("x-kubernetes-embedded-resource"))
    for field in ("kind", "apiVersion"):
        if checked and field in fields and fields[field].get("type") != "string":
            errors.append(invalid(f"{path}.properties[{field}].type", fields[field].get("type") or "", "must be string"))
    metadata = fields.get("metadata")
    if metadata is None:
        return
    at = f"{path}.properties[metadata]"
    if checked and metadata.get("type") != "object":
        errors.append(invalid(f"{at}.type", metadata.get("type") or "", "must be object"))
    if level == "root":
        named = set(metadata.get("properties") or {}) <= {"name", "generateName"}
        others = {name for name, value in metadata.items() if value not in (None, False, "", [], {})} - {"type", "properties", "default"}
        if not named or others:
            detail = "must not specify anything other than name and generateName, but metadata is implicitly specified"
            errors.append(forbidden_field(at, detail))


def _values(props: Object, path: str, errors: list[FieldError], *, skip_any: bool = False, skip_first_all: bool = False) -> None:
    """The restrictions of one node, and the nodes inside of them."""
    if not skip_any:
        for index, nested in enumerate(props.get("anyOf") or []):
            _nested(nested, f"{path}.anyOf[{index}]", errors)
    for index, nested in enumerate(props.get("allOf") or []):
        _nested(nested, f"{path}.allOf[{index}]", errors, skip_any=skip_first_all and index == 0)
    for index, nested in enumerate(props.get("oneOf") or []):
        _nested(nested, f"{path}.oneOf[{index}]", errors)
    if isinstance(props.get("not"), dict):
        _nested(props["not"], f"{path}.not", errors)
    pattern = props.get("pattern")
    if pattern:
        try:
            compile_pattern(pattern)
        except PatternError as error:
            errors.append(invalid(f"{path}.pattern", pattern, f"must be a valid regular expression, but isn't: {error}"))


def _nested(props: Object, path: str, errors: list[FieldError], *, skip_any: bool = False) -> None:
    """A node inside of a combination restricts values and says nothing of their shape."""
    _values(props, path, errors, skip_any=skip_any)
    if isinstance(props.get("items"), dict):
        _nested(props["items"], f"{path}.items", errors)
    for name, child in (props.get("properties") or {}).items():
        _nested(child, f"{path}.properties[{name}]", errors)
    for field, detail in _NOT_NESTED:
        if props.get(field) not in (None, False, "", []):
            errors.append(forbidden_field(f"{path}.{field}", detail))
    if "metadata" in (props.get("properties") or {}):
        errors.append(forbidden_field(f"{path}.properties[metadata]", "must not be specified in a nested context"))


def _complete(values: Object, shape: Object, shape_path: str, value_path: str, errors: list[FieldError]) -> None:
    """Whatever combinations name exists outside of them. Only the root's are followed from here: upstream's check does no more."""
    for field in _JUNCTIONS:
        given = values.get(field)
        if isinstance(given, dict):
            _complete_nested(given, shape, shape_path, f"{value_path}.{field}", errors)
        for index, nested in enumerate(given if isinstance(given, list) else []):
            _complete_nested(nested, shape, shape_path, f"{value_path}.{field}[{index}]", errors)


def _complete_nested(values: Object, shape: Object | None, shape_path: str, value_path: str, errors: list[FieldError]) -> None:
    if shape is None:
        errors.append(required(shape_path, f"because it is defined in {value_path}"))
        return
    _complete(values, shape, shape_path, value_path, errors)
    items = values.get("items")
    if isinstance(items, dict):
        inner = shape.get("items")
        below = inner if isinstance(inner, dict) else None
        _complete_nested(items, below, f"{shape_path}.items", f"{value_path}.items", errors)
    fields = shape.get("properties") or {}
    for name, child in (values.get("properties") or {}).items():
        at, origin = f"{shape_path}.properties[{name}]", f"{value_path}.properties[{name}]"
        if name in fields:
            _complete_nested(child, fields[name], at, origin, errors)
        else:
            errors.append(required(at, f"because it is defined in {origin}"))
