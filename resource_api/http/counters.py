"""What the server counts of requests, in Prometheus' text format under kube-apiserver's names. Loop only. Hot path: `observe`."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterable

from resource_api.http.request import RequestInfo

BUCKETS_S = (0.005, 0.025, 0.05, 0.1, 0.2, 0.4, 0.6, 0.8, 1.0, 1.25, 1.5, 2.0, 3.0, 4.0, 5.0, 6.0, 8.0, 10.0, 15.0, 20.0, 30.0, 45.0, 60.0)
"""Upper bounds of `apiserver_request_duration_seconds`."""

SERIES_MAX = 10_000
"""Combinations of labels kept; further ones are counted as one with empty labels."""

VERBS = {"create": "POST", "update": "PUT"}

Labels = tuple[tuple[str, str], ...]
Sample = tuple[str, Labels, float]
"""Name, labels, value."""

Source = Callable[[], Iterable[Sample]]


class _Series:
    __slots__ = ("buckets", "count", "total_s")

    def __init__(self) -> None:
        self.count = 0
        self.total_s = 0.0
        self.buckets = [0] * (len(BUCKETS_S) + 1)


class RequestCounters:
    """Requests by what was asked and how it ended. `sources` add gauges of others to the page."""

    def __init__(self) -> None:
        self._ended: dict[tuple[str, str, str, str, str, str, int, bool], _Series] = {}
        self.long_running: dict[tuple[str, str, str], int] = {}
        """By verb, group and resource."""
        self.watch_events: dict[tuple[str, str, str], int] = {}
        """Sent, by group, version and kind."""
        self.faults = 0
        """Exceptions that were nobody's refusal: each is a bug of ours."""
        self.sources: list[Source] = []

    def observe(self, info: RequestInfo, code: int, seconds: float, *, dry_run: bool) -> None:
        """One request has ended."""
        scope = "" if not info.is_resource else "resource" if info.name else "namespace" if info.namespace else "cluster"
        key = (info.verb, info.group, info.version, info.resource, info.subresource, scope, code, dry_run)
        series = self._ended.get(key)
        if series is None:
            if len(self._ended) >= SERIES_MAX or (info.is_resource and code == 404 and scope == ""):
                key = ("", "", "", "", "", "", code, False)
            series = self._ended.setdefault(key, _Series())
        series.count += 1
        series.total_s += seconds
        series.buckets[bisect_left(BUCKETS_S, seconds)] += 1

    def text(self) -> str:
        """The page of `/metrics`."""
        lines: list[str] = []
        requests: list[Sample] = []
        durations: list[Sample] = []
        for (verb, group, version, resource, subresource, scope, code, dry_run), series in self._ended.items():
            labels: Labels = (
                ("component", "apiserver"),
                ("group", group),
                ("resource", resource),
                ("scope", scope),
                ("subresource", subresource),
                ("verb", VERBS.get(verb, verb.upper())),
                ("version", version),
            )
            requests.append(
                ("apiserver_request_total", (("code", str(code)), ("dry_run", "All" if dry_run else ""), *labels), series.count)
            )
            below = 0
            for bound, count in zip((*map(str, BUCKETS_S), "+Inf"), series.buckets, strict=True):
                below += count
                durations.append(("apiserver_request_duration_seconds_bucket", (*labels, ("le", bound)), below))
            durations.append(("apiserver_request_duration_seconds_sum", labels, series.total_s))
            durations.append(("apiserver_request_duration_seconds_count", labels, series.count))
        _family(lines, "apiserver_request_total", "counter", "Requests by what was asked and the HTTP code they ended with.", requests)
        _family(lines, "apiserver_request_duration_seconds", "histogram", "Duration of requests.", _added(durations))
        self._gauges(lines)
        gauges: dict[str, list[Sample]] = {}
        for source in self.sources:
            for sample in source():
                gauges.setdefault(sample[0], []).append(sample)
        for name, samples in gauges.items():
            _family(lines, name, "gauge", "See the name.", samples)
        return "\n".join(lines) + "\n"

    def _gauges(self, lines: list[str]) -> None:
        running: list[Sample] = [
            ("apiserver_longrunning_requests", (("group", group), ("resource", resource), ("verb", verb.upper())), count)
            for (verb, group, resource), count in self.long_running.items()
        ]
        _family(lines, "apiserver_longrunning_requests", "gauge", "Watches and other requests without an end of their own.", running)
        events: list[Sample] = [
            ("apiserver_watch_events_total", (("group", group), ("kind", kind), ("version", version)), count)
            for (group, version, kind), count in self.watch_events.items()
        ]
        _family(lines, "apiserver_watch_events_total", "counter", "Events sent to watchers.", events)
        faults: list[Sample] = [("resource_api_request_faults_total", (), self.faults)]
        _family(lines, "resource_api_request_faults_total", "counter", "Requests that met a fault of the server itself.", faults)


def _added(samples: list[Sample]) -> list[Sample]:
    """Samples of equal name and labels as one: durations are not kept apart by code."""
    sums: dict[tuple[str, Labels], float] = {}
    for name, labels, value in samples:
        sums[name, labels] = sums.get((name, labels), 0) + value
    return [(name, labels, value) for (name, labels), value in sums.items()]


def _family(lines: list[str], name: str, kind: str, help_text: str, samples: list[Sample]) -> None:
    lines.append(f"# HELP {name} {help_text}")
    lines.append(f"# TYPE {name} {kind}")
    for sample, labels, value in samples:
        shown = ",".join(f'{label}="{_escaped(text)}"' for label, text in labels)
        lines.append(f"{sample}{{{shown}}} {_number(value)}" if shown else f"{sample} {_number(value)}")


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


def _number(value: float) -> str:
    return str(value) if isinstance(value, int) else repr(value)
