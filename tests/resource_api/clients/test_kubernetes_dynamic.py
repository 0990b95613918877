"""PyPI's `kubernetes`: the dynamic client, which learns every kind from discovery."""

from __future__ import annotations

import pytest

kubernetes = pytest.importorskip("kubernetes")

from kubernetes import client, dynamic, utils, watch  # noqa: E402
from kubernetes.dynamic.exceptions import (  # noqa: E402
    ConflictError,
    ForbiddenError,
    MethodNotAllowedError,
    NotFoundError,
    ResourceNotFoundError,
    UnprocessibleEntityError,
)

from tests.resource_api.clients.conftest import widgets  # noqa: E402
from tests.resource_api.clients.test_kubernetes_typed import established  # noqa: E402

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def api(cluster):
    """One connection pool for the module."""
    with kubernetes.config.new_client_from_config(str(cluster.kubeconfig)) as api:
        yield api


@pytest.fixture
def resources(api, tmp_path):
    """A dynamic client without a cache of earlier discoveries."""
    return dynamic.DynamicClient(api, cache_file=str(tmp_path / "discovery"))


def test_discovery_finds_every_kind_by_any_name(resources):
    """By kind, by plural, by short name; in the preferred version when none is given; an unknown one is an error of the client's own."""
    assert resources.resources.get(api_version="v1", kind="ConfigMap").name == "configmaps"
    assert resources.resources.get(kind="Deployment").group_version == "apps/v1"
    assert resources.resources.get(api_version="autoscaling/v1", kind="HorizontalPodAutoscaler").name == "horizontalpodautoscalers"
    assert resources.resources.get(short_names=["pdb"]).kind == "PodDisruptionBudget"
    assert resources.resources.get(api_version="v1", kind="Pod").subresources["eviction"].kind == "Eviction"
    with pytest.raises(ResourceNotFoundError):
        resources.resources.get(api_version="v1", kind="Nonsense")
    assert resources.version["kubernetes"]["major"] == "1"


def test_objects_live_through_all_verbs(resources, namespace):
    """create, get, replace, patch of three kinds, server-side apply, delete; errors have classes of their own."""
    maps = resources.resources.get(api_version="v1", kind="ConfigMap")
    made = maps.create(body={"metadata": {"name": "d"}, "data": {"a": "1"}}, namespace=namespace)
    assert (made.kind, made.data.a) == ("ConfigMap", "1")
    with pytest.raises(ConflictError):
        maps.create(body={"metadata": {"name": "d"}}, namespace=namespace)
    assert maps.patch(body={"data": {"b": "2"}}, name="d", namespace=namespace).data.to_dict() == {"a": "1", "b": "2"}
    merged = maps.patch(body={"data": {"a": None}}, name="d", namespace=namespace, content_type="application/merge-patch+json")
    assert merged.data.to_dict() == {"b": "2"}
    patch = [{"op": "test", "path": "/data/b", "value": "2"}, {"op": "add", "path": "/data/c", "value": "3"}]
    assert maps.patch(body=patch, name="d", namespace=namespace, content_type="application/json-patch+json").data.c == "3"
    with pytest.raises(UnprocessibleEntityError):
        maps.patch(
            body=patch[:1] + [{"op": "remove", "path": "/data/z"}],
            name="d",
            namespace=namespace,
            content_type="application/json-patch+json",
        )
    applied = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "d"}, "data": {"e": "5"}}
    assert maps.server_side_apply(body=applied, name="d", namespace=namespace, field_manager="tester").data.e == "5"
    with pytest.raises(ConflictError):
        maps.server_side_apply(body={**applied, "data": {"c": "0"}}, name="d", namespace=namespace, field_manager="tester")
    forced = maps.server_side_apply(
        body={**applied, "data": {"c": "0"}}, name="d", namespace=namespace, field_manager="tester", force_conflicts=True
    )
    assert forced.data.to_dict() == {"b": "2", "c": "0"}
    forced.data.b = "9"
    assert maps.replace(body=forced.to_dict(), namespace=namespace).data.b == "9"
    with pytest.raises(ConflictError):
        maps.replace(body=merged.to_dict(), namespace=namespace)
    listed = maps.get(namespace=namespace, label_selector="!none", field_selector="metadata.name=d")
    assert (listed.kind, [one.metadata.name for one in listed.items]) == ("ConfigMapList", ["d"])
    assert maps.delete(name="d", namespace=namespace).status == "Success"
    with pytest.raises(NotFoundError):
        maps.get(name="d", namespace=namespace)


