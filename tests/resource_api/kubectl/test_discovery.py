"""What the server says of itself: kinds, versions, fields."""

from __future__ import annotations

import pytest

from tests.resource_api.kubectl.session import Cluster

pytestmark = pytest.mark.slow


def test_server_describes_its_kinds_as_upstream(cluster: Cluster) -> None:
    """Kinds, short names, verbs and categories are those of Kubernetes 1.37."""
    with cluster.session("discovery") as kubectl:
        kubectl("api-resources -o wide --sort-by=name")
        kubectl("api-resources --namespaced=false -o name")
        kubectl("api-resources --api-group=apps --no-headers")
        kubectl("api-resources --categories=all --verbs=list -o name")
        kubectl("api-versions")
        # The server says what it is: another compiler, no commit.
        kubectl("version -o json --client=false")
        kubectl("cluster-info")
        kubectl("get --raw /healthz")
        # Upstream's checks are named after its own hooks; this server has fewer and other parts.
        kubectl("get --raw /readyz?verbose")
        kubectl("get --raw /livez/ping")
        kubectl("get unicorns")
        kubectl("get configmap.v2 x")
        kubectl("get --raw /apis/nothing.example.com/v1/things")
        kubectl("get --raw /api/v1/things")


def test_fields_of_kinds_are_explained(cluster: Cluster) -> None:
    """`explain` finds every field, its type, and what it is for."""
    with cluster.session("explain") as kubectl:
        kubectl("explain configmap")
        kubectl("explain deployment.spec.strategy --recursive")
        # Upstream's server lists the values of enumerations here; the published definitions, of which ours are made, do not have them.
        kubectl("explain pods.spec.containers.ports.protocol")
        kubectl("explain pods.spec.containers.imagePullPolicy")
        kubectl("explain pvc.spec.accessModes")
        kubectl("explain horizontalpodautoscaler.spec.behavior --api-version=autoscaling/v2")
        kubectl("explain pod.spec.nothing")
        kubectl("explain unicorn")
        kubectl("explain namespace.status --output=plaintext-openapiv2")
        kubectl("explain deployment.spec.strategy --output=plaintext-openapiv2 --recursive")
