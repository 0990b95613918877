"""grpc.health.v1.Health: whether this member serves, for load balancers and probes.

Only the service name "" is known, as in etcd. Source: grpc's health checking protocol.
"""

from __future__ import annotations

from collections.abc import Callable

from raftkv.pb import health
from raftkv.rpc.method import Stream
from raftkv.rpc.router import Router
from raftkv.rpc.status import Code, StatusError
from raftkv.server.api import Done

SERVICE = "/grpc.health.v1.Health/"
UNKNOWN_SERVICE = "unknown service"

_STATUS = health.HealthCheckResponse


class Health:
    """The serving status and those who watch it."""

    def __init__(self, router: Router) -> None:
        self._serving = True
        self._watches: dict[Stream, None] = {}
        router.unary(SERVICE + "Check", health.HealthCheckRequest, self._check, with_header=False, learners=True)
        router.unary(SERVICE + "List", health.HealthListRequest, self._list, with_header=False, learners=True)
        router.server_stream(SERVICE + "Watch", health.HealthCheckRequest, self._watch)

    def set_serving(self, serving: bool) -> None:
        """Changes the status and tells every watcher; a draining member stops serving before it closes."""
        if serving != self._serving:
            self._serving = serving
            for stream in list(self._watches):
                stream.send(self.response().SerializeToString())

    def response(self) -> health.HealthCheckResponse:
        """The status of the service named ""."""
        return _STATUS(status=_STATUS.SERVING if self._serving else _STATUS.NOT_SERVING)

    def _check(self, raw: bytes, request: health.HealthCheckRequest, done: Done) -> None:
        if request.service:
            done(None, StatusError(Code.NOT_FOUND, UNKNOWN_SERVICE))
        else:
            done((0, self.response().SerializeToString()), None)

    def _list(self, raw: bytes, request: health.HealthListRequest, done: Done) -> None:
        done((0, health.HealthListResponse(statuses={"": self.response()}).SerializeToString()), None)

    def _watch(self, stream: Stream, request: health.HealthCheckRequest) -> Callable[[], None]:
        if request.service:
            # A name nobody registered is answered in-band and stays watched.
            stream.send(_STATUS(status=_STATUS.SERVICE_UNKNOWN).SerializeToString())
        else:
            self._watches[stream] = None
            stream.when_ended(lambda: self._watches.pop(stream, None))
            stream.send(self.response().SerializeToString())
        return _no_room_needed


def _no_room_needed() -> None:
    """Nothing waits for room: there is one message per change of status."""
