"""Every kind of fault by its name."""

from __future__ import annotations

from collections.abc import Mapping

from jepsen_like.sim.faults import disks, links, members, places, processes, requests
from jepsen_like.sim.faults.injector import Act

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
    "transfer": requests.transfer,
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
    "rotten-snapshot": disks.rotten_snapshot,
    "compact": requests.compact,
    "place": places.place,
    "replace": members.replace,
}
"""Kind -> act."""
