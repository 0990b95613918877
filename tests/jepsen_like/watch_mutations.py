"""One change to what one watcher was sent, by name; each breaks a promise wherever the watcher is not at its end."""

from __future__ import annotations

from collections.abc import Callable
from random import Random

from jepsen_like.history import Event, History, KeyValue, WatchResponse

Mutation = Callable[[Random, list[WatchResponse]], list[WatchResponse] | None]
"""One watcher's responses -> changed ones, or None where it does not apply."""


def _with_events(random: Random, responses: list[WatchResponse], least: int, last: bool = True) -> int | None:
    places = [place for place, one in enumerate(responses if last else responses[:-1]) if len(one.events) >= least]
    return random.choice(places) if places else None


def _event(change: Callable[[Random, Event], Event | None]) -> Mutation:
    def mutate(random: Random, responses: list[WatchResponse]) -> list[WatchResponse] | None:
        place = _with_events(random, responses, 1)
        if place is None:
            return None
        events = list(responses[place].events)
        which = random.randrange(len(events))
        changed = change(random, events[which])
        if changed is None or changed == events[which]:
            return None
        events[which] = changed
        return [*responses[:place], responses[place]._replace(events=tuple(events)), *responses[place + 1 :]]

    return mutate


def _dropped(random: Random, responses: list[WatchResponse]) -> list[WatchResponse] | None:
    """Not the last one shown: that one may come later."""
    places = [(place, which) for place, one in enumerate(responses) for which in range(len(one.events))][:-1]
    if not places:
        return None
    place, which = random.choice(places)
    events = responses[place].events[:which] + responses[place].events[which + 1 :]
    if not events:
        return responses[:place] + responses[place + 1 :]
    return [*responses[:place], responses[place]._replace(events=events), *responses[place + 1 :]]


def _doubled(random: Random, responses: list[WatchResponse]) -> list[WatchResponse] | None:
    place = _with_events(random, responses, 1)
    if place is None or responses[place].fragment or responses[-1].cancelled:
        return None
    return [*responses, responses[place]]


def _swapped(random: Random, responses: list[WatchResponse]) -> list[WatchResponse] | None:
    place = _with_events(random, responses, 2)
    if place is None:
        return None
    events = list(responses[place].events)
    which = random.randrange(len(events) - 1)
    events[which], events[which + 1] = events[which + 1], events[which]
    return [*responses[:place], responses[place]._replace(events=tuple(events)), *responses[place + 1 :]]


def _split(random: Random, responses: list[WatchResponse]) -> list[WatchResponse] | None:
    for place, one in enumerate(responses):
        for which in range(1, len(one.events)):
            if one.events[which].kv.mod_revision == one.events[which - 1].kv.mod_revision and not one.fragment:
                pieces = [one._replace(events=one.events[:which]), one._replace(events=one.events[which:])]
                return [*responses[:place], *pieces, *responses[place + 1 :]]
    return None


def _early_progress(random: Random, responses: list[WatchResponse]) -> list[WatchResponse] | None:
    place = _with_events(random, responses, 1)
    if place is None or (place and responses[place - 1].fragment):
        return None
    one = responses[place]
    return [*responses[:place], WatchResponse(one.watch, one.time_ns, one.events[0].kv.mod_revision), *responses[place:]]


def _progress_back(random: Random, responses: list[WatchResponse]) -> list[WatchResponse] | None:
    if responses[-1].cancelled or responses[-1].events or responses[-1].created or responses[-1].revision < 4:
        return None
    return [*responses, responses[-1]._replace(revision=responses[-1].revision - 1)]


def _after_cancel(random: Random, responses: list[WatchResponse]) -> list[WatchResponse] | None:
    if not responses[-1].cancelled:
        return None
    return [*responses, WatchResponse(responses[-1].watch, responses[-1].time_ns + 1, 10**6)]


def _created_twice(random: Random, responses: list[WatchResponse]) -> list[WatchResponse] | None:
    return [*responses, responses[0]] if not responses[-1].cancelled and not responses[-1].fragment else None


def _cancelled_for_nothing(random: Random, responses: list[WatchResponse]) -> list[WatchResponse] | None:
    if responses[-1].cancelled or not any(one.events for one in responses) or responses[-1].fragment:
        return None
    return [*responses, WatchResponse(responses[0].watch, responses[-1].time_ns + 1, 0, cancelled=True, compact_revision=2)]


def _interrupted(random: Random, responses: list[WatchResponse]) -> list[WatchResponse] | None:
    for place, one in enumerate(responses):
        if one.fragment:
            return [*responses[: place + 1], WatchResponse(one.watch, one.time_ns, 1), *responses[place + 1 :]]
    return None


MUTATIONS: dict[str, Mutation] = {
    "drop": _dropped,
    "double": _doubled,
    "swap": _swapped,
    "split": _split,
    "value": _event(lambda _random, one: one._replace(kv=one.kv._replace(value="nobody's")) if one.type == "put" else None),
    "version": _event(lambda _random, one: one._replace(kv=one.kv._replace(version=one.kv.version + 1)) if one.type == "put" else None),
    "type": _event(
        lambda _random, one: (
            Event("delete", KeyValue(one.kv.key, "", 0, one.kv.mod_revision, 0), one.previous) if one.type == "put" else None
        )
    ),
    "key": _event(lambda _random, one: one._replace(kv=one.kv._replace(key="elsewhere"))),
    "create-flag": _event(lambda _random, one: one._replace(is_create=not one.is_create)),
    "no-previous": _event(lambda _random, one: one._replace(previous=None)),
    "wrong-previous": _event(
        lambda _random, one: one._replace(previous=one.previous._replace(value="nobody's")) if one.previous is not None else None
    ),
    "early-progress": _early_progress,
    "progress-back": _progress_back,
    "after-cancel": _after_cancel,
    "created-twice": _created_twice,
    "cancelled-for-nothing": _cancelled_for_nothing,
    "interrupted": _interrupted,
}


def mutated(random: Random, history: History, name: str) -> History | None:
    """The history with one watcher's responses changed, or None where none can be."""
    for watch in random.sample(history.watches, len(history.watches)):
        own = [one for one in history.responses if one.watch == watch.watch]
        changed = MUTATIONS[name](random, own) if own else None
        if changed is not None and changed != own:
            rest = [one for one in history.responses if one.watch != watch.watch]
            return History(history.operations, history.watches, rest + changed)
    return None
