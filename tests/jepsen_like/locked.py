"""Locks that worked: runs of holders with tokens, and a twin that tries every order of a small one."""

from __future__ import annotations

from itertools import permutations
from random import Random

from jepsen_like.history import FAIL, OK, UNKNOWN, History, Operation


def locked(seed: int, holds: int = 30, *, fenced: bool = False, observers: int = 2) -> History:
    """A valid history; with `fenced`, holders that lost the lock go on believing and their late writes fail."""
    random = Random(seed)
    operations: list[Operation] = []
    now, token = 0, 1
    for process in range(1, holds + 1):
        token += random.randrange(1, 5)
        asked = max(0, now - random.randrange(2000))
        now += random.randrange(1, 300)
        operations.append(Operation(process, "acquire", "l", 0, token, asked, now + random.randrange(1, 200), OK, token))
        own = operations[-1].complete_ns
        for _ in range(random.randrange(4)):
            begin = own + random.randrange(1, 100)
            now = max(now, begin) + random.randrange(1, 100)
            own = now + random.randrange(1, 100)
            operations.append(Operation(process, "guarded", "l", token, None, begin, own, OK, token * 1000 + len(operations)))
        if fenced and random.random() < 0.4:
            late = own + 1 + random.randrange(3000)
            operations.append(Operation(process, "guarded", "l", token, None, late, late + 50, FAIL, 0, "", "stale"))
            operations.append(Operation(process, "release", "l", token, None, late + 60, late + 90, OK))
        elif random.random() < 0.9:
            begin = own + random.randrange(1, 100)
            now = max(now, begin) + random.randrange(1, 50)
            outcome = UNKNOWN if random.random() < 0.1 else OK
            operations.append(Operation(process, "release", "l", token, None, begin, now + random.randrange(1, 100), outcome))
        for observer in range(observers):
            if random.random() < 0.5:
                seen = Operation(10**6 + observer, "observe", "l", 0, (f"p{process}", token), now + observer, now + 1 + observer, OK)
                operations.append(seen)
        now += 3
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
