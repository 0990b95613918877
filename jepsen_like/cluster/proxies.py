"""PX: every connection goes through the proxy process; needs no privileges.

Five ports per member: where it listens for clients and for members, where the proxy listens for each, and its failpoints'.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext

from jepsen_like.cluster.carrier import Carrier
from jepsen_like.cluster.links import Conditions, Direction, Tally
from jepsen_like.cluster.member import MemberProcess, Place
from jepsen_like.cluster.ports import HOST, PortBlock


class Proxies:
    """See Network."""

    name = "PX"
    shapes = frozenset({"cut", "delay_ms", "jitter_ms", "loss", "reorder", "rate_bytes_s"})
    resets = stalls = True

    def __init__(self, seed: int) -> None:
        self._seed = seed
        self._ports: PortBlock | None = None
        self._carrier: Carrier | None = None
        self._routes: list[tuple[int, int, str, bool]] = []
        self._pids: dict[str, int] = {}

    def places(self, names: Sequence[str]) -> list[Place]:
        """See Network."""
        self._ports = PortBlock(5 * len(names))
        places = []
        for number, name in enumerate(names):
            clients, peers, real_clients, real_peers, failpoints = self._ports.ports[5 * number : 5 * number + 5]
            self._routes += [(clients, real_clients, name, True), (peers, real_peers, name, False)]
            admin = f"{HOST}:{real_clients}"
            place = Place((admin,), f"{HOST}:{real_peers}", f"{HOST}:{clients}", f"{HOST}:{peers}", admin, f"{HOST}:{failpoints}")
            places.append(place)
        return places

    async def open(self) -> None:
        """See Network."""
        self._carrier = Carrier.start("jepsen_like.cluster.proxy", [str(self._seed)])
        await self._carrier.ask("listen", routes=self._routes)

    def inside(self, name: str) -> AbstractContextManager[None]:
        """See Network."""
        return nullcontext()

    def started(self, members: Iterable[MemberProcess]) -> None:
        """See Network."""
        self._pids.update((member.name, member.pid) for member in members)
        self._open.tell("pids", pids=self._pids)

    async def set(self, links: Mapping[Direction, Conditions]) -> None:
        """See Network."""
        await self._open.set(links)

    async def tally(self) -> Tally:
        """See Network."""
        return await self._open.tally()

    async def reset(self, pairs: Iterable[Direction]) -> int:
        """See Network."""
        return int(await self._open.ask("reset", links=[list(pair) for pair in pairs]))

    async def stall(self, name: str, *, on: bool) -> None:
        """See Network."""
        ports = [port for port, _, receiver, _ in self._routes if receiver == name]
        await self._open.ask("accept", ports=ports, on=not on)

    async def close(self) -> None:
        """See Network."""
        if self._carrier is not None:
            await self._carrier.close()
        self.release()

    def release(self) -> None:
        """Gives the ports back. Idempotent."""
        if self._ports is not None:
            self._ports.close()

    @property
    def _open(self) -> Carrier:
        assert self._carrier is not None, "not open"
        return self._carrier
