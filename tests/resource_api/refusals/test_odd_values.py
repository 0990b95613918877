"""Every place of an object, one after the other, holds what it should not: no answer is our fault."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from typing import Any

import pytest

from tests.resource_api.refusals.server import Server

pytestmark = pytest.mark.slow

ODD = (None, -1, "x", [None], {"a": None})
DEFAULT = "namespaces/default"
OBJECTS = (
    f"/api/v1/{DEFAULT}/pods/pod",
    f"/apis/apps/v1/{DEFAULT}/deployments/web",
    f"/apis/example.com/v1/{DEFAULT}/widgets/one",
    "/apis/apiextensions.k8s.io/v1/customresourcedefinitions/widgets.example.com",
    "/api/v1/namespaces/default/services/kubernetes",
)
META = {
    "labels": {"a": "b"},
    "finalizers": ["a/b"],
    "ownerReferences": [{"apiVersion": "v1", "kind": "Node", "name": "n", "uid": "u"}],
    "managedFields": [{"manager": "m", "operation": "Update", "apiVersion": "v1", "fieldsType": "FieldsV1", "fieldsV1": {"f:data": {}}}],
}


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """All but the whole."""
    parts = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for name, part in parts:
        yield (*path, name)
        yield from places(part, (*path, name))


def changed(obj: Any, path: tuple[Any, ...], value: Any) -> Any:
    """A copy with the value at a place."""
    found = copy.deepcopy(obj)
    part = found
    for name in path[:-1]:
        part = part[name]
    part[path[-1]] = value
    return found


@pytest.mark.parametrize("path", OBJECTS, ids=lambda path: path.rpartition("/")[2])
def test_no_value_anywhere_is_our_fault(server: Server, path: str) -> None:
    """By POST of another name, by PUT, by merge patch and by apply, as a dry run."""
    obj = json.loads(server.ask("GET", path)[2])
    obj["metadata"].update(copy.deepcopy(META))
    name, collection = obj["metadata"]["name"], path.rpartition("/")[0]
    sent = 0
    for place in places(obj):
        for value in ODD:
            wrong = changed(obj, place, value)
            applied, fresh = copy.deepcopy(wrong), copy.deepcopy(wrong)
            if isinstance(fresh["metadata"], dict):
                applied["metadata"].pop("managedFields", None)
                fresh["metadata"].pop("resourceVersion", None)
                if fresh["metadata"].get("name") == name:
                    fresh["metadata"]["name"] = f"other-{name}"
            for method, target, body, kind in (
                ("POST", collection, fresh, "application/json"),
                ("PUT", path, wrong, "application/json"),
                ("PATCH", path, wrong, "application/merge-patch+json"),
                ("PATCH", path, applied, "application/apply-patch+yaml"),
            ):
                query = "dryRun=All&fieldValidation=Strict" + ("&fieldManager=m&force=true" if "apply" in kind else "")
                code, _, answer = server.ask(method, f"{target}?{query}", json.dumps(body).encode(), {"Content-Type": kind})
                sent += 1
                # Upstream's own fault, kept: a version that is no number, and one where none may be.
                if b"resourceVersion should not be set" not in answer:
                    assert code < 500, (method, kind, place, value, answer)
    assert sent > 500
