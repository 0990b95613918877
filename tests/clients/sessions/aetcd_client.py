"""aetcd, by its own calls; what they leave out of a range's options goes through its stub."""

from __future__ import annotations

import asyncio
from typing import Any

import aetcd
from aetcd import rpc

from tests.clients.session import arguments, perform_async

HOST, PORT, PREFIX = arguments()
END = PREFIX[:-1] + b"0"
COUNT = 8


class Session:
    """The subjects, in the order of SUBJECTS; each builds on what those before it left."""

    def __init__(self, client: aetcd.Client) -> None:
        self.client = client
        self.revisions: list[int] = []

    async def put(self) -> None:
        """New keys, then one again."""
        for number in range(COUNT):
            answer = await self.client.put(PREFIX + b"%d" % number, b"%d" % (COUNT - number))
            self.revisions.append(answer.header.revision)
        assert self.revisions == sorted(set(self.revisions))
        answer = await self.client.put(PREFIX + b"0", b"again", prev_kv=True)
        assert answer.prev_kv.value == b"%d" % COUNT

    async def get(self) -> None:
        """Every option."""
        one = await self.client.get(PREFIX + b"0", serializable=True)
        assert (one.value, one.version, one.create_revision) == (b"again", 2, self.revisions[0])
        assert await self.client.get(PREFIX + b"nothing") is None
        found = await self.client.get_prefix(PREFIX, sort_order="descend", sort_target="mod")
        assert found.count == COUNT and [item.key for item in found][:2] == [PREFIX + b"0", PREFIX + b"%d" % (COUNT - 1)]
        found = await self.client.get_prefix(PREFIX, keys_only=True)
        assert {item.value for item in found} == {b""}
        found = await self.client.get_range(PREFIX + b"2", PREFIX + b"5", sort_order="descend", sort_target="value")
        assert [item.value for item in found] == [b"6", b"5", b"4"]
        assert {item.key for item in found} <= {item.key for item in await self.client.get_all(sort_order="ascend", sort_target="create")}
        found = await self._range(limit=3)
        assert (len(found.kvs), found.more, found.count) == (3, True, COUNT)
        found = await self._range(revision=self.revisions[2], count_only=True)
        assert found.count == 3
        found = await self._range(min_mod_revision=self.revisions[3], max_mod_revision=self.revisions[4])
        assert [item.mod_revision for item in found.kvs] == self.revisions[3:5]
        found = await self._range(min_create_revision=self.revisions[3], max_create_revision=self.revisions[4])
        assert [item.create_revision for item in found.kvs] == self.revisions[3:5]

    async def _range(self, **options: Any) -> Any:
        return await self.client.kvstub.Range(rpc.RangeRequest(key=PREFIX, range_end=END, **options), timeout=10)

    async def delete(self) -> None:
        """One, a range, none."""
        assert (await self.client.delete(PREFIX + b"7", prev_kv=True)).prev_kv.value == b"1"
        assert await self.client.delete(PREFIX + b"nothing") is None
        assert (await self.client.delete_range(PREFIX + b"5", PREFIX + b"7")).deleted == 2

    async def txn(self) -> None:
        """Both branches."""
        is_there = self.client.transactions.version(PREFIX + b"0") > 0
        done, answers = await self.client.transaction(
            compare=[is_there, self.client.transactions.value(PREFIX + b"1") == b"7"],
            success=[self.client.transactions.put(PREFIX + b"txn", b"1"), self.client.transactions.get(PREFIX + b"txn")],
            failure=[self.client.transactions.delete(PREFIX + b"0")],
        )
        assert done and answers[1][0][0] == b"1"
        assert not await self.client.replace(PREFIX + b"txn", b"2", b"3")
        assert await self.client.replace(PREFIX + b"txn", b"1", b"3")

    async def watch(self) -> None:
        """History, prefix, prev_kv, live."""
        watch = await self.client.watch_prefix(PREFIX, start_revision=self.revisions[0], prev_kv=True)
        events = watch.__aiter__()
        seen = [await anext(events) for _ in range(COUNT + 1 + 3 + 2)]
        assert [event.kv.mod_revision for event in seen[:COUNT]] == self.revisions
        assert seen[COUNT].prev_kv.value == b"%d" % COUNT
        assert [event.kind for event in seen[COUNT + 1 :]] == ["DELETE"] * 3 + ["PUT"] * 2
        await self.client.put(PREFIX + b"live", b"now")
        live = await anext(events)
        assert (live.kv.key, live.kv.value) == (PREFIX + b"live", b"now")
        await watch.cancel()

    async def lease(self) -> None:
        """Grant, refresh, look at, revoke."""
        lease = await self.client.lease(300)
        await self.client.put(PREFIX + b"leased", b"1", lease=lease)
        assert (await self.client.refresh_lease(lease.id)).TTL == 300
        info = await self.client.get_lease_info(lease.id)
        assert info.grantedTTL == 300 and list(info.keys) == [PREFIX + b"leased"]
        await lease.revoke()
        assert await self.client.get(PREFIX + b"leased") is None

    async def compaction(self) -> None:
        """A watch from before it ends."""
        now = (await self.client.get(PREFIX + b"live")).header.revision
        await self.client.compact(now, physical=True)
        watch = await self.client.watch(PREFIX, start_revision=self.revisions[0])
        try:
            await anext(watch.__aiter__())
        except aetcd.exceptions.RevisionCompactedError as error:
            assert error.compacted_revision >= now
        else:
            raise AssertionError("the past is still there")

    async def status(self) -> None:
        """This member's, the members', their alarms, the store's hash."""
        status = await self.client.status()
        assert status.version and status.db_size and status.leader.name and status.raft_index
        assert len([member async for member in self.client.members()]) == 3
        assert [alarm async for alarm in self.client.list_alarms()] == []
        assert await self.client.hash()


async def main() -> None:
    """One client for all of it."""
    async with aetcd.Client(host=HOST, port=PORT, timeout=20) as client:
        await perform_async(Session(client))


if __name__ == "__main__":
    asyncio.run(main())
