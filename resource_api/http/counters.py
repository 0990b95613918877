"""What the server counts of requests, in Prometheus' text format under kube-apiserver's names. Loop only. Hot path: `observe`."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from resource_api.histograms import SERIES_MAX, Histogram, Series, escaped
from resource_api.http.request import RequestInfo
from resource_api.turns import Turn

REQUEST_LABELS = ("component", "group", "resource", "scope", "subresource", "verb", "version")

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
    "resource_api_reconcile_faults_total": "Reconciles of a controller that met a fault of the server itself; they are tried again.",
    "workqueue_adds_total": "Keys that came to wait for a controller.",
    "workqueue_depth": "Keys that wait for a controller.",
    "workqueue_retries_total": "Reconciles that failed and are tried again.",
}


class _Ended:
    """Requests that ended alike; the durations of those that differ in their code alone are one series."""

    __slots__ = ("count", "durations")

    def __init__(self, durations: Series) -> None:
        self.count = 0
        self.durations = durations


class RequestCounters:
    """Requests by what was asked and how it ended. `sources` add counters and gauges of others to the page, `histograms` whole families."""

    def __init__(self) -> None:
        self._ended: dict[tuple[str, str, str, str, str, str, int, bool], _Ended] = {}
        self._durations = Histogram("apiserver_request_duration_seconds", "Duration of requests.", REQUEST_LABELS)
        self.long_running: dict[tuple[str, str, str], int] = {}
        """By verb, group and resource."""
        self.watch_events: dict[tuple[str, str, str], int] = {}
        """Sent, by group, version and kind."""
        self.faults = 0
        """Exceptions that were nobody's refusal: each is a bug of ours."""
        self.sources: list[Source] = []
        self.histograms: list[Histogram] = [self._durations]

    def observe(self, info: RequestInfo, code: int, seconds: float, *, dry_run: bool) -> None:
        """One request has ended."""
        scope = "" if not info.is_resource else "resource" if info.name else "namespace" if info.namespace else "cluster"
        key = (info.verb, info.group, info.version, info.resource, info.subresource, scope, code, dry_run)
        ended = self._ended.get(key)
        if ended is None:
            if len(self._ended) >= SERIES_MAX or (info.is_resource and code == 404 and scope == ""):
                key = ("", "", "", "", "", "", code, False)
            ended = self._ended.setdefault(key, _Ended(self._durations.series(_labels(*key[:6]))))
        ended.count += 1
        self._durations.add(ended.durations, seconds)

    def text(self) -> str:
        """The page of `/metrics`."""
        return "\n".join(self._lines()) + "\n"

    async def page(self) -> bytes:
        """The same, made in slices: hundreds of series make tens of thousands of lines."""
        turn = Turn()
        lines: list[str] = []
        for line in self._lines():
            lines.append(line)
            if turn.is_over:
                await turn.next()
        return ("\n".join(lines) + "\n").encode()

    def _lines(self) -> Iterator[str]:
        requests = (
            (
                "apiserver_request_total",
                (
                    ("code", str(code)),
                    ("dry_run", "All" if dry_run else ""),
                    *zip(REQUEST_LABELS, _labels(verb, group, version, resource, subresource, scope), strict=True),
                ),
                ended.count,
            )
            for (verb, group, version, resource, subresource, scope, code, dry_run), ended in list(self._ended.items())
        )
        yield from _family("apiserver_request_total", "counter", "Requests by what was asked and the HTTP code they ended with.", requests)
        yield from self._gauges()
        gauges: dict[str, list[Sample]] = {}
        for source in self.sources:
            for sample in source():
                gauges.setdefault(sample[0], []).append(sample)
        for name, samples in gauges.items():
            yield from _family(name, "counter" if name.endswith("_total") else "gauge", HELP.get(name, ""), samples)
        for histogram in self.histograms:
            yield from histogram.lines()

    def _gauges(self) -> Iterator[str]:
        running: list[Sample] = [
            ("apiserver_longrunning_requests", (("group", group), ("resource", resource), ("verb", verb.upper())), count)
            for (verb, group, resource), count in self.long_running.items()
        ]
        yield from _family("apiserver_longrunning_requests", "gauge", "Watches and other requests without an end of their own.", running)
        events: list[Sample] = [
            ("apiserver_watch_events_total", (("group", group), ("kind", kind), ("version", version)), count)
            for (group, version, kind), count in self.watch_events.items()
        ]
        yield from _family("apiserver_watch_events_total", "counter", "Events sent to watchers.", events)
        faults: list[Sample] = [("resource_api_request_faults_total", (), self.faults)]
        yield from _family("resource_api_request_faults_total", "counter", "Requests that met a fault of the server itself.", faults)


def _labels(verb: str, group: str, version: str, resource: str, subresource: str, scope: str) -> tuple[str, ...]:
    """Values of `REQUEST_LABELS`."""
    return ("apiserver", group, resource, scope, subresource, VERBS.get(verb, verb.upper()), version)


def _family(name: str, kind: str, help_text: str, samples: Iterable[Sample]) -> Iterator[str]:
    yield f"# HELP {name} {help_text}"
    yield f"# TYPE {name} {kind}"
    for sample, labels, value in samples:
        shown = ",".join(f'{label}="{escaped(text)}"' for label, text in labels)
        yield f"{sample}{{{shown}}} {_number(value)}" if shown else f"{sample} {_number(value)}"


def _number(value: float) -> str:
    return str(value) if isinstance(value, int) else repr(value)
