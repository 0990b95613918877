"""One direction of one proxied connection: bytes that may be held, delayed, slowed down or cut off.

Owns the order of what it carries: nothing overtakes inside a stream, no byte is lost or changed, as TCP promises. The end of a
stream travels behind its bytes, so that a partition hides a crash as it does in reality. Loop only.
"""

from __future__ import annotations

import asyncio
import random
from collections import deque
from collections.abc import Callable

from jepsen_like.cluster.links import REORDER_MS, RETRANSMIT_MS, Conditions, Counters

HELD_BYTES_MAX = 256 << 10
"""Of bytes on their way; beyond it the sender's socket is read no more and its own buffers fill, as on a slow link."""

GOLDEN_RATIO = 0.6180339887

LOSSES_MAX = 4
"""In a row; a stream that lost more would be given up by its owner anyway."""


class Direction:
    """Conditions and counters of one direction between two hosts, shared by all its pipes."""

    __slots__ = ("conditions", "counters", "free_at_s", "newest_sequence", "opened", "pipes", "rng", "sequence")

    def __init__(self, rng: random.Random) -> None:
        self.conditions = Conditions()
        self.counters = Counters()
        self.rng = rng
        self.free_at_s = 0.0
        """When the link has sent what it was given, at its rate."""

        self.sequence = 0
        self.newest_sequence = 0
        self.opened = 0
        self.pipes: set[Pipe] = set()

    def change(self, conditions: Conditions) -> None:
        """New conditions, for what is held too."""
        self.conditions = conditions
        for pipe in tuple(self.pipes):
            pipe.resume()


class Pipe:
    """From one socket to the other. `target` is None until the connection behind it is made."""

    __slots__ = ("_bytes", "_done", "_loop", "_on_end", "_paused", "_queue", "_slow", "_timer", "direction", "source", "target")

    def __init__(self, direction: Direction, source: asyncio.Transport, on_end: Callable[[], None]) -> None:
        self.direction = direction
        self.source = source
        self.target: asyncio.Transport | None = None
        self._on_end = on_end
        self._queue: deque[tuple[float, float, int, bytes]] = deque()
        self._bytes = 0
        self._timer: asyncio.TimerHandle | None = None
        self._loop = asyncio.get_running_loop()
        self._paused = False
        self._done = False
        # Spread evenly over whatever share is slow: of two connections one is, for shares of up to 0.6.
        self._slow = direction.opened * GOLDEN_RATIO % 1
        direction.opened += 1
        direction.pipes.add(self)

    def feed(self, data: bytes) -> None:
        """Bytes came in; none at all means that the stream ended."""
        link = self.direction
        conditions, counters = link.conditions, link.counters
        if conditions.cut:
            counters.cut += 1
        elif conditions.plain and not self._queue and data and self.target is not None:
            counters.passed += 1
            counters.passed_bytes += len(data)
            self.target.write(data)
            return
        now_s = self._loop.time()
        link.sequence += 1
        self._queue.append((now_s, self._due_s(now_s, len(data)), link.sequence, data))
        self._bytes += len(data)
        if self._bytes > HELD_BYTES_MAX:
            self._pause(True)
        self.resume()

    def resume(self) -> None:
        """Sends on what is due and may pass."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        link = self.direction
        while self._queue and self.target is not None and not link.conditions.cut and not self._done:
            came_s, due_s, sequence, data = self._queue[0]
            now_s = self._loop.time()
            if due_s > now_s:
                self._timer = self._loop.call_at(due_s, self.resume)
                return
            self._queue.popleft()
            self._bytes -= len(data)
            self._count(came_s, due_s, now_s, sequence, len(data))
            if not data:
                self._on_end()
                return
            self.target.write(data)
        if self._bytes <= HELD_BYTES_MAX // 2:
            self._pause(False)

    def block(self, full: bool) -> None:
        """The receiver's socket takes no more, or does again."""
        self._pause(full)

    def close(self) -> None:
        """Carries nothing any more. Idempotent."""
        self._done = True
        self.direction.pipes.discard(self)
        if self._timer is not None:
            self._timer.cancel()

    def _pause(self, wanted: bool) -> None:
        if self._paused is not wanted and not self.source.is_closing():
            self._paused = wanted
            if wanted:
                self.source.pause_reading()
            else:
                self.source.resume_reading()

    def _due_s(self, now_s: float, size: int) -> float:
        """When a piece that came now is to be sent on, by the present conditions; never before the one before it."""
        link = self.direction
        conditions, counters = link.conditions, link.counters
        delay_ms = conditions.delay_ms + (link.rng.random() * 2 - 1) * conditions.jitter_ms
        if self._slow < conditions.reorder:
            delay_ms += REORDER_MS
        losses = 0
        while conditions.loss and losses < LOSSES_MAX and link.rng.random() < conditions.loss:
            delay_ms += RETRANSMIT_MS * (1 << losses)
            losses += 1
            counters.lost += 1
        due_s = now_s + max(0.0, delay_ms) / 1000
        if conditions.rate_bytes_s:
            link.free_at_s = max(link.free_at_s, now_s) + size / conditions.rate_bytes_s
            if link.free_at_s > due_s:
                counters.limited += 1
                due_s = link.free_at_s
        return max(due_s, self._queue[-1][1]) if self._queue else due_s

    def _count(self, came_s: float, due_s: float, now_s: float, sequence: int, size: int) -> None:
        link = self.direction
        counters = link.counters
        counters.passed += 1
        counters.passed_bytes += size
        if due_s > came_s:
            counters.delayed += 1
            counters.delay_ms_total += (now_s - came_s) * 1000
        if sequence < link.newest_sequence:
            counters.overtaken += 1
        link.newest_sequence = max(sequence, link.newest_sequence)
