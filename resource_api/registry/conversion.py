"""Between two versions of one kind: HorizontalPodAutoscaler v1 and v2, Event of the core group and of events.k8s.io.

Stored are autoscaling/v2 and core/v1. Each pair converts to the other and back without loss but for the order of metrics: what the older
version has no field for is carried in annotations, by upstream's names.

Sources: `pkg/apis/autoscaling/v1/conversion.go`, `pkg/apis/events/v1/conversion.go`.
"""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from resource_api.errors import Json, Object
from resource_api.schema import depth
from resource_api.schema.defaults.apps import CPU_UTILIZATION_PERCENT
from resource_api.schema.json_values import copied

Convert = Callable[[Object], Object]

METRICS = "autoscaling.alpha.kubernetes.io/metrics"
CURRENT_METRICS = "autoscaling.alpha.kubernetes.io/current-metrics"
CONDITIONS = "autoscaling.alpha.kubernetes.io/conditions"
BEHAVIOR = "autoscaling.alpha.kubernetes.io/behavior"
CARRIED_DEPTH_MAX = 64
"""Metrics nest ten deep; clients write these annotations too."""

_CARRIED = (METRICS, CURRENT_METRICS, CONDITIONS, BEHAVIOR)


def autoscaler_to_v1(obj: Object) -> Object:
    """The v2 object as v1 shows it; the first cpu utilization is a field, everything else an annotation."""
    new = copied(obj)
    new["apiVersion"] = "autoscaling/v1"
    spec, status = new.get("spec") or {}, new.get("status") or {}
    annotations = {key: value for key, value in (new["metadata"].get("annotations") or {}).items() if key not in _CARRIED}
    others = []
    for metric in spec.pop("metrics", None) or []:
        target = _cpu_target(metric)
        if target is not None and "targetCPUUtilizationPercentage" not in spec:
            spec["targetCPUUtilizationPercentage"] = target
        else:
            others.append(metric)
    carried: list[tuple[str, Json]] = [(METRICS, others), (BEHAVIOR, spec.pop("behavior", None))]
    current = status.pop("currentMetrics", None) or []
    for metric in current:
        value = ((metric.get("resource") or {}).get("current") or {}).get("averageUtilization")
        if metric.get("type") == "Resource" and metric["resource"].get("name") == "cpu" and value is not None:
            status["currentCPUUtilizationPercentage"] = value
    carried += [(CURRENT_METRICS, current), (CONDITIONS, status.pop("conditions", None))]
    for key, value in carried:
        if value:
            annotations[key] = msgspec.json.encode(value).decode()
    status.setdefault("currentReplicas", 0)
    status.setdefault("desiredReplicas", 0)
    new["spec"], new["status"] = spec, status
    _put_annotations(new, annotations)
    return new


def autoscaler_to_v2(obj: Object) -> Object:
    """The v1 object as it is stored; annotations that cannot be read are dropped, as upstream drops them."""
    new = copied(obj)
    new["apiVersion"] = "autoscaling/v2"
    spec, status = new.get("spec") or {}, new.get("status") or {}
    annotations = dict(new["metadata"].get("annotations") or {})
    carried = {key: _read(annotations.pop(key, None)) for key in _CARRIED}
    metrics = [metric for metric in carried[METRICS] or [] if isinstance(metric, dict)] if isinstance(carried[METRICS], list) else []
    target = spec.pop("targetCPUUtilizationPercentage", None)
    if target is not None:
        wanted = {"type": "Utilization", "averageUtilization": target}
        metrics.insert(0, {"type": "Resource", "resource": {"name": "cpu", "target": wanted}})
    if not metrics:
        # Here and not among the defaults: only now it is known that no annotation carries any.
        wanted = {"type": "Utilization", "averageUtilization": CPU_UTILIZATION_PERCENT}
        metrics = [{"type": "Resource", "resource": {"name": "cpu", "target": wanted}}]
    spec["metrics"] = metrics
    if isinstance(carried[BEHAVIOR], dict):
        spec["behavior"] = carried[BEHAVIOR]
    utilization = status.pop("currentCPUUtilizationPercentage", None)
    if isinstance(carried[CURRENT_METRICS], list) and carried[CURRENT_METRICS]:
        status["currentMetrics"] = carried[CURRENT_METRICS]
    elif utilization is not None:
        current = {"averageUtilization": utilization}
        status["currentMetrics"] = [{"type": "Resource", "resource": {"name": "cpu", "current": current}}]
    if isinstance(carried[CONDITIONS], list) and carried[CONDITIONS]:
        status["conditions"] = carried[CONDITIONS]
    new["spec"], new["status"] = spec, status
    _put_annotations(new, annotations)
    return new


def _cpu_target(metric: Object) -> int | None:
    resource = metric.get("resource") or {}
    if metric.get("type") != "Resource" or resource.get("name") != "cpu":
        return None
    target: int | None = (resource.get("target") or {}).get("averageUtilization")
    return target


def _read(text: str | None) -> Json:
    try:
        value = msgspec.json.decode(text) if text else None
    except (msgspec.DecodeError, RecursionError):
        return None
    return None if depth.is_too_deep(value, CARRIED_DEPTH_MAX) else value


def _put_annotations(obj: Object, annotations: Object) -> None:
    if annotations:
        obj["metadata"]["annotations"] = annotations
    else:
        obj["metadata"].pop("annotations", None)


_EVENT_NAMES = (
    ("involvedObject", "regarding"),
    ("message", "note"),
    ("reportingComponent", "reportingController"),
    ("source", "deprecatedSource"),
    ("firstTimestamp", "deprecatedFirstTimestamp"),
    ("lastTimestamp", "deprecatedLastTimestamp"),
    ("count", "deprecatedCount"),
)
"""Core's name of a field and that of events.k8s.io; all others are the same."""


def event_to_core(obj: Object) -> Object:
    """An events.k8s.io/v1 Event as it is stored."""
    return _renamed(obj, {new: old for old, new in _EVENT_NAMES}, "v1")


def event_to_events(obj: Object) -> Object:
    """A stored Event as events.k8s.io/v1 shows it."""
    return _renamed(obj, dict(_EVENT_NAMES), "events.k8s.io/v1")


def _renamed(obj: Object, fields: dict[str, str], version: str) -> Object:
    new = {fields.get(name, name): copied(value) for name, value in obj.items()}
    new["apiVersion"] = version
    return new


CONVERSIONS: dict[tuple[str, str, str], tuple[Convert, Convert]] = {
    ("autoscaling", "v1", "HorizontalPodAutoscaler"): (autoscaler_to_v1, autoscaler_to_v2),
    ("events.k8s.io", "v1", "Event"): (event_to_events, event_to_core),
}
"""By group, version and kind of the version that is not stored: from the stored one, and to it."""
