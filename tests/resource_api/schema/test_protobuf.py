"""The protobuf form: what a client sent is what JSON says, both ways, for every kind; broken bytes are refused, never misread."""

from __future__ import annotations

import base64
import functools
import sys
from random import Random
from typing import Any

import pytest
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from hypothesis import given, settings
from hypothesis import strategies as st

from resource_api.schema import builtin
from resource_api.schema.kinds import GroupVersionKind
from resource_api.schema.protobuf import envelope as protobuf
from resource_api.schema.types import Schema

APIEXTENSIONS = "io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1."
META = builtin.META
UNNUMBERED = {"runningInUserNamespace", "compatibilityGroups", "derivedAttributes"}
LEAVES = (1, "x", True, 1.5, None, [1, "a"], {"a": {"b": [0]}})


def sent_kinds() -> list[GroupVersionKind]:
    """Every kind with a protobuf form: resources, lists, options, Status."""
    kinds = []
    for name in builtin.definition_names():
        for gvk in builtin.definitions()[name].get("x-kubernetes-group-version-kind", ())[:1]:
            kinds.append(GroupVersionKind(gvk["group"], gvk["version"], gvk["kind"]))
    return [kind for kind in kinds if protobuf.has_protobuf(kind) and kind.kind not in ("WatchEvent", "List")]


KINDS = sent_kinds()


class Generator:
    """Makes an object of a kind as upstream would write it: no zeros that may be left out, no empty lists."""

    def __init__(self, random: Random) -> None:
        self.random = random

    def value(self, schema: Schema, depth: int, *, required: bool = False) -> Any:
        special = self.special(schema, depth)
        if special is not None:
            return special
        if schema.shape == "object" and schema.properties:
            return self.struct(schema, depth)
        if schema.shape == "object" and schema.additional is not None:
            return {self.word(): self.value(schema.additional, depth - 1) for _ in range(self.random.randint(1, 2))}
        if schema.shape == "array":
            assert schema.items is not None
            return [self.value(schema.items, depth - 1) for _ in range(self.random.randint(1, 2))]
        return self.scalar(schema, required=required)

    def special(self, schema: Schema, depth: int) -> Any:
        r = self.random
        match schema.name.removeprefix(META).removeprefix(APIEXTENSIONS):
            case "Time":
                return r.choice(["2026-03-01T10:20:30Z", "1969-12-31T23:59:59Z", "1970-01-01T00:00:00Z"])
            case "MicroTime":
                return r.choice(["2026-03-01T10:20:30.000123Z", "2026-03-01T10:20:30.500000Z"])
            case "FieldsV1":
                return {"f:metadata": {".": {}, "f:labels": {}}}
            case "JSON":
                return r.choice([item for item in LEAVES if item is not None])
            case "JSONSchemaPropsOrArray":
                one = self.value(builtin.definition(APIEXTENSIONS + "JSONSchemaProps"), min(depth, 2) - 1)
                return r.choice([one, [one, one]])
            case "JSONSchemaPropsOrBool":
                return r.choice([True, False, self.value(builtin.definition(APIEXTENSIONS + "JSONSchemaProps"), min(depth, 2) - 1)])
            case "JSONSchemaPropsOrStringArray":
                return r.choice([["a", "b"], self.value(builtin.definition(APIEXTENSIONS + "JSONSchemaProps"), min(depth, 2) - 1)])
        if schema.format == "quantity":
            return r.choice(["100m", "1Gi", "0"])
        if schema.int_or_string:
            return r.choice([0, 80, -1, "http", "25%"])
        if schema.shape == "object" and schema.preserve_unknown:
            return {"kind": "Free", "list": list(LEAVES)}
        return None

    def struct(self, schema: Schema, depth: int) -> dict[str, Any]:
        obj = {}
        for member, child in schema.properties.items():
            if member in ("apiVersion", "kind") and "x-kubernetes-group-version-kind" in builtin.definitions()[schema.name]:
                continue
            if member in UNNUMBERED or (depth <= 0 and child.shape in ("object", "array", "any") and not child.format):
                continue
            if self.random.random() < 0.4:
                obj[member] = self.value(child, depth - 1, required=member in schema.required)
        return obj

    def scalar(self, schema: Schema, *, required: bool) -> Any:
        r = self.random
        if schema.format == "byte":
            return base64.b64encode(r.randbytes(r.randint(1, 5))).decode()
        if schema.shape == "boolean":
            return r.choice([True, False]) if required else True
        if schema.shape == "number":
            return r.choice([1.5, -2.0, 1e300])
        if schema.shape == "integer":
            big = 2**31 - 1 if schema.format == "int32" else 2**63 - 1
            return r.choice([1, 127, 128, big, -1, -big - 1, *([0] if required else [])])
        return self.word()

    def word(self) -> str:
        return self.random.choice(["a", "web", "füß", "x" * 200, "k8s.io/ä"])


