"""Numbers as Go reads and writes them, embedded metadata, null bodies, and that no patch makes an object another kind: over the wire."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest

from tests.resource_api.refusals.server import Server

DEFAULT = "namespaces/default"
GADGETS = f"/apis/numbers.example.com/v1/{DEFAULT}/gadgets"
DEFINITIONS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
SPEC_SCHEMA = {
    "type": "object",
    "properties": {
        "count": {"type": "integer"},
        "ratio": {"type": "number"},
        "free": {"x-kubernetes-preserve-unknown-fields": True},
        "template": {
            "type": "object",
            "x-kubernetes-embedded-resource": True,
            "x-kubernetes-preserve-unknown-fields": True,
        },
        "shaped": {
            "type": "object",
            "x-kubernetes-embedded-resource": True,
            "properties": {"spec": {"type": "object", "properties": {"a": {"type": "string"}}}},
        },
    },
}
GADGET_DEFINITION = {
    "metadata": {"name": "gadgets.numbers.example.com"},
    "spec": {
        "group": "numbers.example.com",
        "scope": "Namespaced",
        "names": {"plural": "gadgets", "kind": "Gadget"},
        "versions": [
            {
                "name": "v1",
                "served": True,
                "storage": True,
                "schema": {"openAPIV3Schema": {"type": "object", "properties": {"spec": SPEC_SCHEMA}}},
            }
        ],
    },
}
SCALER = {
    "metadata": {"name": "h"},
    "spec": {"maxReplicas": 2, "scaleTargetRef": {"kind": "Deployment", "name": "web", "apiVersion": "apps/v1"}},
}
JSON, MERGE, STRATEGIC = (f"application/{kind}+json" for kind in ("json-patch", "merge-patch", "strategic-merge-patch"))
APPLY = "application/apply-patch+yaml"


@pytest.fixture(scope="module")
def gadgets(server: Server) -> Server:
    """With the kind Gadget."""
    server.make(DEFINITIONS, GADGET_DEFINITION)
    while server.ask("GET", GADGETS)[0] != 200:
        time.sleep(0.02)
    return server


def gadget(name: str, **spec: Any) -> dict[str, Any]:
    return {"apiVersion": "numbers.example.com/v1", "kind": "Gadget", "metadata": {"name": name}, "spec": spec}


def patched(server: Server, path: str, kind: str, body: str) -> tuple[int, Any]:
    code, _, answer = server.ask("PATCH", path, body.encode(), {"Content-Type": kind})
    return code, json.loads(answer)


WHOLE = '"count": 1.0, "ratio": 1e3, "free": {"a": [2.0, {"b": -0.0}], "half": 0.5, "big": 1e300}'


def as_written(text: str) -> Any:
    """JSON in which 1 and 1.0 differ."""
    return json.loads(text, parse_float=lambda number: f"float {float(number)}")


EXPECTED = as_written('{"count": 1, "ratio": 1000, "free": {"a": [2, {"b": 0}], "half": 0.5, "big": 1e300}}')


def spec_of(server: Server, name: str) -> Any:
    return as_written(server.ask("GET", f"{GADGETS}/{name}")[2].decode())["spec"]


def test_whole_floats_of_custom_objects_are_stored_as_integers(gadgets: Server) -> None:
    """By every way of writing, so that clients with int fields can read them."""
    text = json.dumps(gadget("posted")).replace('"spec": {}', f'"spec": {{{WHOLE}}}')
    assert gadgets.ask("POST", GADGETS, text.encode())[0] == 201
    assert spec_of(gadgets, "posted") == EXPECTED
    for number, (kind, body) in enumerate(
        (
            (MERGE, f'{{"spec": {{{WHOLE}}}}}'),
            (JSON, f'[{{"op": "add", "path": "/spec", "value": {{{WHOLE}}}}}]'),
            (APPLY, json.dumps(gadget("x")).replace('"x"', '"patched0"').replace('"spec": {}', f'"spec": {{{WHOLE}}}')),
        )
    ):
        name = f"patched{number}"
        server_body = body.replace("patched0", name)
        gadgets.make(GADGETS, gadget(name))
        code, answer = patched(gadgets, f"{GADGETS}/{name}?fieldManager=m" + ("&force=true" if kind == APPLY else ""), kind, server_body)
        assert code == 200, answer
        assert spec_of(gadgets, name) == EXPECTED
    obj = json.loads(gadgets.ask("GET", f"{GADGETS}/posted")[2])
    obj["spec"] = {"count": 7.0}
    assert gadgets.ask("PUT", f"{GADGETS}/posted", json.dumps(obj).encode())[0] == 200
    assert spec_of(gadgets, "posted") == {"count": 7}


def test_builtin_integers_take_no_whole_floats_in_json(server: Server) -> None:
    """Go's decoder looks at how the number is written; what upstream converts from values without types is taken."""
    why = "json: cannot unmarshal number 2.0 into Go struct field DeploymentSpec.spec.replicas of type int32"
    path = f"/apis/apps/v1/{DEFAULT}/deployments"
    body = {"metadata": {"name": "floats"}, "spec": {"replicas": 2.0}}
    code, _, answer = server.ask("POST", path, json.dumps(body).encode())
    assert (code, json.loads(answer)["message"]) == (400, f'Deployment in version "v1" cannot be handled as a Deployment: {why}')
    code, _, answer = server.ask("POST", path, json.dumps(body).replace("2.0", "1e3").encode())
    exponent = why.replace("2.0", "1e3")
    assert (code, json.loads(answer)["message"]) == (400, f'Deployment in version "v1" cannot be handled as a Deployment: {exponent}')
    code, status = patched(server, f"{path}/web", MERGE, '{"spec": {"replicas": 1e3}}')
    assert (code, status["message"].endswith(exponent)) == (422, True), status
    assert '\\"replicas\\":1e3,' in status["message"], "the outcome is shown with the number as it was written"
    change = '{"spec": {"replicas": 2.0}}'
    code, status = patched(server, f"{path}/web", MERGE, change)
    assert (code, status["message"].endswith(why)) == (422, True), status
    code, obj = patched(server, f"{path}/web?dryRun=All", STRATEGIC, change)
    assert (code, obj["spec"]["replicas"]) == (200, 2), obj
    applied = '{"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web"}, "spec": {"replicas": 2.0}}'
    code, obj = patched(server, f"{path}/web?dryRun=All&fieldManager=m&force=true", APPLY, applied)
    assert (code, obj["spec"]["replicas"]) == (200, 2), obj


