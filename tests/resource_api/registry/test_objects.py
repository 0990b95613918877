"""Stored bytes: metadata first, the version spliced in; what other servers wrote is read too (spec E.2, E.6)."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from resource_api.errors import UndecodableError
from resource_api.registry.objects import TooDeepError, as_item, decode_stored, encode_stored, is_ours, name_of, tail, with_version
from resource_api.registry.store import Stored
from resource_api.schema.depth import DEPTH_MAX
from resource_api.schema.kinds import GroupVersionKind
from resource_api.schema.protobuf.envelope import decode_envelope, encode_envelope

GVK = GroupVersionKind("apps", "v1", "Thing")
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
OBJECTS = st.builds(
    lambda metadata, rest: {"metadata": {"name": "x", **metadata}, "apiVersion": "apps/v1", "kind": "Thing", **rest},
    st.dictionaries(st.sampled_from(["labels", "resourceVersion", "selfLink", "generation"]), JSON, max_size=4),
    st.dictionaries(st.sampled_from(["spec", "status", "data", 'ki"nd', "é"]), JSON, max_size=4),
)


@given(OBJECTS)
@settings(max_examples=25, deadline=None, derandomize=True)
def test_splices_are_what_decoding_and_encoding_would_give(obj):
    """An answer without decoding has the stored object with the store's revision; a list's item has neither kind nor apiVersion."""
    before = json.dumps(obj)
    value = encode_stored(obj)
    assert json.dumps(obj) == before
    assert is_ours(value, tail(GVK))
    assert b'"selfLink"' not in value
    whole = json.loads(with_version(value, 42))
    decoded = decode_stored(Stored("k", value, 42))
    assert whole == decoded
    metadata = {name: one for name, one in obj["metadata"].items() if name not in ("resourceVersion", "selfLink")}
    assert decoded == {**obj, "metadata": {**metadata, "resourceVersion": "42"}}
    item = {name: one for name, one in decoded.items() if name not in ("apiVersion", "kind")}
    assert json.loads(as_item(value, 42, tail(GVK))) == item


def test_value_of_another_server_is_read_but_not_spliced():
    """JSON in another order, and the protobuf envelope."""
    config = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a", "namespace": "default"}, "data": {"a": "b"}}
    end = tail(GroupVersionKind("", "v1", "ConfigMap"))
    for value in (json.dumps(config).encode(), encode_envelope(config)):
        assert not is_ours(value, end)
        found = decode_stored(Stored("k", value, 7), decode_envelope)
        assert found == {**config, "metadata": {**config["metadata"], "resourceVersion": "7"}}  # type: ignore[dict-item]


@pytest.mark.parametrize("value", [b"", b"{", b"[]", b"{}", b'{"metadata":[]}', b"k8s\x00\xff\xff", b"\x00", b"[" * 5000 + b"]" * 5000])
def test_damaged_value_is_an_error_that_names_it(value: bytes):
    """Key and revision, for whoever mends it."""
    with pytest.raises(UndecodableError) as caught:
        decode_stored(Stored("pods/default/x", value, 9), decode_envelope)
    assert (caught.value.key, caught.value.revision, caught.value.code) == ("pods/default/x", 9, 500)


def test_object_without_a_name_has_none():
    """Whatever is missing on the way."""
    assert [name_of({}), name_of({"metadata": None}), name_of({"metadata": {}}), name_of({"metadata": {"name": "x"}})] == ["", "", "", "x"]


def test_stored_whole_floats_are_read_as_integers() -> None:
    """Another writer's count of 2.0 scales, and its default of 2.0 is an integer."""
    obj = decode_stored(Stored("/k", b'{"metadata":{"name":"a"},"spec":{"replicas":2.0,"ratio":0.5}}', 7))
    assert [(value, type(value)) for value in obj["spec"].values()] == [(2, int), (0.5, float)]
    with pytest.raises(UndecodableError):
        decode_stored(Stored("/k", b'{"metadata":{"name":"a"},"spec":1e400}', 7))


def test_object_deeper_than_any_may_nest_is_neither_stored_nor_read():
    """At the bound it is both; in the protobuf envelope as well."""

    def revision(levels: int) -> dict[str, object]:
        data: object = 1
        for _ in range(levels - 1):
            data = {"a": data}
        return {"metadata": {"name": "x"}, "revision": 1, "data": data, "apiVersion": "apps/v1", "kind": "ControllerRevision"}

    fits = encode_stored(revision(DEPTH_MAX))
    assert decode_stored(Stored("k", fits, 1))["data"]
    with pytest.raises(TooDeepError):
        encode_stored(revision(DEPTH_MAX + 1))
    for value in (json.dumps(revision(DEPTH_MAX + 1)).encode(), encode_envelope(revision(DEPTH_MAX + 1))):
        with pytest.raises(UndecodableError, match="exceeded max depth"):
            decode_stored(Stored("k", value, 1), decode_envelope)
