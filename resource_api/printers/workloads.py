"""Rows of what runs pods: deployments, sets, jobs, and what scales or protects them."""

from __future__ import annotations

from collections.abc import Sequence

from resource_api.errors import Json, Object
from resource_api.printers.cells import (
    NONE,
    UNKNOWN,
    UNSET,
    condition,
    containers,
    created,
    labels_text,
    name,
    selector,
    spec,
    status,
    template,
)
from resource_api.registry.scale import selector_text
from resource_api.schema.times import age, human_duration, parse_time

HPA_METRICS_SHOWN = 2


def replication_controller(obj: Object, now_s: float) -> Sequence[Json]:
    """Desired, current, ready."""
    return (*_counts(obj, now_s), *containers(template(obj)), labels_text(spec(obj).get("selector")))


def replica_set(obj: Object, now_s: float) -> Sequence[Json]:
    """Desired, current, ready."""
    return (*_counts(obj, now_s), *containers(template(obj)), selector(spec(obj).get("selector")))


def _counts(obj: Object, now_s: float) -> Sequence[Json]:
    state = status(obj)
    return (name(obj), spec(obj).get("replicas", 0), state.get("replicas", 0), state.get("readyReplicas", 0), created(obj, now_s))


def daemon_set(obj: Object, now_s: float) -> Sequence[Json]:
    """Counts of nodes."""
    state = status(obj)
    counts = ("desiredNumberScheduled", "currentNumberScheduled", "numberReady", "updatedNumberScheduled", "numberAvailable")
    chosen = labels_text(template(obj).get("nodeSelector"))
    shown = [state.get(count, 0) for count in counts]
    return (name(obj), *shown, chosen, created(obj, now_s), *containers(template(obj)), selector(spec(obj).get("selector")))


def deployment(obj: Object, now_s: float) -> Sequence[Json]:
    """Ready of desired, up to date, available."""
    state = status(obj)
    ready = f"{state.get('readyReplicas', 0)}/{spec(obj).get('replicas', 0)}"
    counts = (state.get("updatedReplicas", 0), state.get("availableReplicas", 0))
    chosen = selector_text(spec(obj).get("selector") or {})
    return (name(obj), ready, *counts, created(obj, now_s), *containers(template(obj)), chosen)


def stateful_set(obj: Object, now_s: float) -> Sequence[Json]:
    """Ready of desired."""
    ready = f"{status(obj).get('readyReplicas', 0)}/{spec(obj).get('replicas', 0)}"
    return (name(obj), ready, created(obj, now_s), *containers(template(obj)))


def job(obj: Object, now_s: float) -> Sequence[Json]:
    """State, completions, duration."""
    wanted, state = spec(obj), status(obj)
    succeeded = state.get("succeeded", 0)
    if wanted.get("completions") is not None:
        done = f"{succeeded}/{wanted['completions']}"
    else:
        parallelism = wanted.get("parallelism") or 0
        done = f"{succeeded}/1 of {parallelism}" if parallelism > 1 else f"{succeeded}/1"
    if not state.get("startTime"):
        duration = ""
    else:
        end_s = parse_time(state["completionTime"]) if state.get("completionTime") else now_s
        duration = human_duration(end_s - parse_time(state["startTime"]))
    held = (*containers(template(obj)), selector(wanted.get("selector")))
    return (name(obj), _job_state(obj), done, duration, created(obj, now_s), *held)


def _job_state(obj: Object) -> str:
    def holds(kind: str) -> bool:
        return (condition(obj, kind) or {}).get("status") == "True"

    if holds("Complete"):
        return "Complete"
    if holds("Failed"):
        return "Failed"
    if obj["metadata"].get("deletionTimestamp"):
        return "Terminating"
    if holds("Suspended"):
        return "Suspended"
    if holds("FailureTarget"):
        return "FailureTarget"
    return "SuccessCriteriaMet" if holds("SuccessCriteriaMet") else "Running"


