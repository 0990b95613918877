"""The garbage collector: what belongs to something that is gone goes too, and nothing else does (spec B.5)."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from resource_api.errors import Object, StatusError
from tests.resource_api.world import World, config_map, owner, run
from tests.support.memory_store import MemoryStore

HOLD = "example.com/hold"


def secret(name: str, **metadata: Any) -> Object:
    """A Secret."""
    return {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name, "namespace": "default", **metadata}}


async def owned(world: World, name: str, *owners: Object, block: bool = False, **metadata: Any) -> Object:
    """A new ConfigMap that belongs to these."""
    references = [owner(one, **({"blockOwnerDeletion": True} if block else {})) for one in owners]
    return await world.create(config_map(name, ownerReferences=references, **metadata))


async def names(world: World) -> list[str]:
    """Of the ConfigMaps that are there."""
    return [one["metadata"]["name"] for one in await world.of("configmaps").list_objects()]


async def remove(world: World, obj: Object) -> None:
    """Unless the collector was faster."""
    try:
        await world.delete(obj)
    except StatusError as error:
        assert error.code == 404


# Background.


def test_dependents_go_after_their_owner():
    """A whole chain, link by link; others stay."""

    async def scenario(world: World) -> None:
        world.start_controllers()
        top = await world.create(config_map())
        middle = await owned(world, "b", top)
        await owned(world, "c", middle)
        await world.create(config_map("d"))
        await world.settle()
        assert await names(world) == ["a", "b", "c", "d"]
        await world.delete(top)
        await world.settle()
        assert await names(world) == ["d"]
        assert world.collector.deleted_total == 2

    run(scenario)


def test_object_stays_while_one_owner_does():
    """It only no longer names the one that is gone."""

    async def scenario(world: World) -> None:
        world.start_controllers()
        first, second = await world.create(config_map()), await world.create(config_map("b"))
        both = await owned(world, "c", first, second)
        await world.delete(first)
        await world.settle()
        left = await world.find(both)
        assert left is not None
        assert left["metadata"]["ownerReferences"] == [owner(second)]
        await world.delete(second)
        await world.settle()
        assert await names(world) == []

    run(scenario)


def test_object_of_an_owner_that_never_was_goes():
    """Another uid of the same name is another object."""

    async def scenario(world: World) -> None:
        world.start_controllers()
        there = await world.create(config_map())
        await world.create(config_map("b", ownerReferences=[{**owner(there), "uid": "other"}]))
        await world.create(config_map("c", ownerReferences=[{**owner(there), "name": "none"}]))
        await world.create(config_map("d", ownerReferences=[{**owner(there), "kind": "Secret"}]))
        await world.settle()
        assert await names(world) == ["a"]

    run(scenario)


def test_owner_in_another_namespace_is_none():
    """Upstream treats it as missing, and an Event on the object says so."""

    async def scenario(world: World) -> None:
        world.start_controllers()
        far = await world.create(config_map("far", "other"))
        lost = await owned(world, "a", far)
        await world.settle()
        assert await names(world) == ["far"]
        (event,) = await world.of("events").list_objects()
        uid = far["metadata"]["uid"]
        assert (event["metadata"]["namespace"], event["type"], event["reason"]) == ("default", "Warning", "OwnerRefInvalidNamespace")
        assert event["involvedObject"] == {**owner(lost), "namespace": "default"}
        assert event["source"] == {"component": "garbage-collector-controller"}
        assert event["message"] == (
            f'ownerRef [v1/ConfigMap, namespace: default, name: far, uid: {uid}] does not exist in namespace "default"'
        )

    run(scenario)


def test_owner_that_is_gone_is_not_told_of():
    """The Event is about references that could never have held, not about those that ended."""

    async def scenario(world: World) -> None:
        world.start_controllers()
        near = await world.create(config_map())
        await owned(world, "b", near)
        await world.create(config_map("c", ownerReferences=[{**owner(near), "uid": "other"}]))
        await world.delete(near)
        await world.settle()
        assert await names(world) == []
        assert await world.of("events").list_objects() == []

    run(scenario)


def test_namespaced_object_may_belong_to_one_in_no_namespace():
    """And goes with it."""

    async def scenario(world: World) -> None:
        world.start_controllers()
        node = await world.create({"apiVersion": "v1", "kind": "Node", "metadata": {"name": "n"}})
        await owned(world, "a", node)
        await world.settle()
        assert await names(world) == ["a"]
        await world.delete(node)
        await world.settle()
        assert await names(world) == []

    run(scenario)


def test_object_in_no_namespace_is_never_collected_for_an_owner_in_one():
    """Such a reference cannot be resolved: which namespace is meant, nobody said."""

    async def scenario(world: World) -> None:
        world.start_controllers()
        near = await world.create(config_map())
        node = await world.create({"apiVersion": "v1", "kind": "Node", "metadata": {"name": "n", "ownerReferences": [owner(near)]}})
        await world.settle()
        await world.change(node, lambda live: live["metadata"].update(labels={"a": "b"}))
        await world.settle()
        (event,) = await world.of("events").list_objects()
        assert (event["metadata"]["namespace"], event["involvedObject"]) == ("default", owner(node))
        assert event["message"].endswith('does not exist in namespace ""')
        await world.delete(near)
        await world.settle()
        assert await world.find(node) is not None

    run(scenario)


@pytest.mark.parametrize("reference", [{"apiVersion": "example.com/v1", "kind": "Widget"}, {"apiVersion": "v9"}, {"kind": "Nothing"}])
def test_owner_of_an_unknown_kind_keeps_its_dependents(reference: Object):
    """Nothing can be said of it; not even with another owner that is gone."""

    async def scenario(world: World) -> None:
        world.start_controllers()
        gone = await world.create(config_map())
        unknown = {**owner(gone), "uid": "elsewhere", "name": "w", **reference}
        await world.create(config_map("b", ownerReferences=[unknown]))
        await world.create(config_map("c", ownerReferences=[unknown, owner(gone)]))
        await world.delete(gone)
        await world.settle()
        assert await names(world) == ["b", "c"]

    run(scenario)


def test_owner_that_cannot_be_read_keeps_its_dependents():
    """A damaged value is no object that is gone."""

    async def scenario(world: World) -> None:
        world.start_controllers()
        top = await world.create(config_map())
        await owned(world, "b", top)
        await world.settle()
        world.store.put("configmaps/default/a", b"damaged")
        await world.create(config_map("c", ownerReferences=[owner(top)]))
        await world.settle()
        assert {"configmaps/default/b", "configmaps/default/c"} <= world.index.by_key.keys()
        world.store.remove("configmaps/default/a")
        await world.settle()
        assert await names(world) == []

    run(scenario)


def test_dependents_go_when_an_owner_that_could_never_be_read_is_deleted():
    """It was damaged before the server started, so nothing was known of it but its place."""

    async def scenario(world: World) -> None:
        top = await world.create(config_map())
        await owned(world, "b", top)
        world.store.put("configmaps/default/a", b"damaged")
        world.start_controllers()
        await world.settle()
        assert "configmaps/default/b" in world.index.by_key
        await world.delete(top, ignore_store_read_error=True)
        await world.settle()
        assert await names(world) == []

    run(scenario)


def test_events_are_not_collected():
    """As upstream's collector ignores them."""

    async def scenario(world: World) -> None:
        world.start_controllers()
        event = {
            "apiVersion": "v1",
            "kind": "Event",
            "metadata": {
                "name": "e",
                "namespace": "default",
                "ownerReferences": [{"apiVersion": "v1", "kind": "Pod", "name": "p", "uid": "p"}],
            },
            "involvedObject": {"kind": "Pod", "name": "p", "namespace": "default"},
        }
        made = await world.create(event)
        await world.settle()
        assert await world.find(made) is not None

    run(scenario)


