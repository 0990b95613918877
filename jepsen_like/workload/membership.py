"""Members that come and go under load: learners are added, get other addresses, must not be promoted, and are removed, while
registers are written.

The learners have addresses at which nobody listens, so that the load runs against any endpoints and starts no process; members
that do start are replaced under it by faults (`member-replace`, and `replace` in simulations), whose calls go to the same history.
One operator, as in life: it asks for the list, and removes what it finds or adds what it does not. Members refuse to be joined by
others until they have been connected with each other for five seconds (etcd's HealthInterval); an operator who is told so has
another look only after a while. Checked as registers are, and the member lists against real time (`checker.membership`).
"""

from __future__ import annotations

import asyncio
import random

from jepsen_like.checker import membership
from jepsen_like.checker.membership import LEARNER, Listed
from jepsen_like.checker.verdict import Verdict, merged
from jepsen_like.history import History
from jepsen_like.workload.operator import add_member, list_members, promote_member, remove_member, update_member
from jepsen_like.workload.pacing import answered
from jepsen_like.workload.register import Register
from jepsen_like.workload.session import Answer, Session
from jepsen_like.workload.workload import World

CHANGE_TIMEOUT_S = 2.0
PAUSE_S = (0.05, 0.4)
"""Between two steps of the operator."""

REFUSED_PAUSE_S = (1.0, 2.0)
"""After a refused add: whatever was missing takes seconds to come."""

LEFT_WITHIN_S = 30.0
"""After the load: so long the operator tries to remove what it added."""

PROMOTE_SHARE = 0.4

UPDATE_SHARE = 0.3
"""Of the looks that find a learner: it gets a second address and stays what it is, until a later look."""


class Membership(Register):
    """Registers, and an operator."""

    name = "membership"

    def __init__(self, prefix: str = "", *, clients: int = 0) -> None:
        super().__init__(prefix, clients=clients)
        self._added = 0
        self._urls: set[str] = set()

    async def run(self, world: World, *, until_s: float, rate: float) -> None:
        """See `Workload`."""
        # Who was there before anybody comes or goes: the check ties later lists to it.
        await answered(world, list_members)
        async with asyncio.TaskGroup() as group:
            group.create_task(super().run(world, until_s=until_s, rate=rate), name="registers")
            group.create_task(self._operate(world, until_s), name="operator")

    async def finish(self, world: World) -> None:
        """Removes what is left, reads every key, and asks every member for the list."""
        for turn in range(10):
            listed = await answered(world, list_members)
            if not self._own(listed):
                break
            session = Session(world, world.members[turn % len(world.members)], timeout_s=CHANGE_TIMEOUT_S)
            try:
                await remove_member(session, self._own(listed)[0])
            finally:
                await session.aclose()
        for member in world.members:
            await answered(world, list_members, members=(member,))
        await super().finish(world)

    def check(self, history: History) -> Verdict:
        """As registers, and the lists."""
        return merged((super().check(history), membership.check(history.operations)))

    async def _operate(self, world: World, until_s: float) -> None:
        draws, updates = world.random("operator"), world.random("operator's updates")
        while world.now_s() < until_s:
            session = Session(world, draws.choice(world.members), timeout_s=CHANGE_TIMEOUT_S)
            try:
                pause_s = await self._step_operator(session, draws, updates)
            finally:
                await session.aclose()
            await world.sleep(draws.uniform(*pause_s))
        await self._leave(world, draws)

    async def _leave(self, world: World, draws: random.Random) -> None:
        """A cluster has few places for learners, and a fault that replaces a member may still wait for one."""
        end_s = world.now_s() + LEFT_WITHIN_S
        while world.now_s() < end_s:
            session = Session(world, draws.choice(world.members), timeout_s=CHANGE_TIMEOUT_S)
            try:
                listed = await list_members(session)
                if listed is not None and not self._own(listed):
                    return
                if listed is not None:
                    await remove_member(session, self._own(listed)[0])
            finally:
                await session.aclose()
            await world.sleep(draws.uniform(*PAUSE_S))

    async def _step_operator(self, session: Session, draws: random.Random, updates: random.Random) -> tuple[float, float]:
        """One list, and what follows from it; how long to wait then."""
        listed = await list_members(session)
        if listed is None:
            return PAUSE_S
        own = self._own(listed)
        if not own:
            return PAUSE_S if await self._add(session) is not None else REFUSED_PAUSE_S
        if updates.random() < UPDATE_SHARE:
            await update_member(session, own[0], (own[0].peer_url, f"{own[0].peer_url.rpartition(':')[0]}:2"))
        elif draws.random() < PROMOTE_SHARE:
            await promote_member(session, own[0])
        else:
            await remove_member(session, own[0])
        return PAUSE_S

    def _own(self, listed: Answer) -> list[Listed]:
        return [member for member in listed.result if member.peer_url in self._urls]

    async def _add(self, session: Session) -> Answer | None:
        self._added += 1
        # Loopback addresses of which nobody listens at port 1; each is used once, so that an add of unknown outcome is known by it.
        url = f"http://127.7.{self._added // 250}.{self._added % 250 + 1}:1"
        self._urls.add(url)
        return await add_member(session, url, LEARNER)
