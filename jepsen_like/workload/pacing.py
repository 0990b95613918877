"""How many clients a load has, at which members, and how fast each of them goes.

Owns the shape of a load: clients in turn over the members, so that every member is asked by somebody, each with one call at
a time and a pause between calls that adds up to the rate wanted. What a client does in one step is its workload's. A client
that falls behind does not catch up: a burst after each fault would only measure the burst.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable, Sequence

from jepsen_like.workload.session import Answer, Session
from jepsen_like.workload.workload import World

PAUSE_MIN_S = 0.002
"""Between two calls of a client, so that one whose member is down does not turn in circles."""

READY_WITHIN_S = 30.0


class Client:
    """One client of a load: its session, its own draws, and its number among the load's clients."""

    def __init__(self, session: Session, number: int, draws: random.Random) -> None:
        self.session = session
        self.number = number
        self.random = draws
        self._made = 0

    def unique(self) -> str:
        """A value that nobody else writes in this run."""
        self._made += 1
        return f"{self.number}.{self._made}"


Step = Callable[[Client], Awaitable[None]]


async def drive(world: World, name: str, step: Step, *, count: int, until_s: float, rate: float) -> None:
    """Runs `count` clients, each taking `step` again and again, until the loop's time is `until_s`.

    Args:
        world: where; its stream `name` gives each client's draws.
        name: of the load, unique among those of the run.
        step: one turn of a client, usually one call.
        count: how many clients.
        until_s: no step begins after it.
        rate: steps a second of all clients together.
    """
    async with asyncio.TaskGroup() as group:
        for number in range(count):
            member = world.members[number % len(world.members)]
            client = Client(Session(world, member), number, world.random(f"{name} {number}"))
            group.create_task(_steps(world, client, step, until_s, count / rate), name=f"{name} {number}")


async def _steps(world: World, client: Client, step: Step, until_s: float, period_s: float) -> None:
    next_s = world.now_s() + period_s * client.random.random()
    try:
        while True:
            now_s = world.now_s()
            pause_s = max(PAUSE_MIN_S, next_s - now_s)
            if now_s + pause_s >= until_s:
                return
            await world.sleep(pause_s)
            next_s = max(next_s, now_s) + period_s * client.random.uniform(0.5, 1.5)
            await step(client)
    finally:
        await client.session.aclose()


class NotReadyError(Exception):
    """The cluster answered nothing at all: there is nothing to test."""


async def answered(
    world: World,
    ask: Callable[[Session], Awaitable[Answer | None]],
    *,
    members: Sequence[str] = (),
    within_s: float = READY_WITHIN_S,
) -> Answer:
    """Makes a recorded call at one member after another, until one answers.

    Args:
        world: where.
        ask: one call.
        members: whom to ask; all in turn when left out.
        within_s: for all attempts.

    Raises:
        NotReadyError: nobody did in time.
    """
    names = members or world.members
    deadline_s = world.now_s() + within_s
    turn = 0
    while True:
        session = Session(world, names[turn % len(names)])
        try:
            answer = await ask(session)
        finally:
            await session.aclose()
        if answer is not None:
            return answer
        if world.now_s() >= deadline_s:
            raise NotReadyError(f"no answer within {within_s:.0f} s from {', '.join(names)}; at last: {session.last_error}")
        turn += 1
        await world.sleep(0.1)
