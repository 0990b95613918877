"""Resources made of models: what is stored alike is one storage, events end by themselves, versions are told apart."""

from __future__ import annotations

import asyncio

from resource_api.errors import Object
from resource_api.registry.requests import ListOptions
from tests.resource_api.world import World, config_map, run


def event(name: str) -> Object:
    """A core Event."""
    about = {"kind": "Pod", "name": "p", "namespace": "default"}
    return {
        "apiVersion": "v1",
        "kind": "Event",
        "metadata": {"name": name, "namespace": "default"},
        "involvedObject": about,
        "reason": "Seen",
        "type": "Normal",
    }


def scaler() -> Object:
    """A version 1 autoscaler."""
    spec = {
        "scaleTargetRef": {"kind": "Deployment", "name": "d", "apiVersion": "apps/v1"},
        "maxReplicas": 3,
        "targetCPUUtilizationPercentage": 50,
    }
    return {
        "apiVersion": "autoscaling/v1",
        "kind": "HorizontalPodAutoscaler",
        "metadata": {"name": "h", "namespace": "default"},
        "spec": spec,
    }


def test_both_groups_of_events_are_one_storage_and_one_cache():
    """What is written through one is read through the other, in its shape."""

    async def scenario(world: World) -> None:
        await world.create(event("e"))
        core, new = world.of("events"), world.of("events", "events.k8s.io")
        assert core.reader.cache is new.reader.cache
        found = await new.get_object("default", "e")
        assert (found["apiVersion"], found["regarding"]["name"], found["reason"]) == ("events.k8s.io/v1", "p", "Seen")
        assert (await core.get_object("default", "e"))["involvedObject"]["name"] == "p"
        assert [item.object()["apiVersion"] for item in (await new.reader.list("", ListOptions())).items] == ["events.k8s.io/v1"]

    run(scenario)


def test_version_is_a_view_of_what_is_stored():
    """A version 1 autoscaler is stored as version 2; a write through either keeps what the other shows."""

    async def scenario(world: World) -> None:
        made = await world.create(scaler())
        assert made["spec"]["targetCPUUtilizationPercentage"] == 50
        stored = (await world.store.get("horizontalpodautoscalers/default/h")).value
        assert b'"apiVersion":"autoscaling/v2"' in stored
        assert b'"metrics"' in stored
        newer = await world.of("horizontalpodautoscalers", "autoscaling").get_object("default", "h")
        newer["spec"]["maxReplicas"] = 9
        changed = await world.update(newer)
        assert changed["apiVersion"] == "autoscaling/v2"
        older = await world.api.resource("autoscaling", "v1", "horizontalpodautoscalers").get_object("default", "h")
        assert older["spec"] == {**made["spec"], "maxReplicas": 9}
        before = world.store.now
        again = await world.update(older)
        assert world.store.now == before
        assert again["metadata"]["resourceVersion"] == changed["metadata"]["resourceVersion"]

    run(scenario)


def test_events_end_by_themselves_and_nothing_else_does():
    """With the time the server was given; an update begins it anew."""

    async def scenario(world: World) -> None:
        await world.create(event("e"))
        await world.create(config_map())
        await world.update({**event("e"), "count": 2})
        assert world.store._ttls == {3600: ["events/default/e", "events/default/e"]}  # type: ignore[attr-defined]
        world.store.expire()  # type: ignore[attr-defined]
        await asyncio.sleep(1)
        assert await world.find(event("e")) is None
        assert await world.find(config_map()) is not None

    run(scenario)


def test_caches_begin_with_their_first_reader():
    """Writing reads the store alone; what nobody reads costs nothing."""

    async def scenario(world: World) -> None:
        await world.create(config_map())
        assert world.catalog.caches.describe() == ""
        await world.of("configmaps").list_objects()
        assert world.catalog.caches.describe().startswith("configmaps/: 1 objects")

    run(scenario)


def test_forgotten_kind_ends_its_watches():
    """Cleanly: the client finds out that the kind is gone when it comes back."""

    async def scenario(world: World) -> None:
        made = await world.create(config_map())
        reader = world.of("configmaps").reader
        async with await reader.watch("", ListOptions(resource_version=made["metadata"]["resourceVersion"])) as watching:
            task = asyncio.get_running_loop().create_task(anext(watching, None))  # type: ignore[arg-type]
            await asyncio.sleep(1)
            world.catalog.caches.forget("configmaps")
            assert await asyncio.wait_for(task, 1) is None

    run(scenario)
