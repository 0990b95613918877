"""A server that is stopped and started again is the same server."""

from __future__ import annotations

import pytest

from tests.resource_api.kubectl.session import Cluster

pytestmark = pytest.mark.slow


def test_restarted_server_has_lost_nothing(cluster: Cluster) -> None:
    """Objects, owners, permissions, custom kinds and tokens outlive the process; resource versions go on."""
    with cluster.session("restart") as kubectl:
        kubectl.quietly("apply -f deployment.yaml -f config-map.yaml -f crd.yaml")
        kubectl.quietly("wait --for=condition=Established crd/crontabs.stable.example.com --timeout=60s")
        kubectl.quietly("apply -f crontab.yaml")
        kubectl.quietly("create rolebinding viewers --clusterrole=view --user=ann")
        kubectl.quietly("expose deployment web --port=80")
        everything = "get deployment,configmap,crontab,service,namespace,rolebinding,serviceaccount -o yaml --show-managed-fields"
        before = kubectl.quietly(everything)
        token = kubectl.quietly("create token default").strip()
        cluster.stop()
        cluster.start()
        kubectl.choose("restart")
        assert kubectl.quietly(everything) == before
        kubectl("get deployment,configmap,crontab,service,rolebinding")
        kubectl("get namespaces")
        kubectl("apply -f deployment.yaml -f config-map.yaml -f crontab.yaml")
        kubectl("apply -f deployment-changed.yaml")
        kubectl("auth can-i list pods --as=ann")
        kubectl("scale crontab nightly --replicas=2")
        kubectl("api-resources --api-group=stable.example.com")
        kubectl("explain crontab.spec.image")
        with kubectl.running("get configmaps -w", until_line=3, lines=4):
            kubectl.quietly("label configmap settings a=b")
        whoami = kubectl.quietly(f"auth whoami -o jsonpath={{.status.userInfo.username}} --kubeconfig={kubectl.with_token(token)}")
        assert whoami == "system:serviceaccount:restart:default"
        kubectl("delete deployment web")
        kubectl("delete -f crd.yaml")
        kubectl("get crontabs")
