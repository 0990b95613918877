"""What every cluster has is made again when somebody deletes it; two servers do not fight about it."""

from __future__ import annotations

import asyncio

import pytest

from resource_api.client import Kind
from resource_api.controllers import bootstrap
from resource_api.controllers.bootstrap import NAMESPACES, Advertised
from resource_api.controllers.cluster_objects import ClusterObjects
from resource_api.controllers.runner import Controllers
from tests.resource_api.plane import SERVICES, served
from tests.resource_api.world import World, run

HERE, THERE = Advertised("192.0.2.1", 6443, ("10.0.0.0/24",)), Advertised("192.0.2.2", 6443, ("10.0.0.0/24",))
PLURALS = (("", "endpoints"), ("discovery.k8s.io", "endpointslices"))


async def begin(world: World, *servers: Advertised) -> asyncio.Task[None]:
    """The start of each, and what it keeps up from then on."""
    await bootstrap.namespaces(world.api)
    for one in servers:
        await bootstrap.service(world.api, one)
    kept = [ClusterObjects(world.api, world.index, lambda one=one: one) for one in servers]
    task = world._group.create_task(Controllers(world.index, [world.namespaces, *kept]).run())
    await world.settle()
    return task


def test_everything_deleted_is_made_again():
    """The same as before, under another uid; and then nothing more is written."""

    async def scenario(world: World) -> None:
        task = await begin(world, HERE)
        before = world.store.now
        for wanted in bootstrap.objects(HERE):
            found = await world.of(wanted.plural, wanted.group).get_object(wanted.namespace, "kubernetes")
            await world.delete(found)
            await world.settle(1)
            again = await world.of(wanted.plural, wanted.group).get_object(wanted.namespace, "kubernetes")
            assert again["metadata"].pop("uid") != found["metadata"].pop("uid")
            for one in (found, again):
                for field in ("resourceVersion", "creationTimestamp", "managedFields"):
                    one["metadata"].pop(field, None)
            assert again == found
        # Each was one deletion and one creation, and nothing else.
        assert world.store.now == before + 2 * len(bootstrap.objects(HERE))
        task.cancel()

    run(scenario)


def test_system_namespaces_are_made_again():
    """Also `default`, with the Service in it, as soon as the namespace is back."""

    async def scenario(world: World) -> None:
        task = await begin(world, HERE)
        for name in NAMESPACES:
            await world.delete(await world.of("namespaces").get_object("", name))
        await world.settle()
        assert {one["metadata"]["name"] for one in await world.of("namespaces").list_objects()} == set(NAMESPACES)
        service = await world.of("services").get_object("default", "kubernetes")
        assert service["spec"]["clusterIP"] == "10.0.0.1"
        for group, plural in PLURALS:
            assert await world.of(plural, group).get_object("default", "kubernetes")
        task.cancel()

    run(scenario)


def test_two_servers_with_their_own_addresses_do_not_fight():
    """One of them makes what was deleted, the other leaves it."""

    async def scenario(world: World) -> None:
        task = await begin(world, HERE, THERE)
        before = world.store.now
        for group, plural in PLURALS:
            await world.delete(await world.of(plural, group).get_object("default", "kubernetes"))
        await world.settle(600)
        endpoints = await world.of("endpoints").get_object("default", "kubernetes")
        assert endpoints["subsets"][0]["addresses"] in ([{"ip": "192.0.2.1"}], [{"ip": "192.0.2.2"}])
        assert world.store.now == before + 4
        task.cancel()

    run(scenario)


@pytest.mark.asyncio
async def test_served_service_comes_back_with_its_address():
    """Over HTTP, with every plugin: a new Service has the address the old one gave back, and so has the ServiceCIDR."""
    async with served("--advertise-address=192.0.2.1") as server:
        old = await server.client.get(SERVICES, "kubernetes", "default")
        await server.client.delete(SERVICES, "kubernetes", "default")
        new = await server.until(SERVICES, "kubernetes", "default", lambda one: one["metadata"]["uid"] != old["metadata"]["uid"])
        assert new["spec"] == old["spec"]
        cidrs = Kind("networking.k8s.io", "v1", "servicecidrs")
        old = await server.client.get(cidrs, "kubernetes")
        await server.client.delete(cidrs, "kubernetes")
        await server.until(cidrs, "kubernetes", "", lambda one: one["metadata"]["uid"] != old["metadata"]["uid"])
