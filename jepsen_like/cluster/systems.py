"""The servers a cluster can be made of: their command lines, and what they can and cannot do.

`raftkv` is the package that this process would import; `etcd` is whatever the machine has installed, as a control for faults that do not
look inside.
"""

from __future__ import annotations

import shutil
import sys
from collections.abc import Sequence
from dataclasses import dataclass

from jepsen_like.cluster.member import MemberProcess

RAFTKV, ETCD = "raftkv", "etcd"

TOKEN = "jepsen-like"


@dataclass(frozen=True, slots=True)
class System:
    """One kind of server."""

    name: str
    command: tuple[str, ...]
    """What stands before the flags."""

    flags: tuple[str, ...] = ()
    """Given always."""

    def arguments(self, member: MemberProcess, members: Sequence[MemberProcess], data: str, flags: Sequence[str]) -> list[str]:
        """A member's flags; both servers share etcd's names for them."""
        place = member.place
        listen = ",".join(f"http://{address}" for address in place.listen_clients)
        cluster = member.joins or ",".join(f"{other.name}={other.peer_url}" for other in members)
        return [
            *("--name", member.name, "--data-dir", data),
            *("--listen-client-urls", listen, "--advertise-client-urls", f"http://{place.clients}"),
            *("--listen-peer-urls", f"http://{place.listen_peers}", "--initial-advertise-peer-urls", member.peer_url),
            *("--initial-cluster", cluster, "--initial-cluster-token", TOKEN),
            *self.flags,
            *flags,
        ]

    def unavailable_because(self) -> str:
        """Why it cannot be run here; empty when it can."""
        return "" if shutil.which(self.command[0]) else f"{self.command[0]} is not installed"


SYSTEMS = {
    RAFTKV: System(RAFTKV, (sys.executable, "-m", "raftkv", "server")),
    ETCD: System(ETCD, ("etcd",), ("--logger=zap", "--log-outputs=stderr")),
}
