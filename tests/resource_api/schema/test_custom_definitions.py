"""What a definition may say, in upstream's words."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import pytest

from resource_api.errors import Object
from resource_api.schema.custom_definitions import definition_errors
from tests.resource_api.controllers.definitions import definition

V = "spec.versions[0]"
S = f"{V}.schema.openAPIV3Schema"


def said(change: Callable[[Object], Any]) -> list[str]:
    """What is wrong with the definition after a change."""
    crd = definition()
    change(crd)
    return [str(error) for error in definition_errors(crd, None)]


def field(props: Object) -> Callable[[Object], Any]:
    """A change that adds a field `x` to the root of the schema."""
    return lambda crd: crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"].update(x=props)


def version(**fields: Any) -> Callable[[Object], Any]:
    """A change of the version."""
    return lambda crd: crd["spec"]["versions"][0].update(fields)


CASES: list[tuple[Callable[[Object], Any], list[str]]] = [
    (lambda crd: None, []),
    (lambda crd: crd["metadata"].update(name="x"), ['metadata.name: Invalid value: "x": must be spec.names.plural+"."+spec.group']),
    (lambda crd: crd["spec"].pop("scope"), ["spec.scope: Required value"]),
    (
        lambda crd: crd["spec"].update(scope="Everywhere"),
        ['spec.scope: Unsupported value: "Everywhere": supported values: "Cluster", "Namespaced"'],
    ),
    (
        lambda crd: (crd["spec"].update(group="example"), crd["metadata"].update(name="widgets.example")),
        ['spec.group: Invalid value: "example": should be a domain with at least one dot'],
    ),
    (
        lambda crd: crd["spec"]["names"].update(listKind="Widget"),
        ['spec.names.listKind: Invalid value: "Widget": kind and listKind may not be the same'],
    ),
    (
        lambda crd: crd["spec"].update(preserveUnknownFields=True),
        [
            "spec.preserveUnknownFields: Invalid value: true: cannot set to true, "
            "set x-kubernetes-preserve-unknown-fields to true in spec.versions[*].schema instead"
        ],
    ),
    (
        lambda crd: crd["spec"].update(conversion={"strategy": "Webhook"}),
        ["spec.conversion.strategy: Forbidden: conversion by webhook is not supported by this server yet"],
    ),
    (version(schema=None), [f"{S}: Required value: schemas are required"]),
    (field({}), [f"{S}.properties[x].type: Required value: must not be empty for specified object fields"]),
    (field({"type": "array"}), [f"{S}.properties[x].items: Required value: must be specified"]),
    (
        field({"type": "array", "items": {}}),
        [f"{S}.properties[x].items.type: Required value: must not be empty for specified array items"],
    ),
    (
        field({"type": "integer", "anyOf": [{"type": "integer"}]}),
        [f"{S}.properties[x].anyOf[0].type: Forbidden: must be empty to be structural"],
    ),
    (field({"x-kubernetes-int-or-string": True, "anyOf": [{"type": "integer"}, {"type": "string"}]}), []),
    (
        field({"type": "string", "x-kubernetes-validations": [{"rule": "self != ''"}]}),
        [f"{S}.properties[x].x-kubernetes-validations: Forbidden: validation rules (CEL) are not supported by this server yet"],
    ),
    (field({"type": "string", "$ref": "#/x"}), [f"{S}.properties[x].$ref: Forbidden: $ref is not supported"]),
    (
        field({"type": "text"}),
        [
            f'{S}.properties[x].type: Unsupported value: "text": supported values: '
            '"array", "boolean", "integer", "null", "number", "object", "string"'
        ],
    ),
    (
        field({"type": "object", "properties": {"a": {"type": "string"}}, "additionalProperties": {"type": "string"}}),
        [f"{S}.properties[x].additionalProperties: Forbidden: additionalProperties and properties are mutual exclusive"],
    ),
    (
        field({"type": "array", "x-kubernetes-list-type": "map", "items": {"type": "object", "properties": {"k": {"type": "string"}}}}),
        [f"{S}.properties[x].x-kubernetes-list-map-keys: Required value: must not be empty if x-kubernetes-list-type is map"],
    ),
    (
        field(
            {
                "type": "array",
                "x-kubernetes-list-type": "map",
                "x-kubernetes-list-map-keys": ["k"],
                "items": {"type": "object", "properties": {"k": {"type": "string"}}},
            }
        ),
        [
            f"{S}.properties[x].items.properties[k].default: Required value: this property is in x-kubernetes-list-map-keys, "
            "so it must have a default or be a required property"
        ],
    ),
    (
        field({"type": "object", "default": {"b": 1}, "properties": {"a": {"type": "string"}}}),
        [f'{S}.properties[x].default: Invalid value: {{"b":1}}: must not have unknown fields'],
    ),
    (
        field({"type": "string", "pattern": "(?=a)"}),
        [
            f'{S}.properties[x].pattern: Invalid value: "(?=a)": must be a valid regular expression, but isn\'t: '
            "error parsing regexp: invalid or unsupported Perl syntax: `(?=`"
        ],
    ),
    (
        lambda crd: crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"].update(
            metadata={"type": "object", "properties": {"labels": {"type": "object"}}}
        ),
        [
            f"{S}.properties[metadata]: Forbidden: must not specify anything other than name and generateName, "
            "but metadata is implicitly specified"
        ],
    ),
    (
        version(subresources={"scale": {"specReplicasPath": ".status.a", "statusReplicasPath": ".status.b"}}),
        [f'{V}.subresources.scale.specReplicasPath: Invalid value: ".status.a": should be a json path under .spec'],
    ),
    (
        version(additionalPrinterColumns=[{"name": "A", "type": "text", "jsonPath": "x"}]),
        [
            f'{V}.additionalPrinterColumns[0].type: Invalid value: "text": must be one of boolean,date,integer,number,string',
            f'{V}.additionalPrinterColumns[0].JSONPath: Invalid value: "x": must be a simple json path starting with .',
        ],
    ),
    (
        version(selectableFields=[{"jsonPath": ".spec"}, {"jsonPath": ".spec.nothing"}, {"jsonPath": ".spec.size"}]),
        [
            f'{V}.selectableFields[0].jsonPath: Invalid value: ".spec": must point to a field of type string, boolean or integer. '
            "Enum string fields and strings with formats are allowed.",
            f'{V}.selectableFields[1].jsonPath: Invalid value: ".spec.nothing": is an invalid path: does not refer to a valid field',
        ],
    ),
    (
        version(deprecationWarning="old"),
        [f'{V}.deprecationWarning: Invalid value: "old": can only be set for deprecated versions'],
    ),
]


@pytest.mark.parametrize(("change", "texts"), CASES)
def test_definition_is_refused_in_upstreams_words(change: Callable[[Object], Any], texts: list[str]):
    """Path, reason and detail of each rule."""
    assert said(change) == texts


def test_root_with_a_status_subresource_may_not_combine():
    """What would lose the status's own validation is refused."""
    texts = said(lambda crd: crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"].update(anyOf=[{"required": ["spec"]}]))
    assert len(texts) == 1
    assert texts[0].startswith(f"{S}: Invalid value: ")
    assert "fields are allowed at the root of the schema if the status subresource is enabled" in texts[0]


def test_established_definition_keeps_scope_and_kind():
    """What decides where objects are stored does not change."""
    old = definition()
    old["status"] = {"conditions": [{"type": "Established", "status": "True"}], "storedVersions": ["v1"]}
    new = copy.deepcopy(old)
    new["spec"]["scope"] = "Cluster"
    assert [str(error) for error in definition_errors(new, old)] == ['spec.scope: Invalid value: "Cluster": field is immutable']


def test_version_with_stored_objects_stays():
    """A version leaves only when nothing is stored in it."""
    old = definition()
    old["status"] = {"storedVersions": ["v1", "v2"]}
    texts = [str(error) for error in definition_errors(copy.deepcopy(old), old)]
    assert texts[0].startswith('status.storedVersions[1]: Invalid value: "v2": missing from spec.versions; v2 was previously')


def test_protected_group_needs_approval():
    """At creation; an update that changes nothing of it passes."""
    crd = definition(group="x.k8s.io")
    path = "metadata.annotations[api-approved.kubernetes.io]"
    texts = [str(error) for error in definition_errors(crd, None)]
    assert texts[0].startswith(f'{path}: Required value: protected groups must have approval annotation "api-approved.kubernetes.io", see ')
    crd["metadata"]["annotations"] = {"api-approved.kubernetes.io": "yes"}
    assert str(definition_errors(crd, None)[0]).startswith(f'{path}: Invalid value: "yes": protected groups')
    crd["metadata"]["annotations"] = {"api-approved.kubernetes.io": "unapproved"}
    assert definition_errors(crd, None) == []
