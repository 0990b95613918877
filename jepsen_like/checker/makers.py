"""Which unknown write made which revision: whether any choice explains every answer.

The exact question behind `placement` and `replay`, which ask of each effect alone whether some unknown write can be the reason.
Here every revision without a known maker is given one, in order, and the store is replayed with it by etcd's rules; an answer
that does not fit sends the search back to the last choice. It ends with a choice that explains everything, with the proof
that none does, or, having looked at `WORK_MAX` calls, undecided: the number of choices grows with the unknown writes that
nobody saw. Writes whose values nobody sees are all the same.

Knows no real time but the floors of `placement`, and no leases: whoever calls it has none in the history.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from jepsen_like.checker.placement import ANY, covers
from jepsen_like.history import UNKNOWN, Operation

WORK_MAX = 200_000
"""Calls and choices looked at, about a microsecond or two each."""

STEPS_MAX = 50_000
"""Of the steps at most so many are asked about, the first: what they refute, all refute."""

UNSEEN = "\0unseen"
"""The value of every write whose value nobody observes."""

Record = tuple[str, str, int, int, int, int]
"""Key, value, create revision, mod revision, version, lease."""

State = dict[str, Record]

Sight = tuple[str, str | None]
"""A key and the value it was left with; None: it was deleted, `ANY`: nobody saw it."""


class Candidate(NamedTuple):
    """An unknown write that may have made a revision."""

    operation: Operation
    floor: int
    """It made none up to this one."""


class Question(NamedTuple):
    """What is to be explained."""

    positions: Sequence[int]
    """Twice the revision at which each step stands, one more for those that make none; ascending."""

    steps: Sequence[Operation]
    """Answers, and unknown writes of which it is known where they stand."""

    gaps: Sequence[int]
    """The revisions without a maker, ascending."""

    candidates: Sequence[Candidate]
    """In the order in which they began."""

    sights: Mapping[int, Sequence[Sight]]
    """What is known of revisions that have no acknowledged maker."""

    initial: Mapping[str, Record]
    """What the store held."""

    closed_from: int
    """From this revision on a gap must be one of the candidates'; below somebody else may have made it, of other keys."""


class Answer(NamedTuple):
    """What the search came to."""

    explained: bool | None
    """None: undecided."""

    furthest: int
    """The step that no choice got past, as far as the search came."""


class Makers:
    """One depth-first search. Invariant: `_state` is the store after the steps before `_at` with the choices on the stack."""

    def __init__(self, question: Question) -> None:
        self._question = question
        self._observed = _observed(question)
        self._classes = [self._class(one.operation) for one in question.candidates]
        self._floors = [one.floor for one in question.candidates]
        self.work = 0

    def search(self, work_max: int = WORK_MAX) -> Answer:
        """Whether some choice explains every answer."""
        entries = _entries(self._question)
        end = len(entries)
        stack: list[tuple[int, Iterator[tuple[State, int]]]] = []
        met: set[tuple[int, int, frozenset[Record]]] = set()
        state: State = dict(self._question.initial)
        at = used = furthest = 0
        while True:
            while at < end:
                revision, index = entries[at]
                self.work += 1
                if self.work > work_max:
                    return Answer(None, furthest)
                if index < 0:
                    config = (at, used, frozenset(state.values()))
                    self.work += len(state) >> 3
                    if config in met:
                        break
                    met.add(config)
                    stack.append((at + 1, self._choices(revision, state, used)))
                    break
                furthest = max(furthest, index)
                if not self._holds(state, self._question.steps[index], revision):
                    break
                at += 1
            else:
                return Answer(True, furthest)
            chosen = None
            while stack:
                at, choices = stack[-1]
                chosen = next(choices, None)
                if chosen is not None:
                    break
                stack.pop()
            if chosen is None:
                return Answer(False, furthest)
            state, used = chosen

    def _choices(self, revision: int, state: State, used: int) -> Iterator[tuple[State, int]]:
        """What the store may be after the revision, and the candidates used up then; the latest begun is tried first."""
        if revision < self._question.closed_from and revision not in self._question.sights:
            yield dict(state), used
        tried: set[Any] = set()
        for place in range(bisect_left(self._floors, revision) - 1, -1, -1):
            kind = self._classes[place]
            if used >> place & 1 or kind in tried:
                continue
            tried.add(kind)
            self.work += 1 + (len(state) >> 4)
            after = dict(state)
            if self._makes(after, self._question.candidates[place].operation, revision):
                yield after, used | 1 << place

    def _class(self, operation: Operation) -> Any:
        """Writes of one class do the same, as far as anybody can see."""
        f, key, argument = operation[1:4]
        if f == "put":
            return f, key, self._value(argument), operation[11]
        if f == "cas":
            return f, key, argument[0], self._value(argument[1]), operation[11]
        return f, key, argument, operation[11]

    def _value(self, value: str) -> str:
        return value if self._observed is None or value in self._observed else UNSEEN

    def _put(self, state: State, key: str, value: str, revision: int, lease: int) -> None:
        old = state.get(key)
        create, version = (old[2], old[4] + 1) if old is not None else (revision, 1)
        state[key] = (key, self._value(value), create, revision, version, lease)

    def _makes(self, state: State, operation: Operation, revision: int) -> bool:
        """Whether the write of unknown outcome, done to the state, makes the revision and leaves what was seen of it."""
        f, key, argument = operation[1:4]
        if f == "put":
            self._put(state, key, argument, revision, operation[11])
        elif f == "cas":
            held = state.get(key)
            if (None if held is None else held[1]) != argument[0]:
                return False
            self._put(state, key, argument[1], revision, operation[11])
        elif f == "delete":
            if not _deleted(state, key, argument):
                return False
        elif not self._txn(state, operation, revision):
            return False
        return all(_left(state, sight, revision) for sight in self._question.sights.get(revision, ()))

    def _holds(self, state: State, operation: Operation, revision: int) -> bool:
        """Whether the answer is right where the store is so; its effect is then done."""
        f, key, argument, result = operation[1:5]
        if operation[7] == UNKNOWN:
            return self._makes(state, operation, revision)
        if f == "get":
            return bool(state.get(key) == result)
        if f == "put":
            if result and state.get(key) != result[0]:
                return False
            self._put(state, key, argument, revision, operation[11])
            return True
        if f == "cas":
            held = state.get(key)
            succeeded = (None if held is None else held[1]) == argument[0]
            if succeeded:
                self._put(state, key, argument[1], revision, operation[11])
            return bool(result[0] == succeeded and (succeeded or len(result) < 2 or result[1] == held))
        if f == "delete":
            return bool(_deleted(state, key, argument) == result)
        if f == "range":
            return _shows(state, key, argument[0], argument[1], result)
        return self._txn(state, operation, revision) is not None

    def _txn(self, state: State, operation: Operation, revision: int) -> bool | None:
        """Do the branch that the compares choose; whether it wrote, None when its answer is another one."""
        compares, success, failure = operation[3]
        succeeded = all(holds(compare, state.get(compare[0])) for compare in compares)
        steps = success if succeeded else failure
        responses: Sequence[Any] = (None,) * len(steps)
        known = operation[7] != UNKNOWN
        if known:
            if operation[4][0] != succeeded:
                return None
            responses = operation[4][1]
        wrote = False
        for step, response in zip(steps, responses, strict=True):
            if step[0] == "put":
                self._put(state, step[1], step[2], revision, operation[11])
                wrote = True
            elif step[0] == "delete":
                count = _deleted(state, step[1], step[2])
                wrote = wrote or count > 0
                if known and count != response:
                    return None
            elif known and not (state.get(step[1]) == response if step[0] == "get" else _shows(state, step[1], step[2], 0, response)):
                return None
        return wrote


