"""delete with each cascade, finalizers, grace, and namespaces that go with what is in them."""

from __future__ import annotations

import pytest

from tests.resource_api.kubectl.session import MANIFESTS, Cluster, Session

pytestmark = pytest.mark.slow


def make_family(kubectl: Session) -> None:
    """A deployment that owns two replica sets."""
    kubectl.quietly("apply -f deployment.yaml")
    uid = kubectl.quietly("get deployment web -o jsonpath={.metadata.uid}")
    kubectl.quietly("create -f -", stdin=(MANIFESTS / "replica-sets.yaml").read_text().replace("OWNER", uid))


def test_dependents_go_or_stay_as_asked(cluster: Cluster) -> None:
    """Background: the owner first; foreground: the owner last; orphan: the owner only."""
    with cluster.session("cascade") as kubectl:
        make_family(kubectl)
        kubectl("delete deployment web")
        kubectl.until("wait --for=delete replicaset/web-1 replicaset/web-2 --timeout=60s")
        kubectl("get deployments,replicasets")
        make_family(kubectl)
        kubectl.quietly("""patch replicaset web-1 --type=merge -p '{"metadata":{"finalizers":["example.com/held"]}}'""")
        kubectl("delete deployment web --cascade=foreground --wait=false")
        kubectl.until("wait --for=delete replicaset/web-2 --timeout=60s")
        kubectl("get deployment web -o jsonpath='{.metadata.finalizers} {.metadata.deletionGracePeriodSeconds}'")
        kubectl("get replicasets -o name")
        kubectl.quietly("""patch replicaset web-1 --type=merge -p '{"metadata":{"finalizers":null}}'""")
        kubectl.until("wait --for=delete deployment/web replicaset/web-1 --timeout=60s")
        make_family(kubectl)
        kubectl("delete deployment web --cascade=orphan")
        kubectl("get deployments,replicasets")
        kubectl("get replicaset web-1 -o jsonpath='{.metadata.ownerReferences}'")
        kubectl("delete replicaset --all")
        kubectl("delete all --all")


def test_finalizers_hold_objects(cluster: Cluster) -> None:
    """What has finalizers stays, marked, until the last is gone."""
    with cluster.session("finalizers") as kubectl:
        kubectl.quietly("create -f config-map.yaml")
        kubectl("""patch configmap settings --type=merge -p '{"metadata":{"finalizers":["example.com/held"]}}'""")
        kubectl("delete configmap settings --wait=false")
        kubectl("delete configmap settings --timeout=2s")
        kubectl("create -f config-map.yaml")
        kubectl("get configmap settings -o jsonpath='{.metadata.deletionTimestamp} {.metadata.finalizers}'")
        kubectl("""patch configmap settings --type=merge -p '{"metadata":{"finalizers":["example.com/held","example.com/more"]}}'""")
        with kubectl.running("wait --for=delete configmap/settings --timeout=60s", raced=True):
            kubectl.quietly("""patch configmap settings --type=json -p '[{"op":"remove","path":"/metadata/finalizers"}]'""")
        kubectl("get configmap settings")


def test_namespaces_go_with_all_that_is_in_them(cluster: Cluster) -> None:
    """A namespace ends when its content has; nothing new comes into it meanwhile."""
    with cluster.session("namespaces") as kubectl:
        kubectl("create namespace doomed")
        kubectl.quietly("create -n doomed -f config-map.yaml")
        kubectl.quietly("""patch -n doomed configmap settings --type=merge -p '{"metadata":{"finalizers":["example.com/held"]}}'""")
        kubectl.quietly("create -n doomed deployment web --image=nginx")
        kubectl("describe namespace doomed")
        kubectl("delete namespace doomed --wait=false")
        kubectl("get namespace doomed")
        kubectl("create configmap late -n doomed")
        kubectl("wait --for=condition=NamespaceFinalizersRemaining namespace/doomed --timeout=60s")
        kubectl("get namespace doomed -o jsonpath='{range .status.conditions[*]}{.type}={.status} {.reason}: {.message}{\"\\n\"}{end}'")
        kubectl("get configmaps,deployments -n doomed -o name")
        with kubectl.running("wait --for=delete namespace/doomed --timeout=60s", raced=True):
            kubectl.quietly("""patch -n doomed configmap settings --type=merge -p '{"metadata":{"finalizers":null}}'""")
        kubectl("get namespace doomed")
        kubectl("delete namespace default")
        kubectl("delete namespace kube-system --dry-run=server")
