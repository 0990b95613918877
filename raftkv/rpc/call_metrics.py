"""The grpc_server_* series and the client traffic, from what the transport counted.

Every label combination exists from the start, so that a rate or a ratio over them never begins with a gap.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from raftkv.metrics import Collector, Metrics
from raftkv.rpc.status import Code
from raftkv.transport.call import Route
from raftkv.transport.request import MethodCounters
from raftkv.transport.server import ServerStatistics

GO_CODES = {
    Code.OK: "OK",
    Code.CANCELLED: "Canceled",
    Code.UNKNOWN: "Unknown",
    Code.INVALID_ARGUMENT: "InvalidArgument",
    Code.DEADLINE_EXCEEDED: "DeadlineExceeded",
    Code.NOT_FOUND: "NotFound",
    Code.ALREADY_EXISTS: "AlreadyExists",
    Code.PERMISSION_DENIED: "PermissionDenied",
    Code.RESOURCE_EXHAUSTED: "ResourceExhausted",
    Code.FAILED_PRECONDITION: "FailedPrecondition",
    Code.ABORTED: "Aborted",
    Code.OUT_OF_RANGE: "OutOfRange",
    Code.UNIMPLEMENTED: "Unimplemented",
    Code.INTERNAL: "Internal",
    Code.UNAVAILABLE: "Unavailable",
    Code.DATA_LOSS: "DataLoss",
    Code.UNAUTHENTICATED: "Unauthenticated",
}
"""The label values of grpc_code, as grpc-go prints codes."""


def call_collector(metrics: Metrics, routes: Mapping[str, Route], statistics: Callable[[], ServerStatistics | None]) -> Collector:
    """A collector of the transport's counters; all series of the routes exist from now on, and stay 0 while it returns None."""
    series = [_Series(metrics, path, route) for path, route in routes.items()]
    received = metrics.number("etcd_network_client_grpc_received_bytes_total")
    sent = metrics.number("etcd_network_client_grpc_sent_bytes_total")
    internal_errors = metrics.family("raftkv_internal_errors_total").number("transport")

    def collect() -> None:
        counted = statistics()
        if counted is None:
            return
        received.value = counted.received_bytes
        sent.value = counted.sent_bytes
        internal_errors.value = counted.handler_error_count
        for one in series:
            one.show(counted.methods[one.path])

    return collect


class _Series:
    """The series of one method."""

    def __init__(self, metrics: Metrics, path: str, route: Route) -> None:
        _, service, method = path.split("/")
        labels = (route.kind.value, service, method)
        self.path = path
        self._started = metrics.family("grpc_server_started_total").number(*labels)
        self._received = metrics.family("grpc_server_msg_received_total").number(*labels)
        self._sent = metrics.family("grpc_server_msg_sent_total").number(*labels)
        handled = metrics.family("grpc_server_handled_total")
        self._handled = {code: handled.number(*labels, name) for code, name in GO_CODES.items()}

    def show(self, counters: MethodCounters) -> None:
        """Sets the series."""
        self._started.value = counters.started
        self._received.value = counters.received
        self._sent.value = counters.sent
        self._handled[Code.OK].value = counters.ok
        for code, count in counters.handled.items():
            self._handled[Code(code)].value = count
