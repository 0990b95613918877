"""The HTTP endpoints beside gRPC: /health, /livez, /readyz, /version, /metrics, /debug/vars.

Plain functions from a request to a response; refuses to know sockets and HTTP framing, so that the HTTP/1.1 shell
(`http.py`) and our HTTP/2 transport serve the same ones. An answer that needs a read of the store comes later, through
`reply`; all on the loop. Source: etcd's api/etcdhttp.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import partial
from typing import NamedTuple, Protocol
from urllib.parse import parse_qs

from raftkv import ETCD_VERSION
from raftkv.metrics import CONTENT_TYPE, Metrics
from raftkv.pb import rpc
from raftkv.rpc import expvar
from raftkv.rpc.maintenance import STORAGE_VERSION, alarm_name
from raftkv.server.api import LocalApi, MemberApi, Result

_TEXT = "text/plain; charset=utf-8"
_JSON = "application/json; charset=utf-8"


class HttpRequest(NamedTuple):
    """One request. `query` is what follows the question mark, undecoded."""

    method: str
    path: str
    query: str = ""
    body: bytes = b""
    origin: str = ""
    """The Origin header: the web page that asks; empty for all who are none."""


class HttpResponse(NamedTuple):
    """One response; Content-Length and Date are the shell's."""

    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes


Reply = Callable[[HttpResponse], None]
Verdict = Callable[[str], None]
"""Takes what is wrong; an empty text means that the check passed."""


class Answerer(Protocol):
    """What answers requests."""

    def serve(self, request: HttpRequest, reply: Reply) -> None:
        """Calls `reply` once, on the loop, now or in a later turn."""


def text_response(status: int, text: str, *headers: tuple[str, str]) -> HttpResponse:
    """Plain text the way Go's http.Error writes it, newline included."""
    return HttpResponse(status, (*headers, ("Content-Type", _TEXT), ("X-Content-Type-Options", "nosniff")), f"{text}\n".encode())


def version_response(api: LocalApi) -> HttpResponse:
    """What /version says on the client port and on the peer port."""
    versions = {
        "etcdserver": ETCD_VERSION,
        "etcdcluster": api.status().cluster_version or "not_decided",
        "storage": STORAGE_VERSION,
    }
    return HttpResponse(200, (("Content-Type", "application/json"),), _compact_json(versions))


