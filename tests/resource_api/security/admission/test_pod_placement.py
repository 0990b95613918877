"""What pods take over from their node and may ask of it; who may speak for a signer's roots."""

from __future__ import annotations

import pytest

from resource_api.client import Kind
from resource_api.errors import Object
from resource_api.security.admission import declared_features
from resource_api.security.admission.certificate_requests import ClusterTrustBundleAttest
from resource_api.security.admission.pod_placement import PodResizeValidator, PodTopologyLabels
from resource_api.security.authorization import AlwaysAllow, AlwaysDeny
from tests.resource_api.plane import served
from tests.resource_api.security.admission.test_small_plugins import refusal, run
from tests.resource_api.security.cluster import FakeCluster, request

ZONE, REGION = "topology.kubernetes.io/zone", "topology.kubernetes.io/region"


def node(name: str = "n", system: str = "linux", **labels: str) -> Object:
    """With two CPUs and a gibibyte."""
    metadata = {"name": name, "labels": {"kubernetes.io/os": system, **labels}}
    return {"apiVersion": "v1", "kind": "Node", "metadata": metadata, "status": {"allocatable": {"cpu": "2", "memory": "1Gi"}}}


def pod(cpu: str = "1", memory: str = "1Mi", **labels: str) -> Object:
    """On the node."""
    container = {"name": "c", "resources": {"requests": {"cpu": cpu, "memory": memory}}}
    return {"metadata": {"name": "p", "labels": labels}, "spec": {"nodeName": "n", "containers": [container]}}


def test_topology_of_the_node_becomes_labels():
    """A new pod's own labels stay; a binding's node knows better; a pod without a node, or of an unknown one, gets none."""
    plugin = PodTopologyLabels(FakeCluster(node("n", **{ZONE: "z", REGION: "r", "other": "o"})))
    made = pod(**{ZONE: "mine"})
    run(plugin, request("Pod", "pods", made))
    assert made["metadata"]["labels"] == {ZONE: "mine", REGION: "r"}
    run(plugin, request("Pod", "pods", made, old=made, operation="UPDATE", subresource="binding"))
    assert made["metadata"]["labels"] == {ZONE: "z", REGION: "r"}
    for other in ("", "unknown"):
        free = {"metadata": {"name": "p"}, "spec": {"nodeName": other}}
        run(plugin, request("Pod", "pods", free))
        assert "labels" not in free["metadata"]


def test_resize_beyond_the_node_is_refused():
    """Each resource that is too large is named in the node's units; a change of nothing, or off Linux, is judged too."""
    plugin = PodResizeValidator(FakeCluster(node()))

    def resize(new: Object, old: Object) -> object:
        return request("Pod", "pods", new, old=old, operation="UPDATE", subresource="resize")

    run(plugin, resize(pod("2", "1Gi"), pod()))
    run(plugin, resize(pod("9"), pod("9")))
    said = "Node didn't have enough allocatable resources: cpu, requested: 2500, allocatable: 2000; "
    assert refusal(plugin, resize(pod("2500m", "2Gi"), pod())).endswith(said + "memory, requested: 2147483648, allocatable: 1073741824")
    assert refusal(PodResizeValidator(FakeCluster()), resize(pod("2"), pod())).endswith('node "n" not found')
    windows = PodResizeValidator(FakeCluster(node(system="windows")))
    assert refusal(windows, resize(pod("2"), pod())).endswith('pod resize is only supported on linux nodes, node "n" is "windows"')


