"""ServiceAccount: which account a pod runs as, its token, and the secrets it may use."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from resource_api.errors import Object
from resource_api.security.admission.service_account import MOUNT_PATH, ServiceAccount
from tests.resource_api.security.admission.test_small_plugins import pod, refusal, run
from tests.resource_api.security.cluster import FakeCluster, SetClock, request


def account(**more: Any) -> Object:
    return {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "default", "namespace": "default"}, **more}


def test_pod_runs_as_default_with_a_projected_token():
    """Name, volume, mounts in every container that has none there, pull secrets of the account."""
    plugin = ServiceAccount(FakeCluster(account(imagePullSecrets=[{"name": "pull"}])), SetClock())
    own = {"name": "own", "volumeMounts": [{"name": "x", "mountPath": MOUNT_PATH}]}
    obj = pod(initContainers=[{"name": "i"}], containers=[{"name": "c"}, own])
    run(plugin, request("Pod", "pods", obj))
    spec = obj["spec"]
    assert spec["serviceAccountName"] == spec["serviceAccount"] == "default"
    assert spec["imagePullSecrets"] == [{"name": "pull"}]
    (volume,) = spec["volumes"]
    assert volume["name"].startswith("kube-api-access-") and len(volume["name"]) == 21
    assert [next(iter(source)) for source in volume["projected"]["sources"]] == ["serviceAccountToken", "configMap", "downwardAPI"]
    assert volume["projected"]["sources"][0]["serviceAccountToken"]["expirationSeconds"] == 3607
    mount = {"name": volume["name"], "readOnly": True, "mountPath": MOUNT_PATH}
    assert spec["containers"][0]["volumeMounts"] == spec["initContainers"][0]["volumeMounts"] == [mount]
    assert own["volumeMounts"] == [{"name": "x", "mountPath": MOUNT_PATH}]


def test_token_is_not_mounted_where_it_is_switched_off():
    """By the pod, or by the account unless the pod says yes."""
    off = ServiceAccount(FakeCluster(account(automountServiceAccountToken=False)), SetClock())
    for spec, mounted in (({}, False), ({"automountServiceAccountToken": True}, True)):
        obj = pod(**spec)
        run(off, request("Pod", "pods", obj))
        assert ("volumes" in obj["spec"]) is mounted
    obj = pod(automountServiceAccountToken=False)
    run(ServiceAccount(FakeCluster(account()), SetClock()), request("Pod", "pods", obj))
    assert "volumes" not in obj["spec"]


def test_pod_of_a_missing_account_and_mirror_pods():
    """403 with upstream's text; a mirror pod has no account."""
    plugin = ServiceAccount(FakeCluster(), SetClock())
    assert refusal(plugin, request("Pod", "pods", pod(serviceAccountName="robot"))) == (
        'pods "p" is forbidden: error looking up service account default/robot: serviceaccount "robot" not found'
    )
    mirror = pod()
    mirror["metadata"]["annotations"] = {"kubernetes.io/config.mirror": "1"}
    run(plugin, request("Pod", "pods", mirror))
    assert "serviceAccountName" not in mirror["spec"]
    mirror["spec"]["serviceAccountName"] = "x"
    assert "mirror pod" in refusal(plugin, request("Pod", "pods", mirror))


def test_pod_waits_for_the_account_every_namespace_gets():
    """`default` is made by a controller soon after the namespace; of any other account nobody knows that it is coming."""
    cluster = FakeCluster()
    plugin = ServiceAccount(cluster, SetClock())
    cluster.coming = [account()]
    obj = pod()
    run(plugin, request("Pod", "pods", obj))
    assert obj["spec"]["serviceAccountName"] == "default" and obj["spec"]["volumes"]
    assert cluster.waits == [("default", "default", 1.8)]
    run(plugin, request("Pod", "pods", pod()))
    assert "account default/robot" in refusal(plugin, request("Pod", "pods", pod(serviceAccountName="robot")))
    assert len(cluster.waits) == 1
    never = ServiceAccount(FakeCluster(), SetClock())
    assert refusal(never, request("Pod", "pods", pod())) == (
        'pods "p" is forbidden: error looking up service account default/default: serviceaccount "default" not found'
    )


LIMITED = {"metadata": {"name": "default", "namespace": "default", "annotations": {"kubernetes.io/enforce-mountable-secrets": "true"}}}
DENIED = "is not allowed because service account default does not reference that secret"


def with_secret(kind: str, secret: str, field: str = "containers") -> Object:
    """A pod whose container takes a secret by `env` or `envFrom`."""
    source = {"envFrom": [{"secretRef": {"name": secret}}]}
    if kind == "env":
        source = {"env": [{"name": "V", "valueFrom": {"secretKeyRef": {"name": secret, "key": "k"}}}]}
    return pod(**{"serviceAccountName": "default", "containers": [{"name": "c"}], field: [{"name": "x", **source}]})


@pytest.mark.parametrize(
    ("obj", "text"),
    [
        (pod(volumes=[{"name": "v", "secret": {"secretName": "other"}}]), f'volume with secret.secretName="other" {DENIED}'),
        (with_secret("env", "other"), f'container x with envVar V referencing secret.secretName="other" {DENIED}'),
        (with_secret("envFrom", "other"), f'container x with envFrom referencing secret.secretName="other" {DENIED}'),
        (with_secret("env", "other", "initContainers"), f'init container x with envVar V referencing secret.secretName="other" {DENIED}'),
        (
            pod(imagePullSecrets=[{"name": "pull"}, {"name": "other"}]),
            'imagePullSecrets[1].name="other" is not allowed because service account default does not reference that imagePullSecret',
        ),
        (with_secret("env", "mine"), ""),
        (with_secret("envFrom", "mine", "initContainers"), ""),
        (pod(volumes=[{"name": "v", "secret": {"secretName": "mine"}}], imagePullSecrets=[{"name": "pull"}]), ""),
    ],
)
def test_account_limits_the_secrets_of_its_pods_where_it_says_so(obj: Object, text: str) -> None:
    """By the annotation; without it, or with another value, everything is fine."""
    lists = {"secrets": [{"name": "mine"}], "imagePullSecrets": [{"name": "pull"}]}
    plugin = ServiceAccount(FakeCluster(account(**LIMITED, **lists)), SetClock())
    if text:
        assert refusal(plugin, request("Pod", "pods", copy.deepcopy(obj))).endswith(text)
    else:
        run(plugin, request("Pod", "pods", copy.deepcopy(obj)))
    run(ServiceAccount(FakeCluster(account(**lists)), SetClock()), request("Pod", "pods", copy.deepcopy(obj)))


def test_account_limits_the_secrets_of_added_containers() -> None:
    """Which are judged alone: what the pod has is settled. Nothing else is changed by the plugin then."""
    plugin = ServiceAccount(FakeCluster(account(**LIMITED, secrets=[{"name": "mine"}])), SetClock())

    def added(secret: str) -> object:
        obj = with_secret("env", secret, "ephemeralContainers")
        return request("Pod", "pods", obj, old=pod(), operation="UPDATE", subresource="ephemeralcontainers")

    text = f'ephemeral container x with envVar V referencing secret.secretName="other" {DENIED}'
    assert refusal(plugin, added("other")).endswith(text)
    fine = added("mine")
    before = copy.deepcopy(fine.obj)
    run(plugin, fine)
    assert fine.obj == before
