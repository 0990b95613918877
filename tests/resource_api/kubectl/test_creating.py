"""Every `create` generator, run, expose, autoscale, and what is refused."""

from __future__ import annotations

import pytest

from tests.resource_api.kubectl.session import Cluster

pytestmark = pytest.mark.slow

GENERATORS = """
create clusterrole reader --verb=get,list --resource=pods,pods/status
create clusterrole web-reader --verb=get --non-resource-url=/logs/*
create clusterrole many --aggregation-rule=example.com/into=many
create clusterrolebinding readers --clusterrole=reader --user=ann --group=staff --serviceaccount=generators:robot
create role editor --verb=get,update --resource=configmaps --resource-name=settings
create role scaler --verb=patch --resource=deployments.apps/scale
create rolebinding editors --role=editor --user=ann --serviceaccount=generators:robot
create serviceaccount robot
create configmap settings --from-literal=a=1 --from-literal=b=2 --append-hash
create configmap from-file --from-file=kustomize/kustomization.yaml
create secret generic word --from-literal=word=sesame --type=example.com/word
create secret docker-registry registry --docker-username=ann --docker-password=word --docker-email=ann@example.com
create secret tls pair --cert=certificate.pem --key=key.pem
create deployment web --image=nginx:1 --replicas=2 --port=80
create deployment two --image=nginx:1 --image=busybox -- sleep 60
create job once --image=busybox -- date
create cronjob nightly --image=busybox --schedule='0 3 * * *' -- date
create job from-cron --from=cronjob/nightly
create ingress front --class=nginx --rule=example.com/path*=web:80,tls=pair
create poddisruptionbudget budget --selector=app=web --min-available=50%
create priorityclass high --value=1000 --description=important --preemption-policy=Never
create quota limits --hard=pods=10,cpu=5 --scopes=BestEffort
create quota count --hard=configmaps=100,services=10
create service clusterip inside --tcp=80:8080
create service clusterip headless --clusterip=None
create service nodeport outside --tcp=80
create service loadbalancer balanced --tcp=443:8443
create service externalname elsewhere --external-name=example.com
create namespace generators-other
"""

REFUSED = """
create configmap UPPER
create deployment web --image=nginx
create service nodeport wrong --tcp=80 --node-port=80
create quota wrong --hard=pods=many
create rolebinding wrong --role=nothing
create cronjob wrong --image=busybox --schedule=sometimes
create priorityclass wrong --value=2000000000
create namespace default
create serviceaccount a.b.c/d
create secret generic word --from-literal=a=1 --dry-run=server
"""

STRANGE = """
apiVersion: v1
kind: ConfigMap
metadata:
  name: strange
  color: blue
data:
  a: "1"
dta: {}
"""

WRONG = """
apiVersion: v1
kind: ConfigMap
metadata:
  name: wrong
data:
  size: 7
"""


def test_generators_make_their_objects(cluster: Cluster) -> None:
    """What kubectl's generators send, in protobuf, becomes the objects they mean."""
    with cluster.session("generators") as kubectl:
        for command in GENERATORS.strip().splitlines():
            kubectl(command)
        kubectl("get all")
        kubectl("get roles,rolebindings,serviceaccounts,configmaps,secrets,ingresses,poddisruptionbudgets,resourcequotas -o wide")
        kubectl("get clusterroles reader web-reader many -o custom-columns=NAME:.metadata.name,RULES:.rules,AGGREGATION:.aggregationRule")
        kubectl("get clusterrolebinding readers -o wide")
        kubectl("get priorityclasses")
        kubectl("describe clusterrole reader")
        kubectl("describe rolebinding editors")
        kubectl("describe quota count")
        kubectl("describe priorityclass high")
        kubectl("describe serviceaccount robot")
        kubectl("get deployment web -o yaml")
        kubectl("get ingress front -o yaml")
        kubectl("get secret registry -o jsonpath='{.type} {.data}'")
        kubectl("get job from-cron -o jsonpath='{.metadata.ownerReferences[0].kind} {.spec.template.spec.containers[0].command}'")
        kubectl("get services -o custom-columns=NAME:.metadata.name,TYPE:.spec.type,IPS:.spec.clusterIPs,POLICY:.spec.ipFamilyPolicy")
        for command in REFUSED.strip().splitlines():
            kubectl(command)
        kubectl.quietly("delete clusterrole/reader clusterrole/web-reader clusterrole/many clusterrolebinding/readers priorityclass/high")


