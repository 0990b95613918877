"""FlowSchemas say whether their priority level exists; components say how they do."""

from __future__ import annotations

import pytest

from resource_api.client import Kind
from resource_api.errors import Object
from tests.resource_api.plane import served

pytestmark = pytest.mark.asyncio

SCHEMAS = Kind("flowcontrol.apiserver.k8s.io", "v1", "flowschemas")
LEVELS = Kind("flowcontrol.apiserver.k8s.io", "v1", "prioritylevelconfigurations")
COMPONENTS = Kind("", "v1", "componentstatuses")


def dangling(schema: Object) -> tuple[str, str]:
    """Status and reason of the condition."""
    for one in schema.get("status", {}).get("conditions", []):
        if one["type"] == "Dangling":
            return one["status"], one["reason"]
    return "", ""


async def test_condition_follows_the_priority_level():
    """What stands in every cluster is found; a level that is missing is told, until it is made."""
    async with served() as server:
        exempt = await server.until(SCHEMAS, "exempt", "", lambda one: dangling(one) == ("False", "Found"))
        said = 'This FlowSchema references the PriorityLevelConfiguration object named "exempt" and it exists'
        assert exempt["status"]["conditions"][0]["message"] == said
        group = "flowcontrol.apiserver.k8s.io/v1"
        spec = {"priorityLevelConfiguration": {"name": "mine"}, "matchingPrecedence": 500}
        await server.client.create(SCHEMAS, {"apiVersion": group, "kind": "FlowSchema", "metadata": {"name": "mine"}, "spec": spec})
        await server.until(SCHEMAS, "mine", "", lambda one: dangling(one) == ("True", "NotFound"))
        level = {"type": "Limited", "limited": {"nominalConcurrencyShares": 5, "limitResponse": {"type": "Reject"}}}
        obj = {"apiVersion": group, "kind": "PriorityLevelConfiguration", "metadata": {"name": "mine"}, "spec": level}
        await server.client.create(LEVELS, obj)
        await server.until(SCHEMAS, "mine", "", lambda one: dangling(one) == ("False", "Found"))


async def test_components_say_how_they_do():
    """The store and the controllers are asked; that there is no scheduler is said; a warning tells that nobody should ask."""
    async with served() as server:
        await server.until(SCHEMAS, "exempt", "", lambda one: dangling(one) == ("False", "Found"))
        found = {one["metadata"]["name"]: one["conditions"][0] for one in (await server.client.list(COMPONENTS))["items"]}
        assert {name: one["status"] for name, one in found.items()} == {
            "controller-manager": "True",
            "etcd-0": "True",
            "scheduler": "False",
        }
        assert found["scheduler"]["message"] == "this server has no scheduler"
        one = await server.client.get(COMPONENTS, "etcd-0")
        assert (one["kind"], one["conditions"][0]["message"]) == ("ComponentStatus", "ok")
        only = await server.client.list(COMPONENTS, fieldSelector="metadata.name=etcd-0")
        assert [one["metadata"]["name"] for one in only["items"]] == ["etcd-0"]
        missing = await server.refusal(server.client.get(COMPONENTS, "etcd-1"))
        assert (missing.code, missing.message) == (404, 'componentstatuses "etcd-1" not found')
        refused = await server.refusal(server.client.create(COMPONENTS, one))
        assert refused.code == 405
