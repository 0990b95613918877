"""A world of real servers: any etcd v3 endpoints, reached over sockets, on the machine's clock.

Knows of a server its address alone; whoever started it, and what is done to it meanwhile, is not its business. TLS and
passwords are not asked for: a harness that writes nonsense and breaks machines has no place on a cluster that needs them.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Mapping, Sequence

from jepsen_like.recorder import Recorder, Sink
from jepsen_like.sim.streams import Streams
from jepsen_like.workload.attempts import client_of
from raftkv.client import AsyncClient
from raftkv.client.endpoints import parse_endpoint
from raftkv.clock import Clock, SystemClock
from raftkv.errors import RequestError


def named(endpoints: str) -> dict[str, str]:
    """Addresses as one gives them to etcdctl, separated by commas, each by the name the history will know it under.

    Raises:
        ValueError: there is none, or one is no address.
    """
    addresses = [text.strip() for text in endpoints.split(",") if text.strip()]
    if not addresses:
        raise ValueError("--endpoints names no server: give HOST:PORT, several by comma, or leave it out for a cluster of its own")
    for address in addresses:
        try:
            parse_endpoint(address)
        except RequestError as exc:
            raise ValueError(f"--endpoints: {exc}; give HOST:PORT, several by comma") from exc
    return {f"n{number}": address for number, address in enumerate(addresses, 1)}


class EndpointWorld:
    """See `World`."""

    def __init__(self, endpoints: Mapping[str, str], sink: Sink, *, seed: int, clock: Clock | None = None) -> None:
        self._endpoints = dict(endpoints)
        self._clock = clock or SystemClock()
        self._streams = Streams(seed)
        self._recorder = Recorder(sink, lambda: int(self._clock.monotonic_s() * 1e9))

    @property
    def members(self) -> Sequence[str]:
        """See `World`."""
        return tuple(self._endpoints)

    @property
    def recorder(self) -> Recorder:
        """See `World`."""
        return self._recorder

    def client(self, member: str | None = None, *, timeout_s: float = 1.0) -> AsyncClient:
        """See `World`."""
        addresses = list(self._endpoints.values()) if member is None else [self._endpoints[member]]
        return client_of(addresses, self._clock, timeout_s=timeout_s)

    def random(self, name: str) -> random.Random:
        """See `World`."""
        return self._streams.get("workload", name)

    def now_s(self) -> float:
        """See `World`."""
        return self._clock.monotonic_s()

    async def sleep(self, seconds: float) -> None:
        """See `World`."""
        await asyncio.sleep(seconds)
