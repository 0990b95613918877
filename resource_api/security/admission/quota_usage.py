"""What one object costs a ResourceQuota, and which quotas it counts for. Pure. Source: upstream's quota evaluators, restated."""

from __future__ import annotations

from resource_api.errors import Object
from resource_api.schema.kinds import ResourceType
from resource_api.schema.quantity import amount
from resource_api.schema.service_quality import quality_of_service
from resource_api.security.admission.pod_resources import pod_totals

Usage = dict[str, int]
"""Resource of a quota -> nano units."""

ONE = 10**9
COMPUTE = ("cpu", "memory", "ephemeral-storage")
COUNTED_BY_NAME = frozenset({"configmaps", "secrets", "replicationcontrollers", "resourcequotas", "services", "persistentvolumeclaims"})
"""Resources of the core group that have a name of their own besides `count/NAME`; pods are counted while they are alive."""
CLASS_ANNOTATION = "volume.beta.kubernetes.io/storage-class"
POD_SCOPES = frozenset({"Terminating", "NotTerminating", "BestEffort", "NotBestEffort", "PriorityClass", "CrossNamespacePodAffinity"})


def usage_of(resource: ResourceType, obj: Object) -> Usage:
    """Everything the object costs, whatever the quotas limit."""
    used = {f"count/{resource.group_resource}": ONE}
    if resource.group:
        return used
    if resource.plural in COUNTED_BY_NAME:
        used[resource.plural] = ONE
    if resource.plural == "pods":
        used |= _pod(obj)
    elif resource.plural == "services":
        used |= _service(obj)
    elif resource.plural == "persistentvolumeclaims":
        used |= _claim(obj)
    return used


def _pod(pod: Object) -> Usage:
    if (pod.get("status") or {}).get("phase") in ("Succeeded", "Failed"):
        return {}
    used = {"pods": ONE}
    spec = pod.get("spec") or {}
    for name, value in pod_totals(spec, "requests").items():
        used[f"requests.{name}"] = amount(value)
        if name in COMPUTE or name.startswith("hugepages-"):
            used[name] = amount(value)
    for name, value in pod_totals(spec, "limits").items():
        if name in COMPUTE:
            used[f"limits.{name}"] = amount(value)
    return used


def _service(service: Object) -> Usage:
    spec = service.get("spec") or {}
    ports = spec.get("ports") or ()
    if spec.get("type") == "NodePort":
        return {"services.nodeports": len(ports) * ONE}
    if spec.get("type") == "LoadBalancer":
        taken = len(ports) if spec.get("allocateLoadBalancerNodePorts") is not False else sum(1 for port in ports if port.get("nodePort"))
        return {"services.loadbalancers": ONE, "services.nodeports": taken * ONE}
    return {}


def _claim(claim: Object) -> Usage:
    spec = claim.get("spec") or {}
    asked = ((spec.get("resources") or {}).get("requests") or {}).get("storage")
    used = {} if asked is None else {"requests.storage": amount(asked)}
    name = (claim["metadata"].get("annotations") or {}).get(CLASS_ANNOTATION) or spec.get("storageClassName")
    if name:
        prefix = f"{name}.storageclass.storage.k8s.io/"
        used |= {prefix + what: value for what, value in used.items()}
        used[prefix + "persistentvolumeclaims"] = ONE
    return used


def missing_from(pod: Object, limited: frozenset[str]) -> str:
    """Which limited compute resources containers say nothing about; empty when none."""
    names = [*(f"{part}.{name}" for name in COMPUTE for part in ("limits", "requests")), *COMPUTE]
    gaps: dict[str, list[str]] = {}
    spec = pod.get("spec") or {}
    if spec.get("resources"):
        totals = {part: pod_totals(spec, part) for part in ("requests", "limits")}
        whole = {name for name in names if name in limited and name.split(".")[-1] not in totals[_part(name)]}
        return f"must specify {','.join(sorted(whole))}" if whole else ""
    for container in [*(spec.get("containers") or ()), *(spec.get("initContainers") or ())]:
        for name in names:
            if name in limited and name.split(".")[-1] not in ((container.get("resources") or {}).get(_part(name)) or {}):
                gaps.setdefault(name, []).append(str(container.get("name", "")))
    if not gaps:
        return ""
    return "must specify " + "; ".join(f"{name} for: {','.join(sorted(gaps[name]))}" for name in sorted(gaps))


def _part(name: str) -> str:
    return "limits" if name.startswith("limits.") else "requests"


def counts_for(quota: Object, resource: ResourceType, obj: Object) -> bool:
    """Whether the object is in every scope of the quota. Only pods (and claims, by attributes class) are in any."""
    spec = quota.get("spec") or {}
    selectors = [{"scopeName": scope, "operator": "Exists"} for scope in spec.get("scopes") or ()]
    selectors += (spec.get("scopeSelector") or {}).get("matchExpressions") or ()
    if not selectors:
        return True
    if resource.group:
        return False
    if resource.plural == "persistentvolumeclaims":
        name = (obj.get("spec") or {}).get("volumeAttributesClassName") or ""
        return all(one["scopeName"] == "VolumeAttributesClass" and _selects(one, name) for one in selectors)
    return resource.plural == "pods" and all(_pod_in(one, obj) for one in selectors)


def _pod_in(selector: Object, pod: Object) -> bool:
    spec = pod.get("spec") or {}
    scope = selector["scopeName"]
    if scope == "PriorityClass":
        return _selects(selector, spec.get("priorityClassName") or "")
    terminating = spec.get("activeDeadlineSeconds") is not None
    best_effort = quality_of_service(pod) == "BestEffort"
    return {
        "Terminating": terminating,
        "NotTerminating": not terminating,
        "BestEffort": best_effort,
        "NotBestEffort": not best_effort,
        "CrossNamespacePodAffinity": _crosses_namespaces(spec.get("affinity") or {}),
    }.get(scope, False)


def _selects(selector: Object, name: str) -> bool:
    values = selector.get("values") or ()
    operator = selector.get("operator")
    return {
        "In": name in values and bool(name),
        "NotIn": name not in values,
        "Exists": bool(name),
        "DoesNotExist": not name,
    }.get(str(operator), False)


def _crosses_namespaces(affinity: Object) -> bool:
    for kind in ("podAffinity", "podAntiAffinity"):
        terms = affinity.get(kind) or {}
        found = list(terms.get("requiredDuringSchedulingIgnoredDuringExecution") or ())
        found += [one.get("podAffinityTerm") or {} for one in terms.get("preferredDuringSchedulingIgnoredDuringExecution") or ()]
        if any(term.get("namespaces") or term.get("namespaceSelector") is not None for term in found):
            return True
    return False
