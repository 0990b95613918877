"""How raftctl fails: a text for stderr and one of etcdctl's exit statuses."""

from __future__ import annotations

SUCCESS = 0
ERROR = 1
BAD_CONNECTION = 2
INVALID_INPUT = 3
BAD_FEATURE = 4
INTERRUPTED = 5
IO_ERROR = 6
BAD_ARGUMENTS = 128


class Fault(Exception):
    """Ends the command: `Error: <text>` on stderr, then `status`. An empty text prints nothing (all was said already)."""

    def __init__(self, status: int, text: str = "", hint: str = "") -> None:
        super().__init__(text)
        self.status = status
        self.text = text
        self.hint = hint
