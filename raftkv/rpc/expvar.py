"""/debug/vars: what Go programs publish of themselves, as far as it means something here.

Source: Go's expvar and etcd's `raft.status`. Plain functions; refuses to know HTTP.
"""

from __future__ import annotations

import json
import resource
import sys
from collections.abc import Sequence

from raftkv.server.api import RaftView


def render(view: RaftView, *, argv: Sequence[str], descriptors_max: int, resident_bytes: int) -> bytes:
    """One variable a line, sorted by name, as expvar writes them."""
    variables = {
        "cmdline": list(argv),
        "file_descriptor_limit": descriptors_max,
        # Of Go's many numbers the one with a meaning outside Go: memory held from the system.
        "memstats": {"Sys": resident_bytes},
        "raft.status": raft_status(view),
    }
    lines = ",\n".join(f"{json.dumps(name)}: {json.dumps(value, separators=(',', ':'))}" for name, value in variables.items())
    return f"{{\n{lines}\n}}\n".encode()


def raft_status(view: RaftView) -> dict[str, object]:
    """etcd's names and forms: ids in hexadecimal, states by their Go names; progress is empty on any member but the leader."""
    return {
        "id": f"{view.member_id:x}",
        "term": view.term,
        "vote": f"{view.vote:x}",
        "commit": view.commit,
        "lead": f"{view.leader_id:x}",
        "raftState": _state(view.role),
        "applied": view.applied,
        "progress": {f"{one.member_id:x}": {"match": one.match, "next": one.next, "state": _state(one.state)} for one in view.progress},
        "leadtransferee": f"{view.transferee:x}",
    }


def of_process() -> tuple[Sequence[str], int]:
    """This process's command line and its limit of open files."""
    return sys.argv, resource.getrlimit(resource.RLIMIT_NOFILE)[0]


def _state(name: str) -> str:
    return "State" + name.title().replace("_", "")
