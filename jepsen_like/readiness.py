"""Whether every member of a world serves before anything is asked of it in earnest.

A member that is away before the first fault was not broken by the run, and a run without it proves nothing of the store. What is asked
here stands in no history.
"""

from __future__ import annotations

import asyncio

from jepsen_like.workload.workload import World
from raftkv.errors import RaftKVError, RequestError

WITHIN_S = 10.0
"""For each member's first answer: longer than several elections."""

ASKED_EVERY_S = 0.1

KEY = b"jepsen-like"


async def troubles(world: World, within_s: float = WITHIN_S) -> list[str]:
    """A sentence for each member that gives no linearizable read in time, or refuses it (passwords); they are asked side by side."""
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(_trouble(world, member, within_s), name=f"first answer of {member}") for member in world.members]
    return [text for task in tasks if (text := task.result())]


async def _trouble(world: World, member: str, within_s: float) -> str:
    deadline_s = world.now_s() + within_s
    async with world.client(member) as client:
        address = ", ".join(one.text for one in client.endpoints)
        while True:
            try:
                await client.get(KEY)
                return ""
            except RequestError as exc:
                return f"{address} ({member}) refuses to be read: {type(exc).__name__}: {exc}"
            except RaftKVError as exc:
                if world.now_s() >= deadline_s:
                    why = f"{type(exc).__name__}: {exc}"
                    return f"{address} ({member}) gave no answer within {within_s:.0f} s: {why}"
            await world.sleep(ASKED_EVERY_S)