LIST = """
apiVersion: v1
kind: List
items:
- apiVersion: v1
  kind: ConfigMap
  metadata: {name: one}
  data: {a: "1"}
- apiVersion: apps/v1
  kind: Deployment
  metadata: {name: web}
  spec:
    selector: {matchLabels: {app: web}}
    template:
      metadata: {labels: {app: web}}
      spec: {containers: [{name: web, image: nginx, ports: [{containerPort: 80}]}]}
"""

TYPED_LIST = """
apiVersion: v1
kind: ConfigMapList
items:
- {apiVersion: v1, kind: ConfigMap, metadata: {name: two}, data: {a: "2"}}
- {metadata: {name: three}, data: {a: "3"}}
"""

UNDEFINED = """
apiVersion: example.com/v1
kind: Widget
metadata: {name: none}
"""


def test_lists_are_manifests_too(cluster: Cluster) -> None:
    """kubectl checks a List by itself, for which it wants OpenAPI v2 in protobuf; what it read it can write back."""
    with cluster.session("list-manifests") as kubectl:
        kubectl("create -f - --dry-run=server", stdin=LIST)
        kubectl("create -f - --save-config", stdin=LIST)
        kubectl("apply -f -", stdin=LIST.replace("nginx", "nginx:1"))
        kubectl("apply -f - --dry-run=server", stdin=LIST)
        kubectl("apply -f - --server-side --force-conflicts", stdin=LIST)
        kubectl("apply -f -", stdin=TYPED_LIST)
        for command in ("apply", "replace"):
            read = kubectl.quietly("get configmaps/one configmaps/two -o yaml")
            assert "kind: List" in read
            assert kubectl.quietly(f"{command} -f - -o name", stdin=read) == "configmap/one\nconfigmap/two\n"
        kubectl("create -f -", stdin=LIST.replace("  data:", "  dta:"))
        kubectl("create -f -", stdin=LIST.replace("containerPort: 80", "containerPort: http"))
        kubectl("create -f -", stdin=LIST.replace("ConfigMap", "Unicorn"))
        kubectl("apply -f -", stdin=UNDEFINED)
        kubectl("get configmaps,deployments -o name")
        kubectl("delete -f -", stdin=LIST)


def test_manifests_are_checked_before_they_are_made(cluster: Cluster) -> None:
    """Unknown fields, wrong types and missing values are refused in upstream's words."""
    with cluster.session("manifests") as kubectl:
        kubectl("create -f -", stdin=STRANGE)
        kubectl("create -f - --validate=warn", stdin=STRANGE)
        kubectl("create -f - --validate=ignore", stdin=STRANGE.replace("strange", "ignored"))
        kubectl("create -f -", stdin=WRONG)
        kubectl("create -f -", stdin="apiVersion: v1\nkind: Pod\nmetadata: {name: none}\nspec: {containers: []}")
        kubectl("create -f -", stdin="apiVersion: v1\nkind: Unicorn\nmetadata: {name: none}")
        kubectl("create -f -", stdin="apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: none}\nspec: {replicas: -1}")
        kubectl("create -f -", stdin="apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a, namespace: elsewhere}")
        kubectl("create -n elsewhere -f config-map.yaml")
        kubectl("create -k kustomize")
        kubectl("create -f config-map.yaml --save-config --dry-run=server -o yaml")
        kubectl("create -f config-map.yaml --dry-run=client -o name")
        kubectl("get configmaps")
        kubectl("create -f config-map.yaml --edit -o name", editor="sed -i s/settings/edited/")
        kubectl("create --raw /api/v1/namespaces/manifests/configmaps -f config-map.json")


def test_pods_are_run_exposed_and_scaled(cluster: Cluster) -> None:
    """run, expose and autoscale make what they say of what stands."""
    with cluster.session("run") as kubectl:
        kubectl("run box --image=busybox --labels=app=box,tier=low --env=A=b --port=8080 --restart=Never -- sleep 60")
        kubectl("run both --image=nginx --port=80 --expose")
        kubectl("get pods,services -o wide")
        kubectl("get pod box -o yaml")
        kubectl("describe pod box")
        kubectl("expose pod box --name=box --port=80 --target-port=8080 --type=NodePort")
        kubectl("expose pod nothing --port=80")
        kubectl.quietly("create deployment web --image=nginx")
        kubectl("expose deployment web --port=80 --external-ip=192.0.2.1")
        kubectl("autoscale deployment web --min=2 --max=5 --cpu=80%")
        kubectl("autoscale deployment web --min=6 --max=5 --name=wrong")
        kubectl("get services,hpa -o wide")
        kubectl("describe service web")
        kubectl("describe hpa web")
