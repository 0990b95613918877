"""The process at the other end of a connection is found, or nobody is."""

from __future__ import annotations

import os
import socket

from jepsen_like.cluster import owners


def test_own_connection_is_found_to_be_ours():
    assert owners.unavailable_because() == ""
    with socket.create_server(("127.0.0.1", 0)) as server, socket.create_connection(server.getsockname()) as client:
        inode = owners.socket_inode(client.getsockname(), client.getpeername())
        assert inode == os.fstat(client.fileno()).st_ino
        assert owners.owner_of(inode, [1 << 22, os.getpid()]) == os.getpid()
        assert owners.owner_of(inode, []) == 0


def test_connection_that_does_not_exist_has_no_owner():
    assert owners.socket_inode(("127.0.0.1", 1), ("127.0.0.1", 2)) == 0
    assert owners.owner_of(12345, [1 << 22]) == 0
