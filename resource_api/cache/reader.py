"""Reads and watches of one resource: get, list and watch with the whole of resourceVersion, limit and selectors (spec B.7, B.8).

Answers from the cache wherever that is what was asked for: a read of the latest state asks the store how far it is, in one round for all
that wait, and lets the cache catch up. Exact old versions, and stores that do not say how far they are, go to the store. Loop only.
"""

from __future__ import annotations

import asyncio
from bisect import bisect_left
from collections.abc import Callable, Hashable, Mapping, Sequence
from operator import attrgetter
from typing import NamedTuple

from raftkv.clock import Clock
from resource_api import errors
from resource_api.cache import paging
from resource_api.cache.item import Decode, Event, Item
from resource_api.cache.joined_lists import join
from resource_api.cache.paging import Plan
from resource_api.cache.rounds import ReadRounds
from resource_api.cache.selectors import FieldPath, FieldSelector, LabelSelector, parse_fields, parse_labels
from resource_api.cache.subscription import Select
from resource_api.cache.watch_cache import WatchCache
from resource_api.cache.watching import Start, Watching
from resource_api.errors import StatusError
from resource_api.registry.requests import ListOptions
from resource_api.registry.store import (
    CompactedError,
    FutureRevisionError,
    KeyMissingError,
    Store,
    StoreError,
    StoreUnavailableError,
)
from resource_api.schema.kinds import ResourceType

PAGE_MAX = 10_000
"""Keys asked of the store at once, where a selector lets few of them through."""

MATCH_SLICE = 512
"""Objects matched in one turn."""

RETRY_AFTER_S = 2

SELECTS_MAX = 256
"""Pairs of selectors whose watchers share what is found out of an event; then forgotten all at once."""

NAME, NAMESPACE = "metadata.name", "metadata.namespace"
METADATA_FIELDS: Mapping[str, FieldPath] = {NAME: ("metadata", "name"), NAMESPACE: ("metadata", "namespace")}

_key = attrgetter("key")


class Whole(NamedTuple):
    """A listing that leaves nothing out of its scope."""

    cache: WatchCache
    scope: str
    items: Sequence[Item]
    """The cache's own, as of the listing."""
    decode: Decode


class Listing:
    """The objects of a list, and what its metadata says."""

    __slots__ = ("_whole", "continue_token", "items", "remaining", "resource_version")

    def __init__(
        self,
        items: Sequence[Item],
        resource_version: int,
        *,
        continue_token: str = "",
        remaining: int | None = None,
        whole: Whole | None = None,
    ) -> None:
        self.items = items
        self.resource_version = resource_version
        self.continue_token = continue_token
        self.remaining = remaining
        """How many are behind this page; None where that is not said."""
        self._whole = whole

    async def joined(self, representation: Hashable, encode: Callable[[Item], bytes], separator: bytes = b",") -> bytes:
        """All items as bytes; those of a whole collection that has not changed are made once for all lists in this representation."""
        whole = self._whole
        if whole is None or whole.cache.items_nowait(whole.scope) is not whole.items:
            return await join(self.items, encode, separator)
        return await whole.cache.joined_lists.joined((whole.scope, whole.decode, representation), self.items, encode, separator)


class Selection:
    """Which objects a request is about: a place in the storage, and selectors."""

    __slots__ = ("base", "fields", "labels", "matches", "scope")

    def __init__(self, base: str, scope: str, labels: LabelSelector, fields: FieldSelector) -> None:
        self.base = base
        """The prefix of the request's path; tokens are relative to it."""
        self.scope = scope
        """The base, or a part of it that the selectors leave: a namespace, or a single key."""
        self.labels = labels
        self.fields = fields
        self.matches: Callable[[Item], bool] | None = self._matches if labels or fields else None

    @property
    def is_key(self) -> bool:
        """Whether there can be one object at most."""
        return not self.scope.endswith("/")

    def _matches(self, item: Item) -> bool:
        obj = item.object()
        return (not self.labels or self.labels.matches(obj["metadata"].get("labels"))) and (not self.fields or self.fields.matches(obj))


