"""OpenAPI v2: one document of everything, made of the v3 documents; what v2 cannot say is left out (spec A.4, C.7).

kubectl reads it before it checks a `kind: List`, in the form of `schema/protobuf/swagger.py`; conformance tests and some generators read
it as JSON. Plain functions; building it takes about 80 ms.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from resource_api.errors import Json, Object
from resource_api.http.openapi import INFO, SECURITY
from resource_api.schema.builtin import INT_OR_STRING, QUANTITY, REFERENCE

DEFINITION = "#/definitions/"
METHODS = frozenset({"get", "put", "post", "delete", "patch"})
UNSAID = frozenset({"allOf", "anyOf", "default", "not", "nullable", "oneOf"})
"""What is dropped from schemas of custom kinds."""
FREE = frozenset({"additionalProperties", "items", "properties", "required", "type"})
"""What else is dropped where anything may stand."""
WRITTEN_AS: dict[str, Object] = {
    INT_OR_STRING: {"format": "int-or-string", "type": "string"},
    QUANTITY: {"type": "string"},
}


def _definition(node: Json, *, custom: bool) -> Json:
    """A schema in v2; references are moved, those wrapped for v3 stand beside their description again."""
    if isinstance(node, list):
        return [_definition(each, custom=custom) for each in node]
    if not isinstance(node, dict):
        return node
    if "$ref" in node:
        return {**node, "$ref": DEFINITION + node["$ref"].removeprefix(REFERENCE)}
    parts = node.get("allOf")
    if isinstance(parts, list) and len(parts) == 1 and "$ref" in parts[0]:
        return {key: value for key, value in node.items() if key != "allOf"} | _definition(parts[0], custom=custom)
    found = dict(node)
    if custom:
        free = node.get("nullable") or node.get("x-kubernetes-preserve-unknown-fields") or node.get("x-kubernetes-int-or-string")
        dropped = UNSAID | FREE if free else UNSAID
        found = {key: value for key, value in node.items() if key not in dropped}
    for key in ("items", "additionalProperties"):
        if key in found:
            found[key] = _definition(found[key], custom=custom)
    if "properties" in found:
        found["properties"] = {name: _definition(child, custom=custom) for name, child in found["properties"].items()}
    return found


def definition(name: str, node: Object) -> Object:
    """A named schema in v2; those of ours are `io.k8s.…`, the others are custom kinds'."""
    if name in WRITTEN_AS:
        return ({"description": node["description"]} if "description" in node else {}) | WRITTEN_AS[name]
    found: Object = _definition(node, custom=not name.startswith("io.k8s."))
    return found


def _parameter(given: Object) -> Object:
    schema: Object = given["schema"]
    return {key: value for key, value in given.items() if key != "schema"} | schema


def _answer(given: Object) -> Object:
    found = {"description": given["description"]}
    for content in list(given.get("content", {}).values())[:1]:
        found["schema"] = _definition(content["schema"], custom=False)
    return found


def _operation(given: Object) -> Object:
    found = {key: value for key, value in given.items() if key not in ("parameters", "requestBody", "responses")}
    parameters = [_parameter(each) for each in given.get("parameters", ())]
    body = given.get("requestBody")
    if body is not None:
        content = body["content"]
        found["consumes"] = list(content)
        schema = _definition(next(iter(content.values()))["schema"], custom=False)
        parameters.append({"name": "body", "in": "body", "schema": schema} | ({"required": True} if body.get("required") else {}))
    media = {kind: None for answer in given["responses"].values() for kind in answer.get("content", {})}
    if media:
        found["produces"] = list(media)
    if parameters:
        found["parameters"] = parameters
    found["responses"] = {code: _answer(answer) for code, answer in given["responses"].items()}
    return found


def _path(item: Object) -> Object:
    found: Object = {method: _operation(value) for method, value in item.items() if method in METHODS}
    if item.get("parameters"):
        found["parameters"] = [_parameter(each) for each in item["parameters"]]
    return found


def swagger(documents: Iterable[Mapping[str, Json]]) -> Object:
    """The v2 document of v3 documents, each decoded."""
    paths: Object = {}
    definitions: Object = {}
    for each in documents:
        for where, item in each["paths"].items():
            paths[where] = _path(item)
        for name, node in each["components"]["schemas"].items():
            if name not in definitions:
                definitions[name] = definition(name, node)
    return {
        "swagger": "2.0",
        "info": INFO,
        "paths": dict(sorted(paths.items())),
        "definitions": dict(sorted(definitions.items())),
        "securityDefinitions": SECURITY,
        "security": [{name: [] for name in SECURITY}],
    }
