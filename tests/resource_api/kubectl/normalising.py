"""What differs from run to run, made the same: the one place that says what golden files do not hold."""

from __future__ import annotations

import re

TIME = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?(?:Z|\+00:00)"
LETTERS = "[bcdfghjklmnpqrstvwxz2456789]"
"""Of which generated names end in five."""

AGE = re.compile(r"(?:(?<=  )|(?<=over )|^)(?:\d+m)?\d{1,3}s( *)(?=$| |\))", re.MULTILINE)

HEAD = re.compile(r"[A-Z][A-Z0-9()/-]*(?: [A-Z][A-Z0-9()/-]*)*")
"""The head of a column."""

AGING = ("AGE", "SEEN", "DURATION", "SCHEDULE")
"""What heads of columns with ages end in."""

GAP = 3
"""Spaces that kubectl keeps between columns."""

RULES = (
    # kubectl's own log: whether its watch or its patience ends first is a race within it.
    (re.compile(r"^[IWE]\d{4} \d\d:\d\d:\d\d\.\d+ .*\n", re.MULTILINE), ""),
    (re.compile(TIME), "<time>"),
    (re.compile(r"\b\d{4}-\d\d-\d\d \d\d:\d\d:\d\d(\.\d+)? \+0000( UTC)?"), "<time>"),
    (re.compile(r"[A-Z][a-z]{2}, \d\d [A-Z][a-z]{2} \d{4} \d\d:\d\d:\d\d \+0000"), "<time>"),
    (re.compile(r"\b[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\b"), "<uid>"),
    (re.compile(r"""((?:\\?["'])?resourceVersion(?:\\?["'])?: ?)(?:\\?["'])?\d+(?:\\?["'])?"""), r"\1<version>"),
    (re.compile(r"(Resource Version: +)\d+"), r"\1<version>"),
    (re.compile(r"(X509SHA256=)[0-9a-f]{64}"), r"\1<hash>"),
    (re.compile(r"10\.100\.100\.\d{3}"), "10.100.100.nnn"),
    (re.compile(r"\b3[0-2]\d{3}(?=/TCP|/UDP)"), "nodep"),
    (re.compile(r"(nodePort: |NodePort: .*? )\d{5}"), r"\1<port>"),
    (re.compile(r"(127\.0\.0\.1|\[::1\]):\d+"), r"\1:<port>"),
    (re.compile(rf"\b(kube-api-access-|debugger-|node-debugger-[a-z0-9]+-){LETTERS}{{5}}\b"), r"\1xxxxx"),
    (re.compile(r"eyJ[\w-]+\.[\w-]+\.[\w-]+"), "<token>"),
    (re.compile(r"/tmp/[\w./-]+"), "<file>"),
    (re.compile(r"LS0tLS1CRUdJTi[\w+/=]+"), "<pem>"),
    # An object quoted in a message: its owners are sorted by the second they wrote in.
    (re.compile(r'(\\"managedFields\\":)\[.*?\](?=,\\"name\\":)'), r"\1<owners>"),
)


def normalised(text: str) -> str:
    """The text without what no two runs agree on. What is replaced keeps its width in tables, or has one width there.

    Times, uids, resource versions, ports, tokens, certificates, temporary files, the ends of generated names and the owners of an
    object that a message quotes become words in angle brackets. Ages become `0s`; tables are laid out again around them, because an age of
    four letters makes its column wider. Cluster addresses are given out of a range whose members have the same length (see `Cluster`),
    node ports always have five digits.
    """
    for pattern, replacement in RULES:
        text = pattern.sub(replacement, text)
    return "\n\n".join(map(_young_block, text.split("\n\n")))


def _young(match: re.Match[str]) -> str:
    """`7s` and `12s` alike, as wide as it was where something follows."""
    return "0s".ljust(len(match[0])) if match[1] else "0s"


def _young_block(block: str) -> str:
    """A table with ages (capitals above, three spaces between) gets columns as wide as what is in them then; in all else widths stay."""
    lines = block.split("\n")
    heads = list(HEAD.finditer(lines[0]))
    starts = [head.start() for head in heads]
    is_aging = len(heads) > 1 and any(head[0].endswith(AGING) for head in heads)
    # A table that a watch goes on below, with columns of its own, is none to its end.
    if not is_aging or any(line[start - 1 : start].strip() for line in lines for start in starts[1:]):
        return AGE.sub(_young, block)
    rows = [[AGE.sub("0s", line[start:end].rstrip()) for start, end in zip(starts, [*starts[1:], None], strict=True)] for line in lines]
    widths = [max(len(row[column]) for row in rows) + GAP for column in range(len(starts) - 1)]
    return "\n".join("".join(_fitted(row, widths)) for row in rows)


def _fitted(row: list[str], widths: list[int]) -> list[str]:
    return [*(cell.ljust(width) for cell, width in zip(row, widths, strict=False)), row[-1]] if any(row) else row
