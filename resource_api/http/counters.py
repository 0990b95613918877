"""What the server counts of requests, in Prometheus' text format under kube-apiserver's names. Loop only. Hot path: `observe`."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterable

from resource_api.histograms import REQUEST_BUCKETS_S as BUCKETS_S
from resource_api.histograms import SERIES_MAX, Histogram, Series, escaped
from resource_api.http.request import RequestInfo

VERBS = {"create": "POST", "update": "PUT"}

Labels = tuple[tuple[str, str], ...]
Sample = tuple[str, Labels, float]
"""Name, labels, value."""

Source = Callable[[], Iterable[Sample]]

HELP = {
    "apiserver_current_inflight_requests": "Requests that are being worked on, by kind.",
    "apiserver_resource_objects": "Objects in the store, by kind.",
    "apiserver_storage_size_bytes": "Size of the store's database, as the store says it.",
    "etcd_request_errors_total": "Calls the store did not answer.",
}


class RequestCounters:
    """Requests by what was asked and how it ended. `sources` add counters and gauges of others to the page, `histograms` whole families."""

    def __init__(self) -> None:
        self._ended: dict[tuple[str, str, str, str, str, str, int, bool], Series] = {}
        self.long_running: dict[tuple[str, str, str], int] = {}
        """By verb, group and resource."""
        self.watch_events: dict[tuple[str, str, str], int] = {}
        """Sent, by group, version and kind."""
        self.faults = 0
        """Exceptions that were nobody's refusal: each is a bug of ours."""
        self.sources: list[Source] = []
        self.histograms: list[Histogram] = []

    def observe(self, info: RequestInfo, code: int, seconds: float, *, dry_run: bool) -> None:
        """One request has ended."""
        scope = "" if not info.is_resource else "resource" if info.name else "namespace" if info.namespace else "cluster"
        key = (info.verb, info.group, info.version, info.resource, info.subresource, scope, code, dry_run)
        series = self._ended.get(key)
        if series is None:
            if len(self._ended) >= SERIES_MAX or (info.is_resource and code == 404 and scope == ""):
                key = ("", "", "", "", "", "", code, False)
            series = self._ended.setdefault(key, Series(BUCKETS_S))
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
            _family(lines, name, "counter" if name.endswith("_total") else "gauge", HELP.get(name, ""), samples)
        for histogram in self.histograms:
            lines.extend(histogram.lines())
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
        shown = ",".join(f'{label}="{escaped(text)}"' for label, text in labels)
        lines.append(f"{sample}{{{shown}}} {_number(value)}" if shown else f"{sample} {_number(value)}")


def _number(value: float) -> str:
    return str(value) if isinstance(value, int) else repr(value)
