"""get and describe in all their forms, events, and watches."""

from __future__ import annotations

import json
import select
from datetime import UTC, datetime

import pytest

from raftkv.clock import SystemClock
from tests.resource_api.kubectl.session import MANIFESTS, Cluster

pytestmark = pytest.mark.slow

KINDS = (
    "services secrets persistentvolumeclaims limitranges statefulsets daemonsets jobs cronjobs ingresses networkpolicies "
    "poddisruptionbudgets horizontalpodautoscalers endpointslices leases replicationcontrollers serviceaccounts"
)


def test_lists_are_chosen_sorted_and_cut(cluster: Cluster) -> None:
    """Selectors, order, columns and pages of lists."""
    with cluster.session("lists") as kubectl:
        for number, color in enumerate(("red", "green", "blue", "green")):
            kubectl.quietly(f"create configmap c{number} --from-literal=size={9 - number}")
            kubectl.quietly(f"label configmap c{number} color={color} n={number}")
        kubectl("get configmaps --sort-by=.data.size -l color")
        kubectl("get cm -l color=green")
        kubectl("get cm -l 'color in (red,blue),n!=0' -o name")
        kubectl("get cm -l '!color' -o name")
        kubectl("get cm -l 'color notin (green)' --no-headers")
        kubectl("get cm --field-selector metadata.name=c2 --show-labels")
        kubectl("get cm --field-selector metadata.name!=c2 -l color --show-kind -L color,n")
        kubectl("get cm --field-selector data.size=9")
        kubectl("get cm -l 'color in green'")
        kubectl("get cm -l color --chunk-size=2 -o jsonpath='{range .items[*]}{.metadata.name} {end}'")
        kubectl("get cm -l color -o custom-columns=NAME:.metadata.name,COLOR:.metadata.labels.color")
        kubectl("get cm -l color -o yaml")
        kubectl("get cm/c0 cm/c1 cm/nothing")
        kubectl("get cm,secret -o name")
        kubectl("get cm -A -l color=green")
        kubectl("get pods")
        kubectl("get pods -A")
        kubectl("get all")
        kubectl("get namespaces --field-selector metadata.name=lists")
        kubectl("get namespace lists -o yaml")
        kubectl("get cm -n nowhere")
        kubectl("get endpoints")
        # Upstream asks the scheduler's port; here is none.
        kubectl("get componentstatuses")
        kubectl("get secrets --field-selector type=Opaque")
        kubectl("get pods --field-selector color=blue")
        kubectl("get --raw /api/v1/namespaces/lists/configmaps/c0/nothing")


def test_kinds_have_their_columns(cluster: Cluster) -> None:
    """Tables and descriptions of kinds are upstream's, also where no controller has filled the status."""
    with cluster.session("kinds") as kubectl:
        kubectl("create -f assorted.yaml")
        kubectl("get all")
        for kind in KINDS.split():
            kubectl(f"get {kind} -o wide")
        # The claim has no finalizer `kubernetes.io/pvc-protection`: there is no controller that would take it away again.
        kubectl("describe service/web secret/password pvc/data limitrange/limits")
        kubectl("describe statefulset/db daemonset/agent job/once cronjob/nightly")
        kubectl("describe ingress/front networkpolicy/closed pdb/web hpa/web endpointslice/web-1 lease/leader rc/old")
        kubectl("get statefulset db -o yaml")
        kubectl("get job once -o yaml")
        kubectl("get cronjob nightly -o yaml")
        kubectl("get service web -o yaml")
        # Upstream's status has `currentMetrics: null` besides.
        kubectl("get hpa web -o yaml")
        kubectl("get horizontalpodautoscalers.v1.autoscaling web -o yaml")


def test_events_are_listed_and_belong_to_objects(cluster: Cluster) -> None:
    """Events of both groups are the same events."""
    with cluster.session("events") as kubectl:
        kubectl.quietly("create configmap settings")
        now = SystemClock().wall_s()
        written = datetime.fromtimestamp(now, UTC).strftime("%Y-%m-%dT%H:%M:%S")
        events = (MANIFESTS / "events.yaml").read_text().replace("NAMESPACE", "events").replace("NOW", written)
        kubectl("create -f -", stdin=events)
        kubectl("events")
        kubectl("get events -o wide")
        kubectl("events --for configmap/settings")
        kubectl("events --types=Warning")
        kubectl("get events -o custom-columns=NAME:.metadata.name,REASON:.reason,OBJECT:.involvedObject.name")
        kubectl("get events.events.k8s.io -o custom-columns=NAME:.metadata.name,REASON:.reason,OBJECT:.regarding.name,NOTE:.note")
        kubectl("get events --field-selector involvedObject.name=other,type=Warning -o name")
        kubectl("get events --field-selector color=blue")
        kubectl("delete events --all")


def test_watches_print_what_changes(cluster: Cluster) -> None:
    """A watch shows what stands and then every change, and only of what is chosen."""
    with cluster.session("watches") as kubectl:
        kubectl.quietly("create configmap first")
        with kubectl.running("get configmaps -w -l '!quiet'", until_line=3, lines=6):
            kubectl.quietly("create configmap second --from-literal=a=1")
            kubectl.quietly("label configmap second quiet=yes")
            kubectl.quietly("delete configmap first")
        with kubectl.running("get configmap second -w -o jsonpath='{.data}{\"\\n\"}'", until_line=1, lines=2):
            kubectl.quietly("""patch configmap second -p '{"data":{"a":"2"}}'""")
        with kubectl.running("get configmaps -w --output-watch-events", until_line=3, lines=5):
            kubectl.quietly("create configmap third")
            kubectl.quietly("delete configmap third")
        with kubectl.running("get configmaps --watch-only -o custom-columns=NAME:.metadata.name", lines=2) as watch:
            assert watch.stdout is not None
            # Whether the watch has begun cannot be seen from outside; each change makes a line once it has.
            for number in range(1000):
                kubectl.quietly(f"annotate configmap second n={number} --overwrite")
                if select.select([watch.stdout], [], [], 0)[0]:
                    break


def test_waits_end_when_it_is_so(cluster: Cluster) -> None:
    """wait sees conditions, fields, creation and deletion, those that are and those that come."""
    with cluster.session("waits") as kubectl:
        kubectl.quietly("create deployment web --image=nginx:1")
        kubectl("wait deployment/web --for=condition=Available --timeout=1s")
        with kubectl.running("wait deployment/web --for=condition=Available --timeout=60s"):
            status = {"observedGeneration": 1, "conditions": [{"type": "Available", "status": "True", "reason": "Test", "message": "m"}]}
            patch = json.dumps({"status": status})
            kubectl.quietly(f"patch deployment web --subresource=status --type=merge -p '{patch}'")
        kubectl("wait deployment/web --for=condition=Available=false --timeout=0")
        kubectl("wait deployment/web --for=jsonpath='{.spec.replicas}'=1")
        with kubectl.running("wait --for=create configmap/late --timeout=60s"):
            kubectl.quietly("create configmap late")
        with kubectl.running("wait --for=delete configmap/late --timeout=60s", raced=True):
            kubectl.quietly("delete configmap late")
        kubectl("wait --for=delete configmap/late")
        kubectl("wait configmap/none --for=condition=Ready")
        kubectl("wait deployment --all --for=condition=Available")
