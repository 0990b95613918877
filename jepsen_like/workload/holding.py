"""The lock recipe of etcd's users, over a lease and transactions: who has the oldest key holds the lock.

The fencing token is the create revision of the holder's key. A holder proves itself by a compare of that revision in the very
transaction that writes; a lock that is only believed in is no lock, because the lease may have ended while its holder was
paused. Source: etcd client/v3/concurrency, spec/faults.md §5a L5, §5b.
"""

from __future__ import annotations

import random
from typing import Any, NamedTuple

from jepsen_like.history import KeyValue, TxnArgument
from jepsen_like.workload import leasing
from jepsen_like.workload.session import Answer, Refused, Session, looked, prefix_end, txn_result
from jepsen_like.workload.workload import World
from raftkv.errors import IndeterminateError, RaftKVError

POLL_S = 0.05
NAMED = ":"
"""Between a leader's name and what he proclaims."""

WAIT_S = 4.0
"""How long somebody stands in the line before he leaves it."""


class Hold(NamedTuple):
    """Somebody's place at the head of the line."""

    name: str
    """Of the lock or the election."""

    lease: int
    key: str
    token: int


async def acquire(
    world: World, session: Session, name: str, *, value: str, ttl_s: int, draws: random.Random, observed: bool = False
) -> Hold | None:
    """Stands in line until the lock is held; recorded as `acquire`.

    Whoever leaves the line without having seen himself at its head has failed. Where the line is `observed` his outcome is
    unknown: others may have seen him there.
    """
    lease = leasing.lease_id(draws)
    key = f"{name}/{lease:x}"

    async def send() -> tuple[Any, int]:
        await looked(session.client.leases.grant(ttl_s, lease_id=lease))
        enter = TxnArgument(((key, "create", "=", 0),), (("put", key, value),), (("get", key),))
        entered = await session.execute_txn(enter, lease=lease)
        token = entered.header.revision
        try:
            return token, await _head_of_line(world, session, name, lease, token)
        except Refused as exc:
            if observed:
                raise IndeterminateError(str(exc)) from exc
            raise

    answer = await session.call("acquire", name, 0, send)
    return None if answer is None else Hold(name, lease, key, answer.result)


async def _head_of_line(world: World, session: Session, name: str, lease: int, token: int) -> int:
    """Waits for the turn of a key; the revision at which it had come.

    Raises:
        Refused: the key is gone, or did not come first in time; nobody will believe that it holds.
    """
    deadline_s = world.now_s() + WAIT_S
    while world.now_s() < deadline_s:
        try:
            line, revision = await waiting(session, name)
        except RaftKVError:
            await world.sleep(POLL_S)
            continue
        if line and line[0].create_revision == token:
            return revision
        if not any(kv.create_revision == token for kv in line):
            raise Refused("the lease ended in the line")
        await world.sleep(POLL_S)
    await looked(session.client.leases.revoke(lease))
    raise Refused("left the line")


async def waiting(session: Session, name: str) -> tuple[list[KeyValue], int]:
    """Who stands in line, the holder first, and the revision of that answer; not recorded.

    Raises:
        RaftKVError: as the client's.
    """
    look = TxnArgument((), (("range", f"{name}/", prefix_end(f"{name}/")),))
    done = await session.execute_txn(look)
    kvs = txn_result(look, done).responses[0].kvs
    return sorted(kvs, key=lambda kv: kv.create_revision), done.header.revision


async def write(session: Session, hold: Hold, key: str, value: str, *, fenced: bool) -> Answer | None:
    """A write that the lock protects, recorded as `guarded`; fenced, it is accepted only from the holder."""

    async def send() -> tuple[Any, int]:
        guard = ((hold.key, "create", "=", hold.token),) if fenced else ()
        done = await session.execute_txn(TxnArgument(guard, (("put", key, value),)), lease=hold.lease if key == hold.key else 0)
        if not done.succeeded:
            raise Refused("the lock was lost")
        return None, done.header.revision

    return await session.call("guarded", hold.name, hold.token, send)


async def release(session: Session, hold: Hold) -> Answer | None:
    """Leaves the line; recorded as `release`."""

    async def send() -> tuple[Any, int]:
        return None, (await session.client.leases.revoke(hold.lease)).header.revision

    return await session.call("release", hold.name, hold.token, send)


async def observe(session: Session, name: str) -> Answer | None:
    """Who leads, recorded as `observe`: of the holder's value what stands before `NAMED`."""

    async def send() -> tuple[Any, int]:
        line, revision = await waiting(session, name)
        if not line:
            raise Refused("nobody leads")
        return (line[0].value.partition(NAMED)[0], line[0].create_revision), revision

    return await session.call("observe", name, 0, send, mutates=False)
