"""Field ownership: what every write owns, when an apply is refused, what it takes away; by example."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from resource_api.errors import Object, StatusError
from resource_api.patch import last_applied
from resource_api.patch.apply import FieldOwnership
from resource_api.patch.field_sets import of_paths
from resource_api.patch.managed_fields import settle_times
from resource_api.schema import builtin
from resource_api.schema.kinds import FULL_VERBS, GroupVersionKind, ResourceType, Subresource
from resource_api.schema.types import Schema
from tests.resource_api.patch.ownership import LATER, NOW, applied, created, entries, owned

MISFIT = "failed to create typed patch object (d/w; apps/v1, Kind=Deployment): "
TYPES = {(type.group, type.kind): type for type in builtin.resource_types()}
TEXT = Schema("string")


def built_in(group: str, version: str, kind: str) -> FieldOwnership:
    return FieldOwnership(builtin.schema_of(GroupVersionKind(group, version, kind)), TYPES[group, kind])


CONFIG_MAPS = built_in("", "v1", "ConfigMap")
DEPLOYMENTS = built_in("apps", "v1", "Deployment")
SERVICES = built_in("", "v1", "Service")


def config_map(data: dict[str, str] | None = None, **metadata: Any) -> Object:
    obj: Object = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "c", "namespace": "d", **metadata}}
    return obj if data is None else {**obj, "data": data}


def deployment(image: str = "1", replicas: int | None = 1, **spec: Any) -> Object:
    pod = {"containers": [{"name": "c", "image": image, "ports": [{"containerPort": 80, "protocol": "TCP"}]}]}
    wanted = {"selector": {"matchLabels": {"a": "b"}}, "template": {"metadata": {"labels": {"a": "b"}}, "spec": pod}, **spec}
    if replicas is not None:
        wanted["replicas"] = replicas
    return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "w", "namespace": "d"}, "spec": wanted}


def refusal(manager: FieldOwnership, live: Object | None, config: Object, by: str = "me") -> StatusError:
    with pytest.raises(StatusError) as caught:
        applied(manager, live, config, by)
    return caught.value


def test_create_owns_what_it_sets_as_upstream_writes_it():
    """The server's own metadata belongs to nobody; structs kept by value and map keys are written as kube-apiserver writes them."""
    live = created(DEPLOYMENTS, deployment())
    pod = {
        "f:containers": {
            'k:{"name":"c"}': {
                ".": {},
                "f:image": {},
                "f:name": {},
                "f:ports": {".": {}, 'k:{"containerPort":80,"protocol":"TCP"}': {".": {}, "f:containerPort": {}, "f:protocol": {}}},
            }
        }
    }
    spec = {"f:replicas": {}, "f:selector": {}, "f:template": {"f:metadata": {"f:labels": {".": {}, "f:a": {}}}, "f:spec": pod}}
    assert entries(live) == [
        {
            "manager": "creator",
            "operation": "Update",
            "apiVersion": "apps/v1",
            "time": NOW,
            "fieldsType": "FieldsV1",
            "fieldsV1": {"f:spec": spec},
        }
    ]


def test_create_of_a_custom_object_owns_its_spec_too():
    type = ResourceType("e.com", "v1", "W", "ws", "w", True, custom=True)
    live = created(
        FieldOwnership(None, type), {"apiVersion": "e.com/v1", "kind": "W", "metadata": {"name": "w"}, "spec": {"l": [{"a": 1}]}}
    )
    assert entries(live)[0]["fieldsV1"] == {"f:spec": {".": {}, "f:l": {}}}


def test_update_takes_what_it_changes_and_leaves_the_rest():
    live = created(CONFIG_MAPS, config_map({"a": "1", "b": "1"}))
    new = CONFIG_MAPS.on_update(live, {**copy.deepcopy(live), "data": {"a": "2", "b": "1"}}, manager="other", now=LATER)
    assert owned(new, "other") == {"f:data/f:a"}
    assert owned(new, "creator") == {"f:data", "f:data/f:b"}
    assert [entry["time"] for entry in entries(new)] == [NOW, LATER]


def test_update_that_changes_nothing_keeps_entries_and_times():
    """Otherwise every no-op would be a write."""
    live = created(CONFIG_MAPS, config_map({"a": "1"}))
    new = CONFIG_MAPS.on_update(live, copy.deepcopy(live), manager="other", now=LATER)
    assert new == live


