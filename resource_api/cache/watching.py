"""A running watch as a client sees it: initial events, changes of its selection, bookmarks, its end (spec B.8), all but the bytes.

Owns the watch's clock: bookmarks about once a minute and shortly before the timeout, the timeout itself. Loop only; one task iterates.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import NamedTuple, Self

from raftkv.clock import Clock
from resource_api.cache.item import Event, Item
from resource_api.cache.subscription import Subscription
from resource_api.cache.watch_cache import WatchCache
from resource_api.errors import StatusError

BOOKMARK_EVERY_S = 60.0
BOOKMARK_JITTER = 0.25
"""So that the bookmarks of watches that began together do not stay together."""
BOOKMARK_BEFORE_END_S = 2.0
ASK_BEFORE_S = 0.5
"""The store is asked how far it is this long before a bookmark, so that it says something new."""

TIMEOUT_LEAST_S = 1800.0
"""A watch without a timeout gets a random one from this up to twice this."""

INITIAL_SLICE = 256
"""Initial events looked at in one turn."""


class Bookmark(NamedTuple):
    """Everything up to the revision has been told."""

    revision: int
    ends_initial: bool = False
    """The last of the initial events stood before it."""


class Failure(NamedTuple):
    """The watch's last word: an ERROR event with this status."""

    error: StatusError


Notice = Event | Bookmark | Failure


class Start(NamedTuple):
    """How a watch begins."""

    initial: Sequence[Item] = ()
    """The objects of the scope, told as ADDED if they are selected."""
    after_revision: int = 0
    """The changes after this are told."""
    marks_initial: bool = False
    """A bookmark follows the initial events."""


class Watching:
    """Iterate it for batches of notices; leave the block, or `close` it. It ends by itself at its timeout, when its buffer overflows and
    after a failure.

    Invariants: 1. revisions of changes ascend; 2. a bookmark's revision is not below anything told before it, and nothing up to it follows.
    """

    def __init__(
        self,
        cache: WatchCache,
        subscription: Subscription | None,
        start: Start,
        *,
        matches: Callable[[Item], bool] | None,
        clock: Clock,
        timeout_s: float | None,
        bookmarks: bool,
        failure: StatusError | None = None,
    ) -> None:
        self._cache = cache
        self._subscription = subscription
        self._start = start
        self._told = 0
        self._matches = matches
        self._clock = clock
        self._marks = bookmarks
        self._mark_pending = start.marks_initial
        self._failure = failure
        self._loop = asyncio.get_running_loop()
        if not timeout_s:
            timeout_s = TIMEOUT_LEAST_S * (1 + clock.random().random())
        self._end_s = self._loop.time() + timeout_s
        self._is_over = False
        self._due: str = ""
        """What the timer found due: ask, mark, end."""
        self._mark_at_s = 0.0
        self._timer: asyncio.TimerHandle | None = None
        self._plan_mark()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """Ends it; again does nothing."""
        self._is_over = True
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._subscription is not None:
            self._cache.unsubscribe(self._subscription)

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> list[Notice]:
        while not self._is_over:
            if self._told < len(self._start.initial) or self._mark_pending:
                notices = self._initial()
                if notices:
                    return notices
                await asyncio.sleep(0)
                continue
            if self._failure is not None:
                return self._last(self._failure)
            notices = await self._news()
            if notices:
                return notices
        self.close()
        raise StopAsyncIteration

    async def _news(self) -> list[Notice]:
        """What is next; nothing when it was only a reason to look again."""
        subscription = self._subscription
        assert subscription is not None
        if self._due == "end":
            self.close()
            return []
        if self._due == "ask":
            self._due = ""
            await self._cache.ask_progress()
        taken = subscription.take_nowait()
        if taken:
            return [*taken]
        if not subscription.is_drained:
            await asyncio.sleep(0)
        elif subscription.is_over:
            if subscription.error is not None:
                return self._last(subscription.error)
            self.close()
        elif self._due == "mark":
            self._due = ""
            if self._cache.revision >= self._start.after_revision:
                return [Bookmark(self._cache.revision)]
        elif not self._due:
            await subscription.wait()
        return []

    def _initial(self) -> list[Notice]:
        """The next slice of what was there at the start; at its end the bookmark, for those who know it."""
        until = self._told + INITIAL_SLICE
        slice_, self._told = self._start.initial[self._told : until], until
        notices: list[Notice] = []
        try:
            for item in slice_:
                if self._matches is None or self._matches(item):
                    notices.append(Event("ADDED", item, None, item.revision))
        except StatusError as error:
            self._failure, self._told, self._mark_pending = error, len(self._start.initial), False
        if self._told >= len(self._start.initial) and self._mark_pending:
            self._mark_pending = False
            notices.append(Bookmark(self._start.after_revision, ends_initial=True))
        return notices

    def _last(self, error: StatusError) -> list[Notice]:
        self.close()
        return [Failure(error)]

    # The watch's clock.

    def _plan_mark(self) -> None:
        """Sets the timer for the next bookmark, or for the end."""
        now_s = self._loop.time()
        last_s = self._end_s - BOOKMARK_BEFORE_END_S
        if not self._marks or now_s >= last_s:
            self._timer = self._loop.call_at(self._end_s, self._on_due, "end")
            return
        every_s = BOOKMARK_EVERY_S * (1 + BOOKMARK_JITTER * self._clock.random().random())
        self._mark_at_s = min(now_s + every_s, last_s)
        self._timer = self._loop.call_at(self._mark_at_s - ASK_BEFORE_S, self._on_due, "ask")

    def _on_due(self, what: str) -> None:
        self._due = what
        if what == "ask":
            self._timer = self._loop.call_at(self._mark_at_s, self._on_due, "mark")
        elif what == "mark":
            self._plan_mark()
        if self._subscription is not None:
            self._subscription.wake()
