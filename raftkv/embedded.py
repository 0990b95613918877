"""The composition root: a member from settings, listening, in this process and on this loop.

The only module that knows every layer. `raftkv server` runs one member this way; a program may run one beside its own
work. While a member runs the interpreter's switch interval is lowered, because its threads would otherwise wait for a
loop that never idles (design §3), and the collector's threshold is raised; both are restored afterwards.
"""

from __future__ import annotations

import asyncio
import gc
import logging
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from raftkv import ETCD_VERSION, __version__
from raftkv.client import AsyncClient
from raftkv.client.dial import paired
from raftkv.clock import Clock, SystemClock
from raftkv.errors import ConfigError
from raftkv.metrics import Metrics
from raftkv.rpc.raft_peer import peer_routes
from raftkv.rpc.services import ClientServices, ServiceSettings
from raftkv.server.bootstrap import LOCK_POLL_S, Booted, DirectoryLockedError, Founders, Platform, boot
from raftkv.server.discovery import check_cluster
from raftkv.server.member import MemberCore, Workers
from raftkv.server.peer_port import PeerPort
from raftkv.server.peers import PING_S, PONG_TIMEOUT_S
from raftkv.server.service import Service
from raftkv.server.settings import MemberSettings
from raftkv.storage.fs import OsFileSystem
from raftkv.storage.lmdb_backend import LmdbOpener
from raftkv.storage.worker import ThreadWorker, Worker
from raftkv.transport.limits import ServerLimits
from raftkv.transport.server import GrpcServer

log = logging.getLogger("raftkv.server")

SWITCH_INTERVAL_S = 0.0001
COLLECT_EVERY_OBJECTS = 10_000
"""Threshold of the collector's youngest generation. Requests leave no cycles, and what is under way survives a collection after
700 objects. Over 100 000 puts, 4 connections × 64 calls: 70 ms in 330 collections, the longest 9.5 ms, against 18 ms in 10, the
longest 2.4 ms."""

MESSAGE_OVERHEAD_BYTES = 512 << 10
"""What a gRPC message may be larger than the largest request, as in etcd."""

PEER_MESSAGE_BYTES_MAX = 64 << 20
"""Largest frame between members: one append's worth of the largest requests."""

HTTP1_LOAD_DELAY_S = 1.0
"""When the HTTP/1.1 shell is imported, after serving began, if no request has asked for it before."""

IN_PROCESS = "in-process"
"""The endpoint's name where client and member share a process."""

DRAIN_S = 5.0
"""Longest wait for calls in progress at a stop."""


@dataclass(frozen=True, slots=True)
class Environment:
    """What a member stands on: the machine, or a simulated one."""

    platform: Platform
    clock: Clock
    worker: Callable[[str], Worker]

    @classmethod
    def of_machine(cls, settings: MemberSettings) -> Environment:
        """Files, LMDB and threads of this machine."""
        loop = asyncio.get_running_loop()
        no_sync = settings.unsafe_no_fsync
        return cls(
            Platform(OsFileSystem(unsafe_no_sync=no_sync), LmdbOpener(unsafe_no_sync=no_sync)),
            SystemClock(),
            lambda name: ThreadWorker(name, loop.call_soon_threadsafe),
        )