def generated(gvk: GroupVersionKind, random: Random) -> dict[str, Any]:
    obj = Generator(random).value(builtin.schema_of(gvk), 6)
    obj.pop("apiVersion", None)
    obj.pop("kind", None)
    if "items" in builtin.schema_of(gvk).properties:
        obj.setdefault("items", [])
    return {"kind": gvk.kind, "apiVersion": gvk.api_version, **obj}


@functools.cache
def reference(name: str) -> Any:
    """The message class that Google's runtime makes of the same field numbers, special messages included."""
    pool = descriptor_pool.DescriptorPool()
    pool.Add(_file())
    return message_factory.GetMessageClass(pool.FindMessageTypeByName(name))


SPECIALS = {
    "@time": "int64 int32",
    "@micro_time": "int64 int32",
    "@quantity": "string",
    "@int_or_string": "int64 int32 string",
    "@json": "bytes",
    "@strings": "*string",
    "@schema_or_array": f"{protobuf.SCHEMA} *{protobuf.SCHEMA}",
    "@schema_or_bool": f"bool {protobuf.SCHEMA}",
    "@schema_or_strings": f"{protobuf.SCHEMA} *string",
}


def _file() -> descriptor_pb2.FileDescriptorProto:
    kinds = {"string": 9, "bytes": 12, "int32": 5, "int64": 3, "bool": 8, "double": 1}
    file = descriptor_pb2.FileDescriptorProto(name="all.proto", package="all")

    def add_field(message, number: int, label: str, target: str) -> None:
        field = message.field.add(name=f"f{number}", number=number, label=3 if label in ("many", "map") else 1)
        if label == "map":
            entry = message.nested_type.add(name=f"F{number}Entry")
            entry.options.map_entry = True
            add_field(entry, 1, "one", "string")
            add_field(entry, 2, "one", target)
            entry.field[0].name, entry.field[1].name = "key", "value"
            field.type, field.type_name = 11, f".all.{message.name}.{entry.name}"
        elif target in kinds:
            field.type = kinds[target]
        else:
            field.type, field.type_name = 11, ".all." + flat(target)

    for name, table in builtin.protobuf_table()["messages"].items():
        message = file.message_type.add(name=flat(name))
        for number, _, label, target, _ in table:
            add_field(message, number, label, target)
    for name, types in SPECIALS.items():
        message = file.message_type.add(name=flat(name))
        for number, text in enumerate(types.split(), 1):
            add_field(message, number, "many" if text.startswith("*") else "one", text.removeprefix("*"))
    return file


def flat(name: str) -> str:
    return name.replace(".", "_").replace("@", "special_")


@pytest.mark.slow
@settings(max_examples=300, derandomize=True, deadline=None)
@given(st.sampled_from(KINDS), st.integers(0, 2**32))
def test_object_through_protobuf_and_back_is_itself(gvk, seed):
    """Nothing of any kind is lost, renamed or moved."""
    obj = generated(gvk, Random(seed))
    assert protobuf.decode_envelope(protobuf.encode_envelope(obj)) == obj


@pytest.mark.parametrize("gvk", KINDS, ids=str)
def test_every_kind_goes_through_protobuf(gvk):
    """No kind is left to chance."""
    for seed in range(3):
        obj = generated(gvk, Random(seed))
        assert protobuf.decode_envelope(protobuf.encode_envelope(obj)) == obj


@pytest.mark.slow
@settings(max_examples=100, derandomize=True, deadline=None)
@given(st.sampled_from(KINDS), st.integers(0, 2**32))
def test_bytes_are_those_another_runtime_understands(gvk, seed):
    """Google's runtime with the same numbers reads ours without an unknown field, and we read what it writes."""
    obj = generated(gvk, Random(seed))
    version, kind, raw = protobuf._envelope(protobuf.encode_envelope(obj))
    message = reference("all." + flat(builtin.protobuf_table()["kinds"][builtin.definition_name(gvk)])).FromString(raw)
    again = message.SerializeToString(deterministic=True)
    message.DiscardUnknownFields()
    assert message.SerializeToString(deterministic=True) == again
    meta = protobuf.delimited(b"\x0a", protobuf.delimited(b"\x0a", version.encode()) + protobuf.delimited(b"\x12", kind.encode()))
    assert protobuf.decode_envelope(protobuf.MAGIC + meta + protobuf.delimited(b"\x12", again)) == obj


