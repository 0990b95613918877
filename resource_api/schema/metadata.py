"""The rules of `metadata`, the same for every kind: names, labels, annotations, owners, finalizers, what never changes (spec B.2).

Source: apimachinery `pkg/api/validation/objectmeta.go`. Pure; called by the write pipeline after the strategy has prepared the object.
"""

from __future__ import annotations

from collections.abc import Callable

from resource_api.errors import FieldError, Object, forbidden_field, invalid, required, too_long
from resource_api.schema import names

CheckName = Callable[..., list[str]]
"""`check_name(name, prefix=False)`: what is wrong with it."""

ANNOTATIONS_BYTES_MAX = 256 * 1024
IMMUTABLE = "field is immutable"
_SYSTEM_FINALIZERS = ("orphan", "foregroundDeletion")


def validate_metadata(obj: Object, old: Object | None, *, namespaced: bool, check_name: CheckName) -> list[FieldError]:
    """Everything wrong with the metadata of a new object (`old` None) or of a changed one."""
    metadata: Object = obj.get("metadata") or {}
    problems = _names(metadata, check_name) if old is None else []
    problems += _namespace(metadata, namespaced=namespaced) if old is None else []
    problems += _generation(metadata)
    problems += validate_labels(metadata.get("labels"), "metadata.labels")
    problems += validate_annotations(metadata.get("annotations"), "metadata.annotations")
    problems += validate_owners(metadata.get("ownerReferences") or [], "metadata.ownerReferences")
    problems += _finalizers(metadata.get("finalizers") or [], "metadata.finalizers")
    if old is not None:
        problems += _changes(metadata, old.get("metadata") or {})
    return problems


def _names(metadata: Object, check_name: CheckName) -> list[FieldError]:
    problems = []
    base = metadata.get("generateName")
    if base:
        problems += [invalid("metadata.generateName", base, text) for text in check_name(base, prefix=True)]
    name = metadata.get("name")
    if not name:
        problems.append(required("metadata.name", "name or generateName is required"))
    else:
        problems += [invalid("metadata.name", name, text) for text in check_name(name, prefix=False)]
    return problems


def _namespace(metadata: Object, *, namespaced: bool) -> list[FieldError]:
    namespace = metadata.get("namespace")
    if not namespaced:
        return [forbidden_field("metadata.namespace", "not allowed on this type")] if namespace else []
    if not namespace:
        return [required("metadata.namespace")]
    return [invalid("metadata.namespace", namespace, text) for text in names.dns_label(namespace)]


def _generation(metadata: Object) -> list[FieldError]:
    generation = metadata.get("generation") or 0
    return [invalid("metadata.generation", generation, "must be greater than or equal to 0")] if generation < 0 else []


def validate_labels(labels: Object | None, path: str) -> list[FieldError]:
    """Keys are qualified names, values short words."""
    problems = []
    for key, value in sorted((labels or {}).items()):
        problems += [invalid(path, key, text) for text in names.qualified_name(key)]
        problems += [invalid(path, value, text) for text in names.label_value(value)]
    return problems


def validate_annotations(annotations: Object | None, path: str) -> list[FieldError]:
    """Keys are qualified names in any case; all together are bounded."""
    problems = []
    size_bytes = 0
    for key, value in sorted((annotations or {}).items()):
        problems += [invalid(path, key, text) for text in names.qualified_name(key.lower())]
        size_bytes += len(key.encode()) + len(value.encode())
    if size_bytes > ANNOTATIONS_BYTES_MAX:
        problems.append(too_long(path, ANNOTATIONS_BYTES_MAX))
    return problems


def validate_owners(owners: list[Object], path: str) -> list[FieldError]:
    """Each names something completely, at most one controls."""
    problems = []
    controller = ""
    for index, owner in enumerate(owners):
        at = f"{path}[{index}]"
        version = str(owner.get("apiVersion") or "")
        if not version:
            problems.append(invalid(f"{at}.apiVersion", version, "version must not be empty"))
        for field in ("kind", "name", "uid"):
            if not owner.get(field):
                problems.append(invalid(f"{at}.{field}", "", "must not be empty"))
        if (version, owner.get("kind")) == ("v1", "Event"):
            problems.append(invalid(at, owner, "/v1, Kind=Event is disallowed from being an owner"))
        if owner.get("controller"):
            this = f"{owner.get('kind')}/{owner.get('name')}"
            if controller:
                text = f'Only one reference can have Controller set to true. Found "true" in references for {controller} and {this}'
                problems.append(invalid(path, owners, text))
            controller = this
    return problems


def _finalizers(finalizers: list[str], path: str) -> list[FieldError]:
    problems = []
    for finalizer in finalizers:
        problems += [invalid(path, finalizer, text) for text in names.qualified_name(finalizer)]
    if all(name in finalizers for name in _SYSTEM_FINALIZERS):
        orphan, foreground = _SYSTEM_FINALIZERS
        problems.append(invalid(path, finalizers, f"finalizer {orphan} and {foreground} cannot be both set"))
    return problems


def _changes(metadata: Object, before: Object) -> list[FieldError]:
    """What an update may not touch. Name, uid and the like are told apart by their presence before."""
    problems = []
    if before.get("deletionTimestamp"):
        had = set(before.get("finalizers") or [])
        added = [name for name in metadata.get("finalizers") or [] if name not in had]
        if added:
            text = f"no new finalizers can be added if the object is being deleted, found new finalizers {_go_strings(added)}"
            problems.append(forbidden_field("metadata.finalizers", text))
    for field in ("name", "namespace", "uid", "creationTimestamp"):
        if (metadata.get(field) or "") != (before.get(field) or ""):
            problems.append(invalid(f"metadata.{field}", metadata.get(field), IMMUTABLE))
    for field in ("deletionTimestamp", "deletionGracePeriodSeconds"):
        if metadata.get(field) != before.get(field):
            problems.append(invalid(f"metadata.{field}", metadata.get(field), IMMUTABLE))
    generation, earlier = metadata.get("generation") or 0, before.get("generation") or 0
    if generation < earlier:
        problems.append(invalid("metadata.generation", generation, "must not be decremented"))
    return problems


def _go_strings(values: list[str]) -> str:
    return "[]string{" + ", ".join(f'"{value}"' for value in values) + "}"
