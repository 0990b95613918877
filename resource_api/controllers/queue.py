"""A work queue of keys: each is worked on by one worker at a time, once for any number of reasons, and again after a failure with backoff.

The rules are client-go's `workqueue`: a key added while it is being worked on is worked on once more afterwards. A fault of ours in one
reconcile is told with its traceback and counted, and the key comes back like after any failure: one object that nobody thought of must not
take the server from everybody else. Loop only.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable

from resource_api.errors import StatusError
from resource_api.registry.store import StoreError

log = logging.getLogger("resource_api.controllers")

FAULT_TEXT = "a fault in a reconcile; it is tried again"
"""What the log says of it."""

BACKOFF_MIN_S = 0.005
BACKOFF_MAX_S = 60.0


class WorkQueue:
    """Keys to reconcile. Bounded by the number of keys there are: a key is in it once.

    Invariants: 1. a key is in `_waiting` or not, never twice; 2. a key in `_working` is with exactly one worker.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self._order: asyncio.Queue[str] = asyncio.Queue()
        self._waiting: set[str] = set()
        self._working: set[str] = set()
        self._again: set[str] = set()
        self._failures: dict[str, int] = {}
        self._timers: dict[str, asyncio.TimerHandle] = {}
        self.adds = 0
        """Keys that came to wait, ever."""
        self.retries = 0
        """Failures after which a key was to come back, ever."""
        self.faults = 0
        """Those of them that were faults of ours."""

    def add(self, key: str) -> None:
        """Work on it, soon."""
        timer = self._timers.pop(key, None)
        if timer is not None:
            timer.cancel()
        if key in self._working:
            self._again.add(key)
        elif key not in self._waiting:
            self.adds += 1
            self._waiting.add(key)
            self._order.put_nowait(key)

    def add_after(self, key: str, delay_s: float) -> None:
        """Work on it then, unless something else asks before: of several times the first one counts."""
        if key in self._waiting:
            return
        loop = asyncio.get_running_loop()
        timer = self._timers.get(key)
        if timer is not None:
            if timer.when() <= loop.time() + delay_s:
                return
            timer.cancel()
        self._timers[key] = loop.call_later(delay_s, self._due, key)

    def _due(self, key: str) -> None:
        self._timers.pop(key, None)
        self.add(key)

    @property
    def idle(self) -> bool:
        """Nothing to do now; something may still come by time."""
        return not self._waiting and not self._working

    @property
    def depth(self) -> int:
        """How many keys wait."""
        return len(self._waiting)

    def describe(self) -> str:
        """For people."""
        text = f"{len(self._waiting)} waiting, {len(self._working)} in work, {len(self._timers)} later, {len(self._failures)} failing"
        return f"{text}, {self.faults} faults" if self.faults else text

    async def work(self, reconcile: Callable[[str], Awaitable[None]]) -> None:
        """One worker, until it is cancelled. A failure of any kind is logged, and the key comes back later."""
        try:
            while True:
                key = await self._order.get()
                self._waiting.discard(key)
                self._working.add(key)
                try:
                    await reconcile(key)
                    self._failures.pop(key, None)
                except (StatusError, StoreError, OSError) as error:
                    self._tell(key, error)
                    self._retry(key)
                except Exception as error:
                    self.faults += 1
                    self._log(logging.ERROR, FAULT_TEXT, key, error, exc_info=error)
                    self._retry(key)
                finally:
                    self._working.discard(key)
                    if key in self._again:
                        self._again.discard(key)
                        self.add(key)
        finally:
            for timer in self._timers.values():
                timer.cancel()
            self._timers.clear()

    def _retry(self, key: str) -> None:
        failures = self._failures.get(key, 0)
        self._failures[key] = failures + 1
        self.retries += 1
        self.add_after(key, min(BACKOFF_MIN_S * 2 ** min(failures, 20), BACKOFF_MAX_S))

    def _tell(self, key: str, error: Exception) -> None:
        if not (isinstance(error, StatusError) and error.code == 409):
            self._log(logging.WARNING, "a key could not be reconciled", key, error)

    def _log(self, level: int, text: str, key: str, error: Exception, exc_info: Exception | None = None) -> None:
        fields = {"controller": self.name, "key": key, "error": str(error) or type(error).__name__}
        log.log(level, text, extra={"fields": fields}, exc_info=exc_info)