def test_dependent_with_finalizers_ends_when_they_are_done():
    """Deleted means marked; its own dependents wait with it."""

    async def scenario(world: World) -> None:
        world.start_controllers()
        top = await world.create(config_map())
        held = await owned(world, "b", top, finalizers=[HOLD])
        await owned(world, "c", held)
        await world.delete(top)
        await world.settle()
        assert await names(world) == ["b", "c"]
        await world.change(held, lambda obj: obj["metadata"].pop("finalizers"))
        await world.settle()
        assert await names(world) == []

    run(scenario)


def test_owner_given_in_time_saves_the_object():
    """What is decided about one version of an object does not happen to the next."""

    class Slow(MemoryStore):
        """The collector's read before a deletion comes after somebody else's change."""

        rescue: Object | None = None

        async def get(self, key: str, *, revision: int = 0):
            if self.rescue is not None and key == "configmaps/default/b" and not self.outage:
                value, self.rescue = self.rescue, None
                old = (await super().get(key)).value
                assert old != value["bytes"]
                self.put(key, value["bytes"])
            return await super().get(key, revision=revision)

    store = Slow()

    async def scenario(world: World) -> None:
        top, other = await world.create(config_map()), await world.create(config_map("other"))
        made = await owned(world, "b", top)
        value = (await store.get("configmaps/default/b")).value
        rescued = value.replace(top["metadata"]["uid"].encode(), other["metadata"]["uid"].encode()).replace(
            b'"name":"a"', b'"name":"other"'
        )
        await world.delete(top)
        store.rescue = {"bytes": rescued}
        world.start_controllers()
        await world.settle()
        assert store.rescue is None
        assert await world.find(made) is not None

    run(scenario, store=store)