def test_text_that_is_no_utf8_is_replaced(server: Server, gadgets: Server) -> None:
    """Go's decoder puts U+FFFD for every byte it cannot read, and refuses nothing; its YAML reader does."""
    path = f"/api/v1/{DEFAULT}/configmaps"
    code, _, answer = server.ask("POST", f"{path}?dryRun=All", b'{"metadata":{"name":"n"},"data":{"a":"x\xff\xfey","b":"\\ud800"}}')
    assert (code, json.loads(answer).get("data")) == (201, {"a": "x\ufffd\ufffdy", "b": "\ufffd"}), answer
    code, obj = patched(server, f"{path}/here?dryRun=All", "application/merge-patch+json", '{"data":{"b":"\\udfff"}}')
    assert (code, obj["data"]["b"]) == (200, "\ufffd")
    free = b'{"apiVersion":"numbers.example.com/v1","kind":"Gadget","metadata":{"name":"n"},"spec":{"free":{"\xc3":"\xc3"}}}'
    code, _, answer = gadgets.ask("POST", f"{GADGETS}?dryRun=All", free)
    assert (code, json.loads(answer)["spec"]) == (201, {"free": {"\ufffd": "\ufffd"}}), answer
    code, _, answer = server.ask("POST", path, b"metadata: {name: \xff}", {"Content-Type": "application/yaml"})
    assert (code, "yaml: invalid leading UTF-8 octet (" in json.loads(answer)["message"]) == (400, True), answer


def test_scale_takes_no_whole_floats_in_json(server: Server) -> None:
    """It is a built-in kind, whatever it scales."""
    why = "json: cannot unmarshal number 2.0 into Go struct field ScaleSpec.spec.replicas of type int32"
    path = f"/apis/apps/v1/{DEFAULT}/deployments/web/scale"
    code, _, answer = server.ask("PUT", path, b'{"metadata":{"name":"web","namespace":"default"},"spec":{"replicas":2.0}}')
    assert (code, json.loads(answer)["message"]) == (400, f'Scale in version "v1" cannot be handled as a Scale: {why}')
    code, status = patched(server, path, MERGE, '{"spec": {"replicas": 2.0}}')
    assert (code, status["reason"], status["message"].endswith(f": {why}")) == (422, "Invalid", True), status
    assert '\\"replicas\\":2.0' in status["message"]
    code, scale = patched(server, f"{path}?dryRun=All", STRATEGIC, '{"spec": {"replicas": 2.0}}')
    assert (code, scale["spec"]["replicas"]) == (200, 2), scale
    code, status = patched(server, path, STRATEGIC, '{"spec": {"replicas": "x"}}')
    assert (code, status["message"].endswith(": unrecognized type: int32")) == (422, True), status


