"""Rows as text: Markdown, because the same table is printed and goes to docs/BENCHMARKS.md."""

from __future__ import annotations

from collections.abc import Sequence

from tests.bench.results import Row, ratios, verdict


def number(value: float | None) -> str:
    """Three digits that mean something."""
    if value is None:
        return "–"
    if value >= 1000:
        return f"{value:,.0f}".replace(",", "\u202f")
    if value >= 100:
        return f"{value:.0f}"
    return f"{value:.1f}" if value >= 10 else f"{value:.2f}"


def table(rows: Sequence[Row], first: str, second: str, second_absent: str = "") -> str:
    """One line a row; `second_absent` says why the second system has no values."""
    head = ("measurement", "unit", first, second, "ratio", "spread", "target", f"CPU µs {first}", f"CPU µs {second}", "CPU µs client")
    lines = [head, *(_cells(row, first, second, second_absent) for row in rows)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(head))]
    text = [_line(line, widths) for line in lines]
    text.insert(1, "|" + "|".join("-" * (width + 1) + (":" if column > 1 else "-") for column, width in enumerate(widths)) + "|")
    return "\n".join([*text, *_notes(rows, second_absent)])


def _line(cells: Sequence[str], widths: Sequence[int]) -> str:
    return (
        "| "
        + " | ".join(cell.ljust(width) if at < 2 else cell.rjust(width) for at, (cell, width) in enumerate(zip(cells, widths, strict=True)))
        + " |"
    )


def _cells(row: Row, first: str, second: str, second_absent: str) -> tuple[str, ...]:
    found = ratios(row, first, second)
    return (
        row.name,
        row.unit,
        _value(row, first),
        "not available" if second_absent else _value(row, second),
        f"{found.median:.2f}" if found else "–",
        f"{found.least:.2f}–{found.most:.2f}" if found else "–",
        _target(row, first, second),
        _cpu(row, first, "cpu_us"),
        _cpu(row, second, "cpu_us"),
        _cpu(row, first, "client_cpu_us"),
    )


def _value(row: Row, system: str) -> str:
    value = row.median(system)
    return "void" if value is None and row.faults.get(system) else number(value)


def _target(row: Row, first: str, second: str) -> str:
    if not row.target and not row.limit:
        return ""
    wanted = f"< {number(row.limit)}" if row.limit else f"≥ {row.target:g}"
    return f"{wanted} {verdict(row, first, second)}".rstrip()


def _cpu(row: Row, system: str, what: str) -> str:
    value = row.median(system, what)
    return number(value) if value else "–"


def _notes(rows: Sequence[Row], second_absent: str) -> list[str]:
    """What does not fit a cell: notes of rows, and every void round."""
    lines = ["", f"The second system is {second_absent}"] if second_absent else []
    for row in rows:
        for system, rounds in row.rounds.items():
            names = list(dict.fromkeys(name for one in rounds for name in one.notes))
            if names:
                lines += ["", f"`{row.name}`, {system}: " + ", ".join(f"{name} {number(row.note(system, name))}" for name in names) + "."]
    for row in rows:
        for system, faults in row.faults.items():
            lines += ["", f"`{row.name}`, {system}: void: {'; '.join(faults)}"]
    return lines
