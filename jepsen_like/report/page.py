"""The page of one run: a self-contained HTML file, every text escaped, every section able to fail alone.

Owns the order and the words of the page. What cannot be drawn says so in its place: the verdict is put together first and
from nothing but the verdict. Beside its own script and style the page loads nothing.
"""

from __future__ import annotations

import importlib.resources
import json
import shlex
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from html import escape
from typing import Any

from jepsen_like.checker.verdict import INVALID, UNKNOWN, VALID, Anomaly, Verdict
from jepsen_like.history import OK, History
from jepsen_like.history import UNKNOWN as INDEFINITE
from jepsen_like.report import charts
from jepsen_like.report.figure import figure
from jepsen_like.report.numbers import Numbers, Quantiles, active, named, numbers
from jepsen_like.report.packing import keys_of, stamps_of, timeline
from jepsen_like.report.printable import printable, printable_data

ANOMALIES_SHOWN = 20
FIGURES_SHOWN = 6
KEYS_SHOWN = 40
FAULTS_SHOWN = 2_000

BYTES_MAX = 2_000_000
"""A page that would be larger is drawn without its timeline."""

POLICY = "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; img-src data:"

RULES = {
    "watch-ordered": "W1", "watch-unique": "W2", "watch-reliable": "W3", "watch-atomic": "W4", "watch-resumable": "W5",
    "watch-bookmarkable": "W6", "watch-filter": "W8", "watch-prev-kv": "W8", "watch-is-create": "W8", "watch-cancel": "W10",
    "lease-expired-early": "L3", "lease-keys-piecemeal": "L2", "lease-keys-survived": "L2", "lock": "L5", "election": "L5",
    "lease": "L1", "hash": "M1", "watch": "W3", "lost-write": "K1", "revision-reused": "K6", "wrong-count": "K3",
}  # fmt: skip
"""Kinds of anomaly, or the beginnings of their names, and the promise of etcd's they break."""


def page(history: History, verdict: Verdict, about: Mapping[str, Any]) -> str:
    """The whole file. Never raises for what a history or its description hold."""
    counted = _tried(lambda: numbers(history))
    if isinstance(counted, str):
        sentences = [f"{one.kind}: {one.explanation}" for one in verdict.anomalies[:ANOMALIES_SHOWN]]
        return _document(about, [banner(verdict, about), table((), [(one,) for one in sentences]), _broken("the numbers", counted)], "")
    sections: list[tuple[str, Callable[[], str]]] = [
        ("the anomalies", lambda: _anomalies(verdict, counted)),
        ("the summary", lambda: _summary(history, counted)),
        ("the timeline", lambda: _timeline(counted)),
        ("the curves", lambda: _curves(history, counted)),
        ("the outages", lambda: _outages(counted)),
        ("the fault ledger", lambda: _ledger(counted)),
        ("the counts", lambda: _counts(counted)),
        ("the rare states", lambda: _reached(counted)),
        ("the surroundings", lambda: _surroundings(about)),
    ]
    parts = [banner(verdict, about)]
    for name, draw in sections:
        part = _tried(draw)
        parts.append(part if not isinstance(part, _Failed) else _broken(name, part))
    data = _tried(lambda: _embedded(timeline(history, verdict, counted)))
    if isinstance(data, _Failed) or len(data) + sum(map(len, parts)) > BYTES_MAX:
        why = data if isinstance(data, _Failed) else "it would make the page larger than two megabytes"
        parts.insert(1, _broken("the timeline's data", why))
        data = ""
    return _document(about, parts, data)


class _Failed(str):
    """Why something could not be drawn."""


def _tried(draw: Callable[[], Any]) -> Any:
    """The result, or the reason that there is none: a page with a hole is worth more than no page."""
    try:
        return draw()
    except Exception as exc:  # what broken records can raise is without bound, and none of it may hide the verdict
        return _Failed(f"{type(exc).__name__}: {exc}")


