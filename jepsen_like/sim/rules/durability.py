"""What a member's files must hold: after each start what others were told of them, and at all times what the next start needs.

Invariants: 1. what a member acknowledged in a term is in its log when it starts again in that term; 2. behind the last record of a log
that was opened stands nothing; 3. what a member says it can send it can read. Source: design §4 rules 1, 3, 7.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from raftkv.storage.fs import FileSystem, read_all
from raftkv.storage.record import Frame, decode_frame
from raftkv.storage.wal import list_segments

if TYPE_CHECKING:
    from jepsen_like.sim.cluster import SimulatedMember
    from raftkv.raft.messages import Message
    from raftkv.server.member import MemberCore
    from raftkv.storage.memory_fs import MemoryFileSystem
    from raftkv.storage.wal import Wal

LOG_FOLDER = "/data/member/wal"


class DurabilityError(AssertionError):
    """The text names the member and what its files lack."""


class _Promise(NamedTuple):
    fs: MemoryFileSystem
    """The disk it is about: a machine may get another one."""

    term: int
    last_index: int


class Durability:
    """Of one cluster, over all lives of its members."""

    def __init__(self) -> None:
        self._promises: dict[str, _Promise] = {}

    def acknowledges(self, member: SimulatedMember, message: Message) -> None:
        """An append of the message's term is acknowledged to its leader."""
        self._promises[member.host] = _Promise(member.fs, message.term, message.index)

    def attach(self, member: SimulatedMember, core: MemberCore) -> None:
        """Looks at what a process has opened, and watches what it removes. Raises DurabilityError."""
        wal = core.writer.wal
        promise = self._promises.get(member.host)
        if promise is not None and promise.fs is member.fs and wal.hard_state.term == promise.term and wal.last_index < promise.last_index:
            raise DurabilityError(
                f"{member.host}: acknowledged {promise.last_index} in term {promise.term} and starts with a log up to {wal.last_index}"
            )
        remains = remains_behind_the_log(member.fs)
        if remains:
            raise DurabilityError(f"{member.host}: {remains} bytes stand behind the last record of the log that it opened")
        self._watch_purges(member.host, core, wal)

    def _watch_purges(self, host: str, core: MemberCore, wal: Wal) -> None:
        purge = wal.purge

        def purging(below_index: int) -> int:
            removed = purge(below_index)
            first = core.raft_storage.first_index()
            if removed and first <= min(wal.last_index, core.raft_storage.last_index()):
                try:
                    wal.read_entries(first, first + 1)
                except Exception as error:
                    raise DurabilityError(f"{host}: says that its log begins with {first}, which went with {removed} segments") from error
            return removed

        wal.purge = purging  # type: ignore[method-assign]


def remains_behind_the_log(fs: FileSystem) -> int:
    """Bytes that are not zero behind the last whole record of the newest segment."""
    segments = list_segments(fs, LOG_FOLDER)
    blob = read_all(fs, f"{LOG_FOLDER}/{segments[-1].name}")
    frames = frames_in(blob)
    end = frames[-1].end if frames else 0
    return len(blob) - end - blob.count(0, end)


def frames_in(blob: bytes) -> list[Frame]:
    """A segment's records, from its beginning to the first that is not whole."""
    frames: list[Frame] = []
    while (frame := decode_frame(blob, frames[-1].end if frames else 0)) is not None:
        frames.append(frame)
    return frames
