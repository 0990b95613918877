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
