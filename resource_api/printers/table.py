"""Which kind has which columns and which rows. Data, and the one function the HTTP face calls. Never waits."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import NamedTuple

from resource_api.errors import Json, Object
from resource_api.printers import cluster, network, pods, workloads
from resource_api.printers.cells import Cells, Conditions
from resource_api.schema.kinds import ResourceType
from resource_api.schema.printer_columns import Printed, PrinterColumns

NAME_TEXT = "Name of the object, unique within its namespace."
AGE_TEXT = "Time since the server created the object."


class Printer(NamedTuple):
    """Columns as `Name|Ready|Age|IP*|Count#`: a star marks the wide table, `#` whole numbers, `?` booleans, `@` times."""

    columns: str
    cells: Cells
    conditions: Conditions | None = None


APPS, BATCH, NETWORKING, STORAGE = "apps", "batch", "networking.k8s.io", "storage.k8s.io"
ADMISSION, RBAC, FLOW = "admissionregistration.k8s.io", "rbac.authorization.k8s.io", "flowcontrol.apiserver.k8s.io"
RESOURCE, AUTOSCALING = "resource.k8s.io", "autoscaling"

HPA = Printer("Name|Reference|Targets|MinPods|MaxPods#|Replicas#|Age", workloads.autoscaler)
EVENT = Printer("Last Seen|Type|Reason|Object|Subobject*|Source*|Message|First Seen*|Count#*|Name*", cluster.event)
BINDING = Printer("Name|Role|Age|Users*|Groups*|ServiceAccounts*", cluster.binding)
ROLE = Printer("Name|Created At@", cluster.role)
WEBHOOKS = Printer("Name|Webhooks#|Age", cluster.webhooks)
POLICY_BINDING = Printer("Name|PolicyName|ParamRef|Age", cluster.policy_binding)

PRINTERS: dict[tuple[str, str], Printer] = {
    ("", "Pod"): Printer(
        "Name|Ready|Status|Restarts|Age|IP*|Node*|Nominated Node*|Readiness Gates*",
        pods.cells,
        pods.conditions,
    ),
    ("", "PodTemplate"): Printer("Name|Containers|Images|Pod Labels", workloads.pod_template),
    ("policy", "PodDisruptionBudget"): Printer("Name|Min Available|Max Unavailable|Allowed Disruptions#|Age", workloads.disruption_budget),
    ("", "ReplicationController"): Printer(
        "Name|Desired#|Current#|Ready#|Age|Containers*|Images*|Selector*", workloads.replication_controller
    ),
    (APPS, "ReplicaSet"): Printer("Name|Desired#|Current#|Ready#|Age|Containers*|Images*|Selector*", workloads.replica_set),
    (APPS, "DaemonSet"): Printer(
        "Name|Desired#|Current#|Ready#|Up-to-date#|Available#|Node Selector|Age|Containers*|Images*|Selector*", workloads.daemon_set
    ),
    (APPS, "Deployment"): Printer("Name|Ready|Up-to-date#|Available#|Age|Containers*|Images*|Selector*", workloads.deployment),
    (APPS, "StatefulSet"): Printer("Name|Ready|Age|Containers*|Images*", workloads.stateful_set),
    (APPS, "ControllerRevision"): Printer("Name|Controller|Revision#|Age", workloads.controller_revision),
    (BATCH, "Job"): Printer("Name|Status|Completions|Duration|Age|Containers*|Images*|Selector*", workloads.job),
    (BATCH, "CronJob"): Printer(
        "Name|Schedule|Timezone|Suspend?|Active#|Last Schedule|Age|Containers*|Images*|Selector*", workloads.cron_job
    ),
    (AUTOSCALING, "HorizontalPodAutoscaler"): HPA,
    (AUTOSCALING, "Scale"): Printer("Name|Desired#|Available#|Age", cluster.scale),
    ("", "Service"): Printer("Name|Type|Cluster-IP|External-IP|Port(s)|Age|Selector*", network.service),
    ("", "Endpoints"): Printer("Name|Endpoints|Age", network.endpoints),
    ("discovery.k8s.io", "EndpointSlice"): Printer("Name|AddressType|Ports|Endpoints|Age", network.endpoint_slice),
    (NETWORKING, "Ingress"): Printer("Name|Class|Hosts|Address|Ports|Age", network.ingress),
    (NETWORKING, "IngressClass"): Printer("Name|Controller|Parameters|Age", network.ingress_class),
    (NETWORKING, "NetworkPolicy"): Printer("Name|Pod-Selector|Age", network.network_policy),
    (NETWORKING, "ServiceCIDR"): Printer("Name|CIDRs|Age", network.service_cidr),
    (NETWORKING, "IPAddress"): Printer("Name|ParentRef", network.ip_address),
    ("", "Node"): Printer(
        "Name|Status|Roles|Age|Version|Internal-IP*|External-IP*|OS-Image*|Kernel-Version*|Container-Runtime*", cluster.node
    ),
    ("", "Namespace"): Printer("Name|Status|Age", cluster.namespace),
    ("", "Event"): EVENT,
    ("events.k8s.io", "Event"): EVENT,
    ("", "Secret"): Printer("Name|Type|Data#|Age", cluster.secret),
    ("", "ConfigMap"): Printer("Name|Data#|Age", cluster.config_map),
    ("", "ServiceAccount"): Printer("Name|Secrets#|Age", cluster.service_account),
    ("", "ResourceQuota"): Printer("Name|Request|Limit|Age", cluster.resource_quota),
    ("", "ComponentStatus"): Printer("Name|Status|Message|Error", cluster.component_status),
    ("", "PersistentVolume"): Printer(
        "Name|Capacity|Access Modes|Reclaim Policy|Status|Claim|StorageClass|VolumeAttributesClass|Reason|Age|VolumeMode*",
        cluster.persistent_volume,
    ),
    ("", "PersistentVolumeClaim"): Printer(
        "Name|Status|Volume|Capacity|Access Modes|StorageClass|VolumeAttributesClass|Age|VolumeMode*", cluster.persistent_volume_claim
    ),
    (STORAGE, "StorageClass"): Printer("Name|Provisioner|ReclaimPolicy|VolumeBindingMode|AllowVolumeExpansion?|Age", cluster.storage_class),
    (STORAGE, "VolumeAttachment"): Printer("Name|Attacher|PV|Node|Attached?|Age", cluster.volume_attachment),
    (STORAGE, "VolumeAttributesClass"): Printer("Name|DriverName|Age", cluster.volume_attributes_class),
    (STORAGE, "CSIDriver"): Printer(
        "Name|AttachRequired?|PodInfoOnMount?|StorageCapacity?|TokenRequests|RequiresRepublish?|Modes|Age", cluster.csi_driver
    ),
    (STORAGE, "CSINode"): Printer("Name|Drivers#|Age", cluster.csi_node),
    (STORAGE, "CSIStorageCapacity"): Printer("Name|StorageClassName|Capacity", cluster.csi_storage_capacity),
    (RBAC, "RoleBinding"): BINDING,
    (RBAC, "ClusterRoleBinding"): BINDING,
    (RBAC, "Role"): ROLE,
    (RBAC, "ClusterRole"): ROLE,
    ("certificates.k8s.io", "CertificateSigningRequest"): Printer(
        "Name|Age|SignerName|Requestor|RequestedDuration|Condition", cluster.certificate_request
    ),
    ("certificates.k8s.io", "ClusterTrustBundle"): Printer("Name|SignerName", cluster.trust_bundle),
    (ADMISSION, "ValidatingWebhookConfiguration"): WEBHOOKS,
    (ADMISSION, "MutatingWebhookConfiguration"): WEBHOOKS,
    (ADMISSION, "ValidatingAdmissionPolicy"): Printer("Name|Validations#|ParamKind|Age", cluster.validating_policy),
    (ADMISSION, "MutatingAdmissionPolicy"): Printer("Name|Mutations#|ParamKind|Age", cluster.mutating_policy),
    (ADMISSION, "ValidatingAdmissionPolicyBinding"): POLICY_BINDING,
    (ADMISSION, "MutatingAdmissionPolicyBinding"): POLICY_BINDING,
    (FLOW, "FlowSchema"): Printer("Name|PriorityLevel|MatchingPrecedence#|DistinguisherMethod|Age|MissingPL", cluster.flow_schema),
    (FLOW, "PriorityLevelConfiguration"): Printer(
        "Name|Type|NominalConcurrencyShares|Queues|HandSize|QueueLengthLimit|Age", cluster.priority_level
    ),
    ("scheduling.k8s.io", "PriorityClass"): Printer("Name|Value#|Global-Default?|Age|PreemptionPolicy", cluster.priority_class),
    ("node.k8s.io", "RuntimeClass"): Printer("Name|Handler|Age", cluster.runtime_class),
    ("coordination.k8s.io", "Lease"): Printer("Name|Holder|Age", cluster.lease),
    (RESOURCE, "ResourceClaim"): Printer("Name|State|Age", cluster.resource_claim),
    (RESOURCE, "ResourceClaimTemplate"): Printer("Name|Age", cluster.plain),
    (RESOURCE, "DeviceClass"): Printer("Name|Age", cluster.plain),
    (RESOURCE, "ResourceSlice"): Printer("Name|Node|Driver|Pool|Age", cluster.resource_slice),
    ("storagemigration.k8s.io", "StorageVersionMigration"): Printer("Name|Resource", cluster.storage_version_migration),
    ("apiregistration.k8s.io", "APIService"): Printer("Name|Service|Available|Age", cluster.api_service),
}

DEFAULT = Printer("Name|Created At@", cluster.role)
"""Of kinds that have none of their own, as upstream's generic table."""