class Reader:
    """See the module. One per resource; resources that are stored alike share the cache."""

    def __init__(
        self,
        type: ResourceType,
        cache: WatchCache,
        rounds: ReadRounds,
        store: Store,
        *,
        clock: Clock,
        decode: Decode | None = None,
        fields: Mapping[str, FieldPath] | None = None,
    ) -> None:
        """`decode` gives objects in the resource's own version, the cache's by default; `fields` are what field selectors may name."""
        self.type = type
        self.cache = cache
        self._rounds = rounds
        self._store = store
        self._clock = clock
        self._decode = decode or cache.decode
        self._fields = fields if fields is not None else METADATA_FIELDS
        self._selects: dict[tuple[str, str], Select] = {}

    async def get(self, namespace: str, name: str, resource_version: str = "") -> Item:
        """One object. Raises StatusError: 404, 400 for a version that is none, 504 for one not reached, 500 or 429 without a store."""
        plan = paging.plan_get(resource_version)
        key = self._prefix(namespace) + name
        if await self._serves(plan, "get"):
            item = self.cache.get_nowait(key)
            if item is None:
                raise errors.not_found(self.type.group, self.type.plural, name)
            return item.seen_as(self._decode)
        try:
            return Item(await self._store.get(key), self._decode)
        except KeyMissingError as error:
            raise errors.not_found(self.type.group, self.type.plural, name) from error
        except StoreError as error:
            raise self._failed(error, "get") from error

    def items_nowait(self, namespace: str = "") -> Sequence[Item]:
        """What the cache knows of a namespace, or of all of them; perhaps a little old, nothing before the cache is ready."""
        return self._seen(self.cache.items_nowait(self._prefix(namespace)))

    async def list(self, namespace: str, options: ListOptions) -> Listing:
        """Objects of a namespace, or of all of them. Raises StatusError: 400, 422, 410, 504, 500, 429."""
        selection = self._selection(namespace, options)
        plan = paging.plan_list(options)
        if await self._serves(plan, "list"):
            return await self._from_cache(selection, plan)
        return await self._from_store(selection, plan)

    async def watch(self, namespace: str, options: ListOptions) -> Watching:
        """Changes from a version on. Raises StatusError 400, 422, 500, 429. A version that is too old, or, where initial events are
        wanted, still to come, is told by the watch itself."""
        selection = self._selection(namespace, options)
        paging.check_watch(options)
        revision = paging.parse_version(options.resource_version)
        await self.cache.ready()
        wants_initial = options.send_initial_events
        if wants_initial is None:
            # Watches from no version, or from any, have always begun with what is there.
            wants_initial = not revision
        if wants_initial:
            if options.resource_version:
                try:
                    await self.cache.fresh(revision)
                except StatusError as error:
                    return self._watching(selection, options, Start(), error)
            start = await self._initial(selection, options)
        elif not options.resource_version:
            start = Start(after_revision=await self._latest("watch"))
        else:
            start = Start(after_revision=revision or self.cache.revision)
        return self._watching(selection, options, start)

    # Which version.

    async def _latest(self, verb: str) -> int:
        try:
            return await self._rounds.current()
        except StoreError as error:
            raise self._failed(error, verb) from error

    async def _serves(self, plan: Plan, verb: str) -> bool:
        """Whether the cache has what was planned; waits for it."""
        cache = self.cache
        if not cache.is_ready:
            await cache.ready()
        if plan.version == "latest":
            return await cache.caught_up(await self._latest(verb))
        if plan.version == "at least":
            if not cache.is_prompt and cache.revision < plan.revision <= await self._latest(verb):
                return False
            await cache.fresh(plan.revision)
        return plan.version != "exactly" or cache.is_state_of(plan.revision)

    # Lists.

    async def _from_cache(self, selection: Selection, plan: Plan) -> Listing:
        cache = self.cache
        revision = plan.revision if plan.version == "exactly" else cache.revision
        items = self._cached(selection)
        first = bisect_left(items, selection.base + plan.start, key=_key) if plan.start else 0
        if selection.matches is None:
            if not first and (not plan.limit or len(items) <= plan.limit):
                return self._whole(items, selection, revision)
            end = first + plan.limit if plan.limit else len(items)
            page, behind = self._seen(items[first:end]), max(0, len(items) - end)
        else:
            page, behind = await self._matching(self._seen(items[first:]), selection.matches, plan.limit)
        if not behind:
            return Listing(page, revision)
        token = paging.next_token(page[-1].key, selection.base, revision)
        return Listing(page, revision, continue_token=token, remaining=None if selection.matches else behind)

    def _cached(self, selection: Selection) -> Sequence[Item]:
        if not selection.is_key:
            return self.cache.items_nowait(selection.scope)
        item = self.cache.get_nowait(selection.scope)
        return [] if item is None else [item]

    def _whole(self, items: Sequence[Item], selection: Selection, revision: int) -> Listing:
        """All of a scope: its bytes are shared."""
        if selection.is_key:
            return Listing(self._seen(items), revision)
        return Listing(self._seen(items), revision, whole=Whole(self.cache, selection.scope, items, self._decode))

    def _seen(self, items: Sequence[Item]) -> Sequence[Item]:
        return items if self._decode is self.cache.decode else [item.seen_as(self._decode) for item in items]

    async def _matching(self, items: Sequence[Item], matches: Callable[[Item], bool], limit: int) -> tuple[Sequence[Item], int]:
        """The first that match, and how many objects were not looked at."""
        found: list[Item] = []
        for place, item in enumerate(items):
            if place and place % MATCH_SLICE == 0:
                await asyncio.sleep(0)
            if matches(item):
                found.append(item)
                if len(found) == limit:
                    return found, len(items) - place - 1
        return found, 0

    async def _from_store(self, selection: Selection, plan: Plan) -> Listing:
        """Pages of one revision, larger and larger where a selector lets little through."""
        found: list[Item] = []
        start, size, revision = plan.start, min(plan.limit or PAGE_MAX, PAGE_MAX), plan.revision if plan.version == "exactly" else 0
        while True:
            try:
                page = await self._store.list(selection.base, start=start, limit=size, revision=revision)
            except CompactedError as error:
                raise paging.list_expired(plan) from error
            except FutureRevisionError as error:
                raise paging.too_large_version(revision, error.current) from error
            except StoreError as error:
                raise self._failed(error, "list") from error
            revision = page.revision
            for place, stored in enumerate(page.items):
                item = Item(stored, self._decode)
                if selection.matches is not None and not selection.matches(item):
                    continue
                found.append(item)
                behind = len(page.items) - place - 1 + page.remaining
                if len(found) == plan.limit and behind:
                    token = paging.next_token(stored.key, selection.base, revision)
                    return Listing(found, revision, continue_token=token, remaining=None if selection.matches else behind)
            if not page.more:
                return Listing(found, revision)
            start = page.items[-1].key[len(selection.base) :] + "\x00"
            size = min(size * 2, PAGE_MAX)
            await asyncio.sleep(0)

    # Watches.

    async def _initial(self, selection: Selection, options: ListOptions) -> Start:
        """What is there, at the version asked for or later, and where to go on from."""
        cache = self.cache
        marks = options.allow_bookmarks
        if not options.resource_version:
            latest = await self._latest("watch")
            if not await cache.caught_up(latest):
                # A store that does not say how far it is: its own list at one revision, and what the cache will tell from there.
                listing = await self._from_store(
                    Selection(selection.base, selection.base, LabelSelector(), FieldSelector()), Plan("latest")
                )
                inside = [item for item in listing.items if item.key.startswith(selection.scope)]
                return Start(inside, listing.resource_version, marks)
        return Start(self._seen(self._cached(selection)), cache.revision, marks)

    def _watching(self, selection: Selection, options: ListOptions, start: Start, failure: StatusError | None = None) -> Watching:
        cache = self.cache
        subscription = None
        if failure is None and start.after_revision < cache.oldest:
            failure = paging.too_old_watch(start.after_revision, cache.oldest)
        if failure is None:
            subscription = cache.subscribe(selection.scope, self._select(selection, options), after_revision=start.after_revision)
        return Watching(
            cache,
            subscription,
            start,
            matches=selection.matches,
            clock=self._clock,
            timeout_s=options.timeout_s,
            bookmarks=options.allow_bookmarks,
            failure=failure,
        )

    def _select(self, selection: Selection, options: ListOptions) -> Select | None:
        """What a watcher of the selection is told of a change. Watchers with the same selectors have it found out once."""
        if selection.matches is None:
            decode = self._decode
            return None if decode is self.cache.decode else lambda event: event.seen_as(decode)
        texts = (options.label_selector, options.field_selector)
        select = self._selects.get(texts)
        if select is None:
            if len(self._selects) >= SELECTS_MAX:
                self._selects.clear()
            select = self._selects[texts] = _selecting(selection.matches, self._decode)
        return select

    # Pieces.

    def _prefix(self, namespace: str) -> str:
        path = self.type.storage_path
        return f"{path}/{namespace}/" if namespace and self.type.namespaced else f"{path}/"

    def _selection(self, namespace: str, options: ListOptions) -> Selection:
        labels = parse_labels(options.label_selector) if options.label_selector else LabelSelector()
        fields = FieldSelector()
        base = scope = self._prefix(namespace)
        if options.field_selector:
            fields = parse_fields(options.field_selector, self._fields, unsupported=self._unsupported)
            within = fields.exact(NAMESPACE) if self.type.namespaced and not namespace else None
            if within:
                scope = self._prefix(within)
            name = fields.exact(NAME)
            if name and "/" not in name and (not self.type.namespaced or namespace or within):
                scope += name
        return Selection(base, scope, labels, fields)

    def _unsupported(self, label: str) -> str:
        if self.type.kind == "Job" and self.type.group == "batch":
            return f'field label "{label}" not supported for batchv1.Job'
        if not self.type.custom and len(self._fields) <= len(METADATA_FIELDS):
            return f'"{label}" is not a known field selector: only "metadata.name", "metadata.namespace"'
        return f"field label not supported: {label}"

    def _failed(self, error: StoreError, verb: str) -> StatusError:
        """A store that cannot be read, as clients are told."""
        if isinstance(error, StoreUnavailableError):
            return errors.server_timeout(self.type.group, self.type.plural, verb, RETRY_AFTER_S)
        return errors.internal_error(str(error))


def _selecting(matches: Callable[[Item], bool], decode: Decode) -> Select:
    """What is told of a change to those for whom `matches` decides; the last answer is remembered for the next of them."""
    last: Event | None = None
    answer: Event | None = None

    def find(event: Event) -> Event | None:
        before = event.previous is not None and matches(event.previous)
        if event.type == "DELETED":
            return event if before else None
        if matches(event.item):
            return event if before else event.as_arrival()
        return event.as_departure(decode) if before else None

    def select(event: Event) -> Event | None:
        nonlocal last, answer
        if event is not last:
            answer = find(event.seen_as(decode))
            last = event
        return answer

    return select
