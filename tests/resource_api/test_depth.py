"""Objects that nest as deep as any may: whatever a server does with an object in its life works at the bound, and nothing gets past it."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import aiohttp
import pytest

from resource_api.client import Kind
from resource_api.errors import Json, Object
from resource_api.schema.depth import DEPTH_MAX, is_too_deep
from resource_api.schema.protobuf.envelope import encode_envelope
from tests.resource_api.plane import ADMIN_TOKEN, CONFIG_MAPS, DEFINITIONS, NAMESPACES, Served, served
from tests.resource_api.test_control_plane import idle
from tests.resource_api.world import config_map
from tests.support.memory_store import MemoryStore

pytestmark = [pytest.mark.asyncio, pytest.mark.slow]

D = DEPTH_MAX
GROUP = "deep.com"
WELLS = Kind(GROUP, "v1", "wells")
REVISIONS = Kind("apps", "v1", "controllerrevisions")

TYPES = {
    "json": "application/json",
    "yaml": "application/yaml",
    "protobuf": "application/vnd.kubernetes.protobuf",
    "merge": "application/merge-patch+json",
    "json patch": "application/json-patch+json",
    "strategic": "application/strategic-merge-patch+json",
    "apply": "application/apply-patch+yaml",
}
TABLE = "application/json;as=Table;v=v1;g=meta.k8s.io"


def nested(levels: int, shape: str = "ml", end: Json = 1) -> Json:
    """Maps and lists inside one another; `shape` says which, repeated from the inside."""
    value = end
    for level in range(levels):
        value = [value] if shape[level % len(shape)] == "l" else {"a": value}
    return value


def definition() -> Object:
    """A kind with a typed tree as deep as its definition may be, and a field that takes anything."""
    tree: Object = {"type": "string", "default": "x"}
    # Below crd.spec.versions[0].schema.openAPIV3Schema.properties.tree, two levels of JSON for one of the tree.
    for _ in range((D - 9) // 2):
        tree = {"type": "object", "properties": {"a": tree}}
    free: Object = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
    schema: Object = {"type": "object", "properties": {"tree": tree, "free": free}}
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"wells.{GROUP}"},
        "spec": {
            "group": GROUP,
            "names": {"plural": "wells", "kind": "Well"},
            "scope": "Namespaced",
            "versions": [{"name": "v1", "served": True, "storage": True, "schema": {"openAPIV3Schema": schema}}],
        },
    }


def well(name: str, **fields: Json) -> Object:
    """An object of that kind; `free` is the second level."""
    return {"apiVersion": f"{GROUP}/v1", "kind": "Well", "metadata": {"name": name, "namespace": "n"}, **fields}


def owned_map(name: str, levels: int) -> Object:
    """A ConfigMap whose managedFields nest; they begin at the fifth level."""
    entry = {"manager": "x", "operation": "Update", "apiVersion": "v1", "time": "2020-01-01T00:00:00Z", "fieldsType": "FieldsV1"}
    fields: Json = {}
    for _ in range(levels - 5):
        fields = {"f:a": fields}
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": name, "namespace": "n", "managedFields": [{**entry, "fieldsV1": fields}]},
    }


def revision(name: str, levels: int, shape: str) -> Object:
    """A ControllerRevision, whose data may be anything."""
    metadata = {"name": name, "namespace": "n"}
    return {
        "apiVersion": "apps/v1",
        "kind": "ControllerRevision",
        "metadata": metadata,
        "revision": 1,
        "data": {"a": nested(levels - 2, shape)},
    }


class Asking:
    """Requests as bytes; no client's own limits are in the way."""

    def __init__(self, server: Served, session: aiohttp.ClientSession) -> None:
        self._url = server.url
        self._session = session

    async def __call__(self, method: str, path: str, body: Any = None, kind: str = "json", accept: str = "application/json") -> Any:
        data = body if isinstance(body, bytes) or body is None else json.dumps(body).encode()
        headers = {"Accept": accept, "Authorization": f"Bearer {ADMIN_TOKEN}", "Content-Type": TYPES[kind]}
        async with self._session.request(method, self._url + path, data=data, headers=headers) as answer:
            said = await answer.read()
            return answer.status, json.loads(said) if answer.content_type == "application/json" else said


