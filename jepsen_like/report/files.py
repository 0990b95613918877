"""The files of a run's report, and the page over many runs.

Owns where reports are written. What cannot be drawn is a hole in the page; a file that cannot be written is the caller's to tell,
once the others are written.
"""

from __future__ import annotations

import json
import pathlib
import sys
from collections.abc import Callable, Mapping
from html import escape
from typing import Any

from jepsen_like.checker.verdict import Verdict
from jepsen_like.history import History
from jepsen_like.report.junit import junit, markdown, outcome_of
from jepsen_like.report.page import POLICY, banner, page, words

PAGE, JUNIT, SUMMARY, RUN, INDEX = "report.html", "junit.xml", "summary.md", "run.json", "index.html"


def write_report(history: History, verdict: Verdict, directory: pathlib.Path, about: Mapping[str, Any] | None = None) -> pathlib.Path:
    """Write `report.html`, `junit.xml` and `summary.md`, and `run.json` if the run wrote none; the result is the page's path.

    Args:
        history: what is drawn; its own `about` counts where `about` says nothing.
        verdict: of the run.
        directory: made if it is not there.
        about: what the page says of the run: see the package's docstring for the names it knows.

    Raises:
        OSError: a file could not be written, which it names; the others were tried all the same.
    """
    told = {**dict(history.about), **dict(about or {})}
    made: list[tuple[str, Callable[[], str], Callable[[], str]]] = [
        (PAGE, lambda: page(history, verdict, told), lambda: _bare(verdict, told)),
        (JUNIT, lambda: junit(history, verdict, told), lambda: junit(History(), verdict, {})),
        (SUMMARY, lambda: markdown(history, verdict, told), lambda: f"**{verdict.outcome}**\n"),
    ]
    if not (directory / RUN).exists():
        made.append((RUN, lambda: _record(history, verdict, told), lambda: json.dumps({"verdict": verdict.outcome}) + "\n"))
    unwritten: list[OSError] = []
    for name, make, fallback in made:
        try:
            _write(directory / name, make, fallback)
        except OSError as exc:
            unwritten.append(exc)
    if unwritten:
        raise unwritten[0]
    return directory / PAGE


def write_index(directory: pathlib.Path) -> pathlib.Path:
    """A page over all runs below the directory: every `run.json`, newest first, with links to their reports.

    One that cannot be written is told on standard error: the runs themselves stand.
    """
    rows = []
    for path in sorted(directory.rglob(RUN), key=_age, reverse=True):
        try:
            run = json.loads(path.read_text(encoding="utf-8"))
            if isinstance(run, dict):
                rows.append(_row(directory, path, run))
        except (OSError, ValueError):
            continue  # no run of ours
    target = directory / INDEX
    try:
        _write(target, lambda: _index(rows), lambda: "<!doctype html><title>runs</title>")
    except OSError as exc:
        print(f"jepsen-like: {target} could not be written: {exc.strerror}", file=sys.stderr)
    return target


def _age(path: pathlib.Path) -> float:
    try:
        return path.stat().st_mtime
    except OSError:
        return 0.0


def _write(path: pathlib.Path, make: Callable[[], str], fallback: Callable[[], str]) -> None:
    """Raises OSError with the path, which a full disk's own lacks."""
    try:
        text = make()
    except Exception as exc:  # the verdict must reach its reader whatever the records hold
        print(f"jepsen-like: {path.name} could not be made in full: {type(exc).__name__}: {exc}", file=sys.stderr)
        text = fallback()
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8", errors="replace")
    except OSError as exc:
        raise OSError(exc.errno, exc.strerror, str(path)) from exc


def _bare(verdict: Verdict, about: Mapping[str, Any]) -> str:
    try:
        shown = banner(verdict, about)
    except Exception:  # as in `_write`
        shown = f"<h1>{escape(verdict.outcome.upper())}</h1>"
    return f'<!doctype html><meta charset="utf-8"><meta http-equiv="Content-Security-Policy" content="{POLICY}">{shown}'


def _record(history: History, verdict: Verdict, about: Mapping[str, Any]) -> str:
    count = {name: sum(one.outcome == name for one in history.operations) for name in ("ok", "unknown", "fail")}
    run = {
        "verdict": outcome_of(verdict, about),
        "ops": len(history.operations),
        **count,
        "anomalies": verdict.anomaly_count,
        "kinds": list(verdict.kinds),
        "reasons": [str(reason) for reason in verdict.reasons[:20]],
        "report": PAGE,
        **{name: about.get(name, "") for name in ("workload", "nemesis", "seed")},
        "about": dict(about),
    }
    return json.dumps(run, indent=1, default=str) + "\n"


def _row(directory: pathlib.Path, path: pathlib.Path, run: Mapping[str, Any]) -> str:
    folder = path.parent.relative_to(directory).as_posix()
    verdict = str(run.get("verdict", "?"))
    report = path.parent / PAGE
    name = escape(folder)
    link = f'<a href="{escape(folder, quote=True)}/{PAGE}">{name}</a>' if report.exists() else name
    cells = [words(run.get(field, "")) for field in ("workload", "nemesis", "seed", "ops", "anomalies", "kinds")]
    style = {"valid": "status-verified", "invalid": "status-unverified"}.get(verdict, "status-skipped")
    return (
        f'<tr><td>{link}</td><td class="{style}">{escape(verdict)}</td>' + "".join(f"<td>{escape(cell)}</td>" for cell in cells) + "</tr>"
    )


_FILTER = """
const box=document.getElementById("filter"),rows=[...document.querySelectorAll("tbody tr")];
box.addEventListener("input",()=>{const words=box.value.toLowerCase().split(/\\s+/).filter(Boolean);
rows.forEach(row=>{const text=row.textContent.toLowerCase();row.hidden=!words.every(word=>text.includes(word));});});
"""


def _index(rows: list[str]) -> str:
    head = "".join(f"<th>{name}</th>" for name in ("run", "verdict", "workload", "nemesis", "seed", "calls", "anomalies", "kinds"))
    style = (pathlib.Path(__file__).parent / "page.css").read_text(encoding="utf-8")
    return (
        f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><meta http-equiv="Content-Security-Policy" content="{POLICY}">'
        f'<meta name="viewport" content="width=device-width,initial-scale=1"><title>Runs</title><style>{style}</style></head><body>'
        f'<h1>{len(rows)} runs</h1><p><input id="filter" placeholder="filter: words of workload, nemesis, verdict" size="40"></p>'
        f'<div class="scroll"><table><thead><tr>{head}</tr></thead><tbody>{"".join(rows)}</tbody></table></div>'
        f"<script>{_FILTER}</script></body></html>\n"
    )
