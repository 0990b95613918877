"""A line on the terminal that says how far a run is; nothing at all when nobody sits there."""

from __future__ import annotations

import sys
import threading
from types import TracebackType
from typing import Self

from raftkv.clock import SystemClock

EVERY_S = 0.25
WIDTH = 30


class Progress:
    """Draws on standard error, from a thread of its own: a busy loop must not make it look stuck."""

    def __init__(self, title: str, expected_s: float) -> None:
        self._title = title
        self._expected_s = expected_s
        self._clock = SystemClock()
        self._began_s = self._clock.monotonic_s()
        self._load_s = 0.0
        self._phase = "starting"
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._draw, name="progress", daemon=True)

    def __enter__(self) -> Self:
        if sys.stderr.isatty():
            self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join()
            sys.stderr.write("\r\x1b[K")
            sys.stderr.flush()

    def tell(self, phase: str) -> None:
        """The run has come to a phase."""
        if phase == "load":
            self._load_s = self._clock.monotonic_s()
        self._phase = phase

    def _draw(self) -> None:
        while not self._stop.wait(EVERY_S):
            now_s = self._clock.monotonic_s()
            share = min(1.0, (now_s - self._load_s) / self._expected_s) if self._load_s else 0.0
            bar = "#" * int(share * WIDTH)
            sys.stderr.write(f"\r\x1b[K{self._title} [{bar:<{WIDTH}}] {now_s - self._began_s:4.0f} s {self._phase}")
            sys.stderr.flush()