# Foreground.


def test_owner_waits_for_dependents_that_block_it():
    """Those go first; the others after it."""

    async def scenario(world: World) -> None:
        world.start_controllers()
        top = await world.create(config_map())
        await owned(world, "b", top, block=True, finalizers=[HOLD])
        await owned(world, "c", top)
        _, answer = await world.delete(top, propagation="Foreground")
        assert answer["metadata"]["finalizers"] == ["foregroundDeletion"]
        await world.settle()
        assert "c" not in await names(world)
        assert "a" in await names(world)
        await world.change(config_map("b"), lambda obj: obj["metadata"].pop("finalizers"))
        await world.settle()
        assert await names(world) == []

    run(scenario)


def test_foreground_goes_down_the_chain_and_comes_back_up():
    """Each waits for those below."""

    async def scenario(world: World) -> None:
        world.start_controllers()
        top = await world.create(config_map())
        middle = await owned(world, "b", top, block=True)
        await owned(world, "c", middle, block=True, finalizers=[HOLD])
        await world.delete(top, propagation="Foreground")
        await world.settle()
        assert await names(world) == ["a", "b", "c"]
        found = await world.find(middle)
        assert found is not None
        assert found["metadata"]["finalizers"] == ["foregroundDeletion"]
        await world.change(config_map("c"), lambda obj: obj["metadata"].pop("finalizers"))
        await world.settle()
        assert await names(world) == []

    run(scenario)


def test_dependent_of_a_waiting_and_a_solid_owner_stays_with_the_solid_one():
    """It no longer keeps the other waiting."""

    async def scenario(world: World) -> None:
        world.start_controllers()
        first, second = await world.create(config_map()), await world.create(config_map("b"))
        both = await owned(world, "c", first, second, block=True)
        await world.delete(first, propagation="Foreground")
        await world.settle()
        assert await names(world) == ["b", "c"]
        left = await world.find(both)
        assert left is not None
        assert [one["name"] for one in left["metadata"]["ownerReferences"]] == ["b"]

    run(scenario)


@pytest.mark.parametrize("block", [True, False])
@pytest.mark.parametrize("propagation", ["Foreground", "Background"])
@pytest.mark.parametrize("length", [1, 2, 3])
def test_cycle_goes_when_one_of_it_does(propagation: str, length: int, block: bool):
    """Nobody waits for ever for himself."""

    async def scenario(world: World) -> None:
        world.start_controllers()
        made = [await world.create(config_map(f"c{number}")) for number in range(length)]
        for number, one in enumerate(made):
            reference = owner(made[number - 1], **({"blockOwnerDeletion": True} if block else {}))
            await world.change(one, lambda obj, reference=reference: obj["metadata"].update(ownerReferences=[reference]))  # type: ignore[misc]
        await world.settle()
        assert len(await names(world)) == length
        await world.delete(made[0], propagation=propagation)
        await world.settle(200)
        assert await names(world) == []

    run(scenario)


