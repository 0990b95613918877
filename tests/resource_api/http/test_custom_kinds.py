"""What a definition says of its kind, as clients see it."""

from __future__ import annotations

import copy

import pytest

from tests.resource_api.controllers.test_quotas import DEFINITION, WIDGETS, widget
from tests.resource_api.plane import DEFINITIONS, served

pytestmark = pytest.mark.asyncio


async def test_list_kind_and_selectable_fields_are_the_definitions_own():
    """Lists are of the kind `names.listKind`, in the answer and in OpenAPI; fields that select are published and select."""
    crd = copy.deepcopy(DEFINITION)
    crd["spec"]["names"]["listKind"] = "Widgetry"
    version = crd["spec"]["versions"][0]
    version["schema"]["openAPIV3Schema"]["properties"] = {"spec": {"type": "object", "properties": {"color": {"type": "string"}}}}
    version["selectableFields"] = [{"jsonPath": ".spec.color"}]
    async with served() as server:
        await server.client.create(DEFINITIONS, crd)
        await server.until(DEFINITIONS, "widgets.example.com", "", lambda found: "Established" in str(found.get("status")))
        for color in ("red", "green"):
            await server.client.create(WIDGETS, {**widget(color), "spec": {"color": color}}, "default")
        found = await server.client.list(WIDGETS, "default", fieldSelector="spec.color=green")
        assert (found["kind"], [one["metadata"]["name"] for one in found["items"]]) == ("Widgetry", ["green"])
        schemas = (await server.client.request("GET", "/openapi/v3/apis/example.com/v1"))["components"]["schemas"]
        assert schemas["com.example.v1.Widget"]["x-kubernetes-selectable-fields"] == [{"fieldPath": "spec.color"}]
        assert schemas["com.example.v1.Widgetry"]["x-kubernetes-group-version-kind"][0]["kind"] == "Widgetry"
