"""Rules of Deployments, ReplicaSets, StatefulSets, DaemonSets, ReplicationControllers and ControllerRevisions.

Sources: `pkg/apis/apps/validation/validation.go`, `pkg/apis/core/validation/validation.go`. Selectors are immutable, templates must match
them, and replicas of a template always run for ever.
"""

from __future__ import annotations

from resource_api.errors import Json, Object, forbidden_field, invalid, not_supported, required
from resource_api.schema.metadata import validate_annotations, validate_labels
from resource_api.schema.validation.pod import validate_template
from resource_api.schema.validation.rules import (
    Problems,
    amount_of,
    count_or_percent,
    immutable,
    is_empty_selector,
    label_selector,
    not_above_all,
    not_negative,
    part,
    selector_matches,
)

STATEFUL_UPDATABLE = (
    "updates to statefulset spec for fields other than 'replicas', 'ordinals', 'template', 'updateStrategy', 'revisionHistoryLimit', "
    "'persistentVolumeClaimRetentionPolicy' and 'minReadySeconds' are forbidden"
)
_STATEFUL_FREE = (
    *("replicas", "ordinals", "template", "updateStrategy", "revisionHistoryLimit"),
    *("persistentVolumeClaimRetentionPolicy", "minReadySeconds"),
)


def _selector_and_template(spec: Object, noun: str, path: str) -> Problems:
    """A selector that selects something, and a template it selects, whose pods are restarted for ever."""
    problems: Problems = []
    selector = spec.get("selector")
    if selector is None:
        problems.append(required(f"{path}.selector"))
    else:
        problems += label_selector(selector, f"{path}.selector")
        if is_empty_selector(selector):
            problems.append(invalid(f"{path}.selector", selector, f"empty selector is invalid for {noun}"))
    return problems


def template_of(spec: Object, path: str, *, noun: str, selected: bool, with_pod: bool = True) -> Problems:
    """The template of something that keeps pods running; `selected`: its labels match the selector; `with_pod`: its pod spec counts too."""
    problems: Problems = []
    template = part(spec, "template")
    labels = part(part(template, "metadata"), "labels")
    at = f"{path}.template"
    if not selected:
        problems.append(invalid(f"{at}.metadata.labels", labels or None, "`selector` does not match template `labels`"))
    if with_pod:
        problems += validate_template(template, at)
    else:
        metadata = part(template, "metadata")
        problems += validate_labels(metadata.get("labels"), f"{at}.labels")
        problems += validate_annotations(metadata.get("annotations"), f"{at}.annotations")
    pod = part(template, "spec")
    policy = pod.get("restartPolicy")
    if policy != "Always":
        problems.append(not_supported(f"{at}.spec.restartPolicy", policy, ["Always"]))
    if pod.get("activeDeadlineSeconds") is not None:
        problems.append(forbidden_field(f"{at}.spec.activeDeadlineSeconds", f"activeDeadlineSeconds in {noun} is not Supported"))
    return problems


def _matches(spec: Object) -> bool:
    """An empty selector matches everything, none at all nothing."""
    selector = spec.get("selector")
    if selector is None:
        return False
    labels = part(part(part(spec, "template"), "metadata"), "labels")
    return is_empty_selector(selector) or selector_matches(selector, labels)


def _counts(spec: Object, path: str, fields: tuple[str, ...]) -> Problems:
    return [error for field in fields for error in not_negative(spec.get(field), f"{path}.{field}")]


def validate_deployment(obj: Object, old: Object | None, subresource: str) -> Problems:
    """A Deployment."""
    if subresource == "status":
        return _status(obj, ("replicas", "updatedReplicas", "readyReplicas", "availableReplicas", "unavailableReplicas"))
    spec = part(obj, "spec")
    problems = _counts(spec, "spec", ("replicas",))
    problems += _selector_and_template(spec, "deployment", "spec")
    problems += template_of(spec, "spec", noun="ReplicaSet", selected=_matches(spec))
    problems += _strategy(part(spec, "strategy"), "spec.strategy")
    problems += _counts(spec, "spec", ("minReadySeconds", "revisionHistoryLimit", "progressDeadlineSeconds"))
    deadline_s = spec.get("progressDeadlineSeconds")
    if deadline_s is not None and deadline_s <= (spec.get("minReadySeconds") or 0):
        problems.append(invalid("spec.progressDeadlineSeconds", deadline_s, "must be greater than minReadySeconds"))
    return problems + _selector_kept(obj, old)