def banner(verdict: Verdict, about: Mapping[str, Any]) -> str:
    """The verdict and its sentences; nothing else of the run is looked at."""
    rejected = about.get("rejected") or ()
    reasons = [str(reason) for reason in ([rejected] if isinstance(rejected, str) else rejected)]
    outcome = "rejected" if verdict.outcome == VALID and reasons else verdict.outcome
    title = " · ".join(words(about[name]) for name in ("workload", "nemesis", "seed") if about.get(name) not in (None, "", (), []))
    parts = [
        f'<header class="banner {outcome}"><h1>{escape(title) or "A run"}</h1><p><strong>{outcome.upper()}</strong> — {_said(verdict)}</p>'
    ]
    shown = [*reasons, *verdict.reasons, *about.get("left_out", ())]
    if shown:
        parts.append("<ul>" + "".join(f"<li>{escape(str(reason))}</li>" for reason in shown[:30]) + "</ul>")
    if verdict.anomalies:
        parts.append(f"<p>{escape(str(verdict.anomalies[0].kind))}: {escape(str(verdict.anomalies[0].explanation))}</p>")
    return "".join([*parts, "</header>"])


def _said(verdict: Verdict) -> str:
    looked = f"{verdict.checked:,} records were checked"
    if verdict.outcome == INVALID:
        kinds = ", ".join(verdict.kinds)
        return f"{verdict.anomaly_count:,} {'anomaly' if verdict.anomaly_count == 1 else 'anomalies'} ({escape(kinds)}); {looked}."
    if verdict.outcome == UNKNOWN:
        return f"nothing was found wrong, but not everything could be decided; {looked}."
    return f"nothing was found wrong; {looked}."


def rule(kind: str) -> str:
    """The promise that an anomaly of this kind breaks, "K4" where nothing closer is known."""
    found = [name for name in RULES if kind == name or kind.startswith(f"{name}-")]
    return RULES[max(found, key=len)] if found else "K4"


def _anomalies(verdict: Verdict, counted: Numbers) -> str:
    if not verdict.anomalies:
        return ""
    parts = ["<h2>What went wrong</h2>"]
    for place, anomaly in enumerate(verdict.anomalies[:ANOMALIES_SHOWN]):
        picture = _tried(partial(figure, anomaly, counted.start_ns)) if place < FIGURES_SHOWN else ""
        if isinstance(picture, _Failed):
            picture = _broken("the figure", picture)
        keys = _keys(anomaly)
        parts.append(
            f'<div class="anomaly" id="anomaly-{place}"><p><span class="kind">{escape(str(anomaly.kind))}</span> '
            f"(promise {rule(str(anomaly.kind))}): {escape(str(anomaly.explanation))}.{keys}{_meanwhile(anomaly, counted)} "
            f'<button data-look="{place}">Show in the timeline</button></p><div class="scroll">{picture}</div></div>'
        )
    left = verdict.anomaly_count - min(len(verdict.anomalies), ANOMALIES_SHOWN)
    undrawn = min(len(verdict.anomalies), ANOMALIES_SHOWN) - FIGURES_SHOWN
    if undrawn > 0:
        parts.append(f"<p>Only the first {FIGURES_SHOWN} are drawn; {undrawn:,} shown after them have no drawing.</p>")
    return "".join(parts) + (f"<p>{left:,} more are not shown.</p>" if left > 0 else "")


def _keys(anomaly: Anomaly) -> str:
    """Its own and those of the records that prove it, which may be others'."""
    named = [*map(str, anomaly.keys), *(str(key) for record in anomaly.operations for key in keys_of(record))]
    keys = list(dict.fromkeys(key for key in named if key))
    more = f" and {len(keys) - KEYS_SHOWN:,} more" if len(keys) > KEYS_SHOWN else ""
    return f" Keys: <code>{escape(', '.join(keys[:KEYS_SHOWN]))}</code>{more}." if keys else ""


def _meanwhile(anomaly: Anomaly, counted: Numbers) -> str:
    stamps = [stamp for record in anomaly.operations for stamp in stamps_of(record)]
    faults = active(counted.faults, min(stamps), max(stamps)) if stamps else []
    words = ", ".join(dict.fromkeys(named(fault) for fault in faults[:8]))
    return f" Meanwhile: {escape(words)}." if words else ""


