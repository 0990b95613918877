"""Defaults of the remaining groups: webhooks and policies, networking, storage, RBAC, flow control, certificates, devices.

Sources: the `defaults.go` of each group under `pkg/apis`.
"""

from __future__ import annotations

from resource_api.errors import Object
from resource_api.schema.defaults.defaulter import Fill, Zero, fields, items, struct

RBAC_GROUP = "rbac.authorization.k8s.io"


def _network_policy(obj: Object) -> None:
    spec = struct(obj, "spec")
    struct(spec, "podSelector")
    if not spec.get("policyTypes"):
        spec["policyTypes"] = ["Ingress", "Egress"] if spec.get("egress") else ["Ingress"]


def _ingress(obj: Object) -> None:
    struct(obj, "spec")
    struct(struct(obj, "status"), "loadBalancer")


def _ingress_class(obj: Object) -> None:
    parameters = struct(obj, "spec").get("parameters")
    if isinstance(parameters, dict):
        fields({"scope": "Cluster"})(parameters)


def _csi_driver(obj: Object) -> None:
    spec = struct(obj, "spec")
    fields(
        {
            "attachRequired": True,
            "podInfoOnMount": False,
            "storageCapacity": False,
            "fsGroupPolicy": "ReadWriteOnceWithFSType",
            "requiresRepublish": False,
            "seLinuxMount": False,
        }
    )(spec)
    if not spec.get("volumeLifecycleModes"):
        spec["volumeLifecycleModes"] = ["Persistent"]


def _binding(obj: Object) -> None:
    fields({"apiGroup": RBAC_GROUP})(struct(obj, "roleRef"))
    for subject in items(obj, "subjects"):
        if not subject.get("apiGroup") and subject.get("kind") in ("User", "Group"):
            subject["apiGroup"] = RBAC_GROUP


def _flow_schema(obj: Object) -> None:
    fields({"matchingPrecedence": Zero(1000)})(struct(obj, "spec"))
    struct(obj, "status")


def _priority_level(obj: Object) -> None:
    struct(obj, "spec")
    struct(obj, "status")


def _device_request(obj: Object) -> None:
    fields({"allocationMode": "ExactCount"})(obj)
    if obj["allocationMode"] == "ExactCount":
        fields({"count": Zero(1)})(obj)


def _statuses(obj: Object) -> None:
    struct(obj, "spec")
    struct(obj, "status")


def _api_service(obj: Object) -> None:
    service = struct(obj, "spec").get("service")
    if isinstance(service, dict):
        fields({"port": 443})(service)
    struct(obj, "status")


_WEBHOOK = {
    "failurePolicy": "Fail",
    "matchPolicy": "Equivalent",
    "namespaceSelector": {},
    "objectSelector": {},
    "timeoutSeconds": 10,
}
_ADMISSION = "admissionregistration.v1."

TABLE: dict[str, tuple[Fill, ...]] = {
    "io.k8s.api." + name: fills
    for name, fills in {
        _ADMISSION + "ValidatingWebhook": (fields(_WEBHOOK),),
        _ADMISSION + "MutatingWebhook": (fields({**_WEBHOOK, "reinvocationPolicy": "Never"}),),
        _ADMISSION + "RuleWithOperations": (fields({"scope": "*"}),),
        _ADMISSION + "NamedRuleWithOperations": (fields({"scope": "*"}),),
        _ADMISSION + "ServiceReference": (fields({"port": 443}),),
        _ADMISSION + "MatchResources": (fields({"matchPolicy": "Equivalent", "namespaceSelector": {}, "objectSelector": {}}),),
        _ADMISSION + "ValidatingAdmissionPolicySpec": (fields({"failurePolicy": "Fail"}),),
        _ADMISSION + "ValidatingAdmissionPolicy": (_statuses,),
        _ADMISSION + "MutatingAdmissionPolicySpec": (fields({"failurePolicy": "Fail", "reinvocationPolicy": "Never"}),),
        "networking.v1.NetworkPolicy": (_network_policy,),
        "networking.v1.NetworkPolicyPort": (fields({"protocol": "TCP"}),),
        "networking.v1.Ingress": (_ingress,),
        "networking.v1.IngressClass": (_ingress_class,),
        "networking.v1.ServiceCIDR": (_statuses,),
        "storage.v1.StorageClass": (fields({"reclaimPolicy": "Delete", "volumeBindingMode": "Immediate"}),),
        "storage.v1.CSIDriver": (_csi_driver,),
        "storage.v1.VolumeAttachment": (lambda obj: fields({"attached": False})(struct(obj, "status")),),
        "rbac.v1.ClusterRoleBinding": (_binding,),
        "rbac.v1.RoleBinding": (_binding,),
        "flowcontrol.v1.FlowSchema": (_flow_schema,),
        "flowcontrol.v1.PriorityLevelConfiguration": (_priority_level,),
        "flowcontrol.v1.ExemptPriorityLevelConfiguration": (fields({"nominalConcurrencyShares": 0, "lendablePercent": 0}),),
        "flowcontrol.v1.LimitedPriorityLevelConfiguration": (fields({"nominalConcurrencyShares": 30, "lendablePercent": 0}),),
        "flowcontrol.v1.QueuingConfiguration": (fields({"handSize": Zero(8), "queues": Zero(64), "queueLengthLimit": Zero(50)}),),
        "certificates.v1.CertificateSigningRequest": (_statuses,),
        "certificates.v1.PodCertificateRequestSpec": (fields({"maxExpirationSeconds": 86_400}),),
        "discovery.v1.EndpointPort": (fields({"name": "", "protocol": "TCP"}),),
        "scheduling.v1.PriorityClass": (fields({"preemptionPolicy": "PreemptLowerPriority"}),),
        "resource.v1.ExactDeviceRequest": (_device_request,),
        "resource.v1.DeviceSubRequest": (_device_request,),
        "resource.v1.DeviceToleration": (fields({"operator": "Equal"}),),
        "resource.v1.ResourceClaim": (_statuses,),
        "authentication.v1.TokenRequestSpec": (fields({"expirationSeconds": 3600}),),
    }.items()
}
"""By the full name of the type."""

TABLE["io.k8s.kube-aggregator.pkg.apis.apiregistration.v1.APIService"] = (_api_service,)
