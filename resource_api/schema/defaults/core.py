"""Defaults of the core group, and of the pod specs inside all others. Source: `pkg/apis/core/v1/defaults.go`.

Each type's entry is what upstream's `SetDefaults_<Type>` does; a struct that is no pointer upstream is always there, hence the `{}`.
"""

from __future__ import annotations

import base64

from resource_api.errors import Object
from resource_api.schema.defaults.defaulter import Fill, Zero, fields, items, struct
from resource_api.schema.quantity import QuantityError, rounded_to_milli

_CORE = "io.k8s.api.core.v1."
DEFAULT_MODE = 0o644
CLIENT_IP_AFFINITY_S = 10_800


def tag_is_latest(image: str) -> bool:
    """Whether the image's tag is `latest`, said or not; a digest alone is none."""
    name, _, digest = image.partition("@")
    _, colon, tag = name.rpartition("/")[2].partition(":")
    return tag == "latest" if colon else not digest


def pull_policy(image: str) -> str:
    """Always for what may change behind its name."""
    return "Always" if tag_is_latest(image) else "IfNotPresent"


def _container(obj: Object) -> None:
    if not obj.get("imagePullPolicy"):
        obj["imagePullPolicy"] = pull_policy(str(obj.get("image") or ""))
    struct(obj, "resources")


def _volume(obj: Object) -> None:
    sources = [name for name, value in obj.items() if name != "name" and value is not None]
    if not sources:
        obj["emptyDir"] = {}
    image = obj.get("image")
    if isinstance(image, dict) and not image.get("pullPolicy"):
        image["pullPolicy"] = pull_policy(str(image.get("reference") or ""))


def _resources(obj: Object) -> None:
    for name in ("limits", "requests"):
        _resource_list(obj, name)


def _resource_list(obj: Object, name: str) -> None:
    """Lists of resources hold nothing below a thousandth."""
    values = obj.get(name)
    if isinstance(values, dict):
        for resource, value in values.items():
            try:
                values[resource] = rounded_to_milli(value)
            except QuantityError:
                continue


def _pod(obj: Object) -> None:
    spec = struct(obj, "spec")
    for container in items(spec, "containers") + items(spec, "initContainers"):
        resources = container.get("resources")
        limits = resources.get("limits") if isinstance(resources, dict) else None
        if limits and isinstance(resources, dict):
            requests = struct(resources, "requests")
            for name, value in limits.items():
                requests.setdefault(name, value)
        if spec.get("hostNetwork"):
            for port in items(container, "ports"):
                if not port.get("hostPort"):
                    port["hostPort"] = port.get("containerPort")
    if spec.get("enableServiceLinks") is None:
        spec["enableServiceLinks"] = True
    struct(obj, "status")


def _account(spec: Object) -> None:
    """The account's name stands under its old name too, which counts only where the new one is missing."""
    name = spec.get("serviceAccountName") or spec.get("serviceAccount")
    if name:
        spec["serviceAccountName"] = spec["serviceAccount"] = name


def _template(obj: Object) -> None:
    struct(obj, "metadata")
    struct(obj, "spec")


def _replication_controller(obj: Object) -> None:
    spec = struct(obj, "spec")
    labels = ((spec.get("template") or {}).get("metadata") or {}).get("labels")
    if labels:
        if not spec.get("selector"):
            spec["selector"] = dict(labels)
        if not obj["metadata"].get("labels"):
            obj["metadata"]["labels"] = dict(labels)
    if spec.get("replicas") is None:
        spec["replicas"] = 1
    struct(obj, "status").setdefault("replicas", 0)


def externally_accessible(spec: Object) -> bool:
    """Whether traffic from outside the cluster reaches the Service."""
    kind = spec.get("type")
    return kind in ("LoadBalancer", "NodePort") or (kind == "ClusterIP" and bool(spec.get("externalIPs")))