@pytest.mark.parametrize("field", ["template", "shaped"])
def test_embedded_metadata_is_an_object_meta(gadgets: Server, field: str) -> None:
    """Unknown fields go, strict validation names them, and a wrong type is a bad request."""
    inner = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p", "labels": {"a": "b"}, "frob": {"x": 1}}, "spec": {"a": "1"}}
    obj = gadget(f"embeds-{field}", **{field: inner})
    code, _, answer = gadgets.ask("POST", f"{GADGETS}?fieldValidation=Strict", json.dumps(obj).encode())
    assert code == 400
    assert json.loads(answer)["message"].endswith(f'strict decoding error: unknown field "spec.{field}.metadata.frob"')
    gadgets.make(GADGETS, obj)
    found = json.loads(gadgets.ask("GET", f"{GADGETS}/embeds-{field}")[2])["spec"][field]
    assert found == {**inner, "metadata": {"name": "p", "labels": {"a": "b"}}}
    inner["metadata"] = {"labels": 5}
    code, _, answer = gadgets.ask("POST", GADGETS, json.dumps(gadget("wrong", **{field: inner})).encode())
    assert (code, "ObjectMeta" in json.loads(answer)["message"]) == (400, True), answer


def test_default_with_embedded_metadata_of_a_wrong_type_is_refused(server: Server) -> None:
    """And is no fault of ours."""
    definition: Any = json.loads(json.dumps(GADGET_DEFINITION).replace("gadget", "gizmo").replace("Gadget", "Gizmo"))
    template = definition["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"]["properties"]["template"]
    template["default"] = {"apiVersion": "v1", "kind": "Pod", "metadata": {"labels": 5}}
    code, _, answer = server.ask("POST", DEFINITIONS, json.dumps(definition).encode())
    assert code == 422, answer


OBJECTS = {
    "map": f"/api/v1/{DEFAULT}/configmaps/here",
    "scaler_v1": f"/apis/autoscaling/v1/{DEFAULT}/horizontalpodautoscalers/h",
    "scaler_v2": f"/apis/autoscaling/v2/{DEFAULT}/horizontalpodautoscalers/h",
    "definition": f"{DEFINITIONS}/widgets.example.com",
    "deployment": f"/apis/apps/v1/{DEFAULT}/deployments/web",
}


@pytest.mark.parametrize("name", OBJECTS)
def test_no_patch_makes_a_builtin_object_another_kind(server: Server, name: str) -> None:
    """A merge, JSON or strategic patch of kind or apiVersion is refused, or what it said is restored."""
    path = OBJECTS[name]
    if name.startswith("scaler"):
        server.ask("POST", f"/apis/autoscaling/v1/{DEFAULT}/horizontalpodautoscalers", json.dumps(SCALER).encode())
    before = json.loads(server.ask("GET", path)[2])
    for field in ("kind", "apiVersion"):
        values: tuple[Any, ...] = ("Secret", "autoscaling/v1", "autoscaling/v2", "v9", "a/b/c", None, "", 5, [], {"a": 1})
        for value in values:
            as_merge = json.dumps({field: value})
            as_json = json.dumps([{"op": "add", "path": f"/{field}", "value": value}])
            removed = json.dumps([{"op": "remove", "path": f"/{field}"}])
            for kind, body in ((MERGE, as_merge), (STRATEGIC, as_merge), (JSON, as_json), (JSON, removed)):
                code, answer = patched(server, path, kind, body)
                assert code in (200, 400, 422), (kind, body, answer)
                if code == 200:
                    assert (answer["kind"], answer["apiVersion"]) == (before["kind"], before["apiVersion"]), (kind, body)
                after = json.loads(server.ask("GET", path)[2])
                assert (after["kind"], after["apiVersion"], after.get("spec")) == (before["kind"], before["apiVersion"], before.get("spec"))


@pytest.mark.parametrize("kind", [JSON, STRATEGIC])
def test_null_is_a_patch_that_changes_nothing(server: Server, kind: str) -> None:
    """Go reads it as no operations, and as no fields."""
    code, obj = patched(server, OBJECTS["map"], kind, "null")
    assert (code, obj.get("data")) == (200, {"a": "1"}), obj
