"""Priority: a pod's class is resolved to a number, and there is one default class."""

from __future__ import annotations

from resource_api.errors import Object
from resource_api.registry.admission import AdmissionRequest
from resource_api.security.admission.plugin import PassivePlugin, is_write_of, refused, spec_of
from resource_api.security.lookup import Lookup, cached, cached_or_newest

GROUP, PLURAL = "scheduling.k8s.io", "priorityclasses"
SYSTEM_CLASSES = ("system-cluster-critical", "system-node-critical")
DEFAULT_PREEMPTION = "PreemptLowerPriority"


class Priority(PassivePlugin):
    """New pods; priority classes."""

    name = "Priority"

    def __init__(self, lookup: Lookup) -> None:
        self._lookup = lookup

    def handles(self, request: AdmissionRequest) -> bool:
        """Pods when made, classes always."""
        return is_write_of(request, "", "pods", "CREATE") or is_write_of(request, GROUP, PLURAL, "CREATE", "UPDATE", "DELETE")

    async def admit(self, request: AdmissionRequest) -> None:
        """Sets priority and preemption policy; whoever sent other values is refused."""
        if request.type.plural != "pods":
            return
        spec = spec_of(request)
        name = spec.get("priorityClassName") or ""
        if name:
            found = await cached_or_newest(self._lookup, GROUP, PLURAL, "", name)
            if found is None:
                raise refused(request, f"no PriorityClass with name {name} was found")
        else:
            found = self._default()
            if found is not None:
                spec["priorityClassName"] = found["metadata"]["name"]
        value = int((found or {}).get("value") or 0)
        policy = (found or {}).get("preemptionPolicy") or DEFAULT_PREEMPTION
        sent, sent_policy = spec.get("priority"), spec.get("preemptionPolicy")
        if sent is not None and sent != value:
            raise refused(
                request,
                f"the integer value of priority ({sent}) must not be provided in pod spec; "
                f"priority admission controller computed {value} from the given PriorityClass name",
            )
        if sent_policy is not None and sent_policy != policy:
            raise refused(
                request,
                f"the string value of PreemptionPolicy ({sent_policy}) must not be provided in pod spec; "
                f"priority admission controller computed {policy} from the given PriorityClass name",
            )
        spec["priority"], spec["preemptionPolicy"] = value, policy

    async def validate(self, request: AdmissionRequest) -> None:
        """One default class; the system's own stay (upstream's storage of the kind says so, in these words)."""
        if request.operation == "DELETE":
            if request.name in SYSTEM_CLASSES:
                raise refused(request, "this is a system priority class and cannot be deleted")
            return
        if request.type.plural != PLURAL or request.obj is None or not request.obj.get("globalDefault"):
            return
        default = self._default()
        if default is not None and default["metadata"]["name"] != request.name:
            raise refused(request, f"PriorityClass {default['metadata']['name']} is already marked as default. Only one default can exist")

    def _default(self) -> Object | None:
        """The lowest of the default classes: two may have been made at once."""
        classes = [one for one in cached(self._lookup, GROUP, PLURAL) if one.get("globalDefault")]
        return min(classes, key=lambda one: int(one.get("value") or 0), default=None)