async def taken(asked: Any) -> Any:
    """The answer of a request that succeeds."""
    code, said = await asked
    assert 200 <= code < 300, str(said)[:300]
    return said


async def refused_as_deep(asked: Any) -> None:
    """A 400 that says so."""
    code, said = await asked
    assert (code, said["reason"]) == (400, "BadRequest"), str(said)[:300]
    assert "exceeded max depth" in said["message"]


async def everything_with(ask: Asking, kind: Kind, obj: Object, deeper: Object) -> None:
    """An object's life but for its end: every way to write it, every form to read it in. `deeper` is the same with a level more."""
    name = obj["metadata"]["name"]
    all_of, one = kind.path("n"), kind.path("n", name)
    for media in ("json", "yaml"):
        await refused_as_deep(ask("POST", all_of, deeper, media))
    await taken(ask("POST", all_of, obj, "yaml"))
    await taken(ask("DELETE", one))
    await taken(ask("POST", all_of, obj))
    for accept in ("application/json", "application/yaml", TABLE, TYPES["protobuf"]):
        for path in (one, all_of, one + "?pretty=true"):
            await taken(ask("GET", path, accept=f"{accept},application/json"))
    found = await taken(ask("GET", one))
    await taken(ask("PUT", one, found))
    await refused_as_deep(ask("PUT", one, deeper))
    await taken(ask("PATCH", one, {"metadata": {"labels": {"a": "b"}}}, "merge"))
    await taken(ask("PATCH", one, [{"op": "add", "path": "/metadata/labels/c", "value": "d"}], "json patch"))
    await taken(ask("PATCH", one + "?fieldManager=other", {**obj, "metadata": {"name": name, "labels": {"z": "z"}}}, "apply"))
    await taken(ask("PATCH", one + "?fieldManager=other&force=true", {**obj, "metadata": {"name": name}}, "apply"))
    if not kind.group.endswith(".com"):
        await taken(ask("PATCH", one, {"metadata": {"labels": {"e": "f"}}}, "strategic"))
        await refused_as_deep(ask("PATCH", one, deeper, "strategic"))
        encoded = encode_envelope({**obj, "metadata": {**obj["metadata"], "name": f"{name}-2"}})
        await taken(ask("POST", all_of, encoded, "protobuf"))
        await refused_as_deep(ask("POST", all_of, encode_envelope(deeper), "protobuf"))
    await refused_as_deep(ask("PATCH", one, deeper, "merge"))
    await refused_as_deep(ask("PATCH", one + "?fieldManager=other", deeper, "apply"))


