"""Cluster IPs and node ports are never given out twice: whoever crashes, whoever is slow, whoever deletes twice."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from resource_api.controllers import bootstrap
from resource_api.controllers.bootstrap import Advertised
from resource_api.controllers.service_ports import PREFIX, ports_of
from resource_api.errors import Object, StatusError
from resource_api.registry.store import OutcomeUnknownError
from tests.resource_api.world import World, refusal, run
from tests.support.memory_store import MemoryStore


def service(name: str = "s", kind: str = "ClusterIP", node_port: int = 0, **spec: Any) -> Object:
    """One port, 80."""
    port = {"port": 80, "protocol": "TCP", "targetPort": 80, **({"nodePort": node_port} if node_port else {})}
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": name, "namespace": "default"},
        "spec": {"type": kind, "ports": [port], **spec},
    }


async def plugged(world: World) -> None:
    """The allocators work, and the index knows what there is."""
    world.plug(world.addresses)
    world.start_controllers()
    await world.index.ready.wait()


async def taken(world: World) -> tuple[list[str], list[int]]:
    """Addresses and ports that are somebody's."""
    addresses = [one["metadata"]["name"] for one in await world.of("ipaddresses", "networking.k8s.io").list_objects()]
    return addresses, [int(one.key.removeprefix(PREFIX)) for one in (await world.store.list(PREFIX)).items]


async def sound(world: World) -> None:
    """No two Services have the same; every Service has what it shows for itself."""
    services = await world.of("services").list_objects()
    addresses = [address for one in services for address in one["spec"].get("clusterIPs", []) if address != "None"]
    ports = [port for one in services for port in ports_of(one["spec"])]
    assert len(addresses) == len(set(addresses))
    assert len(ports) == len(set(ports))
    found = await taken(world)
    assert set(addresses) <= set(found[0])
    assert set(ports) <= set(found[1])


def test_service_takes_and_gives_back():
    """An address above the static band and a port; both free again when it goes."""

    async def scenario(world: World) -> None:
        await plugged(world)
        made = await world.create(service(kind="NodePort"))
        address, (port,) = made["spec"]["clusterIP"], ports_of(made["spec"])
        assert made["spec"]["clusterIPs"] == [address]
        assert made["spec"]["ipFamilies"] == ["IPv4"]
        assert int(address.rpartition(".")[2]) >= 16
        assert port >= 30086
        assert await taken(world) == ([address], [port])
        found = await world.of("ipaddresses", "networking.k8s.io").get_object("", address)
        assert found["spec"]["parentRef"] == {"resource": "services", "namespace": "default", "name": "s"}
        await world.delete(made)
        assert await taken(world) == ([], [])

    run(scenario)


def test_what_is_asked_for_is_had_once():
    """422 in upstream's words for the second, and for what is outside."""

    async def scenario(world: World) -> None:
        await plugged(world)
        await world.create(service(kind="NodePort", node_port=30001, clusterIP="10.0.0.9"))
        for spec, text in (
            ({"clusterIP": "10.0.0.9"}, "failed to allocate IP 10.0.0.9: provided IP is already allocated"),
            ({"clusterIP": "10.1.0.9"}, "the provided network does not match the current range (10.0.0.0/24)"),
            ({"node_port": 30001}, "provided port is already allocated"),
            ({"node_port": 80}, "provided port is not in the valid range. The range of valid ports is 30000-32767"),
        ):
            for dry_run in (False, True):
                error = await refusal(world.create(service("t", "NodePort", **spec), dry_run=dry_run))
                assert error.code == 422
                assert text in error.message
        assert await taken(world) == (["10.0.0.9"], [30001])

    run(scenario)


def test_dry_run_and_refused_writes_take_nothing():
    """What was taken on the way is given back."""

    async def scenario(world: World) -> None:
        await plugged(world)
        dry = await world.create(service(kind="NodePort"), dry_run=True)
        assert dry["spec"]["clusterIP"]
        assert ports_of(dry["spec"])
        await refusal(world.create(service(kind="NodePort", sessionAffinity="Sometimes")))
        assert await taken(world) == ([], [])
        made = await world.create(service(kind="NodePort"))
        before = await taken(world)
        await refusal(world.create(service(kind="NodePort")))
        await world.change(made, lambda obj: obj["spec"].update(type="ExternalName", externalName="x.example.com"), dry_run=True)
        await world.delete(made, dry_run=True)
        assert await taken(world) == before

    run(scenario)


def test_range_is_walked_to_its_last_address():
    """Then there is none; what is given back can be had again."""

    async def scenario(world: World) -> None:
        await plugged(world)
        made = [await world.create(service(f"s{number}")) for number in range(6)]
        assert sorted(one["spec"]["clusterIP"] for one in made) == [f"10.0.0.{number}" for number in range(1, 7)]
        error = await refusal(world.create(service("t")))
        assert (error.code, error.message) == (500, "Internal error occurred: failed to allocate a serviceIP: range is full")
        await world.delete(made[3])
        await world.settle()
        assert (await world.create(service("t")))["spec"]["clusterIP"] == made[3]["spec"]["clusterIP"]

    run(scenario, networks=("10.0.0.0/29",))