def test_settle_times_takes_back_what_only_a_time_tells_apart():
    """A change that a strategy undid must not be written for its time alone; a real one keeps it."""
    live = created(CONFIG_MAPS, config_map({"a": "1"}))
    new = copy.deepcopy(live)
    entries(new)[0]["time"] = LATER
    other = {**copy.deepcopy(new), "data": {"a": "2"}}
    settle_times(live, new)
    settle_times(live, other)
    assert new == live
    assert entries(other)[0]["time"] == LATER


@pytest.mark.parametrize("sent", ["absent", None, [], [{"manager": "x"}], "nonsense", [{"fieldsType": "V9"}]])
def test_update_without_usable_managed_fields_keeps_the_stored(sent: Any):
    """Clients that know nothing of them must not erase them."""
    live = created(CONFIG_MAPS, config_map({"a": "1"}))
    new = copy.deepcopy(live)
    if sent == "absent":
        del new["metadata"]["managedFields"]
    else:
        new["metadata"]["managedFields"] = sent
    assert CONFIG_MAPS.on_update(live, new, manager="other", now=LATER) == live


def test_update_with_one_empty_entry_resets_ownership():
    live = created(CONFIG_MAPS, config_map({"a": "1"}))
    new = copy.deepcopy(live)
    new["metadata"]["managedFields"] = [{}]
    assert "managedFields" not in CONFIG_MAPS.on_update(live, new, manager="other", now=LATER)["metadata"]


def test_update_may_write_managed_fields_but_not_through_a_subresource():
    live = created(DEPLOYMENTS, deployment())
    new = copy.deepcopy(live)
    new["metadata"]["managedFields"][0]["manager"] = "renamed"
    changed = DEPLOYMENTS.on_update(live, copy.deepcopy(new), manager="other", now=LATER)
    assert [entry["manager"] for entry in entries(changed)] == ["renamed"]
    kept = DEPLOYMENTS.on_update(live, copy.deepcopy(new), manager="other", subresource="status", now=LATER)
    assert [entry["manager"] for entry in entries(kept)] == ["creator"]


def test_update_of_an_object_nobody_kept_account_of_stays_so():
    live = config_map({"a": "1"}, uid="u")
    assert "managedFields" not in CONFIG_MAPS.on_update(live, config_map({"a": "2"}, uid="u"), manager="m", now=NOW)["metadata"]


def test_status_endpoint_owns_status_alone_under_its_own_entry():
    """What an endpoint resets it does not own, in either direction."""
    live = created(DEPLOYMENTS, {**deployment(), "status": {"replicas": 3}})
    assert not any("status" in path for path in owned(live, "creator"))
    new = {**copy.deepcopy(live), "status": {"replicas": 4}}
    new["spec"]["replicas"] = 9
    new = DEPLOYMENTS.on_update(live, new, manager="creator", subresource="status", now=LATER)
    by_status = [entry for entry in entries(new) if entry.get("subresource") == "status"]
    assert [entry["fieldsV1"] for entry in by_status] == [{"f:status": {"f:replicas": {}}}]
    assert "f:spec/f:replicas" in owned(new, "creator")


def test_updaters_past_ten_become_ancient_changes():
    """The oldest are merged; nothing owned is lost."""
    live = created(CONFIG_MAPS, config_map({"k": "0"}))
    for number in range(14):
        new = copy.deepcopy(live)
        new["data"][f"k{number}"] = "1"
        live = CONFIG_MAPS.on_update(live, new, manager=f"m{number:02}", now=f"2026-01-02T00:00:{number:02}Z")
    updaters = [entry["manager"] for entry in entries(live)]
    assert len(updaters) == 10
    assert updaters[0] == "ancient-changes" and "m13" in updaters and "m00" not in updaters
    assert {f"f:data/f:k{number}" for number in range(4)} <= owned(live, "ancient-changes")


def test_apply_creates_and_owns_what_it_names():
    live = applied(DEPLOYMENTS, None, deployment())
    assert live["spec"] == deployment()["spec"]
    assert [(entry["manager"], entry["operation"]) for entry in entries(live)] == [("me", "Apply")]
    assert "f:spec" not in owned(live, "me") and "f:spec/f:replicas" in owned(live, "me")


def test_apply_twice_is_a_no_op_to_the_byte():
    live = applied(DEPLOYMENTS, None, deployment())
    assert applied(DEPLOYMENTS, live, deployment(), now=LATER) == live


