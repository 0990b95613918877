"""alarm, defrag, move-leader."""

from __future__ import annotations

import sys

from raftctl import fault
from raftctl.command import Command, Entry, Group
from raftctl.commands.endpoint import CLUSTER_FLAG, endpoints
from raftctl.context import Invocation
from raftctl.go_text import GoTextError, format_duration, parse_int
from raftctl.output import write_line
from raftkv.client import AlarmList, AsyncClient, Header, HeaderResult
from raftkv.clock import SystemClock
from raftkv.errors import RaftKVError


def run_alarm_list(invocation: Invocation, words: list[str]) -> None:
    """`alarm list`."""
    if words:
        raise fault.Fault(fault.BAD_ARGUMENTS, "alarm list command accepts no arguments")
    printer = invocation.printer
    printer.alarms(invocation.call(lambda client: client.maintenance.alarms()))


def run_alarm_disarm(invocation: Invocation, words: list[str]) -> None:
    """`alarm disarm`: every alarm there is."""
    if words:
        raise fault.Fault(fault.BAD_ARGUMENTS, "alarm disarm command accepts no arguments")
    printer = invocation.printer

    async def disarm(client: AsyncClient) -> AlarmList:
        gone = AlarmList(Header(), [])
        for alarm in (await client.maintenance.alarms()).alarms:
            answer = await client.maintenance.disarm(alarm)
            gone.alarms += answer.alarms
            gone.raw += answer.raw  # NB: joined protobuf messages are the message with all their elements.
        return gone

    printer.alarms(invocation.call(disarm))


def run_defrag(invocation: Invocation, words: list[str], *, cluster: bool) -> None:
    """`defrag`: one endpoint after the other, since a member answers nothing meanwhile."""
    targets = endpoints(invocation, cluster=cluster)
    failures = 0
    clock = SystemClock()

    async def body() -> None:
        nonlocal failures
        for endpoint in targets:
            async with invocation.client([endpoint]) as client:
                started_s = clock.monotonic_s()
                try:
                    await client.maintenance.defragment()
                except RaftKVError as exc:
                    failures += 1
                    took = format_duration(clock.monotonic_s() - started_s)
                    print(f"Failed to defragment etcd member[{endpoint}]. took {took}. ({exc})", file=sys.stderr)
                else:
                    write_line(f"Finished defragmenting etcd member[{endpoint}]. took {format_duration(clock.monotonic_s() - started_s)}")

    invocation.run(body())
    if failures:
        raise fault.Fault(fault.ERROR)


def run_move_leader(invocation: Invocation, words: list[str]) -> None:
    """`move-leader`: finds the leader among the endpoints and asks it to hand over."""
    if len(words) != 1:
        raise fault.Fault(fault.BAD_ARGUMENTS, "move-leader command needs 1 argument")
    try:
        target_id = parse_int(words[0], 16, unsigned=True)
    except GoTextError as exc:
        raise fault.Fault(fault.BAD_ARGUMENTS, str(exc)) from exc
    printer = invocation.printer
    targets = invocation.settings.endpoints

    async def body() -> tuple[int, HeaderResult] | None:
        for endpoint in targets:
            async with invocation.client([endpoint]) as client:
                status = await client.maintenance.status()
                if status.leader == status.header.member_id:
                    return status.leader, await client.maintenance.move_leader(target_id)
        return None

    moved = invocation.run(body())
    if moved is None:
        raise fault.Fault(fault.BAD_ARGUMENTS, f"no leader endpoint given at [{' '.join(targets)}]")
    printer.move_leader(moved[0], target_id, moved[1])


ALARM_LIST = Command("list", run_alarm_list, usage="", help="Lists all alarms.", examples="raftctl alarm list")
ALARM_DISARM = Command("disarm", run_alarm_disarm, usage="", help="Disarms all alarms.", examples="raftctl alarm disarm")
ALARM = Group(
    "alarm",
    {
        "disarm": Entry("raftctl.commands.maintenance:ALARM_DISARM", "Disarms all alarms"),
        "list": Entry("raftctl.commands.maintenance:ALARM_LIST", "Lists all alarms"),
    },
    help="Alarm related commands.",
)
DEFRAG = Command(
    "defrag",
    run_defrag,
    usage="",
    help="Defragments the storage of the members with given endpoints.",
    flags=(CLUSTER_FLAG,),
    examples="raftctl defrag --cluster --command-timeout=60s",
)
MOVE_LEADER = Command(
    "move-leader",
    run_move_leader,
    usage="<transferee-member-id>",
    help="Transfers leadership to another cluster member.",
    examples="raftctl move-leader 8e9e05c52164694d --endpoints=$ALL",
)
