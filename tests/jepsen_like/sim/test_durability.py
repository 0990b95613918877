"""The onlooker's rules about a member's files refute members that break them."""

from __future__ import annotations

import pytest

from jepsen_like.sim.cluster import SimulatedCluster, simulate
from jepsen_like.sim.rules.durability import LOG_FOLDER, Durability, DurabilityError, remains_behind_the_log
from raftkv.raft.messages import Message, MessageKind
from raftkv.raft.storage import CompactedIndexError
from raftkv.storage.memory_fs import MemoryFileSystem
from raftkv.storage.wal import list_segments


def on_a_running_member(look):
    """Calls look(member, core) once a cluster of one serves."""

    async def scenario(cluster: SimulatedCluster) -> None:
        cluster.start()
        await cluster.serving()
        (member,) = cluster.members
        look(member, member.running.core)
        await member.stop()

    simulate(3, scenario, count=1)


def acknowledgement(core, index):
    return Message(MessageKind.APPEND_REPLY, to=7, sender=core.member_id, term=core.writer.wal.hard_state.term, index=index)


def test_log_that_ends_below_what_was_acknowledged_in_its_term_is_refuted():
    """Whoever was told counts this disk."""

    def look(member, core):
        rules, last = Durability(), core.writer.wal.last_index
        rules.acknowledges(member, acknowledgement(core, last))
        rules.attach(member, core)
        rules.acknowledges(member, acknowledgement(core, last + 1))
        with pytest.raises(DurabilityError, match=f"acknowledged {last + 1} in term 2 and starts with a log up to {last}"):
            rules.attach(member, core)
        rules.acknowledges(member, acknowledgement(core, last + 1)._replace(term=1))
        rules.attach(member, core)

    on_a_running_member(look)


def test_disk_that_was_exchanged_promised_nothing():
    """What the lost disk held says nothing about the new one."""

    def look(member, core):
        rules, disk = Durability(), member.fs
        member.fs = MemoryFileSystem()
        rules.acknowledges(member, acknowledgement(core, 1_000))
        member.fs = disk
        rules.attach(member, core)

    on_a_running_member(look)


def test_what_stands_behind_the_last_record_is_refuted():
    """A later record could make it a part of the log again."""

    def look(member, core):
        segment = list_segments(member.fs, LOG_FOLDER)[-1]
        file = member.fs.open(f"{LOG_FOLDER}/{segment.name}", write=True)
        assert remains_behind_the_log(member.fs) == 0
        file.pwrite(b"torn", file.size() - 4)
        assert remains_behind_the_log(member.fs) == 4
        with pytest.raises(DurabilityError, match="4 bytes stand behind the last record"):
            Durability().attach(member, core)
        file.pwrite(bytes(4), file.size() - 4)

    on_a_running_member(look)


def test_purge_that_takes_an_entry_the_member_would_send_is_refuted():
    """The leader finds it missing only when a follower needs it."""

    def look(member, core):
        wal = core.writer.wal
        wal.purge = lambda below_index: 1
        Durability().attach(member, core)
        assert wal.purge(1) == 1

        def gone(low, high):
            raise CompactedIndexError

        wal.read_entries = gone
        with pytest.raises(DurabilityError, match="which went with 1 segments"):
            wal.purge(1)

    on_a_running_member(look)
