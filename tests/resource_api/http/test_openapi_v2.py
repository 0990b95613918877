"""OpenAPI v2: everything v3 has, in v2's form and with nothing v2 does not know."""

from __future__ import annotations

import json

import pytest

from resource_api.http.openapi import OpenApi
from resource_api.http.openapi_v2 import definition, swagger
from resource_api.schema import builtin
from tests.resource_api.http.test_openapi import SCHEMAS, WIDGETS


@pytest.fixture(scope="module")
def document():
    return swagger(OpenApi([*builtin.resource_types(), WIDGETS], SCHEMAS).built())


def test_references_are_v2s_and_lead_somewhere(document):
    text = json.dumps(document)
    assert "#/components/" not in text
    targets = {part.split('"')[0] for part in text.split('"#/definitions/')[1:]}
    assert targets <= set(document["definitions"])


def test_types_v2_cannot_say_are_said_its_way(document):
    """Quantities and ports are strings; descriptions stand beside references."""
    definitions = document["definitions"]
    assert definitions["io.k8s.apimachinery.pkg.api.resource.Quantity"]["type"] == "string"
    assert definitions["io.k8s.apimachinery.pkg.util.intstr.IntOrString"]["format"] == "int-or-string"
    metadata = definitions["io.k8s.api.core.v1.Pod"]["properties"]["metadata"]
    assert metadata["$ref"] == "#/definitions/io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta"
    assert metadata["description"]
    for name, node in definitions.items():
        assert not {"allOf", "oneOf", "anyOf", "nullable"} & node.keys(), name


def test_operations_have_bodies_and_media_types(document):
    create = document["paths"]["/apis/apps/v1/namespaces/{namespace}/deployments"]["post"]
    assert create["parameters"][-1] == {
        "name": "body",
        "in": "body",
        "schema": {"$ref": "#/definitions/io.k8s.api.apps.v1.Deployment"},
        "required": True,
    }
    assert "application/json" in create["consumes"]
    assert "application/json" in create["produces"]
    assert create["responses"]["201"]["schema"]["$ref"].endswith("Deployment")
    assert create["x-kubernetes-group-version-kind"] == {"group": "apps", "version": "v1", "kind": "Deployment"}
    assert "schema" not in create["parameters"][0]


def test_custom_kind_loses_what_v2_does_not_know(document):
    """A nullable value or one that keeps unknown fields may be anything."""
    spec = document["definitions"]["com.example.v1.Widget"]["properties"]["spec"]["properties"]
    assert spec["size"] == {"description": "How big."}
    assert spec["template"] == {"x-kubernetes-embedded-resource": True, "x-kubernetes-preserve-unknown-fields": True}
    assert definition("a.v1.B", {"type": "object", "anyOf": [{"required": ["a"]}], "default": {}}) == {"type": "object"}
