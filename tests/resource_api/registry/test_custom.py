"""The model of a custom kind: status split, generations, versions, scale, and what is not supported."""

from __future__ import annotations

import copy

import pytest

from resource_api.errors import Object, StatusError
from resource_api.registry.custom import CustomModel, custom_models, version_priority
from resource_api.registry.requests import LOOPBACK, Context
from tests.resource_api.controllers.definitions import definition, widget

CTX = Context(LOOPBACK, "default")


def model(crd: Object | None = None) -> CustomModel:
    """Of the definition's first version."""
    return custom_models(crd or definition())[0]


def test_versions_are_preferred_by_stability_and_number():
    """General before beta before alpha, higher first, names of no scheme last."""
    names = ["foo1", "v1alpha1", "v2", "v10", "v1beta2", "v11alpha2", "foo10", "v1", "v1beta10"]
    assert sorted(names, key=version_priority) == ["v10", "v2", "v1", "v1beta10", "v1beta2", "v11alpha2", "v1alpha1", "foo1", "foo10"]


def test_update_keeps_status_and_counts_changes_outside_of_metadata():
    """With the subresource, status neither comes in nor counts."""
    made = model()
    old = widget("a", spec={"size": 1}, status={"x": 1})
    old["metadata"]["generation"] = 1
    new = copy.deepcopy(old)
    new["status"] = {"x": 2}
    new["metadata"]["labels"] = {"a": "b"}
    made.strategy.prepare_update(CTX, new, old)
    assert new["status"] == {"x": 1}
    assert new["metadata"]["generation"] == 1
    new["spec"] = {"size": 2}
    made.strategy.prepare_update(CTX, new, old)
    assert new["metadata"]["generation"] == 2


def test_update_without_a_status_subresource_counts_status():
    """Status is a field like any other then."""
    crd = definition()
    del crd["spec"]["versions"][0]["subresources"]
    old = widget("a", status={"x": 1})
    old["metadata"]["generation"] = 4
    new = {**copy.deepcopy(old), "status": {"x": 2}}
    model(crd).strategy.prepare_update(CTX, new, old)
    assert new["status"] == {"x": 2}
    assert new["metadata"]["generation"] == 5


def test_status_endpoint_takes_status_only():
    """Spec and metadata stay, but for who wrote."""
    old = widget("a", spec={"size": 1})
    new = widget("a", spec={"size": 2}, status={"x": 1})
    new["metadata"] |= {"labels": {"a": "b"}, "managedFields": [{"manager": "m"}]}
    model().strategy.prepare_subresource(CTX, "status", new, old)
    assert new["spec"] == {"size": 1}
    assert new["status"] == {"x": 1}
    assert new["metadata"] == {**old["metadata"], "managedFields": [{"manager": "m"}]}


def test_unknown_metadata_goes_and_wrong_metadata_is_refused():
    """Metadata is what it is for every kind."""
    obj = widget("a", spec={"nothing": 1})
    obj["metadata"]["color"] = "red"
    assert model().prune(obj) == ["metadata.color", "spec.nothing"]
    wrong = widget("a")
    wrong["metadata"]["labels"] = {"a": 1}
    with pytest.raises(StatusError) as refused:
        model().prune(wrong)
    assert refused.value.code == 400


def test_object_of_another_version_or_kind_is_refused():
    """The endpoint's kind and version are those of the object."""
    obj = {**widget("a"), "kind": "Gadget", "apiVersion": "example.com/v2"}
    assert [str(error) for error in model().validate(obj, None)] == [
        'kind: Invalid value: "Gadget": must be Widget',
        'apiVersion: Invalid value: "example.com/v2": must be example.com/v1',
    ]


def test_replica_counts_are_counts():
    """Where scale reads and writes, the object has a number."""
    crd = definition()
    scale = {"specReplicasPath": ".spec.replicas", "statusReplicasPath": ".status.replicas", "labelSelectorPath": ".status.selector"}
    crd["spec"]["versions"][0]["subresources"]["scale"] = scale
    made = model(crd)
    assert set(made.type.subresources) == {"status", "scale"}
    obj = widget("a", spec={"replicas": -1}, status={"replicas": "2", "selector": 3})
    assert [str(error) for error in made.validate(obj, None)] == [
        ".spec.replicas: Invalid value: -1: should be a non-negative integer",
        ".status.replicas: Invalid value: 0: .status.replicas accessor error: 2 is of the type string, expected int64",
        '.status.selector: Invalid value: "": .status.selector accessor error: 3 is of the type int64, expected string',
    ]


def test_stored_definition_with_rules_lets_its_objects_be_read_and_let_go():
    """Rules are not ignored: nothing passes that they could have refused, but finalizers can be taken away."""
    crd = definition()
    crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["x-kubernetes-validations"] = [{"rule": "self.spec.size < 5"}]
    made = model(crd)
    obj = widget("a", spec={"size": 1})
    assert "not supported" in str(made.validate(obj, None)[0])
    lighter = copy.deepcopy(obj)
    obj["metadata"]["finalizers"] = ["example.com/x"]
    assert made.validate(lighter, obj) == []


def test_webhook_conversion_of_a_stored_definition_is_an_error():
    """An object in another version than the stored one cannot be shown."""
    crd = definition()
    crd["spec"]["conversion"] = {"strategy": "Webhook"}
    crd["spec"]["versions"].append({**crd["spec"]["versions"][0], "name": "v2", "storage": False})
    newer = custom_models(crd)[0]
    assert newer.type.version == "v2"
    with pytest.raises(StatusError) as refused:
        newer.from_storage(widget("a"))
    assert refused.value.code == 500
    assert model(crd).from_storage({**widget("a"), "apiVersion": "example.com/v2"})["apiVersion"] == "example.com/v2"


def test_deprecated_version_says_so():
    """The warning's text is the definition's or upstream's."""
    crd = definition()
    crd["spec"]["versions"][0]["deprecated"] = True
    assert model(crd).deprecation == "example.com/v1 Widget is deprecated"
    crd["spec"]["versions"][0]["deprecationWarning"] = "use gadgets"
    assert model(crd).deprecation == "use gadgets"
    assert model().deprecation == ""


def test_selectable_fields_are_labels_of_selectors():
    """By the path without its dot."""
    crd = definition()
    crd["spec"]["versions"][0]["selectableFields"] = [{"jsonPath": ".spec.size"}]
    assert model(crd).field_labels == {"spec.size": ("spec", "size")}


def test_schema_nodes_are_those_of_the_definition_and_of_objects():
    """What patches and ownership walk."""
    schema = model().schema
    assert schema.properties["spec"].properties["size"].shape == "integer"
    assert schema.properties["metadata"].properties["finalizers"].shape == "array"
    assert schema.properties["status"].preserve_unknown
