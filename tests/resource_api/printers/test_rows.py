"""Rows of every kind but pods: what `kubectl get` shows of an object, whole and bare."""

from __future__ import annotations

from typing import Any

import pytest

from resource_api.errors import Object
from tests.resource_api.printers.rows import before, row

POD_SPEC = {"containers": [{"name": "a", "image": "i:1"}, {"name": "b", "image": "j"}]}
TEMPLATE = {"spec": POD_SPEC}
CHOSEN = {"matchLabels": {"app": "web"}, "matchExpressions": [{"key": "tier", "operator": "In", "values": ["b", "a"]}]}
HELD = {"Containers": "a,b", "Images": "i:1,j"}
SELECTED = HELD | {"Selector": "app=web,tier in (a,b)"}


def ready(status: str, kind: str = "Ready") -> Object:
    return {"conditions": [{"type": kind, "status": status}]}


def job(spec: Object, **status: Any) -> Object:
    return {"spec": {"template": TEMPLATE, **spec}, "status": status}


def scaled(metrics: list[Object], current: list[Object] | None = None) -> Object:
    target = {"kind": "Deployment", "name": "web", "apiVersion": "apps/v1"}
    spec = {"scaleTargetRef": target, "minReplicas": 2, "maxReplicas": 5, "metrics": metrics}
    return {"spec": spec, "status": {"currentReplicas": 3, "currentMetrics": current}}


def cpu(name: str = "cpu", **target: Any) -> Object:
    return {"type": "Resource", "resource": {"name": name, "target": target}}


def at(field: str, **current: Any) -> Object:
    return {"type": field, field[0].lower() + field[1:]: {"current": current}}


def service(kind: str, status: Object | None = None, **spec: Any) -> Object:
    given = {"type": kind, "clusterIPs": ["10.0.0.1", "fd00::1"], "ports": [{"port": 80, "protocol": "TCP"}], **spec}
    return {"spec": given, "status": {"loadBalancer": status or {}}}


def subset(addresses: list[str], ports: list[int]) -> Object:
    return {"addresses": [{"ip": ip} for ip in addresses], "ports": [{"port": port} for port in ports]}


def hosts(*names: str) -> Object:
    return {"spec": {"rules": [{"host": name} if name else {"http": {}} for name in names]}}


def answered(*kinds: str, issued: bool = False) -> Object:
    status = {"conditions": [{"type": kind, "status": "True"} for kind in kinds]} | ({"certificate": "x"} if issued else {})
    return {"spec": {"signerName": "s", "username": "jane"}, "status": status}


BALANCED = {"ingress": [{"hostname": "b.example.com"}, {"ip": "1.2.3.4"}, {"ip": "1.2.3.4"}]}
NODE_INFO = {"kubeletVersion": "v1.37.0", "osImage": "Debian", "kernelVersion": "6.1", "containerRuntimeVersion": "containerd://2"}
ADDRESSES = [
    {"type": "InternalIP", "address": "10.1.1.1"},
    {"type": "InternalIP", "address": "fd::1"},
    {"type": "ExternalIP", "address": "9.9.9.9"},
]
COUNTS = {"desiredNumberScheduled": 5, "currentNumberScheduled": 4, "numberReady": 3, "updatedNumberScheduled": 2, "numberAvailable": 1}
ABOUT = {"kind": "Pod", "name": "p", "fieldPath": "spec.containers{c}"}
OLD_EVENT = {"involvedObject": ABOUT, "type": "Normal", "reason": "Pulled", "message": " done\n"}
ANNOTATED = {"metadata": {"annotations": {"storageclass.kubernetes.io/is-default-class": "true"}}}
CONTROLLER = {"apiVersion": "apps/v1", "kind": "StatefulSet", "name": "web", "controller": True}
SUBJECTS = [
    {"kind": "User", "name": "jane"},
    {"kind": "User", "name": "joe"},
    {"kind": "Group", "name": "devs"},
    {"kind": "ServiceAccount", "name": "robot", "namespace": "team"},
]
QUOTA = {"hard": {"pods": "5", "limits.cpu": "2", "requests.cpu": "1"}, "used": {"pods": "1", "limits.cpu": "500m"}}
QUEUING = {"queues": 64, "handSize": 6, "queueLengthLimit": 50}
CLAIMED = {"volumeName": "pv", "storageClassName": "fast", "volumeMode": "Block", "volumeAttributesClassName": "gold"}
VOLUME = {
    "capacity": {"storage": "1Gi"},
    "accessModes": ["ReadWriteMany", "ReadWriteOnce", "ReadWriteOncePod"],
    "persistentVolumeReclaimPolicy": "Retain",
    "claimRef": {"namespace": "team", "name": "c"},
    "storageClassName": "fast",
    "volumeMode": "Filesystem",
}

