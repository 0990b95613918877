"""CustomResourceDefinitions as objects: their defaults, their rules, how they behave on a write (spec C.1).

Source: apiextensions `pkg/registry/customresourcedefinition`. Conditions and accepted names are the controller's (`controllers/crd.py`).
"""

from __future__ import annotations

from resource_api.errors import FieldError, Object
from resource_api.registry.model import Model, Strategy
from resource_api.registry.requests import Context
from resource_api.schema import names
from resource_api.schema.custom_definitions import definition_errors
from resource_api.schema.json_values import copied
from resource_api.schema.kinds import ResourceType
from resource_api.schema.structural.formats import is_known
from resource_api.schema.types import Schema

CLEANUP = "customresourcecleanup.apiextensions.k8s.io"
"""The finalizer that keeps a definition until its objects are gone."""


def set_condition(crd: Object, kind: str, status: str, reason: str, message: str, now: str) -> None:
    """Sets one condition; the time of transition moves when its status does."""
    told = crd.setdefault("status", {})
    conditions: list[Object] = told.get("conditions") or []
    told["conditions"] = conditions
    fresh = {"lastTransitionTime": now, "message": message, "reason": reason, "status": status, "type": kind}
    for index, condition in enumerate(conditions):
        if condition.get("type") == kind:
            if condition.get("status") == status and condition.get("lastTransitionTime"):
                fresh["lastTransitionTime"] = condition["lastTransitionTime"]
            conditions[index] = fresh
            return
    conditions.append(fresh)


def default_definition(crd: Object) -> None:
    """Fills in what is derived from the kind, in place."""
    spec = crd.setdefault("spec", {})
    given = spec.setdefault("names", {})
    kind = given.get("kind") or ""
    if kind and not given.get("singular"):
        given["singular"] = kind.lower()
    if kind and not given.get("listKind"):
        given["listKind"] = kind + "List"
    conversion = spec.setdefault("conversion", {})
    if not conversion.get("strategy"):
        conversion["strategy"] = "None"


class DefinitionStrategy(Strategy):
    """Status is the controller's, `spec` counts generations, deletion waits for the objects of the kind."""

    unconditional_update = False

    def prepare_create(self, ctx: Context, obj: Object) -> None:
        """A new definition has no conditions yet."""
        obj["status"] = {"conditions": None, "acceptedNames": {"plural": "", "kind": ""}, "storedVersions": []}
        obj["metadata"]["generation"] = 1
        _note_storage_version(obj)

    def prepare_update(self, ctx: Context, obj: Object, old: Object) -> None:
        """The status stays but for the storage version, which is noted as soon as it may be used."""
        obj["status"] = copied(old.get("status") or {})
        if obj.get("spec") != old.get("spec"):
            obj["metadata"]["generation"] = (old["metadata"].get("generation") or 0) + 1
        _note_storage_version(obj)

    def prepare_subresource(self, ctx: Context, subresource: str, obj: Object, old: Object) -> None:
        """Status, and of metadata the finalizers and who wrote."""
        kept = copied(old)
        for field in ("managedFields", "finalizers"):
            kept["metadata"].pop(field, None)
            if field in obj["metadata"]:
                kept["metadata"][field] = obj["metadata"][field]
        kept["status"] = obj.get("status") or {}
        obj.clear()
        obj.update(kept)

    def finalizers(self, obj: Object) -> list[str]:
        """Whoever deletes one waits for its objects: the finalizer is set with the deletion."""
        present = list(obj["metadata"].get("finalizers") or [])
        return present if obj["metadata"].get("deletionTimestamp") else [*present, CLEANUP]

    def on_marked(self, obj: Object) -> None:
        """Says what it waits for."""
        metadata = obj["metadata"]
        present = metadata.get("finalizers") or []
        metadata["finalizers"] = present if CLEANUP in present else [*present, CLEANUP]
        message = "CustomResourceDefinition marked for deletion; CustomResource deletion will begin soon"
        set_condition(obj, "Terminating", "True", "InstanceDeletionPending", message, metadata["deletionTimestamp"])

    def warnings(self, obj: Object, old: Object | None) -> list[str]:
        """Formats that nothing enforces."""
        found: list[str] = []
        for index, version in enumerate((obj.get("spec") or {}).get("versions") or []):
            props = (version.get("schema") or {}).get("openAPIV3Schema")
            if props:
                _unknown_formats(props, f"spec.versions[{index}].schema.openAPIV3Schema", found)
        return found


def _unknown_formats(props: Object, path: str, found: list[str]) -> None:
    shaped = props.get("format")
    if shaped and not is_known(shaped):
        found.append(f'unrecognized format "{shaped}"')
    for name, child in (props.get("properties") or {}).items():
        _unknown_formats(child, f"{path}.properties[{name}]", found)
    for field in ("items", "additionalProperties"):
        if isinstance(props.get(field), dict):
            _unknown_formats(props[field], f"{path}.{field}", found)


def _note_storage_version(crd: Object) -> None:
    stored: list[str] = crd["status"].get("storedVersions") or []
    crd["status"]["storedVersions"] = stored
    for version in (crd.get("spec") or {}).get("versions") or []:
        if version.get("storage") and version.get("name") not in stored:
            stored.append(version.get("name", ""))


class DefinitionModel:
    """`customresourcedefinitions`: the plain built-in model's shape with the rules of this module. Implements `registry.model.Model`."""

    def __init__(self, plain: Model) -> None:
        self._plain = plain
        self.type: ResourceType = plain.type
        self.strategy: Strategy = DefinitionStrategy()

    @property
    def schema(self) -> Schema:
        """Of the whole object."""
        return self._plain.schema

    def default(self, obj: Object) -> None:
        """Fills in defaults, in place."""
        default_definition(obj)
        self._plain.default(obj)

    def prune(self, obj: Object) -> list[str]:
        """Drops unknown fields, in place; their paths. Raises StatusError 400 when a field has the wrong type."""
        return self._plain.prune(obj)

    def check_name(self, name: str, *, prefix: bool = False) -> list[str]:
        """Why the name cannot be one of a definition; that it is made of plural and group is found by `validate`."""
        return names.dns_subdomain(name, prefix)

    def validate(self, obj: Object, old: Object | None, subresource: str = "") -> list[FieldError]:
        """Everything wrong with it, metadata excepted."""
        return definition_errors(obj, old, subresource)

    def from_storage(self, obj: Object) -> Object:
        """As it is stored."""
        return obj

    def to_storage(self, obj: Object) -> Object:
        """As it is."""
        return obj
