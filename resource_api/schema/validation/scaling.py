"""Rules of autoscalers, disruption budgets, Leases, priority and runtime classes.

Sources: the `validation.go` of autoscaling, policy, coordination, scheduling and node under `pkg/apis`.
"""

from __future__ import annotations

from resource_api.errors import Json, Object, forbidden_field, invalid, not_supported, required
from resource_api.schema import names
from resource_api.schema.quantity import amount
from resource_api.schema.validation.container import quantity_not_negative
from resource_api.schema.validation.rules import (
    Problems,
    count_or_percent,
    each,
    immutable,
    label_selector,
    needed,
    not_above_all,
    not_negative,
    part,
    positive,
    structs,
)

METRIC_TYPES = ("ContainerResource", "External", "Object", "Pods", "Resource")
_METRIC_FIELDS = {kind: kind[0].lower() + kind[1:] for kind in METRIC_TYPES}
PERIOD_S_MAX, WINDOW_S_MAX = 1800, 3600


def validate_autoscaler(obj: Object, old: Object | None, subresource: str) -> Problems:
    """A HorizontalPodAutoscaler of either version."""
    if subresource == "status":
        status = part(obj, "status")
        return not_negative(status.get("currentReplicas"), "status.currentReplicas") + not_negative(
            status.get("desiredReplicas"), "status.desiredReplicas"
        )
    spec = part(obj, "spec")
    low, high = spec.get("minReplicas"), spec.get("maxReplicas") or 0
    problems: Problems = []
    if low is not None and low < 1:
        problems.append(invalid("spec.minReplicas", low, "must be greater than or equal to 1"))
    if high < 1:
        problems.append(invalid("spec.maxReplicas", high, "must be greater than 0"))
    if low is not None and high < low:
        problems.append(invalid("spec.maxReplicas", high, "must be greater than or equal to `minReplicas`"))
    problems += _target_reference(part(spec, "scaleTargetRef"), "spec.scaleTargetRef")
    for index, metric in enumerate(structs(spec, "metrics")):
        problems += _metric(metric, f"spec.metrics[{index}]")
    for direction in ("scaleUp", "scaleDown"):
        rules = part(spec, "behavior").get(direction)
        if isinstance(rules, dict):
            problems += _rules(rules, f"spec.behavior.{direction}")
    if spec.get("targetCPUUtilizationPercentage") is not None:
        problems += positive(spec["targetCPUUtilizationPercentage"], "spec.targetCPUUtilizationPercentage")
    return problems


def _target_reference(reference: Object, path: str) -> Problems:
    problems: Problems = []
    for field in ("kind", "name"):
        value = reference.get(field)
        problems += each(f"{path}.{field}", value, names.path_segment(value)) if value else [required(f"{path}.{field}")]
    return problems


def _metric(metric: Object, path: str) -> Problems:
    kind = metric.get("type")
    if not kind:
        return [required(f"{path}.type", "must specify a metric source type")]
    if kind not in METRIC_TYPES:
        return [not_supported(f"{path}.type", kind, METRIC_TYPES)]
    problems: Problems = []
    wanted = _METRIC_FIELDS[kind]
    for field in _METRIC_FIELDS.values():
        if field != wanted and metric.get(field) is not None:
            problems.append(forbidden_field(f"{path}.{field}", "must populate the given metric source only"))
    source = metric.get(wanted)
    at = f"{path}.{wanted}"
    if not isinstance(source, dict):
        return [*problems, required(at, "must populate information for the given metric source")]
    if kind in ("Resource", "ContainerResource"):
        problems += needed(source, "name", at)
        if kind == "ContainerResource":
            problems += needed(source, "container", at)
    else:
        problems += needed(part(source, "metric"), "name", f"{at}.metric")
    if kind == "Object":
        problems += _target_reference(part(source, "describedObject"), f"{at}.describedObject")
    return problems + _target(part(source, "target"), f"{at}.target", kind)


def _target(target: Object, path: str, kind: str) -> Problems:
    problems: Problems = []
    if not target.get("type"):
        problems.append(required(f"{path}.type", "must specify a metric target type"))
    elif target["type"] not in ("Utilization", "Value", "AverageValue"):
        text = "must be either Utilization, Value, or AverageValue"
        problems.append(invalid(f"{path}.type", target["type"], text))
    given = [field for field in ("averageUtilization", "value", "averageValue") if target.get(field) is not None]
    for field in given:
        value = target[field]
        wrong = value < 1 if field == "averageUtilization" else amount(value) <= 0
        if wrong:
            problems.append(
                invalid(f"{path}.{field}", value, "must be greater than 0" if field == "averageUtilization" else "must be positive")
            )
    if kind in ("Resource", "ContainerResource"):
        if not {"averageUtilization", "averageValue"} & set(given):
            text = "must set either a target raw value or a target utilization"
            problems.append(required(f"{path}.averageUtilization", text))
    elif kind == "Pods":
        if "averageValue" not in given:
            problems.append(required(f"{path}.averageValue", "must specify a positive target averageValue"))
    elif not {"value", "averageValue"} & set(given):
        problems.append(required(f"{path}.averageValue", "must set either a target value for metric or a per-pod target"))
    return problems


