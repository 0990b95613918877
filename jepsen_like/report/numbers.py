"""What a run amounts to in numbers: counts, latencies, rates, outages, lag of watchers, and what overlapped with faults.

Owns the arithmetic of the report; draws nothing. One pass over the operations and a sort, so that 100 000 take under half a second.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from jepsen_like import ledger
from jepsen_like.history import OK, History, Mark, Operation
from jepsen_like.ledger import FaultRecord

BUCKETS_MAX = 400
"""Points of a curve: more cannot be told apart on a screen."""

BUCKET_NS, BUCKET_NS_MIN = 500_000_000, 20_000_000
"""Of a curve: a sixtieth of a short run, and more than the first where that would make more than `BUCKETS_MAX` points."""

OUTAGE_NS = 1_000_000_000
"""A silence shorter than this is no outage, whatever the rate was."""

ERROR_CLASSES_MAX = 40
SECOND_NS = 1_000_000_000


class Quantiles(NamedTuple):
    """In nanoseconds."""

    p50: int
    p95: int
    p99: int
    top: int


class Bucket(NamedTuple):
    """One point of the curves."""

    start_ns: int
    counts: Mapping[str, int]
    """Completed calls by outcome."""

    latency: Quantiles | None
    """Of the successful ones."""


class Outage(NamedTuple):
    """No call succeeded, though calls were made."""

    start_ns: int
    end_ns: int
    attempts: int
    cause: str
    """The faults that overlap it."""


@dataclass(frozen=True, slots=True)
class Numbers:
    """All of them; times are the history's."""

    start_ns: int
    end_ns: int
    outcomes: Mapping[str, int]
    by_call: Mapping[str, Mapping[str, int]]
    errors: Sequence[tuple[str, str, int]]
    """(outcome, class, count), most frequent first."""

    latency: Mapping[str, Quantiles]
    """Of successful calls, by call; "" is all."""

    bucket_ns: int
    buckets: Sequence[Bucket]
    outages: Sequence[Outage]
    faults: Sequence[FaultRecord]
    overlapping: float
    """Share of calls that overlap an injected fault."""

    watch_lag: Quantiles | None
    """From a write's answer to its event, of watches open by then; an event may come first, which counts as 0."""

    watch_events: int
    reached: Mapping[str, int]


