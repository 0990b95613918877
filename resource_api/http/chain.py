"""What every request passes before and after its handler, in upstream's order (spec D.1).

Audit-Id and Cache-Control, the deadline, warnings, authentication, impersonation, requests in flight, authorization, the handler; then
refusals as Status, Warning headers, gzip. Who asks and whether they may is decided by the guards. Loop only. Hot path.
"""

from __future__ import annotations

import asyncio
import gzip
import logging
import re
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass
from email.utils import formatdate

from raftkv.clock import Clock
from resource_api.errors import StatusError, internal_error, timeout
from resource_api.http import status
from resource_api.http.counters import RequestCounters, Sample
from resource_api.http.deadlines import Deadlines
from resource_api.http.messages import Answer, ClientGoneError, Request, Response
from resource_api.http.representation import Representations
from resource_api.http.request import RequestInfo, request_info, timeout_s
from resource_api.registry.requests import User
from resource_api.security.limits import InFlight

GZIP_BYTES_MIN = 128 * 1024
"""Smaller answers are not worth it."""

GZIP_LEVEL = 1
"""As upstream's: the link is fast and the processor is not."""

WARNINGS_MAX = 4096
"""Characters of all Warning headers together; past it each text is cut to `WARNING_CUT`, and past it then no more are sent."""

WARNING_CUT = 256

CLIENT_GONE = 499
"""The code that is counted for a request whose client went before it had said all: no fault of the server's. Nobody is sent it."""

UNLIMITED = 1 << 30

_READ_OR_WRITE = {"GET": "get", "HEAD": "get", "OPTIONS": "get"}
"""As what a path that is no resource counts."""

PROBES = frozenset({"/healthz", "/livez", "/readyz"})
"""Always answered, however much there is to do: upstream's FlowSchema `probes` is exempt from every limit."""

LOOPBACK_HOSTS = frozenset({"localhost", "127.0.0.1", "::1"})

HOST = re.compile(r"(?:\[([^\]]*)\]|([^:\[\]]*))(?::[0-9]*)?")
"""A Host header: an IPv6 address in brackets or another name, and perhaps a port."""

_log = logging.getLogger("resource_api.http")


@dataclass(frozen=True, slots=True)
class ChainSettings:
    """Limits of the chain; flag names are kube-apiserver's."""

    request_timeout_s: float = 60.0
    """A request that is no watch ends after this (`--request-timeout`); above zero. `timeout=` of the query can only shorten it."""

    in_flight_max: int = 400
    """Reading requests worked on at once (`--max-requests-inflight`); more are answered 429. 0: no limit."""

    mutating_in_flight_max: int = 200
    """Changing requests worked on at once (`--max-mutating-requests-inflight`). 0: no limit."""


@dataclass(frozen=True, slots=True)
class Guards:
    """Who asks and whether they may. All raise StatusError to refuse."""

    authenticate: Callable[[Request], Awaitable[User]]
    """401 for wrong or missing credentials."""

    impersonate: Callable[[Request, User], Awaitable[User]]
    """The user the request is to be made as; the same one when no Impersonate header came."""

    authorize: Callable[[User, RequestInfo], Awaitable[None]]
    """403."""

    flow: Callable[[User, RequestInfo], Sequence[tuple[str, str]]] = lambda user, info: ()
    """Header fields of the answer that say how the request was counted."""


ResourceHandler = Callable[[Request, RequestInfo], Awaitable[Answer]]
Handler = Callable[[Request], Awaitable[Answer]]


