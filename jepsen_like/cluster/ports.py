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
    """Ports nobody listens on, and which no other cluster takes before `close`, while members are down.

    NB: who needs more than a block has takes several: blocks of another size would hold the same ports under other locks.
    """

    def __init__(self, count: int) -> None:
        self.ports: list[int] = []
        self._locks: list[int] = []
        blocks = range(PORTS.start, PORTS.stop, PORTS_PER_BLOCK)
        # Clusters that start beside each other begin their search at different blocks.
        first = os.getpid() % len(blocks)
        for base in (*blocks[first:], *blocks[:first]):
            self._take(base, min(count - len(self.ports), PORTS_PER_BLOCK))
            if len(self.ports) == count:
                return
        self.close()
        raise OSError(f"no {count} free ports within {PORTS.start}-{PORTS.stop}")

    def _take(self, base: int, count: int) -> None:
        """So many ports of one block, or none of them."""
        try:
            # Another user's file may be one that this one cannot open: then the block is theirs.
            lock = os.open(lock_path(base), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
        except OSError:
            return
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(lock)
            return
        free = [port for port in range(base, min(base + PORTS_PER_BLOCK, PORTS.stop)) if is_free(port)][:count]
        if len(free) < count:
            os.close(lock)
            return
        self._locks.append(lock)
        self.ports += free

    def close(self) -> None:
        """Others may have them. Idempotent."""
        while self._locks:
            os.close(self._locks.pop())


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