def _service(obj: Object) -> None:
    spec = struct(obj, "spec")
    spec["sessionAffinity"] = spec.get("sessionAffinity") or "None"
    if spec["sessionAffinity"] == "None":
        spec.pop("sessionAffinityConfig", None)
    elif spec["sessionAffinity"] == "ClientIP":
        config = spec.get("sessionAffinityConfig") or {}
        if (config.get("clientIP") or {}).get("timeoutSeconds") is None:
            spec["sessionAffinityConfig"] = {"clientIP": {"timeoutSeconds": CLIENT_IP_AFFINITY_S}}
    kind = spec["type"] = spec.get("type") or "ClusterIP"
    for port in items(spec, "ports"):
        port["protocol"] = port.get("protocol") or "TCP"
        if port.get("targetPort") in (None, 0, ""):
            port["targetPort"] = port.get("port", 0)
    if externally_accessible(spec) and not spec.get("externalTrafficPolicy"):
        spec["externalTrafficPolicy"] = "Cluster"
    if spec.get("internalTrafficPolicy") is None and kind in ("NodePort", "LoadBalancer", "ClusterIP"):
        spec["internalTrafficPolicy"] = "Cluster"
    balancer = struct(struct(obj, "status"), "loadBalancer")
    if kind == "LoadBalancer":
        if spec.get("allocateLoadBalancerNodePorts") is None:
            spec["allocateLoadBalancerNodePorts"] = True
        for ingress in items(balancer, "ingress"):
            if ingress.get("ip") and ingress.get("ipMode") is None:
                ingress["ipMode"] = "VIP"


def _namespace(obj: Object) -> None:
    name = obj["metadata"].get("name")
    if name:
        struct(obj["metadata"], "labels")["kubernetes.io/metadata.name"] = name
    struct(obj, "spec")
    struct(obj, "status")


def _node(obj: Object) -> None:
    struct(obj, "spec")
    status = struct(obj, "status")
    if status.get("allocatable") is None and status.get("capacity") is not None:
        status["allocatable"] = dict(status["capacity"])
    for name in ("capacity", "allocatable"):
        _resource_list(status, name)
    struct(struct(status, "daemonEndpoints"), "kubeletEndpoint").setdefault("Port", 0)
    info = struct(status, "nodeInfo")
    for name in _NODE_INFO:
        info.setdefault(name, "")


_NODE_INFO = (
    "machineID",
    "systemUUID",
    "bootID",
    "kernelVersion",
    "osImage",
    "containerRuntimeVersion",
    "kubeletVersion",
    "kubeProxyVersion",
    "operatingSystem",
    "architecture",
)


def _secret(obj: Object) -> None:
    """Plain texts go where the encoded ones are; they win over those of the same key."""
    texts = obj.pop("stringData", None)
    for name, text in (texts or {}).items():
        struct(obj, "data")[name] = base64.b64encode(str(text).encode()).decode()
    obj["type"] = obj.get("type") or "Opaque"


def _claim(obj: Object) -> None:
    struct(struct(obj, "spec"), "resources")
    status = struct(obj, "status")
    status["phase"] = status.get("phase") or "Pending"


def _volume_status(obj: Object) -> None:
    struct(obj, "spec")
    status = struct(obj, "status")
    status["phase"] = status.get("phase") or "Pending"


def _endpoints(obj: Object) -> None:
    for subset in items(obj, "subsets"):
        for port in items(subset, "ports"):
            port["protocol"] = port.get("protocol") or "TCP"


def _limit_item(obj: Object) -> None:
    for name in ("max", "min", "default", "defaultRequest", "maxLimitRequestRatio"):
        _resource_list(obj, name)
    if obj.get("type") != "Container":
        return
    limits = dict(obj.get("default") or {})
    for name, value in (obj.get("max") or {}).items():
        limits.setdefault(name, value)
    requests = dict(obj.get("defaultRequest") or {})
    for source in (limits, obj.get("min") or {}):
        for name, value in source.items():
            requests.setdefault(name, value)
    for field, values in (("default", limits), ("defaultRequest", requests)):
        if values:
            obj[field] = values


def _quota(obj: Object) -> None:
    struct(obj, "spec")
    status = struct(obj, "status")
    _resource_list(obj["spec"], "hard")
    for name in ("hard", "used"):
        _resource_list(status, name)


