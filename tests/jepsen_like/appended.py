"""List-append histories that did happen, for checkers to accept at any size and mutations to start from."""

from __future__ import annotations

import heapq
from random import Random
from typing import Any

from jepsen_like.history import FAIL, OK, UNKNOWN, Operation

Steps = tuple[tuple[Any, ...], ...]


class _Lists:
    """The store: atomic transactions on lists."""

    def __init__(self) -> None:
        self.lists: dict[str, tuple[int, ...]] = {}
        self.revision = 1

    def apply(self, steps: Steps) -> tuple[Any, int]:
        results: list[Any] = []
        for step in steps:
            held = self.lists.get(step[1], ())
            if step[0] == "r":
                results.append(held)
            else:
                self.lists[step[1]] = (*held, step[2])
                results.append(None)
        self.revision += any(step[0] == "append" for step in steps)
        return tuple(results), self.revision


def history(
    random: Random,
    count: int,
    *,
    keys: int = 5,
    clients: int = 5,
    steps_max: int = 4,
    unknown: float = 0.02,
    failed: float = 0.02,
    per_key: int = 60,
    revisions: bool = True,
) -> list[Operation]:
    """`count` transactions in order of completion; half of those with unknown outcome had an effect."""
    store = _Lists()
    events: list[tuple[int, int, str, int, Any]] = [(random.randrange(1000), client, "call", client, None) for client in range(clients)]
    heapq.heapify(events)
    serial = clients
    fresh = clients
    made = element = 0
    used = [0] * keys
    done: list[Operation] = []
    while events:
        now, _, what, process, call = heapq.heappop(events)
        serial += 1
        if what == "call":
            if made >= count:
                continue
            made += 1
            steps: list[tuple[Any, ...]] = []
            for _step in range(random.randint(1, steps_max)):
                slot = random.randrange(keys)
                name = f"{slot}.{used[slot] // per_key}"
                if random.random() < 0.5:
                    steps.append(("r", name))
                else:
                    element += 1
                    used[slot] += 1
                    steps.append(("append", name, element))
            draw = random.random()
            outcome = UNKNOWN if draw < unknown else FAIL if draw < unknown + failed else OK
            latency = 1000 + int(random.expovariate(1 / 5000))
            call = [process, tuple(steps), now, now + latency, outcome, None, 0]
            if outcome == OK or (outcome == UNKNOWN and random.random() < 0.5):
                heapq.heappush(events, (now + int(latency * random.random()), serial, "effect", process, call))
            heapq.heappush(events, (now + latency, serial + count * 4, "return", process, call))
        elif what == "effect":
            call[5], call[6] = store.apply(call[1])
        else:
            _, steps_of, began, ended, outcome, result, revision = call
            known = outcome == OK
            shown = revision if known and revisions else 0
            done.append(Operation(process, "append", "", steps_of, result if known else None, began, ended, outcome, shown))
            if outcome == UNKNOWN:
                process = fresh
                fresh += 1
            heapq.heappush(events, (now + 1 + random.randrange(500), serial, "call", process, None))
    return done