class Endpoints:
    """Answers for one member."""

    def __init__(self, api: MemberApi, metrics: Metrics, *, monitoring_only: bool = False) -> None:
        """`monitoring_only`: what --listen-metrics-urls serves, the metrics and the checks."""
        self._api = api
        self._metrics = metrics
        self._checks: dict[str, Callable[[Verdict], None]] = {
            "data_corruption": self._check_corruption,
            "serializable_read": partial(self._check_read, serializable=True),
            "linearizable_read": partial(self._check_read, serializable=False),
            "non_learner": self._check_voter,
        }
        self._paths = ("/health",) if monitoring_only else ("/health", "/version", "/debug/vars")
        self._probes = {"livez": ("serializable_read",), "readyz": tuple(self._checks)}

    def serve(self, request: HttpRequest, reply: Reply) -> None:
        """Calls `reply` once, now or in a later turn."""
        parts = request.path.split("/")[1:]
        if request.path == "/metrics":
            reply(self._scrape())
        elif request.path not in self._paths and not self._is_probe(parts):
            reply(text_response(404, "404 page not found"))
        elif request.method != "GET":
            reply(text_response(405, "Method Not Allowed", ("Allow", "GET")))
        elif request.path == "/health":
            self._health(parse_qs(request.query, keep_blank_values=True), reply)
        elif request.path == "/version":
            reply(version_response(self._api))
        elif request.path == "/debug/vars":
            reply(self._variables())
        else:
            self._probe(parts, parse_qs(request.query, keep_blank_values=True), reply)

    def _is_probe(self, parts: list[str]) -> bool:
        names = self._probes.get(parts[0] if parts else "")
        return names is not None and (len(parts) == 1 or (len(parts) == 2 and parts[1] in names))

    # /metrics and /debug/vars

    def _scrape(self) -> HttpResponse:
        self._metrics.family("promhttp_metric_handler_requests_total").number("200").value += 1
        return HttpResponse(200, (("Content-Type", CONTENT_TYPE),), self._metrics.render())

    def _variables(self) -> HttpResponse:
        self._metrics.render()  # reads what the process holds
        argv, descriptors_max = expvar.of_process()
        resident_bytes = int(self._metrics.number("process_resident_memory_bytes").value)
        body = expvar.render(self._api.raft(), argv=argv, descriptors_max=descriptors_max, resident_bytes=resident_bytes)
        return HttpResponse(200, (("Content-Type", _JSON),), body)

    # /health

    def _health(self, query: dict[str, list[str]], reply: Reply) -> None:
        serializable = query.get("serializable", [""])[0] == "true"
        answer = partial(self._answer_health, reply)
        status = self._api.status()
        excluded = set(query.get("exclude", ()))
        for alarm in status.alarms:
            name = alarm_name(alarm.type)
            if name not in excluded:
                answer("ALARM " + (name if name in ("NOSPACE", "CORRUPT") else "UNKNOWN"))
                return
        if not serializable and not status.leader_id:
            answer("RAFT NO LEADER")
            return
        self._check_read(lambda wrong: answer(f"RANGE ERROR:{wrong}" if wrong else ""), serializable=serializable)

    def _answer_health(self, reply: Reply, reason: str) -> None:
        self._metrics.number("etcd_server_health_failures" if reason else "etcd_server_health_success").value += 1
        body = _compact_json({"health": "false" if reason else "true", "reason": reason})
        if reason:
            reply(text_response(503, body.decode()))
        else:
            reply(HttpResponse(200, (("Content-Type", _TEXT),), body))

    # /livez and /readyz

    def _probe(self, parts: list[str], query: dict[str, list[str]], reply: Reply) -> None:
        excluded = () if len(parts) == 2 else tuple(query.get("exclude", ()))
        names = parts[1:] if len(parts) == 2 else [name for name in self._probes[parts[0]] if name not in excluded]
        _ProbeRun(self, parts[0], names, "verbose" in query, reply).next()

    def check(self, name: str, verdict: Verdict) -> None:
        """Runs one check."""
        self._checks[name](verdict)

    def record(self, probe: str, name: str, passed: bool) -> None:
        """Counts the outcome of one check."""
        self._metrics.family("etcd_server_healthcheck").number(probe, name).value = int(passed)
        self._metrics.family("etcd_server_healthchecks_total").number(probe, name, "success" if passed else "error").value += 1

    def _check_corruption(self, verdict: Verdict) -> None:
        corrupt = any(alarm.type == rpc.CORRUPT for alarm in self._api.status().alarms)
        verdict("alarm activated: CORRUPT" if corrupt else "")

    def _check_voter(self, verdict: Verdict) -> None:
        verdict("not supported for learner" if self._api.status().is_learner else "")

    def _check_read(self, verdict: Verdict, *, serializable: bool) -> None:
        def done(result: Result | None, error: Exception | None) -> None:
            verdict("" if error is None else str(error))

        # The key is one that may or may not exist: the point is the way to it.
        self._api.range(rpc.RangeRequest(key=b"\0", keys_only=True, limit=1, serializable=serializable), done)


class _ProbeRun:
    """The checks of one request to /livez or /readyz, one after the other."""

    __slots__ = ("_endpoints", "_failed", "_names", "_position", "_probe", "_reply", "_report", "_verbose")

    def __init__(self, endpoints: Endpoints, probe: str, names: list[str], verbose: bool, reply: Reply) -> None:
        self._endpoints = endpoints
        self._probe = probe
        self._names = names
        self._verbose = verbose
        self._reply = reply
        self._position = 0
        self._failed = False
        self._report = ""

    def next(self) -> None:
        """Runs the next check, or answers after the last one."""
        if self._position < len(self._names):
            self._endpoints.check(self._names[self._position], self._take)
        elif self._failed:
            self._reply(text_response(503, self._report))
        else:
            self._reply(text_response(200, (self._report if self._verbose else "") + "ok"))

    def _take(self, wrong: str) -> None:
        name = self._names[self._position]
        self._endpoints.record(self._probe, name, not wrong)
        self._failed = self._failed or bool(wrong)
        self._report += f"[-]{name} failed: {wrong}\n" if wrong else f"[+]{name} ok\n"
        self._position += 1
        self.next()


def _compact_json(value: dict[str, str]) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()
