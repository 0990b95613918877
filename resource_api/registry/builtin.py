"""The models of the built-in kinds: each put together from its schema, defaults, rules, strategy and versions. Data, mostly.

`builtin_models()` is what the composition root asks for. The tables here say which kind behaves how (spec B.2, B.5, B.12); the code they
name stands in `strategies*`, `schema/defaults*` and `schema/validation*`.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property, lru_cache

from resource_api.errors import FieldError, Object
from resource_api.registry.conversion import CONVERSIONS
from resource_api.registry.definitions import DefinitionModel
from resource_api.registry.model import Model, Strategy
from resource_api.registry.strategies.batch import DaemonSetStrategy, JobStrategy
from resource_api.registry.strategies.core import NamespaceStrategy, PodStrategy, ServiceStrategy, SigningRequestStrategy, VolumeStrategy
from resource_api.registry.strategies.table import BuiltinStrategy, Traits
from resource_api.schema import names
from resource_api.schema.builtin import always_written, resource_types, schema_of
from resource_api.schema.decoding import decode
from resource_api.schema.defaults import apps as defaults_apps
from resource_api.schema.defaults import core as defaults_core
from resource_api.schema.defaults import other as defaults_other
from resource_api.schema.defaults.defaulter import Defaulter, Fill
from resource_api.schema.kinds import ResourceType
from resource_api.schema.types import Schema
from resource_api.schema.validation.rules import SchemaRules
from resource_api.schema.validation.table import VALIDATORS

DEFAULTS: dict[str, tuple[Fill, ...]] = {**defaults_core.TABLE, **defaults_apps.TABLE, **defaults_other.TABLE}

_SPEC = ("spec",)
_WITH_SPEC = Traits(status=True, generation_of=_SPEC)
_COUNTED = Traits(generation_of=_SPEC)
_STATUS = Traits(status=True)
_RBAC = Traits(create_on_update=True)
_WEBHOOKS = Traits(generation_of=("webhooks",), unconditional_update=False)
_POLICY = Traits(generation_of=_SPEC, unconditional_update=False)
_RETURNED = Traits(returns_deleted=True)

TRAITS: dict[tuple[str, str], Traits] = {
    ("", "Endpoints"): Traits(create_on_update=True),
    ("", "Event"): Traits(create_on_update=True),
    ("events.k8s.io", "Event"): Traits(create_on_update=True),
    ("", "LimitRange"): Traits(create_on_update=True),
    ("", "Namespace"): Traits(status=True, returns_deleted=True),
    ("", "Node"): Traits(status=True, status_on_create=True),
    ("", "PersistentVolume"): Traits(status=True, returns_deleted=True),
    ("", "PersistentVolumeClaim"): Traits(status=True, returns_deleted=True),
    ("", "Pod"): Traits(status=True, generation_of=_SPEC, returns_deleted=True),
    ("", "PodTemplate"): Traits(generation_of=("template",), returns_deleted=True),
    ("", "ReplicationController"): _WITH_SPEC,
    ("", "ResourceQuota"): Traits(status=True, returns_deleted=True),
    ("", "Service"): Traits(status=True, create_on_update=True, returns_deleted=True),
    ("", "ServiceAccount"): _RETURNED,
    ("admissionregistration.k8s.io", "MutatingAdmissionPolicy"): _POLICY,
    ("admissionregistration.k8s.io", "MutatingAdmissionPolicyBinding"): _POLICY,
    ("admissionregistration.k8s.io", "MutatingWebhookConfiguration"): _WEBHOOKS,
    ("admissionregistration.k8s.io", "ValidatingAdmissionPolicy"): Traits(status=True, generation_of=_SPEC, unconditional_update=False),
    ("admissionregistration.k8s.io", "ValidatingAdmissionPolicyBinding"): _POLICY,
    ("admissionregistration.k8s.io", "ValidatingWebhookConfiguration"): _WEBHOOKS,
    ("apiregistration.k8s.io", "APIService"): Traits(status=True, unconditional_update=False),
    ("apps", "DaemonSet"): _WITH_SPEC,
    ("apps", "Deployment"): Traits(status=True, generation_of=_SPEC, status_keeps_labels=True),
    ("apps", "ReplicaSet"): _WITH_SPEC,
    ("apps", "StatefulSet"): _WITH_SPEC,
    ("autoscaling", "HorizontalPodAutoscaler"): _STATUS,
    ("batch", "CronJob"): _WITH_SPEC,
    ("batch", "Job"): _WITH_SPEC,
    ("certificates.k8s.io", "CertificateSigningRequest"): _STATUS,
    ("certificates.k8s.io", "PodCertificateRequest"): _STATUS,
    ("coordination.k8s.io", "Lease"): Traits(create_on_update=True, unconditional_update=False),
    ("discovery.k8s.io", "EndpointSlice"): Traits(generation_of=("addressType", "endpoints", "ports", "metadata.labels")),
    ("flowcontrol.apiserver.k8s.io", "FlowSchema"): _WITH_SPEC,
    ("flowcontrol.apiserver.k8s.io", "PriorityLevelConfiguration"): _WITH_SPEC,
    ("networking.k8s.io", "Ingress"): _WITH_SPEC,
    ("networking.k8s.io", "IngressClass"): _COUNTED,
    ("networking.k8s.io", "NetworkPolicy"): _COUNTED,
    ("networking.k8s.io", "ServiceCIDR"): _STATUS,
    ("node.k8s.io", "RuntimeClass"): Traits(create_on_update=True, unconditional_update=False),
    ("policy", "PodDisruptionBudget"): Traits(status=True, generation_of=_SPEC, unconditional_update=False),
    ("rbac.authorization.k8s.io", "ClusterRole"): _RBAC,
    ("rbac.authorization.k8s.io", "ClusterRoleBinding"): _RBAC,
    ("rbac.authorization.k8s.io", "Role"): _RBAC,
    ("rbac.authorization.k8s.io", "RoleBinding"): _RBAC,
    ("resource.k8s.io", "DeviceClass"): _COUNTED,
    ("resource.k8s.io", "DeviceTaintRule"): _WITH_SPEC,
    ("resource.k8s.io", "ResourceClaim"): _STATUS,
    ("resource.k8s.io", "ResourceSlice"): _COUNTED,
    ("storage.k8s.io", "CSIDriver"): Traits(generation_of=_SPEC, returns_deleted=True),
    ("storage.k8s.io", "CSINode"): Traits(unconditional_update=False, returns_deleted=True),
    ("storage.k8s.io", "StorageClass"): _RETURNED,
    ("storage.k8s.io", "VolumeAttachment"): Traits(status=True, returns_deleted=True),
    ("storagemigration.k8s.io", "StorageVersionMigration"): _STATUS,
}
"""By group and kind; a kind that is not here has neither status nor generation."""

STRATEGIES: dict[tuple[str, str], Callable[[Traits, Callable[[Object], None]], Strategy]] = {
    ("", "Namespace"): NamespaceStrategy,
    ("", "PersistentVolume"): VolumeStrategy,
    ("", "Pod"): PodStrategy,
    ("", "Service"): ServiceStrategy,
    ("apps", "DaemonSet"): DaemonSetStrategy,
    ("batch", "Job"): JobStrategy,
    ("certificates.k8s.io", "CertificateSigningRequest"): SigningRequestStrategy,
}
"""Kinds whose strategy is more than traits."""


class BuiltinModel:
    """One built-in resource. Implements `registry.model.Model`; parts are made on first use, because most kinds are never used.

    Invariants: 1. `default` twice changes nothing more; 2. `prune` after `prune` finds nothing; 3. `to_storage` after `from_storage` gives
    back what was stored, but for the order of an autoscaler's metrics and members that say nothing.
    """

    def __init__(self, type: ResourceType) -> None:
        self.type = type
        self._conversion = CONVERSIONS.get((type.group, type.version, type.kind))
        key = (type.group, type.kind)
        self._validator = VALIDATORS.get(key)
        self._name_rule = names.name_rule(type)
        self.schema: Schema = schema_of(type.gvk)
        self.strategy: Strategy = STRATEGIES.get(key, BuiltinStrategy)(TRAITS.get(key, Traits()), self.default)

    @cached_property
    def _defaulter(self) -> Defaulter:
        return Defaulter(self.schema, DEFAULTS, always_written)

    @cached_property
    def _stored_defaulter(self) -> Defaulter:
        return Defaulter(schema_of(self.type.stored_as or self.type.gvk), DEFAULTS, always_written)

    @cached_property
    def _schema_rules(self) -> SchemaRules:
        return SchemaRules(self.schema)

    def default(self, obj: Object) -> None:
        """Fills in defaults, in place."""
        self._defaulter(obj)

    def prune(self, obj: Object) -> list[str]:
        """Drops unknown fields and nulls, in place; the unknown ones' paths. Raises StatusError 400 when a field has the wrong type."""
        return decode(self.type.gvk, self.schema, obj)

    def check_name(self, name: str, *, prefix: bool = False) -> list[str]:
        """Why the name cannot be one of this kind."""
        return self._name_rule(name, prefix)

    def validate(self, obj: Object, old: Object | None, subresource: str = "") -> list[FieldError]:
        """Everything wrong with it, metadata excepted: the kind's own rules, then the schema's."""
        problems = self._validator(obj, old, subresource) if self._validator is not None else []
        if not subresource:
            problems += self._schema_rules(obj, problems)
        return problems

    def from_storage(self, obj: Object) -> Object:
        """In this version, as a replacement that changes nothing would leave it: what an older release did not write is filled in."""
        if self._conversion is not None:
            obj = self._conversion[0](obj)
            self.prune(obj)
        self.default(obj)
        return obj

    def to_storage(self, obj: Object) -> Object:
        """In the version it is stored in, as a write in it would leave it. Raises StatusError 400 on wrong types in annotations."""
        if self._conversion is None:
            return obj
        stored = self._conversion[1](obj)
        gvk = self.type.stored_as or self.type.gvk
        decode(gvk, schema_of(gvk), stored)
        self._stored_defaulter(stored)
        return stored


@lru_cache(maxsize=1)
def builtin_models() -> dict[tuple[str, str, str], Model]:
    """Every built-in resource by group, version and plural, in discovery order; the same objects at every call."""
    models: dict[tuple[str, str, str], Model] = {}
    for type in resource_types():
        model = BuiltinModel(type)
        models[type.group, type.version, type.plural] = DefinitionModel(model) if type.kind == "CustomResourceDefinition" else model
    return models
