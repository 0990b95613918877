"""A run as people and build servers read it: one self-contained HTML page, JUnit XML, Markdown, and an index over runs.

`write_report` is all a runner needs; `write_index` makes the page over runs from the `run.json` files below a
directory. Nothing here decides anything: the verdict comes from the checkers.

What is drawn beside calls and watches comes from the history's marks; `jepsen_like.ledger` has the table of their kinds
(`fault`, `leader`, `member`, `phase`, `clock`, `reached`, `note`), the shapes of their details, and a builder for each.

Of `about` these names have a place of their own, everything else is listed as it is:

| name | value |
|---|---|
| workload, nemesis, seed | name the run: heading, title, index |
| replay (or command) | the command line that does it again, text or list |
| rejected | sentences why a run that found nothing wrong proves nothing; a valid verdict is shown as rejected |
| left_out | sentences on rules that could not be applied; the verdict stays as it is |
| history | file name of the history |
"""

from __future__ import annotations

from jepsen_like.report.files import write_index, write_report

__all__ = ["write_index", "write_report"]
