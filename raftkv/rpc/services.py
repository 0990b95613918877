"""All that a client may ask of a member, composed: gRPC routes, health, HTTP endpoints, and their metrics.

The one place that knows every service; the transport is handed `routes`, `plain` and `http1`. Lock and
election are not registered, so they are answered as gRPC answers an unknown service.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from urllib.parse import unquote

from raftkv.errors import StoppedError
from raftkv.metrics import Metrics, process_collector
from raftkv.rpc.auth import add_auth
from raftkv.rpc.call_metrics import call_collector
from raftkv.rpc.cluster import add_cluster
from raftkv.rpc.endpoints import Endpoints, HttpRequest, HttpResponse
from raftkv.rpc.guard import Guard, LeaderMonitor
from raftkv.rpc.health import Health
from raftkv.rpc.http import Http1Shell, http1_factory
from raftkv.rpc.kv import add_kv
from raftkv.rpc.lease import add_lease
from raftkv.rpc.maintenance import add_maintenance
from raftkv.rpc.member_metrics import member_collector
from raftkv.rpc.method import Calls
from raftkv.rpc.origins import ANYWHERE, CrossOrigin
from raftkv.rpc.peer_endpoints import PeerEndpoints
from raftkv.rpc.router import Router
from raftkv.rpc.watch import add_watch
from raftkv.server.api import MemberApi
from raftkv.transport.call import Route
from raftkv.transport.plain import PlainRequest
from raftkv.transport.server import ServerStatistics


@dataclass(frozen=True, slots=True)
class ServiceSettings:
    """What the services must be told. Names follow etcd's flags."""

    max_request_bytes: int = 1_572_864
    """Largest request that may enter the log; fragments of a watch response and chunks of a range stream go by it."""

    election_timeout_ms: int = 1000
    """How often a stream that asked for a leader is looked after."""

    cors: tuple[str, ...] = (ANYWHERE,)
    """Origins of web pages that may call over HTTP; `*` stands for all."""


class ClientServices:
    """Everything on the client port of one member, and the little HTTP of its other ports, to be handed to the transport's server."""

    def __init__(self, api: MemberApi, metrics: Metrics, settings: ServiceSettings, loop: asyncio.AbstractEventLoop) -> None:
        """Registers the collectors of the member and the process with `metrics`."""
        monitor = LeaderMonitor(api, loop, settings.election_timeout_ms / 1000)
        self._calls = calls = Calls(api, metrics, Guard(api, metrics), monitor)
        router = Router(calls)
        add_kv(router, api, settings.max_request_bytes)
        add_watch(router, api, settings.max_request_bytes)
        add_lease(router, api)
        add_cluster(router, api)
        add_maintenance(router, api)
        add_auth(router, api)
        self.health = Health(router)
        self.routes: dict[str, Route] = router.routes
        self.endpoints = CrossOrigin(Endpoints(api, metrics), settings.cors)
        self.http1: Http1Shell = http1_factory(self.endpoints, loop)
        self.monitoring: Http1Shell = http1_factory(Endpoints(api, metrics, monitoring_only=True), loop)
        """What the URLs of --listen-metrics-urls serve."""
        self.peer_http1: Http1Shell = http1_factory(PeerEndpoints(api), loop)
        """What the peer port serves to who is no member."""
        metrics.collect_with(member_collector(api, metrics))
        metrics.collect_with(process_collector(metrics))
        self._statistics: Callable[[], ServerStatistics] | None = None
        metrics.collect_with(call_collector(metrics, self.routes, lambda: self._statistics() if self._statistics else None))

    def count_calls(self, statistics: Callable[[], ServerStatistics]) -> None:
        """Has the metrics show what the transport's server counts; until then those series stay 0."""
        self._statistics = statistics

    def stop(self) -> None:
        """The member stops: says so to health checks, and ends the streams, which would outlast any drain."""
        self.health.set_serving(False)
        self._calls.end_streams(StoppedError())

    async def close(self) -> None:
        """Ends the HTTP/1.1 connections of all ports."""
        for shell in (self.http1, self.monitoring, self.peer_http1):
            await shell.close()

    def plain(self, request: PlainRequest) -> None:
        """The transport's hook for HTTP/2 requests that are not gRPC."""

        def reply(response: HttpResponse) -> None:
            request.respond(response.status, response.headers, response.body)

        origin = next((value for name, value in request.headers if name == "origin"), "")
        self.endpoints.serve(HttpRequest(request.method, unquote(request.path), request.query, request.body, origin), reply)


def routes(api: MemberApi, metrics: Metrics, settings: ServiceSettings, loop: asyncio.AbstractEventLoop) -> dict[str, Route]:
    """The gRPC routes alone, by path."""
    return ClientServices(api, metrics, settings, loop).routes
