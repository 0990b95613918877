"""SEAM. What carries a cluster's traffic: where members listen, and what can be done to each direction between hosts.

`Direct` here does nothing; `proxies.Proxies` (PX) needs no privileges; `namespaces.Namespaces` (NS) has a network per member.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Protocol

from jepsen_like.cluster.links import Conditions, Direction, Tally
from jepsen_like.cluster.member import MemberProcess, Place
from jepsen_like.cluster.ports import HOST, PortBlock


class Network(Protocol):
    """What carries the traffic of one cluster."""

    @property
    def name(self) -> str:
        """`PX`, `NS`, or empty for none."""

    @property
    def shapes(self) -> frozenset[str]:
        """Fields of `Conditions` it can bring about."""

    @property
    def resets(self) -> bool:
        """It can end connections by a reset."""

    @property
    def stalls(self) -> bool:
        """It can accept for a member and say nothing."""

    def places(self, names: Sequence[str]) -> list[Place]:
        """Addresses for members of these names; called once, before `open`."""

    async def open(self) -> None:
        """Carries from now on, all directions open."""

    def inside(self, name: str) -> AbstractContextManager[None]:
        """A process started within the block is on the member's host."""

    def started(self, members: Iterable[MemberProcess]) -> None:
        """These run now; senders are known by their processes."""

    async def set(self, links: Mapping[Direction, Conditions]) -> None:
        """From now on these directions have these conditions."""

    async def tally(self) -> Tally:
        """What was seen so far."""

    async def reset(self, pairs: Iterable[Direction]) -> int:
        """Ends every connection between these hosts by a reset; how many there were."""

    async def stall(self, name: str, *, on: bool) -> None:
        """The member's ports complete handshakes and then say nothing, until it is taken back."""

    async def close(self) -> None:
        """Carries no more. Idempotent."""


class Direct:
    """Members and clients talk on the loopback without anything between them."""

    name = ""
    shapes: frozenset[str] = frozenset()
    resets = stalls = False

    def __init__(self) -> None:
        self._ports: PortBlock | None = None

    def places(self, names: Sequence[str]) -> list[Place]:
        """See Network."""
        self._ports = PortBlock(3 * len(names))
        places = []
        for number in range(len(names)):
            client, peer, failpoints = (f"{HOST}:{port}" for port in self._ports.ports[3 * number : 3 * number + 3])
            places.append(Place((client,), peer, client, peer, client, failpoints))
        return places

    async def open(self) -> None:
        """See Network."""

    def inside(self, name: str) -> AbstractContextManager[None]:
        """See Network."""
        return nullcontext()

    def started(self, members: Iterable[MemberProcess]) -> None:
        """See Network."""

    async def set(self, links: Mapping[Direction, Conditions]) -> None:
        """See Network; nothing but an open link is possible."""
        assert all(conditions.plain for conditions in links.values()), "nothing stands between these members"

    async def tally(self) -> Tally:
        """See Network."""
        return Tally()

    async def reset(self, pairs: Iterable[Direction]) -> int:
        """See Network."""
        return 0

    async def stall(self, name: str, *, on: bool) -> None:
        """See Network."""
        assert not on, "nothing stands between these members"

    async def close(self) -> None:
        """See Network."""
        if self._ports is not None:
            self._ports.close()
