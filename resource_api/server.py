"""The API server's ports: the HTTP face put together, listening, and its end.

Knows no flags and makes no certificates; who composes it hands in the resources, the guards and the TLS contexts. Documents and endpoints
of others go into `routes`, checks into `health`, gauges into `counters.sources`, before `listen`. Loop only.
"""

from __future__ import annotations

import asyncio
import os
import ssl
from collections.abc import Awaitable, Callable

from raftkv.clock import Clock
from resource_api.http import health
from resource_api.http.body import Bodies, DecodeEnvelope
from resource_api.http.chain import Chain, ChainSettings, Guards
from resource_api.http.counters import RequestCounters
from resource_api.http.deadlines import Deadlines
from resource_api.http.documents import Documents
from resource_api.http.handlers import ResourceHandlers
from resource_api.http.representation import EncodeEnvelope, Representations
from resource_api.http.routes import Routes
from resource_api.http.shell import Shell
from resource_api.http.upgrade import Connections
from resource_api.http.watch_stream import Watches
from resource_api.http.writes import Writes
from resource_api.registry.api import Api
from resource_api.schema.depth import allow_recursion
from resource_api.schema.printer_columns import Rows

BACKLOG = 1024
"""Connections the kernel holds until they are accepted."""

HANDSHAKE_S = 10.0
"""A TLS connection that has not come about after this is cut."""


class ListenError(OSError):
    """The address cannot be had; the text names it."""


class ApiServer:
    """See the module. `stopping` becomes true when `stop` was called; readiness must fail from then on."""

    def __init__(
        self,
        api: Api,
        guards: Guards,
        *,
        clock: Clock,
        decode_protobuf: DecodeEnvelope,
        encode_protobuf: EncodeEnvelope,
        rows: Rows,
        settings: ChainSettings | None = None,
    ) -> None:
        # What bodies may nest, everything behind the handlers must be able to walk.
        allow_recursion()
        loop = asyncio.get_running_loop()
        self.routes = Routes()
        self.health = health.Health()
        self.counters = RequestCounters()
        self.stopping = False
        self.address = ""
        """Host and port clients are told; that of the first listener unless it is set."""
        self.representations = Representations(encode_protobuf, rows)
        bodies = Bodies(decode_protobuf)
        writes = Writes(bodies, self.representations, guards.authorize)
        watches = Watches(self.representations, self.counters)
        handlers = ResourceHandlers(api, self.representations, writes, watches, Connections(api))
        self._deadlines = Deadlines(loop)
        settings = settings or ChainSettings()
        self.chain = Chain(
            settings,
            guards,
            resources=handlers,
            paths=self.routes,
            representations=self.representations,
            counters=self.counters,
            deadlines=self._deadlines,
            clock=clock,
        )
        self._shell = Shell(self.chain, loop, request_end_s=settings.request_timeout_s)
        self._listeners: list[asyncio.Server] = []
        health.install(self.routes, self.health, self.counters)
        self.documents = Documents(api, self.representations, clock, lambda: self.address)
        self.documents.install(self.routes)
        self.health.ready["shutdown"] = self._not_stopping

    async def listen(self, host: str, port: int, tls: ssl.SSLContext | None) -> int:
        """Takes connections from now on; the port, which is a free one for 0. Without TLS `host` must be a loopback address.

        Raises ListenError, an OSError, when the address cannot be had.
        """
        loop = asyncio.get_running_loop()
        if tls is None and host not in ("127.0.0.1", "::1"):
            raise ValueError(f"plain HTTP listens on loopback only, not on {host}")
        timeout_s = HANDSHAKE_S if tls is not None else None
        try:
            server = await loop.create_server(self._shell.protocol, host, port, ssl=tls, backlog=BACKLOG, ssl_handshake_timeout=timeout_s)
        except OSError as error:
            reason = os.strerror(error.errno) if error.errno and error.errno > 0 else str(error)
            raise ListenError(error.errno, f"cannot listen on {host}:{port}: {reason}") from error
        self._listeners.append(server)
        bound: int = server.sockets[0].getsockname()[1]
        self.address = self.address or f"{host}:{bound}"
        return bound

    async def stop(self, *, before: Callable[[], Awaitable[None]] | None = None) -> None:
        """Not ready; no new connections; watches end cleanly; requests are finished or, after the longest time one has, cut.

        `before` is awaited between the first two, for balancers to notice.
        """
        self.stopping = True
        if before is not None:
            await before()
        for server in self._listeners:
            server.close()
        await self._shell.close()
        self._deadlines.stop()
        self._listeners.clear()

    async def _not_stopping(self) -> str:
        return "process is shutting down" if self.stopping else ""
