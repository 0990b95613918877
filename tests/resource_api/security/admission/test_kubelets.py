"""What kubelets may write (NodeRestriction) and read (mode Node)."""

from __future__ import annotations

from resource_api.registry.requests import User
from resource_api.security.admission.node_restriction import NodeRestriction
from resource_api.security.authorization import Attributes
from resource_api.security.node_authorizer import NodeAuthorizer
from tests.resource_api.security.admission.test_small_plugins import pod, refusal, run
from tests.resource_api.security.cluster import ALICE, FakeCluster, request

KUBELET = User("system:node:n1", ("system:nodes", "system:authenticated"))


def test_kubelets_change_their_own_node_and_pods_only():
    """Mirror pods on itself, status of its pods, its node, its lease."""
    plugin = NodeRestriction()
    mirror = pod(nodeName="n1")
    mirror["metadata"]["annotations"] = {"kubernetes.io/config.mirror": "1"}
    run(plugin, request("Pod", "pods", mirror, user=KUBELET))
    for obj in (pod(nodeName="n1"), {**mirror, "spec": {"nodeName": "n2"}}):
        refusal(plugin, request("Pod", "pods", obj, user=KUBELET))
    for bound, fine in (("n1", True), ("n2", False)):
        old = pod(nodeName=bound)
        for write in (
            request("Pod", "pods", old, old=old, operation="UPDATE", subresource="status", user=KUBELET),
            request("Pod", "pods", None, old=old, operation="DELETE", user=KUBELET),
        ):
            if fine:
                run(plugin, write)
            else:
                refusal(plugin, write)
    refusal(plugin, request("Pod", "pods", mirror, old=mirror, operation="UPDATE", user=KUBELET))
    for name, fine in (("n1", True), ("n2", False)):
        lease = request(
            "Lease", "leases", {"metadata": {"name": name}}, group="coordination.k8s.io", namespace="kube-node-lease", user=KUBELET
        )
        node = request("Node", "nodes", {"metadata": {"name": name}}, namespace="", user=KUBELET)
        for write in (lease, node):
            if fine:
                run(plugin, write)
            else:
                refusal(plugin, write)
    run(plugin, request("Pod", "pods", pod(), user=ALICE))


def test_kubelets_read_what_their_pods_refer_to():
    """Secrets by reference only; nodes of others are read, not written; nothing beyond the role."""
    bound = {"apiVersion": "v1", "kind": "Pod", **pod(nodeName="n1", serviceAccountName="robot")}
    bound["metadata"] = {"name": "p", "namespace": "a"}
    bound["spec"]["volumes"] = [
        {"name": "v", "secret": {"secretName": "s"}},
        {"name": "w", "persistentVolumeClaim": {"claimName": "c"}},
        {"name": "x", "projected": {"sources": [{"configMap": {"name": "m"}}]}},
    ]
    bound["spec"]["containers"][0]["envFrom"] = [{"secretRef": {"name": "e"}}]
    claimed = {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": {"name": "c", "namespace": "a"},
        "spec": {"volumeName": "vol"},
    }
    node = NodeAuthorizer(FakeCluster(bound, claimed))

    def may(verb: str, resource: str, name: str, namespace: str = "a", user: User = KUBELET, group: str = "") -> bool:
        resource, _, sub = resource.partition("/")
        return node.authorize(Attributes(user, verb, group, "v1", resource, sub, namespace, name)).allowed

    for name in ("s", "e"):
        assert may("get", "secrets", name)
    assert may("get", "configmaps", "m") and may("get", "persistentvolumeclaims", "c") and may("get", "persistentvolumes", "vol", "")
    assert may("create", "serviceaccounts/token", "robot") and not may("create", "serviceaccounts/token", "default")
    assert not may("get", "secrets", "other") and not may("get", "secrets", "s", "b") and not may("list", "secrets", "")
    assert not may("get", "secrets", "s", user=User("system:node:n2", ("system:nodes",)))
    assert not may("get", "secrets", "s", user=User("system:node:n1", ()))
    assert may("get", "nodes", "n2", "") and may("update", "nodes", "n1", "") and not may("update", "nodes", "n2", "")
    assert not may("delete", "nodes", "n1", "") and not may("create", "deployments", "d", group="apps")
