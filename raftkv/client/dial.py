"""Links over the transport's channels: connects on first use, again after a loss, once for all who wait.

The only module of the client that makes connections.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable

from raftkv.client.endpoints import Endpoint
from raftkv.client.link import Link, LinkStream, Metadata
from raftkv.transport import pair, tls
from raftkv.transport.channel import Channel, ChannelLimits, RpcError
from raftkv.transport.grpc_wire import Code

KEEPALIVE_MIN_S = 10.0
"""No client pings more often (gRPC's own floor); servers cut those that do."""


class ChannelLink:
    """One endpoint's link.

    Invariants:
        1. At most one channel takes new calls; one that is draining keeps its calls until they end.
    """

    def __init__(
        self,
        endpoint: Endpoint,
        context: ssl.SSLContext | None,
        limits: ChannelLimits,
        dial_timeout_s: float,
        connector: Callable[[asyncio.Protocol], None] | None = None,
    ) -> None:
        self._endpoint = endpoint
        self._connector = connector
        self._context = context
        self._limits = limits
        self._dial_timeout_s = dial_timeout_s
        self._channel: Channel | None = None
        # NB: a lock, not state of ours: it makes those who come while somebody connects wait for the same connection, and
        # lets the next of them take over if he is cancelled.
        self._connecting = asyncio.Lock()
        self._closed = False

    async def call(self, path: str, body: bytes, *, metadata: Metadata = (), timeout_s: float | None = None) -> bytes:
        """See `Link`."""
        channel = self._channel
        if channel is None or not channel.accepts_calls:
            started_s = asyncio.get_running_loop().time()
            channel = await self._connect(timeout_s)
            if timeout_s is not None:
                timeout_s = max(0.0, timeout_s - (asyncio.get_running_loop().time() - started_s))
        return await channel.call(path, body, metadata=metadata, timeout_s=timeout_s)

    async def stream(
        self, path: str, *, on_message: Callable[[bytes], None], on_done: Callable[[RpcError | None], None], metadata: Metadata = ()
    ) -> LinkStream:
        """See `Link`."""
        channel = await self._connect(None)
        return channel.stream(path, on_message=on_message, on_done=on_done, metadata=metadata)

    async def aclose(self) -> None:
        """See `Link`."""
        self._closed = True
        channel, self._channel = self._channel, None
        if channel is not None:
            channel.close()

    async def _connect(self, timeout_s: float | None) -> Channel:
        async with self._connecting:
            if self._channel is not None and self._channel.accepts_calls:
                return self._channel
            if self._closed:
                raise RpcError(Code.UNAVAILABLE, "the client is closed", sent=False)
            endpoint = self._endpoint
            address = endpoint.path or (endpoint.host, endpoint.port)
            hostname = (endpoint.host or "localhost") if self._context else None
            channel = Channel(address, ssl=self._context, server_hostname=hostname, limits=self._limits, connector=self._connector)
            await channel.connect(self._dial_timeout_s if timeout_s is None else min(self._dial_timeout_s, max(timeout_s, 0.001)))
            self._channel = channel
            return channel


def tls_context(
    *, trusted_ca_file: str | None = None, cert_file: str | None = None, key_file: str | None = None, insecure_skip_verify: bool = False
) -> ssl.SSLContext:
    """How to trust and identify over TLS; without a CA file the system's roots are trusted.

    Raises:
        ConfigError: a file cannot be used.
    """
    return tls.client_context(
        trusted_ca_file=trusted_ca_file, cert_file=cert_file, key_file=key_file, insecure_skip_verify=insecure_skip_verify
    )


def dialer(
    context: ssl.SSLContext | None, *, dial_timeout_s: float, keepalive_s: float, keepalive_timeout_s: float
) -> Callable[[Endpoint], Link]:
    """What opens links: an https endpoint without a context of its own trusts the system's roots."""
    limits = ChannelLimits(
        keepalive_s=max(keepalive_s, KEEPALIVE_MIN_S) if keepalive_s > 0 else None, keepalive_timeout_s=keepalive_timeout_s
    )

    def open_link(endpoint: Endpoint) -> Link:
        used = (context or tls_context()) if endpoint.tls else None
        return ChannelLink(endpoint, used, limits, dial_timeout_s)

    return open_link


def paired(server_factory: Callable[[], asyncio.Protocol], *, dial_timeout_s: float = 2.0) -> Callable[[Endpoint], Link]:
    """What opens links to a server of this process and loop, without sockets: `server_factory` makes its end of a connection.

    No keepalive: the two ends live and die together.
    """
    limits = ChannelLimits(keepalive_s=None)

    def open_link(endpoint: Endpoint) -> Link:
        return ChannelLink(endpoint, None, limits, dial_timeout_s, pair.connector(asyncio.get_running_loop(), server_factory))

    return open_link
