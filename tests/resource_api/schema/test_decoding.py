"""What a JSON body must be to become an object of its kind."""

from __future__ import annotations

from typing import Any

import pytest

from resource_api.errors import StatusError
from resource_api.go_numbers import WrittenFloat
from resource_api.schema.builtin import schema_of
from resource_api.schema.decoding import DecodeError, decode
from resource_api.schema.kinds import GroupVersionKind

POD = GroupVersionKind("", "v1", "Pod")
SECRET = GroupVersionKind("", "v1", "Secret")
CONFIG_MAP = GroupVersionKind("", "v1", "ConfigMap")
LEASE = GroupVersionKind("coordination.k8s.io", "v1", "Lease")


def refused(gvk: GroupVersionKind, obj: dict[str, Any]) -> str:
    """The text after the preface."""
    with pytest.raises(StatusError) as caught:
        decode(gvk, schema_of(gvk), obj)
    assert (caught.value.code, caught.value.reason) == (400, "BadRequest")
    preface, _, text = caught.value.message.partition(" cannot be handled as a ")
    assert preface == f'{gvk.kind} in version "{gvk.version}"'
    return text.partition(": ")[2]


@pytest.mark.parametrize(
    ("spec", "text"),
    [
        ({"containers": {}}, "json: cannot unmarshal object into Go struct field PodSpec.spec.containers of type []v1.Container"),
        ({"containers": ["x"]}, "json: cannot unmarshal string into Go struct field PodSpec.spec.containers of type v1.Container"),
        ({"hostNetwork": "yes"}, "json: cannot unmarshal string into Go struct field PodSpec.spec.hostNetwork of type bool"),
        ({"nodeName": 5}, "json: cannot unmarshal number into Go struct field PodSpec.spec.nodeName of type string"),
        ({"priority": 2**31}, "json: cannot unmarshal number 2147483648 into Go struct field PodSpec.spec.priority of type int32"),
        ({"priority": WrittenFloat("1e3")}, "json: cannot unmarshal number 1e3 into Go struct field PodSpec.spec.priority of type int32"),
        ({"priority": WrittenFloat("1.0")}, "json: cannot unmarshal number 1.0 into Go struct field PodSpec.spec.priority of type int32"),
        ({"priority": 1.5}, "json: cannot unmarshal number 1.5 into Go struct field PodSpec.spec.priority of type int32"),
        ({"nodeSelector": {"a": 1}}, "json: cannot unmarshal number into Go struct field PodSpec.spec.nodeSelector of type string"),
        (
            {"overhead": {"cpu": "x"}},
            "quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'",
        ),
    ],
)
def test_wrong_type_is_named_as_the_go_decoder_names_it(spec: dict[str, Any], text: str) -> None:
    """Clients show this sentence to their users."""
    assert refused(POD, {"apiVersion": "v1", "kind": "Pod", "spec": spec}) == text


def test_bad_base64_and_bad_time_are_refused() -> None:
    """Formats that Go decodes into types of their own."""
    assert refused(SECRET, {"data": {"a": "!"}}) == "illegal base64 data at input byte 0"
    assert refused(SECRET, {"metadata": {"creationTimestamp": "now"}}) == (
        'parsing time "now" as "2006-01-02T15:04:05Z07:00": cannot parse "now" as "2006"'
    )


@pytest.mark.parametrize(
    ("written", "kept"),
    [
        ("YWFh\nYWFh\n", "YWFhYWFh"),
        ("YWF\r\n\r=", "YWE="),
        ("YR==", "YQ=="),
        ("YWFhYWF=", "YWFhYWE="),
        ("YWFhYQ==", "YWFhYQ=="),
        ("YWFh", "YWFh"),
        ("\n", ""),
    ],
)
@pytest.mark.parametrize(("gvk", "field"), [(SECRET, "data"), (CONFIG_MAP, "binaryData")])
def test_bytes_are_kept_as_the_one_text_they_have(gvk: GroupVersionKind, field: str, written: str, kept: str) -> None:
    """Who compares what is stored with what bytes encode to finds them equal."""
    obj: dict[str, Any] = {field: {"a": written}}
    decode(gvk, schema_of(gvk), obj)
    assert obj == {field: {"a": kept}}


@pytest.mark.parametrize(
    "text", ["YQ", "YQ=", "Y===", "====", "=", "YWFh=", "YWFh====", "YQ==YQ==", "Y=WF", "=YWF", "YQ= =", "YW-_", "YWE\u00e9"]
)
def test_what_go_takes_for_no_base64_is_refused(text: str) -> None:
    """Padding belongs behind the last group that is not whole, and nowhere else."""
    assert refused(SECRET, {"data": {"a": text}}).startswith("illegal base64 data at input byte ")


@pytest.mark.parametrize(
    ("gvk", "path"),
    [
        (GroupVersionKind("", "v1", "ResourceQuota"), ("spec", "hard", "memory")),
        (GroupVersionKind("", "v1", "PersistentVolumeClaim"), ("spec", "resources", "requests", "storage")),
        (GroupVersionKind("", "v1", "Node"), ("status", "capacity", "cpu")),
    ],
)
def test_null_among_quantities_is_zero(gvk: GroupVersionKind, path: tuple[str, ...]) -> None:
    """The zero value of a quantity is an amount, and no empty text."""
    obj: Any = None
    for name in reversed(path):
        obj = {name: obj}
    assert decode(gvk, schema_of(gvk), obj) == []
    for name in path:
        obj = obj[name]
    assert obj == "0"


