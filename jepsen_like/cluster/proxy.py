"""The process that carries a cluster's TCP connections: every one between two members, and between clients and members.

    python -m jepsen_like.cluster.proxy LINE SEED

Needs no privileges. Members are told the addresses of proxies instead of each other's, one per receiver; the sender is known by
who owns the other end of the connection (`owners`), so that each directed pair has conditions of its own. Ends with the run.
"""

from __future__ import annotations

import asyncio
import random
import socket
import struct
import sys
from collections.abc import Callable
from dataclasses import asdict
from typing import Any, NamedTuple

from jepsen_like.cluster import owners
from jepsen_like.cluster.carrier import Orders
from jepsen_like.cluster.links import CLIENTS, Conditions
from jepsen_like.cluster.pipe import Direction, Pipe
from jepsen_like.cluster.ports import HOST

CONNECT_RETRY_S = 0.05

RESET_AT_ONCE = struct.pack("ii", 1, 0)
"""SO_LINGER: close sends a reset and forgets what was unsent."""


class Route(NamedTuple):
    """One listening port."""

    port: int
    target_port: int
    receiver: str
    clients: bool
    """Whoever comes is a client."""


class End(asyncio.Protocol):
    """One socket of a proxied connection."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self.transport: asyncio.Transport | None = None
        self.outgoing: Pipe | None = None
        """Carries what is read here."""

        self.incoming: Pipe | None = None
        """Brings what is written here."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """See asyncio."""
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        transport.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._connection.made(self)

    def data_received(self, data: bytes) -> None:
        """See asyncio."""
        if self.outgoing is not None:
            self.outgoing.feed(data)

    def connection_lost(self, _error: Exception | None) -> None:
        """See asyncio."""
        if self.outgoing is not None:
            self.outgoing.feed(b"")
        self._connection.lost(self)

    def pause_writing(self) -> None:
        """See asyncio."""
        if self.incoming is not None:
            self.incoming.block(True)

    def resume_writing(self) -> None:
        """See asyncio."""
        if self.incoming is not None:
            self.incoming.block(False)


class Connection:
    """Two sockets and the pipes between them. The second socket is opened when both directions let a handshake pass."""

    def __init__(self, proxy: Proxy, route: Route) -> None:
        self._proxy = proxy
        self._route = route
        self.sender = CLIENTS
        self._near, self._far = End(self), End(self)
        self._closed = False
        self._held = False
        self._dialled = False

    @property
    def accepted(self) -> End:
        """The protocol of the socket that was accepted."""
        return self._near

    @property
    def hosts(self) -> tuple[str, str]:
        """(sender, receiver) of the handshake."""
        return self.sender, self._route.receiver

    def made(self, end: End) -> None:
        """One of the sockets is connected."""
        if end is self._near:
            self._accept()
        else:
            self._join()

    def lost(self, end: End) -> None:
        """One of the sockets is gone. The other learns of it behind the bytes that are on their way."""
        if end is self._near and self._far.transport is None:
            self.close()

    def open(self) -> None:
        """Makes the second connection once the handshake may pass; called again whenever conditions change."""
        if self._closed or self._dialled:
            return
        there, back = self._proxy.direction(*self.hosts), self._proxy.direction(*reversed(self.hosts))
        if not (there.conditions.cut or back.conditions.cut):
            self._dialled = True
            self._proxy.dial(self, self._far, self._route.target_port)
        elif not self._held:
            self._held = True
            (there if there.conditions.cut else back).counters.cut += 1

    def refused(self) -> None:
        """Nobody listens at the target."""
        self.close(reset=True)

    def close(self, *, reset: bool = False) -> None:
        """Ends both sockets. Idempotent."""
        if self._closed:
            return
        self._closed = True
        self._proxy.connections.discard(self)
        for end in (self._near, self._far):
            if end.outgoing is not None:
                end.outgoing.close()
            if end.transport is not None and not end.transport.is_closing():
                if reset:
                    end.transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET_AT_ONCE)
                    end.transport.abort()
                else:
                    end.transport.close()

    def _accept(self) -> None:
        transport = self._near.transport
        assert transport is not None
        if not self._route.clients:
            self.sender = self._proxy.sender_of(transport.get_extra_info("peername"), transport.get_extra_info("sockname"))
            if not self.sender:
                transport.abort()
                return
        self._proxy.connections.add(self)
        self._near.outgoing = Pipe(self._proxy.direction(*self.hosts), transport, self.close)
        self.open()

    def _join(self) -> None:
        assert self._near.outgoing is not None and self._far.transport is not None and self._near.transport is not None
        if self._closed:
            self._far.transport.abort()
            return
        self._far.outgoing = Pipe(self._proxy.direction(*reversed(self.hosts)), self._far.transport, self.close)
        self._far.outgoing.target = self._near.transport
        self._near.outgoing.target = self._far.transport
        self._near.incoming, self._far.incoming = self._far.outgoing, self._near.outgoing
        self._near.outgoing.resume()


class Proxy:
    """All routes, and the directions between all hosts."""

    def __init__(self, seed: str) -> None:
        self._seed = seed
        self._loop = asyncio.get_running_loop()
        self._directions: dict[tuple[str, str], Direction] = {}
        self._pids: dict[int, str] = {}
        self._listeners: dict[Route, socket.socket] = {}
        self._dialling: asyncio.TaskGroup | None = None
        self.connections: set[Connection] = set()
        self.strangers = 0
        """Connections whose sender was not known; they were refused."""

    def direction(self, source: str, target: str) -> Direction:
        """The one between two hosts."""
        found = self._directions.get((source, target))
        if found is None:
            found = self._directions[source, target] = Direction(random.Random(f"{self._seed} {source}>{target}"))
        return found

    def sender_of(self, peer: tuple[str, int], here: tuple[str, int]) -> str:
        """The member whose process made the connection; empty when it is nobody's."""
        inode = owners.socket_inode(peer, here)
        name = self._pids.get(owners.owner_of(inode, self._pids), "") if inode else ""
        self.strangers += not name
        return name

    def dial(self, connection: Connection, end: End, port: int) -> None:
        """Connects to a member."""
        assert self._dialling is not None
        self._dialling.create_task(self._dial(connection, end, port), name=f"dial {port}")

    async def _dial(self, connection: Connection, end: End, port: int) -> None:
        try:
            await self._loop.create_connection(lambda: end, HOST, port)
        except OSError:
            connection.refused()

    async def run(self, line: int) -> None:
        """Carries until the run ends."""
        handlers: dict[str, Callable[..., Any]] = {
            "listen": self._listen,
            "pids": self._set_pids,
            "links": self._set_links,
            "tally": self._tally,
            "reset": self._reset,
            "accept": self._accept,
        }
        orders = Orders(line, handlers)
        ended = asyncio.Event()
        self._loop.add_reader(orders.line, lambda: None if orders.on_readable() else ended.set())
        async with asyncio.TaskGroup() as group:
            self._dialling = group
            await ended.wait()
            self._loop.remove_reader(orders.line)
            for route in tuple(self._listeners):
                self._accept([route.port], False)
            for connection in tuple(self.connections):
                connection.close(reset=True)

    def _listen(self, routes: list[tuple[int, int, str, bool]]) -> int:
        for row in routes:
            route = Route(*row)
            listener = socket.create_server((HOST, route.port), backlog=128)
            listener.setblocking(False)
            self._listeners[route] = listener
            self._loop.add_reader(listener, self._on_connection, route, listener)
        return len(routes)

    def _on_connection(self, route: Route, listener: socket.socket) -> None:
        try:
            accepted, _ = listener.accept()
        except OSError:
            return
        accepted.setblocking(False)
        assert self._dialling is not None
        connection = Connection(self, route)
        self._dialling.create_task(self._take(connection, accepted), name=f"accept for {route.receiver}")

    async def _take(self, connection: Connection, accepted: socket.socket) -> None:
        await self._loop.connect_accepted_socket(lambda: connection.accepted, accepted)

    def _set_pids(self, pids: dict[str, int]) -> None:
        self._pids = {pid: name for name, pid in pids.items()}

    def _set_links(self, links: list[tuple[str, str, dict[str, Any]]]) -> None:
        for source, target, conditions in links:
            self.direction(source, target).change(Conditions(**conditions))
        for connection in tuple(self.connections):
            connection.open()

    def _tally(self) -> list[tuple[str, str, dict[str, float]]]:
        return [(*hosts, asdict(direction.counters)) for hosts, direction in self._directions.items()]

    def _reset(self, links: list[tuple[str, str]]) -> int:
        """Ends every connection between the pairs, whoever made it, by a reset at both ends."""
        pairs = {frozenset(pair) for pair in links}
        chosen = [connection for connection in self.connections if frozenset(connection.hosts) in pairs]
        for connection in chosen:
            self.direction(*connection.hosts).counters.resets += 1
            connection.close(reset=True)
        return len(chosen)

    def _accept(self, ports: list[int], on: bool) -> int:
        """Stops or goes on taking connections; the kernel completes handshakes meanwhile, until its queue is full."""
        changed = [(route, listener) for route, listener in self._listeners.items() if route.port in ports]
        for route, listener in changed:
            if on:
                self._loop.add_reader(listener, self._on_connection, route, listener)
            else:
                self._loop.remove_reader(listener)
        return len(changed)


async def _main(line: int, seed: str) -> None:
    await Proxy(seed).run(line)


if __name__ == "__main__":
    asyncio.run(_main(int(sys.argv[1]), sys.argv[2]))