def _selector_kept(obj: Object, old: Object | None) -> Problems:
    if old is None:
        return []
    return immutable(part(obj, "spec").get("selector"), part(old, "spec").get("selector"), "spec.selector")


def _strategy(strategy: Object, path: str) -> Problems:
    kind, rolling = strategy.get("type"), strategy.get("rollingUpdate")
    if kind == "Recreate":
        text = "may not be specified when strategy `type` is 'Recreate'"
        return [forbidden_field(f"{path}.rollingUpdate", text)] if rolling is not None else []
    if kind != "RollingUpdate":
        return [not_supported(f"{path}.type", kind, ("Recreate", "RollingUpdate"))]
    if rolling is None:
        return [required(f"{path}.rollingUpdate", "this should be defaulted and never be nil")]
    at = f"{path}.rollingUpdate"
    unavailable, surge = rolling.get("maxUnavailable"), rolling.get("maxSurge")
    problems = count_or_percent(unavailable, f"{at}.maxUnavailable") + count_or_percent(surge, f"{at}.maxSurge")
    if amount_of(unavailable) == 0 and amount_of(surge) == 0:
        problems.append(invalid(f"{at}.maxUnavailable", unavailable, "may not be 0 when `maxSurge` is 0"))
    return problems + not_above_all(unavailable, f"{at}.maxUnavailable")


def _status(obj: Object, counts: tuple[str, ...]) -> Problems:
    return _counts(part(obj, "status"), "status", counts)


def validate_replica_set(obj: Object, old: Object | None, subresource: str) -> Problems:
    """A ReplicaSet."""
    if subresource == "status":
        status = part(obj, "status")
        problems = _status(obj, ("replicas", "fullyLabeledReplicas", "readyReplicas", "availableReplicas", "observedGeneration"))
        replicas = status.get("replicas") or 0
        for field in ("fullyLabeledReplicas", "readyReplicas", "availableReplicas"):
            if (status.get(field) or 0) > replicas:
                problems.append(invalid(f"status.{field}", status[field], "cannot be greater than status.replicas"))
        return problems
    spec = part(obj, "spec")
    problems = _counts(spec, "spec", ("replicas", "minReadySeconds"))
    problems += _selector_and_template(spec, "deployment", "spec")
    if spec.get("template") is None:
        problems.append(required("spec.template"))
    else:
        problems += template_of(spec, "spec", noun="ReplicaSet", selected=_matches(spec))
    return problems + _selector_kept(obj, old)


def validate_replication_controller(obj: Object, old: Object | None, subresource: str) -> Problems:
    """A ReplicationController: its selector is a plain map."""
    if subresource == "status":
        return _status(obj, ("replicas", "readyReplicas", "availableReplicas"))
    spec = part(obj, "spec")
    problems = _counts(spec, "spec", ("minReadySeconds", "replicas"))
    selector = part(spec, "selector")
    if not selector:
        problems.append(required("spec.selector"))
    if spec.get("template") is None:
        return [*problems, required("spec.template")]
    labels = part(part(part(spec, "template"), "metadata"), "labels")
    matched = all(labels.get(key) == value for key, value in selector.items())
    return problems + template_of(spec, "spec", noun="ReplicationController", selected=matched)


def validate_stateful_set(obj: Object, old: Object | None, subresource: str) -> Problems:
    """A StatefulSet."""
    if subresource == "status":
        return _status(obj, ("replicas", "readyReplicas", "currentReplicas", "updatedReplicas"))
    spec = part(obj, "spec")
    problems = _management(spec)
    problems += _retention(part(spec, "persistentVolumeClaimRetentionPolicy"))
    problems += _counts(spec, "spec", ("replicas", "minReadySeconds"))
    start = part(spec, "ordinals").get("start")
    problems += not_negative(start, "spec.ordinals.start")
    problems += _selector_and_template(spec, "statefulset", "spec")
    # Upstream leaves the pod spec and the claims to the pods and claims made of them: mounts name the volumes of claims here.
    problems += template_of(spec, "spec", noun="StatefulSet", selected=_matches(spec), with_pod=False)
    if old is not None:
        problems += _stateful_change(spec, part(old, "spec"))
    return problems


