"""The index of all objects: complete, in the store's order, over outages, compactions and values nobody can read."""

from __future__ import annotations

import asyncio

from hypothesis import given, settings
from hypothesis import strategies as st

from resource_api.controllers.object_index import Entry, Metadata, ObjectIndex
from resource_api.registry.objects import encode_stored
from tests.resource_api.world import World, config_map, owner, run
from tests.support.memory_store import MemoryStore


def stored(name: str, namespace: str = "default", *owners: str, uid: str = "") -> bytes:
    """A ConfigMap's bytes, owned by the ConfigMaps of these uids."""
    references = [{"apiVersion": "v1", "kind": "ConfigMap", "name": one, "uid": one} for one in owners]
    return encode_stored(config_map(name, namespace, uid=uid or f"{namespace}-{name}", ownerReferences=references))


def consistent(index: ObjectIndex) -> None:
    """Every view shows the same objects."""
    entries = index.by_key.values()
    assert index.by_uid == {entry.metadata.uid: entry for entry in entries if entry.metadata.uid}
    dependents: dict[str, set[str]] = {}
    namespaces: dict[str, set[str]] = {}
    for entry in entries:
        for one in entry.metadata.owner_references:
            dependents.setdefault(one.uid, set()).add(entry.key)
        if entry.metadata.namespace:
            namespaces.setdefault(entry.metadata.namespace, set()).add(entry.key)
    assert {uid: set(found) for uid, found in index.dependents.items()} == dependents
    assert {name: set(found) for name, found in index.by_namespace.items()} == namespaces


class Follower:
    """What a listener is told, put together again."""

    def __init__(self, index: ObjectIndex) -> None:
        self.keys: dict[str, int] = {}
        self._index = index
        index.listen(self.on_change)

    def on_change(self, old: Entry | None, new: Entry | None) -> None:
        known = self.keys.get((new or old).key)  # type: ignore[union-attr]
        assert (old.revision if old else None) == known
        if new is None:
            assert old is not None
            del self.keys[old.key]
        else:
            assert known is None or new.revision > known
            self.keys[new.key] = new.revision
        # The change is in the index when it is told.
        assert {key: entry.revision for key, entry in self._index.by_key.items()} == self.keys


def test_index_knows_owners_namespaces_and_uids():
    """Of what was there and of what comes, changes and goes."""

    async def scenario(world: World) -> None:
        first = await world.create(config_map())
        follower = Follower(world.index)
        world.start_controllers()
        await world.index.ready.wait()
        second = await world.create(config_map("b", "other", ownerReferences=[owner(first)]))
        await world.settle()
        # Another namespace's owner is none: the collector takes the second away, and an Event says why.
        assert await world.find(second) is None
        third = await world.create(config_map("c", ownerReferences=[owner(first)]))
        await world.settle()
        entry = world.index.by_uid[third["metadata"]["uid"]]
        assert (entry.key, entry.metadata.namespace, str(entry.revision)) == (
            "configmaps/default/c",
            "default",
            third["metadata"]["resourceVersion"],
        )
        assert list(world.index.dependents[first["metadata"]["uid"]]) == ["configmaps/default/c"]
        assert world.index.resource_of(entry) is world.of("configmaps")
        event = f"events/other/b.{second['metadata']['uid']}"
        assert follower.keys.keys() == {"configmaps/default/a", "configmaps/default/c", event}
        consistent(world.index)

    run(scenario)


def test_kind_nobody_serves_has_no_resource():
    """Its objects are known all the same."""

    async def scenario(world: World) -> None:
        world.store.put("example.com/widgets/default/w", stored("w"))
        world.start_controllers()
        await world.settle()
        assert world.index.resource_of(world.index.by_key["example.com/widgets/default/w"]) is None
        world.store.put("services/specs/default/s", stored("s"))
        await world.settle()
        assert world.index.resource_of(world.index.by_key["services/specs/default/s"]) is world.of("services")

    run(scenario)


def test_resource_of_a_kind_that_is_served_since_is_found():
    """And of one that is served no more is not, however often others were asked for before."""

    async def scenario(world: World) -> None:
        entry = Entry(Metadata(name="a"), key="configmaps/default/a")
        config_maps = world.of("configmaps")
        for _ in range(2):
            assert world.index.resource_of(entry) is config_maps
            world.api.remove(("", "v1", "configmaps"))
            assert world.index.resource_of(entry) is None
            world.api.add(config_maps)
        assert world.index.resource_of(entry) is config_maps

    run(scenario)


def test_value_that_cannot_be_read_is_neither_gone_nor_changed():
    """What was known of it stands, and it is told nobody; only its deletion is."""

    async def scenario(world: World) -> None:
        world.store.put("configmaps/default/a", stored("a"))
        follower = Follower(world.index)
        world.start_controllers()
        await world.settle()
        world.store.put("configmaps/default/a", b"\x00damaged")
        world.store.put("configmaps/default/b", b"{}")
        world.store.put("compact_rev_key", b"17")
        await world.settle()
        assert set(follower.keys) == {"configmaps/default/a"}
        assert world.index.unreadable == {"configmaps/default/a", "configmaps/default/b", "compact_rev_key"}
        assert world.index.unreadable_in("default") == ["configmaps/default/b"]
        assert world.index.unreadable_in("def") == []
        world.store.put("configmaps/default/b", stored("b"))
        world.store.remove("configmaps/default/a")
        await world.settle()
        assert set(follower.keys) == {"configmaps/default/b"}
        assert world.index.unreadable == {"compact_rev_key"}
        consistent(world.index)

    run(scenario)


NAMES = st.sampled_from("abc")
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("put"), NAMES, st.sets(NAMES, max_size=2).map(sorted)),
        st.tuples(st.just("remove"), NAMES, st.none()),
        st.tuples(st.just("damage"), NAMES, st.none()),
        st.tuples(st.sampled_from(["compact", "outage", "pause", "pause"]), st.just(""), st.none()),
    ),
    max_size=20,
)


@given(STEPS)
@settings(max_examples=60, deadline=None, derandomize=True)
def test_index_ends_with_what_the_store_has(steps):
    """Whatever happened on the way, and its listeners with it."""
    store = MemoryStore()

    async def scenario(world: World) -> None:
        follower = Follower(world.index)
        task = world._group.create_task(world.index.run())
        present: dict[str, bool] = {}
        for what, name, owners in steps:
            key = f"configmaps/default/{name}"
            if what == "put":
                store.put(key, stored(name, "default", *owners, uid=f"{name}{store.now}"))
                present[key] = True
            elif what == "remove" and present.pop(key, None) is not None:
                store.remove(key)
            elif what == "damage":
                store.put(key, b"?")
                present[key] = False
            elif what == "compact":
                store.forget(store.now)
            elif what == "outage":
                store.outage = not store.outage
                store.wake()
            elif what == "pause":
                await asyncio.sleep(2)
        store.outage = False
        await asyncio.sleep(5)
        assert {key for key, readable in present.items() if readable} <= set(world.index.by_key) <= set(present)
        assert world.index.unreadable == {key for key, readable in present.items() if not readable}
        assert {key: entry.revision for key, entry in world.index.by_key.items()} == follower.keys
        consistent(world.index)
        task.cancel()

    run(scenario, store=store)