class RunningMember:
    """A member that serves. Made by `running_member`."""

    def __init__(self, core: MemberCore, service: Service, services: ClientServices, metrics: Metrics) -> None:
        self.core = core
        self.service = service
        self.services = services
        self.metrics = metrics
        self.servers: list[GrpcServer] = []
        """The clients' server, the peers', and the metrics'."""
        self.listeners: list[asyncio.AbstractServer] = []
        self.ready = asyncio.Event()
        """Set once the member has published itself to the cluster: every kind of request can be served."""
        self._stopped = False

    @property
    def member_id(self) -> int:
        """See MemberCore."""
        return self.core.member_id

    @property
    def client_urls(self) -> tuple[str, ...]:
        """Where clients reach it."""
        return tuple(self.core.settings.advertise_client_urls)

    def describe(self) -> str:
        """For people."""
        return self.core.describe()

    def client(self, **options: Any) -> AsyncClient:
        """A client joined to this member in memory, for the same loop; options as `AsyncClient`'s. The caller closes it.

        Its calls take the way of a socket's, permissions and limits included, without the kernel between.
        """
        return AsyncClient(IN_PROCESS, open_link=paired(self.servers[0].protocol_factory), **options)

    async def stop(self, *, drain: bool = True) -> None:
        """Hands leadership over, answers what is in progress, syncs and closes. Without `drain`: at once. Idempotent."""
        if self._stopped:
            return
        self._stopped = True
        # A member that has failed answers nothing more: whatever is in progress would only be waited for.
        drain = drain and not self.core.failure.done()
        for listener in self.listeners:
            listener.close()
        try:
            if drain:
                await self.core.hand_over()
            self.core.stopping = True
            self.services.stop()
            if drain:
                # Not the peers' server: its streams end with the members at their other ends.
                await self.servers[0].drain(DRAIN_S)
        finally:
            # Also when the wait was cancelled: what is open would stay open for as long as the process lives.
            await self._close()

    async def _close(self) -> None:
        self.core.stopping = True
        self.services.stop()
        await self.core.stop()
        for server in self.servers:
            server.close()
        await self.services.close()


@asynccontextmanager
async def running_member(settings: MemberSettings, *, environment: Environment | None = None) -> AsyncIterator[RunningMember]:
    """Starts a member and stops it at the end of the block. The block is cancelled when the member fails.

    Raises ConfigError, CorruptionError, OSError at the start; the failure's own error when the member fails later,
    in an ExceptionGroup.
    """
    environment = environment or Environment.of_machine(settings)
    interval_s, thresholds = sys.getswitchinterval(), gc.get_threshold()
    sys.setswitchinterval(SWITCH_INTERVAL_S)
    gc.set_threshold(COLLECT_EVERY_OBJECTS, *thresholds[1:])
    try:
        member = await _start(settings, environment)
        try:
            async with asyncio.TaskGroup() as group:
                member.core.start(group)
                watch = group.create_task(_watch(member), name="member failure")
                try:
                    yield member
                finally:
                    watch.cancel()
                    await member.stop()
        finally:
            await member.stop(drain=False)
    finally:
        sys.setswitchinterval(interval_s)
        gc.set_threshold(*thresholds)


def private_member(data_dir: str, *, compact_after_s: float = 300.0) -> MemberSettings:
    """A cluster of one that only this process reaches, through `RunningMember.client`: no port is opened, its URLs are names alone."""
    url = "http://127.0.0.1:2380"
    return MemberSettings(
        data_dir=data_dir,
        initial_cluster=(("default", url),),
        initial_advertise_peer_urls=(url,),
        listen_peer_urls=(),
        listen_client_urls=(),
        auto_compaction_period_s=compact_after_s,
    )


async def _watch(member: RunningMember) -> None:
    """Ends the task group with the member's failure."""
    await asyncio.shield(member.core.failure)


async def _boot(settings: MemberSettings, environment: Environment, expected: Founders | None, metrics: Metrics) -> Booted:
    """Opens the data directory, waiting for as long as another process holds it; a signal ends the wait."""
    loop = asyncio.get_running_loop()
    while True:
        try:
            return boot(settings, environment.platform, expected, now_s=loop.time, observe_fsync_s=metrics.wal_fsync.observe)
        except DirectoryLockedError as error:
            log.warning(str(error))
            await asyncio.sleep(LOCK_POLL_S)


