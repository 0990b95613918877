"""Every built-in kind: valid objects pass, invalid ones are refused in upstream's words, defaults settle, nothing unknown survives."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from resource_api.errors import Json, Object, StatusError
from resource_api.registry.builtin import builtin_models
from resource_api.schema.builtin import always_written
from resource_api.schema.types import Schema
from tests.resource_api.registry.builtins import CONTEXT, HERE, faults, merged, model_of, object_of, objects, prepared

REFUSALS: list[Object] = yaml.safe_load((HERE / "builtin_refusals.yaml").read_text())


def _title(obj: Object) -> str:
    return f"{obj['apiVersion']}-{obj['kind']}"


@pytest.mark.parametrize("obj", objects(), ids=_title)
def test_valid_object_of_each_kind_passes(obj: Object) -> None:
    """What a user writes in a tutorial is valid."""
    assert faults(prepared(obj)) == []


@pytest.mark.parametrize("obj", objects(), ids=_title)
def test_defaults_applied_twice_change_nothing_more(obj: Object) -> None:
    """`default` is idempotent, and what it adds is part of the kind."""
    made = prepared(obj)
    again = copy.deepcopy(made)
    model_of(made).default(again)
    assert again == made
    assert model_of(made).prune(again) == []
    model_of(made).default(again)
    assert again == made, "nulls that pruning drops come back"


@pytest.mark.parametrize("case", REFUSALS, ids=lambda case: f"{case['kind']}-{case['errors'][0][:40]}")
def test_invalid_object_is_refused_in_upstreams_words(case: dict[str, Any]) -> None:
    """The texts users and their tests know."""
    assert faults(prepared(merged(object_of(case["kind"]), case["set"]))) == case["errors"]


def test_models_cover_every_resource_type() -> None:
    """None is missing, each stands under its own name."""
    models = builtin_models()
    assert len(models) == 72
    for (group, version, plural), model in models.items():
        assert (model.type.group, model.type.version, model.type.plural) == (group, version, plural)


def test_update_without_version_is_refused_for_the_kinds_that_lock_optimistically() -> None:
    """Spec B.2."""
    kinds = {model.type.kind for model in builtin_models().values() if not model.strategy.unconditional_update}
    assert kinds == {
        *("APIService", "CSINode", "CustomResourceDefinition", "Lease", "PodDisruptionBudget", "RuntimeClass"),
        *("MutatingWebhookConfiguration", "ValidatingWebhookConfiguration", "MutatingAdmissionPolicy", "MutatingAdmissionPolicyBinding"),
        *("ValidatingAdmissionPolicy", "ValidatingAdmissionPolicyBinding"),
    }


def test_put_creates_and_delete_answers_the_object_for_the_kinds_that_say_so() -> None:
    """Spec B.1 and B.5."""
    models = builtin_models().values()
    assert {model.type.kind for model in models if model.strategy.create_on_update} == {
        *("ClusterRole", "ClusterRoleBinding", "Endpoints", "Event", "Lease", "LimitRange", "Role", "RoleBinding", "RuntimeClass"),
        "Service",
    }
    assert {model.type.kind for model in models if model.strategy.returns_deleted} == {
        *("CSIDriver", "CSINode", "Namespace", "PersistentVolume", "PersistentVolumeClaim", "Pod", "PodTemplate", "ResourceQuota"),
        *("Service", "ServiceAccount", "StorageClass", "VolumeAttachment"),
    }


def test_wrong_type_is_a_bad_request_with_the_decoders_text() -> None:
    """A field of the wrong type never reaches validation."""
    obj = merged(object_of("Deployment"), {"spec": {"replicas": "two"}})
    with pytest.raises(StatusError) as caught:
        model_of(obj).prune(obj)
    assert (caught.value.code, caught.value.message) == (
        400,
        'Deployment in version "v1" cannot be handled as a Deployment: json: cannot unmarshal string into Go struct field '
        "DeploymentSpec.spec.replicas of type int32",
    )


def test_unknown_fields_are_dropped_and_named_by_their_path() -> None:
    """The paths strict decoding names."""
    obj = merged(object_of("Pod"), {"specc": {}, "spec": {"containers": [{"name": "a", "image": "b", "foo": {}}], "bar": 1}})
    assert sorted(model_of(obj).prune(obj)) == ["spec.bar", "spec.containers[0].foo", "specc"]
    assert obj["spec"] == {"containers": [{"name": "a", "image": "b"}]}


def _values(schema: Schema, depth: int) -> st.SearchStrategy[Any]:
    """Objects of about that shape, with nulls and unknown fields among them."""
    scalars: dict[str, st.SearchStrategy[Any]] = {
        "string": st.sampled_from(["", "a", "b-c", "2024-01-01T00:00:00Z", "YWI="]),
        "integer": st.integers(-1, 3),
        "number": st.sampled_from([0.5, 1.0]),
        "boolean": st.booleans(),
        "any": st.sampled_from([{"a": None}, [1], "x"]),
    }
    if schema.format == "quantity":
        return st.sampled_from(["1", "500m", 2, 0.5, "1Gi"])
    if schema.format == "date-time":
        return st.sampled_from(["2024-01-01T00:00:00Z", "2024-01-01T00:00:00.25+01:00"])
    if schema.format == "byte":
        return st.just("YWI=")
    if schema.int_or_string:
        return st.sampled_from([1, "25%", "web"])
    if schema.shape in scalars:
        return scalars[schema.shape]
    if depth == 0:
        return st.just([] if schema.shape == "array" else {})
    if schema.items is not None:
        return st.lists(_values(schema.items, depth - 1), max_size=2)
    if schema.additional is not None:
        return st.dictionaries(st.sampled_from(["a", "b"]), _values(schema.additional, depth - 1), max_size=2)
    fields: dict[str, st.SearchStrategy[Any]] = {"unknownField": st.just(1)}
    for name, child in schema.properties.items():
        fields[name] = st.none() | _later(child, depth - 1)
    chosen = st.lists(st.sampled_from(sorted(fields)), max_size=6, unique=True)
    return chosen.flatmap(lambda names: st.fixed_dictionaries({name: fields[name] for name in names}))


def _later(schema: Schema, depth: int) -> st.SearchStrategy[Any]:
    """Built when it is drawn from: a type may contain itself."""
    return st.deferred(lambda: _values(schema, depth))


KINDS = sorted({(model.type.api_version, model.type.kind) for model in builtin_models().values()})


@settings(max_examples=100, deadline=None, derandomize=True)
@given(st.data())
def test_any_object_is_pruned_defaulted_and_judged_without_a_fault_of_ours(data: st.DataObject) -> None:
    """Prune after prune finds nothing; default is idempotent; validation never breaks, whatever the object."""
    api_version, kind = data.draw(st.sampled_from(KINDS))
    model = model_of({"apiVersion": api_version, "kind": kind})
    obj = data.draw(_values(model.schema, 6))
    obj.update({"apiVersion": api_version, "kind": kind, "metadata": {"name": "a", "namespace": "default", "uid": "u"}})
    model.prune(obj)
    once = copy.deepcopy(obj)
    assert model.prune(once) == []
    assert once == obj
    model.default(obj)
    again = copy.deepcopy(obj)
    model.default(again)
    assert again == obj
    assert model.prune(again) == []
    model.strategy.prepare_create(CONTEXT, obj)
    faults(obj)
    model.strategy.prepare_update(CONTEXT, again, obj)
    faults(again, obj)


def _unwritten(schema: Schema, value: Json, path: str) -> Iterator[str]:
    """Where something is missing that upstream always writes."""
    if isinstance(value, dict):
        for member, zero in always_written(schema.name).items():
            if member not in value and (member not in schema.required or not isinstance(zero, bool | int | str)):
                yield f"{path}.{member}"
        for name, child in value.items():
            below = schema.properties.get(name) or schema.additional
            if below is not None:
                yield from _unwritten(below, child, f"{path}.{name}")
    elif isinstance(value, list) and schema.items is not None:
        for item in value:
            yield from _unwritten(schema.items, item, path)


@pytest.mark.parametrize("obj", objects(), ids=_title)
def test_what_upstreams_types_always_write_is_there(obj: Object) -> None:
    """Structs that Go keeps by value and lists without omitempty, however deep: clients of other languages count on them."""
    made = prepared(obj)
    assert list(_unwritten(model_of(made).schema, made, "")) == []


EVENT = {"apiVersion": "v1", "kind": "Event", "involvedObject": {"kind": "Pod", "name": "p"}}
SLICE = {"apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice", "addressType": "IPv4"}
ROLE = {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "Role"}
SCALER = {
    "apiVersion": "autoscaling/v2",
    "kind": "HorizontalPodAutoscaler",
    "spec": {"maxReplicas": 1, "scaleTargetRef": {"kind": "Deployment", "name": "d"}},
}
POD_STATUS = {"conditions": [{"type": "Ready", "status": "True"}], "containerStatuses": [{"name": "c", "state": {"running": {}}}]}


@pytest.mark.parametrize(
    ("obj", "path"),
    [
        (EVENT, "firstTimestamp"),
        (EVENT, "lastTimestamp"),
        (EVENT, "eventTime"),
        (SLICE, "endpoints"),
        (SLICE | {"ports": []}, "ports"),
        (ROLE, "rules"),
        (ROLE | {"rules": []}, "rules"),
        (SCALER, "status.currentMetrics"),
        ({"apiVersion": "v1", "kind": "Pod", "status": POD_STATUS}, "status.conditions.0.lastProbeTime"),
        ({"apiVersion": "v1", "kind": "Pod", "status": POD_STATUS}, "status.containerStatuses.0.state.running.startedAt"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_nobody_set_is_null_where_go_writes_null(obj: Object, path: str) -> None:
    """An empty list too: stored as protobuf upstream, it is absent."""
    made: Json = copy.deepcopy(obj)
    model_of(made).default(made)
    *parents, last = path.split(".")
    for name in parents:
        made = made[int(name)] if name.isdigit() else made[name]
    assert made[last] is None


def test_empty_lists_of_what_is_stored_as_json_stay() -> None:
    """Definitions are; clients of old releases write their status with empty lists, and find them again."""
    crd: Object = {"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition", "spec": {}}
    crd["status"] = {"storedVersions": []}
    assert model_of(crd).prune(crd) == []
    model_of(crd).default(crd)
    assert (crd["status"]["storedVersions"], crd["status"]["conditions"]) == ([], None)


def test_zeros_that_upstream_always_writes_are_there_unless_they_are_required() -> None:
    """Deep inside too: the divisor of a resource that is looked up, the name of a node's default handler."""
    field = {"resourceFieldRef": {"resource": "limits.cpu"}}
    made: Object = {"apiVersion": "v1", "kind": "Pod", "spec": {"containers": [{"name": "c", "env": [{"name": "V", "valueFrom": field}]}]}}
    model_of(made).default(made)
    assert field["resourceFieldRef"] == {"resource": "limits.cpu", "divisor": "0"}
    node: Object = {"apiVersion": "v1", "kind": "Node", "status": {"runtimeHandlers": [{"features": {}}]}}
    model_of(node).default(node)
    assert node["status"]["runtimeHandlers"] == [{"features": {}, "name": ""}]
    bare: Object = {"apiVersion": "scheduling.k8s.io/v1", "kind": "PriorityClass", "metadata": {"name": "p"}}
    model_of(bare).default(bare)
    assert "value" in bare
    unnamed: Object = {"apiVersion": "v1", "kind": "Pod", "spec": {"containers": [{}]}}
    model_of(unnamed).default(unnamed)
    assert "name" not in unnamed["spec"]["containers"][0]
