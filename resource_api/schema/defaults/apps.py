"""Defaults of apps, batch, autoscaling and policy. Sources: the `defaults.go` of those groups under `pkg/apis`."""

from __future__ import annotations

from resource_api.errors import Json, Object
from resource_api.schema.defaults.defaulter import Fill, fields, struct

REVISION_HISTORY = 10
PROGRESS_DEADLINE_S = 600
BACKOFF_LIMIT = 6
BACKOFF_LIMIT_UNBOUNDED = 2**31 - 1
"""With a limit per index there is none for all together."""


def _deployment(obj: Object) -> None:
    spec = struct(obj, "spec")
    struct(spec, "template")
    fields({"replicas": 1, "revisionHistoryLimit": REVISION_HISTORY, "progressDeadlineSeconds": PROGRESS_DEADLINE_S})(spec)
    _rolling(struct(spec, "strategy"), {"maxUnavailable": "25%", "maxSurge": "25%"})
    struct(obj, "status")


def _rolling(strategy: Object, values: dict[str, Json]) -> None:
    strategy["type"] = strategy.get("type") or "RollingUpdate"
    if strategy["type"] == "RollingUpdate":
        fields(values)(struct(strategy, "rollingUpdate"))


def _daemon_set(obj: Object) -> None:
    spec = struct(obj, "spec")
    struct(spec, "template")
    fields({"revisionHistoryLimit": REVISION_HISTORY})(spec)
    _rolling(struct(spec, "updateStrategy"), {"maxUnavailable": 1, "maxSurge": 0})
    counts = {"currentNumberScheduled": 0, "numberMisscheduled": 0, "desiredNumberScheduled": 0, "numberReady": 0}
    fields(counts)(struct(obj, "status"))


def _stateful_set(obj: Object) -> None:
    spec = struct(obj, "spec")
    struct(spec, "template")
    fields({"podManagementPolicy": "OrderedReady", "serviceName": "", "replicas": 1, "revisionHistoryLimit": REVISION_HISTORY})(spec)
    strategy = struct(spec, "updateStrategy")
    if not strategy.get("type"):
        strategy["type"] = "RollingUpdate"
        struct(strategy, "rollingUpdate")
    rolling = strategy.get("rollingUpdate")
    if strategy["type"] == "RollingUpdate" and isinstance(rolling, dict):
        fields({"partition": 0})(rolling)
    fields({"whenDeleted": "Retain", "whenScaled": "Retain"})(struct(spec, "persistentVolumeClaimRetentionPolicy"))
    fields({"replicas": 0, "availableReplicas": 0})(struct(obj, "status"))
    for claim in spec.get("volumeClaimTemplates") or ():
        # Stored claims inside a set have always carried their kind.
        if isinstance(claim, dict):
            fields({"apiVersion": "v1", "kind": "PersistentVolumeClaim"})(claim)
            struct(claim, "metadata")


def _replica_set(obj: Object) -> None:
    spec = struct(obj, "spec")
    struct(spec, "template")
    fields({"replicas": 1})(spec)
    fields({"replicas": 0})(struct(obj, "status"))


def _job(obj: Object) -> None:
    spec = struct(obj, "spec")
    template = struct(spec, "template")
    if spec.get("completions") is None and spec.get("parallelism") is None:
        spec["completions"] = 1
    per_index = spec.get("backoffLimitPerIndex") is not None
    fields(
        {
            "parallelism": 1,
            "backoffLimit": BACKOFF_LIMIT_UNBOUNDED if per_index else BACKOFF_LIMIT,
            "completionMode": "NonIndexed",
            "suspend": False,
            "podReplacementPolicy": "Failed" if spec.get("podFailurePolicy") is not None else "TerminatingOrFailed",
        }
    )(spec)
    labels = (template.get("metadata") or {}).get("labels")
    if labels and not obj["metadata"].get("labels"):
        obj["metadata"]["labels"] = dict(labels)
    struct(obj, "status")


def _job_template(obj: Object) -> None:
    struct(obj, "metadata")
    struct(struct(obj, "spec"), "template")


def _cron_job(obj: Object) -> None:
    spec = struct(obj, "spec")
    struct(spec, "jobTemplate")
    fields({"concurrencyPolicy": "Allow", "suspend": False, "successfulJobsHistoryLimit": 3, "failedJobsHistoryLimit": 1})(spec)
    struct(obj, "status")


def _autoscaler_v1(obj: Object) -> None:
    fields({"minReplicas": 1})(struct(obj, "spec"))
    fields({"currentReplicas": 0, "desiredReplicas": 0})(struct(obj, "status"))


_UP = {
    "stabilizationWindowSeconds": 0,
    "selectPolicy": "Max",
    "policies": [{"type": "Pods", "value": 4, "periodSeconds": 15}, {"type": "Percent", "value": 100, "periodSeconds": 15}],
}
_DOWN = {"selectPolicy": "Max", "policies": [{"type": "Percent", "value": 100, "periodSeconds": 15}]}
CPU_UTILIZATION_PERCENT = 80


def _autoscaler_v2(obj: Object) -> None:
    spec = struct(obj, "spec")
    fields({"minReplicas": 1})(spec)
    if not spec.get("metrics"):
        target = {"type": "Utilization", "averageUtilization": CPU_UTILIZATION_PERCENT}
        spec["metrics"] = [{"type": "Resource", "resource": {"name": "cpu", "target": target}}]
    behavior = spec.get("behavior")
    if isinstance(behavior, dict):
        fields(_UP)(struct(behavior, "scaleUp"))
        fields(_DOWN)(struct(behavior, "scaleDown"))
    fields({"desiredReplicas": 0})(struct(obj, "status"))


def _disruption_budget(obj: Object) -> None:
    struct(obj, "spec")
    fields({"disruptionsAllowed": 0, "currentHealthy": 0, "desiredHealthy": 0, "expectedPods": 0})(struct(obj, "status"))


TABLE: dict[str, tuple[Fill, ...]] = {
    "io.k8s.api." + name: fills
    for name, fills in {
        "apps.v1.Deployment": (_deployment,),
        "apps.v1.DaemonSet": (_daemon_set,),
        "apps.v1.StatefulSet": (_stateful_set,),
        "apps.v1.ReplicaSet": (_replica_set,),
        "batch.v1.Job": (_job,),
        "batch.v1.JobTemplateSpec": (_job_template,),
        "batch.v1.CronJob": (_cron_job,),
        "autoscaling.v1.HorizontalPodAutoscaler": (_autoscaler_v1,),
        "autoscaling.v2.HorizontalPodAutoscaler": (_autoscaler_v2,),
        "policy.v1.PodDisruptionBudget": (_disruption_budget,),
    }.items()
}
"""By the full name of the type."""
