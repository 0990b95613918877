"""Curves over the run as SVG: rate by outcome, latency quantiles, leaders and terms, revisions and clocks of members.

Owns scales and shading; the numbers come ready. Static, so that a page without its script still shows them; faults shade all
of them in the colours of their families, which the legend names.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from html import escape

from jepsen_like import ledger
from jepsen_like.history import OK, UNKNOWN, History, Mark
from jepsen_like.ledger import FaultRecord
from jepsen_like.report.numbers import Numbers, named

WIDTH, HEIGHT, LEFT, BOTTOM = 960, 200, 62, 24
SHADES_MAX = 500
POINTS_MAX = 400

Series = Mapping[str, Sequence[tuple[int, float]]]
"""Name -> points (nanoseconds, value)."""


def families(faults: Sequence[FaultRecord]) -> dict[str, int]:
    """Each family's colour, by number."""
    return {name: place % 8 for place, name in enumerate(sorted({fault.group for fault in faults if not fault.skipped}))}


def rate(numbers: Numbers) -> str:
    """Completed calls a second, by outcome."""
    middles = [min(bucket.start_ns + numbers.bucket_ns // 2, numbers.end_ns) for bucket in numbers.buckets]
    # The last bucket may be cut short by the run's end.
    seconds = [max(min(numbers.bucket_ns, numbers.end_ns - bucket.start_ns), numbers.bucket_ns / 4) / 1e9 for bucket in numbers.buckets]
    series = {
        outcome: [
            (middle, bucket.counts.get(outcome, 0) / length)
            for middle, length, bucket in zip(middles, seconds, numbers.buckets, strict=True)
        ]
        for outcome in (OK, UNKNOWN, "fail")
        if numbers.outcomes.get(outcome)
    }
    return chart("Calls a second, by outcome", series, numbers, "")


def latency(numbers: Numbers) -> str:
    """Quantiles of successful calls, on a logarithmic scale."""
    series = {
        name: [
            (min(bucket.start_ns + numbers.bucket_ns // 2, numbers.end_ns), bucket.latency[place] / 1e6)
            for bucket in numbers.buckets
            if bucket.latency is not None
        ]
        for place, name in enumerate(("p50", "p95", "p99", "max"))
    }
    return chart("Latency of successful calls", series, numbers, " ms", logarithmic=True)


def revisions(history: History, numbers: Numbers) -> str:
    """The revision each member answered with: who lags, and by how much."""
    seen: dict[str, list[tuple[int, float]]] = {}
    for operation in history.operations:
        if operation.revision and operation.member:
            seen.setdefault(operation.member, []).append((operation.complete_ns, operation.revision))
    return chart("Revision in answers, by member", {name: _thinned(sorted(seen[name])) for name in sorted(seen)[:9]}, numbers, "")


def terms(history: History, numbers: Numbers) -> str:
    """Terms as leaders took them."""
    points = [
        (mark.start_ns, float(term), str(mark.detail.get("member", "")))
        for mark in history.marks
        if mark.kind == ledger.LEADER and isinstance(mark.detail, Mapping) and isinstance(term := mark.detail.get("term"), int)
    ]
    series: dict[str, list[tuple[int, float]]] = {}
    for when, term, member in sorted(points):
        series.setdefault(f"led by {member}", []).append((when, term))
    return chart("Leaders and their terms", {name: _thinned(one) for name, one in list(series.items())[:9]}, numbers, "", dots=True)


def clocks(marks: Sequence[Mark], numbers: Numbers) -> str:
    """How far members' clocks were off."""
    series: dict[str, list[tuple[int, float]]] = {}
    for mark in marks:
        if mark.kind == ledger.CLOCK and isinstance(mark.detail, Mapping) and isinstance(mark.detail.get("offset_s"), (int, float)):
            series.setdefault(str(mark.detail.get("member", "")), []).append((mark.start_ns, float(mark.detail["offset_s"])))
    return chart("Offset of members' clocks", {name: _thinned(series[name]) for name in sorted(series)[:9]}, numbers, " s", dots=True)


def chart(title: str, series: Series, numbers: Numbers, unit: str, *, logarithmic: bool = False, dots: bool = False) -> str:
    """One chart, or "" when there is nothing to draw."""
    values = [value for points in series.values() for _when, value in points]
    if not values:
        return ""
    low, high = min(values), max(values)
    if logarithmic:
        low, high = math.floor(math.log10(max(low, 1e-3))), math.ceil(math.log10(max(high, 1e-3)))
    low, high = (low if low < 0 or logarithmic or low > high / 2 else 0), (high if high > low else low + 1)
    length = numbers.end_ns - numbers.start_ns

    def across(when_ns: int) -> float:
        return LEFT + (when_ns - numbers.start_ns) / length * (WIDTH - LEFT - 8)

    def down(value: float) -> float:
        scaled = math.log10(max(value, 1e-3)) if logarithmic else value
        return 8 + (1 - (scaled - low) / (high - low)) * (HEIGHT - BOTTOM - 8)

    parts = [f'<figure class="chart"><figcaption>{escape(title)}</figcaption>']
    parts.append(f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{escape(title)}">')
    parts += _shades(numbers, across)
    steps = range(int(low), int(high) + 1) if logarithmic else [low + (high - low) * step / 4 for step in range(5)]
    for place in steps:
        value = 10**place if logarithmic else place
        parts.append(f'<line class="grid" x1="{LEFT}" x2="{WIDTH - 8}" y1="{down(value):.1f}" y2="{down(value):.1f}"/>')
        parts.append(f'<text class="tick" x="{LEFT - 4}" y="{down(value) + 4:.1f}" text-anchor="end">{_tick(value)}{unit}</text>')
    for step in range(5):
        when = numbers.start_ns + length * step // 4
        anchor, label = ("end" if step == 4 else "middle"), f"{length * step / 4e9:.4g} s"
        parts.append(f'<text class="tick" x="{across(when):.1f}" y="{HEIGHT - 6}" text-anchor="{anchor}">{label}</text>')
    legend = []
    for place, (name, points) in enumerate(series.items()):
        style = f"s-{name}" if name in (OK, UNKNOWN, "fail") else f"s{place % 9}"
        if dots:
            parts += [f'<circle class="{style}" cx="{across(when):.1f}" cy="{down(value):.1f}" r="3"/>' for when, value in points]
        else:
            line = " ".join(f"{across(when):.1f},{down(value):.1f}" for when, value in points)
            parts.append(f'<polyline class="{style}" points="{line}"/>')
        legend.append(f'<span class="key {style}">{escape(name)}</span>')
    return "".join([*parts, "</svg>", '<p class="legend">', *legend, "</p></figure>"])


def _shades(numbers: Numbers, across: Callable[[int], float]) -> list[str]:
    colours = families(numbers.faults)
    shades = []
    for fault in [one for one in numbers.faults if not one.skipped][:SHADES_MAX]:
        start, end = across(fault.start_ns), across(fault.end_ns)
        box = f'x="{start:.1f}" y="8" width="{max(end - start, 1.5):.1f}" height="{HEIGHT - BOTTOM - 8}"'
        title = f"<title>{escape(named(fault))}: {fault.status}</title>"
        shades.append(f'<rect class="fault f{colours[fault.group]}" {box}>{title}</rect>')
    return shades


def _tick(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def _thinned(points: list[tuple[int, float]]) -> list[tuple[int, float]]:
    return points[:: len(points) // POINTS_MAX + 1]
