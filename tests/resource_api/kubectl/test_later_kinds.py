"""A kind that is defined when the server has long been working, defined anew in another shape, and gone again."""

from __future__ import annotations

import pytest

from tests.resource_api.kubectl.session import MANIFESTS, Cluster

pytestmark = pytest.mark.slow

GIZMO = """
apiVersion: fg.com/v1
kind: Gizmo
metadata: {name: g1}
"""

OWNED = """
apiVersion: v1
kind: ConfigMap
metadata:
  name: owned
  ownerReferences:
  - {apiVersion: fg.com/v1, kind: Gizmo, name: g1, uid: %s, blockOwnerDeletion: true}
"""

ESTABLISHED = "wait --for=condition=Established crd/gizmos.fg.com --timeout=60s"


def test_kind_that_came_later_is_no_other_kind(cluster: Cluster) -> None:
    """Namespaces end with its objects, the collector knows them, its definition can be deleted and be another one afterwards."""
    with cluster.session("later-kinds") as kubectl:
        # What empties namespaces has worked before there was the kind.
        kubectl("create namespace one")
        kubectl("delete namespace one")
        kubectl("apply -f gizmos.yaml")
        kubectl(ESTABLISHED)
        kubectl("create namespace two")
        kubectl("create -n two -f -", stdin=GIZMO)
        kubectl("delete namespace two --timeout=60s")
        for cascade in ("background", "foreground", "orphan"):
            kubectl.quietly("create -f -", stdin=GIZMO)
            uid = kubectl.quietly("get gizmo g1 -o jsonpath='{.metadata.uid}'")
            kubectl.quietly("create -f -", stdin=OWNED % uid)
            kubectl(f"delete gizmo g1 --cascade={cascade} --timeout=60s")
            if cascade == "orphan":
                kubectl("get configmap owned -o jsonpath='{.metadata.ownerReferences}'")
            else:
                kubectl("wait --for=delete configmap/owned --timeout=60s")
        kubectl.quietly("create -f -", stdin=GIZMO)
        kubectl("delete crd gizmos.fg.com --timeout=60s")
        kubectl("get gizmos")
        other = (MANIFESTS / "gizmos.yaml").read_text().replace("Namespaced", "Cluster").replace("name: v1\n", "name: v2\n")
        kubectl.quietly("create -f -", stdin=other)
        kubectl(ESTABLISHED)
        kubectl("api-resources --api-group=fg.com")
        kubectl("create -f -", stdin=GIZMO)
        kubectl("create -f -", stdin=GIZMO.replace("v1", "v2"))
        kubectl("get gizmos -A -o name")
        kubectl("delete crd gizmos.fg.com --timeout=60s")


def test_pod_follows_its_namespace_at_once(cluster: Cluster) -> None:
    """Nobody has to wait for the account that every namespace gets."""
    with cluster.session("pods-at-once") as kubectl:
        for number in range(5):
            kubectl(f"create namespace at-once-{number}")
            kubectl(f"run web --image=nginx -n at-once-{number}")
        kubectl("get pod web -n at-once-4 -o jsonpath='{.spec.serviceAccountName}'")


def test_object_without_a_count_is_scaled(cluster: Cluster) -> None:
    """To any number, and to none; only what it has not got cannot be read."""
    with cluster.session("scaled-gizmos") as kubectl:
        kubectl.quietly("apply -f gizmos.yaml")
        kubectl.quietly(ESTABLISHED)
        kubectl.quietly("create -f -", stdin=GIZMO)
        kubectl("get gizmo g1 --subresource=scale")
        kubectl("patch gizmo g1 --subresource=scale --type=merge -p '{}'")
        kubectl("scale gizmo g1 --replicas=3")
        kubectl("get gizmo g1 -o jsonpath='{.spec}'")
        kubectl("scale gizmo g1 --replicas=0 --current-replicas=3")
        kubectl("get gizmo g1 -o jsonpath='{.spec}'")
        kubectl("get gizmo g1 --subresource=scale -o jsonpath='{.spec}'")
        kubectl("scale gizmo g1 --replicas=-1")
        kubectl("delete crd gizmos.fg.com --timeout=60s")
