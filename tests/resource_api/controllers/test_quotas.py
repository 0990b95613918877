"""Quotas and limit ranges through a whole server: what is charged, refused and given back."""

from __future__ import annotations

import pytest

from resource_api.client import Kind
from resource_api.errors import Object
from tests.resource_api.plane import DEFINITIONS, Served, served

pytestmark = pytest.mark.asyncio

PODS = Kind("", "v1", "pods")
QUOTAS = Kind("", "v1", "resourcequotas")
LIMIT_RANGES = Kind("", "v1", "limitranges")
SERVICE_ACCOUNTS = Kind("", "v1", "serviceaccounts")
WIDGETS = Kind("example.com", "v1", "widgets")

DEFINITION: Object = {
    "apiVersion": "apiextensions.k8s.io/v1",
    "kind": "CustomResourceDefinition",
    "metadata": {"name": "widgets.example.com"},
    "spec": {
        "group": "example.com",
        "names": {"plural": "widgets", "kind": "Widget"},
        "scope": "Namespaced",
        "versions": [{"name": "v1", "served": True, "storage": True, "schema": {"openAPIV3Schema": {"type": "object"}}}],
    },
}


def quota(name: str, hard: Object, **spec: object) -> Object:
    """A ResourceQuota."""
    return {"apiVersion": "v1", "kind": "ResourceQuota", "metadata": {"name": name}, "spec": {"hard": hard, **spec}}


def pod(name: str, **resources: Object) -> Object:
    """Of one container."""
    container = {"name": "c", "image": "i", "resources": resources}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name}, "spec": {"containers": [container]}}


def widget(name: str) -> Object:
    """Of the custom kind."""
    return {"apiVersion": "example.com/v1", "kind": "Widget", "metadata": {"name": name}}


async def used(server: Served, name: str, wanted: Object) -> None:
    """Waits until the quota says so."""
    await server.until(QUOTAS, name, "default", lambda found: found.get("status", {}).get("used") == wanted)


async def test_custom_kinds_are_counted_refused_and_given_back():
    """`count/PLURAL.GROUP` holds for kinds that a definition made, whether the quota or the objects came first."""
    async with served() as server:
        await server.client.create(DEFINITIONS, DEFINITION)
        await server.until(DEFINITIONS, "widgets.example.com", "", lambda found: "Established" in str(found.get("status")))
        await server.client.create(WIDGETS, widget("a"), "default")
        await server.client.create(QUOTAS, quota("q", {"count/widgets.example.com": "2"}), "default")
        await used(server, "q", {"count/widgets.example.com": "1"})
        await server.client.create(WIDGETS, widget("b"), "default")
        refused = await server.refusal(server.client.create(WIDGETS, widget("c"), "default"))
        assert (refused.code, refused.message) == (
            403,
            'widgets.example.com "c" is forbidden: exceeded quota: q, requested: count/widgets.example.com=1, '
            "used: count/widgets.example.com=2, limited: count/widgets.example.com=2",
        )
        await server.client.delete(WIDGETS, "a", "default")
        await used(server, "q", {"count/widgets.example.com": "1"})
        await server.client.create(WIDGETS, widget("c"), "default")


async def test_scoped_quota_counts_its_pods_only():
    """A quota of BestEffort pods does not see the others; one without scopes sees all."""
    async with served() as server:
        await server.until(SERVICE_ACCOUNTS, "default", "default", lambda found: True)
        await server.client.create(QUOTAS, quota("best", {"pods": "1"}, scopes=["BestEffort"]), "default")
        await server.client.create(QUOTAS, quota("all", {"count/pods": "5"}), "default")
        await server.client.create(PODS, pod("a"), "default")
        await server.client.create(PODS, pod("b", requests={"cpu": "1"}), "default")
        await used(server, "best", {"pods": "1"})
        await used(server, "all", {"count/pods": "2"})
        refused = await server.refusal(server.client.create(PODS, pod("c"), "default"))
        assert (refused.code, "exceeded quota: best, requested: pods=1" in refused.message) == (403, True)
        await used(server, "all", {"count/pods": "2"})


async def test_limit_range_fills_in_and_bounds():
    """A container without resources gets the defaults, which the quota then charges; one that asks for too much is refused."""
    limit = {"type": "Container", "default": {"cpu": "500m"}, "defaultRequest": {"cpu": "100m"}, "max": {"cpu": "1"}}
    async with served() as server:
        await server.until(SERVICE_ACCOUNTS, "default", "default", lambda found: True)
        obj = {"apiVersion": "v1", "kind": "LimitRange", "metadata": {"name": "l"}, "spec": {"limits": [limit]}}
        await server.client.create(LIMIT_RANGES, obj, "default")
        await server.client.create(QUOTAS, quota("q", {"requests.cpu": "1"}), "default")
        made = await server.client.create(PODS, pod("a"), "default")
        assert made["spec"]["containers"][0]["resources"] == {"limits": {"cpu": "500m"}, "requests": {"cpu": "100m"}}
        assert made["metadata"]["annotations"]["kubernetes.io/limit-ranger"] == (
            "LimitRanger plugin set: cpu limit for container c; cpu request for container c"
        )
        await used(server, "q", {"requests.cpu": "100m"})
        refused = await server.refusal(server.client.create(PODS, pod("b", limits={"cpu": "2"}), "default"))
        assert refused.message == 'pods "b" is forbidden: maximum cpu usage per Container is 1, but limit is 2'