class Chain:
    """See the module. `resources` answers what is a resource, `paths` everything else."""

    def __init__(
        self,
        settings: ChainSettings,
        guards: Guards,
        *,
        resources: ResourceHandler,
        paths: Handler,
        representations: Representations,
        counters: RequestCounters,
        deadlines: Deadlines,
        clock: Clock,
    ) -> None:
        self._settings = settings
        self._guards = guards
        self._resources = resources
        self._paths = paths
        self._representations = representations
        self._counters = counters
        self._deadlines = deadlines
        self._clock = clock
        self._random = clock.random()
        self._dated = (0, "")
        self._in_flight = InFlight(reads_max=settings.in_flight_max or UNLIMITED, writes_max=settings.mutating_in_flight_max or UNLIMITED)
        counters.sources.append(self._running)

    async def __call__(self, request: Request) -> Answer:
        """Answers; raises nothing but cancellation."""
        started_s = self._clock.monotonic_s()
        info = RequestInfo(request.method.lower(), request.path)
        answer: Answer
        try:
            info = request_info(request)
            answer = await (self._guarded(request, info) if info.long_running else self._timely(request, info))
        except StatusError as error:
            answer = status.refusal(error, request, self._representations)
        except ClientGoneError:
            answer = Response(CLIENT_GONE, b"")
        except Exception as error:  # a fault of ours ends this request and no other
            self._counters.faults += 1
            _log.error("%s %s failed", request.method, request.path, exc_info=error)
            answer = status.refusal(internal_error("the server met a fault of its own"), request, self._representations)
        if isinstance(answer, Response) and len(answer.body) > GZIP_BYTES_MIN:
            await _compress(request, answer)
        headers = answer.headers
        headers.append(("Audit-Id", request.headers.get("Audit-ID", "") or self._audit_id()))
        headers.append(("Date", self._date()))
        if not any(name == "Cache-Control" for name, _ in headers):
            headers.append(("Cache-Control", "no-cache, private"))
        if request.user is not None:
            headers.extend(self._guards.flow(request.user, info))
        if request.warnings:
            headers.extend(_warnings(request.warnings))
        self._counters.observe(info, answer.status, self._clock.monotonic_s() - started_s, dry_run="dryRun=" in request.raw_query)
        return answer

    async def _timely(self, request: Request, info: RequestInfo) -> Answer:
        deadline = self._deadlines.open(timeout_s(request, self._settings.request_timeout_s))
        try:
            return await self._guarded(request, info)
        except asyncio.CancelledError:
            if deadline.expired and deadline.task.uncancel() == 0:
                raise timeout("request did not complete within the allotted timeout") from None
            raise
        finally:
            self._deadlines.close(deadline)

    async def _guarded(self, request: Request, info: RequestInfo) -> Answer:
        if not request.secure:
            _check_host(request)
        guards = self._guards
        user = await guards.authenticate(request)
        request.user = user = await guards.impersonate(request, user)
        if info.long_running or (info.path in PROBES and info.verb == "get"):
            await guards.authorize(user, info)
            return await self._handled(request, info)
        with self._in_flight.enter(user, info.verb if info.is_resource else _READ_OR_WRITE.get(request.method, "update"), info.subresource):
            await guards.authorize(user, info)
            return await self._handled(request, info)

    async def _handled(self, request: Request, info: RequestInfo) -> Answer:
        if info.is_resource:
            return await self._resources(request, info)
        return await self._paths(request)

    def _running(self) -> Iterable[Sample]:
        for kind, count in (("readOnly", self._in_flight.reads), ("mutating", self._in_flight.writes)):
            yield "apiserver_current_inflight_requests", (("request_kind", kind),), count

    def _date(self) -> str:
        """The Date header, made once a second."""
        second = int(self._clock.wall_s())
        if second != self._dated[0]:
            self._dated = (second, formatdate(second, usegmt=True))
        return self._dated[1]

    def _audit_id(self) -> str:
        """A random UUID, version 4."""
        bits = self._random.getrandbits(128)
        text = f"{bits & ~(0xF << 76) & ~(3 << 62) | 4 << 76 | 2 << 62:032x}"
        return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"


def _check_host(request: Request) -> None:
    """Plain HTTP is for this machine's own programs: a page in a browser that was led here by a name of its own stays outside."""
    host = request.headers.get("Host", "")
    found = HOST.fullmatch(host)
    if found is None or (found[1] or found[2]).lower() not in LOOPBACK_HOSTS:
        raise StatusError(
            403, "Forbidden", f"forbidden: the insecure port answers to loopback names only, not to Host {host!r}", has_details=True
        )


async def _compress(request: Request, answer: Response) -> None:
    """With gzip, in a thread, when the client takes it."""
    if not answer.compressible or "gzip" not in request.headers.get("Accept-Encoding", ""):
        return
    answer.body = await asyncio.to_thread(gzip.compress, answer.body, GZIP_LEVEL, mtime=0)
    answer.headers += [("Content-Encoding", "gzip"), ("Vary", "Accept-Encoding")]


def _warnings(texts: Iterable[str]) -> list[tuple[str, str]]:
    """Warning headers, bounded: what upstream's recorder had told when it came to its bound it tells again, cut."""
    clean = ["".join(character for character in text if character.isprintable()) for text in texts]
    told, size = 0, 0
    while told < len(clean) and size <= WARNINGS_MAX:
        size += len(clean[told])
        told += 1
    if size > WARNINGS_MAX:
        clean = [text[:WARNING_CUT] for text in clean]
        size = sum(map(len, clean[:told]))
        while told < len(clean) and size < WARNINGS_MAX:
            size += len(clean[told])
            told += 1
    escaped = (text.replace("\\", "\\\\").replace('"', '\\"') for text in clean[:told])
    return [("Warning", f'299 - "{text}"') for text in escaped]