def test_change_of_type_gives_back_what_it_no_longer_needs():
    """After the write, not before; what stays stays the same."""

    async def scenario(world: World) -> None:
        await plugged(world)
        made = await world.create(service(kind="NodePort"))
        (port,) = ports_of(made["spec"])
        plain = await world.update(service())
        assert plain["spec"]["clusterIP"] == made["spec"]["clusterIP"]
        assert await taken(world) == ([made["spec"]["clusterIP"]], [])
        again = await world.update(service(kind="NodePort", node_port=port))
        assert ports_of(again["spec"]) == {port}
        await world.update({**service(), "spec": {"type": "ExternalName", "externalName": "x.example.com"}})
        assert await taken(world) == ([], [])

    run(scenario)


def test_held_service_keeps_its_addresses_until_it_goes():
    """By the deletion it is only marked; the update that takes the last finalizer away frees them."""

    async def scenario(world: World) -> None:
        await plugged(world)
        made = await world.create({**service(kind="NodePort"), "metadata": {**service()["metadata"], "finalizers": ["example.com/hold"]}})
        before = await taken(world)
        await world.delete(made)
        assert await taken(world) == before
        await world.change(made, lambda obj: obj["metadata"].pop("finalizers"))
        assert await taken(world) == ([], [])

    run(scenario)


class Lossy(MemoryStore):
    """A creation or deletion of a Service is done, and its answer lost."""

    loses = ""

    async def create(self, key: str, value: bytes, *, ttl_s: int = 0) -> int:
        revision = await super().create(key, value, ttl_s=ttl_s)
        if self.loses == "create" and key.startswith("services/specs/"):
            raise OutcomeUnknownError("lost")
        return revision

    async def delete(self, key: str, *, expected_revision: int) -> int:
        revision = await super().delete(key, expected_revision=expected_revision)
        if self.loses == "delete" and key.startswith("services/specs/"):
            raise OutcomeUnknownError("lost")
        return revision


def test_lost_answer_leaves_a_written_service_its_addresses():
    """Nobody knows whether it was written; it was."""

    store = Lossy()

    async def scenario(world: World) -> None:
        await plugged(world)
        store.loses = "create"
        assert (await refusal(world.create(service(kind="NodePort")))).code == 504
        await sound(world)
        store.loses = "delete"
        await refusal(world.delete(service()))
        assert await taken(world) == ([], [])

    run(scenario, store=store)


class Handover(MemoryStore):
    """While one deletion of a Service waits for its answer, another finishes, and somebody takes what became free."""

    meanwhile: Any = None

    async def delete(self, key: str, *, expected_revision: int) -> int:
        if key.startswith("services/specs/default/s") and self.meanwhile is not None:
            work, self.meanwhile = self.meanwhile, None
            await work()
        return await super().delete(key, expected_revision=expected_revision)


@pytest.mark.parametrize("name", ["t", "s"])
def test_second_deletion_gives_back_nothing_of_others(name: str):
    """What became free meanwhile is another Service's, even one of the same name."""

    store = Handover()

    async def scenario(world: World) -> None:
        await plugged(world)
        made = await world.create(service(kind="NodePort", node_port=30001, clusterIP="10.0.0.9"))

        async def meanwhile() -> None:
            await world.delete(made)
            await world.create(service(name, "NodePort", 30001, clusterIP="10.0.0.9"))

        store.meanwhile = meanwhile
        try:
            await world.delete(made, precondition_uid=made["metadata"]["uid"])
        except StatusError as error:
            assert error.code in (404, 409)
        assert await taken(world) == (["10.0.0.9"], [30001])
        await sound(world)

    run(scenario, store=store)


def test_repair_finds_what_a_stopped_server_left():
    """Not before it is certain that nobody is still writing."""

    store = MemoryStore()

    async def crash(world: World) -> None:
        await plugged(world)
        await world.create(service("kept", "NodePort"))
        store.put("ranges/nodeports/30005", b'{"namespace":"default","name":"gone","uid":"gone","since_s":1800000000}')
        parent = {"group": "", "resource": "services", "namespace": "default", "name": "gone"}
        await world.create(
            {"apiVersion": "networking.k8s.io/v1", "kind": "IPAddress", "metadata": {"name": "10.0.0.77"}, "spec": {"parentRef": parent}}
        )
        kept = {**parent, "name": "kept"}
        await world.create(
            {"apiVersion": "networking.k8s.io/v1", "kind": "IPAddress", "metadata": {"name": "10.0.0.78"}, "spec": {"parentRef": kept}}
        )
        await world.addresses.repair()
        addresses, ports = await taken(world)
        assert {"10.0.0.77", "10.0.0.78"} <= set(addresses)
        assert 30005 in ports
        await asyncio.sleep(100)
        await world.addresses.repair()
        addresses, ports = await taken(world)
        assert len(addresses) == 1
        assert len(ports) == 1
        await sound(world)

    run(crash, store=store)


