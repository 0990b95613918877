"""The slow second opinion on watchers: is there any store whose log makes every response legal?

Tries every sequence of revisions of a few keys, from an empty store, that agrees with the acknowledged writes; then reads
each watcher's responses against the whole log. Shares nothing with the checker but the records.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from jepsen_like.history import OK, Event, History, KeyValue, Operation, Watch, WatchResponse

Held = dict[str, KeyValue]


def possible(history: History, keys: Sequence[str], top: int) -> bool:
    """Whether some log of revisions 2..`top` explains the history."""
    acknowledged = {one.revision: one for one in history.operations if one.outcome == OK and _writes(one)}
    seen = _seen(history)
    if seen is None or any(place[0] > top for place in seen):
        return False
    return any(
        all(
            _legal(watch, [one for one in history.responses if one.watch == watch.watch], log, history.operations)
            for watch in history.watches
        )
        for log in _logs(2, top, {}, keys, acknowledged, seen)
    )


def _writes(operation: Operation) -> bool:
    if operation.f == "txn":
        return True
    return operation.f in ("put", "delete", "cas") and operation.result not in (0, (False,))


def _seen(history: History) -> dict[tuple[int, str], set[tuple[object, ...]]] | None:
    seen: dict[tuple[int, str], set[tuple[object, ...]]] = {}
    for response in history.responses:
        for event in response.events:
            if event.type == "delete" and event.kv != KeyValue(event.kv.key, "", 0, event.kv.mod_revision, 0):
                return None
            shape = ("put", *event.kv) if event.type == "put" else ("delete",)
            seen.setdefault((event.kv.mod_revision, event.kv.key), set()).add(shape)
            if event.previous is not None:
                seen.setdefault((event.previous.mod_revision, event.previous.key), set()).add(("put", *event.previous))
    for operation in history.operations:
        shown = (
            operation.result if operation.f == "put" and operation.outcome == OK else (operation.result,) if operation.f == "get" else ()
        )
        for kv in shown:
            if kv is not None:
                seen.setdefault((kv.mod_revision, kv.key), set()).add(("put", *kv))
    return seen if all(len(shapes) == 1 for shapes in seen.values()) else None


def _logs(revision, top, held, keys, acknowledged, seen) -> Iterator[list[list[Event]]]:  # type: ignore[no-untyped-def]
    if revision > top:
        yield []
        return
    for events in _choices(revision, held, keys, acknowledged.get(revision), seen):
        for event in events:
            shapes = seen.get((revision, event.kv.key))
            if shapes is not None and shapes != {("put", *event.kv) if event.type == "put" else ("delete",)}:
                break
        else:
            if any(place[0] == revision and all(place[1] != event.kv.key for event in events) for place in seen):
                continue
            after = dict(held)
            for event in events:
                after.pop(event.kv.key, None)
                if event.type == "put":
                    after[event.kv.key] = event.kv
            for rest in _logs(revision + 1, top, after, keys, acknowledged, seen):
                yield [events, *rest]


def _choices(revision: int, held: Held, keys: Sequence[str], operation: Operation | None, seen) -> Iterator[list[Event]]:  # type: ignore[no-untyped-def]
    if operation is not None:
        events = _made(operation, revision, held)
        if events is not None:
            yield events
        return
    singles: list[list[Event]] = []
    for key in keys:
        shapes = seen.get((revision, key), set())
        value = next((shape[2] for shape in shapes if shape[0] == "put"), "?")
        options = [_put(held, key, value, revision)]
        if key in held:
            options.append(_delete(held, key, revision))
        singles.append(options)
    yield []
    for options in singles:
        for event in options:
            yield [event]
    for place, options in enumerate(singles):
        for others in singles[place + 1 :]:
            for one in options:
                for other in others:
                    yield [one, other]
                    yield [other, one]


def _made(operation: Operation, revision: int, held: Held) -> list[Event] | None:
    f = operation.f
    if f == "put":
        if operation.result and held.get(operation.key) != operation.result[0]:
            return None
        return [_put(held, operation.key, operation.argument, revision)]
    if f == "cas":
        if operation.argument[0] is None and operation.key in held:
            return None
        return [_put(held, operation.key, operation.argument[1], revision)]
    if f == "delete":
        gone = [key for key in sorted(held) if (key >= operation.key if operation.argument else key == operation.key)]
        return [_delete(held, key, revision) for key in gone] if len(gone) == operation.result else None
    events = []
    for step in operation.argument.success:
        if step[0] == "delete" and step[1] not in held:
            return None
        events.append(_put(held, step[1], step[2], revision) if step[0] == "put" else _delete(held, step[1], revision))
    return events


def _put(held: Held, key: str, value: str, revision: int) -> Event:
    old = held.get(key)
    kv = KeyValue(key, value, old.create_revision if old else revision, revision, old.version + 1 if old else 1)
    return Event("put", kv, old, old is None)


def _delete(held: Held, key: str, revision: int) -> Event:
    return Event("delete", KeyValue(key, "", 0, revision, 0), held[key])


def _legal(watch: Watch, responses: Sequence[WatchResponse], log: list[list[Event]], operations: Sequence[Operation]) -> bool:
    created = [place for place, one in enumerate(responses) if one.created]
    cancelled = [place for place, one in enumerate(responses) if one.cancelled]
    if created not in ([], [0]) or (cancelled and cancelled[0] != len(responses) - 1):
        return False
    if not watch.start_revision and not created:
        return True
    first = watch.start_revision or responses[0].revision + 1
    waiting = [
        event
        for revision, events in enumerate(log, 2)
        if revision >= first
        for event in events
        if _inside(watch, event.kv.key) and f"no{event.type}" not in watch.filters
    ]
    pieces: list[Event] = []
    bookmark = newest = 0
    for response in responses:
        if response.compact_revision and (not response.cancelled or response.compact_revision <= max(first, newest + 1)):
            return False
        if response.compact_revision and not any(
            one.f == "compact" and one.argument == response.compact_revision and one.invoke_ns < response.time_ns for one in operations
        ):
            return False
        if response.cancelled and not response.compact_revision and "compacted" in response.reason:
            return False
        if not response.events:
            if response.created or response.cancelled:
                continue
            if pieces or response.revision < bookmark or (waiting and waiting[0].kv.mod_revision <= response.revision):
                return False
            bookmark = max(bookmark, response.revision)
            continue
        pieces += response.events
        if response.fragment:
            continue
        compacted = _compacted(operations, response.time_ns)
        if not _next(watch, pieces, waiting, compacted) or response.revision < pieces[-1].kv.mod_revision:
            return False
        newest = pieces[-1].kv.mod_revision
        if newest <= bookmark:
            return False
        del waiting[: len(pieces)]
        if waiting and waiting[0].kv.mod_revision == newest:
            return False
        pieces = []
    return not pieces or _next(watch, pieces, waiting, _compacted(operations, responses[-1].time_ns))


def _compacted(operations: Sequence[Operation], by_ns: int) -> int:
    return max((one.argument for one in operations if one.f == "compact" and one.invoke_ns <= by_ns), default=0)


def _inside(watch: Watch, key: str) -> bool:
    return key == watch.key if not watch.range_end else key >= watch.key and (watch.range_end == "\0" or key < watch.range_end)


def _next(watch: Watch, shown: Sequence[Event], waiting: Sequence[Event], compacted: int) -> bool:
    """Whether what was shown is what comes next."""
    if len(shown) > len(waiting):
        return False
    for one, truth in zip(shown, waiting, strict=False):
        if one.type != truth.type or one.kv.key != truth.kv.key or one.kv.mod_revision != truth.kv.mod_revision:
            return False
        if (one.type == "put" and one.kv != truth.kv) or one.is_create != (truth.type == "put" and truth.is_create):
            return False
        if not watch.prev_kv:
            if one.previous is not None:
                return False
        elif one.previous != truth.previous and (one.previous is not None or compacted < one.kv.mod_revision):
            return False
    return True