def numbers(history: History) -> Numbers:
    """Everything of one history."""
    operations = history.operations
    start, end = span(history)
    faults = faults_of(history.marks)
    by_call: dict[str, Counter[str]] = {}
    errors: Counter[tuple[str, str]] = Counter()
    latencies: dict[str, list[int]] = {"": []}
    for operation in operations:
        by_call.setdefault(operation.f, Counter())[operation.outcome] += 1
        if operation.outcome == OK:
            latency = operation.complete_ns - operation.invoke_ns
            latencies[""].append(latency)
            latencies.setdefault(operation.f, []).append(latency)
        else:
            errors[operation.outcome, error_class(operation.error)] += 1
    bucket_ns = max(BUCKET_NS_MIN, min(BUCKET_NS, (end - start) // 60), (end - start) // BUCKETS_MAX + 1)
    lag, events = _watch_lag(history)
    return Numbers(
        start,
        end,
        sum(by_call.values(), Counter()),
        by_call,
        [(outcome, name, count) for (outcome, name), count in errors.most_common(ERROR_CLASSES_MAX)],
        {name: quantiles(values) for name, values in latencies.items() if values},
        bucket_ns,
        _buckets(operations, start, end, bucket_ns),
        _outages(operations, faults, end),
        faults,
        _overlapping(operations, faults),
        lag,
        events,
        _reached(history.marks),
    )


def span(history: History) -> tuple[int, int]:
    """The first and the last stamp, a nanosecond apart at least."""
    stamps = [operation.invoke_ns for operation in history.operations]
    stamps += [mark.start_ns for mark in history.marks] + [response.time_ns for response in history.responses]
    start = min(stamps, default=0)
    ends = [operation.complete_ns for operation in history.operations]
    ends += [mark.end_ns for mark in history.marks] + [response.time_ns for response in history.responses]
    return start, max(max(ends, default=start), start + 1)


def faults_of(marks: Sequence[Mark]) -> list[FaultRecord]:
    """The ledger, in order of time; a mark that is no proper record is kept under its own words."""
    faults = []
    for mark in marks:
        if mark.kind == ledger.FAULT:
            try:
                faults.append(FaultRecord.from_mark(mark))
            except ValueError:
                faults.append(FaultRecord(str(mark.detail)[:80] or "unnamed", mark.start_ns, max(mark.start_ns, mark.end_ns)))
    return sorted(faults, key=lambda fault: fault.start_ns)


def error_class(error: str) -> str:
    """The error without what differs from call to call."""
    return re.sub(r"0x[0-9a-f]+|\d+", "#", error.split("\n", 1)[0])[:100] or "(no text)"


def quantiles(values: Sequence[int]) -> Quantiles:
    """Of at least one value."""
    ordered = sorted(values)
    last = len(ordered) - 1
    return Quantiles(ordered[last // 2], ordered[last * 95 // 100], ordered[last * 99 // 100], ordered[last])


def active(faults: Sequence[FaultRecord], start_ns: int, end_ns: int) -> list[FaultRecord]:
    """Injected faults that overlap the span."""
    return [fault for fault in faults if not fault.skipped and fault.start_ns <= end_ns and fault.end_ns >= start_ns]


def named(fault: FaultRecord) -> str:
    """The fault and whom it hit."""
    return f"{fault.name} ({', '.join(fault.targets)})" if fault.targets else fault.name


def _buckets(operations: Sequence[Operation], start: int, end: int, bucket_ns: int) -> list[Bucket]:
    count = (end - start) // bucket_ns + 1
    counts: list[Counter[str]] = [Counter() for _ in range(count)]
    latencies: list[list[int]] = [[] for _ in range(count)]
    for operation in operations:
        place = (operation.complete_ns - start) // bucket_ns
        counts[place][operation.outcome] += 1
        if operation.outcome == OK:
            latencies[place].append(operation.complete_ns - operation.invoke_ns)
    return [
        Bucket(start + place * bucket_ns, counts[place], quantiles(latencies[place]) if latencies[place] else None)
        for place in range(count)
    ]


def _outages(operations: Sequence[Operation], faults: Sequence[FaultRecord], end: int) -> list[Outage]:
    """Silences between successes, long against the run's usual ones, in which somebody tried."""
    done = sorted(operation.complete_ns for operation in operations if operation.outcome == OK)
    tried = sorted(operation.invoke_ns for operation in operations)
    if not tried:
        return []
    edges = [tried[0], *done, end]
    gaps = sorted(after - before for before, after in zip(edges, edges[1:], strict=False))
    threshold = max(OUTAGE_NS, 20 * gaps[len(gaps) // 2] if done else 0)
    outages = []
    for before, after in zip(edges, edges[1:], strict=False):
        attempts = bisect_right(tried, after - 1) - bisect_right(tried, before - 1)
        if after - before >= threshold and attempts:
            causes = list(dict.fromkeys(named(fault) for fault in active(faults, before, after)))
            outages.append(Outage(before, after, attempts, ", ".join(causes[:6])))
    return outages


def _overlapping(operations: Sequence[Operation], faults: Sequence[FaultRecord]) -> float:
    """By merging the faults' spans; instants count as themselves."""
    spans: list[list[int]] = []
    for fault in faults:
        if fault.skipped:
            continue
        if spans and fault.start_ns <= spans[-1][1]:
            spans[-1][1] = max(spans[-1][1], fault.end_ns)
        else:
            spans.append([fault.start_ns, fault.end_ns])
    if not spans or not operations:
        return 0.0
    starts = [one[0] for one in spans]
    hit = 0
    for operation in operations:
        place = bisect_right(starts, operation.complete_ns) - 1
        hit += place >= 0 and spans[place][1] >= operation.invoke_ns
    return hit / len(operations)


def _watch_lag(history: History) -> tuple[Quantiles | None, int]:
    answered = {
        operation.revision: operation.complete_ns
        for operation in history.operations
        if operation.outcome == OK and operation.revision and operation.f in ("put", "cas", "delete", "txn")
    }
    opened = {watch.watch: watch.opened_ns for watch in history.watches}
    lags = []
    events = 0
    for response in history.responses:
        events += len(response.events)
        if response.events:
            when = answered.get(response.events[-1].kv.mod_revision)
            if when is not None and opened.get(response.watch, when + 1) <= when:
                lags.append(max(0, response.time_ns - when))
    return (quantiles(lags) if lags else None), events


def _reached(marks: Sequence[Mark]) -> dict[str, int]:
    found: dict[str, int] = {}
    for mark in marks:
        if mark.kind == ledger.REACHED and isinstance(mark.detail, Mapping):
            name, count = str(mark.detail.get("name", "")), mark.detail.get("count", 1)
            found[name] = found.get(name, 0) + (count if isinstance(count, int) else 1)
    return dict(sorted(found.items()))
