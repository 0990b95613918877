"""`--write-out=protobuf`: the response's bytes as the server sent them; what is no single response has no such form."""

from __future__ import annotations

from typing import NoReturn

from raftctl import fault
from raftctl.context import write
from raftctl.output import Health
from raftkv import client as c


class ProtobufPrinter:
    """See the module."""

    def put(self, result: c.PutResult) -> None:
        """PutResponse."""
        write(result.raw)

    def get(self, result: c.RangeResult, *, values_only: bool = False) -> None:
        """RangeResponse."""
        write(result.raw)

    def delete(self, result: c.DeleteResult) -> None:
        """DeleteRangeResponse."""
        write(result.raw)

    def txn(self, result: c.TxnResult) -> None:
        """TxnResponse."""
        write(result.raw)

    def watch(self, batch: c.WatchBatch) -> None:
        """WatchResponse."""
        write(batch.raw)

    def grant(self, result: c.LeaseGrant) -> None:
        """LeaseGrantResponse."""
        write(result.raw)

    def revoke(self, lease_id: int, result: c.HeaderResult) -> None:
        """LeaseRevokeResponse."""
        write(result.raw)

    def keep_alive(self, result: c.LeaseKeepAlive) -> None:
        """LeaseKeepAliveResponse."""
        write(result.raw)

    def time_to_live(self, result: c.LeaseTimeToLive, *, keys: bool) -> None:
        """LeaseTimeToLiveResponse."""
        write(result.raw)

    def leases(self, result: c.LeaseList) -> None:
        """LeaseLeasesResponse."""
        write(result.raw)

    def member_change(self, result: c.MemberList, member_id: int, text: str) -> None:
        """The response to the change."""
        write(result.raw)

    def move_leader(self, leader_id: int, target_id: int, result: c.HeaderResult) -> None:
        """MoveLeaderResponse."""
        write(result.raw)

    def alarms(self, result: c.AlarmList) -> None:
        """AlarmResponse."""
        write(result.raw)


class ProtobufClusterPrinter:
    """See the module."""

    def _refuse(self) -> NoReturn:
        raise fault.Fault(fault.BAD_FEATURE, "protobuf not supported as output format")

    def member_list(self, result: c.MemberList) -> None:
        """MemberListResponse."""
        write(result.raw)

    def health(self, rows: list[Health]) -> None:
        """No such form."""
        self._refuse()

    def status(self, rows: list[tuple[str, c.Status]]) -> None:
        """No such form."""
        self._refuse()

    def hash_kv(self, rows: list[tuple[str, c.HashKV]]) -> None:
        """No such form."""
        self._refuse()
