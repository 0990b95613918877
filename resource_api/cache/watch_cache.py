"""One collection in memory: the newest state of every object below a storage prefix, and the last changes, kept by one watch on the store.

Owns what all watchers and readers of the prefix share: items in key order, the window of events, the lists' bytes. Knows no selectors,
no HTTP and no versions of kinds; `reader.Reader` asks. Loop only. Hot path: `_publish`, and what `joined_lists` has.
Source: k8s.io/apiserver pkg/storage/cacher (spec E.5).
"""

from __future__ import annotations

import asyncio
import heapq
import itertools
import logging
from bisect import bisect_left, insort
from collections.abc import Sequence
from dataclasses import dataclass

from raftkv.clock import Clock
from resource_api.cache.item import Decode, Event, Item
from resource_api.cache.joined_lists import JoinedLists
from resource_api.cache.paging import too_large_version
from resource_api.cache.subscription import Select, Subscription
from resource_api.cache.window import Window
from resource_api.errors import StatusError, too_many_requests
from resource_api.registry.store import Change, Changes, CompactedError, Store, Stored, StoreError, StoreWatch

log = logging.getLogger("resource_api.cache")

SLICE_EVENTS = 128
"""Changes applied in one turn."""

POLL_S = 0.1
"""How often the store is asked for progress while somebody waits for it."""


@dataclass(frozen=True, slots=True)
class CacheSettings:
    """Bounds of one collection's cache."""

    window_events_min: int = 100
    """Events that stay whatever their age; upstream's least."""
    window_events_max: int = 102_400
    """Events that stay at most; upstream's."""
    window_fresh_s: float = 75.0
    """Events younger than this stay, up to the most."""
    window_bytes_max: int = 64 << 20
    """What the window's events may take, bytes; the newest stays even if it alone takes more."""
    subscriber_events_max: int = 1000
    """Events that wait for one watcher; one more ends it, and its client resumes where it was."""
    subscriber_bytes_max: int = 16 << 20
    """What the events that wait for one watcher may tell, bytes, though watchers share them; more ends it likewise. An event alone waits
    whatever its size. 1000 events of objects of a common size stay below it; so many watchers that stall cost no more than this each."""
    joined_bytes_max: int = 32 << 20
    """Lists kept as bytes, per collection."""
    history_revisions: int = 1000
    """A cache begins this many revisions of the store ago, if they can still be read, so that watches go on over a restart of the server
    and from versions older than the collection's first use."""
    page: int = 1000
    """Objects per request of the first list."""
    fresh_timeout_s: float = 3.0
    """How long a read waits for a revision."""
    ready_timeout_s: float = 10.0
    """How long anything waits for the first list."""
    retry_first_s: float = 0.05
    """The first wait before a store that failed is asked again; it doubles with each failure."""
    retry_max_s: float = 5.0
    """The longest such wait."""


