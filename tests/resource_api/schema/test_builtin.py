"""The built-in kinds as data: the file is up to date, resources are complete, schema nodes say what patches need."""

from __future__ import annotations

import subprocess
import sys

import pytest

from resource_api.schema import builtin
from resource_api.schema.kinds import FULL_VERBS, GroupVersionKind
from resource_api.schema.types import Schema

POD = GroupVersionKind("", "v1", "Pod")


def at(schema: Schema, path: str) -> Schema:
    """The node at `spec.containers[].ports`."""
    for step in path.split("."):
        schema = schema.properties[step.removesuffix("[]")]
        if step.endswith("[]"):
            assert schema.items is not None
            schema = schema.items
    return schema


def by_name(group: str, version: str, plural: str):
    return next(item for item in builtin.resource_types() if (item.group, item.version, item.plural) == (group, version, plural))


@pytest.mark.slow
def test_data_file_is_what_the_build_step_makes():
    """Nobody edits the data file, and nobody forgets to rebuild it."""
    done = subprocess.run([sys.executable, "-m", "tools.kube_schema", "--check"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_resource_types_are_complete_and_in_discovery_order():
    """Core first, then the aggregator's order; within a group the newest version first."""
    types = builtin.resource_types()
    assert len(types) == 72
    groups = list(dict.fromkeys(item.group for item in types))
    assert groups[:4] == ["", "apiregistration.k8s.io", "apps", "events.k8s.io"]
    assert [item.version for item in types if item.group == "autoscaling"] == ["v2", "v1"]
    assert len({(item.group, item.version, item.plural) for item in types}) == 72


def test_resource_types_carry_names_verbs_and_subresources():
    """What discovery says of a resource."""
    pods = by_name("", "v1", "pods")
    assert (pods.singular, pods.short_names, pods.categories, pods.namespaced) == ("pod", ("po",), ("all",), True)
    assert pods.verbs == FULL_VERBS
    assert pods.subresources["eviction"].kind == GroupVersionKind("policy", "v1", "Eviction")
    assert pods.subresources["eviction"].verbs == ("create",)
    assert pods.subresources["resize"].kind == pods.gvk
    assert "deletecollection" not in by_name("", "v1", "namespaces").verbs
    assert by_name("apps", "v1", "deployments").subresources["scale"].kind == GroupVersionKind("autoscaling", "v1", "Scale")


def test_every_storage_path_belongs_to_one_kind():
    """Two resources share a key space only when they are one storage, and then say so."""
    paths: dict[str, GroupVersionKind] = {}
    for item in builtin.resource_types():
        if item.storage_path:
            kind = item.stored_as or item.gvk
            assert paths.setdefault(item.storage_path, kind) == kind
    assert paths["minions"].kind == "Node"
    assert paths["services/specs"].kind == "Service"
    assert paths["apiextensions.k8s.io/customresourcedefinitions"].kind == "CustomResourceDefinition"


def test_every_resource_and_subresource_has_a_schema():
    """Those that only carry query parameters excepted."""
    for item in builtin.resource_types():
        assert builtin.schema_of(item.gvk).shape == "object"
        if "list" in item.verbs:
            assert builtin.schema_of(item.gvk._replace(kind=item.list_kind)).properties["items"].items is builtin.schema_of(item.gvk)
        for sub in item.subresources.values():
            if not sub.kind.kind.endswith(("ExecOptions", "AttachOptions", "PortForwardOptions", "ProxyOptions")):
                assert builtin.schema_of(sub.kind).properties


def test_schema_of_unknown_kind_is_a_key_error():
    with pytest.raises(KeyError):
        builtin.schema_of(GroupVersionKind("apps", "v1", "Widget"))


def test_field_labels_end_at_a_property():
    """A label whose path leads nowhere selects nothing."""
    for item in builtin.resource_types():
        for path in builtin.field_labels(item.group, item.kind).values():
            at(builtin.schema_of(item.gvk), ".".join(path))
    assert builtin.field_labels("", "Event")["source"] == ("source", "component")
    assert set(builtin.field_labels("", "ConfigMap")) == {"metadata.name", "metadata.namespace"}


def test_lists_know_their_keys_and_merge_keys():
    """Server-side apply and strategic merge go by these."""
    pod = builtin.schema_of(POD)
    ports = at(pod, "spec.containers[].ports")
    assert (ports.list_type, ports.list_map_keys) == ("map", ("containerPort", "protocol"))
    assert (ports.patch_strategy, ports.patch_merge_key) == (("merge",), "containerPort")
    assert at(pod, "spec.volumes").patch_strategy == ("merge", "retainKeys")
    assert at(pod, "spec.tolerations").list_type == "atomic"
    assert at(pod, "metadata.finalizers").list_type == "set"
    assert at(pod, "spec.nodeSelector").map_type == "atomic"
    deployment = builtin.schema_of(GroupVersionKind("apps", "v1", "Deployment"))
    assert at(deployment, "spec.strategy").patch_strategy == ("retainKeys",)
    assert at(deployment, "spec.selector").map_type == "atomic"
    assert at(deployment, "spec.template.spec").name == "io.k8s.api.core.v1.PodSpec"


def test_keys_of_lists_have_their_defaults_and_nothing_else_has():
    """An item without a key that has a default is the item with that default."""
    pod = builtin.schema_of(POD)
    assert at(pod, "spec.containers[].ports[].protocol").default == "TCP"
    assert at(pod, "spec.containers[].ports[].containerPort").default == 0
    assert at(pod, "spec.containers[].name").default == ""
    assert at(pod, "spec.volumes[].iscsi.iscsiInterface").default is None


def test_scalars_of_two_forms_are_marked():
    """Quantities and ports are text or numbers."""
    service = builtin.schema_of(GroupVersionKind("", "v1", "Service"))
    assert at(service, "spec.ports[].targetPort").int_or_string
    pod = builtin.schema_of(POD)
    assert at(pod, "spec.containers[].resources.limits").additional.format == "quantity"
    assert at(pod, "metadata.managedFields[].fieldsV1").preserve_unknown


def test_every_node_is_well_formed():
    """The invariants of Schema, over every type."""
    seen: set[int] = set()

    def walk(node: Schema) -> None:
        if id(node) in seen:
            return
        seen.add(id(node))
        assert (node.items is not None) == (node.shape == "array")
        assert not (node.properties and node.additional)
        assert bool(node.list_map_keys) == (node.list_type == "map")
        assert set(node.required) <= set(node.properties)
        if node.list_type == "map":
            assert set(node.list_map_keys) <= set(node.items.properties)
        for child in (*node.properties.values(), node.items, node.additional):
            if child is not None:
                walk(child)

    for name in builtin.definition_names():
        walk(builtin.definition(name))
    assert len(seen) > 2000


def test_what_is_always_written_is_never_left_out() -> None:
    """The two tables of zeros were made apart from one another, and agree on every type."""
    for name in builtin.definitions():
        message = "k8s.io." + name.removeprefix("io.k8s.").replace("-", "_")
        if message in builtin.protobuf_table()["messages"]:
            assert builtin.left_out_when_zero(name) & builtin.always_written(name).keys() == set(), name
