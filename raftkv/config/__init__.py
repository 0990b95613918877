"""What the process was told: etcd's flags, `ETCD_*` and `RAFTKV_*` variables or a configuration file, made into settings.

`read_launch` does everything between `sys.argv` and frozen settings, and raises `Stop` where etcd would end. Nothing else in
the package reads flags, files or environment. Called once by the process entry.
"""

from __future__ import annotations

from raftkv.config.failpoints import FailpointSettings, read_failpoints
from raftkv.config.launch import Launch, Stop, read_launch
from raftkv.config.sources import Notice
from raftkv.config.validation import bootstrap_faults, holds_data

__all__ = ["FailpointSettings", "Launch", "Notice", "Stop", "bootstrap_faults", "holds_data", "read_failpoints", "read_launch"]
