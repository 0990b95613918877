"""The last question of every run: do all members hold the same history, byte for byte?

Asks each member for the hash of everything up to one revision and writes the answers down; `checker.hashkv` compares them.
"""

from __future__ import annotations

from typing import Any

from jepsen_like.workload.pacing import answered
from jepsen_like.workload.session import Answer, Session
from jepsen_like.workload.workload import World


async def ask(world: World, key: str = "hash") -> int:
    """HashKV of every member at the newest revision there is; returns the revision. A lone member has nobody to agree with.

    Raises:
        NotReadyError: a member does not answer, or does not catch up.
    """
    newest = await answered(world, lambda session: session.get(key))
    for member in world.members if len(world.members) > 1 else ():
        await answered(world, lambda session: _hash(session, newest.revision), members=(member,))
    return newest.revision


async def _hash(session: Session, revision: int) -> Answer | None:
    async def send() -> tuple[Any, int]:
        found = await session.client.maintenance.hash_kv(revision=revision)
        return (found.hash, found.compact_revision), found.header.revision

    return await session.call("hashkv", "", revision, send, mutates=False)
