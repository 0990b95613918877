"""What holds for every test: processes begin with the signals a terminal would give them."""

from __future__ import annotations

import signal


def pytest_configure() -> None:
    """Under `nohup`, or in the background of a script, SIGHUP or SIGINT is ignored, and every process that a test starts inherits that."""
    signal.signal(signal.SIGHUP, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.default_int_handler)