async def _start(settings: MemberSettings, environment: Environment) -> RunningMember:
    loop = asyncio.get_running_loop()
    metrics = Metrics(version=__version__, etcd_version=ETCD_VERSION)
    expected = await check_cluster(settings, environment.platform)
    booted = await _boot(settings, environment, expected, metrics)
    core = MemberCore(
        settings,
        booted,
        Workers(environment.worker("raftkv-wal"), environment.worker("raftkv-store")),
        environment.clock,
        loop,
        observe_commit_s=metrics.backend_commit.observe,
    )
    round_trips = metrics.family("etcd_network_peer_round_trip_time_seconds")
    core.peers.observe_round_trip = lambda peer_id, took_s: round_trips.histogram(f"{peer_id:x}").observe(took_s)
    service = Service(core, loop)
    services = ClientServices(
        service, metrics, ServiceSettings(settings.max_request_bytes, settings.election_timeout_ms, settings.cors), loop
    )
    member = RunningMember(core, service, services, metrics)
    client_server = GrpcServer(
        loop,
        services.routes,
        ServerLimits(
            max_concurrent_streams=settings.max_concurrent_streams,
            message_bytes_max=settings.max_request_bytes + MESSAGE_OVERHEAD_BYTES,
        ),
        http1=services.http1,
        http2_plain=services.plain,
    )
    services.count_calls(client_server.statistics)
    # Both ends of a peer connection look whether the other is there: a snapshot whose sender vanished must not bar the next.
    peer_limits = ServerLimits(
        message_bytes_max=PEER_MESSAGE_BYTES_MAX,
        ping_interval_min_s=PING_S / 2,
        keepalive_s=PING_S,
        keepalive_timeout_s=PONG_TIMEOUT_S,
    )
    peer_server = GrpcServer(loop, peer_routes(PeerPort(core)), peer_limits, http1=services.peer_http1)
    # A server without services: an HTTP/2 client is told so, HTTP/1.1 is the shell's.
    metrics_server = GrpcServer(loop, {}, ServerLimits(), http1=services.monitoring)
    member.servers = [client_server, peer_server, metrics_server]
    booted.flush = _flusher(client_server, peer_server)
    core.on_published = lambda: _announce(member)
    try:
        for urls, server in (
            (settings.listen_peer_urls, peer_server),
            (settings.listen_client_urls, client_server),
            (settings.listen_metrics_urls, metrics_server),
        ):
            for url in urls:
                member.listeners.append(await _listen(loop, url, server))
    except BaseException:
        await member.stop(drain=False)
        raise
    # What recovery made lives as long as the member: no collection need look at it again.
    gc.collect()
    gc.freeze()
    return member


def _flusher(*servers: GrpcServer) -> Callable[[], None]:
    flushes = [server.flush for server in servers]

    def flush() -> None:
        for one in flushes:
            one()

    return flush


async def _listen(loop: asyncio.AbstractEventLoop, url: str, server: GrpcServer) -> asyncio.AbstractServer:
    parts = urlsplit(url)
    if parts.scheme != "http" or parts.hostname is None or parts.port is None:
        raise ConfigError(f"cannot listen on {url!r}: only http://HOST:PORT is supported")
    try:
        return await loop.create_server(server.protocol_factory, parts.hostname, parts.port, backlog=1024)
    except OSError as error:
        text = f"listen tcp {parts.hostname}:{parts.port}: bind: {(error.strerror or str(error)).lower()}"
        raise OSError(error.errno, text) from error


def _announce(member: RunningMember) -> None:
    member.ready.set()
    # The import takes a tenth of a second, which the first scrape or health check should not wait for, nor the start.
    asyncio.get_running_loop().call_later(HTTP1_LOAD_DELAY_S, member.services.http1.load)
    log.info("ready to serve client requests")
    for url in member.core.settings.listen_client_urls:
        if url.startswith("http://"):
            log.warning(
                "serving client traffic insecurely; this is strongly discouraged!", extra={"fields": {"address": urlsplit(url).netloc}}
            )