CASES: list[tuple[str, Object, Object]] = [
    # Workloads.
    (
        "ReplicationController",
        {"spec": {"replicas": 3, "template": TEMPLATE, "selector": {"b": "2", "a": "1"}}, "status": {"replicas": 2, "readyReplicas": 1}},
        {"Desired": 3, "Current": 2, "Ready": 1, **HELD, "Selector": "a=1,b=2"},
    ),
    (
        "ReplicaSet",
        {"spec": {"replicas": 3, "template": TEMPLATE, "selector": CHOSEN}, "status": {"replicas": 2}},
        {"Desired": 3, "Current": 2, "Ready": 0, **SELECTED},
    ),
    (
        "DaemonSet",
        {"spec": {"template": {"spec": POD_SPEC | {"nodeSelector": {"a": "b"}}}, "selector": CHOSEN}, "status": COUNTS},
        {"Desired": 5, "Current": 4, "Ready": 3, "Up-to-date": 2, "Available": 1, "Node Selector": "a=b", **SELECTED},
    ),
    ("DaemonSet", {"spec": {}}, {"Desired": 0, "Node Selector": "<none>", "Selector": "<none>"}),
    (
        "Deployment",
        {"spec": {"replicas": 3, "template": TEMPLATE, "selector": CHOSEN}, "status": {"readyReplicas": 1, "updatedReplicas": 2}},
        {"Ready": "1/3", "Up-to-date": 2, "Available": 0, **SELECTED},
    ),
    ("Deployment", {"spec": {"selector": {}}}, {"Ready": "0/0", "Selector": ""}),
    ("StatefulSet", {"spec": {"replicas": 2, "template": TEMPLATE}, "status": {"readyReplicas": 1}}, {"Ready": "1/2", **HELD}),
    (
        "ControllerRevision",
        {"revision": 4, "metadata": {"ownerReferences": [CONTROLLER]}},
        {"Controller": "statefulset.apps/web", "Revision": 4},
    ),
    ("ControllerRevision", {"revision": 0}, {"Controller": "<none>", "Revision": 0}),
    ("PodTemplate", {"template": TEMPLATE | {"metadata": {"labels": {"a": "b"}}}}, {**HELD, "Pod Labels": "a=b"}),
    (
        "PodDisruptionBudget",
        {"spec": {"minAvailable": "50%"}, "status": {"disruptionsAllowed": 1}},
        {"Min Available": "50%", "Max Unavailable": "N/A", "Allowed Disruptions": 1},
    ),
    ("PodDisruptionBudget", {"spec": {"maxUnavailable": 0}}, {"Min Available": "N/A", "Max Unavailable": "0", "Allowed Disruptions": 0}),
    # Jobs: state, completions, duration.
    ("Job", job({"completions": 3}, succeeded=1), {"Status": "Running", "Completions": "1/3", "Duration": "", "Selector": "<none>"}),
    ("Job", job({"parallelism": 4}), {"Completions": "0/1 of 4"}),
    ("Job", job({"parallelism": 1}), {"Completions": "0/1"}),
    ("Job", job({}, startTime=before(90)), {"Duration": "90s"}),
    ("Job", job({}, startTime=before(90), completionTime=before(60)), {"Duration": "30s"}),
    ("Job", job({}, **ready("True", "Complete")), {"Status": "Complete"}),
    ("Job", job({}, **ready("True", "Failed")), {"Status": "Failed"}),
    ("Job", job({}, **ready("False", "Failed")), {"Status": "Running"}),
    ("Job", job({}, **ready("True", "Suspended")), {"Status": "Suspended"}),
    ("Job", job({}, **ready("True", "FailureTarget")), {"Status": "FailureTarget"}),
    ("Job", job({}, **ready("True", "SuccessCriteriaMet")), {"Status": "SuccessCriteriaMet"}),
    ("Job", job({}) | {"metadata": {"deletionTimestamp": before(1)}}, {"Status": "Terminating"}),
    ("Job", job({}, **ready("True", "Complete")) | {"metadata": {"deletionTimestamp": before(1)}}, {"Status": "Complete"}),
    (
        "CronJob",
        {"spec": {"schedule": "* * * * *", "suspend": True, "timeZone": "Etc/UTC", "jobTemplate": {"spec": {"template": TEMPLATE}}}}
        | {"status": {"active": [{}, {}], "lastScheduleTime": before(65)}},
        {"Schedule": "* * * * *", "Timezone": "Etc/UTC", "Suspend": "True", "Active": 2, "Last Schedule": "65s", **HELD},
    ),
    (
        "CronJob",
        {"spec": {"schedule": "@daily", "suspend": False, "jobTemplate": {}}},
        {"Timezone": "<none>", "Suspend": "False", "Active": 0, "Last Schedule": "<none>", "Selector": "<none>"},
    ),
    # Autoscalers: targets.
    (
        "HorizontalPodAutoscaler",
        scaled([]),
        {"Reference": "Deployment/web", "Targets": "<none>", "MinPods": "2", "MaxPods": 5, "Replicas": 3},
    ),
    ("HorizontalPodAutoscaler", {"spec": {"maxReplicas": 1, "scaleTargetRef": {}}}, {"MinPods": "<unset>", "Replicas": 0}),
    ("HorizontalPodAutoscaler", scaled([cpu(averageUtilization=80)]), {"Targets": "cpu: <unknown>/80%"}),
    ("HorizontalPodAutoscaler", scaled([cpu(averageUtilization=80)], [at("Resource", averageUtilization=10)]), {"Targets": "cpu: 10%/80%"}),
    ("HorizontalPodAutoscaler", scaled([cpu()]), {"Targets": "cpu: <unknown>/<auto>"}),
    ("HorizontalPodAutoscaler", scaled([cpu(averageValue="1")], [at("Resource", averageValue="500m")]), {"Targets": "cpu: 500m/1"}),
    (
        "HorizontalPodAutoscaler",
        scaled(
            [{"type": "ContainerResource", "containerResource": {"name": "memory", "container": "c", "target": {"averageUtilization": 5}}}]
        ),
        {"Targets": "memory: <unknown>/5%"},
    ),
    (
        "HorizontalPodAutoscaler",
        scaled([{"type": "Pods", "pods": {"target": {"averageValue": "10"}}}], [at("Pods", averageValue="7")]),
        {"Targets": "7/10"},
    ),
    (
        "HorizontalPodAutoscaler",
        scaled([{"type": "Object", "object": {"target": {"value": "10"}}}], [at("Object", value="7")]),
        {"Targets": "7/10"},
    ),
    (
        "HorizontalPodAutoscaler",
        scaled([{"type": "External", "external": {"target": {"averageValue": "9"}}}]),
        {"Targets": "<unknown>/9 (avg)"},
    ),
    ("HorizontalPodAutoscaler", scaled([{"type": "Odd"}]), {"Targets": "<unknown type>"}),
    (
        "HorizontalPodAutoscaler",
        scaled([cpu(averageUtilization=1), cpu("memory", averageUtilization=2)]),
        {"Targets": "cpu: <unknown>/1%, memory: <unknown>/2%"},
    ),
    (
        "HorizontalPodAutoscaler",
        scaled([cpu(averageUtilization=1), cpu("memory", averageUtilization=2), cpu("x", averageUtilization=3)]),
        {"Targets": "cpu: <unknown>/1%, memory: <unknown>/2% + 1 more..."},
    ),
    # Network.
    (
        "Service",
        service("ClusterIP", selector={"a": "b"}),
        {"Type": "ClusterIP", "Cluster-IP": "10.0.0.1", "External-IP": "<none>", "Port(s)": "80/TCP", "Selector": "a=b"},
    ),
    ("Service", service("ClusterIP", clusterIPs=["None"], ports=[]), {"Cluster-IP": "None", "Port(s)": "<none>", "Selector": "<none>"}),
    (
        "Service",
        service(
            "NodePort", externalIPs=["1.1.1.1"], ports=[{"port": 80, "protocol": "TCP", "nodePort": 30080}, {"port": 53, "protocol": "UDP"}]
        ),
        {"External-IP": "1.1.1.1", "Port(s)": "80:30080/TCP,53/UDP"},
    ),
    ("Service", service("LoadBalancer"), {"External-IP": "<pending>"}),
    ("Service", service("LoadBalancer", BALANCED), {"External-IP": "1.2.3.4,b.example.com"}),
    ("Service", service("LoadBalancer", BALANCED, externalIPs=["9.9.9.9"]), {"External-IP": "1.2.3.4,b.example.com,9.9.9.9"}),
    (
        "Service",
        service("ExternalName", externalName="a.example.com", clusterIPs=None, ports=None),
        {"Cluster-IP": "<none>", "External-IP": "a.example.com", "Port(s)": "<none>"},
    ),
    ("Endpoints", {}, {"Endpoints": "<none>"}),
    ("Endpoints", {"subsets": [subset([], [80])]}, {"Endpoints": ""}),
    ("Endpoints", {"subsets": [subset(["1.1.1.1", "fd::1"], [])]}, {"Endpoints": "1.1.1.1,fd::1"}),
    ("Endpoints", {"subsets": [subset(["1.1.1.1", "fd::1"], [80, 90])]}, {"Endpoints": "1.1.1.1:80,[fd::1]:80,1.1.1.1:90 + 1 more..."}),
    ("EndpointSlice", {"addressType": "IPv4"}, {"AddressType": "IPv4", "Ports": "<unset>", "Endpoints": "<unset>"}),
    (
        "EndpointSlice",
        {"addressType": "IPv4", "ports": [{"port": 1}, {"name": "all"}, {"port": 2}, {"port": 3}]}
        | {"endpoints": [{"addresses": ["1.1.1.1", "2.2.2.2"]}, {"addresses": ["3.3.3.3"]}]},
        {"Ports": "1,*,2 + 1 more...", "Endpoints": "1.1.1.1,2.2.2.2,3.3.3.3"},
    ),
    ("Ingress", {"spec": {}}, {"Class": "<none>", "Hosts": "*", "Address": "", "Ports": "80"}),
    (
        "Ingress",
        {"spec": {"ingressClassName": "nginx", "tls": [{}], "rules": [{"host": "a"}]}, "status": {"loadBalancer": BALANCED}},
        {"Class": "nginx", "Hosts": "a", "Address": "1.2.3.4,b.example.com", "Ports": "80, 443"},
    ),
    ("Ingress", hosts("a", "b", "c"), {"Hosts": "a,b,c"}),
    ("Ingress", hosts("a", "", "b", "c", "d"), {"Hosts": "a,b,c + 2 more..."}),
    ("Ingress", hosts("", ""), {"Hosts": "*"}),
    ("IngressClass", {"spec": {"controller": "k/n"}}, {"Controller": "k/n", "Parameters": "<none>"}),
    ("IngressClass", {"spec": {"parameters": {"kind": "K", "name": "n"}}}, {"Parameters": "K/n"}),
    ("IngressClass", {"spec": {"parameters": {"apiGroup": "g", "kind": "K", "name": "n"}}}, {"Parameters": "K.g/n"}),
    ("NetworkPolicy", {"spec": {"podSelector": {}}}, {"Pod-Selector": "<none>"}),
    ("NetworkPolicy", {"spec": {"podSelector": CHOSEN}}, {"Pod-Selector": "app=web,tier in (a,b)"}),
    ("ServiceCIDR", {"spec": {"cidrs": ["10.0.0.0/24", "fd00::/64"]}}, {"CIDRs": "10.0.0.0/24,fd00::/64"}),
    ("IPAddress", {"spec": {"parentRef": {"resource": "services", "namespace": "d", "name": "k"}}}, {"ParentRef": "services/d/k"}),
    ("IPAddress", {"spec": {"parentRef": {"group": "g.io", "resource": "Things", "name": "k"}}}, {"ParentRef": "things.g.io/k"}),
    ("IPAddress", {"spec": {}}, {"ParentRef": "<none>"}),
    # Nodes.
    (
        "Node",
        {"status": {**ready("True"), "nodeInfo": NODE_INFO, "addresses": ADDRESSES}},
        {"Status": "Ready", "Roles": "<none>", "Version": "v1.37.0", "Internal-IP": "10.1.1.1", "External-IP": "9.9.9.9"}
        | {"OS-Image": "Debian", "Kernel-Version": "6.1", "Container-Runtime": "containerd://2"},
    ),
    ("Node", {}, {"Status": "Unknown", "Version": "", "Internal-IP": "<none>", "External-IP": "<none>", "OS-Image": "<unknown>"}),
    ("Node", {"status": ready("False")}, {"Status": "NotReady"}),
    ("Node", {"status": ready("Unknown")}, {"Status": "NotReady"}),
    ("Node", {"status": ready("True"), "spec": {"unschedulable": True}}, {"Status": "Ready,SchedulingDisabled"}),
    (
        "Node",
        {"metadata": {"labels": {"node-role.kubernetes.io/worker": "", "node-role.kubernetes.io/": "", "kubernetes.io/role": "edge"}}},
        {"Roles": "edge,worker"},
    ),
    # Objects of the cluster.
    ("Namespace", {"status": {"phase": "Terminating"}}, {"Status": "Terminating"}),
    ("Secret", {"type": "Opaque", "data": {"a": "", "b": ""}}, {"Type": "Opaque", "Data": 2}),
    ("ConfigMap", {"data": {"a": ""}, "binaryData": {"b": ""}}, {"Data": 2}),
    ("ServiceAccount", {"secrets": [{"name": "s"}]}, {"Secrets": 1}),
    ("ResourceQuota", {"spec": {"hard": {"pods": "5"}}}, {"Request": "", "Limit": ""}),
    ("ResourceQuota", {"status": QUOTA}, {"Request": "pods: 1/5, requests.cpu: 0/1", "Limit": "limits.cpu: 500m/2"}),
    ("RoleBinding", {"roleRef": {"kind": "Role", "name": "r"}, "subjects": SUBJECTS}, {"Role": "Role/r", "Users": "jane, joe"}),
    (
        "ClusterRoleBinding",
        {"roleRef": {"kind": "ClusterRole", "name": "r"}, "subjects": SUBJECTS},
        {"Groups": "devs", "ServiceAccounts": "team/robot"},
    ),
    ("Lease", {"spec": {"holderIdentity": "me"}}, {"Holder": "me"}),
    ("Lease", {"spec": {}}, {"Holder": ""}),
    ("RuntimeClass", {"handler": "runsc"}, {"Handler": "runsc"}),
    (
        "PriorityClass",
        {"value": 7, "globalDefault": True, "preemptionPolicy": "Never"},
        {"Value": 7, "Global-Default": True, "PreemptionPolicy": "Never"},
    ),
    ("PriorityClass", {"value": 0}, {"Value": 0, "Global-Default": False, "PreemptionPolicy": ""}),
    ("CustomResourceDefinition", {}, {"Created At": "2026-01-01T23:00:00Z"}),
    # Certificates.
    (
        "CertificateSigningRequest",
        answered(),
        {"SignerName": "s", "Requestor": "jane", "RequestedDuration": "<none>", "Condition": "Pending"},
    ),
    ("CertificateSigningRequest", answered("Approved"), {"Condition": "Approved"}),
    ("CertificateSigningRequest", answered("Approved", issued=True), {"Condition": "Approved,Issued"}),
    ("CertificateSigningRequest", answered("Approved", "Failed"), {"Condition": "Approved,Failed"}),
    ("CertificateSigningRequest", answered("Denied"), {"Condition": "Denied"}),
    ("CertificateSigningRequest", answered("Approved", "Denied"), {"Condition": "Denied"}),
    ("CertificateSigningRequest", answered("Failed"), {"Condition": "Pending,Failed"}),
    ("CertificateSigningRequest", {"spec": {"expirationSeconds": 86400}}, {"SignerName": "<none>", "RequestedDuration": "24h"}),
    ("ClusterTrustBundle", {"spec": {"signerName": "s"}}, {"SignerName": "s"}),
    ("ClusterTrustBundle", {"spec": {}}, {"SignerName": "<none>"}),
    # Storage.
    (
        "PersistentVolume",
        {"spec": VOLUME, "status": {"phase": "Bound"}},
        {"Capacity": "1Gi", "Access Modes": "RWO,RWX,RWOP", "Reclaim Policy": "Retain", "Status": "Bound", "Claim": "team/c"}
        | {"StorageClass": "fast", "VolumeAttributesClass": "<unset>", "Reason": "", "VolumeMode": "Filesystem"},
    ),
    (
        "PersistentVolume",
        {"spec": {}, "metadata": {"deletionTimestamp": before(1)}},
        {"Capacity": "0", "Status": "Terminating", "Claim": ""},
    ),
    (
        "PersistentVolumeClaim",
        {"spec": CLAIMED, "status": {"phase": "Bound", "capacity": {"storage": "2Gi"}, "accessModes": ["ReadOnlyMany"]}},
        {
            "Status": "Bound",
            "Volume": "pv",
            "Capacity": "2Gi",
            "Access Modes": "ROX",
            "StorageClass": "fast",
            "VolumeAttributesClass": "gold",
        }
        | {"VolumeMode": "Block"},
    ),
    (
        "PersistentVolumeClaim",
        {"spec": {"resources": {"requests": {"storage": "1Gi"}}}, "status": {"phase": "Pending"}},
        {
            "Status": "Pending",
            "Volume": "",
            "Capacity": "",
            "Access Modes": "",
            "VolumeAttributesClass": "<unset>",
            "VolumeMode": "<unset>",
        },
    ),
    (
        "PersistentVolumeClaim",
        {"spec": {"volumeName": "pv"}, "metadata": {"deletionTimestamp": before(1)}},
        {"Status": "Terminating", "Capacity": "0"},
    ),
    (
        "StorageClass",
        {"provisioner": "p"},
        {"Name": "x", "Provisioner": "p", "ReclaimPolicy": "Delete", "VolumeBindingMode": "Immediate", "AllowVolumeExpansion": False},
    ),
    ("StorageClass", ANNOTATED | {"allowVolumeExpansion": True}, {"Name": "x (default)", "AllowVolumeExpansion": True}),
    (
        "VolumeAttachment",
        {"spec": {"attacher": "a", "nodeName": "n", "source": {"persistentVolumeName": "pv"}}, "status": {"attached": True}},
        {"Attacher": "a", "PV": "pv", "Node": "n", "Attached": True},
    ),
    ("VolumeAttributesClass", {"driverName": "d"}, {"Name": "x", "DriverName": "d"}),
    (
        "CSIDriver",
        {"spec": {}},
        {"AttachRequired": True, "PodInfoOnMount": False, "StorageCapacity": False, "TokenRequests": "<unset>", "Modes": "<none>"},
    ),
    (
        "CSIDriver",
        {"spec": {"attachRequired": False, "requiresRepublish": True, "tokenRequests": [{"audience": "a"}, {"audience": "b"}]}},
        {"AttachRequired": False, "TokenRequests": "a,b", "RequiresRepublish": True},
    ),
    ("CSIDriver", {"spec": {"volumeLifecycleModes": ["Persistent", "Ephemeral"]}}, {"Modes": "Persistent,Ephemeral"}),
    ("CSINode", {"spec": {"drivers": None}}, {"Drivers": 0}),
    ("CSIStorageCapacity", {"storageClassName": "s"}, {"StorageClassName": "s", "Capacity": "<unset>"}),
    ("CSIStorageCapacity", {"storageClassName": "s", "capacity": "1Gi"}, {"Capacity": "1Gi"}),
    # Admission and flow control.
    ("ValidatingWebhookConfiguration", {"webhooks": [{}, {}]}, {"Webhooks": 2}),
    ("MutatingWebhookConfiguration", {}, {"Webhooks": 0}),
    ("ValidatingAdmissionPolicy", {"spec": {"validations": [{}]}}, {"Validations": 1, "ParamKind": "<unset>"}),
    ("MutatingAdmissionPolicy", {"spec": {"paramKind": {"apiVersion": "a/v1", "kind": "K"}}}, {"Mutations": 0, "ParamKind": "a/v1/K"}),
    ("ValidatingAdmissionPolicyBinding", {"spec": {"policyName": "p"}}, {"PolicyName": "p", "ParamRef": "<unset>"}),
    ("ValidatingAdmissionPolicyBinding", {"spec": {"paramRef": {"name": "n"}}}, {"ParamRef": "*/n"}),
    ("MutatingAdmissionPolicyBinding", {"spec": {"paramRef": {"name": "n", "namespace": "team"}}}, {"ParamRef": "team/n"}),
    (
        "FlowSchema",
        {"spec": {"priorityLevelConfiguration": {"name": "l"}, "matchingPrecedence": 9, "distinguisherMethod": {"type": "ByUser"}}}
        | {"status": ready("False", "Dangling")},
        {"PriorityLevel": "l", "MatchingPrecedence": 9, "DistinguisherMethod": "ByUser", "MissingPL": "False"},
    ),
    ("FlowSchema", {"spec": {}}, {"DistinguisherMethod": "<none>", "MissingPL": "?"}),
    (
        "PriorityLevelConfiguration",
        {"spec": {"type": "Limited", "limited": {"nominalConcurrencyShares": 30, "limitResponse": {"type": "Queue", "queuing": QUEUING}}}},
        {"Type": "Limited", "NominalConcurrencyShares": 30, "Queues": 64, "HandSize": 6, "QueueLengthLimit": 50},
    ),
    (
        "PriorityLevelConfiguration",
        {"spec": {"type": "Exempt", "exempt": {"nominalConcurrencyShares": 0}}},
        {"NominalConcurrencyShares": "<none>", "Queues": "<none>"},
    ),
    # Devices.
    ("ResourceClaim", {}, {"State": "pending"}),
    ("ResourceClaim", {"status": {"allocation": {"a": 1}}}, {"State": "allocated"}),
    ("ResourceClaim", {"status": {"allocation": {"a": 1}, "reservedFor": [{}]}}, {"State": "allocated,reserved"}),
    ("ResourceClaim", {"metadata": {"deletionTimestamp": before(1)}}, {"State": "deleted"}),
    ("ResourceSlice", {"spec": {"driver": "d", "pool": {"name": "p"}}}, {"Node": "", "Driver": "d", "Pool": "p"}),
    ("StorageVersionMigration", {"spec": {"resource": {"group": "apps", "resource": "deployments"}}}, {"Resource": "deployments.apps"}),
]


