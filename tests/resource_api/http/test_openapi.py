"""OpenAPI v3: what kubectl looks for is there, references lead somewhere, hashes are stable and only what changed changes."""

from __future__ import annotations

import msgspec
import pytest

from resource_api.http.openapi import OpenApi, custom_name, references
from resource_api.schema import builtin
from resource_api.schema.kinds import GroupVersionKind, ResourceType, Subresource

WIDGETS = ResourceType(
    "example.com",
    "v1",
    "Widget",
    "widgets",
    "widget",
    True,
    custom=True,
    storage_path="example.com/widgets",
    subresources={"status": Subresource("status", GroupVersionKind("example.com", "v1", "Widget"), ("get", "patch", "update"))},
)
SCHEMA = {
    "type": "object",
    "required": ["spec"],
    "properties": {
        "spec": {
            "type": "object",
            "properties": {
                "size": {"type": "integer", "nullable": True, "description": "How big."},
                "template": {"type": "object", "x-kubernetes-embedded-resource": True, "x-kubernetes-preserve-unknown-fields": True},
            },
        }
    },
}
SCHEMAS = {("example.com", "v1", "widgets"): SCHEMA}
PREFIX = "#/components/schemas/"


@pytest.fixture(scope="module")
def openapi() -> OpenApi:
    return OpenApi([*builtin.resource_types(), WIDGETS], SCHEMAS)


def decoded(openapi: OpenApi, path: str):
    found = openapi.document(path)
    assert found is not None
    return msgspec.json.decode(found.body)


def test_index_names_every_group_and_version_with_its_hash(openapi):
    """Where kubectl begins."""
    paths = msgspec.json.decode(openapi.index().body)["paths"]
    assert {"api", "api/v1", "apis", "apis/apps", "apis/apps/v1", "apis/example.com/v1", "version"} <= set(paths)
    for path, entry in paths.items():
        document = openapi.document(path)
        assert document is not None
        assert entry == {"serverRelativeURL": f"/openapi/v3/{path}?hash={document.digest}"}
        assert len(document.digest) == 128
        assert document.digest == document.digest.upper()


def test_documents_are_the_same_every_time():
    """The hash is in a URL that may be kept for ever."""
    first, second = (OpenApi([*builtin.resource_types(), WIDGETS], SCHEMAS) for _ in range(2))
    assert first.index() == second.index()


def test_every_reference_leads_somewhere_and_every_schema_is_referred_to(openapi):
    """A document stands for itself."""
    for path in openapi.paths():
        document = decoded(openapi, path)
        schemas = document["components"]["schemas"]
        assert set(references(document)) == set(schemas), path


def test_every_writable_kind_has_the_operations_kubectl_looks_for(openapi):
    """PATCH with the kind, `fieldValidation` in the query, strategic merge only for built-in kinds."""
    for one in [*builtin.resource_types(), WIDGETS]:
        if "patch" not in one.verbs:
            continue
        path = f"apis/{one.group}/{one.version}" if one.group else "api/v1"
        gvk = {"group": one.group, "version": one.version, "kind": one.kind}
        found = [
            item["patch"]
            for item in decoded(openapi, path)["paths"].values()
            if item.get("patch", {}).get("x-kubernetes-group-version-kind") == gvk
        ]
        assert found, one.gvk
        for operation in found:
            assert operation["x-kubernetes-action"] == "patch"
            assert any(each["name"] == "fieldValidation" and each["in"] == "query" for each in operation["parameters"])
            strategic = "application/strategic-merge-patch+json" in operation["requestBody"]["content"]
            assert strategic is not one.custom


def test_schemas_carry_kinds_lists_and_merge_keys(openapi):
    """What explain and the three-way merge read."""
    schemas = decoded(openapi, "apis/apps/v1")["components"]["schemas"]
    deployment = schemas["io.k8s.api.apps.v1.Deployment"]
    assert deployment["x-kubernetes-group-version-kind"] == [{"group": "apps", "kind": "Deployment", "version": "v1"}]
    assert deployment["properties"]["metadata"]["allOf"] == [{"$ref": PREFIX + "io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta"}]
    containers = schemas["io.k8s.api.core.v1.PodSpec"]["properties"]["containers"]
    assert containers["x-kubernetes-list-map-keys"] == ["name"]
    assert (containers["x-kubernetes-patch-strategy"], containers["x-kubernetes-patch-merge-key"]) == ("merge", "name")
    assert schemas["io.k8s.api.core.v1.ContainerPort"]["properties"]["protocol"]["default"] == "TCP"
    assert schemas["io.k8s.apimachinery.pkg.api.resource.Quantity"]["oneOf"] == [{"type": "string"}, {"type": "number"}]
    assert schemas["io.k8s.apimachinery.pkg.util.intstr.IntOrString"]["format"] == "int-or-string"
    text = msgspec.json.encode(schemas).decode()
    assert '"null"' not in text
    assert "$defs" not in text


