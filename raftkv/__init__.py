"""raftkv: a Raft-replicated key-value store that speaks etcd's v3 API."""

__version__ = "0.1.0"

ETCD_VERSION = "3.7.0"
"""The level of etcd's API that is spoken, and what Status, /version and the metrics report."""