def _summary(history: History, counted: Numbers) -> str:
    injected = [fault for fault in counted.faults if not fault.skipped]
    verified = sum(fault.status == "verified" for fault in injected)
    rows = [
        ("length", f"{(counted.end_ns - counted.start_ns) / 1e9:.3f} s"),
        ("calls", ", ".join(f"{counted.outcomes.get(name, 0):,} {name}" for name in (OK, INDEFINITE, "fail"))),
        ("faults", f"{len(injected)} injected, {verified} verified, {len(counted.faults) - len(injected)} skipped"),
        ("calls that overlap a fault", f"{counted.overlapping:.1%}"),
        ("outages", f"{len(counted.outages)}, {sum(one.end_ns - one.start_ns for one in counted.outages) / 1e9:.2f} s in all"),
    ]
    if history.watches:
        rows.append(("watches", f"{len(history.watches):,}, shown {counted.watch_events:,} events"))
    if counted.watch_lag is not None:
        rows.append(("watch lag after the answer", _quantiles(counted.watch_lag)))
    return "<h2>Summary</h2>" + table((), rows)


def _timeline(counted: Numbers) -> str:
    colours = charts.families(counted.faults)
    legend = "".join(
        f'<span class="key {style}">{name}</span>' for style, name in (("s-ok", "ok"), ("s-unknown", "unknown"), ("s-fail", "fail"))
    )
    legend += "".join(f'<span class="key swatch f{place}">{escape(name)}</span>' for name, place in colours.items())
    buttons = "".join(
        f'<button id="{name}">{text}</button>'
        for name, text in (
            ("closer", "Closer"), ("wider", "Wider"), ("earlier", "← Earlier"), ("later", "Later →"), ("whole", "Whole run"),
            ("up", "Lanes ↑"), ("down", "Lanes ↓"),
        )
    )  # fmt: skip
    canvas = '<div class="canvas" id="{}"><canvas></canvas><div class="tip-box"></div></div>'
    return (
        '<h2>Timeline</h2><p class="legend">Members above, clients below; drag to move, wheel or pinch to zoom, '
        f'point at a bar for its call. {legend}</p><div class="tools">{buttons}</div>{canvas.format("timeline")}'
        f"<h3>Latency of every call</h3>{canvas.format('scatter')}"
        "<noscript><p>The timeline needs JavaScript; the curves below do not.</p></noscript>"
    )


def _curves(history: History, counted: Numbers) -> str:
    drawn = [
        _tried(draw)
        for draw in (
            lambda: charts.rate(counted),
            lambda: charts.latency(counted),
            lambda: charts.terms(history, counted),
            lambda: charts.revisions(history, counted),
            lambda: charts.clocks(history.marks, counted),
        )
    ]
    colours = charts.families(counted.faults)
    legend = "".join(f'<span class="key swatch f{place}">{escape(name)}</span>' for name, place in colours.items())
    body = "".join(one if not isinstance(one, _Failed) else _broken("a curve", one) for one in drawn)
    return f'<h2>Curves</h2><p class="legend">Faults: {legend or "none"}</p>{body}'


def _outages(counted: Numbers) -> str:
    if not counted.outages:
        return "<h2>Unavailability</h2><p>There was no second in which calls were made and none succeeded.</p>"
    rows = [
        (
            f"{(one.start_ns - counted.start_ns) / 1e9:.3f} s",
            f"{(one.end_ns - one.start_ns) / 1e9:.3f} s",
            f"{one.attempts:,}",
            one.cause or "no fault",
        )
        for one in counted.outages
    ]
    return "<h2>Unavailability</h2>" + table(("from", "for", "calls made", "meanwhile"), rows[:200])


