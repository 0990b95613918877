"""scale, set and rollout, where the test does what controllers do elsewhere."""

from __future__ import annotations

import json

import pytest

from tests.resource_api.kubectl.session import MANIFESTS, Cluster, Session

pytestmark = pytest.mark.slow


def write_status(kubectl: Session, what: str, **status: object) -> None:
    """What a controller would write."""
    kubectl.quietly(f"patch {what} --subresource=status --type=merge -p '{json.dumps({'status': status})}'")


def test_workloads_are_scaled_and_set(cluster: Cluster) -> None:
    """scale goes by the subresource, set by strategic merge."""
    with cluster.session("scale") as kubectl:
        kubectl.quietly("apply -f deployment.yaml -f assorted.yaml")
        kubectl("scale deployment web --replicas=4")
        kubectl("scale deployment web --replicas=5 --current-replicas=4")
        kubectl("scale deployment web --replicas=6 --current-replicas=4")
        kubectl("scale deployment/web statefulset/db rc/old --replicas=1")
        kubectl("scale deployment nothing --replicas=1")
        kubectl("scale daemonset agent --replicas=1")
        kubectl("get deployment,statefulset,rc")
        kubectl("set image deployment/web server=nginx:2")
        kubectl("set image deployment/web other=nginx:2")
        kubectl("set env deployment/web COLOR=green SIZE=10 OLD-")
        kubectl("set env deployment/web --list")
        kubectl("set resources deployment web --limits=cpu=200m,memory=512Mi --requests=cpu=100m")
        kubectl("set serviceaccount deployment web robot")
        kubectl("set selector service web app=other")
        kubectl.quietly("create rolebinding viewers --clusterrole=view --user=ann")
        kubectl("set subject rolebinding viewers --user=ann --group=staff")
        kubectl("get deployment web -o yaml")
        kubectl("get rolebinding viewers -o wide")


def test_rollouts_go_forward_and_back(cluster: Cluster) -> None:
    """Rollouts of a deployment whose controller is the test: restart, pause, history, undo, status."""
    with cluster.session("rollout") as kubectl:
        kubectl.quietly("apply -f deployment.yaml")
        uid = kubectl.quietly("get deployment web -o jsonpath={.metadata.uid}")
        kubectl.quietly("create -f -", stdin=(MANIFESTS / "replica-sets.yaml").read_text().replace("OWNER", uid))
        kubectl.quietly("annotate deployment web deployment.kubernetes.io/revision=2")
        kubectl("rollout history deployment/web")
        kubectl("rollout history deployment/web --revision=2")
        kubectl("rollout history deployment/web --revision=5")
        with kubectl.running("rollout status deployment/web --timeout=60s", until_line=1):
            one = {"readyReplicas": 1, "availableReplicas": 1, "unavailableReplicas": 1}
            write_status(kubectl, "deployment web", observedGeneration=1, replicas=2, updatedReplicas=2, **one)
            write_status(kubectl, "deployment web", readyReplicas=2, availableReplicas=2, unavailableReplicas=None)
        kubectl("get deployment,replicaset -o wide")
        kubectl("describe deployment web")
        kubectl("describe replicaset web-2")
        kubectl("rollout restart deployment/web")
        kubectl("rollout pause deployment/web")
        kubectl("rollout pause deployment/web")
        kubectl("rollout restart deployment/web")
        kubectl("rollout undo deployment/web")
        kubectl("rollout resume deployment/web")
        kubectl("rollout undo deployment/web --dry-run=server")
        kubectl("rollout undo deployment/web")
        kubectl("rollout undo deployment/web --to-revision=9")
        kubectl("get deployment web -o jsonpath='{.metadata.generation} {.spec.template}'")
        kubectl("rollout status deployment/web --watch=false")
        kubectl("rollout status replicaset/web-1")


def test_pods_show_their_state(cluster: Cluster) -> None:
    """Pods whose kubelet is the test, in tables and descriptions."""
    with cluster.session("pods") as kubectl:
        kubectl.quietly("create -f nodes.yaml -f pods.yaml")
        image = {"image": "busybox:1", "imageID": "i"}
        running = {"running": {"startedAt": "2026-01-02T03:04:05Z"}}
        write_status(
            kubectl,
            "pod running",
            phase="Running",
            podIP="10.2.0.1",
            podIPs=[{"ip": "10.2.0.1"}],
            hostIP="192.0.2.1",
            conditions=[{"type": "Ready", "status": "False"}],
            containerStatuses=[
                {"name": "main", "ready": True, "restartCount": 2, "state": running, "started": True, **image},
                {"name": "side", "ready": False, "restartCount": 0, "state": {"waiting": {"reason": "ImagePullBackOff"}}, **image},
            ],
        )
        kubectl("get pods -o wide")
        kubectl("get pods --field-selector spec.nodeName=alpha -o name")
        kubectl("get pods --field-selector status.phase=Pending -o name")
        kubectl("describe pods")
        kubectl("get pod waiting -o yaml")
        kubectl("logs running")
        kubectl("logs waiting")
        kubectl("exec running -c main -- date")
        kubectl("exec waiting -- date")
        kubectl("attach running -c main")
        kubectl("port-forward pod/waiting 8080:80")
        kubectl("port-forward pod/running :8080")
        kubectl("cp running:/etc/hosts /tmp/hosts -c main")
        kubectl("debug running --image=busybox --attach=false -q -c helper")
        kubectl("get pod running -o jsonpath='{.spec.ephemeralContainers}'")
        kubectl("debug waiting --copy-to=copied --set-image=main=busybox:2 --attach=false")
        kubectl("debug node/beta --image=busybox --attach=false")
        kubectl("get pods -o custom-columns=IMAGES:.spec.containers[*].image,NODE:.spec.nodeName")
        kubectl("top pods")
        kubectl("delete pod waiting")
        kubectl("delete pod running --wait=false")
        kubectl("get pod running")
        kubectl("delete pod running --force --grace-period=0")
        kubectl("get pods -l app --show-labels")
        kubectl.quietly("delete node alpha beta")
