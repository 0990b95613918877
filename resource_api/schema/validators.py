"""Which kind is checked by which rules."""

from __future__ import annotations

from resource_api.schema import (
    validation_apps,
    validation_batch,
    validation_core,
    validation_pod,
    validation_service,
    validation_storage,
)
from resource_api.schema.validation import Validator

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
    ("apps", "ControllerRevision"): validation_apps.validate_controller_revision,
    ("apps", "DaemonSet"): validation_apps.validate_daemon_set,
    ("apps", "Deployment"): validation_apps.validate_deployment,
    ("apps", "ReplicaSet"): validation_apps.validate_replica_set,
    ("apps", "StatefulSet"): validation_apps.validate_stateful_set,
    ("batch", "CronJob"): validation_batch.validate_cron_job,
    ("batch", "Job"): validation_batch.validate_job,
    ("discovery.k8s.io", "EndpointSlice"): validation_service.validate_endpoint_slice,
    ("events.k8s.io", "Event"): validation_core.validate_events_event,
    ("storage.k8s.io", "CSIDriver"): validation_storage.validate_csi_driver,
    ("storage.k8s.io", "CSINode"): validation_storage.validate_csi_node,
    ("storage.k8s.io", "CSIStorageCapacity"): validation_storage.validate_storage_capacity,
    ("storage.k8s.io", "StorageClass"): validation_storage.validate_storage_class,
    ("storage.k8s.io", "VolumeAttachment"): validation_storage.validate_attachment,
    ("storage.k8s.io", "VolumeAttributesClass"): validation_storage.validate_attributes_class,
}
"""By group and kind. A kind that is not here is checked by its schema alone."""
