"""Joins the protobuf field numbers of tools/kube/proto_fields.tsv with the types: which field of which message is which JSON member.

Part of `tools.kube_schema`. Every property of every type must have its protobuf field and every field its property; anything else ends the
build, so a rename or an inlined member that is not in the tables here cannot go unnoticed.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable
from typing import Any

Node = dict[str, Any]
Field = list[Any]
"""[number, member, label, type, keep]; label is one, many, map or inline; keep says that a zero is written to JSON."""

DEFINITIONS, MESSAGES = "io.k8s.", "k8s.io."

SPECIAL = {
    "k8s.io.apimachinery.pkg.apis.meta.v1.Time": "@time",
    "k8s.io.apimachinery.pkg.apis.meta.v1.MicroTime": "@micro_time",
    "k8s.io.apimachinery.pkg.apis.meta.v1.FieldsV1": "@json",
    "k8s.io.apimachinery.pkg.apis.meta.v1.Verbs": "@strings",
    "k8s.io.apimachinery.pkg.api.resource.Quantity": "@quantity",
    "k8s.io.apimachinery.pkg.util.intstr.IntOrString": "@int_or_string",
    "k8s.io.apimachinery.pkg.runtime.RawExtension": "@json",
    "k8s.io.apiextensions_apiserver.pkg.apis.apiextensions.v1.JSON": "@json",
    "k8s.io.apiextensions_apiserver.pkg.apis.apiextensions.v1.JSONSchemaPropsOrArray": "@schema_or_array",
    "k8s.io.apiextensions_apiserver.pkg.apis.apiextensions.v1.JSONSchemaPropsOrBool": "@schema_or_bool",
    "k8s.io.apiextensions_apiserver.pkg.apis.apiextensions.v1.JSONSchemaPropsOrStringArray": "@schema_or_strings",
    "k8s.io.api.authentication.v1.AttestationValue": "@strings",
    "k8s.io.api.authentication.v1.ExtraValue": "@strings",
    "k8s.io.api.authorization.v1.ExtraValue": "@strings",
    "k8s.io.api.certificates.v1.ExtraValue": "@strings",
}
"""Messages that are no JSON object, by how they are written instead."""

INLINE = {
    ("ConfigMapEnvSource", "localObjectReference"),
    ("ConfigMapKeySelector", "localObjectReference"),
    ("ConfigMapProjection", "localObjectReference"),
    ("ConfigMapVolumeSource", "localObjectReference"),
    ("SecretEnvSource", "localObjectReference"),
    ("SecretKeySelector", "localObjectReference"),
    ("SecretProjection", "localObjectReference"),
    ("EphemeralContainer", "ephemeralContainerCommon"),
    ("PersistentVolumeSpec", "persistentVolumeSource"),
    ("Probe", "handler"),
    ("Volume", "volumeSource"),
    ("IngressRule", "ingressRuleValue"),
    ("DeviceAllocationConfiguration", "deviceConfiguration"),
    ("DeviceClaimConfiguration", "deviceConfiguration"),
    ("DeviceClassConfiguration", "deviceConfiguration"),
    ("NamedRuleWithOperations", "ruleWithOperations"),
    ("RuleWithOperations", "rule"),
}
"""Message and field whose members stand in JSON beside the message's own."""

RENAMED = {
    ("IngressClassParametersReference", "aPIGroup"): "apiGroup",
    ("BoundObjectReference", "uID"): "uid",
    ("ValidatingWebhookConfiguration", "Webhooks"): "webhooks",
    ("MutatingWebhookConfiguration", "Webhooks"): "webhooks",
    ("Validation", "Expression"): "expression",
    ("Variable", "Name"): "name",
    ("Variable", "Expression"): "expression",
    ("JSONSchemaProps", "schema"): "$schema",
    ("JSONSchemaProps", "ref"): "$ref",
    ("JSONSchemaProps", "xKubernetesPreserveUnknownFields"): "x-kubernetes-preserve-unknown-fields",
    ("JSONSchemaProps", "xKubernetesEmbeddedResource"): "x-kubernetes-embedded-resource",
    ("JSONSchemaProps", "xKubernetesIntOrString"): "x-kubernetes-int-or-string",
    ("JSONSchemaProps", "xKubernetesListMapKeys"): "x-kubernetes-list-map-keys",
    ("JSONSchemaProps", "xKubernetesListType"): "x-kubernetes-list-type",
    ("JSONSchemaProps", "xKubernetesMapType"): "x-kubernetes-map-type",
    ("JSONSchemaProps", "xKubernetesValidations"): "x-kubernetes-validations",
}

UNNUMBERED = {
    ("NodeSystemInfo", "runningInUserNamespace"),
    ("DeviceCounterConsumption", "compatibilityGroups"),
    ("DeviceSubRequest", "derivedAttributes"),
    ("ExactDeviceRequest", "derivedAttributes"),
}
"""Members new in 1.37 whose numbers are in no source we have: protobuf bodies do not carry them."""

SCALARS = {"string", "bool", "bytes", "double", "int32", "int64"}
TYPE_META = {"apiVersion", "kind"}


