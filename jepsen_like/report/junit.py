"""The verdict for machines and for a pull request: JUnit XML and a summary in Markdown.

Owns both formats. One test case per run; an invalid run is a failure, an unknown or rejected one an error, so that neither
passes; a skipped fault is a skipped case of its own, because what was not tried must be seen.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any
from xml.sax.saxutils import escape, quoteattr

from jepsen_like.checker.verdict import INVALID, UNKNOWN, VALID, Verdict
from jepsen_like.history import History
from jepsen_like.report.numbers import faults_of, named, span
from jepsen_like.report.page import command_line, rule, words

ANOMALIES_SHOWN = 20


def outcome_of(verdict: Verdict, about: Mapping[str, Any]) -> str:
    """`valid`, `invalid`, `unknown`, or `rejected`: nothing was wrong, and nothing was proved."""
    return "rejected" if verdict.outcome == VALID and about.get("rejected") else verdict.outcome


def name_of(about: Mapping[str, Any]) -> str:
    """What the run is called."""
    return " ".join(words(about[name]) for name in ("workload", "nemesis", "seed") if about.get(name) not in (None, "")) or "run"


def junit(history: History, verdict: Verdict, about: Mapping[str, Any]) -> str:
    """The XML file's text."""
    outcome = outcome_of(verdict, about)
    start, end = span(history)
    skipped = [fault for fault in faults_of(history.marks) if fault.skipped]
    invalid, undecided = outcome == INVALID, outcome in (UNKNOWN, "rejected")
    name = name_of(about)
    head = f'tests="{1 + len(skipped)}" failures="{int(invalid)}" errors="{int(undecided)}" skipped="{len(skipped)}"'
    parts = ['<?xml version="1.0" encoding="UTF-8"?>', f'<testsuites><testsuite name="jepsen-like" {head}>']
    parts.append(f'<testcase classname="jepsen_like" name={_attribute(name)} time="{(end - start) / 1e9:.3f}">')
    if invalid:
        parts.append(f"<failure message={_attribute(_sentence(verdict))}>{_text(_sentences(verdict))}</failure>")
    elif undecided:
        parts.append(f"<error message={_attribute(outcome)}>{_text(_sentences(verdict) + words(about.get('rejected') or ''))}</error>")
    parts.append("</testcase>")
    for fault in skipped:
        parts.append(f'<testcase classname="jepsen_like.fault" name={_attribute(f"{name}: {named(fault)}")}>')
        parts.append(f"<skipped message={_attribute(fault.skipped)}/></testcase>")
    return "\n".join([*parts, "</testsuite></testsuites>", ""])


def markdown(history: History, verdict: Verdict, about: Mapping[str, Any]) -> str:
    """A few lines for a pull request."""
    outcome = outcome_of(verdict, about)
    start, end = span(history)
    faults = faults_of(history.marks)
    verified = sum(fault.status == "verified" for fault in faults)
    lines = [
        f"### {_inline(name_of(about))}: **{outcome}**",
        "",
        f"{len(history.operations):,} calls in {(end - start) / 1e9:.1f} s, {len(faults)} faults ({verified} verified), "
        f"{verdict.anomaly_count:,} anomalies, {verdict.checked:,} records checked.",
        "",
    ]
    lines += [f"- **{_inline(one.kind)}** ({rule(one.kind)}): {_inline(one.explanation)}" for one in verdict.anomalies[:ANOMALIES_SHOWN]]
    lines += [f"- not decided: {_inline(reason)}" for reason in verdict.reasons[:ANOMALIES_SHOWN]]
    lines += [f"- {_inline(str(reason))}" for name in ("rejected", "left_out") for reason in _listed(about.get(name))]
    line = command_line(about)
    if line:
        lines += ["", "```", line.replace("```", "'''"), "```"]
    return "\n".join([*lines, ""])


def _listed(reasons: Any) -> list[Any]:
    return [reasons] if isinstance(reasons, str) else list(reasons or ())


def _sentence(verdict: Verdict) -> str:
    return f"{verdict.anomalies[0].kind}: {verdict.anomalies[0].explanation}" if verdict.anomalies else "invalid"


def _sentences(verdict: Verdict) -> str:
    lines = [f"{one.kind}: {one.explanation}" for one in verdict.anomalies[:ANOMALIES_SHOWN]]
    return "\n".join([*lines, *verdict.reasons, ""])


def _text(text: str) -> str:
    return escape(_printable(text))


def _attribute(text: str) -> str:
    return quoteattr(_printable(text))


def _printable(text: str) -> str:
    """Without what XML cannot hold."""
    return re.sub("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]", "?", text)


def _inline(text: str) -> str:
    return re.sub(r"([\\`*_{}\[\]<>#|])", r"\\\1", text.replace("\n", " "))
