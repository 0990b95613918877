"""endpoint health, status, hashkv: each endpoint asked for itself."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Awaitable, Callable
from typing import TypeVar

from raftctl import fault
from raftctl.command import Command, Entry, Group
from raftctl.context import Invocation
from raftctl.flags import BOOL, INT64, flag
from raftctl.output import Health
from raftkv.client import AsyncClient
from raftkv.clock import SystemClock
from raftkv.errors import PermissionDeniedError, RaftKVError

T = TypeVar("T")

CLUSTER_FLAG = flag("cluster", BOOL, False, "use all endpoints from the cluster member list")


def endpoints(invocation: Invocation, *, cluster: bool) -> list[str]:
    """The endpoints a command is about: those given, or those the members advertise.

    Raises:
        Fault: the members could not be listed.
    """
    if not cluster:
        return invocation.settings.endpoints
    try:
        result = invocation.call(lambda client: client.cluster.members())
    except RaftKVError as exc:
        raise fault.Fault(fault.ERROR, f"failed to fetch endpoints from etcd cluster member list: {exc}") from exc
    return [url for member in result.members for url in member.client_urls]


async def _check(invocation: Invocation, endpoint: str, printers: list[Health]) -> None:
    """One endpoint: a linearizable read shows that it can commit, and no alarm may be raised."""
    clock = SystemClock()
    started_s = clock.monotonic_s()
    error = ""
    async with invocation.client([endpoint]) as client:
        try:
            await client.get("health")
        except PermissionDeniedError:
            pass  # refused by what the quorum agreed on, so there is one
        except RaftKVError as exc:
            error = str(exc)
        took_s = clock.monotonic_s() - started_s
        if not error:
            error = await _alarms(client)
    printers.append(Health(endpoint, healthy=not error, took_s=took_s, error=error))


async def _alarms(client: AsyncClient) -> str:
    try:
        alarms = (await client.maintenance.alarms()).alarms
    except PermissionDeniedError:
        return ""
    except RaftKVError as exc:
        return f"Unable to fetch the alarm list: {exc}"
    if not alarms:
        return ""
    return "Active Alarm(s): " + ", ".join(alarm.name for alarm in alarms)


def run_health(invocation: Invocation, words: list[str], *, cluster: bool) -> None:
    """`endpoint health`."""
    printer = invocation.cluster_printer
    targets = endpoints(invocation, cluster=cluster)
    rows: list[Health] = []

    async def body() -> None:
        async with asyncio.TaskGroup() as tasks:
            for endpoint in targets:
                tasks.create_task(_check(invocation, endpoint, rows), name=f"health {endpoint}")

    invocation.run(body())
    printer.health(rows)
    if any(row.error for row in rows):
        raise fault.Fault(fault.ERROR, "unhealthy cluster")


def _each(
    invocation: Invocation, targets: list[str], action: Callable[[AsyncClient], Awaitable[T]], failure: str
) -> tuple[list[tuple[str, T]], RaftKVError | None]:
    """Asks each endpoint in turn; failures are reported as they come, and the last is returned."""
    rows: list[tuple[str, T]] = []
    last: RaftKVError | None = None

    async def body() -> None:
        nonlocal last
        for endpoint in targets:
            async with invocation.client([endpoint]) as client:
                try:
                    rows.append((endpoint, await action(client)))
                except RaftKVError as exc:
                    last = exc
                    print(f"{failure.format(endpoint)} ({exc})", file=sys.stderr)

    invocation.run(body())
    return rows, last


def run_status(invocation: Invocation, words: list[str], *, cluster: bool) -> None:
    """`endpoint status`."""
    printer = invocation.cluster_printer
    targets = endpoints(invocation, cluster=cluster)
    rows, failed = _each(invocation, targets, lambda client: client.maintenance.status(), "Failed to get the status of endpoint {}")
    printer.status(rows)
    if failed is not None:
        raise fault.Fault(fault.ERROR)


def run_hash_kv(invocation: Invocation, words: list[str], *, cluster: bool, rev: int) -> None:
    """`endpoint hashkv`."""
    printer = invocation.cluster_printer
    targets = endpoints(invocation, cluster=cluster)
    rows, failed = _each(
        invocation, targets, lambda client: client.maintenance.hash_kv(revision=rev), "Failed to get the hash of endpoint {}"
    )
    printer.hash_kv(rows)
    if failed is not None:
        raise fault.Fault(fault.ERROR, str(failed))


HEALTH = Command(
    "health",
    run_health,
    usage="",
    help="Checks the healthiness of endpoints specified in `--endpoints` flag.",
    flags=(CLUSTER_FLAG,),
    examples="raftctl endpoint health --cluster -w table",
)
STATUS = Command(
    "status",
    run_status,
    usage="",
    help="Prints out the status of endpoints specified in `--endpoints` flag.",
    flags=(CLUSTER_FLAG,),
    examples="raftctl endpoint status --cluster -w table",
)
HASH_KV = Command(
    "hashkv",
    run_hash_kv,
    usage="",
    help="Prints the KV history hash for each endpoint in --endpoints; equal for members with equal data.",
    flags=(CLUSTER_FLAG, flag("rev", INT64, 0, "maximum revision to hash (default: latest revision)")),
    examples="raftctl endpoint hashkv --cluster --rev=1234",
)

ENDPOINT = Group(
    "endpoint",
    {
        "hashkv": Entry("raftctl.commands.endpoint:HASH_KV", "Prints the KV history hash for each endpoint in --endpoints"),
        "health": Entry("raftctl.commands.endpoint:HEALTH", "Checks the healthiness of endpoints specified in `--endpoints` flag"),
        "status": Entry("raftctl.commands.endpoint:STATUS", "Prints out the status of endpoints specified in `--endpoints` flag"),
    },
    help="Endpoint related commands.",
)
