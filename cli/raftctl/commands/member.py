"""member add, remove, update, list, promote."""

from __future__ import annotations

import urllib.parse
from collections.abc import Callable, Coroutine
from typing import Any

from raftctl import fault
from raftctl.command import Command, Entry, Group
from raftctl.context import Invocation, write
from raftctl.flags import BOOL, STRING, flag
from raftctl.go_text import GoTextError, parse_int, quote
from raftkv.client import AsyncClient, MemberList


def _bad(text: str) -> fault.Fault:
    return fault.Fault(fault.BAD_ARGUMENTS, text)


def _member_id(words: list[str]) -> int:
    if len(words) != 1:
        raise _bad("member ID is not provided")
    try:
        return parse_int(words[0], 16, unsigned=True)
    except GoTextError as exc:
        raise _bad(f"bad member ID arg ({exc}), expecting ID in Hex") from exc


def _check_urls(peer_urls: str) -> list[str]:
    """The URLs of a flag, refused here when no server could take them.

    Raises:
        Fault: one is no URL of a member.
    """
    urls = peer_urls.split(",")
    for url in urls:
        split = urllib.parse.urlsplit(url)
        if split.scheme not in ("http", "https", "unix", "unixs"):
            raise fault.Fault(fault.ERROR, f"URL scheme must be http, https, unix, or unixs: {url}")
    return urls


def run_add(invocation: Invocation, words: list[str], *, peer_urls: str, learner: bool) -> None:
    """`member add`."""
    if not words:
        raise _bad("member name not provided")
    if len(words) > 1:
        text = "too many arguments"
        if any(word.startswith(("http", "https")) for word in words):
            text += ", did you mean --peer-urls=" + next(word for word in words if word.startswith("http"))
        raise _bad(text)
    if not peer_urls:
        raise _bad("member peer urls not provided")
    name, urls = words[0], _check_urls(peer_urls)
    printer = invocation.printer
    result = invocation.call(lambda client: client.cluster.add(urls, learner=learner))
    assert result.member is not None
    printer.member_change(result, result.member.id, "added to")
    if invocation.settings.write_out == "simple":
        _print_configuration(name, peer_urls, result, result.member.id)


def _print_configuration(name: str, peer_urls: str, result: MemberList, member_id: int) -> None:
    """What the new member is to be started with."""
    initial = [f"{name if member.id == member_id else member.name}={url}" for member in result.members for url in member.peer_urls]
    lines = (
        f"\nETCD_NAME={quote(name.encode())}",
        f"ETCD_INITIAL_CLUSTER={quote(','.join(initial).encode())}",
        f"ETCD_INITIAL_ADVERTISE_PEER_URLS={quote(peer_urls.encode())}",
        'ETCD_INITIAL_CLUSTER_STATE="existing"\n',
    )
    write("\n".join(lines).encode("utf-8", "surrogateescape"))


def _change(invocation: Invocation, member_id: int, text: str, action: Callable[[AsyncClient], Coroutine[Any, Any, MemberList]]) -> None:
    printer = invocation.printer
    printer.member_change(invocation.call(action), member_id, text)


def run_remove(invocation: Invocation, words: list[str]) -> None:
    """`member remove`."""
    member_id = _member_id(words)
    _change(invocation, member_id, "removed from", lambda client: client.cluster.remove(member_id))


def run_update(invocation: Invocation, words: list[str], *, peer_urls: str) -> None:
    """`member update`."""
    member_id = _member_id(words)
    if not peer_urls:
        raise _bad("member peer urls not provided")
    urls = peer_urls.split(",")
    _change(invocation, member_id, "updated in", lambda client: client.cluster.update(member_id, urls))


def run_promote(invocation: Invocation, words: list[str]) -> None:
    """`member promote`."""
    member_id = _member_id(words)
    _change(invocation, member_id, "promoted in", lambda client: client.cluster.promote(member_id))


def run_list(invocation: Invocation, words: list[str], *, consistency: str) -> None:
    """`member list`."""
    if consistency not in ("l", "s"):
        raise fault.Fault(fault.BAD_FEATURE, f"unknown consistency flag {quote(consistency.encode())}")
    printer = invocation.cluster_printer
    printer.member_list(invocation.call(lambda client: client.cluster.members(linearizable=consistency == "l")))


_PEER_URLS = flag("peer-urls", STRING, "", "comma separated peer URLs for the member")

ADD = Command(
    "add",
    run_add,
    usage="<memberName>",
    help="Adds a member into the cluster and prints what it is to be started with.",
    flags=(_PEER_URLS, flag("learner", BOOL, False, "indicates if the new member is raft learner")),
    examples="raftctl member add n4 --peer-urls=http://10.0.0.4:2380 --learner",
)
REMOVE = Command("remove", run_remove, usage="<memberID>", help="Removes a member from the cluster, for good.")
UPDATE = Command("update", run_update, usage="<memberID>", help="Updates a member in the cluster.", flags=(_PEER_URLS,))
PROMOTE = Command("promote", run_promote, usage="<memberID>", help="Promotes a non-voting member in the cluster.")
LIST = Command(
    "list",
    run_list,
    usage="",
    help="Lists all members in the cluster: id, status, name, peer addresses, client addresses, whether it is a learner.",
    flags=(flag("consistency", STRING, "l", "Linearizable(l) or Serializable(s)", shown='"l"'),),
    examples="raftctl member list -w table",
)

MEMBER = Group(
    "member",
    {
        "add": Entry("raftctl.commands.member:ADD", "Adds a member into the cluster"),
        "list": Entry("raftctl.commands.member:LIST", "Lists all members in the cluster"),
        "promote": Entry("raftctl.commands.member:PROMOTE", "Promotes a non-voting member in the cluster"),
        "remove": Entry("raftctl.commands.member:REMOVE", "Removes a member from the cluster"),
        "update": Entry("raftctl.commands.member:UPDATE", "Updates a member in the cluster"),
    },
    help="Membership related commands.",
)