def _rules(rules: Object, path: str) -> Problems:
    problems: Problems = []
    window_s = rules.get("stabilizationWindowSeconds")
    if window_s is not None:
        problems += not_negative(window_s, f"{path}.stabilizationWindowSeconds")
        if window_s > WINDOW_S_MAX:
            text = f"must be less than or equal to {WINDOW_S_MAX}"
            problems.append(invalid(f"{path}.stabilizationWindowSeconds", window_s, text))
    select = rules.get("selectPolicy")
    if select is not None and select not in ("Disabled", "Max", "Min"):
        problems.append(not_supported(f"{path}.selectPolicy", select, ("Disabled", "Max", "Min")))
    policies = structs(rules, "policies")
    if not policies:
        problems.append(required(f"{path}.policies", "must specify at least one Policy"))
    for index, policy in enumerate(policies):
        at = f"{path}.policies[{index}]"
        if policy.get("type") not in ("Percent", "Pods"):
            problems.append(not_supported(f"{at}.type", policy.get("type") or "", ("Percent", "Pods")))
        for field in ("value", "periodSeconds"):
            if (policy.get(field) or 0) <= 0:
                problems.append(invalid(f"{at}.{field}", policy.get(field) or 0, "must be greater than zero"))
        if (policy.get("periodSeconds") or 0) > PERIOD_S_MAX:
            text = f"must be less than or equal to {PERIOD_S_MAX}"
            problems.append(invalid(f"{at}.periodSeconds", policy["periodSeconds"], text))
    return problems


def validate_disruption_budget(obj: Object, old: Object | None, subresource: str) -> Problems:
    """A PodDisruptionBudget."""
    if subresource == "status":
        status = part(obj, "status")
        fields = ("disruptionsAllowed", "currentHealthy", "desiredHealthy", "expectedPods")
        return [error for field in fields for error in not_negative(status.get(field), f"status.{field}")]
    spec = part(obj, "spec")
    problems: Problems = []
    if spec.get("minAvailable") is not None and spec.get("maxUnavailable") is not None:
        problems.append(invalid("spec", spec, "minAvailable and maxUnavailable cannot be both set"))
    for field in ("minAvailable", "maxUnavailable"):
        problems += count_or_percent(spec.get(field), f"spec.{field}") + not_above_all(spec.get(field), f"spec.{field}")
    policy = spec.get("unhealthyPodEvictionPolicy")
    if policy is not None and policy not in ("AlwaysAllow", "IfHealthyBudget"):
        problems.append(not_supported("spec.unhealthyPodEvictionPolicy", policy, ("AlwaysAllow", "IfHealthyBudget")))
    return problems + label_selector(spec.get("selector"), "spec.selector")


def validate_lease(obj: Object, old: Object | None, subresource: str) -> Problems:
    """A Lease."""
    spec = part(obj, "spec")
    problems = positive(spec.get("leaseDurationSeconds"), "spec.leaseDurationSeconds")
    problems += not_negative(spec.get("leaseTransitions"), "spec.leaseTransitions")
    if spec.get("holderIdentity") == "":
        problems.append(invalid("spec.holderIdentity", "", "must not be empty"))
    strategy = spec.get("strategy")
    if strategy is None and spec.get("preferredHolder"):
        problems.append(forbidden_field("spec.preferredHolder", "may only be specified when `strategy` is defined"))
    return problems


SYSTEM_CLASSES = {"system-node-critical": 2_000_001_000, "system-cluster-critical": 2_000_000_000}
USER_PRIORITY_MAX = 1_000_000_000


def validate_priority_class(obj: Object, old: Object | None, subresource: str) -> Problems:
    """A PriorityClass: its value never changes; the system's are known by name."""
    name, value = str(part(obj, "metadata").get("name") or ""), obj.get("value") or 0
    problems: Problems = []
    if old is not None:
        if value != (old.get("value") or 0):
            problems.append(forbidden_field("value", "may not be changed in an update."))
        return problems + immutable(obj.get("preemptionPolicy"), old.get("preemptionPolicy"), "preemptionPolicy")
    if name.startswith("system-"):
        if SYSTEM_CLASSES.get(name) != value:
            text = "priority class names with 'system-' prefix are reserved for system use only. error: "
            why = f"{name} is not a known system priority class"
            if name in SYSTEM_CLASSES:
                why = f"value of {name} PriorityClass must be {SYSTEM_CLASSES[name]}"
            problems.append(forbidden_field("metadata.name", text + why))
    elif value > USER_PRIORITY_MAX:
        text = f"maximum allowed value of a user defined priority is {USER_PRIORITY_MAX}"
        problems.append(forbidden_field("value", text))
    policy: Json = obj.get("preemptionPolicy")
    if policy not in (None, "Never", "PreemptLowerPriority"):
        problems.append(not_supported("preemptionPolicy", policy, ("Never", "PreemptLowerPriority")))
    return problems


def validate_runtime_class(obj: Object, old: Object | None, subresource: str) -> Problems:
    """A RuntimeClass: its handler is fixed."""
    handler = obj.get("handler") or ""
    problems = each("handler", handler, names.dns_label(handler))
    for name, value in part(part(obj, "overhead"), "podFixed").items():
        problems += quantity_not_negative(value, f"overhead.podFixed[{name}]")
    return problems + (immutable(handler, old.get("handler"), "handler") if old is not None else [])