def holds(compare: tuple[Any, ...], held: Sequence[Any] | None) -> bool:
    """Whether a transaction's compare holds of the record, None: of a key that is not there."""
    _key, target, sign, operand = compare
    if held is None:
        if target == "value":
            # etcd: the value of an absent key satisfies no comparison, "is not" included.
            return False
        actual: Any = 0
    else:
        actual = held[_PLACES[target]]
    if sign == "=":
        return bool(actual == operand)
    if sign == "!":
        return bool(actual != operand)
    return bool(actual < operand) if sign == "<" else bool(actual > operand)


_PLACES = {"value": 1, "create": 2, "mod": 3, "version": 4, "lease": 5}


def _live(state: State, start: str, end: str) -> list[str]:
    if not end:
        return [start] if start in state else []
    return sorted(key for key in state if covers(start, end, key))


def _deleted(state: State, start: str, end: str) -> int:
    live = _live(state, start, end)
    for key in live:
        del state[key]
    return len(live)


def _shows(state: State, start: str, end: str, limit: int, result: Any) -> bool:
    kvs, count, more = result
    live = _live(state, start, end)
    shown = live[:limit] if limit else live
    return bool(tuple(state[key] for key in shown) == kvs and count == len(live) and more == (len(shown) < len(live)))


def _left(state: State, sight: Sight, revision: int) -> bool:
    key, value = sight
    held = state.get(key)
    if value is None:
        return held is None
    return held is not None and held[3] == revision and value in (ANY, held[1])


def _entries(question: Question) -> list[tuple[int, int]]:
    """Revision and index of the step, -1 for a gap, in the order in which they are looked at."""
    entries = [(position, index) for index, position in enumerate(question.positions)]
    entries += [(gap * 2, -1) for gap in question.gaps]
    entries.sort()
    return [(position >> 1, index) for position, index in entries]


def _observed(question: Question) -> set[str] | None:
    """Every value that an answer shows or a compare names; None: all of them, because some are held to be greater."""
    found = {record[1] for record in question.initial.values()}
    found.update(value for sights in question.sights.values() for _key, value in sights if value is not None)
    for operation in (*question.steps, *(one.operation for one in question.candidates)):
        f, argument, result = operation[1], operation[3], operation[4]
        if f == "cas":
            if argument[0] is not None:
                found.add(argument[0])
        elif f == "txn":
            for _key, target, sign, operand in argument[0]:
                if target == "value":
                    if sign in "<>":
                        return None
                    found.add(operand)
        if result is not None:
            found.update(kv[1] for kv in _shown(f, result))
    return found


def _shown(f: str, result: Any) -> Iterable[Record]:
    if f == "get":
        return (result,)
    if f in ("put", "cas"):
        return [one for one in result if isinstance(one, tuple)]
    if f == "range":
        kvs: tuple[Record, ...] = result[0]
        return kvs
    if f == "txn":
        return [kv for one in result[1] if isinstance(one, tuple) and one for kv in (one[0] if isinstance(one[0], tuple) else (one,))]
    return ()
