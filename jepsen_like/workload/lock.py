"""Locks with and without fencing, and elections: holders that are paused, cut off and outlived by their leases.

`Lock` fences every write by the holder's token and must be valid under every fault. `UnfencedLock` trusts the lock alone and is
expected to be found invalid under pauses: it shows why the token is needed. `Election` is the same recipe with observers.
raftkv's and etcd's own Lock service is not used: the recipe needs leases and transactions only.
"""

from __future__ import annotations

from jepsen_like.checker import lock
from jepsen_like.checker.verdict import Verdict
from jepsen_like.history import History
from jepsen_like.workload import holding, keyspace
from jepsen_like.workload.pacing import Client, drive
from jepsen_like.workload.session import Answer
from jepsen_like.workload.workload import World

LOCKS = 2
TTL_S = 2
CLIENTS_PER_MEMBER = 2
HOLD_S = (0.02, 0.4)
LONG_HOLD_S = (2.0, 4.0)
"""Now and then somebody holds for longer than his lease lives and does not renew it."""

LONG_SHARE = 0.1
WRITES_MAX = 3


class Lock:
    """A lock whose token guards every write."""

    name = "lock"
    fenced = True
    observed = False
    """Whether anybody looks at who holds."""

    _folder = "l"

    def __init__(self, prefix: str = "") -> None:
        self._prefix = f"{prefix}{self._folder}/"
        self._world: World | None = None
        self._until_s = 0.0

    async def run(self, world: World, *, until_s: float, rate: float) -> None:
        """See `Workload`. The rate is what the line allows: a step is a whole turn of waiting, holding and leaving."""
        self._world, self._until_s = world, until_s
        await keyspace.begin(world, self._prefix)
        count = CLIENTS_PER_MEMBER * len(world.members)
        await drive(world, self.name, self._turn, count=count, until_s=until_s, rate=max(rate, 20.0))

    async def _turn(self, client: Client) -> None:
        assert self._world is not None
        world, session, draws = self._world, client.session, client.random
        if session.cautious:
            await session.get(f"{self._prefix}probe")
            return
        name = f"{self._prefix}{draws.randrange(LOCKS)}"
        hold = await holding.acquire(world, session, name, value=str(client.number), ttl_s=TTL_S, draws=draws, observed=self.observed)
        if hold is None:
            return
        long = draws.random() < LONG_SHARE
        for _write in range(draws.randint(1, WRITES_MAX)):
            await world.sleep(draws.uniform(*(LONG_HOLD_S if long else HOLD_S)))
            if await self._write(client, hold) is None:
                break
        if session.cautious:
            return
        await holding.release(session, hold)

    async def _write(self, client: Client, hold: holding.Hold) -> Answer | None:
        return await holding.write(client.session, hold, f"{hold.name}.resource", client.unique(), fenced=self.fenced)

    async def finish(self, world: World) -> None:
        """Nothing is left to read: tokens say everything."""

    def check(self, history: History) -> Verdict:
        """See `Workload`."""
        return lock.check(history, overlap=not self.fenced)


class UnfencedLock(Lock):
    """The same without the guard: expected to fail when somebody is paused while he holds."""

    name = "unfenced-lock"
    fenced = False


class Election(Lock):
    """Leaders with terms of office, and observers who must never see one go back."""

    name = "election"
    observed = True
    _folder = "v"

    async def _turn(self, client: Client) -> None:
        if client.number % CLIENTS_PER_MEMBER or client.session.cautious:
            await holding.observe(client.session, f"{self._prefix}{client.random.randrange(LOCKS)}")
        else:
            await super()._turn(client)

    async def _write(self, client: Client, hold: holding.Hold) -> Answer | None:
        """A proclamation: the leader writes to its own key."""
        return await holding.write(client.session, hold, hold.key, f"{client.number}{holding.NAMED}{client.unique()}", fenced=True)
