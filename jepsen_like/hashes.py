"""The last question of every run: do all members hold the same history, byte for byte?

Asks each member for the hash of everything up to one revision and writes the answers down; `checker.hashkv` compares them. Owns the
notes of whom a run was to ask and who has no such call, so that an answer that is missing is told from one that was never wanted.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from jepsen_like.history import OK, History, Mark
from jepsen_like.ledger import NOTE, note
from jepsen_like.workload.pacing import answered
from jepsen_like.workload.session import Answer, Session
from jepsen_like.workload.workload import World
from raftkv.errors import RaftKVError

ASKED = "hashes asked of"
"""The note of the members that must each give one: names, in the order of asking."""

NOT_OFFERED, MEMBER = "hash not offered", "member"
"""The note of a member that does not know the call: its words, and its name."""

UNKNOWN_CALLS = ("unknown method", "unknown service", "unimplemented", "not implemented", "not supported")
"""How a server says that it has no such call: what gRPC's implementations answer by themselves, and what stores that speak a part of
etcd's interface say."""


async def ask(world: World, key: str = "hash") -> int:
    """HashKV of every member at the newest revision there is; returns the revision. A lone member has nobody to agree with.

    Raises:
        NotReadyError: a member does not answer, or does not catch up.
    """
    world.recorder.write(note({ASKED: list(world.members)}, world.recorder.now_ns()))
    newest = await answered(world, lambda session: session.get(key))
    for member in world.members if len(world.members) > 1 else ():
        await answered(world, lambda session: _hash(session, newest.revision), members=(member,))
    return newest.revision


async def _hash(session: Session, revision: int) -> Answer | None:
    """The answer, recorded; one without a hash where the member has no such call, which is noted."""
    missing = ""

    async def send() -> tuple[Any, int]:
        nonlocal missing
        try:
            found = await session.client.maintenance.hash_kv(revision=revision)
        except RaftKVError as exc:
            missing = str(exc) if any(words in str(exc).lower() for words in UNKNOWN_CALLS) else ""
            raise
        return (found.hash, found.compact_revision), found.header.revision

    answer = await session.call("hashkv", "", revision, send, mutates=False)
    if not missing:
        return answer
    recorder = session.world.recorder
    recorder.write(note({NOT_OFFERED: missing, MEMBER: session.member}, recorder.now_ns()))
    return Answer(None, 0)


def is_asked(mark: Mark) -> bool:
    """Whether the mark says whom a run was to ask."""
    return mark.kind == NOTE and isinstance(mark.detail, Mapping) and ASKED in mark.detail


def asked_of(history: History) -> frozenset[str]:
    """The members that must each have given a hash that was compared; none where there was but one, or nobody wrote it down."""
    names = {str(name) for mark in history.marks if is_asked(mark) for name in mark.detail[ASKED]}
    return frozenset(names) if len(names) > 1 else frozenset()


def not_offered(history: History) -> Mapping[str, str]:
    """Member -> how it said that it has no such call."""
    details = (mark.detail for mark in history.marks if mark.kind == NOTE and isinstance(mark.detail, Mapping))
    return {str(detail.get(MEMBER, "")): str(detail[NOT_OFFERED]) for detail in details if NOT_OFFERED in detail}


def not_compared(history: History) -> list[str]:
    """What is not known of the members' data and need not be, in words; what must be is `checker.hashkv`'s to miss."""
    offered, wanted = not_offered(history), asked_of(history)
    said = [f"not looked at: whether {name} holds the same data as the others: it has no HashKV ({text})" for name, text in offered.items()]
    gave = {one.member for one in history.operations if one.f == "hashkv" and one.outcome == OK}
    members = {one.member for one in history.operations if one.member}
    if any(map(is_asked, history.marks)):
        if not wanted:
            said.append("not looked at: whether all members hold the same data, because one alone was asked")
    elif members - gave:
        names = ", ".join(sorted(members - gave))
        said.append(
            f"not looked at: whether {names} held the same data as others: no HashKV, and the history does not say who was asked for it"
        )
    return said
