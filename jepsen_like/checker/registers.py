"""One key's calls in the form the search runs on: small integers, bits, and what is in flight at each return.

A state is 0 for an absent key, else `value << 32 | version`; version stays 0 when versions are not held to account. Values
nobody observes are all the same value. An observer (a read, a failed compare that shows the value) wants a state; one
that only says the value was different wants `~value`. Unknown writes are kept as long as somebody may still need them.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from typing import NamedTuple

from jepsen_like.history import UNKNOWN, KeyValue, Operation

SEEN, DONE, CALLED = 0, 1, 2
"""What a step is: the return of an observer, the return of a mutator, the call of an observer."""

ANYTHING = -1
PRESENT = -2
"""What a mutator may expect of the value it finds, besides a value: nothing at all, or any value."""

NEVER = 1 << 30
"""A value that no write leaves: what an answer needs that contradicts itself."""

UNSEEN = 1
"""The value of every write whose value nobody observes."""

FOREVER = 1 << 62

Mutator = tuple[int, int, int]
"""Bit, expected value, new value (0: absent)."""
Observer = tuple[int, int]
"""Bit, wanted state."""
Unknown = tuple[int, int, int, bool]
"""Bit, expected value, new value, and whether it is interchangeable with others of its kind."""

Step = tuple[int, int, int, tuple[Mutator, ...], tuple[Observer, ...], tuple[Unknown, ...], int, int]
"""Kind, bit, wanted state; in flight there: mutators, observers, unknown writes and their bits; index of the operation."""


class Register(NamedTuple):
    """A key's history, prepared."""

    steps: list[Step]
    increment: int
    """1 when versions count, else 0."""


_Call = tuple[bool, int, int, int]
"""Whether it observes only, the state it wants; what a mutator expects, and leaves."""


def register_of(calls: Sequence[Operation], *, versioned: bool) -> Register:
    """Prepare one key's calls, which `search.by_key` has chosen."""
    numbers, counted = _numbers(calls)
    increment = 1 if versioned and counted else 0
    prepared = [_prepared(call, numbers, increment) for call in calls]
    needed, blind = _needed(calls, prepared, numbers)
    keep_unseen = bool(increment) or blind
    # One integer an event sorts faster than a pair: the stamp, then calls before returns, then the index.
    shift = len(calls).bit_length()
    events = [call[5] << shift + 1 | index for index, call in enumerate(calls)]
    returned = 1 << shift
    events += [call[6] << shift + 1 | returned | index for index, call in enumerate(calls) if call[7] != UNKNOWN]
    events.sort()
    _follow(calls, events, shift)
    return Register(_steps(calls, prepared, events, shift, needed, keep_unseen), increment)


def _follow(calls: Sequence[Operation], events: list[int], shift: int) -> None:
    """Put calls after the returns of the same process in the same instant, where that says nothing about others.

    Of two processes that both go on in one instant each must be free to come before the other, which no sequence of calls and
    returns says: then only one is held to its order.
    """
    last: dict[int, int] = {}
    instants: dict[int, int] = {}
    for call in calls:
        process = call[0]
        if last.get(process) == call[5]:
            instants.setdefault(call[5], process)
        last[process] = call[6]
    returned = 1 << shift
    for instant, process in instants.items():
        begin, end = (bisect_left(events, stamp << shift + 1) for stamp in (instant, instant + 1))
        mine: list[int] = []
        others: list[int] = []
        for event in events[begin:end]:
            (mine if calls[event & returned - 1][0] == process else others).append(event)
        # In the order of its calls, each with its return; a return without a call here comes first, and is that of the first.
        mine.sort(key=lambda event: (event & returned - 1, event & returned))
        others_begin = sum(not event & returned for event in others)
        if mine and not mine[0] & returned:
            others[others_begin:others_begin] = mine[1:]
            others.insert(0, mine[0])
        else:
            others[others_begin:others_begin] = mine
        events[begin:end] = others


