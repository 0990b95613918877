"""etcd-sdk-python, by its own calls."""

from __future__ import annotations

import pyetcd
from pyetcd import etcdrpc

from tests.clients.session import arguments, perform

HOST, PORT, PREFIX = arguments()
END = PREFIX[:-1] + b"0"
COUNT = 8


class Session:
    """The subjects, in the order of SUBJECTS; each builds on what those before it left."""

    def __init__(self, client: pyetcd.Etcd3Client) -> None:
        self.client = client
        self.revisions: list[int] = []

    def put(self) -> None:
        """New keys, one again, one that is there already."""
        for number in range(COUNT):
            self.revisions.append(self.client.put(PREFIX + b"%d" % number, b"%d" % (COUNT - number)).header.revision)
        assert self.revisions == sorted(set(self.revisions))
        assert self.client.put(PREFIX + b"0", b"again", prev_kv=True).prev_kv.value == b"%d" % COUNT
        assert not self.client.put_if_not_exists(PREFIX + b"0", b"never")

    def get(self) -> None:
        """Every option that the client knows."""
        value, about = self.client.get(PREFIX + b"0", serializable=True)
        assert (value, about.version, about.create_revision) == (b"again", 2, self.revisions[0])
        assert self.client.get(PREFIX + b"nothing") == (None, None)
        assert self.client.get(PREFIX + b"0", revision=self.revisions[0])[0] == b"%d" % COUNT
        found = self.client.get_prefix_response(PREFIX, sort_order="descend", sort_target="mod", limit=2)
        assert (found.count, found.more, [item.key for item in found.kvs]) == (COUNT, True, [PREFIX + b"0", PREFIX + b"7"])
        assert {value for value, _ in self.client.get_prefix(PREFIX, keys_only=True)} == {b""}
        assert self.client.get_prefix_response(PREFIX, count_only=True).count == COUNT
        values = [value for value, _ in self.client.get_range(PREFIX + b"2", PREFIX + b"5", sort_order="descend", sort_target="value")]
        assert values == [b"6", b"5", b"4"]
        found = self.client.get_prefix_response(PREFIX, min_mod_revision=self.revisions[3], max_mod_revision=self.revisions[4])
        assert [item.mod_revision for item in found.kvs] == self.revisions[3:5]

    def delete(self) -> None:
        """One, a prefix, none."""
        assert self.client.delete(PREFIX + b"7", prev_kv=True, return_response=True).prev_kvs[0].value == b"1"
        assert not self.client.delete(PREFIX + b"nothing")
        self.client.put(PREFIX + b"tree/1", b"")
        self.client.put(PREFIX + b"tree/2", b"")
        assert self.client.delete_prefix(PREFIX + b"tree/").deleted == 2

    def txn(self) -> None:
        """Both branches."""
        ask = self.client.transactions
        done, answers = self.client.transaction(
            compare=[ask.version(PREFIX + b"0") > 0, ask.value(PREFIX + b"1") == b"7", ask.mod(PREFIX + b"1") == self.revisions[1]],
            success=[ask.put(PREFIX + b"txn", b"1"), ask.get(PREFIX + b"txn")],
            failure=[ask.delete(PREFIX + b"0")],
        )
        assert done and answers[1][0][0] == b"1"
        assert not self.client.replace(PREFIX + b"txn", b"2", b"3")
        assert self.client.replace(PREFIX + b"txn", b"1", b"3")

    def watch(self) -> None:
        """History, prefix, prev_kv, live."""
        events, cancel = self.client.watch_prefix(PREFIX, start_revision=self.revisions[0], prev_kv=True)
        seen = [next(events) for _ in range(COUNT + 1 + 1 + 4 + 2)]
        assert [event.mod_revision for event in seen[:COUNT]] == self.revisions
        assert seen[COUNT].prev_value == b"%d" % COUNT
        kinds = ["DeleteEvent"] + ["PutEvent"] * 2 + ["DeleteEvent"] * 2 + ["PutEvent"] * 2
        assert [type(event).__name__ for event in seen[COUNT + 1 :]] == kinds
        self.client.put(PREFIX + b"live", b"now")
        live = next(events)
        assert (live.key, live.value) == (PREFIX + b"live", b"now")
        cancel()
        events, cancel = self.client.watch_prefix(PREFIX, filters=[etcdrpc.WatchCreateRequest.FilterType.Value("NOPUT")])
        self.client.put(PREFIX + b"live", b"later")
        self.client.delete(PREFIX + b"live")
        assert type(next(events)).__name__ == "DeleteEvent"
        cancel()

    def lease(self) -> None:
        """Grant, refresh, look at, revoke."""
        lease = self.client.lease(300)
        self.client.put(PREFIX + b"leased", b"1", lease=lease)
        assert [answer.TTL for answer in lease.refresh()] == [300]
        assert 290 <= lease.remaining_ttl <= 300 and lease.granted_ttl == 300 and list(lease.keys) == [PREFIX + b"leased"]
        lease.revoke()
        assert self.client.get(PREFIX + b"leased") == (None, None)

    def compaction(self) -> None:
        """A watch from before it ends."""
        now = self.client.get_response(PREFIX + b"0").header.revision
        self.client.compact(now, physical=True)
        events, _ = self.client.watch(PREFIX, start_revision=self.revisions[0])
        try:
            next(events)
        except pyetcd.exceptions.RevisionCompactedError as error:
            assert error.compacted_revision >= now
        else:
            raise AssertionError("the past is still there")

    def status(self) -> None:
        """This member's, the members', their alarms, the store's hash."""
        status = self.client.status()
        assert status.version and status.db_size and status.leader.name and status.raft_index
        assert len(list(self.client.members)) == 3
        assert list(self.client.list_alarms()) == []
        assert self.client.hash()


if __name__ == "__main__":
    with pyetcd.client(host=HOST, port=PORT, timeout=20) as found:
        perform(Session(found))
