"""Locks that worked: runs of holders with tokens, and a twin that tries every order of a small one."""

from __future__ import annotations

from itertools import permutations
from random import Random

from jepsen_like.history import FAIL, OK, UNKNOWN, History, Operation


def locked(seed: int, holds: int = 30, *, fenced: bool = False, observers: int = 2) -> History:
    """A valid history; with `fenced`, holders that lost the lock go on believing and their late writes fail.

    The store's revision rises with every write, and now and then by others'; tokens are revisions. Holds follow each other.
    """
    random = Random(seed)
    operations: list[Operation] = []
    now, revision = 0, 1
    for process in range(1, holds + 1):
        now += random.randrange(1, 300)
        revision += random.randrange(1, 5)
        token = revision
        asked = max(0, now - random.randrange(2000))
        own = now + random.randrange(1, 200)
        operations.append(Operation(process, "acquire", "l", 0, token, asked, own, OK, token))
        for _ in range(random.randrange(4)):
            begin = own + random.randrange(1, 100)
            now = max(now, begin) + random.randrange(1, 100)
            revision += random.randrange(1, 3)
            own = now + random.randrange(1, 100)
            operations.append(Operation(process, "guarded", "l", token, None, begin, own, OK, revision))
        for observer in range(observers):
            if random.random() < 0.5:
                seen = (f"p{token}", token)
                operations.append(Operation(10**6 + observer, "observe", "l", 0, seen, now + observer, now + 1 + observer, OK, revision))
        now += 3
        if fenced and random.random() < 0.4:
            revision += 1
            late = own + 1 + random.randrange(3000)
            operations.append(Operation(process, "guarded", "l", token, None, late, late + 50, FAIL, 0, "", "stale"))
            operations.append(Operation(process, "release", "l", token, None, late + 60, late + 90, UNKNOWN))
        elif random.random() < 0.9:
            begin = own + random.randrange(1, 100)
            now = max(now, begin) + random.randrange(1, 50)
            revision += 1
            sure = random.random() < 0.9
            end = now + random.randrange(1, 100)
            operations.append(Operation(process, "release", "l", token, None, begin, end, OK if sure else UNKNOWN, revision if sure else 0))
    return History(sorted(operations, key=lambda one: one.complete_ns))


def possible(operations: list[Operation], *, overlap: bool) -> bool:
    """Whether some order of acquires, accepted writes and releases explains them."""
    counted = [one for one in operations if one.outcome == OK or one.f == "release"]
    return any(_explained(order, overlap) for order in permutations(counted))


def _explained(order: tuple[Operation, ...], overlap: bool) -> bool:
    released = {one.argument for one in order if one.f == "release"}
    holder = newest = now = 0
    for one in order:
        now = max(now, one.invoke_ns)
        if one.outcome == OK and now > one.complete_ns:
            return False
        if one.f == "acquire":
            if one.result <= newest or (holder and overlap and holder in released):
                return False
            holder = newest = one.result
        elif one.f == "guarded":
            if holder != one.argument:
                return False
        elif holder == one.argument:
            holder = 0
    return True


class _Line:
    """The store as far as it is one lock: its revision, the time, and how long each key in the line is known to have lived."""

    def __init__(self) -> None:
        self.revision = 1
        self.now = 0
        self.alive: dict[int, int] = {}
        self.dead: set[int] = set()

    def copy(self) -> _Line:
        other = _Line()
        other.revision, other.now, other.alive, other.dead = self.revision, self.now, dict(self.alive), set(self.dead)
        return other

    def at(self, one: Operation, *, write: bool) -> bool:
        """Goes on to the call's instant and revision."""
        self.now = max(self.now, one.invoke_ns)
        if self.now > one.complete_ns:
            return False
        if one.revision:
            if one.revision < self.revision or (write and one.revision == self.revision):
                return False
            self.revision = one.revision
        return True

    def first(self, token: int) -> bool:
        """Whether the token can be first now; whoever is older must then have died, of whatever, since it was last seen."""
        if token not in self.alive or token in self.dead:
            return False
        for older in self.alive:
            if older < token and older not in self.dead:
                if self.alive[older] >= self.revision:
                    return False
                self.dead.add(older)
        self.alive[token] = self.revision
        return True


def explained(operations: list[Operation]) -> bool:
    """Whether a store with one line can have given these answers, headers included: every order of its events is tried.

    All revisions are told, and every acquire was answered.
    """
    steps: list[tuple[str, Operation]] = []
    for one in operations:
        if one.f == "acquire" and one.outcome == OK:
            steps += [("enter", one), ("acquire", one)]
        elif one.f == "release" and one.outcome == OK:
            steps += [("leave", one), ("answer", one)]
        elif one.outcome == OK:
            steps.append((one.f, one))
    return _found(_Line(), steps, frozenset(range(len(steps))), set())


def _found(line: _Line, steps: list[tuple[str, Operation]], left: frozenset[int], tried: set[object]) -> bool:
    if not left:
        return True
    state = (left, line.revision, line.now, tuple(sorted(line.alive.items())), frozenset(line.dead))
    if state in tried:
        return False
    tried.add(state)
    for place in left:
        kind, one = steps[place]
        told = one.result if kind == "enter" else 0 if kind == "leave" else one.revision
        if one.complete_ns < line.now or (told and told < line.revision) or (kind == "leave" and one.revision < line.revision):
            return False  # Too late for it, in whatever order.
    for place in left:
        kind, one = steps[place]
        if kind in ("acquire", "answer") and place - 1 in left:
            continue  # After its own first half.
        if kind == "observe" and any(
            steps[other][0] == "observe"
            and other != place
            and steps[other][1].process == one.process
            and steps[other][1].complete_ns <= one.invoke_ns
            for other in left
        ):
            continue  # A client asks one thing after another, be it in one instant.
        after = line.copy()
        if _done(after, kind, one) and _found(after, steps, left - {place}, tried):
            return True
    return False


def _done(line: _Line, kind: str, one: Operation) -> bool:
    if kind == "enter":
        entering = one._replace(revision=one.result)
        if one.result in line.alive or not line.at(entering, write=True):
            return False
        line.alive[one.result] = one.result
        return True
    if kind == "leave":
        line.now = max(line.now, one.invoke_ns)
        if line.alive.get(one.argument, 0) >= one.revision or line.now > one.complete_ns:
            return False
        line.dead.add(one.argument)
        return line.revision <= one.revision
    if not line.at(one, write=kind == "guarded"):
        return False
    if kind == "answer":
        return True
    token = one.result[1] if kind == "observe" else one.result if kind == "acquire" else one.argument
    if token:
        return line.first(token)
    for other in line.alive:
        if other not in line.dead and line.alive[other] >= line.revision:
            return False
        line.dead.add(other)
    return True
