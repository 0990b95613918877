"""TCP ports on the loopback for clusters that run beside each other.

Owns which ports are taken; they are below the range the kernel gives to outgoing connections, so that no client sits on a
member's port while the member is down.
"""

from __future__ import annotations

import fcntl
import os
import socket
import tempfile

HOST = "127.0.0.1"
PORTS = range(26000, 27000)
PORTS_PER_BLOCK = 40


class PortBlock:
    """Ports nobody listens on, and which no other cluster takes before `close`, while members are down."""

    def __init__(self, count: int) -> None:
        if count > PORTS_PER_BLOCK:
            raise ValueError(f"{count} ports asked for, a block has {PORTS_PER_BLOCK}")
        blocks = range(PORTS.start, PORTS.stop, PORTS_PER_BLOCK)
        # Clusters that start beside each other begin their search at different blocks.
        first = os.getpid() % len(blocks)
        for base in (*blocks[first:], *blocks[:first]):
            try:
                # Another user's file may be one that this one cannot open: then the block is theirs.
                self._lock = os.open(lock_path(base), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
            except OSError:
                continue
            try:
                fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                self.ports = [port for port in range(base, base + PORTS_PER_BLOCK) if is_free(port)][:count]
                if len(self.ports) == count:
                    return
            except BlockingIOError:
                pass
            os.close(self._lock)
        raise OSError(f"no {count} free ports within {PORTS.start}-{PORTS.stop}")

    def close(self) -> None:
        """Others may have them. Idempotent."""
        if self._lock >= 0:
            lock, self._lock = self._lock, -1
            os.close(lock)


def lock_path(base: int) -> str:
    """The file whose lock holds the block that begins at a port."""
    return f"{tempfile.gettempdir()}/jepsen-like-ports-{base}.lock"


def is_free(port: int) -> bool:
    """Whether this process could listen there now."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError:
            return False
    return True