def envelope(api_version: str, kind: str, raw: bytes) -> bytes:
    meta = protobuf.delimited(b"\x0a", api_version.encode()) + protobuf.delimited(b"\x12", kind.encode())
    return protobuf.MAGIC + protobuf.delimited(b"\x0a", meta) + protobuf.delimited(b"\x12", raw)


def test_zeros_are_left_out_where_upstream_leaves_them_out():
    """Go clients write every scalar; `name: ""` and `generation: 0` must not fill the object, `replicas: 0` is meant."""
    metadata = protobuf.delimited(b"\x0a", b"web") + protobuf.delimited(b"\x12", b"") + b"\x38\x00" + protobuf.delimited(b"\x42", b"")
    raw = protobuf.delimited(b"\x0a", metadata) + protobuf.delimited(b"\x12", b"\x08\x00\x28\x00\x38\x00")
    assert protobuf.decode_envelope(envelope("apps/v1", "Deployment", raw)) == {
        "kind": "Deployment",
        "apiVersion": "apps/v1",
        "metadata": {"name": "web"},
        "spec": {"replicas": 0},
    }


def test_zero_of_a_required_member_is_kept():
    """A status says `allowed: false`."""
    obj = protobuf.decode_envelope(
        envelope("authorization.k8s.io/v1", "SelfSubjectAccessReview", protobuf.delimited(b"\x1a", b"\x08\x00\x12\x00"))
    )
    assert obj["status"] == {"allowed": False}


def test_inlined_and_renamed_members_stand_where_json_has_them():
    """A volume's source beside its name; `$ref` in a schema."""
    pod = {
        "kind": "Pod",
        "apiVersion": "v1",
        "spec": {
            "volumes": [{"name": "v", "configMap": {"name": "c", "optional": False}}],
            "containers": [{"name": "c", "livenessProbe": {"httpGet": {"port": "http"}, "periodSeconds": 3}}],
        },
    }
    data = protobuf.encode_envelope(pod)
    assert protobuf.decode_envelope(data) == pod
    assert b"\x0a\x01v\x12" in data


def test_json_inside_may_be_an_envelope():
    """A RawExtension of a Go client holds the object in its own encoding."""
    inner = protobuf.encode_envelope({"kind": "ConfigMap", "apiVersion": "v1", "data": {"a": "b"}})
    raw = protobuf.delimited(b"\x12", protobuf.delimited(b"\x0a", inner)) + b"\x18\x07"
    obj = protobuf.decode_envelope(envelope("apps/v1", "ControllerRevision", raw))
    assert obj["data"] == {"kind": "ConfigMap", "apiVersion": "v1", "data": {"a": "b"}}
    assert obj["revision"] == 7


def test_kind_comes_from_the_url_when_the_envelope_has_none():
    """Both may be left out; an envelope without either and without a default is refused."""
    data = envelope("", "", b"")
    assert protobuf.decode_envelope(data, GroupVersionKind("apps", "v1", "Deployment")) == {"kind": "Deployment", "apiVersion": "apps/v1"}
    with pytest.raises(protobuf.ProtobufError, match="Kind"):
        protobuf.decode_envelope(data)
    with pytest.raises(protobuf.ProtobufError, match="apiVersion"):
        protobuf.decode_envelope(envelope("", "Pod", b""))


def test_options_are_known_in_every_group():
    """Go clients send DeleteOptions of the group they delete from."""
    raw = b"\x08\x00" + protobuf.delimited(b"\x22", b"Background")
    for version in ("v1", "meta.k8s.io/v1", "apps/v1", "example.com/v1"):
        obj = protobuf.decode_envelope(envelope(version, "DeleteOptions", raw))
        assert obj == {"kind": "DeleteOptions", "apiVersion": version, "gracePeriodSeconds": 0, "propagationPolicy": "Background"}


def test_empty_list_has_items():
    """`items` is never missing."""
    assert protobuf.decode_envelope(envelope("v1", "PodList", b""))["items"] == []


def test_repeated_numbers_are_read_packed_and_not():
    """Both are legal on the wire."""
    unpacked = b"\x20\x05\x20\x06"
    packed = protobuf.delimited(b"\x22", b"\x05\x06")
    for groups in (unpacked, packed):
        raw = protobuf.delimited(b"\x12", protobuf.delimited(b"\x72", groups))
        pod = protobuf.decode_envelope(envelope("v1", "Pod", raw))
        assert pod["spec"]["securityContext"]["supplementalGroups"] == [5, 6]


