"""Custom kinds that come, change and go while one server runs: whatever works by itself knows of each as soon as it is served."""

from __future__ import annotations

import asyncio
import copy
from typing import Any

import pytest

from resource_api.client import Kind
from resource_api.errors import Json, Object, StatusError
from tests.resource_api.plane import CONFIG_MAPS, DEFINITIONS, NAMESPACES, Served, served
from tests.resource_api.world import config_map, owner

pytestmark = [pytest.mark.asyncio, pytest.mark.slow]

GROUP = "fg.com"
QUOTAS = Kind("", "v1", "resourcequotas")


def kind(plural: str, version: str = "v1") -> Kind:
    """Of the group of this module."""
    return Kind(GROUP, version, plural)


def definition(plural: str, *, scope: str = "Namespaced", versions: tuple[str, ...] = ("v1",), **properties: Json) -> Object:
    """A definition; objects are stored in the first of its versions. The singular is the plural without its last letter."""
    schema: Object = {"type": "object", "properties": {"spec": {"type": "object", "properties": properties}}}
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{plural}.{GROUP}"},
        "spec": {
            "group": GROUP,
            "names": {"plural": plural, "kind": plural[:-1].capitalize()},
            "scope": scope,
            "versions": [
                {"name": name, "served": True, "storage": name == versions[0], "schema": {"openAPIV3Schema": copy.deepcopy(schema)}}
                for name in versions
            ],
        },
    }


def custom(plural: str, name: str, version: str = "v1", spec: Object | None = None, **metadata: Any) -> Object:
    """An object of such a kind."""
    obj: Object = {"apiVersion": f"{GROUP}/{version}", "kind": plural[:-1].capitalize(), "metadata": {"name": name, **metadata}}
    return {**obj, "spec": spec} if spec is not None else obj


async def define(server: Served, crd: Object) -> None:
    """Creates a definition; served when it returns."""
    name = crd["metadata"]["name"]
    await server.client.create(DEFINITIONS, crd)
    await server.until(
        DEFINITIONS,
        name,
        "",
        lambda found: any(
            one["type"] == "Established" and one["status"] == "True" for one in (found.get("status") or {}).get("conditions") or []
        ),
    )


async def gone(server: Served, kind: Kind, name: str, namespace: str = "") -> None:
    """Waits until there is no such object."""
    async with asyncio.timeout(30):
        async with server.client.watch(kind, namespace, fieldSelector=f"metadata.name={name}") as events:
            # The watch begins with what is there, so whoever asks now is told of the end, or there is none to wait for.
            try:
                await server.client.get(kind, name, namespace)
            except StatusError as error:
                assert error.code == 404
                return
            async for event in events:
                if event.type == "DELETED":
                    return
    raise AssertionError("the watch ended")


async def make_namespace(server: Served, name: str) -> None:
    await server.client.create(NAMESPACES, {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})


async def end_namespace(server: Served, name: str) -> None:
    """Deletes a namespace; it is gone when it returns."""
    await server.client.delete(NAMESPACES, name)
    await gone(server, NAMESPACES, name)


async def test_namespaces_end_with_objects_of_kinds_that_came_later():
    """Each new definition is known to what empties namespaces, however much that has done before."""
    async with served() as server:
        for turn, plural in enumerate(("gizmos", "gadgets", "doodads")):
            await make_namespace(server, f"before-{turn}")
            await end_namespace(server, f"before-{turn}")
            await define(server, definition(plural))
            await make_namespace(server, f"with-{turn}")
            await server.client.create(kind(plural), custom(plural, "a"), f"with-{turn}")
            await end_namespace(server, f"with-{turn}")
        assert (await server.client.list(kind("gizmos")))["items"] == []


async def test_collector_works_on_kinds_that_came_later():
    """Owners and dependents of new kinds: in the background, in the foreground, and left behind."""
    async with served() as server:
        # The collector has looked at something before.
        first = await server.client.create(CONFIG_MAPS, config_map("first"), "default")
        await server.client.create(CONFIG_MAPS, config_map("second", ownerReferences=[owner(first)]), "default")
        await server.client.delete(CONFIG_MAPS, "first", "default")
        await gone(server, CONFIG_MAPS, "second", "default")
        for plural in ("gizmos", "gadgets"):
            await define(server, definition(plural))
            for policy in ("Background", "Foreground", "Orphan"):
                made = await server.client.create(kind(plural), custom(plural, "owner"), "default")
                reference = owner(made, blockOwnerDeletion=True)
                await server.client.create(kind(plural), custom(plural, "owned", ownerReferences=[reference]), "default")
                await server.client.create(CONFIG_MAPS, config_map("owned", ownerReferences=[reference]), "default")
                await server.client.delete(kind(plural), "owner", "default", propagationPolicy=policy)
                await gone(server, kind(plural), "owner", "default")
                for one in (kind(plural), CONFIG_MAPS):
                    if policy == "Orphan":
                        left = await server.client.get(one, "owned", "default")
                        assert "ownerReferences" not in left["metadata"]
                        await server.client.delete(one, "owned", "default")
                    await gone(server, one, "owned", "default")


