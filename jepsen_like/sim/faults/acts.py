"""Every kind of fault by its name, and the one that is a request: a compaction under load."""

from __future__ import annotations

from collections.abc import Mapping

from jepsen_like.sim.faults import disks, links, places, processes
from jepsen_like.sim.faults.injector import Act, Injury, SkippedError
from jepsen_like.workload.session import Session

KEEP_REVISIONS = 50


async def compact(injury: Injury) -> str:
    """History is forgotten up to 0 to 50 revisions before the newest."""
    leader = injury.cluster.leader()
    if leader is None or leader.running is None:
        raise SkippedError("no leader")
    revision = leader.running.core.store.revision - int(KEEP_REVISIONS * injury.fault.amount)
    if revision < 2:
        raise SkippedError("there is nothing to forget")
    session = Session(injury.injector.world, injury.target.host)
    try:
        answer = await session.compact(revision)
    finally:
        await session.aclose()
    return f"compacted at {revision}" if answer is not None else ""


ACTS: Mapping[str, Act] = {
    "kill": processes.kill,
    "power": processes.power,
    "power-all": processes.power_all,
    "stop": processes.stop,
    "rolling-restart": processes.rolling_restart,
    "pause": processes.pause,
    "clock-jump": processes.clock_jump,
    "clock-strobe": processes.clock_strobe,
    "clock-rate": processes.clock_rate,
    "wipe": processes.wipe,
    "transfer": processes.transfer,
    "isolate": links.isolate,
    "halves": links.halves,
    "ring": links.ring,
    "bridge": links.bridge,
    "one-way": links.one_way,
    "client-cut": links.client_cut,
    "swizzle": links.swizzle,
    "flap": links.flap,
    "slow-link": links.slow_link,
    "rate-limit": links.rate_limit,
    "reset": links.reset,
    "accept-stall": links.accept_stall,
    "lag": links.lag,
    "slow-disk": disks.slow_disk,
    "disk-error": disks.disk_error,
    "disk-full": disks.disk_full,
    "rot": disks.rot,
    "compact": compact,
    "place": places.place,
}
"""Kind -> act."""