def test_null_is_the_same_as_absent() -> None:
    """In structs; in lists and maps it is the zero value."""
    obj: dict[str, Any] = {"metadata": {"labels": None, "annotations": {"a": None}}, "spec": {"containers": [None], "nodeName": None}}
    assert decode(POD, schema_of(POD), obj) == []
    assert obj == {"metadata": {"annotations": {"a": ""}}, "spec": {"containers": [{}]}}


def test_times_come_back_in_utc() -> None:
    """To the second, or for leases to the microsecond."""
    lease: dict[str, Any] = {
        "metadata": {"creationTimestamp": "2024-01-01T01:00:00.9+01:00"},
        "spec": {"renewTime": "2024-01-01T01:00:00.25+01:00"},
    }
    decode(LEASE, schema_of(LEASE), lease)
    assert (lease["metadata"]["creationTimestamp"], lease["spec"]["renewTime"]) == ("2024-01-01T00:00:00Z", "2024-01-01T00:00:00.250000Z")


@pytest.mark.parametrize(
    ("spec", "text"),
    [
        ({"containers": {}}, "cannot restore slice from map"),
        ({"containers": ["x"]}, "cannot restore struct from: string"),
        ({"nodeSelector": []}, "cannot restore map from slice"),
        ({"nodeName": 5}, "cannot convert int64 to string"),
        ({"priority": 1.5}, "cannot convert float64 to int32"),
        ({"priority": "x"}, "unrecognized type: int32"),
        ({"hostNetwork": 1}, "unrecognized type: bool"),
    ],
)
def test_wrong_type_out_of_a_strategic_merge_is_named_as_the_converter_names_it(spec: dict[str, Any], text: str) -> None:
    """Upstream does not read what such a patch led to as JSON, and says so in other words."""
    with pytest.raises(StatusError) as caught:
        decode(POD, schema_of(POD), {"apiVersion": "v1", "kind": "Pod", "spec": spec})
    assert isinstance(caught.value.__cause__, DecodeError)
    assert caught.value.__cause__.converted == text


def test_empty_members_that_upstream_never_writes_are_gone() -> None:
    """`[]` and `""` are not told from nothing by Go's types, unless the member is required or may be null."""
    pod: dict[str, Any] = {"apiVersion": "v1", "kind": "Pod", "metadata": {"labels": {}, "finalizers": []}}
    pod["spec"] = {"containers": [], "volumes": [], "nodeName": "", "hostNetwork": False, "terminationGracePeriodSeconds": 0}
    assert decode(POD, schema_of(POD), pod) == []
    assert pod["spec"] == {"containers": [], "terminationGracePeriodSeconds": 0}
    assert pod["metadata"] == {}


@pytest.mark.parametrize(("priority", "said"), [(2.0, "2.0"), (-0.0, "-0.0")])
def test_whole_float_is_no_integer(priority: float, said: str) -> None:
    """Go's decoder looks at how a number is written."""
    text = f"json: cannot unmarshal number {said} into Go struct field PodSpec.spec.priority of type int32"
    assert refused(POD, {"apiVersion": "v1", "kind": "Pod", "spec": {"priority": priority}}) == text


@pytest.mark.parametrize(
    ("value", "given"),
    [(True, "bool"), ([], "array"), ({}, "object"), (2**31, "number 2147483648"), (WrittenFloat("8e1"), "number 8e1")],
)
def test_int_or_string_is_an_int32_when_it_is_no_string(value: object, given: str) -> None:
    """As its own decoder reads it upstream."""
    text = f"json: cannot unmarshal {given} into Go struct field ServicePort.spec.ports.targetPort of type int32"
    assert refused(GroupVersionKind("", "v1", "Service"), {"spec": {"ports": [{"port": 1, "targetPort": value}]}}) == text


def test_written_floats_are_read_by_what_the_field_is() -> None:
    """Quantities from their text; numbers, and what may be anything, as Go writes them."""
    quota: dict[str, Any] = {"spec": {"hard": {"cpu": WrittenFloat("1e3"), "memory": WrittenFloat("1.0")}}}
    gvk = GroupVersionKind("", "v1", "ResourceQuota")
    assert decode(gvk, schema_of(gvk), quota) == []
    assert quota["spec"]["hard"] == {"cpu": "1e3", "memory": "1"}
    history: dict[str, Any] = {"data": {"a": [WrittenFloat("2.0"), WrittenFloat("2.5")]}}
    gvk = GroupVersionKind("apps", "v1", "ControllerRevision")
    decode(gvk, schema_of(gvk), history)
    assert [(value, type(value)) for value in history["data"]["a"]] == [(2, int), (2.5, float)]
    crd: dict[str, Any] = {
        "spec": {"versions": [{"schema": {"openAPIV3Schema": {"minimum": WrittenFloat("1.0"), "default": WrittenFloat("2.0")}}}]}
    }
    gvk = GroupVersionKind("apiextensions.k8s.io", "v1", "CustomResourceDefinition")
    decode(gvk, schema_of(gvk), crd)
    props = crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    assert [(props[name], type(props[name])) for name in ("minimum", "default")] == [(1, int), (2, int)]
    history = {"data": WrittenFloat("1e400")}
    gvk = GroupVersionKind("apps", "v1", "ControllerRevision")
    with pytest.raises(StatusError):
        decode(gvk, schema_of(gvk), history)
