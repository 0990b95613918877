"""A few numbers that the harness and one member's process share: a small file mapped into both.

Each number is one aligned double, written whole; each has one writer. Reading one costs 0.1 µs, so that clocks and file calls can
look every time. Numbers survive the process, and are reset by `reset`.
"""

from __future__ import annotations

import mmap
import os
import pathlib
import struct
import time

_DOUBLE = struct.Struct("=d")

HARNESS = ("wall_offset_s", "line", "true_0", "shown_0", "rate_0", "true_1", "shown_1", "rate_1",
           "sync_delay_s", "sync_fails", "bytes_until")  # fmt: skip
"""Written by the harness. A line is the straight line by which the member's clock follows the true one, and `line` says which of the
two; `bytes_until` is what `bytes_written` may not pass.
"""

MEMBER = (
    "wall_read_s",
    "loop_read_s",
    "read_at_s",
    "syncs",
    "syncs_delayed",
    "syncs_failed",
    "writes_refused",
    "bytes_written",
    "short_bytes",
)
"""Written by the member: what its clocks said at a true monotonic instant, and what its files did."""

_OFFSETS = {name: 8 * number for number, name in enumerate(HARNESS + MEMBER)}
SIZE_BYTES = 8 * len(_OFFSETS)

NO_LIMIT = -1.0


class Levers:
    """The shared numbers. Made by the harness, opened by the member."""

    def __init__(self, path: pathlib.Path, *, make: bool = False) -> None:
        if make:
            path.write_bytes(bytes(SIZE_BYTES))
        descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC)
        try:
            self._block = mmap.mmap(descriptor, SIZE_BYTES)
        finally:
            os.close(descriptor)
        if make:
            self.reset()

    def reset(self) -> None:
        """True clocks and honest files."""
        for name in HARNESS:
            self.put(name, 0.0)
        self.put("rate_0", 1.0)
        self.put("rate_1", 1.0)
        self.put("bytes_until", NO_LIMIT)

    def get(self, name: str) -> float:
        """A number by name."""
        value: float = _DOUBLE.unpack_from(self._block, _OFFSETS[name])[0]
        return value

    def put(self, name: str, value: float) -> None:
        """Sets a number; its writer only."""
        _DOUBLE.pack_into(self._block, _OFFSETS[name], value)

    def add(self, name: str, value: float = 1.0) -> None:
        """Adds to a number; its writer only, on one thread."""
        self.put(name, self.get(name) + value)

    def shown_s(self, true_s: float) -> float:
        """What the member's monotonic clock shows at a true instant."""
        line = int(self.get("line"))
        return self.get(f"shown_{line}") + (true_s - self.get(f"true_{line}")) * self.get(f"rate_{line}")

    @property
    def rate(self) -> float:
        """Seconds the member's monotonic clock shows in one true second."""
        return self.get(f"rate_{int(self.get('line'))}")

    def bend(self, rate: float) -> None:
        """From now on the member's monotonic clock runs at another rate; it never jumps."""
        true_s = time.monotonic()
        shown_s = self.shown_s(true_s)
        other = 1 - int(self.get("line"))
        self.put(f"true_{other}", true_s)
        self.put(f"shown_{other}", shown_s)
        self.put(f"rate_{other}", rate)
        # One number changes last, so that a reader sees the old line or the new one, never half of each.
        self.put("line", float(other))
