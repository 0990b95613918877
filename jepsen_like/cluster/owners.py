"""Which process has the other end of a TCP connection on this machine, as Linux tells in /proc.

Lets one listening port serve many senders and still know each: no word of the protocol has to be understood, so that it works
for every server. Sees processes of the same user only.
"""

from __future__ import annotations

import os
import socket
import struct
from collections.abc import Iterable

TABLE = "/proc/net/tcp"


def socket_inode(local: tuple[str, int], remote: tuple[str, int]) -> int:
    """The inode of the socket bound to `local` and connected to `remote`; 0 when there is none."""
    wanted = [_hex(*local), _hex(*remote)]
    with open(TABLE, encoding="ascii") as table:
        next(table)
        for line in table:
            fields = line.split()
            if fields[1:3] == wanted:
                return int(fields[9])
    return 0


def owner_of(inode: int, pids: Iterable[int]) -> int:
    """The first of the processes that has the socket open; 0 when none has."""
    name = f"socket:[{inode}]"
    for pid in pids:
        folder = f"/proc/{pid}/fd"
        try:
            for descriptor in os.listdir(folder):
                try:
                    if os.readlink(f"{folder}/{descriptor}") == name:
                        return pid
                except FileNotFoundError:
                    continue
        except (FileNotFoundError, PermissionError):
            continue
    return 0


def unavailable_because() -> str:
    """Why senders cannot be told apart here; empty when they can. Tries it on itself."""
    with socket.create_server(("127.0.0.1", 0)) as server, socket.create_connection(server.getsockname()) as client:
        try:
            inode = socket_inode(client.getsockname(), client.getpeername())
        except OSError as error:
            return f"{TABLE}: {error}"
        return "" if inode and owner_of(inode, [os.getpid()]) else f"{TABLE} does not show who owns a connection"


def _hex(host: str, port: int) -> str:
    (address,) = struct.unpack("=I", socket.inet_aton(host))
    return f"{address:08X}:{port:04X}"
