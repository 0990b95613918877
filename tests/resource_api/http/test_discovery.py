"""Discovery: both forms list the same, in the order kubectl's short names depend on, and have stable ETags."""

from __future__ import annotations

import random

import msgspec
import pytest

from resource_api.http.discovery import Discovery, storage_version_hash, version_rank
from resource_api.schema import builtin
from resource_api.schema.kinds import GroupVersionKind, ResourceType, Subresource

WIDGETS = ResourceType("example.com", "v1beta1", "Widget", "widgets", "widget", True, short_names=("wd",), custom=True, storage_path="x")
WIDGETS_V1 = ResourceType(
    "example.com",
    "v1",
    "Widget",
    "widgets",
    "widget",
    True,
    custom=True,
    subresources={"scale": Subresource("scale", GroupVersionKind("autoscaling", "v1", "Scale"), ("get", "patch", "update"))},
    storage_path="x",
)
OTHERS = ResourceType("another.io", "v1", "Thing", "things", "thing", False, custom=True, storage_path="y")


@pytest.fixture(scope="module")
def discovery() -> Discovery:
    return Discovery([*builtin.resource_types(), WIDGETS, OTHERS, WIDGETS_V1])


def decoded(document):
    assert document is not None
    return msgspec.json.decode(document.body)


def test_versions_sort_as_kubernetes_sorts_them():
    """GA before beta before alpha, newest first; names of no such form last."""
    versions = ["v1alpha1", "v2", "foo", "v1", "v10", "v1beta1", "v1beta2", "v11alpha2", "bar"]
    random.Random(1).shuffle(versions)
    assert sorted(versions, key=version_rank) == ["v10", "v2", "v1", "v1beta2", "v1beta1", "v11alpha2", "v1alpha1", "bar", "foo"]


def test_groups_stand_in_the_aggregators_order_and_custom_ones_after_them(discovery):
    """The first match wins for short names and for `get events`."""
    names = [group["name"] for group in decoded(discovery.group_list())["groups"]]
    assert names[:3] == ["apiregistration.k8s.io", "apps", "events.k8s.io"]
    assert names[-2:] == ["another.io", "example.com"]
    assert decoded(discovery.group("example.com")) == {
        "kind": "APIGroup",
        "apiVersion": "v1",
        "name": "example.com",
        "versions": [
            {"groupVersion": "example.com/v1", "version": "v1"},
            {"groupVersion": "example.com/v1beta1", "version": "v1beta1"},
        ],
        "preferredVersion": {"groupVersion": "example.com/v1", "version": "v1"},
    }
    assert discovery.group("nobody.io") is None
    assert discovery.group("") is None


def test_core_versions_say_where_the_server_is(discovery):
    assert decoded(discovery.api_versions("127.0.0.1:6443")) == {
        "kind": "APIVersions",
        "versions": ["v1"],
        "serverAddressByClientCIDRs": [{"clientCIDR": "0.0.0.0/0", "serverAddress": "127.0.0.1:6443"}],
    }


def test_legacy_list_names_resources_and_subresources(discovery):
    """Subresources of another group say which."""
    core = decoded(discovery.resource_list("", "v1"))
    assert "apiVersion" not in core
    assert [one["name"] for one in core["resources"]] == sorted(one["name"] for one in core["resources"])
    by_name = {one["name"]: one for one in core["resources"]}
    assert by_name["pods"] == {
        "name": "pods",
        "singularName": "pod",
        "namespaced": True,
        "kind": "Pod",
        "verbs": ["create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"],
        "shortNames": ["po"],
        "categories": ["all"],
        "storageVersionHash": "xPOwRZ+Yhw8=",
    }
    assert by_name["pods/eviction"] == {
        "name": "pods/eviction",
        "singularName": "",
        "namespaced": True,
        "group": "policy",
        "version": "v1",
        "kind": "Eviction",
        "verbs": ["create"],
    }
    apps = decoded(discovery.resource_list("apps", "v1"))
    assert (apps["apiVersion"], apps["groupVersion"]) == ("v1", "apps/v1")
    assert discovery.resource_list("apps", "v9") is None


def test_two_resources_of_one_storage_share_its_hash():
    """The hash is of the version stored."""
    hashes = {storage_version_hash(one) for one in builtin.resource_types() if one.plural in ("events", "horizontalpodautoscalers")}
    assert len(hashes) == 2


def test_aggregated_form_lists_what_the_legacy_form_lists(discovery):
    """Same groups, versions, resources, verbs and names."""
    legacy, aggregated = set(), set()
    for group, versions in discovery.groups().items():
        for version in versions:
            for one in decoded(discovery.resource_list(group, version))["resources"]:
                legacy.add((group, version, one["name"], one["kind"], tuple(one["verbs"])))
    for core in (True, False):
        for item in decoded(discovery.aggregated(core=core))["items"]:
            for served in item["versions"]:
                assert served["freshness"] == "Current"
                for one in served["resources"]:
                    where = (item["metadata"].get("name", ""), served["version"])
                    aggregated.add((*where, one["resource"], one["responseKind"]["kind"], tuple(one["verbs"])))
                    for sub in one.get("subresources", []):
                        name = f"{one['resource']}/{sub['subresource']}"
                        aggregated.add((*where, name, sub["responseKind"]["kind"], tuple(sub["verbs"])))
    assert aggregated == legacy


def test_etag_is_the_documents_and_changes_with_the_set():
    """Twice the same set is the same ETag; one kind more is another for its half only."""
    once = Discovery(builtin.resource_types())
    again = Discovery(builtin.resource_types())
    more = Discovery([*builtin.resource_types(), OTHERS])
    assert once.aggregated(core=False) == again.aggregated(core=False)
    assert once.aggregated(core=False).etag != more.aggregated(core=False).etag
    assert once.aggregated(core=True).etag == more.aggregated(core=True).etag
    document = once.aggregated(core=True)
    assert document.matches(f'"x", W/{document.etag}')
    assert not document.matches('"x"')
