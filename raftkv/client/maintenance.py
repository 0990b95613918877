"""What an operator asks of single members: status, hashes, defragmentation, alarms, leadership."""

from __future__ import annotations

from raftkv.client import answers, results
from raftkv.client.caller import Caller, Method
from raftkv.client.endpoints import Endpoint
from raftkv.pb import rpc

STATUS = Method("/etcdserverpb.Maintenance/Status", mutates=False)
HASH_KV = Method("/etcdserverpb.Maintenance/HashKV", mutates=False)
DEFRAGMENT = Method("/etcdserverpb.Maintenance/Defragment", mutates=True)
ALARM_READ = Method("/etcdserverpb.Maintenance/Alarm", mutates=False)
ALARM_CHANGE = Method("/etcdserverpb.Maintenance/Alarm", mutates=True)
MOVE_LEADER = Method("/etcdserverpb.Maintenance/MoveLeader", mutates=True)


class Maintenance:
    """The maintenance calls; all raise as `AsyncClient.execute`. An `endpoint` left out is the one in use."""

    def __init__(self, caller: Caller, timeout_s: float | None) -> None:
        self._caller = caller
        self._timeout_s = timeout_s

    async def status(self, endpoint: Endpoint | None = None) -> results.Status:
        """What one member says of itself; answered even without a leader."""
        return answers.status_from(await self._send(STATUS, rpc.StatusRequest().SerializeToString(), endpoint))

    async def hash_kv(self, endpoint: Endpoint | None = None, *, revision: int = 0) -> results.HashKV:
        """A hash over one member's history up to `revision` (0: the newest); equal on all members."""
        return answers.hash_kv_from(await self._send(HASH_KV, rpc.HashKVRequest(revision=revision).SerializeToString(), endpoint))

    async def defragment(self, endpoint: Endpoint | None = None) -> results.HeaderResult:
        """Rewrites one member's store compactly; the member answers nothing else meanwhile."""
        return answers.header_from(await self._send(DEFRAGMENT, b"", endpoint))

    async def move_leader(self, target_id: int, endpoint: Endpoint | None = None) -> results.HeaderResult:
        """Hands leadership to another voter; only the leader itself takes this call."""
        return answers.header_from(await self._send(MOVE_LEADER, rpc.MoveLeaderRequest(targetID=target_id).SerializeToString(), endpoint))

    async def alarms(self) -> results.AlarmList:
        """All alarms of all members."""
        request = rpc.AlarmRequest(action=rpc.AlarmRequest.AlarmAction.GET)
        return answers.alarms_from(await self._send(ALARM_READ, request.SerializeToString(), None))

    async def disarm(self, alarm: results.Alarm) -> results.AlarmList:
        """Clears one alarm; the result holds it, or nothing if it was not raised."""
        request = rpc.AlarmRequest(action=rpc.AlarmRequest.AlarmAction.DEACTIVATE, memberID=alarm.member_id)
        request.alarm = alarm.kind  # type: ignore[assignment]
        return answers.alarms_from(await self._send(ALARM_CHANGE, request.SerializeToString(), None))

    async def _send(self, method: Method, body: bytes, endpoint: Endpoint | None) -> bytes:
        return await self._caller.call(method, body, timeout_s=self._timeout_s, endpoint=endpoint)
