"""What an operator asks of a cluster about its members, every call written to the history.

Owns the calls' names and what they record, which `checker.membership` judges; who asks, and when, is the caller's: the load
`membership`, and the faults that replace members. An add's argument says what becomes of the member.
"""

from __future__ import annotations

from collections.abc import Awaitable, Sequence
from typing import Any

from jepsen_like.checker.membership import ADD, LIST, PROMOTE, REMOVE, UPDATE, VOTER, Listed
from jepsen_like.workload.session import Answer, Refused, Session
from raftkv.client.results import MemberList
from raftkv.errors import RaftKVError, UnhealthyError


async def list_members(session: Session) -> Answer | None:
    """The members, as `Listed`."""

    async def send() -> tuple[Any, int]:
        found = await session.client.cluster.members()
        shown = tuple(Listed(one.id, one.peer_urls[0] if one.peer_urls else "", one.is_learner) for one in found.members)
        return shown, found.header.revision

    return await session.call(LIST, "", None, send, mutates=False)


async def add_member(session: Session, url: str, role: str) -> Answer | None:
    """The result is the new member's id alone. `role`: see `checker.membership`."""

    async def send() -> tuple[Any, int]:
        done = await _checked(session.client.cluster.add([url], learner=role != VOTER))
        assert done.member is not None, "an add answers with the new member"
        return (done.member.id,), done.header.revision

    return await session.call(ADD, url, role, send)


async def promote_member(session: Session, member: Listed) -> Answer | None:
    """A learner becomes a voter."""

    async def send() -> tuple[Any, int]:
        done = await _checked(session.client.cluster.promote(member.id))
        return None, done.header.revision

    return await session.call(PROMOTE, member.peer_url, member.id, send)


async def update_member(session: Session, member: Listed, urls: Sequence[str]) -> Answer | None:
    """It has these addresses from now on, of which the first in order must be the one it has now: histories know it by that."""
    assert min(urls) == member.peer_url, "a member keeps its first address"

    async def send() -> tuple[Any, int]:
        done = await _checked(session.client.cluster.update(member.id, urls))
        return None, done.header.revision

    return await session.call(UPDATE, member.peer_url, member.id, send)


async def remove_member(session: Session, member: Listed) -> Answer | None:
    """It is gone for good."""

    async def send() -> tuple[Any, int]:
        done = await _checked(session.client.cluster.remove(member.id))
        return None, done.header.revision

    return await session.call(REMOVE, member.peer_url, member.id, send)


async def _checked(change: Awaitable[MemberList]) -> MemberList:
    """The answer to a change of the members.

    Raises:
        Refused: the cluster is said not to be well: of these calls, servers look at that before they propose anything.
    """
    try:
        return await change
    except RaftKVError as exc:
        if str(exc) == UnhealthyError.text:
            raise Refused(str(exc)) from exc
        raise
