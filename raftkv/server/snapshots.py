"""Raft snapshots between members: the leader streams its store, the follower puts it in the place of its own.

Sending reads a pinned view of the store's last commit, which carries the applied index it stands for, in slices under
the connection's flow control, on a connection of its own. Installing follows design §4 rule 8: the received store is
complete and verified under a temporary name before consensus hears of it; then the log records it; then it is renamed
into place. A member that stops in between finishes the rename at its next start. Loop only, but for the jobs handed to
the workers.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    pass

log = logging.getLogger("raftkv.snapshot")

SNAPSHOT_PATH = "/raftkv.Peer/Snapshot"

CHUNK_BYTES = 256 << 10
"""Bytes in one message, and read from the store in one slice of the loop."""

UNSENT_BYTES_MAX = 2 << 20
"""Bytes waiting for the connection before the sender pauses."""

SEND_TIMEOUT_S = 600.0
"""A transfer that takes longer is given up; consensus asks for another one."""
