"""What a new object contains before anybody set anything."""

from __future__ import annotations

from resource_api.errors import Object
from resource_api.patch.zero_objects import zero_object
from resource_api.schema.builtin import resource_types


def test_zero_objects_are_those_of_upstreams_types() -> None:
    """Structs kept by value, to any depth, with the nulls and zeros they are written with; nothing else."""
    found: dict[str, Object] = {f"{one.api_version} {one.kind}": zero_object(one) for one in resource_types()}
    assert found["v1 ConfigMap"] == {"metadata": {}}
    assert found["autoscaling/v2 HorizontalPodAutoscaler"] == {
        "metadata": {},
        "spec": {"scaleTargetRef": {"kind": "", "name": ""}, "maxReplicas": 0},
        "status": {"desiredReplicas": 0, "currentMetrics": None},
    }
    assert found["batch/v1 CronJob"] == {
        "metadata": {},
        "spec": {"schedule": "", "jobTemplate": {"metadata": {}, "spec": {"template": {"metadata": {}, "spec": {"containers": None}}}}},
        "status": {},
    }
    assert found["apiextensions.k8s.io/v1 CustomResourceDefinition"]["status"] == {
        "conditions": None,
        "acceptedNames": {"plural": "", "kind": ""},
        "storedVersions": None,
    }
