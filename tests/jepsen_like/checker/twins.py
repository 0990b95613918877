"""Brute-force twins of the checkers: every order that real time allows, tried on a model that fits on a page.

Good for eight operations, and right by inspection.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from typing import Any

from jepsen_like.history import FAIL, OK, UNKNOWN, Operation
from tests.jepsen_like.generated import Store

Model = Callable[[Any, Operation], tuple[Any, Any]]
"""State and operation to the next state and the result; states are hashable."""


def explained(operations: Sequence[Operation], start: Hashable, model: Model, *, accepts: Callable[[Operation, Any], bool]) -> bool:
    """Whether some order of the operations explains every acknowledged result; unknown ones happen after their call or never."""
    calls = [operation for operation in operations if operation.outcome != FAIL]
    before = [[one for one, first in enumerate(calls) if first.outcome == OK and _precedes(first, second)] for second in calls]
    needed = sum(1 << place for place, call in enumerate(calls) if call.outcome == OK)
    seen: set[tuple[int, Hashable]] = set()

    def search(done: int, state: Hashable) -> bool:
        if done & needed == needed:
            return True
        if (done, state) in seen:
            return False
        seen.add((done, state))
        for place, call in enumerate(calls):
            if done >> place & 1 or not all(done >> earlier & 1 for earlier in before[place]):
                continue
            after, result = model(state, call)
            if (call.outcome == UNKNOWN or accepts(call, result)) and search(done | 1 << place, after):
                return True
        return False

    return search(0, start)


def _precedes(first: Operation, second: Operation) -> bool:
    if first.complete_ns < second.invoke_ns:
        return True
    return first is not second and first.process == second.process and first.invoke_ns < second.invoke_ns


def lists(state: Any, call: Operation) -> tuple[Any, Any]:
    """Transactions on lists: a state is the items of a dict, sorted."""
    held = dict(state)
    results: list[Any] = []
    for step in call.argument:
        if step[0] == "r":
            results.append(held.get(step[1], ()))
        else:
            held[step[1]] = (*held.get(step[1], ()), step[2])
            results.append(None)
    return tuple(sorted(held.items())), tuple(results)


def register(state: Any, call: Operation) -> tuple[Any, Any]:
    """One key: a state is (value or None, version)."""
    value, version = state
    f, argument = call.f, call.argument
    if f == "get":
        return state, state
    if f == "put":
        return (argument, version + 1), state
    if f == "delete":
        return (None, 0), int(value is not None)
    expected, new = argument
    if value == expected:
        return (new, version + 1), (True, state)
    return state, (False, state)


def register_accepts(call: Operation, result: Any, *, versioned: bool) -> bool:
    """Whether the recorded result is the model's, versions included or not."""

    def fits(kv: Any, state: tuple[Any, int]) -> bool:
        if kv is None:
            return state[0] is None
        return bool(kv.value == state[0] and (not versioned or kv.version == state[1]))

    if call.f == "get":
        return fits(call.result, result)
    if call.f == "delete":
        return bool(call.result == result)
    if call.f == "put":
        return not call.result or fits(call.result[0], result)
    succeeded, shown = result
    return bool(call.result[0] == succeeded and (len(call.result) < 2 or fits(call.result[1], shown)))


def grow_set(state: Any, call: Operation) -> tuple[Any, Any]:
    """One set: a state is its elements."""
    return (state | {call.argument}, None) if call.f == "add" else (state, state)


def grow_set_accepts(call: Operation, result: Any) -> bool:
    """Whether a read shows just the elements, each once."""
    return call.f == "add" or (len(call.result) == len(result) and frozenset(call.result) == result)


def store(state: Any, call: Operation) -> tuple[Any, Any]:
    """The whole key-value store: a state is the revision and the records; the result is the answer with its header's revision."""
    held = Store()
    held.revision, held.kvs = state[0], {kv.key: kv for kv in state[1]}
    result = held.apply(call.f, call.key, call.argument)
    return (held.revision, tuple(sorted(held.kvs.values()))), result


def store_accepts(call: Operation, result: Any) -> bool:
    """Whether answer and revision are the recorded ones."""
    return bool((call.result, call.revision) == result)


EMPTY_STORE = (1, ())
