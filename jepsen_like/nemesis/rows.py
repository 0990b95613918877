"""The table of faults that good harnesses know, and where each can be done here: to processes behind proxies or in namespaces, and in
the simulator. The faults themselves say which row they are of; what the simulator calls its own stands here.
"""

from __future__ import annotations

from typing import NamedTuple


class Row(NamedTuple):
    """One row."""

    title: str
    server: tuple[str, ...] = ()
    """Acts of the server simulation."""

    core: tuple[str, ...] = ()
    """Kinds of the core simulation; in brackets what is a scenario's weather."""


ROWS: tuple[Row, ...] = (
    Row("kill −9 and restart", ("kill",), ("crash",)),
    Row("graceful stop, rolling restart", ("stop", "rolling-restart")),
    Row("pause (SIGSTOP)", ("pause",), ("pause",)),
    Row("isolate one, halves", ("isolate", "halves"), ("isolate",)),
    Row("majorities ring", ("ring",), ("ring",)),
    Row("bridge", ("bridge",), ("bridge",)),
    Row("one-way", ("one-way",), ("one_way",)),
    Row("flapping, swizzle", ("swizzle", "flap"), ("flapping",)),
    Row("clients cut off from members", ("client-cut",)),
    Row("delay, jitter", ("slow-link",), ("slow_network",)),
    Row("loss", (), ("lossy",)),
    Row("duplicates", (), ("replay",)),
    Row("reordering", (), ("(reorder)",)),
    Row("corruption on the wire"),
    Row("rate limit", ("rate-limit",)),
    Row("half-open connections, resets, stalled accept", ("reset", "accept-stall")),
    Row("clock jump", ("clock-jump",)),
    Row("clock strobe", ("clock-strobe",)),
    Row("clock rate", ("clock-rate",), ("skew",)),
    Row("disk full", ("disk-full",)),
    Row("fsync error", ("disk-error",), ("disk_error",)),
    Row("torn write, partial tail", ("power",), ("power_cut",)),
    Row("unsynced writes lost", ("power",), ("power_cut",)),
    Row("renames and names lost", ("power",)),
    Row("bit rot", ("rot", "rotten-snapshot")),
    Row("slow disk", ("slow-disk",), ("slow_disk",)),
    Row("membership changes", ("replace",), ("change",)),
    Row("snapshot installed under load", ("lag",), ("snapshot",)),
    Row("compaction, defragmentation under load", ("compact",)),
    Row("leader transfer", ("transfer",), ("transfer",)),
    Row("failpoints", ("place",)),
    Row("too little processor time"),
    Row("all lose power at once", ("power-all",), ("power_cut",)),
    Row("one member's disk wiped, same id", ("wipe",)),
)
"""In the order of their numbers, from 1."""
