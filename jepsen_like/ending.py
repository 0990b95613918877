"""SIGTERM and SIGHUP end a run as Ctrl-C does: what is running is cancelled, every fault healed, all that was started ended.

By default they end the process at once, and leave stopped whatever a fault had stopped: a server that somebody else started, too.
"""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

ENDING = (signal.SIGTERM, signal.SIGHUP)


class Ending:
    """Which signal ends the run."""

    def __init__(self) -> None:
        self.number = signal.SIGINT

    @property
    def status(self) -> int:
        """As a shell tells it."""
        return 128 + self.number

    def on_signal(self, number: int, frame: FrameType | None) -> None:
        """The first ends the run. Whoever sends one to a process and to its group, as `timeout` does, sends two: clean-up goes on."""
        if self.number != signal.SIGINT:
            return
        self.number = signal.Signals(number)
        interrupt = signal.getsignal(signal.SIGINT)
        if callable(interrupt):
            # A running loop's own handler cancels its main task, which heals and cleans up as it ends.
            interrupt(signal.SIGINT, frame)
        else:
            # Started in the background of a script: SIGINT is ignored, and no loop has a handler for it.
            raise KeyboardInterrupt


@contextmanager
def in_order() -> Iterator[Ending]:
    """Within the block these signals raise KeyboardInterrupt, in the main thread. One that is ignored (`nohup`) stays so."""
    ending = Ending()
    before = {number: signal.getsignal(number) for number in ENDING}
    taken = [number for number in ENDING if before[number] is signal.SIG_DFL]
    for number in taken:
        signal.signal(number, ending.on_signal)
    try:
        yield ending
    finally:
        for number in taken:
            signal.signal(number, before[number])