def test_unknown_fields_are_skipped():
    """A newer client's new field does no harm."""
    raw = b"\xf8\x3f\x01" + protobuf.delimited(b"\xfa\x3f", b"new") + b"\xf9\x3f12345678" + b"\xfd\x3f1234"
    assert protobuf.decode_envelope(envelope("v1", "ConfigMap", raw)) == {"kind": "ConfigMap", "apiVersion": "v1"}


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"", "empty data"),
        (b"{}", "does not appear to be a protobuf message"),
        (b"k8s\x00\x0a\xff", "unexpected EOF"),
        (envelope("v1", "Pod", b"\x0a\x05abc"), "unexpected EOF"),
        (envelope("v1", "Pod", b"\x08\x01"), "wrong wireType = 0 for field metadata"),
        (envelope("v1", "Pod", b"\x02\x00"), "illegal tag 0"),
        (envelope("v1", "Pod", b"\x0c"), "illegal tag 1"),
        (envelope("v1", "Pod", b"\xff" * 11), "integer overflow"),
        (envelope("v1", "Pod", b"\x0a" + b"\xff" * 9 + b"\x01"), "negative length"),
        (envelope("v1", "Secret", protobuf.delimited(b"\x1a", b"\xff\xfe")), "invalid UTF-8"),
        (envelope("v1", "ControllerRevision", b""), 'no kind "ControllerRevision" is registered for version "v1"'),
        (envelope("apps/v1", "ControllerRevision", protobuf.delimited(b"\x12", protobuf.delimited(b"\x0a", b"{"))), "raw JSON"),
        (envelope("v1", "Pod", protobuf.delimited(b"\x0a", protobuf.delimited(b"\x42", b"\x08" + b"\xff" * 8 + b"\x7f"))), "out of range"),
    ],
)
def test_broken_bytes_are_refused_with_a_reason(data, said):
    with pytest.raises(protobuf.ProtobufError, match=said):
        protobuf.decode_envelope(data)


@pytest.mark.slow
@settings(max_examples=300, derandomize=True, deadline=None)
@given(st.sampled_from(KINDS), st.integers(0, 2**32), st.data())
def test_damaged_bytes_never_raise_anything_else(gvk, seed, data):
    """Whatever arrives, the answer is a refusal or an object."""
    good = bytearray(protobuf.encode_envelope(generated(gvk, Random(seed))))
    for _ in range(data.draw(st.integers(1, 4))):
        place = data.draw(st.integers(0, len(good) - 1))
        good[place] = data.draw(st.integers(0, 255))
    try:
        obj = protobuf.decode_envelope(bytes(good[: data.draw(st.integers(0, len(good)))]))
    except protobuf.ProtobufError:
        return
    protobuf.encode_envelope(obj)


def test_deep_nesting_is_refused():
    """Not by exhausting the stack. How deep is too deep is the interpreter's limit, which a server of an earlier test has raised."""
    raw = b""
    for _ in range(2000):
        raw = protobuf.delimited(b"\xd2\x01", raw)
    raw = protobuf.delimited(b"\x12", protobuf.delimited(b"\x3a", protobuf.delimited(b"\x22", protobuf.delimited(b"\x0a", raw))))
    before = sys.getrecursionlimit()
    sys.setrecursionlimit(1000)
    try:
        with pytest.raises(protobuf.ProtobufError, match="deep"):
            protobuf.decode_envelope(envelope("apiextensions.k8s.io/v1", "CustomResourceDefinition", raw))
    finally:
        sys.setrecursionlimit(before)


@pytest.mark.parametrize(
    "obj",
    [
        {"kind": "Widget", "apiVersion": "example.com/v1"},
        {"kind": "Pod", "apiVersion": "v1", "metadata": "x"},
        {"kind": "Secret", "apiVersion": "v1", "data": {"a": "*"}},
        {"kind": "Deployment", "apiVersion": "apps/v1", "spec": {"replicas": 2**70}},
        {"kind": "Pod", "apiVersion": "v1", "metadata": {"creationTimestamp": "now"}},
    ],
)
def test_object_that_does_not_fit_is_refused(obj):
    with pytest.raises(protobuf.ProtobufError):
        protobuf.encode_envelope(obj)


def test_discovery_of_the_core_group_needs_no_version():
    """Upstream leaves it out there."""
    obj = {"kind": "APIVersions", "versions": ["v1"]}
    assert protobuf.decode_envelope(protobuf.encode_envelope(obj)) == obj | {"apiVersion": "v1"}


def test_watch_event_is_framed_and_carries_the_envelope():
    """Four bytes of length, then an event without envelope whose object has one."""
    inner = protobuf.encode_envelope({"kind": "ConfigMap", "apiVersion": "v1"})
    frame = protobuf.encode_watch_event("ADDED", inner)
    assert int.from_bytes(frame[:4], "big") == len(frame) - 4
    assert frame[4:] == protobuf.delimited(b"\x0a", b"ADDED") + protobuf.delimited(b"\x12", protobuf.delimited(b"\x0a", inner))