def test_operation_ids_are_unique(openapi):
    """Client generators name methods after them."""
    for path in openapi.paths():
        ids = [each["operationId"] for item in decoded(openapi, path)["paths"].values() for each in item.values() if isinstance(each, dict)]
        assert len(ids) == len(set(ids)), path


def test_path_parameters_are_declared(openapi):
    """Every `{x}` of a path and no other."""
    for path in openapi.paths():
        for where, item in decoded(openapi, path)["paths"].items():
            declared = {each["name"] for each in item.get("parameters", []) if each["in"] == "path"}
            assert declared == {part[1:-1] for part in where.split("/") if part.startswith("{")}


def test_custom_kind_is_published_whole(openapi):
    """Everything its definition says, and what every object has."""
    document = decoded(openapi, "apis/example.com/v1")
    assert "/apis/example.com/v1/namespaces/{namespace}/widgets/{name}/status" in document["paths"]
    name = custom_name(WIDGETS.gvk)
    assert name == "com.example.v1.Widget"
    widget = document["components"]["schemas"][name]
    assert widget["x-kubernetes-group-version-kind"] == [{"group": "example.com", "kind": "Widget", "version": "v1"}]
    assert set(widget["properties"]) == {"apiVersion", "kind", "metadata", "spec"}
    assert widget["properties"]["spec"]["properties"]["size"] == {"type": "integer", "nullable": True, "description": "How big."}
    assert set(widget["properties"]["spec"]["properties"]["template"]["properties"]) == {"apiVersion", "kind", "metadata"}
    assert document["components"]["schemas"][name + "List"]["properties"]["items"]["items"] == {"$ref": PREFIX + name}
    assert "properties" not in SCHEMA["properties"]["spec"]["properties"]["template"]


def test_what_did_not_change_keeps_its_document(openapi):
    """A new definition costs one document, not fifty."""
    other = {**SCHEMA, "description": "new"}
    openapi.prepare()
    changed = OpenApi([*builtin.resource_types(), WIDGETS], {("example.com", "v1", "widgets"): other}, previous=openapi)
    assert changed.document("apis/apps/v1") is openapi.document("apis/apps/v1")
    assert changed.document("apis/example.com/v1") != openapi.document("apis/example.com/v1")
    gone = OpenApi(builtin.resource_types(), previous=openapi)
    assert gone.document("apis/example.com/v1") is None


def test_answers_follow_the_hash(openapi):
    """Right: keep it for ever. Wrong: over there. None: the document, to be asked for again. Known: 304."""
    document = openapi.document("apis/apps/v1")
    right = openapi.answer("apis/apps/v1", document.digest, expires_http="Thu, 01 Jan 2032 00:00:00 GMT")
    assert (right.status, right.body) == (200, document.body)
    assert right.headers == {
        "Content-Type": "application/json",
        "Etag": document.etag,
        "Vary": "Accept",
        "Cache-Control": "public, immutable",
        "Expires": "Thu, 01 Jan 2032 00:00:00 GMT",
    }
    wrong = openapi.answer("apis/apps/v1", "0" * 128)
    assert (wrong.status, wrong.headers) == (301, {"Location": f"/openapi/v3/apis/apps/v1?hash={document.digest}"})
    plain = openapi.answer("apis/apps/v1")
    assert plain.status == 200
    assert "Cache-Control" not in plain.headers
    assert openapi.answer("apis/apps/v1", document.digest, if_none_match=document.etag).status == 304
    assert openapi.answer("apis/nothing/v1") is None
    assert openapi.answer_index(openapi.index().etag).status == 304


def test_values_of_enumerations_are_published(openapi):
    """Where `kubectl explain` shows ENUM: of a property, of what a list holds, and of members that come with an inlined struct."""
    types = decoded(openapi, "api/v1")["components"]["schemas"]
    policy = types["io.k8s.api.core.v1.Container"]["properties"]["imagePullPolicy"]
    assert policy["enum"] == ["Always", "IfNotPresent", "Never"]
    head, _, said = policy["description"].partition("\n\nPossible enum values:\n")
    assert head.startswith("Image pull policy.")
    assert [line.split("`")[1] for line in said.split("\n")] == ['"Always"', '"IfNotPresent"', '"Never"']
    assert types["io.k8s.api.core.v1.EphemeralContainer"]["properties"]["imagePullPolicy"] == policy
    modes = types["io.k8s.api.core.v1.PersistentVolumeClaimSpec"]["properties"]["accessModes"]
    assert modes["items"]["enum"] == ["ReadOnlyMany", "ReadWriteMany", "ReadWriteOnce", "ReadWriteOncePod"]
    assert "enum" not in types["io.k8s.api.core.v1.NodeCondition"]["properties"]["type"]