async def test_kind_defined_again_is_the_new_one():
    """Another scope, version, schema and kind under the old names: discovery, OpenAPI, reads, the collector and roles follow it."""
    async with served() as server:
        role = {"rules": [{"apiGroups": [GROUP], "resources": ["gizmos"], "verbs": ["get"]}]}
        subject = {"kind": "User", "name": "jane", "apiGroup": "rbac.authorization.k8s.io"}
        reference = {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "gizmos"}
        for plural, content in (("clusterroles", role), ("clusterrolebindings", {"subjects": [subject], "roleRef": reference})):
            await server.client.create(Kind("rbac.authorization.k8s.io", "v1", plural), {"metadata": {"name": "gizmos"}, **content})
        for turn, (scope, version, field) in enumerate(
            (("Namespaced", "v1", "size"), ("Cluster", "v1", "color"), ("Cluster", "v2", "size"), ("Namespaced", "v2", "color"))
        ):
            namespace = "default" if scope == "Namespaced" else ""
            gizmos = kind("gizmos", version)
            await define(server, definition("gizmos", scope=scope, versions=(version,), **{field: {"type": "string", "default": "x"}}))
            found = await server.client.request("GET", f"/apis/{GROUP}/{version}")
            assert [(one["name"], one["namespaced"]) for one in found["resources"]] == [("gizmos", scope == "Namespaced")]
            groups = (await server.client.request("GET", "/apis"))["groups"]
            assert [one["versions"] for one in groups if one["name"] == GROUP] == [
                [{"groupVersion": f"{GROUP}/{version}", "version": version}]
            ]
            schemas = (await server.client.request("GET", f"/openapi/v3/apis/{GROUP}/{version}"))["components"]["schemas"]
            assert list(schemas[f"com.fg.{version}.Gizmo"]["properties"]["spec"]["properties"]) == [field]
            made = await server.client.create(gizmos, custom("gizmos", "a", version, {}), namespace)
            assert made["spec"] == {field: "x"}
            assert (await server.user.get(gizmos, "a", namespace))["spec"] == {field: "x"}
            await server.client.create(CONFIG_MAPS, config_map(f"owned-{turn}", ownerReferences=[owner(made)]), "default")
            held = await server.client.create(gizmos, custom("gizmos", "held", version, {}, finalizers=["fg.com/hold"]), namespace)
            async with server.client.watch(gizmos, namespace, resourceVersion=held["metadata"]["resourceVersion"]) as events:
                await server.client.delete(DEFINITIONS, "gizmos.fg.com")
                await gone(server, gizmos, "a", namespace)
                await server.client.patch(gizmos, "held", {"metadata": {"finalizers": None}}, namespace)
                # The watch tells the ends of all objects, and ends itself.
                async with asyncio.timeout(30):
                    told = [(event.type, event.object["metadata"]["name"]) async for event in events]
            assert ("DELETED", "a") in told and told[-1] == ("DELETED", "held")
            await gone(server, DEFINITIONS, "gizmos.fg.com")
            await gone(server, CONFIG_MAPS, f"owned-{turn}", "default")
            refused = await server.refusal(server.client.get(gizmos, "a", namespace))
            assert (refused.code, refused.message) == (404, "404 page not found")


async def test_quota_counts_an_object_of_several_versions_once():
    """What a count anew finds is what was charged: each object, and not once for every version it can be read in."""
    async with served() as server:
        count = f"count/gizmos.{GROUP}"
        await define(server, definition("gizmos", versions=("v1", "v1beta1")))
        await server.client.create(kind("gizmos"), custom("gizmos", "a"), "default")
        quota = {"apiVersion": "v1", "kind": "ResourceQuota", "metadata": {"name": "q"}, "spec": {"hard": {count: "2"}}}
        await server.client.create(QUOTAS, quota, "default")
        await server.until(QUOTAS, "q", "default", lambda found: (found.get("status") or {}).get("used") == {count: "1"})
        await server.client.create(kind("gizmos", "v1beta1"), custom("gizmos", "b", "v1beta1"), "default")
        refused = await server.refusal(server.client.create(kind("gizmos"), custom("gizmos", "c"), "default"))
        assert f"exceeded quota: q, requested: {count}=1, used: {count}=2, limited: {count}=2" in refused.message


async def test_watch_ends_when_its_kind_is_changed():
    """Also one of tables, of a version that is served no more: whoever watches again sees the kind as it is now."""
    async with served() as server:
        crd = definition("gizmos", versions=("v1", "v1beta1"), size={"type": "integer"})
        await define(server, crd)
        await server.client.create(kind("gizmos"), custom("gizmos", "a", spec={}), "default")

        async def change(versions: list[Object]) -> list[Object]:
            """What a watch of the beta version tells while the definition gets these versions."""
            async with server.client.watch(kind("gizmos", "v1beta1"), "default") as events:
                told = [(await anext(events)).object]
                await server.client.patch(DEFINITIONS, "gizmos.fg.com", {"spec": {"versions": versions}})
                async with asyncio.timeout(30):
                    return told + [event.object async for event in events]

        versions = crd["spec"]["versions"]
        for one in versions:
            one["schema"]["openAPIV3Schema"]["properties"]["spec"]["properties"]["size"]["default"] = 3
        assert [one["spec"] for one in await change(versions)] == [{}]
        versions[1]["served"] = False
        assert [one["spec"] for one in await change(versions)] == [{"size": 3}]
