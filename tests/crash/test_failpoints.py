"""A member ends at each place its life leads through, is started again, and has all that it acknowledged."""

from __future__ import annotations

import asyncio

import pytest

from jepsen_like.cluster import Cluster
from jepsen_like.cluster.member import MemberProcess
from jepsen_like.nemesis.failing import Places
from raftkv.client import ALL, AsyncClient
from raftkv.errors import RaftKVError

pytestmark = pytest.mark.slow

PLACES = (
    "raftBeforeSave",
    "walBeforeSync",
    "walAfterSync",
    "raftAfterSave",
    "raftBeforeAdvance",
    "beforeApplyOneEntryNormal",
    "commitBeforePreCommitHook",
    "commitAfterPreCommitHook",
    "beforeCommit",
    "beforeStartDBTxn",
    "afterStartDBTxn",
    "afterCommit",
    "beforeWritebackBuf",
    "afterWritebackBuf",
    "raftBeforeWALSaveSnapshot",
    "compactBeforeCommitScheduledCompact",
    "compactAfterCommitScheduledCompact",
    "compactAfterAcquiredBatchTxLock",
    "compactBeforeSetFinishedCompact",
    "compactAfterSetFinishedCompact",
)
"""Those that writes and compactions to one member lead through."""

FLAGS = ("--heartbeat-interval=20", "--election-timeout=200", "--snapshot-count=30", "--snapshot-catchup-entries=5")
WRITES_MAX = 5_000
WITHIN_S = 60.0
"""For a call to a member that lives; one whose member ends is told at once."""


class Writer:
    """Writes one key after another, compacts now and then, and knows what was acknowledged."""

    def __init__(self, member: MemberProcess) -> None:
        self._member = member
        self.acknowledged: dict[bytes, bytes] = {}
        self.revision = 0
        self._number = 0

    async def until_it_ends(self) -> None:
        """Until a call fails."""
        async with AsyncClient([self._member.endpoint], timeout_s=WITHIN_S) as client:
            for _ in range(WRITES_MAX):
                self._number += 1
                key, value = b"key%d" % (self._number % 7), b"%d" % self._number
                try:
                    done = await client.put(key, value)
                    if self._number % 20 == 0:
                        await client.compact(done.header.revision - 1)
                except RaftKVError:
                    self.acknowledged.pop(key, None)
                    return
                assert done.header.revision > self.revision, "a revision was used again"
                self.revision = done.header.revision
                self.acknowledged[key] = value
        raise AssertionError(f"{WRITES_MAX} writes did not lead there")

    async def check(self) -> None:
        """What was acknowledged is there."""
        async with AsyncClient([self._member.endpoint], timeout_s=WITHIN_S) as client:
            found = await client.range(ALL)
        assert found.header.revision >= self.revision, "the revision went back"
        held = {one.key: one.value for one in found.kvs}
        assert self.acknowledged.items() <= held.items(), (self.acknowledged, held)


def test_member_that_ends_anywhere_keeps_what_it_acknowledged(tmp_path):
    """Every place between a request and its last trace on the disk is one where the power may go."""

    async def run() -> None:
        async with Cluster(tmp_path, size=1, flags=FLAGS, instruments=("failpoints",)) as cluster:
            member = cluster.members[0]
            writer = Writer(member)
            for place in PLACES:
                cluster.start()
                await cluster.wait_healthy()
                await writer.check()
                await Places(member).switch_on(place, "3*print->panic")
                await writer.until_it_ends()
                assert await cluster.wait_ended(member) == 2, place
                assert f"panic: failpoint {place}" in member.log_tail(), place
            cluster.start()
            await cluster.wait_healthy()
            await writer.check()

    asyncio.run(run())