def test_apply_against_another_owner_conflicts_in_upstreams_words():
    live = created(DEPLOYMENTS, deployment(), by="kubectl-client-side-apply")
    error = refusal(DEPLOYMENTS, live, deployment(replicas=2))
    assert (error.code, error.reason) == (409, "Conflict")
    assert error.message == 'Apply failed with 1 conflict: conflict with "kubectl-client-side-apply" using apps/v1: .spec.replicas'
    assert error.status()["details"] == {
        "causes": [
            {
                "reason": "FieldManagerConflict",
                "message": 'conflict with "kubectl-client-side-apply" using apps/v1',
                "field": ".spec.replicas",
            }
        ]
    }


def test_apply_with_several_conflicts_lists_them_by_owner():
    live = applied(DEPLOYMENTS, None, deployment(), by="hpa")
    live = DEPLOYMENTS.on_update(
        live, {**copy.deepcopy(live), "spec": deployment(replicas=5)["spec"]}, manager="s", subresource="scale", now=NOW
    )
    error = refusal(DEPLOYMENTS, live, deployment(image="2", replicas=2))
    assert error.message == (
        'Apply failed with 2 conflicts: conflicts with "hpa":\n- .spec.template.spec.containers[name="c"].image\n'
        'conflicts with "s" with subresource "scale" using apps/v1:\n- .spec.replicas'
    )


def test_apply_by_force_takes_the_fields():
    live = created(DEPLOYMENTS, deployment())
    new = applied(DEPLOYMENTS, live, deployment(replicas=2), force=True)
    assert new["spec"]["replicas"] == 2
    assert "f:spec/f:replicas" in owned(new, "me") and "f:spec/f:replicas" not in owned(new, "creator")


def test_apply_of_an_equal_value_shares_ownership():
    live = created(DEPLOYMENTS, deployment())
    new = applied(DEPLOYMENTS, live, deployment())
    assert "f:spec/f:replicas" in owned(new, "me") & owned(new, "creator")


def test_apply_without_a_field_removes_it_unless_somebody_else_owns_it():
    live = applied(CONFIG_MAPS, None, config_map({"a": "1", "b": "1"}), by="me")
    live = applied(CONFIG_MAPS, live, config_map({"b": "1"}), by="you")
    new = applied(CONFIG_MAPS, live, config_map({}), by="me")
    assert new["data"] == {"b": "1"}
    assert owned(new, "me") == {"f:data"}
    assert applied(CONFIG_MAPS, new, config_map(), by="you").get("data", {}) == {}


def test_apply_after_which_a_container_is_empty_removes_the_container():
    live = applied(CONFIG_MAPS, None, config_map({"a": "1"}, labels={"x": "y"}))
    assert applied(CONFIG_MAPS, live, config_map()) == config_map()


def test_apply_merges_items_by_key_and_keeps_others_places():
    live = created(DEPLOYMENTS, deployment())
    live["spec"]["template"]["spec"]["containers"].insert(0, {"name": "side", "image": "s"})
    config = {**deployment(replicas=None), "spec": {"template": {"spec": {"containers": [{"name": "c", "tty": True}, {"name": "n"}]}}}}
    found = applied(DEPLOYMENTS, live, config)["spec"]["template"]["spec"]["containers"]
    assert [item["name"] for item in found] == ["side", "c", "n"]
    assert found[1]["image"] == "1" and found[1]["tty"] is True


def test_apply_identifies_ports_by_the_default_protocol():
    config = {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "s"}, "spec": {"ports": [{"port": 80}]}}
    live = applied(SERVICES, None, config)
    assert 'f:spec/f:ports/k:{"port":80,"protocol":"TCP"}' in owned(live, "me")


def test_create_owns_opaque_content_as_one_and_items_by_the_keys_they_have():
    """As upstream's schema has it for RawExtension and for references whose name is left out."""
    revisions = built_in("apps", "v1", "ControllerRevision")
    head = {"apiVersion": "apps/v1", "kind": "ControllerRevision", "metadata": {"name": "r"}, "revision": 1}
    assert owned(created(revisions, {**head, "data": {"a": {"b": 1}}}), "creator") == {"f:data", "f:revision"}
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p"}, "spec": {"imagePullSecrets": [{}]}}
    assert 'f:spec/f:imagePullSecrets/k:{"name":""}' in owned(created(built_in("", "v1", "Pod"), pod), "creator")
    claim = {"apiVersion": "resource.k8s.io/v1", "kind": "ResourceClaim", "metadata": {"name": "c"}}
    device = {"driver": "d", "device": "v", "pool": "p"}
    claims = FieldOwnership(
        builtin.schema_of(GroupVersionKind("resource.k8s.io", "v1", "ResourceClaim")),
        TYPES["resource.k8s.io", "ResourceClaim"],
        reset_fields={},
    )
    both = created(claims, {**claim, "status": {"devices": [device, {**device, "shareID": "s"}]}})
    assert {path.count("k:") for path in owned(both, "creator") if path.endswith("}")} == {1}
    assert len({path.split("/")[2] for path in owned(both, "creator") if "k:" in path}) == 2


