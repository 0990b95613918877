"""Columns of every kind that has its own, as kubectl has shown them for years."""

from __future__ import annotations

import pytest

from resource_api.printers.table import PRINTERS
from tests.resource_api.printers.rows import TABLES, type_of

COLUMNS = {
    "Pod": "Ready Status Restarts Age IP* Node* Nominated|Node* Readiness|Gates*",
    "PodTemplate": "Containers Images Pod|Labels",
    "PodDisruptionBudget": "Min|Available Max|Unavailable Allowed|Disruptions# Age",
    "ReplicationController": "Desired# Current# Ready# Age Containers* Images* Selector*",
    "ReplicaSet": "Desired# Current# Ready# Age Containers* Images* Selector*",
    "DaemonSet": "Desired# Current# Ready# Up-to-date# Available# Node|Selector Age Containers* Images* Selector*",
    "Deployment": "Ready Up-to-date# Available# Age Containers* Images* Selector*",
    "StatefulSet": "Ready Age Containers* Images*",
    "Job": "Status Completions Duration Age Containers* Images* Selector*",
    "CronJob": "Schedule Timezone Suspend? Active# Last|Schedule Age Containers* Images* Selector*",
    "Service": "Type Cluster-IP External-IP Port(s) Age Selector*",
    "Endpoints": "Endpoints Age",
    "EndpointSlice": "AddressType Ports Endpoints Age",
    "Ingress": "Class Hosts Address Ports Age",
    "IngressClass": "Controller Parameters Age",
    "NetworkPolicy": "Pod-Selector Age",
    "Node": "Status Roles Age Version Internal-IP* External-IP* OS-Image* Kernel-Version* Container-Runtime*",
    "Namespace": "Status Age",
    "Secret": "Type Data# Age",
    "ConfigMap": "Data# Age",
    "ServiceAccount": "Secrets# Age",
    "ResourceQuota": "Request Limit Age",
    "PersistentVolume": "Capacity Access|Modes Reclaim|Policy Status Claim StorageClass VolumeAttributesClass Reason Age VolumeMode*",
    "PersistentVolumeClaim": "Status Volume Capacity Access|Modes StorageClass VolumeAttributesClass Age VolumeMode*",
    "StorageClass": "Provisioner ReclaimPolicy VolumeBindingMode AllowVolumeExpansion? Age",
    "VolumeAttachment": "Attacher PV Node Attached? Age",
    "VolumeAttributesClass": "DriverName Age",
    "CSIDriver": "AttachRequired? PodInfoOnMount? StorageCapacity? TokenRequests RequiresRepublish? Modes Age",
    "CSINode": "Drivers# Age",
    "CSIStorageCapacity": "StorageClassName Capacity",
    "HorizontalPodAutoscaler": "Reference Targets MinPods MaxPods# Replicas# Age",
    "PriorityClass": "Value# Global-Default? Age PreemptionPolicy",
    "RuntimeClass": "Handler Age",
    "ControllerRevision": "Controller Revision# Age",
    "Lease": "Holder Age",
    "RoleBinding": "Role Age Users* Groups* ServiceAccounts*",
    "ClusterRoleBinding": "Role Age Users* Groups* ServiceAccounts*",
    "Role": "Created|At@",
    "ClusterRole": "Created|At@",
    "CustomResourceDefinition": "Created|At@",
    "LimitRange": "Created|At@",
    "CertificateSigningRequest": "Age SignerName Requestor RequestedDuration Condition",
    "ClusterTrustBundle": "SignerName",
    "MutatingWebhookConfiguration": "Webhooks# Age",
    "ValidatingWebhookConfiguration": "Webhooks# Age",
    "ValidatingAdmissionPolicy": "Validations# ParamKind Age",
    "MutatingAdmissionPolicy": "Mutations# ParamKind Age",
    "ValidatingAdmissionPolicyBinding": "PolicyName ParamRef Age",
    "MutatingAdmissionPolicyBinding": "PolicyName ParamRef Age",
    "FlowSchema": "PriorityLevel MatchingPrecedence# DistinguisherMethod Age MissingPL",
    "PriorityLevelConfiguration": "Type NominalConcurrencyShares Queues HandSize QueueLengthLimit Age",
    "ResourceClaim": "State Age",
    "ResourceClaimTemplate": "Age",
    "DeviceClass": "Age",
    "ResourceSlice": "Node Driver Pool Age",
    "ServiceCIDR": "CIDRs Age",
    "IPAddress": "ParentRef",
    "StorageVersionMigration": "Resource",
}
TYPES = {"#": "integer", "?": "boolean", "@": "date"}


@pytest.mark.parametrize("kind", COLUMNS)
def test_kind_has_its_columns(kind: str) -> None:
    """Names, types and priorities; the first is the name."""
    found = TABLES(type_of(kind), []).columns
    assert (found[0]["name"], found[0]["type"], found[0]["format"], found[0]["priority"]) == ("Name", "string", "name", 0)
    wanted = COLUMNS[kind].split(" ")
    shown = [(one["name"], one["type"], one["priority"]) for one in found[1:]]
    assert shown == [
        (word.rstrip("*#?@").replace("|", " "), next((name for mark, name in TYPES.items() if mark in word), "string"), int("*" in word))
        for word in wanted
    ]
    assert all(one["description"] for one in found)


@pytest.mark.parametrize("group", ["", "events.k8s.io"])
def test_events_have_the_time_first(group: str) -> None:
    """The one kind whose first column is not the name."""
    found = [(one["name"], one["priority"]) for one in TABLES(type_of("Event", group), []).columns]
    assert found[:6] == [("Last Seen", 0), ("Type", 0), ("Reason", 0), ("Object", 0), ("Subobject", 1), ("Source", 1)]
    assert found[6:] == [("Message", 0), ("First Seen", 1), ("Count", 1), ("Name", 1)]


def test_every_printer_is_checked_here() -> None:
    """A kind that gets columns of its own gets a line above."""
    known = {*COLUMNS, "Event", "Scale", "ComponentStatus", "APIService"}
    assert {kind for _, kind in PRINTERS} - known == set()
