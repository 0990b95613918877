"""The proof of one anomaly as a picture: a lane per client or watcher, a bar per call, an arrow from each to the next.

Owns the drawing of the few records an anomaly names. Bars have numbers; what was asked and answered, and what had ended before what
began, stands in lines below, where no arrow passes. Time is not to scale: every stamp that occurs gets a column of its own,
because a microsecond can matter beside a second; the true times are written at the bars.
"""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import NamedTuple

from jepsen_like.checker.verdict import Anomaly
from jepsen_like.history import Operation, Record, Watch, WatchResponse
from jepsen_like.report.packing import detail, stamps_of

RECORDS_MAX = 14
"""Drawn of one anomaly."""

LANE_PX, COLUMN_PX, LEFT_PX = 44, 140, 104
LINE_PX, CHARACTER_PX = 18, 7
TEXT_MAX = 160
"""Characters of a line."""


class _Bar(NamedTuple):
    lane: str
    start: int
    end: int
    title: str
    text: str
    outcome: str


def figure(anomaly: Anomaly, base_ns: int) -> str:
    """An SVG element, or "" where the anomaly names no record with a time."""
    bars = [bar for record in anomaly.operations[:RECORDS_MAX] if (bar := _bar(record)) is not None]
    if not bars:
        return ""
    stamps = sorted({stamp for bar in bars for stamp in (bar.start, bar.end)})
    columns = {stamp: LEFT_PX + place * COLUMN_PX for place, stamp in enumerate(stamps)}
    lanes = {name: 30 + place * LANE_PX for place, name in enumerate(dict.fromkeys(bar.lane for bar in bars))}
    pairs = _pairs(bars, cycle=anomaly.kind.startswith("G"))
    lines = [_cut(line, TEXT_MAX) for line in _lines(bars, pairs)]
    foot = 40 + len(lanes) * LANE_PX
    width = max(LEFT_PX + len(stamps) * COLUMN_PX + 60, max(map(len, lines)) * CHARACTER_PX + 16)
    height = foot + len(lines) * LINE_PX + 8
    parts = [f'<svg class="figure" viewBox="0 0 {width} {height}" width="{width}" height="{height}" role="img" aria-label="the calls">']
    parts.append(
        '<defs><marker id="tip" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" orient="auto">'
        '<path d="M0 0L8 4L0 8z" class="tip"/></marker></defs>'
    )
    for stamp, x in columns.items():
        parts.append(f'<line class="grid" x1="{x}" x2="{x}" y1="16" y2="{foot - 8}"/>')
        parts.append(f'<text class="stamp" x="{x + 2}" y="12">{(stamp - base_ns) / 1e6:.3f} ms</text>')
    for name, y in lanes.items():
        parts.append(f'<text class="lane" x="4" y="{y + 24}">{escape(name)}</text>')
        parts.append(f'<line class="grid" x1="0" x2="{width}" y1="{y + LANE_PX - 6}" y2="{y + LANE_PX - 6}"/>')
    for number, bar in enumerate(bars, 1):
        x, y = columns[bar.start], lanes[bar.lane]
        length = max(columns[bar.end] - x, 10)
        parts.append(f'<g><rect class="bar {bar.outcome}" x="{x}" y="{y + 8}" width="{length}" height="20" rx="3"/>')
        parts.append(f"<title>{escape(bar.title)} {escape(bar.text)}</title>")
        title = _cut(f"{number} {bar.title}", max(length // CHARACTER_PX - 2, 2))
        parts.append(f'<text class="call" x="{x + 3}" y="{y + 22}">{escape(title)}</text></g>')
    parts += _arrows(pairs, columns, lanes)
    for place, line in enumerate(lines, 1):
        parts.append(f'<text class="answer" x="4" y="{foot + place * LINE_PX}">{escape(line)}</text>')
    return "".join([*parts, "</svg>"])


def _pairs(bars: Sequence[_Bar], *, cycle: bool) -> list[tuple[_Bar, _Bar]]:
    """Each bar and the next, in the order of the proof; a cycle's last leads back to its first."""
    return [*zip(bars, bars[1:], strict=False), *([(bars[-1], bars[0])] if cycle and len(bars) > 1 else [])]


def _lines(bars: Sequence[_Bar], pairs: Sequence[tuple[_Bar, _Bar]]) -> list[str]:
    """What each bar is, by its number, and which were over before the next began."""
    numbers = {id(bar): number for number, bar in enumerate(bars, 1)}
    lines = [f"{numbers[id(bar)]}  {bar.lane}: {bar.title} {bar.text}" for bar in bars]
    return lines + [f"{numbers[id(one)]} was before {numbers[id(other)]}" for one, other in pairs if one.end <= other.start]


def _arrows(pairs: Sequence[tuple[_Bar, _Bar]], columns: dict[int, int], lanes: dict[str, int]) -> list[str]:
    arrows = []
    for one, other in pairs:
        # From edge to edge, so that no bar's name is crossed; within a lane below it.
        down = lanes[one.lane] <= lanes[other.lane]
        x1, y1 = columns[one.end], lanes[one.lane] + (28 if down else 8)
        x2, y2 = columns[other.start], lanes[other.lane] + (28 if one.lane == other.lane or not down else 8)
        bend = 20 if one.lane == other.lane else 0
        arrows.append(f'<path class="arrow" marker-end="url(#tip)" d="M{x1} {y1}Q{(x1 + x2) // 2} {(y1 + y2) // 2 + bend} {x2} {y2}"/>')
    return arrows


def _bar(record: Record) -> _Bar | None:
    stamps = stamps_of(record)
    if not stamps:
        return None
    if isinstance(record, Operation):
        where = f" @{record.member}" if record.member else ""
        revision = f" · revision {record.revision}" if record.revision else ""
        text = f"{detail(record)}{revision}" + (f" · {record.error}" if record.error else "")
        return _Bar(
            f"client {record.process}{where}", record.invoke_ns, record.complete_ns, f"{record.f} {record.key}", text, record.outcome
        )
    if isinstance(record, Watch):
        text = f"from revision {record.start_revision or 'now'}"
        return _Bar(
            f"watch {record.watch}",
            stamps[0],
            stamps[0],
            f"opened {record.key}{'..' if record.range_end else ''}{record.range_end}",
            text,
            "watch",
        )
    if isinstance(record, WatchResponse):
        events = ", ".join(f"{event.type} {event.kv.key}@{event.kv.mod_revision}" for event in record.events[:4])
        what = "cancelled" if record.cancelled else "created" if record.created else events or "progress"
        return _Bar(f"watch {record.watch}", stamps[0], stamps[0], what, f"revision {record.revision}", "watch")
    return _Bar("marks", min(stamps), max(stamps), str(record.kind), str(record.detail), "watch")


def _cut(text: str, length: int) -> str:
    return text if len(text) <= length else text[: length - 1] + "…"
