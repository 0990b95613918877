"""docs/FAULTS.md: every row of faults, where it can be done and how it is known to have worked.

    python -m jepsen_like.nemesis.table > docs/FAULTS.md

Written from the registry, by asking each fault whether a cluster of each back end could have it; a test holds the page to it.
"""

from __future__ import annotations

import pathlib
import sys
import tempfile

from jepsen_like.cluster.cluster import CLOCK, FAILPOINTS, FILES, Cluster
from jepsen_like.cluster.namespaces import Namespaces
from jepsen_like.cluster.networks import Network
from jepsen_like.cluster.power import LoopPower, Power, TracedPower
from jepsen_like.cluster.proxies import Proxies
from jepsen_like.nemesis.fault import Fault
from jepsen_like.nemesis.registry import ALL
from jepsen_like.nemesis.rows import ROWS

HEAD = """# Faults

What `jepsen-like run --nemesis NAME` does to real member processes, and what the simulator does. Each fault looks for its own effect
where it must show; one that saw nothing is recorded as unverified, one that is not available here as skipped with the reason, and
neither counts as passed. This page is written by `python -m jepsen_like.nemesis.table` from the faults themselves.

- **PX**: every connection through proxies, one process, no privileges. A connection's sender is known by who owns its other end.
- **NS**: a network namespace per member, packets carried by a switch in user space; needs root, or a user namespace in which
  /dev/net/tun may be opened.
- **SIM**: acts of the server simulation; kinds of the core simulation in italics.

Power cuts use files that remember what was synced (PX, no privileges, a store on a journal file) or ext4 on loop devices, stopped by
its shutdown ioctl (NS as root, members as shipped). Clocks and the log's files obey the harness inside an otherwise unmodified process.

| # | fault | names | PX | NS | SIM | verified by |
|---|---|---|---|---|---|---|
"""

SIMULATED = """
## In the simulator

A simulated fault waits for its moment instead of doing nothing: for other faults that have its machine, for a process that it can be
done to, for a leader, and up to ten virtual seconds beyond its time for its effect to show. Of 1 508 faults
in seeds 1 to 50 of 30 virtual seconds 94 % were seen to work; in
47 of the 50 seeds 80 % or more, and never less than 69 %. What is still skipped or unverified:

- *Other faults had it until the load ended* (5 %): drawn late in a run with many faults that take processes down.
- *compact* (one in sixteen): nobody takes a compaction without a leader or a quorum, and where elections are slow and faults many that can
  last longer than ten seconds.
- *place* (one in seventeen): a member that other faults keep from the others comes by no place of a compaction or a snapshot.
- *flap*, *swizzle*, *disk-full*, *lag*: the member, or whoever speaks with it, is down or cut off by another fault all the while.
"""


class Availability:
    """Asks faults about clusters of one back end that is not started."""

    def __init__(self, folder: pathlib.Path, network: Network, powers: tuple[Power, ...]) -> None:
        self._cluster = Cluster(folder, size=5, network=network, instruments=(CLOCK, FILES, FAILPOINTS))
        self._powers = powers

    def why_not(self, fault: type[Fault]) -> str:
        """Empty when the fault can be done with some kind of disk."""
        self._cluster.flags = list(fault.flags)
        reasons = []
        for power in self._powers:
            self._cluster.power = power
            reasons.append(fault.impossible_because(self._cluster))
        return "" if "" in reasons else reasons[-1]


def render() -> str:
    """The page."""
    with tempfile.TemporaryDirectory(prefix="jepsen-like-") as text:
        folder = pathlib.Path(text)
        proxies = Proxies(0)
        try:
            backends = (
                Availability(folder / "px", proxies, (TracedPower(),)),
                Availability(folder / "ns", Namespaces(0), (TracedPower(), LoopPower(()))),
            )
            lines = [_line(number, backends) for number in range(1, len(ROWS) + 1)]
        finally:
            proxies.release()
    px, ns = ([("yes" in cell) for cell in column] for column in ((line.px for line in lines), (line.ns for line in lines)))
    counts = (
        f"\nOf {len(ROWS)} rows, {sum(map(max, px, ns))} can be done to real processes, {sum(px)} of them without privileges, "
        f"and {sum(line.sim != '—' for line in lines)} in the simulator.\n"
    )
    return HEAD + "".join(f"| {' | '.join(line)} |\n" for line in (line.cells for line in lines)) + counts + SIMULATED


class Line:
    """One row of the page."""

    def __init__(self, number: int, faults: list[type[Fault]], px: str, ns: str) -> None:
        row = ROWS[number - 1]
        self.px, self.ns = px, ns
        self.sim = ", ".join([*row.server, *(f"*{kind}*" for kind in row.core)]) or "—"
        seen = "; ".join(dict.fromkeys(f.verified_by for f in faults)) or "—"
        self.cells = (str(number), row.title, ", ".join(f"`{fault.name}`" for fault in faults) or "—", px, ns, self.sim, seen)


def _line(number: int, backends: tuple[Availability, Availability]) -> Line:
    faults = [fault for fault in ALL if fault.row == number]
    px, ns = (_cell(faults, backend) for backend in backends)
    return Line(number, faults, px, ns)


def _cell(faults: list[type[Fault]], backend: Availability) -> str:
    reasons = {fault.name: backend.why_not(fault) for fault in faults}
    possible = [name for name, reason in reasons.items() if not reason]
    if not faults:
        return "no"
    if not possible:
        return f"no: {next(iter(reasons.values()))}"
    return "yes" if len(possible) == len(faults) else f"yes: {', '.join(possible)}"


if __name__ == "__main__":
    sys.stdout.write(render())
