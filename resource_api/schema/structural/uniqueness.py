"""Lists of type `set` and `map` hold nothing twice, and embedded objects are objects (spec C.2). Compiled once to closures.

Source: apiextensions `schema/listtype`, `schema/objectmeta`. A list that held a duplicate before may go on holding it (C.5); what an
embedded object must be is never ratcheted.
"""

from __future__ import annotations

from collections.abc import Callable

from resource_api.errors import FieldError, Json, Object, duplicate, invalid, required, shown
from resource_api.schema import names
from resource_api.schema.metadata import validate_metadata
from resource_api.schema.structural.validation import ABSENT, key_of

Visit = Callable[[Json, str, list[FieldError], Json], None]
"""Value, path, errors found, old value or ABSENT."""


def compile_unique(props: Object) -> Visit | None:
    """Finds duplicates; None when no list below is a set or a map."""
    return _walk(props, compile_unique, _list_rule)


def compile_embedded(props: Object) -> Visit | None:
    """Checks embedded objects; None when there are none below."""
    return _walk(props, compile_embedded, _embedded_rule)


def _walk(props: Object, compile_below: Callable[[Object], Visit | None], rule_of: Callable[[Object], Visit | None]) -> Visit | None:
    own = rule_of(props)
    fields = {name: below for name, child in (props.get("properties") or {}).items() if (below := compile_below(child)) is not None}
    additional, items = props.get("additionalProperties"), props.get("items")
    others = compile_below(additional) if isinstance(additional, dict) else None
    each = compile_below(items) if isinstance(items, dict) else None
    keys = tuple(props.get("x-kubernetes-list-map-keys") or ())
    if own is None and not fields and others is None and each is None:
        return None

    def visit(value: Json, path: str, errors: list[FieldError], old: Json) -> None:
        if own is not None:
            own(value, path, errors, old)
        if type(value) is dict:
            before = old if type(old) is dict else {}
            for name, field in fields.items():
                if name in value:
                    field(value[name], f"{path}.{name}" if path else name, errors, before.get(name, ABSENT))
            if others is not None:
                for name, inner in value.items():
                    others(inner, f"{path}[{name}]", errors, before.get(name, ABSENT))
        elif type(value) is list and each is not None:
            earlier = {key_of(one, keys): one for one in old} if keys and type(old) is list else {}
            for index, inner in enumerate(value):
                each(inner, f"{path}[{index}]", errors, earlier.get(key_of(inner, keys), ABSENT) if earlier else ABSENT)

    return visit


def _list_rule(props: Object) -> Visit | None:
    kind = props.get("x-kubernetes-list-type")
    if kind not in ("set", "map"):
        return None
    keys = tuple(props.get("x-kubernetes-list-map-keys") or ()) if kind == "map" else ()

    def rule(value: Json, path: str, errors: list[FieldError], old: Json) -> None:
        if type(value) is not list:
            return
        if keys:
            for index, item in enumerate(value):
                if item is not None and type(item) is not dict:
                    errors.append(invalid(f"{path}[{index}]", item, "must be an object for an array of list-type map"))
                    return
        if len(value) < 2:
            return
        found = _repeated(value, keys)
        had = {text for text, _ in _repeated(old, keys).values()} if found and type(old) is list else set()
        errors.extend(duplicate(f"{path}[{index}]", shape) for index, (text, shape) in found.items() if text not in had)

    return rule


def _repeated(items: list[Json], keys: tuple[str, ...]) -> dict[int, tuple[str, Json]]:
    """Where a value stands for the second time: its identity, and how it is shown. Third times are not told."""
    counts: dict[str, int] = {}
    found = {}
    for index, item in enumerate(items):
        shape = {key: item[key] for key in keys if key in item} if keys and type(item) is dict else {} if keys else item
        text = shown(shape)
        counts[text] = counts.get(text, 0) + 1
        if counts[text] == 2:
            found[index] = (text, shape)
    return found


def _embedded_rule(props: Object) -> Visit | None:
    return _check_embedded if props.get("x-kubernetes-embedded-resource") else None


def _check_embedded(value: Json, path: str, errors: list[FieldError], old: Json) -> None:
    if type(value) is not dict:
        return
    for field in ("apiVersion", "kind"):
        at, given = f"{path}.{field}", value.get(field, "")
        if not isinstance(given, str):
            errors.append(invalid(at, given, "must be a string"))
        elif not given:
            errors.append(required(at))
        elif field == "apiVersion" and given.count("/") > 1:
            errors.append(invalid(at, given, f"unexpected GroupVersion string: {given}"))
        elif field == "kind" and (faults := names.dns_1035_label(given.lower())):
            errors.append(invalid(at, given, "may have mixed case, but should otherwise match: " + ",".join(faults)))
    metadata = value.get("metadata")
    if isinstance(metadata, dict):
        named = {"metadata": {"name": "fakename", **{field: inner for field, inner in metadata.items() if inner not in (None, "")}}}
        for problem in validate_metadata(named, None, namespaced=bool(metadata.get("namespace")), check_name=names.path_segment):
            errors.append(FieldError(problem.reason, f"{path}.{problem.path}", problem.text))
    elif metadata is not None:
        errors.append(invalid(f"{path}.metadata", metadata, "must be an object"))
