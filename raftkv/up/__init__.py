"""`raftkv up`: a local cluster, one real process for each member, for as long as the terminal stays open.

`layout` owns directory and ports, `cluster` the processes, `command` the arguments, the signals and the order of things.
"""

from __future__ import annotations

from raftkv.up.command import run

__all__ = ["run"]
