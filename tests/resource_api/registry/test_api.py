"""All resources by name and kind: what is preferred, what is stored once, who hears of changes."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from resource_api.registry.api import controller_of
from resource_api.registry.requests import LOOPBACK, loopback
from resource_api.schema.kinds import GroupVersionKind
from tests.resource_api.world import World, config_map, run


def test_first_version_of_a_group_is_preferred():
    """Both versions of the autoscaler are there; without a version it is the later one."""

    async def scenario(world: World) -> None:
        api = world.api
        preferred = api.find("autoscaling", "horizontalpodautoscalers")
        assert preferred.type.version == "v2"
        assert api.resource("autoscaling", "v1", "horizontalpodautoscalers") is not preferred
        assert api.by_kind(GroupVersionKind("autoscaling", "v1", "HorizontalPodAutoscaler")) is not preferred
        assert api.get("autoscaling", "v3", "horizontalpodautoscalers") is None
        assert api.by_kind(GroupVersionKind("x", "v1", "Y")) is None
        for look in (lambda: api.find("x", "y"), lambda: api.resource("", "v1", "y")):
            with pytest.raises(KeyError):
                look()

    run(scenario)


def test_storage_is_looked_at_through_one_resource():
    """Two versions or two groups of one storage are one; what is never stored is none."""

    async def scenario(world: World) -> None:
        paths = [one.type.storage_path for one in world.api.stored()]
        assert len(paths) == len(set(paths))
        assert {"events", "horizontalpodautoscalers", "services/specs", "pods"} <= set(paths)
        assert "" not in paths

    run(scenario)


def test_changes_of_the_set_are_told_after_they_are_made():
    """Whoever derives something makes it anew; names are replaced, and go."""

    async def scenario(world: World) -> None:
        api, told = world.api, []
        pods = api.find("", "pods")
        api.on_change(lambda: told.append(api.get("", "v1", "pods")))
        api.remove(("", "v1", "pods"), ("", "v1", "never"))
        assert api.by_kind(pods.type.gvk) is None
        with pytest.raises(KeyError):
            api.find("", "pods")
        assert list(api.items_nowait("", "pods")) == []
        assert api.get_nowait("", "pods", "default", "x") is None
        api.add(pods)
        assert told == [None, pods]
        assert api.resources()[-1] is pods

    run(scenario)


def test_caches_are_looked_into_without_waiting():
    """Nothing before they run, then what they know."""

    async def scenario(world: World) -> None:
        await world.create(config_map())
        assert list(world.api.items_nowait("", "configmaps")) == []
        await world.of("configmaps").list_objects()
        (item,) = world.api.items_nowait("", "configmaps", "default")
        assert item.object()["metadata"]["name"] == "a"
        found = world.api.get_nowait("", "configmaps", "default", "a")
        assert found is not None
        assert found.object() is item.object()
        assert world.api.get_nowait("", "configmaps", "default", "b") is None

    run(scenario)


def test_servers_own_requests_are_the_servers():
    """Loopback user, and nobody to warn."""
    ctx = loopback("n", "me")
    assert (ctx.user, ctx.namespace, ctx.field_manager, ctx.field_validation) == (LOOPBACK, "n", "me", "Ignore")
    assert replace(ctx, namespace="").namespace == ""


def test_controller_is_the_owner_that_says_so():
    """One at most; a copy."""
    owners = [{"uid": "a"}, {"uid": "b", "controller": True}]
    assert controller_of(config_map(ownerReferences=owners)) == owners[1]
    assert controller_of(config_map(ownerReferences=owners[:1])) is None
    assert controller_of(config_map()) is None


def test_resource_of_several_versions_is_preferred_once():
    """Both groups of Events are resources of their own."""

    async def scenario(world: World) -> None:
        found = [(one.type.group, one.type.plural) for one in world.api.preferred()]
        assert len(found) == len(set(found))
        assert {("", "events"), ("events.k8s.io", "events"), ("autoscaling", "horizontalpodautoscalers")} <= set(found)

    run(scenario)


def test_object_is_waited_for_until_it_comes_or_the_patience_ends():
    """Others that come meanwhile are not it; nothing is left behind of those who waited."""

    async def scenario(world: World) -> None:
        api, clock = world.api, world.clock
        cache = world.of("configmaps").reader.cache
        await cache.ready()

        async def after(delay_s: float, name: str, namespace: str = "default") -> None:
            await asyncio.sleep(delay_s)
            await world.create(config_map(name, namespace))

        async with asyncio.TaskGroup() as group:
            for delay_s, name, namespace in ((0.2, "aa", "default"), (0.4, "a", "other"), (0.6, "a", "default")):
                group.create_task(after(delay_s, name, namespace))
            began_s = clock.monotonic_s()
            item = await api.wait_for("", "configmaps", "default", "a", 1.8)
            assert item is not None and item.object()["metadata"]["name"] == "a"
            assert clock.monotonic_s() - began_s == pytest.approx(0.6, abs=0.01)
        assert await api.wait_for("", "configmaps", "default", "a", 1.8) is item
        began_s = clock.monotonic_s()
        assert await api.wait_for("", "configmaps", "default", "never", 1.8) is None
        assert clock.monotonic_s() - began_s == pytest.approx(1.8)
        assert "0 watchers" in cache.describe()
        assert await api.wait_for("x", "y", "default", "a", 1.8) is None

    run(scenario)