def _ledger(counted: Numbers) -> str:
    if not counted.faults:
        return "<h2>Faults</h2><p>None was asked for.</p>"
    parts = ["<h2>Faults</h2>"]
    head = ("from", "for", "fault", "targets", "asked for", "effect", "what was seen")
    parts.append('<div class="scroll"><table><tr>' + "".join(f"<th>{name}</th>" for name in head) + "</tr>")
    for fault in counted.faults[:FAULTS_SHOWN]:
        cells = (
            f"{(fault.start_ns - counted.start_ns) / 1e9:.3f} s",
            "" if fault.skipped else f"{(fault.end_ns - fault.start_ns) / 1e9:.3f} s",
            fault.name,
            ", ".join(fault.targets),
            fault.requested,
        )
        parts.append("<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in cells))
        parts.append(f'<td class="status-{fault.status}">{fault.status}</td><td>{escape(fault.skipped or fault.effect)}</td></tr>')
    left = len(counted.faults) - FAULTS_SHOWN
    return "".join([*parts, "</table></div>", f"<p>{left:,} more are not shown.</p>" if left > 0 else ""])


def _counts(counted: Numbers) -> str:
    rows = []
    for name in sorted(counted.by_call):
        outcomes = counted.by_call[name]
        latency = counted.latency.get(name)
        numbers_of = [f"{outcomes.get(outcome, 0):,}" for outcome in (OK, INDEFINITE, "fail")]
        rows.append((name, *numbers_of, *([f"{value / 1e6:.3f}" for value in latency] if latency is not None else [""] * 4)))
    parts = ["<h2>Calls</h2>", table(("call", "ok", "unknown", "fail", "p50 ms", "p95 ms", "p99 ms", "max ms"), rows)]
    if counted.errors:
        parts.append(
            "<h3>Errors</h3>" + table(("outcome", "error", "count"), [(one, text, f"{count:,}") for one, text, count in counted.errors])
        )
    return "".join(parts)


def _reached(counted: Numbers) -> str:
    if not counted.reached:
        return ""
    return f"<h2>Rare states reached ({len(counted.reached)})</h2>" + table(
        (), [(name, f"{count:,}") for name, count in counted.reached.items()]
    )


def _surroundings(about: Mapping[str, Any]) -> str:
    line = command_line(about)
    parts = ["<h2>Seed and surroundings</h2>"]
    if line:
        parts.append(f"<p>Run it again:</p><pre>{escape(line)}</pre>")
    parts.append(
        table((), [(str(name), words(value)) for name, value in about.items() if name not in ("replay", "command", "rejected", "left_out")])
    )
    return "".join(parts)


def command_line(about: Mapping[str, Any]) -> str:
    """What does the run again, as a shell takes it; empty when the description does not say."""
    command = about.get("replay") or about.get("command") or ""
    return shlex.join(map(str, command)) if isinstance(command, (list, tuple)) else words(command)


def words(value: Any) -> str:
    """A value of the description as text: several as one line, anything deep as JSON."""
    if isinstance(value, str):
        return value
    if isinstance(value, (list, tuple)) and all(isinstance(one, (str, int, float)) for one in value):
        return " ".join(map(str, value))
    return json.dumps(value, default=str, ensure_ascii=False, sort_keys=True)


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Escaped cells; what looks like a number is set to the right."""
    parts = ['<div class="scroll"><table>']
    if head:
        parts.append("<tr>" + "".join(f"<th>{escape(name)}</th>" for name in head) + "</tr>")
    for row in rows:
        cells = [
            f"<td{' class=n' if head and place and cell[:1].isdigit() else ''}>{escape(cell)}</td>"
            for place, cell in enumerate(map(str, row))
        ]
        parts.append("<tr>" + "".join(cells) + "</tr>")
    return "".join([*parts, "</table></div>"])


def _quantiles(values: Quantiles) -> str:
    return ", ".join(f"{name} {value / 1e6:.2f} ms" for name, value in zip(("p50", "p95", "p99", "max"), values, strict=True))


def _broken(what: str, why: str) -> str:
    return f'<p class="broken">Could not draw {escape(what)}: {escape(why[:300])}.</p>'


def _embedded(data: Mapping[str, Any]) -> str:
    """As JSON that cannot end its script element."""
    text = json.dumps(printable_data(data), separators=(",", ":"), ensure_ascii=False, default=str)
    return text.replace("<", "\\u003c").replace("\u2028", "\\u2028").replace("\u2029", "\\u2029")


def _document(about: Mapping[str, Any], parts: Sequence[str], data: str) -> str:
    files = importlib.resources.files("jepsen_like.report")
    style = files.joinpath("page.css").read_text(encoding="utf-8")
    script = files.joinpath("page.js").read_text(encoding="utf-8")
    named = " ".join(words(about[name]) for name in ("workload", "nemesis", "seed") if about.get(name) not in (None, ""))
    title = printable(escape(named or "jepsen-like"))
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">'
        f'<meta name="viewport" content="width=device-width,initial-scale=1"><title>{title}</title><style>{style}</style></head>\n<body>'
        + printable("\n".join(part for part in parts if part))
        + (f'\n<script type="application/json" id="data">{data}</script>\n<script>{script}</script>' if data else "")
        + "</body></html>\n"
    )