def _management(spec: Object) -> Problems:
    problems: Problems = []
    policy = spec.get("podManagementPolicy")
    if not policy:
        problems.append(required("spec.podManagementPolicy"))
    elif policy not in ("OrderedReady", "Parallel"):
        problems.append(invalid("spec.podManagementPolicy", policy, "must be 'OrderedReady' or 'Parallel'"))
    strategy = part(spec, "updateStrategy")
    kind, rolling = strategy.get("type"), strategy.get("rollingUpdate")
    if not kind:
        problems.append(required("spec.updateStrategy"))
    elif kind == "OnDelete":
        if rolling is not None:
            text = "only allowed for updateStrategy 'RollingUpdate'"
            problems.append(invalid("spec.updateStrategy.rollingUpdate", rolling, text))
    elif kind != "RollingUpdate":
        problems.append(invalid("spec.updateStrategy", strategy, "must be 'RollingUpdate' or 'OnDelete'"))
    elif isinstance(rolling, dict):
        problems += not_negative(rolling.get("partition"), "spec.updateStrategy.rollingUpdate.partition")
        if rolling.get("maxUnavailable") is not None:
            at = "spec.updateStrategy.rollingUpdate.maxUnavailable"
            problems += count_or_percent(rolling["maxUnavailable"], at)
            if amount_of(rolling["maxUnavailable"]) == 0:
                problems.append(invalid(at, rolling["maxUnavailable"], "cannot be 0"))
            problems += not_above_all(rolling["maxUnavailable"], at)
    return problems


def _retention(policy: Object) -> Problems:
    return [
        not_supported(f"spec.persistentVolumeClaimRetentionPolicy.{field}", policy.get(field), ("Delete", "Retain"))
        for field in ("whenDeleted", "whenScaled")
        if policy.get(field) not in ("Delete", "Retain")
    ]


def _stateful_change(spec: Object, old: Object) -> Problems:
    def fixed(value: Object) -> Json:
        return {name: item for name, item in value.items() if name not in _STATEFUL_FREE and item not in (None, "", [], {})}

    return [] if fixed(spec) == fixed(old) else [forbidden_field("spec", STATEFUL_UPDATABLE)]


def validate_daemon_set(obj: Object, old: Object | None, subresource: str) -> Problems:
    """A DaemonSet."""
    if subresource == "status":
        fields = ("currentNumberScheduled", "numberMisscheduled", "desiredNumberScheduled", "numberReady", "updatedNumberScheduled")
        return _status(obj, (*fields, "numberAvailable", "numberUnavailable", "observedGeneration"))
    spec = part(obj, "spec")
    selector = spec.get("selector")
    problems = label_selector(selector, "spec.selector")
    if selector is not None and not _matches(spec):
        labels = part(part(part(spec, "template"), "metadata"), "labels")
        problems.append(invalid("spec.template.metadata.labels", labels, "`selector` does not match template `labels`"))
    if is_empty_selector(selector):
        problems.append(invalid("spec.selector", selector, "empty selector is invalid for daemonset"))
    problems += template_of(spec, "spec", noun="DaemonSet", selected=True)
    problems += _counts(spec, "spec", ("minReadySeconds",))
    problems += _daemon_strategy(part(spec, "updateStrategy"), "spec.updateStrategy")
    problems += _counts(spec, "spec", ("revisionHistoryLimit",))
    return problems + _selector_kept(obj, old)


def _daemon_strategy(strategy: Object, path: str) -> Problems:
    kind, rolling = strategy.get("type"), strategy.get("rollingUpdate")
    if kind == "OnDelete":
        return []
    if kind != "RollingUpdate":
        return [not_supported(f"{path}.type", kind, ("RollingUpdate", "OnDelete"))]
    if rolling is None:
        return [required(f"{path}.rollingUpdate")]
    at = f"{path}.rollingUpdate"
    unavailable, surge = rolling.get("maxUnavailable"), rolling.get("maxSurge")
    problems: Problems = []
    for field, value in (("maxUnavailable", unavailable), ("maxSurge", surge)):
        problems += count_or_percent(value, f"{at}.{field}") + not_above_all(value, f"{at}.{field}")
    if amount_of(unavailable) and amount_of(surge):
        problems.append(invalid(f"{at}.maxSurge", surge, "may not be set when maxUnavailable is non-zero"))
    elif not amount_of(unavailable) and not amount_of(surge):
        problems.append(required(f"{at}.maxUnavailable", "cannot be 0 when maxSurge is 0"))
    return problems


def validate_controller_revision(obj: Object, old: Object | None, subresource: str) -> Problems:
    """A ControllerRevision: data that never changes."""
    problems: Problems = []
    if obj.get("data") is None:
        problems.append(required("data", "data is mandatory"))
    problems += not_negative(obj.get("revision"), "revision")
    return problems + (immutable(obj.get("data"), old.get("data"), "data") if old is not None else [])