def message_name(definition: str) -> str:
    """The protobuf name of a definition."""
    return MESSAGES + definition.removeprefix(DEFINITIONS).replace("-", "_")


def message_table(types: dict[str, Node], fields: Iterable[dict[str, str]], zeros: Iterable[dict[str, str]]) -> dict[str, Any]:
    """Returns `{"messages": {name: [Field]}, "kinds": {definition: message}}` for everything the types reach."""
    rows: dict[str, list[dict[str, str]]] = {}
    for row in fields:
        rows.setdefault(f"{row['package']}.{row['message']}", []).append(row)
    definitions = {message_name(name): name for name in types}
    kept = _zeros(types, zeros)
    messages: dict[str, list[Field]] = {}
    todo = [message_name(name) for name in types if message_name(name) in rows]
    while todo:
        name = todo.pop()
        if name in messages or name in SPECIAL:
            continue
        node = types.get(definitions.get(name, ""), {})
        keep = _kept(node, kept.get(definitions.get(name, ""), set()))
        messages[name] = [_field(name, row, keep) for row in rows[name] if row["field"]]
        todo.extend(_target(row["type"]) for row in rows[name] if _target(row["type"]) in rows)
    faults = [fault for name in definitions for fault in _mismatch(name, types[definitions[name]], messages)]
    if faults:
        sys.exit("protobuf and JSON differ:\n  " + "\n  ".join(faults))
    _keep_inlined(messages, definitions, types, kept)
    missing = [name for name in types if name not in UNSENT and not _has_message(name, messages)]
    if missing:
        sys.exit(f"no protobuf fields for {missing}")
    return {"messages": dict(sorted(messages.items())), "kinds": _kinds(types, messages)}


UNSENT = {"io.k8s.apimachinery.pkg.version.Info", "io.k8s.api.resource.v1.DeviceDerivedAttribute"}
"""Types without a protobuf form, or with one whose numbers we do not have."""


def _has_message(definition: str, messages: dict[str, list[Field]]) -> bool:
    return message_name(definition) in messages or message_name(definition) in SPECIAL


def _kinds(types: dict[str, Node], messages: dict[str, list[Field]]) -> dict[str, str]:
    return {
        name: message_name(name)
        for name, node in types.items()
        if "x-kubernetes-group-version-kind" in node and _has_message(name, messages)
    }


def _zeros(types: dict[str, Node], rows: Iterable[dict[str, str]]) -> dict[str, set[str]]:
    found: dict[str, set[str]] = {}
    for row in rows:
        members = set(row["properties"].split())
        unknown = {member.removeprefix("!") for member in members} - types.get(row["definition"], {}).get("properties", {}).keys()
        if unknown:
            sys.exit(f"zeros.tsv: {row['definition']} has no {', '.join(sorted(unknown))}")
        found[row["definition"]] = members
    return found


def _kept(node: Node, said: set[str]) -> set[str]:
    """The members whose zero is written: the required ones, and what the table adds and takes away."""
    return {member for member in {*node.get("required", ()), *said} if f"!{member}" not in said}


def _target(text: str) -> str:
    return text.removeprefix("map<string,").removesuffix(">") if text.startswith("map<") else text


def _field(message: str, row: dict[str, str], keep: set[str]) -> Field:
    short = message.rpartition(".")[2]
    member = RENAMED.get((short, row["field"]), row["field"])
    target = _target(row["type"])
    target = SPECIAL.get(target, target)
    label = {"optional": "one", "repeated": "many", "map": "map"}[row["label"]]
    if (short, row["field"]) in INLINE:
        label = "inline"
    return [int(row["number"]), member, label, target, int(label == "one" and target in SCALARS and member in keep)]


def _members(name: str, messages: dict[str, list[Field]]) -> dict[str, Field]:
    found: dict[str, Field] = {}
    for field in messages[name]:
        if field[2] == "inline":
            found.update(_members(field[3], messages))
        else:
            found[field[1]] = field
    return found


def _mismatch(name: str, node: Node, messages: dict[str, list[Field]]) -> list[str]:
    if name in SPECIAL or name not in messages:
        return []
    sent, known = set(_members(name, messages)), set(node.get("properties", ()))
    if known >= TYPE_META and not sent & TYPE_META:
        known -= TYPE_META
    known -= {member for message, member in UNNUMBERED if message == name.rpartition(".")[2]}
    return [f"{name}: {member} has no property" for member in sorted(sent - known)] + [
        f"{name}: {member} has no field" for member in sorted(known - sent)
    ]


def _keep_inlined(messages: dict[str, list[Field]], definitions: dict[str, str], types: dict[str, Node], kept: dict[str, set[str]]) -> None:
    """An inlined message has no definition of its own; what its zeros mean stands with the definition that holds it."""
    for name, fields in list(messages.items()):
        if name not in definitions:
            continue
        keep = _kept(types[definitions[name]], kept.get(definitions[name], set()))
        for field in fields:
            if field[2] == "inline":
                for inner in messages[field[3]]:
                    if inner[1] in keep and inner[2] == "one" and inner[3] in SCALARS:
                        inner[4] = 1
