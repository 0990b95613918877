"""Whether every member of a world serves before anything is asked of it in earnest.

A member that is away before the first fault was not broken by the run, and a run without it proves nothing of the store. What is asked
here stands in no history.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Sequence
from dataclasses import dataclass

from jepsen_like.workload.workload import World
from raftkv.errors import RaftKVError, RequestError

WITHIN_S = 10.0
"""For each member's first answer: longer than several elections."""

ASKED_EVERY_S = 0.1

CONNECTIONS = 5
"""By so many each of two endpoints is asked that seem to be one member: a load balancer sends some to another."""

KEY = b"jepsen-like"


@dataclass(frozen=True, slots=True)
class _First:
    """A member's first answer: of which cluster it is and which of its members, or what is the matter with it."""

    member: str
    address: str
    cluster: int = 0
    id: int = 0
    trouble: str = ""


async def troubles(world: World, within_s: float = WITHIN_S) -> list[str]:
    """A sentence for each member that gives no linearizable read in time, or refuses it (passwords), is of another cluster, or is
    the same as one before it: what the harness does to one and asks of the other would then be laid at the wrong door.

    They are asked side by side.
    """
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(_first_answer(world, member, within_s), name=f"first answer of {member}") for member in world.members]
    answers = [task.result() for task in tasks]
    silent = [one.trouble for one in answers if one.trouble]
    return silent or _strangers(answers) or await _repeated(world, answers)


def _strangers(answers: Sequence[_First]) -> list[str]:
    first = answers[0]
    return [
        f"{one.address} ({one.member}) is of cluster {one.cluster:x}, {first.address} ({first.member}) of {first.cluster:x}: "
        "what is written to one is not in the other; name members of one cluster"
        for one in answers
        if one.cluster != first.cluster
    ]


async def _repeated(world: World, answers: Sequence[_First]) -> list[str]:
    """Endpoints behind which the same member stands as behind an earlier one, and no other."""
    found = []
    firsts: dict[int, _First] = {}
    for one in answers:
        first = firsts.setdefault(one.id, one)
        if first is not one and one.id and await _is_always(world, first) and await _is_always(world, one):
            found.append(f"{one.address} ({one.member}) and {first.address} ({first.member}) are one member, {one.id:x}: name each once")
    return found


async def _is_always(world: World, first: _First) -> bool:
    """Each of a few new connections leads to the same member; one that gives no answer says nothing else."""
    for _ in range(CONNECTIONS):
        async with world.client(first.member) as client:
            with contextlib.suppress(RaftKVError):
                if (await client.range(KEY)).header.member_id != first.id:
                    return False
    return True


async def _first_answer(world: World, member: str, within_s: float) -> _First:
    deadline_s = world.now_s() + within_s
    async with world.client(member) as client:
        address = ", ".join(one.text for one in client.endpoints)
        while True:
            try:
                header = (await client.range(KEY)).header
                return _First(member, address, header.cluster_id, header.member_id)
            except RequestError as exc:
                return _First(member, address, trouble=f"{address} ({member}) refuses to be read: {type(exc).__name__}: {exc}")
            except RaftKVError as exc:
                if world.now_s() >= deadline_s:
                    why = f"{type(exc).__name__}: {exc}"
                    return _First(member, address, trouble=f"{address} ({member}) gave no answer within {within_s:.0f} s: {why}")
            await world.sleep(ASKED_EVERY_S)
