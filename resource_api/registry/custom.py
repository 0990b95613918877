"""The models of custom kinds: one per served version of a definition (spec C.3).

A definition is compiled when its models are made; objects are stored in the definition's storage version. Reads default and prune with the
schema of the version that is asked for, so that a new default shows in old objects without a write.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import suppress
from functools import cached_property

from resource_api import errors
from resource_api.errors import FieldError, Json, Object, StatusError, invalid
from resource_api.registry.model import Strategy
from resource_api.registry.requests import Context
from resource_api.registry.scale import ScalePaths, accessor_fault, at_path
from resource_api.schema import builtin, names
from resource_api.schema.custom_definitions import field_path
from resource_api.schema.decoding import DecodeError, decode, refusal
from resource_api.schema.json_values import copied
from resource_api.schema.kinds import FULL_VERBS, GroupVersionKind, ResourceType, Subresource
from resource_api.schema.printer_columns import PrinterColumns
from resource_api.schema.structural.compiled import CompiledSchema
from resource_api.schema.structural.nodes import OBJECT_META, root_node
from resource_api.schema.types import Schema

RULES_REFUSED = "this kind has validation rules (CEL), which are not supported by this server yet: its objects can be read and deleted only"

_STATUS_VERBS = ("get", "patch", "update")
_SCALE = GroupVersionKind("autoscaling", "v1", "Scale")
_INT32_MAX = 2**31 - 1
_VERSION = re.compile(r"v([1-9][0-9]*)(?:(alpha|beta)([1-9][0-9]*))?")
_STABILITY = {None: 2, "beta": 1, "alpha": 0}


def version_priority(name: str) -> tuple[int, int, int, int, str]:
    """Sorts versions, the most preferred first: general, beta, alpha, each the highest first; others last, by the alphabet."""
    match = _VERSION.fullmatch(name)
    if match is None:
        return 1, 0, 0, 0, name
    major, stability, minor = match.groups()
    return 0, -_STABILITY[stability], -int(major), -int(minor or 0), name


def versions_of(crd: Object) -> list[Object]:
    """The versions of a definition, the most preferred first."""
    return sorted(crd["spec"].get("versions") or [], key=lambda version: version_priority(version.get("name") or ""))


def storage_version(crd: Object) -> str:
    """The one objects are stored in."""
    return next(str(version["name"]) for version in crd["spec"]["versions"] if version.get("storage"))


def resource_type(crd: Object, version: Object) -> ResourceType:
    """A version as discovery shows it, under the accepted names."""
    spec = crd["spec"]
    accepted = (crd.get("status") or {}).get("acceptedNames") or {}
    given = accepted if accepted.get("plural") and accepted.get("kind") else spec["names"]
    group, name = spec["group"], version["name"]
    gvk = GroupVersionKind(group, name, given["kind"])
    subresources = {}
    if (version.get("subresources") or {}).get("status") is not None:
        subresources["status"] = Subresource("status", gvk, _STATUS_VERBS)
    if (version.get("subresources") or {}).get("scale") is not None:
        subresources["scale"] = Subresource("scale", _SCALE, _STATUS_VERBS)
    stored = storage_version(crd)
    return ResourceType(
        group,
        name,
        given["kind"],
        given["plural"],
        given.get("singular") or given["kind"].lower(),
        spec.get("scope") == "Namespaced",
        FULL_VERBS,
        tuple(given.get("shortNames") or ()),
        tuple(given.get("categories") or ()),
        subresources,
        f"{group}/{given['plural']}",
        GroupVersionKind(group, stored, given["kind"]) if stored != name else None,
        True,
        given.get("listKind") or "",
        PrinterColumns(version.get("additionalPrinterColumns")),
    )


class CustomStrategy(Strategy):
    """Status apart when it is a subresource; the generation counts every change outside of metadata (and of status then)."""

    unconditional_update = False

    def __init__(self, model: CustomModel, version: Object) -> None:
        self._model = model
        self._version = version
        self._has_status = (version.get("subresources") or {}).get("status") is not None

    def prepare_create(self, ctx: Context, obj: Object) -> None:
        """Drops the status, starts the generation. While the definition is being deleted nothing is created."""
        if self._model.terminating:
            text = "create not allowed while custom resource definition is terminating"
            raise errors.method_not_allowed(self._model.type.plural, "create", self._model.type.group, text=text)
        if self._has_status:
            obj.pop("status", None)
        self._model.default(obj)
        obj["metadata"]["generation"] = 1

    def prepare_update(self, ctx: Context, obj: Object, old: Object) -> None:
        """Keeps the status, raises the generation."""
        if self._has_status:
            obj.pop("status", None)
            if "status" in old:
                obj["status"] = copied(old["status"])
        if _content(obj) != _content(old):
            obj["metadata"]["generation"] = (old["metadata"].get("generation") or 0) + 1

    def prepare_subresource(self, ctx: Context, subresource: str, obj: Object, old: Object) -> None:
        """Through `status` only the status comes in, and who wrote it; through `scale` a changed object as it is."""
        if subresource != "status":
            self.prepare_update(ctx, obj, old)
            return
        kept = copied(old)
        kept["metadata"].pop("managedFields", None)
        if "managedFields" in obj["metadata"]:
            kept["metadata"]["managedFields"] = obj["metadata"]["managedFields"]
        kept.pop("status", None)
        if "status" in obj:
            kept["status"] = obj["status"]
        obj.clear()
        obj.update(kept)

    def warnings(self, obj: Object, old: Object | None) -> list[str]:
        """Deprecation is told with every request: see `CustomModel.deprecation`."""
        return []


def _content(obj: Object) -> Object:
    return {name: value for name, value in obj.items() if name != "metadata"}


class CustomModel:
    """One served version. Implements `registry.model.Model`.

    Invariants: 1. `default` and `prune` are idempotent; 2. `to_storage` and `from_storage` change nothing but `apiVersion`, defaults and
    unknown fields; 3. an object that `validate` takes is taken again unchanged.
    """

    def __init__(self, crd: Object, version: Object) -> None:
        self.type = resource_type(crd, version)
        self.version = version
        self.terminating = bool(crd["metadata"].get("deletionTimestamp"))
        """Creating is refused: the definition is on its way out."""
        self.props: Object | None = (version.get("schema") or {}).get("openAPIV3Schema")
        """The schema, as the definition has it."""
        self.strategy: Strategy = CustomStrategy(self, version)
        self.deprecation = _deprecation(self.type, version)
        """The text of the Warning that goes with every answer, or nothing."""
        self.field_labels = {
            field["jsonPath"].removeprefix("."): field_path(field["jsonPath"]) for field in version.get("selectableFields") or []
        }
        """What field selectors may name besides the metadata: label and path."""
        scale = (version.get("subresources") or {}).get("scale")
        self.scale_paths = _scale_paths(scale) if scale is not None else None
        self._stored_as = f"{self.type.group}/{storage_version(crd)}"
        self._converts = (crd["spec"].get("conversion") or {}).get("strategy") in (None, "", "None")
        self._has_rules = self.props is not None and any(True for _ in _rules_below(self.props))

    @cached_property
    def schema(self) -> Schema:
        """Of the whole object."""
        gvk = self.type.gvk
        return root_node(self.props, name=".".join([*reversed(gvk.group.split(".")), gvk.version, gvk.kind]))

    @property
    def published(self) -> Object:
        """The schema for OpenAPI; it says by which fields objects can be selected."""
        fields = [{"fieldPath": label} for label in self.field_labels]
        return {**(self.props or {}), "x-kubernetes-selectable-fields": fields} if fields else self.props or {}

    @cached_property
    def _compiled(self) -> CompiledSchema:
        return CompiledSchema(self.props)

    def compile(self) -> None:
        """Makes what is made of the schema on first use otherwise: 70 ms for one of 360 kB. In any thread, before the model is served."""
        assert self.schema is not None and self._compiled is not None

    def default(self, obj: Object) -> None:
        """Fills in defaults, in place."""
        self._compiled.default(obj)

    def prune(self, obj: Object) -> list[str]:
        """Removes what the schema and ObjectMeta do not have, in place. Raises StatusError 400 when metadata has a wrong type."""
        unknown = []
        if "metadata" in obj:
            unknown = decode(self.type.gvk, _META_ONLY, {"metadata": obj["metadata"]})
        try:
            return sorted(unknown + self._compiled.prune(obj))
        except DecodeError as error:
            raise refusal(self.type.gvk, str(error)) from error

    def check_name(self, name: str, *, prefix: bool = False) -> list[str]:
        """Why the name cannot be one of this kind."""
        return names.dns_subdomain(name, prefix)

    def validate(self, obj: Object, old: Object | None, subresource: str = "") -> list[FieldError]:
        """Everything wrong with it, metadata excepted."""
        problems = []
        for field, wanted in (("kind", self.type.kind), ("apiVersion", self.type.api_version)):
            if obj.get(field) != wanted:
                problems.append(invalid(field, obj.get(field) or "", f"must be {wanted}"))
        if problems:
            return problems
        if self._has_rules and (old is None or _content(obj) != _content(old)):
            return [errors.forbidden_field("x-kubernetes-validations", RULES_REFUSED)]
        problems = self._compiled.validate(obj, old)
        if self.scale_paths is not None:
            problems += _scale_errors(obj, self.scale_paths)
        return problems

    def from_storage(self, obj: Object) -> Object:
        """In this version, pruned and defaulted. Raises StatusError when a webhook would have to convert it."""
        if obj.get("apiVersion") != self.type.api_version:
            self._require_conversion(str(obj.get("apiVersion")))
            obj["apiVersion"] = self.type.api_version
        with suppress(DecodeError):  # Stored when nobody looked at embedded metadata yet: it is served as it is.
            self._compiled.prune(obj)
        self._compiled.default(obj)
        return obj

    def to_storage(self, obj: Object) -> Object:
        """In the version it is stored in."""
        if self._stored_as == self.type.api_version:
            return obj
        self._require_conversion(self.type.api_version)
        return {**obj, "apiVersion": self._stored_as}

    def _require_conversion(self, source: str) -> None:
        if not self._converts:
            text = f"conversion webhook for {source}, Kind={self.type.kind} failed: it is not supported by this server yet"
            raise StatusError(500, "InternalError", f"Internal error occurred: {text}")


def _deprecation(type: ResourceType, version: Object) -> str:
    if not version.get("deprecated"):
        return ""
    return str(version.get("deprecationWarning") or f"{type.api_version} {type.kind} is deprecated")


def _scale_paths(scale: Object) -> ScalePaths:
    return ScalePaths(scale["specReplicasPath"], scale["statusReplicasPath"], scale.get("labelSelectorPath") or "", custom=True)


def _scale_errors(obj: Object, paths: ScalePaths) -> list[FieldError]:
    """Replica counts are counts (upstream's ValidateScaleSpec and ValidateScaleStatus)."""
    problems = []
    for path in (paths.replicas, paths.status_replicas):
        count = at_path(obj, path)
        fault = accessor_fault(obj, path, int)
        if fault:
            problems.append(invalid(path, 0, fault))
        elif not isinstance(count, int):
            continue
        elif count < 0:
            problems.append(invalid(path, count, "should be a non-negative integer"))
        elif count > _INT32_MAX:
            problems.append(invalid(path, count, f"should be less than or equal to {_INT32_MAX}"))
    fault = accessor_fault(obj, paths.selector, str) if paths.selector else ""
    if fault:
        problems.append(invalid(paths.selector, "", fault))
    return problems


def _rules_below(props: Json) -> Iterator[Json]:
    """Every CEL rule in a schema."""
    if isinstance(props, dict):
        rules = props.get("x-kubernetes-validations")
        if isinstance(rules, list):
            yield from rules
        for name, child in props.items():
            if name not in ("default", "enum", "example"):
                yield from _rules_below(child)
    elif isinstance(props, list):
        for child in props:
            yield from _rules_below(child)


_META_ONLY = Schema("object", loader=lambda: {"metadata": builtin.definition(OBJECT_META)})


def custom_models(crd: Object) -> list[CustomModel]:
    """The models of every served version, the most preferred first."""
    return [CustomModel(crd, version) for version in versions_of(crd) if version.get("served")]
