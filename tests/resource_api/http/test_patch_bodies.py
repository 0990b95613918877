"""Patch bodies: each type is read and applied, and everything wrong with one becomes upstream's Status."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from resource_api.errors import Object, StatusError
from resource_api.http.patch_bodies import decode_configuration, decode_patch
from resource_api.patch.apply import FieldOwnership
from resource_api.schema import builtin
from resource_api.schema.kinds import GroupVersionKind

JSON, MERGE, STRATEGIC, APPLY = (
    f"application/{kind}" for kind in ("json-patch+json", "merge-patch+json", "strategic-merge-patch+json", "apply-patch+yaml")
)
SCHEMA = builtin.schema_of(GroupVersionKind("", "v1", "ConfigMap"))
OWNERS = FieldOwnership(SCHEMA, next(type for type in builtin.resource_types() if type.kind == "ConfigMap"))
NOW = "2026-01-01T00:00:00Z"
REJECTED = "the server rejected our request due to an error in our request"


def live() -> Object:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "c", "uid": "u"}, "data": {"a": "1", "b": "2"}}


def outcome(kind: str, body: bytes) -> Object:
    if kind == APPLY:
        return OWNERS.apply(live(), decode_configuration(body), manager="m", force=True, subresource="", now=NOW)
    found = decode_patch(kind, body, SCHEMA)(live())
    if not isinstance(found.get("metadata"), dict):
        return {"metadata": {}}  # The pipeline refuses it, in words that depend on the kind.
    return OWNERS.on_update(live(), found, manager="m", subresource="", now=NOW)


def refused(kind: str, body: bytes) -> StatusError:
    with pytest.raises(StatusError) as caught:
        decode_patch(kind, body, SCHEMA)(live())
    return caught.value


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        (JSON, b'[{"op":"remove","path":"/data/b"},{"op":"replace","path":"/data/a","value":"3"}]'),
        (MERGE, b'{"data":{"b":null,"a":"3"}}'),
        (STRATEGIC, b'{"data":{"$patch":"replace","a":"3"}}'),
        (APPLY, b"apiVersion: v1\nkind: ConfigMap\nmetadata: {name: c}\ndata:\n  a: '3'\n  b: null\n"),
        (APPLY, b'{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"c"},"data":{"a":"3","b":null}}'),
    ],
)
def test_patch_of_each_type_is_applied(kind: str, body: bytes):
    found = outcome(kind, body)
    assert {name: value for name, value in found["data"].items() if value is not None} == {"a": "3"}


@pytest.mark.parametrize(
    ("kind", "body", "code", "message"),
    [
        (JSON, b"{", 400, "error decoding patch: "),
        (JSON, b"{}", 400, "error decoding patch: json: cannot unmarshal object into Go value of type []handlers.jsonPatchOp"),
        (JSON, b'[{"op":"test","path":"/data/a","value":"x"}]', 422, REJECTED),
        (JSON, b'[{"op":"frob","path":"/data/a","value":"x"}]', 422, REJECTED),
        (JSON, b'[{"op":"replace","path":"","value":[]}]', 422, REJECTED),
        (
            JSON,
            json.dumps([{"op": "test", "path": "/data/a", "value": "1"}] * 10_001).encode(),
            413,
            "Request entity too large: The allowed maximum operations in a JSON patch is 10000, got 10001",
        ),
        (MERGE, b"[]", 400, "error decoding patch: json: cannot unmarshal array into Go value of type map[string]interface {}"),
        (MERGE, b"nonsense", 400, "error decoding patch: "),
        (MERGE, b"null", 400, "Invalid JSON Patch"),
        (STRATEGIC, b"[]", 400, "json: cannot unmarshal array into Go value of type map[string]interface {}"),
        (STRATEGIC, b'{"metadata":{"$retainKeys":["x"],"labels":{}}}', 400, "invalid patch format of retainKeys"),
        (STRATEGIC, b'{"data":{"$patch":"frob"}}', 500, "unknown patch type: frob in map: map[$patch:frob]"),
    ],
)
def test_patch_that_is_wrong_has_upstreams_status(kind: str, body: bytes, code: int, message: str):
    error = refused(kind, body)
    assert (error.code, error.message[: len(message)]) == (code, message)


def test_list_of_lists_has_a_status_of_its_own():
    """422 with the words for what does not apply; upstream has a code for few refusals of strategic patches, and this is one."""
    obj = {**live(), "metadata": {"finalizers": ["a"]}}
    for inner, code in ((["x"], 422), ({}, 500)):
        with pytest.raises(StatusError) as caught:
            decode_patch(STRATEGIC, json.dumps({"metadata": {"finalizers": [inner]}}).encode(), SCHEMA)(obj)
        error = caught.value
        assert (error.code, error.message == REJECTED, error.reason) == (code, code == 422, "Invalid" if code == 422 else "")


def test_patch_with_a_field_twice_tells_it_when_asked():
    body = b'{"data":{"a":"1","a":"2"}}'
    assert decode_patch(MERGE, body, SCHEMA, "Strict").faults == ['duplicate field "data.a"']
    assert decode_patch(MERGE, body, SCHEMA).faults == []


def test_configuration_with_a_key_twice_is_refused_only_under_strict():
    for body in (b"apiVersion: v1\ndata: {}\ndata: {}\n", b'{"apiVersion":"v1","data":{},"data":{}}'):
        heard: list[str] = []
        assert decode_configuration(body) == {"apiVersion": "v1", "data": {}}
        assert decode_configuration(body, validation="Warn", warn=heard.append)["data"] == {}
        assert heard
        with pytest.raises(StatusError, match="error strict decoding patch: ") as caught:
            decode_configuration(body, validation="Strict")
        assert caught.value.code == 400


@pytest.mark.parametrize("body", [b"", b"- a", b"a: [", b"\xff", b"x", b"{", b"a: &a [*a]", b"{a: 1} x: y"])
def test_configuration_that_cannot_be_read_is_a_bad_request(body: bytes):
    with pytest.raises(StatusError, match="error decoding patch: ") as caught:
        decode_configuration(body)
    assert caught.value.code == 400


def test_patch_may_be_called_again_and_shares_nothing():
    """The pipeline calls it once for every write that was faster."""
    patch = decode_patch(STRATEGIC, b'{"data":{"n":"1"},"metadata":{"labels":{"x":"y"}}}', SCHEMA)
    first, original = patch(live()), live()
    first["metadata"]["labels"]["x"] = "changed"
    first["data"]["a"] = "changed"
    assert patch(original)["metadata"]["labels"] == {"x": "y"}
    assert original == live()


@pytest.mark.slow
@settings(max_examples=200, derandomize=True, deadline=None)
@given(
    st.sampled_from([JSON, MERGE, STRATEGIC, APPLY]),
    st.one_of(
        st.binary(max_size=30),
        st.recursive(
            st.one_of(st.none(), st.integers(), st.sampled_from(["a", "", "v1", "ConfigMap", "/data", "remove", "replace"])),
            lambda inner: st.one_of(
                st.lists(inner, max_size=3),
                st.dictionaries(
                    st.sampled_from(
                        ["data", "metadata", "finalizers", "ownerReferences", "$patch", "$setElementOrder/finalizers", "op", "path"]
                    ),
                    inner,
                    max_size=4,
                ),
            ),
            max_leaves=10,
        ).map(lambda value: json.dumps(value).encode()),
    ),
)
def test_any_body_is_applied_or_refused_with_a_status(kind: str, body: bytes):
    """No body is a fault of ours."""
    try:
        found = outcome(kind, body)
    except StatusError as error:
        assert error.code in (400, 409, 413, 422) or (error.code, error.reason, kind) == (500, "", STRATEGIC)
    else:
        assert isinstance(found["metadata"], dict)
