"""Controllers as they run: from one index, each key by one worker; what follows a collection; what every cluster has at the start."""

from __future__ import annotations

import asyncio

import pytest

from resource_api.cache.item import Event, Item
from resource_api.cache.watch_cache import CacheSettings
from resource_api.controllers import bootstrap
from resource_api.controllers.bootstrap import NAMESPACES, Advertised
from resource_api.controllers.followers import follow
from resource_api.controllers.object_index import Entry
from resource_api.controllers.queue import WorkQueue
from resource_api.controllers.runner import WORKERS, Controllers
from tests.resource_api.world import World, config_map, run


class Counting:
    """Works on every object there is, slowly."""

    def __init__(self, world: World) -> None:
        self.queue = WorkQueue("counting")
        self.worked: list[str] = []
        self.running = self.most = 0
        self._world = world
        world.index.listen(self.on_change)

    def on_change(self, old: Entry | None, new: Entry | None) -> None:
        self.queue.add((new or old).key)  # type: ignore[union-attr]

    async def reconcile(self, key: str) -> None:
        assert self._world.index.ready.is_set()
        self.running += 1
        self.most = max(self.most, self.running)
        await asyncio.sleep(1)
        self.running -= 1
        self.worked.append(key)


def test_nothing_is_decided_before_everything_was_read():
    """Then as many workers as there are share the keys; idle when nothing is left."""

    async def scenario(world: World) -> None:
        for number in range(10):
            await world.create(config_map(f"c{number}"))
        counting = Counting(world)
        controllers = Controllers(world.index, [counting])
        assert not controllers.idle
        task = world._group.create_task(controllers.run())
        await asyncio.sleep(0.5)
        assert not controllers.idle
        await asyncio.sleep(10)
        assert controllers.idle
        assert sorted(counting.worked) == [f"configmaps/default/c{number}" for number in range(10)]
        assert counting.most == WORKERS
        assert controllers.describe().splitlines() == [
            "object index: 10 objects at revision 11",
            "counting: 0 waiting, 0 in work, 0 later, 0 failing",
        ]
        task.cancel()

    run(scenario)


def test_follower_has_what_the_collection_has():
    """All there is, then every change; all anew when the cache lost count."""

    async def scenario(world: World) -> None:
        seen: dict[str, str] = {}
        replaced = 0

        def replace(items: object) -> None:
            nonlocal replaced
            replaced += 1
            seen.clear()
            for item in items:  # type: ignore[attr-defined]
                assert isinstance(item, Item)
                seen[item.key] = str(item.revision)

        def change(event: Event) -> None:
            if event.type == "DELETED":
                del seen[event.item.key]
            else:
                seen[event.item.key] = str(event.item.revision)

        async def same() -> None:
            await asyncio.sleep(20)
            objects = await world.of("configmaps").list_objects()
            assert seen == {f"configmaps/default/{one['metadata']['name']}": one["metadata"]["resourceVersion"] for one in objects}

        first = await world.create(config_map())
        ready = asyncio.Event()
        task = world._group.create_task(follow(world.of("configmaps").reader.cache, replace, change, ready))
        await ready.wait()
        await same()
        await world.create(config_map("b"))
        await world.update({**first, "data": {"a": "b"}})
        await world.delete(config_map("b"))
        await same()
        assert replaced == 1
        # More at once than its buffer holds: it begins anew, and so it does when the store forgot what came between.
        for number in range(9):
            world.store.put(
                f"configmaps/default/c{number}", (await world.store.get("configmaps/default/a")).value.replace(b'"a"', b'"c%d"' % number, 1)
            )
        await same()
        assert replaced > 1
        world.store.fail()
        await asyncio.sleep(1)
        world.store.outage = False
        await world.create(config_map("d"))
        world.store.forget(world.store.now)
        await same()
        task.cancel()

    run(scenario, cache=CacheSettings(subscriber_events_max=3, window_events_min=2, window_fresh_s=-1))


def test_follower_is_told_that_what_cannot_be_read_is_gone():
    """And that it is there again when it was mended; its deletion says nothing more."""

    async def scenario(world: World) -> None:
        told: list[tuple[str, str]] = []
        made = await world.create(config_map())
        world.store.put("configmaps/default/bad", b"?")
        value, ready = (await world.store.get("configmaps/default/a")).value, asyncio.Event()

        def replace(items: object) -> None:
            told.extend(("ALL", item.key) for item in items)  # type: ignore[attr-defined]

        def change(event: Event) -> None:
            told.append((event.type, event.item.object()["metadata"]["name"]))

        task = world._group.create_task(follow(world.of("configmaps").reader.cache, replace, change, ready))
        await ready.wait()
        assert told == [("ALL", "configmaps/default/a")]
        for step in (b"?", b"??", value, b"?"):
            world.store.put("configmaps/default/a", step)
        world.store.remove("configmaps/default/a", "configmaps/default/bad")
        await world.settle()
        assert told[1:] == [("DELETED", "a"), ("MODIFIED", "a"), ("DELETED", "a")], made
        task.cancel()

    run(scenario)


def test_start_makes_what_every_cluster_has_once():
    """Namespaces, the network, the Service of the server with its endpoints; the next start writes nothing, but another address."""

    async def scenario(world: World) -> None:
        here = Advertised("192.0.2.1", 6443, ("10.0.0.0/24",))
        for _ in range(2):
            before = world.store.now
            await bootstrap.namespaces(world.api)
            await bootstrap.service(world.api, here)
        assert world.store.now == before
        assert {one["metadata"]["name"] for one in await world.of("namespaces").list_objects()} == set(NAMESPACES)
        service = await world.of("services").get_object("default", "kubernetes")
        assert service["spec"]["clusterIP"] == here.service_ip == "10.0.0.1"
        assert [(one["port"], one["targetPort"]) for one in service["spec"]["ports"]] == [(443, 6443)]
        cidr = await world.of("servicecidrs", "networking.k8s.io").get_object("", "kubernetes")
        assert cidr["spec"]["cidrs"] == ["10.0.0.0/24"]
        await bootstrap.service(world.api, Advertised("192.0.2.2", 6444, here.networks))
        endpoints = await world.of("endpoints").get_object("default", "kubernetes")
        (subset,) = endpoints["subsets"]
        assert (subset["addresses"], subset["ports"][0]["port"]) == ([{"ip": "192.0.2.2"}], 6444)
        piece = await world.of("endpointslices", "discovery.k8s.io").get_object("default", "kubernetes")
        assert (piece["endpoints"][0]["addresses"], piece["addressType"]) == (["192.0.2.2"], "IPv4")

    run(scenario)


def test_server_on_loopback_has_no_endpoints():
    """There is no address anybody else could reach; the Service stands all the same."""

    async def scenario(world: World) -> None:
        await bootstrap.namespaces(world.api)
        await bootstrap.service(world.api, Advertised("127.0.0.1", 6443, ("10.0.0.0/24",)))
        assert await world.of("services").list_objects()
        assert await world.of("endpoints").list_objects() == []

    run(scenario)


def test_fault_in_what_is_known_of_all_objects_ends_the_controllers():
    """A reconcile may fail; an index that missed a change would have every controller decide by what is not so."""

    async def scenario(world: World) -> None:
        def missed(old: Entry | None, new: Entry | None) -> None:
            raise RuntimeError("missed")

        controllers = Controllers(world.index, [Counting(world)])
        world.index.listen(missed)
        await world.create(config_map())
        with pytest.raises(ExceptionGroup) as raised:
            await controllers.run()
        assert raised.group_contains(RuntimeError, match="missed")

    run(scenario)
