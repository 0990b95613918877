"""Whether every member of a world serves before anything is asked of it in earnest.

A member that is away before the first fault was not broken by the run, and a run without it proves nothing of the store. What is asked
here stands in no history.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from jepsen_like.workload.workload import World
from raftkv.errors import RaftKVError, RequestError

WITHIN_S = 10.0
"""For each member's first answer: longer than several elections."""

ASKED_EVERY_S = 0.1

KEY = b"jepsen-like"


@dataclass(frozen=True, slots=True)
class _First:
    """A member's first answer: of which cluster it is, or what is the matter with it."""

    member: str
    address: str
    cluster: int = 0
    trouble: str = ""


async def troubles(world: World, within_s: float = WITHIN_S) -> list[str]:
    """A sentence for each member that gives no linearizable read in time, or refuses it (passwords), or is of another cluster.

    They are asked side by side.
    """
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(_first_answer(world, member, within_s), name=f"first answer of {member}") for member in world.members]
    answers = [task.result() for task in tasks]
    silent = [one.trouble for one in answers if one.trouble]
    first = answers[0]
    return silent or [
        f"{one.address} ({one.member}) is of cluster {one.cluster:x}, {first.address} ({first.member}) of {first.cluster:x}: "
        "what is written to one is not in the other; name members of one cluster"
        for one in answers
        if one.cluster != first.cluster
    ]


async def _first_answer(world: World, member: str, within_s: float) -> _First:
    deadline_s = world.now_s() + within_s
    async with world.client(member) as client:
        address = ", ".join(one.text for one in client.endpoints)
        while True:
            try:
                return _First(member, address, (await client.range(KEY)).header.cluster_id)
            except RequestError as exc:
                return _First(member, address, trouble=f"{address} ({member}) refuses to be read: {type(exc).__name__}: {exc}")
            except RaftKVError as exc:
                if world.now_s() >= deadline_s:
                    why = f"{type(exc).__name__}: {exc}"
                    return _First(member, address, trouble=f"{address} ({member}) gave no answer within {within_s:.0f} s: {why}")
            await world.sleep(ASKED_EVERY_S)
