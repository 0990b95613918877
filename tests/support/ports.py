"""Loopback ports for the servers that tests start as processes of their own.

A port that the kernel names when asked for any is one of those it gives to outgoing connections: before the server listens there, or while
it is down between two starts, somebody's client may sit on it. These are of another range, and no other run of tests is given them while
this process lives.
"""

from __future__ import annotations

from jepsen_like.cluster.ports import PORTS_PER_BLOCK, PortBlock, is_free


class Ports:
    """Blocks that are held, and whose turn it is."""

    def __init__(self) -> None:
        self._blocks: list[PortBlock] = []
        self._turn = 0

    def take(self, count: int) -> list[int]:
        """Consecutive ports, given again as late as can be and only while nobody listens there."""
        held = [port for block in self._blocks for port in block.ports]
        for step in range(len(held)):
            place = (self._turn + step) % len(held)
            run = held[place : place + count]
            if place % PORTS_PER_BLOCK + count <= PORTS_PER_BLOCK and all(map(is_free, run)):
                self._turn = place + count
                return run
        self._turn = len(held)
        self._blocks.append(PortBlock(PORTS_PER_BLOCK))
        return self.take(count)

    def close(self) -> None:
        """Others may have them."""
        for block in self._blocks:
            block.close()
        self._blocks.clear()


_PORTS = Ports()


def free_port() -> int:
    """One port that nobody listens on."""
    return _PORTS.take(1)[0]


def free_ports(count: int) -> list[int]:
    """Consecutive ports that nobody listens on."""
    return _PORTS.take(count)