def test_what_may_not_be_is_refused_with_a_class_of_error(resources):
    """403 for an immortal namespace; 405 for a verb no kind has."""
    namespaces = resources.resources.get(api_version="v1", kind="Namespace")
    with pytest.raises(ForbiddenError):
        namespaces.delete(name="default")
    with pytest.raises(MethodNotAllowedError):
        resources.request("delete", "/api/v1/namespaces")


def test_custom_kinds_appear_and_go(api, resources, namespace):
    """A definition is discovered after the client looks again; subresources come from discovery; lists know their items' kind."""
    definitions = resources.resources.get(api_version="apiextensions.k8s.io/v1", kind="CustomResourceDefinition")
    definitions.create(body=widgets("Gadget"))
    established(client.ApiextensionsV1Api(api), "gadgets.example.com")
    gadgets = resources.resources.get(api_version="example.com/v1", kind="Gadget")
    gadgets.create(
        body={"apiVersion": "example.com/v1", "kind": "Gadget", "metadata": {"name": "g"}, "spec": {"size": 3}}, namespace=namespace
    )
    status = {"apiVersion": "example.com/v1", "kind": "Gadget", "metadata": {"name": "g"}, "status": {"size": 2}}
    changed = gadgets.status.patch(body=status, name="g", namespace=namespace, content_type="application/merge-patch+json")
    assert (changed.spec.size, changed.status.size) == (3, 2)
    assert gadgets.scale.get(name="g", namespace=namespace).spec.replicas == 3
    assert [one.kind for one in gadgets.get(namespace=namespace).items] == ["Gadget"]
    definitions.delete(name="gadgets.example.com")
    gone = {event["type"] for event in definitions.watch(timeout=2, field_selector="metadata.name=gadgets.example.com")}
    assert gone <= {"ADDED", "MODIFIED", "DELETED"}
    resources.resources.invalidate_cache()
    with pytest.raises(ResourceNotFoundError):
        resources.resources.get(api_version="example.com/v1", kind="Gadget")


def test_watch_gives_changes_from_a_version_on(resources, namespace):
    """Events carry the raw object and an instance."""
    maps = resources.resources.get(api_version="v1", kind="ConfigMap")
    start = maps.get(namespace=namespace).metadata.resourceVersion
    maps.create(body={"metadata": {"name": "w"}}, namespace=namespace)
    maps.patch(body={"data": {"a": "1"}}, name="w", namespace=namespace)
    maps.delete(name="w", namespace=namespace)
    watcher, seen = watch.Watch(), []
    for event in maps.watch(namespace=namespace, resource_version=start, field_selector="metadata.name=w", timeout=60, watcher=watcher):
        seen.append((event["type"], event["raw_object"]["kind"]))
        if len(seen) == 3:
            watcher.stop()
    assert seen == [(one, "ConfigMap") for one in ("ADDED", "MODIFIED", "DELETED")]


def test_manifests_are_created_from_yaml(api, namespace):
    """`utils.create_from_yaml` picks the typed API by kind."""
    objects = [
        {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "y", "namespace": namespace}},
        {
            "apiVersion": "networking.k8s.io/v1",
            "kind": "NetworkPolicy",
            "metadata": {"name": "y", "namespace": namespace},
            "spec": {"podSelector": {}},
        },
    ]
    made = utils.create_from_yaml(api, yaml_objects=objects)
    assert [one[0].kind for one in made] == ["ServiceAccount", "NetworkPolicy"]
    assert made[1][0].spec.policy_types == ["Ingress"]
