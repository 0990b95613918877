"""Which kind is checked by which rules."""

from __future__ import annotations

from resource_api.schema.validation import admission as validation_admission
from resource_api.schema.validation import apps as validation_apps
from resource_api.schema.validation import batch as validation_batch
from resource_api.schema.validation import certificates as validation_certificates
from resource_api.schema.validation import core as validation_core
from resource_api.schema.validation import networking as validation_networking
from resource_api.schema.validation import other as validation_other
from resource_api.schema.validation import pod as validation_pod
from resource_api.schema.validation import rbac as validation_rbac
from resource_api.schema.validation import scaling as validation_scaling
from resource_api.schema.validation import service as validation_service
from resource_api.schema.validation import storage as validation_storage
from resource_api.schema.validation.rules import Validator

VALIDATORS: dict[tuple[str, str], Validator] = {
    ("", "ConfigMap"): validation_core.validate_config_map,
    ("", "Endpoints"): validation_service.validate_endpoints,
    ("", "Event"): validation_core.validate_event,
    ("", "LimitRange"): validation_core.validate_limit_range,
    ("", "Namespace"): validation_core.validate_namespace,
    ("", "Node"): validation_core.validate_node,
    ("", "PersistentVolume"): validation_storage.validate_volume,
    ("", "PersistentVolumeClaim"): validation_storage.validate_claim,
    ("", "Pod"): validation_pod.validate_pod,
    ("", "PodTemplate"): validation_pod.validate_template_kind,
    ("", "ReplicationController"): validation_apps.validate_replication_controller,
    ("", "ResourceQuota"): validation_core.validate_resource_quota,
    ("", "Secret"): validation_core.validate_secret,
    ("", "Service"): validation_service.validate_service,
    ("admissionregistration.k8s.io", "MutatingAdmissionPolicy"): validation_admission.validate_policy,
    ("admissionregistration.k8s.io", "MutatingAdmissionPolicyBinding"): validation_admission.validate_policy_binding,
    ("admissionregistration.k8s.io", "MutatingWebhookConfiguration"): validation_admission.validate_webhooks,
    ("admissionregistration.k8s.io", "ValidatingAdmissionPolicy"): validation_admission.validate_policy,
    ("admissionregistration.k8s.io", "ValidatingAdmissionPolicyBinding"): validation_admission.validate_policy_binding,
    ("admissionregistration.k8s.io", "ValidatingWebhookConfiguration"): validation_admission.validate_webhooks,
    ("apiregistration.k8s.io", "APIService"): validation_other.validate_api_service,
    ("apps", "ControllerRevision"): validation_apps.validate_controller_revision,
    ("apps", "DaemonSet"): validation_apps.validate_daemon_set,
    ("apps", "Deployment"): validation_apps.validate_deployment,
    ("apps", "ReplicaSet"): validation_apps.validate_replica_set,
    ("apps", "StatefulSet"): validation_apps.validate_stateful_set,
    ("autoscaling", "HorizontalPodAutoscaler"): validation_scaling.validate_autoscaler,
    ("batch", "CronJob"): validation_batch.validate_cron_job,
    ("batch", "Job"): validation_batch.validate_job,
    ("certificates.k8s.io", "CertificateSigningRequest"): validation_certificates.validate_signing_request,
    ("certificates.k8s.io", "ClusterTrustBundle"): validation_certificates.validate_trust_bundle,
    ("coordination.k8s.io", "Lease"): validation_scaling.validate_lease,
    ("discovery.k8s.io", "EndpointSlice"): validation_service.validate_endpoint_slice,
    ("events.k8s.io", "Event"): validation_core.validate_events_event,
    ("flowcontrol.apiserver.k8s.io", "FlowSchema"): validation_other.validate_flow_schema,
    ("flowcontrol.apiserver.k8s.io", "PriorityLevelConfiguration"): validation_other.validate_priority_level,
    ("networking.k8s.io", "IPAddress"): validation_networking.validate_ip_address,
    ("networking.k8s.io", "Ingress"): validation_networking.validate_ingress,
    ("networking.k8s.io", "IngressClass"): validation_networking.validate_ingress_class,
    ("networking.k8s.io", "NetworkPolicy"): validation_networking.validate_network_policy,
    ("networking.k8s.io", "ServiceCIDR"): validation_networking.validate_service_cidr,
    ("node.k8s.io", "RuntimeClass"): validation_scaling.validate_runtime_class,
    ("policy", "PodDisruptionBudget"): validation_scaling.validate_disruption_budget,
    ("rbac.authorization.k8s.io", "ClusterRole"): validation_rbac.validate_cluster_role,
    ("rbac.authorization.k8s.io", "ClusterRoleBinding"): validation_rbac.validate_cluster_role_binding,
    ("rbac.authorization.k8s.io", "Role"): validation_rbac.validate_role,
    ("rbac.authorization.k8s.io", "RoleBinding"): validation_rbac.validate_role_binding,
    ("resource.k8s.io", "ResourceClaim"): validation_other.validate_resource_claim,
    ("resource.k8s.io", "ResourceClaimTemplate"): validation_other.validate_claim_template,
    ("scheduling.k8s.io", "PriorityClass"): validation_scaling.validate_priority_class,
    ("storage.k8s.io", "CSIDriver"): validation_storage.validate_csi_driver,
    ("storage.k8s.io", "CSINode"): validation_storage.validate_csi_node,
    ("storage.k8s.io", "CSIStorageCapacity"): validation_storage.validate_storage_capacity,
    ("storage.k8s.io", "StorageClass"): validation_storage.validate_storage_class,
    ("storage.k8s.io", "VolumeAttachment"): validation_storage.validate_attachment,
    ("storage.k8s.io", "VolumeAttributesClass"): validation_storage.validate_attributes_class,
}
"""By group and kind. A kind that is not here is checked by its schema alone."""
