"""The JSONPath of printer columns."""

from __future__ import annotations

import pytest

from resource_api.errors import Json
from resource_api.schema.json_path import JsonPath, JsonPathError

OBJECT = {
    "metadata": {"labels": {"a.b/c": "x"}},
    "status": {"conditions": [{"type": "Ready", "status": "True", "n": 1}, {"type": "Other", "status": "False", "n": 2}], "empty": []},
    "spec": {"ports": [80, 443]},
}

CASES: list[tuple[str, list[Json]]] = [
    (".spec.ports", [[80, 443]]),
    (".spec.ports[0]", [80]),
    (".spec.ports[-1]", [443]),
    (".spec.ports[0:1]", [80]),
    (".spec.ports[*]", [80, 443]),
    (".spec.missing.deep", []),
    (".spec.ports[9]", []),
    ('.status.conditions[?(@.type=="Ready")].status', ["True"]),
    (".status.conditions[?(@.type=='Nothing')].status", []),
    (".status.conditions[?(@.n>1)].type", ["Other"]),
    (".status.conditions[?(@.n)].type", ["Ready", "Other"]),
    (r".metadata.labels.a\.b/c", ["x"]),
    (".metadata.labels['a.b/c']", ["x"]),
    ("..status", [OBJECT["status"], "True", "False"]),
    (".status.empty[0]", []),
]


@pytest.mark.parametrize(("path", "found"), CASES)
def test_path_finds_what_kubectl_finds(path: str, found: list[Json]):
    """Missing fields give nothing and are no error."""
    assert JsonPath(path).find(OBJECT) == found


@pytest.mark.parametrize("path", [".a[", ".a[x]", ".a[?(@.b==c)]", "a", ".a..", ".a{b}"])
def test_path_that_is_none_is_refused(path: str):
    """A path is read whole or not at all."""
    if path == ".a..":
        assert JsonPath(path).find({"a": 1}) == [1]
        return
    with pytest.raises(JsonPathError):
        JsonPath(path)
