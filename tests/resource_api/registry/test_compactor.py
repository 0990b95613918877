"""Who gives up the store's history, and how much of it."""

from __future__ import annotations

import asyncio

import pytest

from jepsen_like.sim.loop import VirtualLoop
from raftkv.clock import SystemClock
from raftkv.embedded import private_member, running_member
from resource_api.registry.compactor import Compactor
from resource_api.registry.kv_store import KvStore
from resource_api.registry.store import CompactedError
from tests.support.memory_store import MemoryStore

INTERVAL_S = 300.0


async def during(*compactors: Compactor, steps) -> None:
    """Runs them beside the steps."""
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(one.run(), name="compactor") for one in compactors]
        await steps()
        for task in tasks:
            task.cancel()


def on_virtual_time(scenario) -> None:
    with asyncio.Runner(loop_factory=lambda: VirtualLoop(1)) as runner:
        runner.run(scenario())


def test_history_stays_for_one_interval_and_goes_after_it():
    """The first turn only notes where the store is; each later one gives up what was noted at the turn before."""

    async def scenario():
        store = MemoryStore()
        compactor = Compactor(store, INTERVAL_S)

        async def steps():
            first = store.put("k", b"1")
            await asyncio.sleep(INTERVAL_S + 1)
            assert store.compacted == 0
            store.put("k", b"2")
            noted = first + 1  # the turn itself is a change
            await asyncio.sleep(INTERVAL_S)
            assert store.compacted == compactor.compacted == noted
            await asyncio.sleep(INTERVAL_S)
            assert noted < store.compacted < store.now

        await during(compactor, steps=steps)

    on_virtual_time(scenario)


def test_one_of_several_servers_compacts_and_another_takes_over():
    """A turn has one winner; when it is gone the next one goes on, an interval behind what it has seen itself."""

    async def scenario():
        store = MemoryStore()
        first, second = Compactor(store, INTERVAL_S), Compactor(store, INTERVAL_S)

        async def steps():
            for _ in range(4):
                store.put("k", b"1")
                await asyncio.sleep(INTERVAL_S)
            await asyncio.sleep(1)
            assert first.compacted == store.compacted > 0 and second.compacted == 0
            assert store.turn == 4

        await during(first, second, steps=steps)

        async def alone():
            for _ in range(3):
                store.put("k", b"1")
                await asyncio.sleep(INTERVAL_S + 1)
            assert second.compacted == store.compacted > first.compacted

        await during(second, steps=alone)

    on_virtual_time(scenario)


def test_store_that_fails_is_compacted_later(caplog):
    """An outage ends nothing, and nothing younger than an interval goes after it."""

    async def scenario():
        store = MemoryStore()

        async def steps():
            store.put("k", b"1")
            await asyncio.sleep(INTERVAL_S + 1)
            store.outage = True
            await asyncio.sleep(INTERVAL_S)
            store.outage = False
            young = store.put("k", b"2")
            await asyncio.sleep(INTERVAL_S)
            assert 0 < store.compacted < young

        await during(Compactor(store, INTERVAL_S), steps=steps)

    on_virtual_time(scenario)
    assert "the store's history was not compacted" in caplog.text


@pytest.mark.slow
def test_members_history_is_given_up(tmp_path):
    """The same against a real member: an old state cannot be read any more, the newest can."""

    async def scenario():
        async with running_member(private_member(str(tmp_path), compact_after_s=0.0)) as member:
            store = KvStore(member.client(), clock=SystemClock())
            compactor = Compactor(store, 0.01)

            async def steps():
                old = await store.create("k", b"1")
                new = await store.update("k", b"2", expected_revision=old)
                for _ in range(2000):
                    if compactor.compacted > new:
                        break
                    await asyncio.sleep(0.005)
                with pytest.raises(CompactedError):
                    await store.get("k", revision=old)
                assert (await store.get("k")).value == b"2"

            await during(compactor, steps=steps)
            await store.aclose()

    asyncio.run(scenario())