@pytest.mark.parametrize("shape", ["l", "m", "ml", "llm"])
async def test_objects_at_the_bound_live_and_go_like_any_other(shape: str):
    """Custom, built-in, with deep owners' records; deleted in every way, with their namespace, over a restart."""
    store = MemoryStore()
    async with served(store=store) as server, aiohttp.ClientSession() as session:
        ask = Asking(server, session)
        await server.client.create(NAMESPACES, {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "n"}})
        await server.client.create(DEFINITIONS, definition())
        await server.until(DEFINITIONS, f"wells.{GROUP}", "", lambda found: "Established" in str(found.get("status")))
        tree = nested((D - 9) // 2, "m", end="y")
        await everything_with(
            ask, WELLS, well("w", free={"a": nested(D - 2, shape)}, tree=tree), well("w", free={"a": nested(D - 1, shape)})
        )
        await everything_with(ask, REVISIONS, revision("r", D, shape), revision("r", D + 1, shape))
        await everything_with(ask, CONFIG_MAPS, owned_map("c", D), owned_map("c", D + 1))
        for number, policy in enumerate(("Foreground", "Orphan", "Background")):
            await taken(ask("POST", REVISIONS.path("n"), revision(f"gone-{number}", D, shape)))
            await taken(ask("DELETE", REVISIONS.path("n", f"gone-{number}") + f"?propagationPolicy={policy}"))
        owner = await taken(ask("POST", CONFIG_MAPS.path("n"), config_map("owner", namespace="n")))
        dependent = revision("dependent", D, shape)
        reference = {"apiVersion": "v1", "kind": "ConfigMap", "name": "owner", "uid": owner["metadata"]["uid"], "blockOwnerDeletion": True}
        dependent["metadata"]["ownerReferences"] = [reference]
        await taken(ask("POST", REVISIONS.path("n"), dependent))
        await taken(ask("DELETE", CONFIG_MAPS.path("n", "owner") + "?propagationPolicy=Foreground"))
        await idle(server)
        left = {found["metadata"]["name"] for found in (await taken(ask("GET", REVISIONS.path("n"))))["items"]}
        assert left == {"r", "r-2"}
    async with served(store=store) as server, aiohttp.ClientSession() as session:
        ask = Asking(server, session)
        await idle(server)
        await server.until(DEFINITIONS, f"wells.{GROUP}", "", lambda found: "Established" in str(found.get("status")))
        assert not is_too_deep(await taken(ask("GET", WELLS.path("n", "w"))))
        async with server.client.watch(REVISIONS, "n") as events:
            assert (await anext(events)).object["metadata"]["name"] == "r"
        await taken(ask("DELETE", NAMESPACES.path("", "n")))
        await idle(server)
        assert (await ask("GET", NAMESPACES.path("", "n")))[0] == 404
        await taken(ask("DELETE", DEFINITIONS.path("", f"wells.{GROUP}")))
        await idle(server)
        assert (await taken(ask("GET", DEFINITIONS.path())))["items"] == []


async def test_patch_that_nests_deeper_than_any_body_is_refused():
    """Each part fits, the outcome would not."""
    async with served() as server, aiohttp.ClientSession() as session:
        ask = Asking(server, session)
        await server.client.create(NAMESPACES, {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "n"}})
        await server.client.create(DEFINITIONS, definition())
        await server.until(DEFINITIONS, f"wells.{GROUP}", "", lambda found: "Established" in str(found.get("status")))
        await taken(ask("POST", WELLS.path("n"), well("w", free={"a": nested(D - 3, "m")})))
        path, deep = WELLS.path("n", "w"), "/free" + "/a" * (D - 2)
        await refused_as_deep(ask("PATCH", path, [{"op": "replace", "path": deep, "value": nested(2)}], "json patch"))
        doubling = [{"op": "copy", "from": "/free", "path": deep}, {"op": "copy", "from": "/free", "path": "/free/b"}]
        await refused_as_deep(ask("PATCH", path, doubling, "json patch"))
        await taken(ask("PATCH", path, [{"op": "replace", "path": deep, "value": {}}], "json patch"))


@pytest.mark.parametrize("levels", [D + 1, 5000, 100_000])
async def test_value_in_the_store_that_nests_deeper_is_a_damaged_one(levels: int):
    """It ends no server, neither one that runs nor one that starts."""
    store = MemoryStore()
    value = b'{"metadata":{"name":"x","namespace":"default"},"data":' + b"[" * (levels - 1) + b"]" * (levels - 1)
    value += b',"apiVersion":"apps/v1","kind":"ControllerRevision"}'
    for _ in range(2):
        async with served(store=store) as server, aiohttp.ClientSession() as session:
            ask = Asking(server, session)
            if await store.revision() and not (await store.list("controllerrevisions/")).items:
                await store.create("controllerrevisions/default/x", value)
            await idle(server)
            code, said = await ask("GET", REVISIONS.path("default", "x"), accept="application/yaml,application/json")
            assert code == 500
            code, said = await ask("DELETE", REVISIONS.path("default", "x"))
            assert (code, said["reason"]) == (500, "StorageReadError")
            assert "controllerrevisions/default/x" in said["message"]
            await taken(ask("POST", CONFIG_MAPS.path("default"), config_map(f"c{levels}-{_}")))
            await asyncio.sleep(0)
