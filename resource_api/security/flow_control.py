"""The FlowSchemas and PriorityLevelConfigurations every cluster has (spec D.5).

They are kept as objects only; `limits` enforces its own bounds.
"""

from __future__ import annotations

from resource_api.errors import Object

AUTO_UPDATE = "apf.kubernetes.io/autoupdate-spec"
API_VERSION = "flowcontrol.apiserver.k8s.io/v1"

LEVELS: dict[str, tuple[int, int, tuple[int, int, int] | None]] = {
    "catch-all": (5, 0, None),
    "leader-election": (10, 0, (16, 4, 50)),
    "global-default": (20, 50, (128, 6, 50)),
    "system": (30, 33, (64, 6, 50)),
    "node-high": (40, 25, (64, 6, 50)),
    "workload-high": (40, 50, (128, 6, 50)),
    "workload-low": (100, 90, (128, 6, 50)),
}
"""Name -> shares, lendable percent, (queues, hand size, queue length) or None for Reject. `exempt` stands apart."""

EVERYBODY = ("Group system:unauthenticated", "Group system:authenticated")

SCHEMAS: tuple[tuple[str, str, int, str, tuple[str, ...], str], ...] = (
    ("exempt", "exempt", 1, "", ("Group system:masters",), "all"),
    ("probes", "exempt", 2, "", EVERYBODY, "probes"),
    (
        "system-leader-election",
        "leader-election",
        100,
        "ByUser",
        ("User system:kube-controller-manager", "User system:kube-scheduler", "ServiceAccount kube-system/*"),
        "leases",
    ),
    (
        "endpoint-controller",
        "workload-high",
        150,
        "ByUser",
        (
            "User system:kube-controller-manager",
            "ServiceAccount kube-system/endpoint-controller",
            "ServiceAccount kube-system/endpointslicemirroring-controller",
        ),
        "endpoints",
    ),
    ("workload-leader-election", "leader-election", 200, "ByUser", ("ServiceAccount kube-system/*",), "elections"),
    ("system-node-high", "node-high", 400, "ByUser", ("Group system:nodes",), "nodes"),
    ("system-nodes", "system", 500, "ByUser", ("Group system:nodes",), "all"),
    ("kube-controller-manager", "workload-high", 800, "ByNamespace", ("User system:kube-controller-manager",), "all"),
    ("kube-scheduler", "workload-high", 800, "ByNamespace", ("User system:kube-scheduler",), "all"),
    ("kube-system-service-accounts", "workload-high", 900, "ByNamespace", ("ServiceAccount kube-system/*",), "all"),
    ("service-accounts", "workload-low", 9000, "ByUser", ("Group system:serviceaccounts",), "all"),
    ("global-default", "global-default", 9900, "ByUser", EVERYBODY, "all"),
    ("catch-all", "catch-all", 10000, "ByUser", EVERYBODY, "all"),
)
"""Name, priority level, precedence, distinguisher, subjects, which rules."""


def _rules(which: str) -> Object:
    everywhere: Object = {"namespaces": ["*"]}
    if which == "probes":
        return {"nonResourceRules": [{"verbs": ["get"], "nonResourceURLs": ["/healthz", "/readyz", "/livez"]}]}
    leases = {"apiGroups": ["coordination.k8s.io"], "resources": ["leases"], **everywhere}
    if which == "leases":
        return {"resourceRules": [{"verbs": ["get", "create", "update"], **leases}]}
    if which in ("endpoints", "elections"):
        plurals = ["endpoints"] if which == "endpoints" else ["endpoints", "configmaps"]
        ours = {"verbs": ["get", "create", "update"], "apiGroups": [""], "resources": plurals, **everywhere}
        others = [{"verbs": ["get", "create", "update"], **leases}] if which == "elections" else []
        return {"resourceRules": [ours, *others]}
    if which == "nodes":
        nodes = {"verbs": ["*"], "apiGroups": [""], "resources": ["nodes", "nodes/status"], "clusterScope": True, **everywhere}
        return {"resourceRules": [nodes, {"verbs": ["*"], **leases}]}
    return {
        "resourceRules": [{"verbs": ["*"], "apiGroups": ["*"], "resources": ["*"], "clusterScope": True, **everywhere}],
        "nonResourceRules": [{"verbs": ["*"], "nonResourceURLs": ["*"]}],
    }


def _subject(text: str) -> Object:
    kind, name = text.split(" ")
    if kind == "ServiceAccount":
        namespace, name = name.split("/")
        return {"kind": kind, "serviceAccount": {"namespace": namespace, "name": name}}
    return {"kind": kind, kind.lower(): {"name": name}}


def _object(kind: str, name: str, spec: Object) -> Object:
    return {"apiVersion": API_VERSION, "kind": kind, "metadata": {"name": name, "annotations": {AUTO_UPDATE: "true"}}, "spec": spec}


def priority_levels() -> list[Object]:
    """All PriorityLevelConfigurations."""
    exempt: Object = {"type": "Exempt", "exempt": {"nominalConcurrencyShares": 0, "lendablePercent": 0}}
    objects = [_object("PriorityLevelConfiguration", "exempt", exempt)]
    for name, (shares, lendable, queuing) in LEVELS.items():
        response: Object = {"type": "Reject"}
        if queuing is not None:
            queues, hand, length = queuing
            response = {"type": "Queue", "queuing": {"queues": queues, "handSize": hand, "queueLengthLimit": length}}
        limited = {"nominalConcurrencyShares": shares, "lendablePercent": lendable, "limitResponse": response}
        objects.append(_object("PriorityLevelConfiguration", name, {"type": "Limited", "limited": limited}))
    return objects


def flow_schemas() -> list[Object]:
    """All FlowSchemas."""
    objects = []
    for name, level, precedence, distinguisher, subjects, which in SCHEMAS:
        spec: Object = {"priorityLevelConfiguration": {"name": level}, "matchingPrecedence": precedence}
        if distinguisher:
            spec["distinguisherMethod"] = {"type": distinguisher}
        spec["rules"] = [{"subjects": [_subject(subject) for subject in subjects], **_rules(which)}]
        objects.append(_object("FlowSchema", name, spec))
    return objects
