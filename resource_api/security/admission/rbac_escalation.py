"""Nobody grants what he does not hold: the check on writing roles and bindings, which upstream makes in their storage."""

from __future__ import annotations

from resource_api.errors import Object, not_found
from resource_api.registry.admission import AdmissionRequest
from resource_api.registry.requests import MASTERS, User
from resource_api.security.admission.plugin import PassivePlugin, refused
from resource_api.security.authorization import Attributes, Authorizer, Rules
from resource_api.security.escalation import FULL_AUTHORITY, escalation_text
from resource_api.security.rbac import PLURALS, RBAC_GROUP, PolicyIndex

COLLECTOR_FIELDS = ("ownerReferences", "finalizers")
"""What the garbage collector changes; a write of nothing else is not checked."""


class RbacEscalation(PassivePlugin):
    """Roles need every rule they grant (or `escalate`), bindings every rule of their role (or `bind`)."""

    name = "RBACEscalation"

    def __init__(self, index: PolicyIndex, rules: Rules, authorizer: Authorizer) -> None:
        self._index = index
        self._rules = rules
        self._authorizer = authorizer

    def handles(self, request: AdmissionRequest) -> bool:
        """Roles and bindings, made and changed, by anybody but the administrator."""
        return (
            request.type.group == RBAC_GROUP
            and request.type.plural in PLURALS
            and request.operation in ("CREATE", "UPDATE")
            and MASTERS not in request.user.groups
        )

    async def validate(self, request: AdmissionRequest) -> None:
        """Raises 403 with what is not held."""
        assert request.obj is not None
        if request.old is not None and _core(request.obj) == _core(request.old):
            return
        if request.type.plural in ("roles", "clusterroles"):
            self._check_role(request, request.obj)
        else:
            self._check_binding(request, request.obj)

    def _check_role(self, request: AdmissionRequest, role: Object) -> None:
        if self._may(request.user, "escalate", request.type.plural, request.namespace, request.name):
            return
        text = self._missing(request.user, request.namespace, role.get("rules") or ())
        if text:
            raise refused(request, text)
        if role.get("aggregationRule") and self._missing(request.user, "", FULL_AUTHORITY):
            raise refused(request, "must have cluster-admin privileges to use the aggregationRule")

    def _check_binding(self, request: AdmissionRequest, binding: Object) -> None:
        reference = binding.get("roleRef") or {}
        kind, name = str(reference.get("kind", "")), str(reference.get("name", ""))
        if self._may(request.user, "bind", kind.lower() + "s", request.namespace, name):
            return
        role = self._index.role(kind, request.namespace, name)
        if role is None:
            raise not_found(RBAC_GROUP, kind.lower() + "s", name)
        text = self._missing(request.user, request.namespace, role.source)
        if text:
            raise refused(request, text)

    def _may(self, user: User, verb: str, plural: str, namespace: str, name: str) -> bool:
        return self._authorizer.authorize(Attributes(user, verb, RBAC_GROUP, "v1", plural, "", namespace, name)).allowed

    def _missing(self, user: User, namespace: str, rules: tuple[Object, ...] | list[Object]) -> str:
        held, unresolved = self._rules.rules_of(user, namespace)
        return escalation_text(user, held, unresolved, rules)


def _core(obj: Object) -> Object:
    """The object without what changes by itself or by the garbage collector."""
    skipped = (*COLLECTOR_FIELDS, "resourceVersion", "managedFields", "generation", "deletionTimestamp", "deletionGracePeriodSeconds")
    metadata = {name: value for name, value in (obj.get("metadata") or {}).items() if name not in skipped}
    return {**obj, "metadata": metadata}
