"""grpc.health.v1.Health: whether this member serves, for load balancers and probes.

Only the service name "" is known, as in etcd. Source: grpc's health checking protocol.
"""

from __future__ import annotations

from raftkv.pb import health
from raftkv.rpc.method import Stream
from raftkv.rpc.router import Router
from raftkv.rpc.status import Code, StatusError
from raftkv.server.api import Done
from raftkv.transport.call import Kind, StreamHandler

SERVICE = "/grpc.health.v1.Health/"
UNKNOWN_SERVICE = "unknown service"

_STATUS = health.HealthCheckResponse


class Health:
    """The serving status and those who watch it."""

    def __init__(self, router: Router) -> None:
        self._serving = True
        self._watches: set[HealthWatch] = set()
        router.unary(SERVICE + "Check", health.HealthCheckRequest, self._check, with_header=False)
        router.unary(SERVICE + "List", health.HealthListRequest, self._list, with_header=False)
        router.stream(SERVICE + "Watch", Kind.SERVER_STREAM, self._open_watch)

    def set_serving(self, serving: bool) -> None:
        """Changes the status and tells every watcher; a draining member stops serving before it closes."""
        if serving != self._serving:
            self._serving = serving
            for watch in list(self._watches):
                watch.tell()

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

    def _open_watch(self, stream: Stream) -> StreamHandler:
        watch = HealthWatch(self, stream)
        self._watches.add(watch)
        stream.when_ended(lambda: self._watches.discard(watch))
        return watch


class HealthWatch:
    """One watcher: the status now, then each change. A name nobody registered is answered in-band and stays watched."""

    __slots__ = ("_health", "_known", "_stream")

    def __init__(self, owner: Health, stream: Stream) -> None:
        self._health = owner
        self._stream = stream
        self._known = False

    def on_message(self, body: bytes) -> None:
        """The one request."""
        request = self._stream.decode(health.HealthCheckRequest, body)
        if request is None:
            return
        self._known = not request.service
        if self._known:
            self.tell()
        else:
            self._stream.send(_STATUS(status=_STATUS.SERVICE_UNKNOWN).SerializeToString())

    def on_half_close(self) -> None:
        """The request is complete; the watch goes on."""

    def on_cancel(self) -> None:
        """The client went away."""
        self._stream.cancelled()

    def on_writable(self) -> None:
        """Nothing waits for room: there is one message per change of status."""

    def tell(self) -> None:
        """Sends the status."""
        if self._known:
            self._stream.send(self._health.response().SerializeToString())