# Orphans.


def test_orphans_lose_their_owner_before_it_goes():
    """They stay, and belong to nobody."""

    async def scenario(world: World) -> None:
        world.start_controllers()
        top = await world.create(config_map())
        child = await owned(world, "b", top)
        await owned(world, "c", child)
        _, answer = await world.delete(top, propagation="Orphan")
        assert answer["metadata"]["finalizers"] == ["orphan"]
        await world.settle()
        assert await names(world) == ["b", "c"]
        left = await world.find(child)
        assert left is not None
        assert "ownerReferences" not in left["metadata"]

    run(scenario)


@pytest.mark.parametrize("propagation", ["Foreground", "Orphan"])
@pytest.mark.parametrize("plural", ["configmaps", "secrets"])
def test_owner_that_waits_goes_when_its_kind_is_served_again(propagation: str, plural: str):
    """Its own, or its dependents': until then nothing goes, and nobody is taken for orphaned who still names it."""

    async def scenario(world: World) -> None:
        top = await world.create(config_map())
        child = secret("b", ownerReferences=[owner(top, blockOwnerDeletion=True)])
        await world.create(child)
        await world.delete(top, propagation=propagation)
        resource = world.of(plural)
        world.api.remove(("", "v1", plural))
        world.start_controllers()
        await world.settle()
        assert "configmaps/default/a" in world.index.by_key
        world.api.add(resource)
        await world.settle()
        assert await world.find(top) is None
        left = await world.find(child)
        assert left is None if propagation == "Foreground" else left is not None and "ownerReferences" not in left["metadata"]

    run(scenario)


def test_collector_works_off_what_an_earlier_server_left():
    """Whatever was deleted while nobody collected."""

    async def before(world: World) -> None:
        top = await world.create(config_map())
        await owned(world, "b", top)
        waiting = await world.create(config_map("w"))
        await owned(world, "x", waiting, block=True)
        orphan = await world.create(config_map("o"))
        await owned(world, "y", orphan)
        await world.delete(top)
        await world.delete(waiting, propagation="Foreground")
        await world.delete(orphan, propagation="Orphan")

    async def after(world: World) -> None:
        world.start_controllers()
        await world.settle()
        assert await names(world) == ["y"]

    run(after, store=run(before))


# All graphs.


def survivors(edges: set[tuple[int, int]], deleted: set[int], count: int) -> set[int]:
    """Naively: whoever has owners and no living one goes, until nothing changes."""
    alive = set(range(count)) - deleted
    while True:
        doomed = {one for one in alive if any(a == one for a, _ in edges) and not any(a == one and b in alive for a, b in edges)}
        if not doomed:
            return alive
        alive -= doomed


@pytest.mark.slow
@given(st.data())
@settings(max_examples=40, deadline=None, derandomize=True)
def test_any_graph_is_collected_down_to_what_has_an_owner(data):
    """Chains, cycles and several owners, deleted in the background in any order, over a restart of the collector."""
    count = data.draw(st.integers(2, 6))
    pairs = st.tuples(st.integers(0, count - 1), st.integers(0, count - 1))
    edges = data.draw(st.sets(pairs, max_size=10))
    deleted = data.draw(st.lists(st.integers(0, count - 1), unique=True, max_size=3))
    split = data.draw(st.integers(0, len(deleted)))

    async def first(world: World) -> None:
        made = [await world.create(config_map(f"n{number}")) for number in range(count)]
        for number, one in enumerate(made):
            references = [owner(made[b]) for a, b in sorted(edges) if a == number]
            if references:
                await world.change(one, lambda obj, references=references: obj["metadata"].update(ownerReferences=references))  # type: ignore[misc]
        world.start_controllers()
        for number in deleted[:split]:
            await remove(world, made[number])

    async def second(world: World) -> None:
        world.start_controllers()
        for number in deleted[split:]:
            await remove(world, config_map(f"n{number}"))
        await world.settle(300)
        expected = survivors(edges, set(deleted), count)
        assert set(await names(world)) == {f"n{number}" for number in expected}

    run(second, store=run(first))