def _steps(
    calls: Sequence[Operation], prepared: list[_Call], events: list[int], shift: int, needed: dict[int, int], keep_unseen: bool
) -> list[Step]:
    steps: list[Step] = []
    bits: dict[int, int] = {}
    free: list[int] = []
    unknown_bit = 1
    mutators: tuple[Mutator, ...] = ()
    observers: tuple[Observer, ...] = ()
    unknowns: tuple[Unknown, ...] = ()
    alive = 0
    expiry = FOREVER
    indexes = (1 << shift) - 1
    for event in events:
        index = event & indexes
        stamp = event >> shift
        observer, wanted, expected, new = prepared[index]
        if calls[index][7] == UNKNOWN:
            until = FOREVER if keep_unseen else needed.get(new, -1)
            if until > stamp:
                unknowns += ((unknown_bit, expected, new, new == UNSEEN and expected == ANYTHING),)
                alive |= unknown_bit
                unknown_bit <<= 1
                expiry = min(expiry, until)
        elif not stamp & 1:
            bit = free.pop() if free else 1 << len(bits)
            bits[index] = bit
            if observer:
                steps.append((CALLED, bit, wanted, (), (), (), 0, index))
                observers += ((bit, wanted),)
            else:
                mutators += ((bit, expected, new),)
        else:
            bit = bits[index]
            free.append(bit)
            if stamp > expiry:
                unknowns = tuple(one for one in unknowns if needed.get(one[2], -1) >= stamp)
                alive = sum(one[0] for one in unknowns)
                expiry = min((needed[one[2]] for one in unknowns), default=FOREVER)
            steps.append((SEEN if observer else DONE, bit, wanted, mutators, observers, unknowns, alive, index))
            if observer:
                observers = tuple(one for one in observers if one[0] != bit)
            else:
                mutators = tuple(one for one in mutators if one[0] != bit)
    return steps


def _shown(call: Operation) -> tuple[KeyValue, ...]:
    """What a compare-and-swap or a put shows of the key; reads are looked at directly."""
    f, result = call[1], call[4]
    if result is None:
        return ()
    if f == "cas":
        return tuple(kv for kv in result[1:] if kv is not None)
    if f == "put":
        return tuple(kv for kv in result if kv is not None)
    return ()


def _numbers(calls: Sequence[Operation]) -> tuple[dict[str | None, int], bool]:
    """A number from 2 up for each value that somebody observes, 0 for absent; and whether all answers show versions."""
    numbers: dict[str | None, int] = {None: 0}
    counted = True
    for call in calls:
        f = call[1]
        if f == "get":
            kv = call[4]
            if kv is not None:
                numbers.setdefault(kv[1], len(numbers) + 1)
                counted = counted and bool(kv[4])
            continue
        if f == "cas":
            numbers.setdefault(call[3][0], len(numbers) + 1)
        for kv in _shown(call):
            numbers.setdefault(kv[1], len(numbers) + 1)
            counted = counted and bool(kv[4])
    return numbers, counted


def _prepared(call: Operation, numbers: dict[str | None, int], increment: int) -> _Call:
    f, argument, result = call[1], call[3], call[4]
    unknown = call[7] == UNKNOWN
    if f == "get":
        return (True, _state(result, numbers, increment), 0, 0)
    if f == "put":
        expected = ANYTHING
        if result:
            expected = numbers[result[0][1] if result[0] is not None else None]
        return (False, 0, expected, numbers.get(argument, UNSEEN))
    if f == "delete":
        if not unknown and not result:
            return (True, 0, 0, 0)
        if unknown:
            return (False, 0, ANYTHING, 0)
        return (False, 0, PRESENT if result == 1 else NEVER, 0)
    if unknown or result[0]:
        return (False, 0, numbers[argument[0]], numbers.get(argument[1], UNSEEN))
    if len(result) == 2:
        if (result[1].value if result[1] is not None else None) == argument[0]:
            return (True, NEVER << 32, 0, 0)
        return (True, _state(result[1], numbers, increment), 0, 0)
    return (True, ~numbers[argument[0]], 0, 0)


def _state(kv: KeyValue | None, numbers: dict[str | None, int], increment: int) -> int:
    return 0 if kv is None else numbers[kv[1]] << 32 | kv[4] * increment


def _needed(calls: Sequence[Operation], prepared: list[_Call], numbers: dict[str | None, int]) -> tuple[dict[int, int], bool]:
    """For each value the stamp of the last return that wants to find it, and whether some observer wants "another value".

    An unknown compare-and-swap needs what it expects as long as somebody needs what it makes.
    """
    needed: dict[int, int] = {}
    chains: list[tuple[int, int]] = []
    blind = False
    for call, (observer, wanted, expected, new) in zip(calls, prepared, strict=True):
        if call[7] == UNKNOWN:
            if expected >= 0:
                chains.append((expected, new))
            continue
        stamp = call[6] * 2 + 1
        if observer and wanted < 0 or expected == PRESENT:
            blind = True
        value = wanted >> 32 if observer else expected
        if value >= 0 and stamp > needed.get(value, -1):
            needed[value] = stamp
    changed = True
    while changed:
        changed = False
        for expected, new in chains:
            if needed.get(new, -1) > needed.get(expected, -1):
                needed[expected] = needed[new]
                changed = True
    return needed, blind
