"""Members that come and go under load: learners are added, must not be promoted, and are removed, while registers are written.

The learners have addresses at which nobody listens, so that the load runs against any endpoints and starts no process; members
that do start are replaced under it by the fault `member-replace`. One operator, as in life: it asks for the list, and removes
what it finds or adds what it does not. Checked as registers are, and the member lists against real time (`checker.membership`).
"""

from __future__ import annotations

import asyncio
import random
from typing import Any

from jepsen_like.checker import membership
from jepsen_like.checker.membership import ADD, LIST, PROMOTE, REMOVE, Listed
from jepsen_like.checker.verdict import Verdict, merged
from jepsen_like.history import History
from jepsen_like.workload.pacing import answered
from jepsen_like.workload.register import Register
from jepsen_like.workload.session import Answer, Session
from jepsen_like.workload.workload import World

CHANGE_TIMEOUT_S = 2.0
PAUSE_S = (0.05, 0.4)
"""Between two steps of the operator."""

PROMOTE_SHARE = 0.4


class Membership(Register):
    """Registers, and an operator."""

    name = "membership"

    def __init__(self, prefix: str = "", *, clients: int = 0) -> None:
        super().__init__(prefix, clients=clients)
        self._added = 0
        self._urls: set[str] = set()

    async def run(self, world: World, *, until_s: float, rate: float) -> None:
        """See `Workload`."""
        async with asyncio.TaskGroup() as group:
            group.create_task(super().run(world, until_s=until_s, rate=rate), name="registers")
            group.create_task(self._operate(world, until_s), name="operator")

    async def finish(self, world: World) -> None:
        """Removes what is left, reads every key, and asks every member for the list."""
        for turn in range(10):
            listed = await answered(world, _list)
            if not self._own(listed):
                break
            session = Session(world, world.members[turn % len(world.members)], timeout_s=CHANGE_TIMEOUT_S)
            try:
                await self._remove(session, self._own(listed)[0])
            finally:
                await session.aclose()
        for member in world.members:
            await answered(world, _list, members=(member,))
        await super().finish(world)

    def check(self, history: History) -> Verdict:
        """As registers, and the lists."""
        return merged((super().check(history), membership.check(history.operations)))

    async def _operate(self, world: World, until_s: float) -> None:
        draws = world.random("operator")
        while world.now_s() < until_s:
            session = Session(world, draws.choice(world.members), timeout_s=CHANGE_TIMEOUT_S)
            try:
                await self._step_operator(session, draws)
            finally:
                await session.aclose()
            await world.sleep(draws.uniform(*PAUSE_S))

    async def _step_operator(self, session: Session, draws: random.Random) -> None:
        """One list, and what follows from it."""
        listed = await _list(session)
        if listed is None:
            return
        own = self._own(listed)
        if not own:
            await self._add(session)
        elif draws.random() < PROMOTE_SHARE:
            await self._promote(session, own[0])
        else:
            await self._remove(session, own[0])

    def _own(self, listed: Answer) -> list[Listed]:
        return [member for member in listed.result if member.peer_url in self._urls]

    async def _add(self, session: Session) -> None:
        self._added += 1
        # Loopback addresses of which nobody listens at port 1; each is used once, so that an add of unknown outcome is known by it.
        url = f"http://127.7.{self._added // 250}.{self._added % 250 + 1}:1"
        self._urls.add(url)

        async def send() -> tuple[Any, int]:
            done = await session.client.cluster.add([url], learner=True)
            assert done.member is not None, "an add answers with the new member"
            return (done.member.id,), done.header.revision

        await session.call(ADD, url, "learner", send)

    async def _promote(self, session: Session, member: Listed) -> None:
        async def send() -> tuple[Any, int]:
            done = await session.client.cluster.promote(member.id)
            return None, done.header.revision

        await session.call(PROMOTE, member.peer_url, member.id, send)

    async def _remove(self, session: Session, member: Listed) -> None:
        async def send() -> tuple[Any, int]:
            done = await session.client.cluster.remove(member.id)
            return None, done.header.revision

        await session.call(REMOVE, member.peer_url, member.id, send)


async def _list(session: Session) -> Answer | None:
    async def send() -> tuple[Any, int]:
        found = await session.client.cluster.members()
        shown = tuple(Listed(one.id, one.peer_urls[0] if one.peer_urls else "", one.is_learner) for one in found.members)
        return shown, found.header.revision

    return await session.call(LIST, "", None, send, mutates=False)