def test_bundle_of_a_signer_needs_its_permission():
    """`attest` on the signer; bundles of nobody, and changes that only collect garbage, need none."""

    def bundle(signer: str, **metadata: object) -> Object:
        return {"metadata": {"name": "b", **metadata}, "spec": {"signerName": signer, "trustBundle": "x"}}

    def write(new: Object, old: Object | None = None) -> object:
        operation = "CREATE" if old is None else "UPDATE"
        group = "certificates.k8s.io"
        return request("ClusterTrustBundle", "clustertrustbundles", new, old=old, operation=operation, group=group, namespace="")

    run(ClusterTrustBundleAttest(AlwaysAllow()), write(bundle("example.com/s")))
    plugin = ClusterTrustBundleAttest(AlwaysDeny())
    run(plugin, write(bundle("")))
    run(plugin, write(bundle("example.com/s", finalizers=[]), bundle("example.com/s", finalizers=["a"])))
    assert refusal(plugin, write(bundle("example.com/s"))).endswith('user not permitted to attest for signerName "example.com/s"')


@pytest.mark.asyncio
async def test_bound_pod_shows_its_zone():
    """Through a whole server: the label is there after the binding."""
    pods, nodes = Kind("", "v1", "pods"), Kind("", "v1", "nodes")
    async with served() as server:
        await server.until(Kind("", "v1", "serviceaccounts"), "default", "default", lambda found: True)
        await server.client.create(nodes, node("n", **{ZONE: "z"}))
        spec = {"containers": [{"name": "c", "image": "i"}]}
        await server.client.create(pods, {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p"}, "spec": spec}, "default")
        target = {"apiVersion": "v1", "kind": "Binding", "metadata": {"name": "p"}, "target": {"kind": "Node", "name": "n"}}
        await server.client.create(pods, target, "default", name="p", subresource="binding")
        bound = await server.client.get(pods, "p", "default")
        assert (bound["spec"]["nodeName"], bound["metadata"]["labels"]) == ("n", {ZONE: "z"})


def resized(volume: str = "1Gi", init: str = "1", level: str = "1", policy: str | None = None) -> Object:
    """A pod on the node, with all that resizing can need a feature for."""
    first = {"name": "i", "resources": {"requests": {"cpu": init}}, **({"restartPolicy": policy} if policy else {})}
    volumes = [{"name": "v", "emptyDir": {"medium": "Memory", "sizeLimit": volume}}]
    resources = {"requests": {"cpu": level}}
    spec = {"nodeName": "n", "resources": resources, "initContainers": [first], "containers": [{"name": "c"}], "volumes": volumes}
    return {"metadata": {"name": "p"}, "spec": spec}


ALL_FEATURES = [declared_features.POD_LEVEL, declared_features.INIT_CONTAINERS, declared_features.MEMORY_VOLUMES]


@pytest.mark.parametrize("subresource", ["", "resize"])
@pytest.mark.parametrize(
    ("new", "old", "needed"),
    [
        (resized(), resized(), []),
        (resized(level="2"), resized(), ALL_FEATURES[:1]),
        (resized(init="2"), resized(), ALL_FEATURES[1:2]),
        (resized(init="2", policy="Always"), resized(policy="Always"), []),
        (resized(volume="2Gi"), resized(), ALL_FEATURES[2:]),
        (resized(volume="1024Mi"), resized(), []),
        (resized("2Gi", "2", "2"), resized(), ALL_FEATURES),
    ],
)
def test_change_that_needs_a_feature_of_the_kubelet_is_refused_without_it(
    new: Object, old: Object, needed: list[str], subresource: str
) -> None:
    """The node says what it can; a pod on no node needs nothing."""

    def write(obj: Object) -> object:
        return request("Pod", "pods", obj, old=old, operation="UPDATE", subresource=subresource)

    bare = declared_features.NodeDeclaredFeatureValidator(FakeCluster(node()))
    if not needed:
        run(bare, write(new))
        return
    text = f'pod update requires features {", ".join(needed)} which are not available on node "n"'
    assert refusal(bare, write(new)).endswith(text)
    able = {**node(), "status": {"declaredFeatures": needed}}
    run(declared_features.NodeDeclaredFeatureValidator(FakeCluster(able)), write(new))
    assert refusal(declared_features.NodeDeclaredFeatureValidator(FakeCluster()), write(new)).endswith('node "n" not found')
    free = {**new, "spec": {**new["spec"], "nodeName": ""}}
    run(bare, write(free))
