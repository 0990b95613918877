"""What may stand below a storage path: everything else is an error that names key and revision."""

from __future__ import annotations

import json

import pytest

from resource_api.errors import Object, UndecodableError
from resource_api.registry.builtin import builtin_models
from resource_api.registry.store import Stored
from resource_api.registry.stored_form import stored_form
from resource_api.schema.kinds import ResourceType
from resource_api.schema.protobuf.envelope import encode_envelope

MAP = builtin_models()["", "v1", "configmaps"].type
WIDGET = ResourceType("example.com", "v1", "Widget", "widgets", "widget", True, storage_path="example.com/widgets", custom=True)


def _map(**members: object) -> Object:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a", "namespace": "default"}, **members}


def _stored(value: Object | bytes) -> Stored:
    return Stored("configmaps/default/a", value if isinstance(value, bytes) else json.dumps(value).encode(), 9)


@pytest.mark.parametrize(
    ("damaged", "why"),
    [
        (_map(apiVersion="v9", kind="Wow"), 'it is Wow of "v9", and only ConfigMap of "v1" is stored here'),
        (_map(kind="Secret"), 'it is Secret of "v1"'),
        (_map(kind=None), "Object 'Kind' is missing"),
        (_map(apiVersion=""), "Object 'apiVersion' is missing"),
        (_map(kind=5), "Object 'Kind' is missing"),
        (_map(metadata=None), "it is no object with metadata"),
        (_map(metadata=[]), "it is no object with metadata"),
        (_map(data={"a": 5}), "cannot unmarshal number into Go struct field ConfigMap.data of type string"),
        (_map(data=[]), "cannot unmarshal array into Go struct field ConfigMap.data of type map[string]string"),
        (_map(metadata={"name": "a", "finalizers": "x"}), "cannot unmarshal string into Go struct field ObjectMeta.metadata.finalizers"),
        (_map(metadata={"name": "a", "labels": {"a": 1}}), "cannot unmarshal number into Go struct field ObjectMeta.metadata.labels"),
        (_map(metadata={"name": "a", "labels": [1]}), "cannot unmarshal array into Go struct field ObjectMeta.metadata.labels"),
        (_map(metadata={"name": "a", "deletionTimestamp": "soon"}), 'parsing time "soon"'),
        (encode_envelope({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "a"}}), 'it is Secret of "v1"'),
        (b'{"metadata":{"name":"a"', ""),
    ],
)
def test_value_that_is_no_object_of_its_kind_is_an_error_that_names_it(damaged: Object | bytes, why: str):
    """Whether it is decoded or only looked at."""
    form, stored = stored_form(MAP), _stored(damaged)
    for read in (form.decode, form.check):
        with pytest.raises(UndecodableError) as caught:
            read(stored)
        assert (caught.value.key, caught.value.revision, caught.value.code) == (stored.key, 9, 500)
        assert why in str(caught.value)


@pytest.mark.parametrize("value", [_map(data={"a": "b"}), encode_envelope(_map(data={"a": "b"})), _map(data={"a": "b"}, unknown=1)])
def test_value_of_its_kind_is_read(value: Object | bytes):
    """JSON in any order, members that are not known, and the protobuf envelope."""
    form, stored = stored_form(MAP), _stored(value)
    form.check(stored)
    assert form.decode(stored)["data"] == {"a": "b"}


def test_both_versions_of_an_autoscaler_are_stored_as_one():
    """And only that is read as one."""
    for version in ("v1", "v2"):
        form = stored_form(builtin_models()["autoscaling", version, "horizontalpodautoscalers"].type)
        body = {"kind": "HorizontalPodAutoscaler", "metadata": {"name": "a"}}
        form.check(_stored({**body, "apiVersion": "autoscaling/v2"}))
        with pytest.raises(UndecodableError):
            form.check(_stored({**body, "apiVersion": "autoscaling/v1"}))


def test_custom_object_may_be_of_any_version_of_its_group():
    """Of its content the definition decides, of its metadata what holds for every object."""
    form = stored_form(WIDGET)
    good = {"apiVersion": "example.com/v1beta1", "kind": "Widget", "metadata": {"name": "a"}, "spec": [5]}
    assert form.decode(_stored(good))["spec"] == [5]
    for damage in (
        {"kind": "Gadget"},
        {"apiVersion": "example.org/v1"},
        {"apiVersion": "v1"},
        {"metadata": {"name": "a", "labels": {"a": 1}}},
    ):
        with pytest.raises(UndecodableError):
            form.check(_stored({**good, **damage}))
