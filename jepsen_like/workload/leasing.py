"""The lease calls of a workload's client, written to the history.

Leases are named by the client, so that one whose grant has an unknown outcome has a name too.
"""

from __future__ import annotations

import random
from typing import Any

from jepsen_like.workload.session import Answer, Session
from raftkv.errors import LeaseNotFoundError

GONE = 0
"""The seconds left of a lease that is not there."""


def lease_id(draws: random.Random) -> int:
    """A new id: above zero and below 2**63, which is what etcd's signed ids hold."""
    return draws.randrange(1 << 32, 1 << 62)


async def grant(session: Session, lease: int, ttl_s: int) -> Answer | None:
    """A new lease; the server may give it longer than asked."""

    async def send() -> tuple[Any, int]:
        granted = await session.client.leases.grant(ttl_s, lease_id=lease)
        return granted.ttl_s, granted.header.revision

    return await session.call("grant", str(lease), ttl_s, send)


async def keepalive(session: Session, lease: int) -> Answer | None:
    """Renews a lease; the client may repeat it within the call, which a renewal allows."""

    async def send() -> tuple[Any, int]:
        try:
            renewed = await session.client.leases.keep_alive_once(lease)
        except LeaseNotFoundError:
            return GONE, 0
        return renewed.ttl_s, renewed.header.revision

    return await session.call("keepalive", str(lease), 0, send)


async def time_to_live(session: Session, lease: int) -> Answer | None:
    """What is left of a lease, rounded up: an expired lease lives, with zero seconds left, until its end has gone through consensus."""

    async def send() -> tuple[Any, int]:
        left = await session.client.leases.time_to_live(lease)
        return (max(1, left.ttl_s) if left.granted_ttl_s else GONE), left.header.revision

    return await session.call("lease-ttl", str(lease), 0, send, mutates=False)


async def revoke(session: Session, lease: int) -> Answer | None:
    """Ends a lease and deletes its keys."""

    async def send() -> tuple[Any, int]:
        return None, (await session.client.leases.revoke(lease)).header.revision

    return await session.call("revoke", str(lease), 0, send)