@pytest.mark.parametrize(("kind", "obj", "expected"), CASES, ids=lambda value: value if isinstance(value, str) else "")
def test_row_shows_what_kubectl_shows(kind: str, obj: Object, expected: Object) -> None:
    """The cells that the case is about; whoever reads tables by column finds them there."""
    found = row(kind, obj)
    assert {name: found[name] for name in expected} == expected


EVENTS: list[tuple[str, Object, Object]] = [
    ("", OLD_EVENT, {"Last Seen": "<unknown>", "Type": "Normal", "Reason": "Pulled", "Object": "pod/p", "Subobject": "spec.containers{c}"}),
    ("", OLD_EVENT, {"Source": "", "Message": "done", "First Seen": "<unknown>", "Count": 1, "Name": "x"}),
    (
        "",
        OLD_EVENT | {"firstTimestamp": before(600), "lastTimestamp": before(30), "count": 4},
        {"Last Seen": "30s", "First Seen": "10m", "Count": 4},
    ),
    ("", OLD_EVENT | {"firstTimestamp": before(600)}, {"Last Seen": "10m"}),
    ("", OLD_EVENT | {"eventTime": before(50)}, {"Last Seen": "50s", "First Seen": "50s"}),
    (
        "",
        OLD_EVENT | {"eventTime": before(50), "count": 2, "series": {"count": 9, "lastObservedTime": before(5)}},
        {"Last Seen": "5s", "First Seen": "50s", "Count": 9},
    ),
    ("", OLD_EVENT | {"source": {"component": "kubelet", "host": "n1"}}, {"Source": "kubelet, n1"}),
    ("", OLD_EVENT | {"source": {"component": "kubelet"}}, {"Source": "kubelet"}),
    ("", OLD_EVENT | {"reportingComponent": "c/d", "reportingInstance": "i-1"}, {"Source": "c/d, i-1"}),
    ("", OLD_EVENT | {"involvedObject": {"kind": "Node"}}, {"Object": "node", "Subobject": ""}),
    (
        "events.k8s.io",
        {"regarding": ABOUT, "note": "n", "eventTime": before(9), "reportingController": "c", "reportingInstance": "i"},
        {"Last Seen": "9s", "Object": "pod/p", "Source": "c, i", "Message": "n"},
    ),
]


@pytest.mark.parametrize(("group", "obj", "expected"), EVENTS)
def test_row_of_an_event(group: str, obj: Object, expected: Object) -> None:
    """Whichever of the many times are known; of either version."""
    found = row("Event", obj, group)
    assert {name: found[name] for name in expected} == expected
