"""PyPI's `kubernetes_asyncio`: typed and dynamic clients and watches, which ask with `watch=True`."""

from __future__ import annotations

import asyncio
import json
from contextlib import asynccontextmanager

import pytest

pytest.importorskip("kubernetes_asyncio")

from kubernetes_asyncio import client, config, dynamic, watch
from kubernetes_asyncio.client.exceptions import ApiException

from tests.resource_api.clients.conftest import widgets

pytestmark = [pytest.mark.slow, pytest.mark.asyncio]

TIMEOUT_S = 60
CONTAINER = {"name": "main", "image": "app:1"}


@asynccontextmanager
async def connected(cluster):
    """A client of the administrator's."""
    configuration = client.Configuration()
    await config.load_kube_config(str(cluster.kubeconfig), client_configuration=configuration)
    async with asyncio.timeout(TIMEOUT_S), client.ApiClient(configuration) as api:
        yield api


async def test_typed_objects_live_through_all_verbs(cluster, namespace):
    """Create, conflict, patches of three kinds, scale, pages, deletion, and what is gone is not found."""
    async with connected(cluster) as api:
        apps = client.AppsV1Api(api)
        template = {"metadata": {"labels": {"app": "web"}}, "spec": {"containers": [CONTAINER]}}
        body = {"metadata": {"name": "web"}, "spec": {"selector": {"matchLabels": {"app": "web"}}, "template": template}}
        made = await apps.create_namespaced_deployment(namespace, body)
        assert (made.spec.replicas, made.spec.template.spec.restart_policy) == (1, "Always")
        with pytest.raises(ApiException) as twice:
            await apps.create_namespaced_deployment(namespace, body)
        assert (twice.value.status, json.loads(twice.value.body)["reason"]) == (409, "AlreadyExists")
        strategic = {"spec": {"template": {"spec": {"containers": [{"name": "main", "image": "app:2"}]}}}}
        patched = await apps.patch_namespaced_deployment("web", namespace, strategic)
        assert [(one.name, one.image) for one in patched.spec.template.spec.containers] == [("main", "app:2")]
        operations = [{"op": "add", "path": "/metadata/labels", "value": {"a": "b"}}]
        assert (await apps.patch_namespaced_deployment("web", namespace, operations)).metadata.labels == {"a": "b"}
        scale = await apps.patch_namespaced_deployment_scale("web", namespace, {"spec": {"replicas": 4}})
        assert (scale.kind, scale.spec.replicas) == ("Scale", 4)
        applied = {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web"}, "spec": {"minReadySeconds": 2}}
        owned = await apps.patch_namespaced_deployment(
            "web", namespace, applied, field_manager="tester", _content_type="application/apply-patch+yaml"
        )
        assert (owned.spec.min_ready_seconds, owned.spec.replicas) == (2, 4)
        page = await apps.list_namespaced_deployment(namespace, limit=1)
        assert ([one.metadata.name for one in page.items], page.metadata._continue) == (["web"], None)
        status = await apps.delete_namespaced_deployment("web", namespace, propagation_policy="Background")
        assert status.status == "Success"
        with pytest.raises(ApiException) as gone:
            await apps.read_namespaced_deployment("web", namespace)
        assert gone.value.status == 404


async def test_watches_of_many_namespaces_hear_their_own(cluster, namespace):
    """Three watches at once, opened by `watch=True`; one that hears of nothing ends at its timeout."""

    async def follow(core, place, start, count):
        seen = []
        options = {"field_selector": "metadata.name=w", "resource_version": start, "timeout_seconds": TIMEOUT_S if count else 1}
        async with watch.Watch() as stream:
            async for event in stream.stream(core.list_namespaced_config_map, place, **options):
                seen.append((event["type"], event["object"].metadata.namespace))
                if len(seen) == count:
                    stream.stop()
        return seen

    async with connected(cluster) as api:
        core = client.CoreV1Api(api)
        places = [f"{namespace}-{number}" for number in range(3)]
        for place in places:
            await core.create_namespace({"metadata": {"name": place}})
        start = (await core.list_namespaced_config_map(namespace)).metadata.resource_version
        async with asyncio.TaskGroup() as group:
            followers = [group.create_task(follow(core, place, start, count)) for place, count in zip(places, (2, 1, 0), strict=True)]
            for place in places[:2]:
                await core.create_namespaced_config_map(place, {"metadata": {"name": "w"}})
            await core.delete_namespaced_config_map("w", places[0])
        for place in places:
            await core.delete_namespace(place)
    assert [task.result() for task in followers] == [[("ADDED", places[0]), ("DELETED", places[0])], [("ADDED", places[1])], []]


async def test_watch_resumes_where_it_stopped(cluster, namespace):
    """The stream that has ended is opened again at the last version, until the caller leaves."""
    async with connected(cluster) as api:
        core = client.CoreV1Api(api)
        start = (await core.list_namespaced_config_map(namespace)).metadata.resource_version

        async def change():
            for number in range(3):
                await core.create_namespaced_config_map(namespace, {"metadata": {"name": f"w{number}"}})
                await asyncio.sleep(0.5)

        seen = []
        async with asyncio.TaskGroup() as group, watch.Watch() as stream:
            group.create_task(change())
            async for event in stream.stream(
                core.list_namespaced_config_map,
                namespace,
                resource_version=start,
                field_selector="metadata.name!=kube-root-ca.crt",
                timeout_seconds=1,
            ):
                seen.append(event["object"].metadata.name)
            while len(seen) < 3:
                async for event in stream.stream(
                    core.list_namespaced_config_map,
                    namespace,
                    resource_version=stream.resource_version,
                    field_selector="metadata.name!=kube-root-ca.crt",
                    timeout_seconds=1,
                ):
                    seen.append(event["object"].metadata.name)
        assert seen == ["w0", "w1", "w2"]


async def test_dynamic_client_works_with_custom_kinds(cluster, namespace):
    """Discovery in its legacy form, all verbs, the status subresource and a watch."""
    async with connected(cluster) as api:
        resources = await dynamic.DynamicClient(api)
        definitions = await resources.resources.get(api_version="apiextensions.k8s.io/v1", kind="CustomResourceDefinition")
        await definitions.create(body=widgets("Gizmo"))
        async with watch.Watch() as watcher:
            async for event in definitions.watch(timeout=TIMEOUT_S, name="gizmos.example.com", watcher=watcher):
                conditions = {one["type"]: one["status"] for one in event["raw_object"].get("status", {}).get("conditions", ())}
                if conditions.get("Established") == "True":
                    watcher.stop()
        gizmos = await resources.resources.get(api_version="example.com/v1", kind="Gizmo")
        made = await gizmos.create(
            body={"apiVersion": "example.com/v1", "kind": "Gizmo", "metadata": {"name": "g"}, "spec": {}}, namespace=namespace
        )
        assert made.spec.size == 1
        changed = await gizmos.patch(body={"spec": {"size": 2}}, name="g", namespace=namespace, content_type="application/merge-patch+json")
        assert changed.spec.size == 2
        body = {"apiVersion": "example.com/v1", "kind": "Gizmo", "metadata": {"name": "g"}, "status": {"size": 2}}
        status = await gizmos.status.patch(body=body, name="g", namespace=namespace, content_type="application/merge-patch+json")
        assert status.status.size == 2
        listed = await gizmos.get(namespace=namespace)
        assert [one.metadata.name for one in listed.items] == ["g"]
        await gizmos.delete(name="g", namespace=namespace)
        maps = await resources.resources.get(api_version="v1", kind="ConfigMap")
        assert (await maps.get(name="kube-root-ca.crt", namespace="default")).kind == "ConfigMap"