def cron_job(obj: Object, now_s: float) -> Sequence[Json]:
    """Schedule, active jobs, when last."""
    wanted, state = spec(obj), status(obj)
    pods = ((wanted.get("jobTemplate") or {}).get("spec") or {}).get("template", {}).get("spec") or {}
    chosen = ((wanted.get("jobTemplate") or {}).get("spec") or {}).get("selector")
    last = age(state["lastScheduleTime"], now_s) if state.get("lastScheduleTime") else NONE
    zone = wanted.get("timeZone") or NONE
    held = (*containers(pods), selector(chosen))
    return (
        *(name(obj), wanted.get("schedule", ""), zone, _go_bool(wanted.get("suspend")), len(state.get("active") or [])),
        *(last, created(obj, now_s), *held),
    )


def _go_bool(value: bool | None) -> str:
    return UNSET if value is None else "True" if value else "False"


def disruption_budget(obj: Object, now_s: float) -> Sequence[Json]:
    """What is allowed, and how much of it is left."""
    wanted = spec(obj)
    least = wanted.get("minAvailable")
    most = wanted.get("maxUnavailable")
    shown = ["N/A" if value is None else str(value) for value in (least, most)]
    return (name(obj), *shown, status(obj).get("disruptionsAllowed", 0), created(obj, now_s))


def pod_template(obj: Object, now_s: float) -> Sequence[Json]:
    """Containers and labels."""
    held = obj.get("template") or {}
    return (name(obj), *containers(held.get("spec") or {}), labels_text((held.get("metadata") or {}).get("labels")))


def controller_revision(obj: Object, now_s: float) -> Sequence[Json]:
    """Whose, and which."""
    owners = [one for one in obj["metadata"].get("ownerReferences") or [] if one.get("controller")]
    owner = NONE
    if owners:
        group = owners[0].get("apiVersion", "").rpartition("/")[0]
        owner = f"{owners[0].get('kind', '').lower()}{'.' + group if group else ''}/{owners[0].get('name')}"
    return (name(obj), owner, obj.get("revision", 0), created(obj, now_s))


def autoscaler(obj: Object, now_s: float) -> Sequence[Json]:
    """What it scales, by what, between which bounds."""
    wanted, target = spec(obj), spec(obj).get("scaleTargetRef") or {}
    least = wanted.get("minReplicas")
    return (
        name(obj),
        f"{target.get('kind', '')}/{target.get('name', '')}",
        _hpa_metrics(wanted.get("metrics") or [], status(obj).get("currentMetrics") or []),
        UNSET if least is None else str(least),
        wanted.get("maxReplicas", 0),
        status(obj).get("currentReplicas", 0),
        created(obj, now_s),
    )


METRIC_FIELDS = {
    "External": "external",
    "Pods": "pods",
    "Object": "object",
    "Resource": "resource",
    "ContainerResource": "containerResource",
}


def _hpa_metrics(metrics: Sequence[Object], current: Sequence[Object]) -> str:
    if not metrics:
        return NONE
    shown = []
    for position, metric in enumerate(metrics[:HPA_METRICS_SHOWN]):
        field = METRIC_FIELDS.get(metric.get("type", ""))
        if field is None:
            shown.append("<unknown type>")
            continue
        wanted = metric.get(field) or {}
        seen = (current[position].get(field) or {}).get("current") or {} if position < len(current) else {}
        shown.append(_one_metric(field, wanted, seen))
    more = len(metrics) - len(shown)
    return ", ".join(shown) + (f" + {more} more..." if more > 0 else "")


def _one_metric(field: str, wanted: Object, seen: Object) -> str:
    """`cpu: 10%/80%`, `5/10 (avg)`; only averages of what is no resource and no pod say that they are."""
    target = wanted.get("target") or {}
    average = f"{seen.get('averageValue', UNKNOWN)}/{target.get('averageValue')}"
    if field in ("resource", "containerResource"):
        if target.get("averageValue") is None:
            now, goal = (one.get("averageUtilization") for one in (seen, target))
            average = f"{UNKNOWN if now is None else f'{now}%'}/{'<auto>' if goal is None else f'{goal}%'}"
        return f"{wanted.get('name')}: {average}"
    if field == "pods":
        return average
    if target.get("averageValue") is not None:
        return f"{average} (avg)"
    return f"{seen.get('value', UNKNOWN)}/{target.get('value', '0')}"
