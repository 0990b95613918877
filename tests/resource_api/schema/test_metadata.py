"""The rules of metadata, in upstream's words."""

from __future__ import annotations

from typing import Any

import pytest

from resource_api.schema.metadata import validate_metadata
from resource_api.schema.names import dns_subdomain

OWNER = {"apiVersion": "v1", "kind": "Pod", "name": "a", "uid": "u"}


def texts(metadata: dict[str, Any], old: dict[str, Any] | None = None, *, namespaced: bool = True) -> list[str]:
    """What is wrong, each as `path: text`."""
    before = None if old is None else {"metadata": old}
    return [str(one) for one in validate_metadata({"metadata": metadata}, before, namespaced=namespaced, check_name=dns_subdomain)]


def valid(**more: Any) -> dict[str, Any]:
    """Metadata nothing is wrong with, and more."""
    return {"name": "a", "namespace": "default", "uid": "u", **more}


def test_valid_metadata_passes() -> None:
    """Labels, annotations, owners and finalizers as everybody has them."""
    assert texts(valid(labels={"a.b/c": "d"}, annotations={"A/b": "x y"}, ownerReferences=[OWNER], finalizers=["a.b/c"])) == []


@pytest.mark.parametrize(
    ("metadata", "said"),
    [
        ({"namespace": "default"}, ["metadata.name: Required value: name or generateName is required"]),
        ({"name": "a"}, ["metadata.namespace: Required value"]),
        (valid(generation=-1), ["metadata.generation: Invalid value: -1: must be greater than or equal to 0"]),
        (valid(annotations={"a": "x" * 262144}), ["metadata.annotations: Too long: may not be more than 262144 bytes"]),
        (
            valid(finalizers=["orphan", "foregroundDeletion"]),
            [
                'metadata.finalizers: Invalid value: ["orphan","foregroundDeletion"]: finalizer orphan and foregroundDeletion '
                "cannot be both set"
            ],
        ),
        (
            valid(ownerReferences=[{"apiVersion": "v1", "kind": "Pod", "name": "a"}]),
            ['metadata.ownerReferences[0].uid: Invalid value: "": must not be empty'],
        ),
        (
            valid(ownerReferences=[{**OWNER, "kind": "Event"}]),
            [
                'metadata.ownerReferences[0]: Invalid value: {"apiVersion":"v1","kind":"Event","name":"a","uid":"u"}: '
                "/v1, Kind=Event is disallowed from being an owner"
            ],
        ),
    ],
)
def test_wrong_metadata_of_a_new_object_is_refused(metadata: dict[str, Any], said: list[str]) -> None:
    """Spec B.2."""
    assert texts(metadata) == said


def test_second_controller_is_refused() -> None:
    """At most one owner controls."""
    owners = [{**OWNER, "controller": True}, {**OWNER, "name": "b", "controller": True}]
    [said] = texts(valid(ownerReferences=owners))
    assert said.endswith('Only one reference can have Controller set to true. Found "true" in references for Pod/a and Pod/b')


def test_cluster_scoped_object_has_no_namespace() -> None:
    """Upstream forbids it."""
    assert texts(valid(), namespaced=False) == ["metadata.namespace: Forbidden: not allowed on this type"]


@pytest.mark.parametrize("field", ["name", "namespace", "uid", "creationTimestamp", "deletionTimestamp"])
def test_identity_never_changes(field: str) -> None:
    """What the server set once."""
    assert texts(valid(**{field: "b"}), valid()) == [f'metadata.{field}: Invalid value: "b": field is immutable']


def test_finalizers_of_a_dying_object_only_go() -> None:
    """None may be added."""
    old = valid(deletionTimestamp="t", finalizers=["a/b", "c/d"])
    assert texts(valid(deletionTimestamp="t", finalizers=["a/b"]), old) == []
    assert texts(valid(deletionTimestamp="t", finalizers=["e/f"]), old) == [
        "metadata.finalizers: Forbidden: no new finalizers can be added if the object is being deleted, "
        'found new finalizers []string{"e/f"}'
    ]