@lru_cache(maxsize=256)
def _definitions(columns: str) -> tuple[Object, ...]:
    made = []
    for column in columns.split("|"):
        shown = column.rstrip("*#?@")
        marks = column[len(shown) :]
        kind = "integer" if "#" in marks else "boolean" if "?" in marks else "date" if "@" in marks else "string"
        text = {"Name": NAME_TEXT, "Age": AGE_TEXT}.get(shown, shown)
        format = "name" if shown == "Name" and "*" not in marks else ""
        made.append({"name": shown, "type": kind, "format": format, "description": text, "priority": int("*" in marks)})
    return tuple(made)


class Tables:
    """Prints objects of every kind; `now_s` says the time, s since 1970."""

    def __init__(self, now_s: Callable[[], float]) -> None:
        self._now_s = now_s

    def __call__(self, kind: ResourceType, objects: Sequence[Object]) -> Printed:
        """See `schema.printer_columns.Rows`."""
        is_scale = bool(objects) and objects[0].get("kind") == "Scale"
        if kind.columns is not None and not is_scale:
            return self._custom(kind.columns, objects)
        printer = PRINTERS[AUTOSCALING, "Scale"] if is_scale else PRINTERS.get((kind.group, kind.kind), DEFAULT)
        now_s = self._now_s()
        rows: list[tuple[list[Json], list[Object]]] = []
        for obj in objects:
            conditions = printer.conditions(obj) if printer.conditions is not None else []
            rows.append((list(printer.cells(obj, now_s)), conditions))
        return Printed(list(_definitions(printer.columns)), rows)

    def _custom(self, columns: PrinterColumns, objects: Sequence[Object]) -> Printed:
        now_s = self._now_s()
        return Printed(list(columns.definitions), [(columns.cells(obj, now_s), []) for obj in objects])
