"""grpcio's threads, with our messages."""

from __future__ import annotations

from raftkv.pb import kv, rpc
from tests.clients.session import arguments, perform
from tests.rpc.client import Client

HOST, PORT, PREFIX = arguments()
END = PREFIX[:-1] + b"0"
COUNT = 12


class Session:
    """The subjects, in the order of their names in SUBJECTS; each builds on what those before it left."""

    def __init__(self, client: Client) -> None:
        self.client = client
        self.revisions: list[int] = []

    def put(self) -> None:
        """Every option."""
        for number in range(COUNT):
            answer = self.client.put(PREFIX + b"%02d" % number, b"%d" % (number * 7 % COUNT))
            assert answer.header.revision and answer.header.member_id and not answer.HasField("prev_kv")
            self.revisions.append(answer.header.revision)
        assert self.revisions == sorted(set(self.revisions))
        again = self.client.put(PREFIX + b"00", ignore_value=True, prev_kv=True)
        assert again.prev_kv.value == b"0" and again.prev_kv.version == 1
        assert self.client.range(PREFIX + b"00").kvs[0].version == 2

    def get(self) -> None:
        """Every option."""
        ranges = self.client.range
        whole = ranges(PREFIX, range_end=END)
        assert [one.key for one in whole.kvs] == [PREFIX + b"%02d" % number for number in range(COUNT)]
        assert (whole.count, whole.more) == (COUNT, False)
        limited = ranges(PREFIX, range_end=END, limit=5)
        assert (len(limited.kvs), limited.count, limited.more) == (5, COUNT, True)
        assert [one.version for one in ranges(PREFIX + b"00", revision=self.revisions[0]).kvs] == [1]
        by_value = ranges(PREFIX, range_end=END, sort_target=rpc.RangeRequest.VALUE, sort_order=rpc.RangeRequest.DESCEND)
        assert [one.value for one in by_value.kvs] == sorted((one.value for one in whole.kvs), reverse=True)
        assert (
            ranges(PREFIX, range_end=END, sort_target=rpc.RangeRequest.MOD, sort_order=rpc.RangeRequest.DESCEND).kvs[0].key
            == PREFIX + b"00"
        )
        assert {one.value for one in ranges(PREFIX, range_end=END, keys_only=True).kvs} == {b""}
        counted = ranges(PREFIX, range_end=END, count_only=True)
        assert (counted.count, len(counted.kvs)) == (COUNT, 0)
        newer = ranges(PREFIX, range_end=END, min_mod_revision=self.revisions[-2], max_mod_revision=self.revisions[-1])
        assert [one.key[-2:] for one in newer.kvs] == [b"10", b"11"]
        older = ranges(PREFIX, range_end=END, min_create_revision=self.revisions[1], max_create_revision=self.revisions[2])
        assert [one.key[-2:] for one in older.kvs] == [b"01", b"02"]
        assert ranges(PREFIX + b"07", range_end=b"\0", serializable=True, limit=1).kvs[0].key == PREFIX + b"07"

    def delete(self) -> None:
        """One, a range, none."""
        one = self.client.delete(PREFIX + b"11", prev_kv=True)
        assert one.deleted == 1 and one.prev_kvs[0].value == b"5"
        assert self.client.delete(PREFIX + b"08", range_end=PREFIX + b"11").deleted == 3
        before = self.client.revision()
        nothing = self.client.delete(PREFIX + b"nothing")
        assert (nothing.deleted, nothing.header.revision) == (0, before)

    def txn(self) -> None:
        """Both branches, every operation."""
        put = rpc.RequestOp(request_put=rpc.PutRequest(key=PREFIX + b"txn", value=b"1"))
        get = rpc.RequestOp(request_range=rpc.RangeRequest(key=PREFIX + b"txn"))
        delete = rpc.RequestOp(request_delete_range=rpc.DeleteRangeRequest(key=PREFIX + b"txn"))
        missing = rpc.Compare(key=PREFIX + b"txn", target=rpc.Compare.CREATE, create_revision=0)
        done = self.client.txn(compare=[missing], success=[put, get], failure=[delete])
        assert done.succeeded and done.responses[1].response_range.kvs[0].value == b"1"
        nested = rpc.RequestOp(request_txn=rpc.TxnRequest(failure=[], success=[delete]))
        done = self.client.txn(compare=[missing], success=[put], failure=[get, nested])
        assert not done.succeeded and done.responses[1].response_txn.responses[0].response_delete_range.deleted == 1

    def watch(self) -> None:
        """History, prefix, prev_kv, live."""
        with self.client.watch() as watch:
            assert watch.create(key=PREFIX, range_end=END, start_revision=self.revisions[0], prev_kv=True).created
            past = watch.events(COUNT + 1 + 4 + 2)
            assert [one.kv.mod_revision for one in past[:COUNT]] == self.revisions
            assert not past[0].HasField("prev_kv") and past[COUNT].prev_kv.value == b"0"
            assert [one.type for one in past[COUNT + 1 :]] == [kv.Event.DELETE] * 4 + [kv.Event.PUT, kv.Event.DELETE]
            self.client.put(PREFIX + b"live", b"now")
            live = watch.events(1)[0]
            assert (live.kv.key, live.kv.value) == (PREFIX + b"live", b"now")

    def lease(self) -> None:
        """Grant, keep alive, time to live, list, revoke."""
        granted = self.client.grant(300)
        self.client.put(PREFIX + b"leased", b"1", lease=granted.ID)
        renewals = self.client.stream("/etcdserverpb.Lease/LeaseKeepAlive", rpc.LeaseKeepAliveResponse)
        renewals.send(rpc.LeaseKeepAliveRequest(ID=granted.ID))
        assert renewals.receive().TTL == 300
        renewals.half_close()
        assert renewals.ended() == ("OK", "")
        ask = rpc.LeaseTimeToLiveRequest(ID=granted.ID, keys=True)
        left = self.client.call("/etcdserverpb.Lease/LeaseTimeToLive", ask, rpc.LeaseTimeToLiveResponse)
        assert 290 <= left.TTL <= 300 and left.grantedTTL == 300 and list(left.keys) == [PREFIX + b"leased"]
        known = self.client.call("/etcdserverpb.Lease/LeaseLeases", rpc.LeaseLeasesRequest(), rpc.LeaseLeasesResponse)
        assert granted.ID in [one.ID for one in known.leases]
        self.client.call("/etcdserverpb.Lease/LeaseRevoke", rpc.LeaseRevokeRequest(ID=granted.ID), rpc.LeaseRevokeResponse)
        assert self.client.range(PREFIX + b"leased").count == 0

    def compaction(self) -> None:
        """What is older is gone."""
        revision = self.client.put(PREFIX + b"00", b"compacted").header.revision
        self.client.compact(revision)
        gone = self.client.refused("/etcdserverpb.KV/Range", rpc.RangeRequest(key=PREFIX, revision=revision - 1), rpc.RangeResponse)
        assert gone == ("OUT_OF_RANGE", "etcdserver: mvcc: required revision has been compacted")
        assert self.client.range(PREFIX + b"00", revision=revision).kvs[0].value == b"compacted"

    def status(self) -> None:
        """This member, and all of them."""
        status = self.client.call("/etcdserverpb.Maintenance/Status", rpc.StatusRequest(), rpc.StatusResponse)
        assert status.version and status.dbSize and status.leader and status.raftIndex >= status.raftAppliedIndex > 0
        found = self.client.call("/etcdserverpb.Cluster/MemberList", rpc.MemberListRequest(linearizable=True), rpc.MemberListResponse)
        assert len(found.members) == 3 and status.leader in [one.ID for one in found.members]


if __name__ == "__main__":
    with Client(f"{HOST}:{PORT}") as found:
        perform(Session(found))
