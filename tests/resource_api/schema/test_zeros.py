"""Which zeros are left out of JSON: kubectl's own Go types are asked."""

from __future__ import annotations

import json
import shutil
import subprocess
import sysconfig
from collections.abc import Iterator
from typing import Any

import pytest

from resource_api.schema import builtin
from resource_api.schema.kinds import GroupVersionKind
from resource_api.schema.types import SCALARS, Schema

KUBECTL = shutil.which("kubectl", path=sysconfig.get_path("scripts")) or shutil.which("kubectl")
IMAGE = ("image", "*=set")
LISTED = {"string": "k", "integer": 1}


def zero(schema: Schema, depth: int) -> Any:
    """Everything there, and zero; only lists of structs have an item, and its key is set."""
    if schema.name.endswith(".Time"):
        return "2026-01-01T00:00:00Z"
    if schema.int_or_string:
        return 0
    if schema.format == "quantity":
        return "0"
    if schema.shape == "object" and schema.properties:
        return {name: zero(child, depth - 1) for name, child in schema.properties.items() if name != "managedFields"} if depth else {}
    if schema.shape == "object":
        return {}
    if schema.shape == "array":
        assert schema.items is not None
        if schema.items.shape != "object":
            return []
        item = zero(schema.items, depth - 1)
        if schema.patch_merge_key and isinstance(item, dict):
            item[schema.patch_merge_key] = LISTED[schema.items.properties[schema.patch_merge_key].shape]
        return [item]
    return {"string": "", "integer": 0, "boolean": False, "any": 1}[schema.shape]


def zeros_of(schema: Schema, sent: Any, back: Any) -> Iterator[tuple[str, str, bool]]:
    """Type, member and whether its zero came back."""
    if schema.shape == "object" and schema.properties and isinstance(back, dict):
        for name, child in schema.properties.items():
            if name not in sent or name in ("apiVersion", "kind"):
                continue
            if not child.name and (child.shape in SCALARS or not sent[name]):
                if not sent[name]:
                    yield schema.name, name, name in back
            elif name in back:
                yield from zeros_of(child, sent[name], back[name])
    elif schema.items is not None and back:
        yield from zeros_of(schema.items, sent[0], back[0])


@pytest.mark.slow
@pytest.mark.skipif(KUBECTL is None, reason="kubectl is not installed")
@pytest.mark.parametrize(
    ("gvk", "command"),
    [
        (GroupVersionKind("", "v1", "Pod"), IMAGE),
        (GroupVersionKind("apps", "v1", "DaemonSet"), IMAGE),
        (GroupVersionKind("apps", "v1", "Deployment"), IMAGE),
        (GroupVersionKind("apps", "v1", "ReplicaSet"), IMAGE),
        (GroupVersionKind("apps", "v1", "StatefulSet"), IMAGE),
        (GroupVersionKind("batch", "v1", "CronJob"), IMAGE),
        (GroupVersionKind("batch", "v1", "Job"), IMAGE),
        (GroupVersionKind("", "v1", "Service"), ("selector", "a=b")),
        (GroupVersionKind("rbac.authorization.k8s.io", "v1", "RoleBinding"), ("subject", "--user=u")),
    ],
    ids=lambda value: value.kind if isinstance(value, GroupVersionKind) else "",
)
def test_zeros_are_left_out_as_upstreams_types_leave_them_out(gvk, command, tmp_path):
    """kubectl reads the object into its types and writes it again: what is gone then, we do not write either."""
    schema = builtin.schema_of(gvk)
    sent = zero(schema, 12) | {"kind": gvk.kind, "apiVersion": gvk.api_version}
    sent["metadata"]["name"] = "x"
    file = tmp_path / "object.json"
    file.write_text(json.dumps(sent))
    assert KUBECTL is not None
    words = [KUBECTL, "set", command[0], "--local", "-f", str(file), *command[1:], "-o", "json"]
    done = subprocess.run(words, capture_output=True, text=True, check=True)
    zeros = {found for found in zeros_of(schema, sent, json.loads(done.stdout)) if found[1] not in ("image", "selector")}
    assert len(zeros) > 10
    assert [found for found in sorted(zeros) if found[2] is (found[1] in builtin.left_out_when_zero(found[0]))] == []