def _event(obj: Object) -> None:
    for name in ("involvedObject", "source"):
        struct(obj, name)
    obj.setdefault("reportingComponent", "")
    obj.setdefault("reportingInstance", "")


TABLE: dict[str, tuple[Fill, ...]] = {
    _CORE + name: fills
    for name, fills in {
        "Pod": (_pod,),
        "PodTemplate": (lambda obj: _template(struct(obj, "template")),),
        "PodTemplateSpec": (_template,),
        "PodSpec": (
            _account,
            fields(
                {
                    "dnsPolicy": "ClusterFirst",
                    "restartPolicy": "Always",
                    "securityContext": {},
                    "terminationGracePeriodSeconds": 30,
                    "schedulerName": "default-scheduler",
                }
            ),
        ),
        "PodStatus": (fields({"phase": "Pending"}),),
        "Container": (_container, fields({"terminationMessagePath": "/dev/termination-log", "terminationMessagePolicy": "File"})),
        "EphemeralContainer": (_container, fields({"terminationMessagePath": "/dev/termination-log", "terminationMessagePolicy": "File"})),
        "ContainerPort": (fields({"protocol": "TCP"}),),
        "ResourceRequirements": (_resources,),
        "VolumeResourceRequirements": (_resources,),
        "Probe": (
            fields({"timeoutSeconds": Zero(1), "periodSeconds": Zero(10), "successThreshold": Zero(1), "failureThreshold": Zero(3)}),
        ),
        "HTTPGetAction": (fields({"path": "/", "scheme": "HTTP"}),),
        "GRPCAction": (fields({"service": ""}),),
        "Volume": (_volume,),
        "SecretVolumeSource": (fields({"defaultMode": DEFAULT_MODE}),),
        "ConfigMapVolumeSource": (fields({"defaultMode": DEFAULT_MODE}),),
        "DownwardAPIVolumeSource": (fields({"defaultMode": DEFAULT_MODE}),),
        "ProjectedVolumeSource": (fields({"defaultMode": DEFAULT_MODE}),),
        "ServiceAccountTokenProjection": (fields({"expirationSeconds": 3600}),),
        "HostPathVolumeSource": (fields({"type": ""}),),
        "ISCSIVolumeSource": (fields({"iscsiInterface": "default"}),),
        "ISCSIPersistentVolumeSource": (fields({"iscsiInterface": "default"}),),
        "RBDVolumeSource": (fields({"pool": "rbd", "user": "admin", "keyring": "/etc/ceph/keyring"}),),
        "RBDPersistentVolumeSource": (fields({"pool": "rbd", "user": "admin", "keyring": "/etc/ceph/keyring"}),),
        "AzureDiskVolumeSource": (fields({"cachingMode": "ReadWrite", "fsType": "ext4", "kind": "Shared", "readOnly": False}),),
        "ScaleIOVolumeSource": (fields({"storageMode": "ThinProvisioned", "fsType": "xfs"}),),
        "ScaleIOPersistentVolumeSource": (fields({"storageMode": "ThinProvisioned", "fsType": "xfs"}),),
        "ObjectFieldSelector": (fields({"apiVersion": "v1"}),),
        "ResourceFieldSelector": (fields({"divisor": "0"}),),
        "ReplicationController": (_replication_controller,),
        "Service": (_service,),
        "Namespace": (_namespace,),
        "NamespaceStatus": (fields({"phase": "Active"}),),
        "Node": (_node,),
        "Secret": (_secret,),
        "PersistentVolume": (_volume_status,),
        "PersistentVolumeSpec": (fields({"persistentVolumeReclaimPolicy": "Retain", "volumeMode": "Filesystem"}),),
        "PersistentVolumeClaim": (_claim,),
        "PersistentVolumeClaimSpec": (fields({"volumeMode": "Filesystem", "resources": {}}),),
        "Endpoints": (_endpoints,),
        "LimitRangeItem": (_limit_item,),
        "ResourceQuota": (_quota,),
        "Event": (_event,),
    }.items()
}
"""By the full name of the type."""
