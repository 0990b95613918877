"""The full set on one page: what simulated seeds and real runs came to, from the JSON lines that `sim` and `run` print.

Knows the lines, nothing of how they were made. A line names its kind by its fields: runs have a `workload`, seeds of the core a `rule`.
"""

from __future__ import annotations

import json
import pathlib
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, TypeAlias

Line: TypeAlias = Mapping[str, Any]

VALID, INVALID = "valid", "invalid"

HEAD = """# The full set

What `make jepsen` came to: every simulated seed and every run against real processes. Made by `jepsen-like summary`; the mutants'
part is [MUTANTS.md](MUTANTS.md), what the faults are is [FAULTS.md](FAULTS.md). `rejected` means that nothing was wrong and that the
seed proved nothing (too few calls, or no fault while one was under way).
"""

LEVELS = {"core": "core simulation", "server": "server simulation"}

REASON_MAX = 200


def read(path: pathlib.Path) -> list[Line]:
    """The lines of one file.

    Raises:
        ValueError: a line is not a JSON object with a verdict; named with its file and number.
    """
    lines: list[Line] = []
    for number, text in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        try:
            line = json.loads(text)
        except ValueError as exc:
            raise ValueError(f"{path}:{number}: not JSON: {exc}") from exc
        if not isinstance(line, dict) or "verdict" not in line:
            raise ValueError(f"{path}:{number}: not a line of `sim --json` or `run --json`: it has no verdict")
        lines.append(line)
    return lines


def level_of(line: Line) -> str:
    """`run`, `core` or `server`."""
    return "run" if "workload" in line else "core" if "rule" in line else "server"


def page(files: Mapping[str, Sequence[Line]], about: str) -> str:
    """The whole page; the key of `files` says where its runs took place, `about` what was tried, on what."""
    everything = [line for lines in files.values() for line in lines]
    parts = [HEAD, _sentence(everything), "", *([about, ""] if about else [])]
    seeds = {level: [line for line in everything if level_of(line) == level] for level in LEVELS}
    if any(seeds.values()):
        parts += _simulations(seeds)
    if any(level_of(line) == "run" for line in everything):
        parts += _runs(files)
    parts += _doubtful(everything)
    for level, lines in seeds.items():
        parts += _counted(f"What the {LEVELS[level]} met", "rare state", lines, "reached")
        parts += _counted(f"Faults of the {LEVELS[level]}", "fault", lines, "faults")
    return "\n".join(parts).rstrip() + "\n"


def _sentence(lines: Sequence[Line]) -> str:
    """The verdict on all of it."""
    verdicts = Counter(line["verdict"] for line in lines)
    if not lines:
        return "**Nothing was run.**"
    if verdicts[INVALID]:
        return f"**{verdicts[INVALID]} of {len(lines)} found something wrong.**"
    nothing_proved = len(lines) - verdicts[VALID]
    rest = f"; {nothing_proved} proved nothing" if nothing_proved else ""
    return f"**Nothing wrong was found: {verdicts[VALID]} of {len(lines)} are valid{rest}.**"


def _simulations(seeds: Mapping[str, Sequence[Line]]) -> list[str]:
    head = ["## Simulated clusters", "", "| simulation | seeds | verdicts | virtual hours | times real time, a process | calls |"]
    rows = []
    for level, lines in seeds.items():
        if not lines:
            continue
        numbers = sorted(line["seed"] for line in lines)
        virtual_s = sum(line["virtual_s"] for line in lines)
        wall_s = sum(line["wall_s"] for line in lines)
        rows.append(
            f"| {LEVELS[level].removesuffix(' simulation')} | {numbers[0]}–{numbers[-1]} ({len(lines)}) | {_tally(lines)} "
            f"| {virtual_s / 3600:.1f} | {virtual_s / max(wall_s, 1e-9):.1f} | {_thousands(sum(line['ops'] for line in lines))} |"
        )
    return [*head, "|---|---|---|---|---|---|", *rows, ""]


def _runs(files: Mapping[str, Sequence[Line]]) -> list[str]:
    lines = [
        "## Real processes",
        "",
        "| where | workload | faults asked for | verdict | calls | acknowledged | unknown | faults seen to work | not seen | skipped |",
        "|---|---|---|---|---|---|---|---|---|---|",
    ]
    for where, group in files.items():
        for line in group:
            if level_of(line) != "run":
                continue
            faults = line["faults"]
            cells = [where, line["workload"], ", ".join(line["nemesis"]) or "none", line["verdict"]]
            cells += [_thousands(line[name]) for name in ("ops", "ok", "unknown")]
            cells += [str(faults.get(status, 0)) for status in ("verified", "unverified", "skipped")]
            lines.append(f"| {' | '.join(cells)} |")
    return [*lines, ""]


def _doubtful(lines: Sequence[Line]) -> list[str]:
    """Whatever is not valid, with its reason."""
    rows = []
    for line in lines:
        if line["verdict"] == VALID:
            continue
        level = level_of(line)
        name = f"run of {line['workload']}, seed {line['seed']}" if level == "run" else f"{LEVELS[level]}, seed {line['seed']}"
        reasons = line.get("reasons", ()) or line.get("anomalies", ())
        why = line.get("rule") or "; ".join(reasons) or "no reason is told"
        rows.append(f"- {name}: {line['verdict']}: {why[:REASON_MAX]}")
    return ["## Not valid", "", *rows, ""] if rows else []


def _counted(title: str, noun: str, lines: Sequence[Line], field: str) -> list[str]:
    """How many seeds met each, and how often in all."""
    seeds: Counter[str] = Counter()
    times: Counter[str] = Counter()
    for line in lines:
        counts = line[field]
        if isinstance(counts, Mapping):
            seeds.update(counts.keys())
            times.update(counts)
    if not seeds:
        return []
    rows = [f"| {name.replace('_', ' ')} | {_thousands(seeds[name])} | {_thousands(times[name])} |" for name in sorted(seeds)]
    return [f"## {title}", "", f"| {noun} | seeds | times |", "|---|---|---|", *rows, ""]


def _tally(lines: Iterable[Line]) -> str:
    return ", ".join(f"{count} {verdict}" for verdict, count in Counter(line["verdict"] for line in lines).most_common())


def _thousands(number: int) -> str:
    return f"{number:,}".replace(",", " ")
