"""lease grant, revoke, timetolive, list, keep-alive."""

from __future__ import annotations

from raftctl import fault
from raftctl.command import Command, Entry, Group
from raftctl.commands.kv import parse_lease_id
from raftctl.context import Invocation
from raftctl.flags import BOOL, flag
from raftctl.go_text import GoTextError, parse_int
from raftkv.errors import LeaseNotFoundError, RaftKVError, RequestError


def _bad(text: str) -> fault.Fault:
    return fault.Fault(fault.BAD_ARGUMENTS, text)


def run_grant(invocation: Invocation, words: list[str]) -> None:
    """`lease grant`."""
    if len(words) != 1:
        raise _bad("lease grant command needs TTL argument")
    try:
        ttl_s = parse_int(words[0], 10)
    except GoTextError as exc:
        raise _bad(f"bad TTL ({exc})") from exc
    printer = invocation.printer
    try:
        printer.grant(invocation.call(lambda client: client.leases.grant(ttl_s)))
    except RequestError as exc:
        raise fault.Fault(fault.ERROR, f"failed to grant lease ({exc})") from exc


def run_revoke(invocation: Invocation, words: list[str]) -> None:
    """`lease revoke`."""
    if len(words) != 1:
        raise _bad("lease revoke command needs 1 argument")
    lease_id = parse_lease_id(words[0])
    printer = invocation.printer
    try:
        printer.revoke(lease_id, invocation.call(lambda client: client.leases.revoke(lease_id)))
    except RequestError as exc:
        raise fault.Fault(fault.ERROR, f"failed to revoke lease ({exc})") from exc


def run_time_to_live(invocation: Invocation, words: list[str], *, keys: bool) -> None:
    """`lease timetolive`."""
    if len(words) != 1:
        raise _bad("lease timetolive command needs lease ID as argument")
    lease_id = parse_lease_id(words[0])
    printer = invocation.printer
    printer.time_to_live(invocation.call(lambda client: client.leases.time_to_live(lease_id, keys=keys)), keys=keys)


def run_list(invocation: Invocation, words: list[str]) -> None:
    """`lease list`."""
    printer = invocation.printer
    printer.leases(invocation.call(lambda client: client.leases.list()))


def run_keep_alive(invocation: Invocation, words: list[str], *, once: bool) -> None:
    """`lease keep-alive`."""
    if len(words) != 1:
        raise _bad("lease keep-alive command needs lease ID as argument")
    lease_id = parse_lease_id(words[0])
    printer = invocation.printer
    if once:
        try:
            printer.keep_alive(invocation.call(lambda client: client.leases.keep_alive_once(lease_id)))
        except RaftKVError as exc:
            raise fault.Fault(fault.BAD_CONNECTION, str(exc)) from exc
        return

    async def keep_alive() -> None:
        async with invocation.client() as client:
            async for answer in client.leases.keep_alive(lease_id):
                printer.keep_alive(answer)

    try:
        invocation.run(keep_alive())
    except LeaseNotFoundError:
        from raftctl.output import write_line

        write_line(f"lease {lease_id:016x} expired or revoked.")


GRANT = Command("grant", run_grant, usage="<ttl>", help="Creates leases; the TTL is in seconds.", examples="raftctl lease grant 60")
REVOKE = Command(
    "revoke", run_revoke, usage="<leaseID>", help="Revokes leases and deletes their keys.", examples="raftctl lease revoke 32695410dcc0ca06"
)
TIME_TO_LIVE = Command(
    "timetolive",
    run_time_to_live,
    usage="<leaseID>",
    help="Gets lease information.",
    flags=(flag("keys", BOOL, False, "Get keys attached to this lease"),),
    examples="raftctl lease timetolive 32695410dcc0ca06 --keys",
)
LIST = Command("list", run_list, usage="", help="Lists all active leases.", examples="raftctl lease list")
KEEP_ALIVE = Command(
    "keep-alive",
    run_keep_alive,
    usage="<leaseID>",
    help="Keeps leases alive (renew), until it is stopped or the lease is gone.",
    flags=(flag("once", BOOL, False, "Resets the keep-alive time to its original value and exits immediately"),),
    examples="raftctl lease keep-alive 32695410dcc0ca06",
)

LEASE = Group(
    "lease",
    {
        "grant": Entry("raftctl.commands.lease:GRANT", "Creates leases"),
        "keep-alive": Entry("raftctl.commands.lease:KEEP_ALIVE", "Keeps leases alive (renew)"),
        "list": Entry("raftctl.commands.lease:LIST", "List all active leases"),
        "revoke": Entry("raftctl.commands.lease:REVOKE", "Revokes leases"),
        "timetolive": Entry("raftctl.commands.lease:TIME_TO_LIVE", "Get lease information"),
    },
    help="Lease related commands.",
)
