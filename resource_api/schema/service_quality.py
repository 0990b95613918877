"""The quality-of-service class of a pod: what its containers' requests and limits say. Source: `pkg/apis/core/v1/helper/qos`."""

from __future__ import annotations

from resource_api.errors import Object
from resource_api.schema.defaults.defaulter import items
from resource_api.schema.quantity import QuantityError, amount


def quality_of_service(pod: Object) -> str:
    """Guaranteed when every container's limits of cpu and memory equal its requests, BestEffort without any, else Burstable."""
    spec = pod.get("spec") or {}
    containers = items(spec, "containers") + items(spec, "initContainers")
    if isinstance(spec.get("resources"), dict) and (spec["resources"].get("requests") or spec["resources"].get("limits")):
        containers = [{"resources": spec["resources"]}]
    any_given, guaranteed = False, bool(containers)
    for container in containers:
        resources = container.get("resources") or {}
        limits = _amounts(resources.get("limits"))
        requests = _amounts(resources.get("requests"))
        any_given = any_given or bool(limits or requests)
        guaranteed = guaranteed and len(limits) == 2 and all(requests.get(name, limit) == limit for name, limit in limits.items())
    if not any_given:
        return "BestEffort"
    return "Guaranteed" if guaranteed else "Burstable"


def _amounts(values: Object | None) -> dict[str, int]:
    found = {}
    for name in ("cpu", "memory"):
        try:
            units = amount((values or {}).get(name, "0"))
        except QuantityError:
            continue
        if units > 0:
            found[name] = units
    return found