class WatchCache:
    """See the module.

    Invariants: 1. the items are the collection's state at `revision`; 2. subscriptions have been offered every event up to it and none
    above; 3. `_keys` holds the items' keys, sorted; 4. the window has every event after its floor up to `revision`.
    """

    def __init__(
        self, store: Store, prefix: str, decode: Decode, *, group: asyncio.TaskGroup, clock: Clock, settings: CacheSettings | None = None
    ) -> None:
        """`prefix` ends in a slash; the group owns the task that `start` makes."""
        assert prefix.endswith("/")
        self.prefix = prefix
        self.decode = decode
        self.settings = settings or CacheSettings()
        self.revision = 0
        self.is_prompt = True
        """Whether the store says on request how far the watch is; else a read of the latest state has to ask the store itself."""
        self._store = store
        self._group = group
        self._clock = clock
        self._task: asyncio.Task[None] | None = None
        self._is_stopped = False
        self._is_ready = asyncio.Event()
        self._watch: StoreWatch | None = None
        self._items: dict[str, Item] = {}
        self._keys: list[str] = []
        self._present = 0
        """What the store's revision was at the first list: there is no state before it is reached."""
        self._window = Window(
            events_min=self.settings.window_events_min,
            events_max=self.settings.window_events_max,
            bytes_max=self.settings.window_bytes_max,
            fresh_s=self.settings.window_fresh_s,
        )
        self._changed_revision = 0
        self._lists: dict[str, Sequence[Item]] = {}
        self.joined_lists = JoinedLists(self.settings.joined_bytes_max)
        self._subscriptions: dict[str, dict[Subscription, None]] = {}
        self._waiting: list[tuple[int, int, float, asyncio.Future[None]]] = []
        """A heap: revision, number, deadline, who waits."""
        self._numbers = itertools.count()
        self._poll: asyncio.TimerHandle | None = None

    # Life.

    def start(self) -> None:
        """Begins to follow the store; again, or after `stop`, does nothing."""
        if self._task is None and not self._is_stopped:
            self._task = self._group.create_task(self._run(), name=f"cache of {self.prefix}")

    def stop(self) -> None:
        """Ends every watcher cleanly, and following, for good; for a collection that is no more."""
        self._is_stopped = True
        if self._task is not None:
            self._task.cancel()
        if self._poll is not None:
            self._poll.cancel()
            self._poll = None
        waiting, self._waiting = self._waiting, []
        for *_, waiter in waiting:
            if not waiter.done():
                waiter.set_exception(_not_ready())
        self._end_subscriptions()

    def forget_views(self) -> None:
        """The objects are read in another way from now on: watchers end cleanly, and what was made of the objects is let go."""
        self._end_subscriptions()
        for item in self._items.values():
            item.forget_views()
        self._forget_lists()

    async def ready(self) -> None:
        """Waits for the first list. Raises StatusError 429 when that takes too long, or will not come."""
        self.start()
        if self._is_ready.is_set():
            return
        if self._is_stopped:
            raise _not_ready()
        try:
            async with asyncio.timeout(self.settings.ready_timeout_s):
                await self._is_ready.wait()
        except TimeoutError as error:
            raise _not_ready() from error

    @property
    def is_ready(self) -> bool:
        """Whether there is a state."""
        return self._is_ready.is_set()

    # State.

    def get_nowait(self, key: str) -> Item | None:
        """The object at a key."""
        return self._items.get(key)

    async def wait_for(self, key: str, timeout_s: float) -> Item | None:
        """The object at a key, as soon as there is one; None when there was none in that time."""
        try:
            async with asyncio.timeout(timeout_s):
                while (found := self._items.get(key)) is None:
                    await self._change_at(key)
        except TimeoutError:
            return None
        return found

    async def _change_at(self, key: str) -> None:
        subscription = self.subscribe(key, None, after_revision=self.revision)
        try:
            await subscription.wait()
        finally:
            self.unsubscribe(subscription)

    def items_nowait(self, prefix: str = "") -> Sequence[Item]:
        """The objects whose keys begin with a prefix (which ends in a slash; all of the collection without one), in key order."""
        scope = prefix or self.prefix
        found = self._lists.get(scope)
        if found is None:
            items = self._items
            found = self._lists[scope] = [items[key] for key in self._keys[self._place(scope) : self._place(scope[:-1] + "0")]]
        return found

    def is_state_of(self, revision: int) -> bool:
        """Whether the present items are also those of an earlier revision."""
        return self._changed_revision <= revision <= self.revision

    @property
    def oldest(self) -> int:
        """A watch can begin after this revision, and after every later one."""
        return self._window.floor

    async def fresh(self, revision: int) -> None:
        """Waits until the cache is as far. Raises StatusError 504 when it does not get there in time."""
        if self.revision < revision:
            await self.ask_progress()
            await self._wait(revision)

    async def caught_up(self, revision: int) -> bool:
        """As `fresh`; false when it takes too long, or at once when the store does not say how far it is."""
        if self.revision >= revision:
            return True
        await self.ask_progress()
        if not self.is_prompt:
            return self.revision >= revision
        try:
            await self._wait(revision)
        except StatusError:
            return False
        return True

    async def _wait(self, revision: int) -> None:
        if self.revision >= revision:
            return
        loop = asyncio.get_running_loop()
        waiter: asyncio.Future[None] = loop.create_future()
        heapq.heappush(self._waiting, (revision, next(self._numbers), loop.time() + self.settings.fresh_timeout_s, waiter))
        self._arm_poll()
        await waiter

    async def ask_progress(self) -> None:
        """Has the store say how far it is, if it can."""
        if self._watch is not None:
            self.is_prompt = await self._watch.request_progress()

    # Watching.

    def subscribe(self, prefix: str, select: Select | None, *, after_revision: int) -> Subscription:
        """Changes after a revision, which is not below `oldest`, of the keys with a prefix: the collection's, one ending in a slash below
        it, or a whole key."""
        scope = prefix or self.prefix
        past = self._window.after(after_revision) if after_revision < self.revision else ()
        made = Subscription(
            scope,
            select,
            after_revision=after_revision,
            past=past,
            events_max=self.settings.subscriber_events_max,
            bytes_max=self.settings.subscriber_bytes_max,
        )
        self._subscriptions.setdefault(scope, {})[made] = None
        return made

    def unsubscribe(self, subscription: Subscription) -> None:
        """Ends it; again does nothing."""
        subscription.end()
        scope = self._subscriptions.get(subscription.scope)
        if scope is not None:
            scope.pop(subscription, None)
            if not scope:
                del self._subscriptions[subscription.scope]

    def describe(self) -> str:
        """One line for people."""
        watchers = sum(map(len, self._subscriptions.values()))
        return (
            f"{self.prefix}: {len(self._items)} objects at {self.revision}, {len(self._window)} events "
            f"({self._window.size_bytes} bytes) after {self._window.floor}, {watchers} watchers, {len(self._waiting)} waiting"
        )

    # Following the store.

    async def _run(self) -> None:
        """Until cancelled. A store that cannot be asked leaves the state as it is; a gap means a new list."""
        pause_s = self.settings.retry_first_s
        has_gap, history = True, self.settings.history_revisions
        while True:
            try:
                if has_gap:
                    await self._fill(history)
                    has_gap, history = False, 0
                async with self._store.watch(self.prefix, after_revision=self.revision) as watch:
                    self._watch = watch
                    await self.ask_progress()
                    if not (self.is_ready or self.is_prompt):
                        # Nobody will say when the past has been told: begin with the present.
                        has_gap = True
                        continue
                    self._arm_poll()
                    async for changes in watch:
                        pause_s = self.settings.retry_first_s
                        await self._apply(changes)
                log.warning("the watch on %s ended", self.prefix)
            except CompactedError:
                # What happened between is lost: the clients are to list again. Till then the old state is still one that was.
                log.info("the watch on %s fell behind a compaction", self.prefix)
                has_gap = True
            except StoreError as error:
                log.warning("cannot follow %s: %s", self.prefix, error)
            finally:
                self._watch = None
            await asyncio.sleep(pause_s)
            pause_s = min(pause_s * 2, self.settings.retry_max_s)

    async def _fill(self, history: int) -> None:
        """Lists everything at one revision and takes it for the state: at the present one, or so many before it. Then there is a state
        as soon as the watch has told what came since."""
        present = await self._store.revision()
        try:
            await self._fill_at(max(present - history, 1) if history else 0)
        except CompactedError:
            await self._fill_at(0)
        self._present = present
        self._advance(self._window.floor)

    async def _fill_at(self, revision: int) -> None:
        items: dict[str, Item] = {}
        start, more = "", True
        while more:
            page = await self._store.list(self.prefix, start=start, limit=self.settings.page, revision=revision)
            revision, more = page.revision, page.more
            for stored in page.items:
                items[stored.key] = Item(stored, self.decode)
            if more:
                start = page.items[-1].key[len(self.prefix) :] + "\x00"
        self._end_subscriptions()
        self._items = items
        self._keys = sorted(items)
        self._window.reset(revision)
        self._changed_revision = revision
        self._forget_lists()

    async def _apply(self, changes: Changes) -> None:
        """Whole revisions, a slice of them per turn."""
        events = changes.events
        for place, change in enumerate(events):
            if place >= SLICE_EVENTS and place % SLICE_EVENTS == 0 and change.revision > events[place - 1].revision:
                self._advance(events[place - 1].revision)
                await asyncio.sleep(0)
            if change.revision > self.revision:
                self._publish(self._changed(change))
        self._advance(changes.revision)

    def _changed(self, change: Change) -> Event:
        """Makes the change in the items."""
        key = change.key
        before = self._items.get(key)
        self._changed_revision = change.revision
        self._forget_lists()
        if change.value is None:
            last = before.value if before is not None else (change.previous or b"")
            if before is not None:
                del self._items[key]
                del self._keys[self._place(key)]
            return Event("DELETED", Item(Stored(key, last, change.revision), self.decode), before, change.revision)
        item = Item(Stored(key, change.value, change.revision), self.decode)
        self._items[key] = item
        if before is None:
            insort(self._keys, key)
            return Event("ADDED", item, None, change.revision)
        return Event("MODIFIED", item, before, change.revision)

    def _publish(self, event: Event) -> None:
        self._window.add(event, self._clock.monotonic_s())
        if not self._subscriptions:
            return
        key = event.item.key
        end = len(self.prefix)
        while True:
            scope = self._subscriptions.get(key[:end])
            if scope is not None:
                for subscription in tuple(scope):
                    subscription.offer(event)
            if end == len(key):
                return
            end = key.find("/", end) + 1 or len(key)

    def _advance(self, revision: int) -> None:
        """The state is now this revision's."""
        self.revision = max(self.revision, revision)
        if not self.is_ready and revision >= self._present:
            self._is_ready.set()
        waiting = self._waiting
        while waiting and waiting[0][0] <= revision:
            waiter = heapq.heappop(waiting)[3]
            if not waiter.done():
                waiter.set_result(None)

    def _arm_poll(self) -> None:
        """A store may leave a request for progress without an answer while its watch is catching up: asks again while somebody waits."""
        if self._poll is None and (self._waiting or not self.is_ready):
            self._poll = asyncio.get_running_loop().call_later(POLL_S, self._on_poll)

    def _on_poll(self) -> None:
        """Somebody has waited a while: asks again, and gives up on those whose time is over."""
        self._poll = None
        loop = asyncio.get_running_loop()
        now_s = loop.time()
        kept = []
        for entry in self._waiting:
            revision, _, deadline_s, waiter = entry
            if waiter.done():
                continue
            if now_s >= deadline_s:
                waiter.set_exception(too_large_version(revision, self.revision))
            else:
                kept.append(entry)
        heapq.heapify(kept)
        self._waiting = kept
        self._arm_poll()
        if self._poll is not None and self._watch is not None:
            self._group.create_task(self.ask_progress(), name=f"progress of {self.prefix}")

    def _end_subscriptions(self) -> None:
        ended, self._subscriptions = self._subscriptions, {}
        for scope in ended.values():
            for subscription in scope:
                subscription.end()

    def _forget_lists(self) -> None:
        if self._lists:
            self._lists = {}
        self.joined_lists.forget()

    def _place(self, key: str) -> int:
        return bisect_left(self._keys, key)


def _not_ready() -> StatusError:
    """What upstream says while a cache has no state, or has it no longer."""
    return too_many_requests("storage is (re)initializing", 1)