def test_apply_over_an_object_without_account_blames_before_first_apply():
    live = config_map({"a": "1"}, uid="u")
    error = refusal(CONFIG_MAPS, live, config_map({"a": "2"}))
    assert error.message == 'Apply failed with 1 conflict: conflict with "before-first-apply" using v1: .data.a'


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            {"apiVersion": "apps/v1beta1"},
            "Incorrect version specified in apply patch. Specified patch version: apps/v1beta1, expected: apps/v1",
        ),
        ({"metadata": {"name": "w", "managedFields": []}}, "metadata.managedFields must be nil"),
        (
            {"spec": {"foo": 1}},
            f"{MISFIT}.spec.foo: field not declared in schema",
        ),
        (
            {"spec": {"replicas": "x"}},
            f"{MISFIT}.spec.replicas: expected numeric (int or float), got string",
        ),
        (
            {"spec": {"template": {"spec": {"containers": [{"name": "c"}, {"name": "c"}]}}}},
            MISFIT + '.spec.template.spec.containers: duplicate entries for key [name="c"]',
        ),
    ],
)
def test_apply_of_what_does_not_fit_is_a_bad_request(change: Object, message: str):
    error = refusal(DEPLOYMENTS, created(DEPLOYMENTS, deployment()), {**deployment(), **change})
    assert (error.code, error.message) == (400, message)


def test_apply_with_the_uid_of_nothing_conflicts():
    error = refusal(CONFIG_MAPS, None, config_map({}, uid="u1"))
    assert error.code == 409
    assert "uid mismatch: the provided object specified uid u1, and no existing object was found" in error.message


def test_apply_by_kubectl_takes_over_from_client_side_apply():
    """What last-applied says and nobody changed since is kubectl's own; the annotation follows."""
    text = '{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"c","namespace":"d"},"data":{"a":"1"}}'
    live = created(CONFIG_MAPS, config_map({"a": "1"}, annotations={last_applied.ANNOTATION: text}), by="kubectl-client-side-apply")
    assert refusal(CONFIG_MAPS, live, config_map({"a": "2"}), by="argo").code == 409
    new = applied(CONFIG_MAPS, live, config_map({"a": "2"}), by="kubectl")
    assert new["data"] == {"a": "2"}
    assert new["metadata"]["annotations"][last_applied.ANNOTATION] == (
        '{"apiVersion":"v1","data":{"a":"2"},"kind":"ConfigMap","metadata":{"name":"c","namespace":"d"}}\n'
    )
    changed = CONFIG_MAPS.on_update(live, {**copy.deepcopy(live), "data": {"a": "3"}}, manager="other", now=LATER)
    assert 'conflict with "other"' in refusal(CONFIG_MAPS, changed, config_map({"a": "2"}), by="kubectl").message


def test_apply_to_a_stored_list_with_an_item_twice_still_works():
    """Lists stored before were not checked."""
    live = created(
        SERVICES, {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "s"}, "spec": {"ports": [{"port": 80}, {"port": 80}]}}
    )
    config = {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "s"}, "spec": {"ports": [{"port": 80, "name": "x"}]}}
    assert applied(SERVICES, live, config, force=True)["spec"]["ports"] == [{"port": 80, "name": "x"}]


def test_reset_fields_given_by_the_caller_are_ignored():
    kind = ResourceType("e.com", "v1", "W", "ws", "w", True, FULL_VERBS, custom=True)
    kind.subresources["status"] = Subresource("status", kind.gvk, ("get",))
    manager = FieldOwnership(None, kind, reset_fields={"": of_paths([("f:status",), ("f:spec", "f:secret")])})
    obj = {"apiVersion": "e.com/v1", "kind": "W", "metadata": {"name": "w"}, "spec": {"secret": {"a": 1}, "b": 1}, "status": {"c": 1}}
    assert owned(created(manager, obj), "creator") == {"f:spec", "f:spec/f:b"}
    assert owned(applied(manager, None, obj), "me") == {"f:spec", "f:spec/f:b"}