def test_repair_takes_what_services_of_another_server_have():
    """So that nobody else gets it."""

    async def other(world: World) -> None:
        made = await world.create(service(kind="NodePort", node_port=30001, clusterIP="10.0.0.9", clusterIPs=["10.0.0.9"]))
        assert made["spec"]["clusterIP"] == "10.0.0.9"

    async def ours(world: World) -> None:
        await plugged(world)
        await world.addresses.repair()
        assert await taken(world) == (["10.0.0.9"], [30001])
        await world.delete(service())
        assert await taken(world) == ([], [])

    run(ours, store=run(other))


def test_servers_own_service_is_made_after_a_stop_in_between():
    """Its address was taken, and it was not written: the next start does not fail on what the last one left."""

    async def scenario(world: World) -> None:
        parent = {"group": "", "resource": "services", "namespace": "default", "name": "kubernetes"}
        await world.create(
            {"apiVersion": "networking.k8s.io/v1", "kind": "IPAddress", "metadata": {"name": "10.0.0.1"}, "spec": {"parentRef": parent}}
        )
        await plugged(world)
        await bootstrap.namespaces(world.api)
        advertised = Advertised("192.0.2.1", 6443, ("10.0.0.0/24",))
        for _ in range(2):
            await bootstrap.service(world.api, advertised)
        made = await world.of("services").get_object("default", "kubernetes")
        assert made["spec"]["clusterIP"] == "10.0.0.1"
        slice_ = await world.of("endpointslices", "discovery.k8s.io").get_object("default", "kubernetes")
        assert slice_["endpoints"][0]["addresses"] == ["192.0.2.1"]
        before = world.store.now
        await bootstrap.service(world.api, advertised)
        assert world.store.now == before
        await sound(world)

    run(scenario)


class Turning(MemoryStore):
    """Every call takes a turn of the loop, so that requests mix."""

    async def get(self, key: str, *, revision: int = 0):
        await asyncio.sleep(0)
        return await super().get(key, revision=revision)

    async def create(self, key: str, value: bytes, *, ttl_s: int = 0) -> int:
        await asyncio.sleep(0)
        revision = await super().create(key, value, ttl_s=ttl_s)
        await asyncio.sleep(0)
        return revision

    async def delete(self, key: str, *, expected_revision: int) -> int:
        await asyncio.sleep(0)
        revision = await super().delete(key, expected_revision=expected_revision)
        await asyncio.sleep(0)
        return revision


@pytest.mark.slow
@given(st.data())
@settings(max_examples=40, deadline=None, derandomize=True)
def test_nothing_is_given_out_twice(data):
    """Two servers on one store, writes that are given up anywhere, repairs in between, in a range that is nearly full."""
    names = st.sampled_from(["a", "b", "c", "d"])
    kinds = st.sampled_from(["ClusterIP", "NodePort", "ExternalName"])
    steps = data.draw(
        st.lists(
            st.tuples(
                st.sampled_from(["create", "create", "update", "delete", "delete", "repair", "pause"]),
                names,
                kinds,
                st.sampled_from([0, 0, 30001, 30002]),
                st.integers(0, 12),
                st.booleans(),
            ),
            max_size=14,
        )
    )

    async def scenario(first: World) -> None:
        await plugged(first)
        second = World(first.store, first._group, first.clock, networks=("10.0.0.0/29",), ports=range(30000, 30005))
        await plugged(second)
        running: list[asyncio.Task[None]] = []
        for what, name, kind, port, turns, abandoned in steps:
            world = first if len(running) % 2 else second
            task = first._group.create_task(one(world, what, name, kind, port))
            running.append(task)
            for _ in range(turns):
                await asyncio.sleep(0)
            if abandoned:
                task.cancel()
            if what == "pause":
                await asyncio.sleep(100)
        await asyncio.sleep(10)
        await sound(first)
        await asyncio.sleep(1000)
        await first.addresses.repair()
        await sound(first)
        services = await first.of("services").list_objects()
        addresses, ports = await taken(first)
        assert len(addresses) == sum(len(one["spec"].get("clusterIPs", [])) for one in services)
        assert set(ports) == {port for one in services for port in ports_of(one["spec"])}
        second.stop()

    async def one(world: World, what: str, name: str, kind: str, port: int) -> None:
        spec = {"externalName": "x.example.com"} if kind == "ExternalName" else {}
        obj = service(name, kind, port if kind == "NodePort" else 0, **spec)
        try:
            if what == "create":
                await world.create(obj)
            elif what == "update":
                await world.update(obj)
            elif what == "delete":
                await world.delete(obj)
            elif what == "repair":
                await world.addresses.repair()
        except StatusError as error:
            assert error.code in (404, 409, 422, 500), error
            assert error.code != 500 or "range is full" in error.message, error

    run(scenario, store=Turning(), networks=("10.0.0.0/29",), ports=range(30000, 30005))
