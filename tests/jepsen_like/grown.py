"""Histories of sets that only grow, as they happened."""

from __future__ import annotations

import heapq
from random import Random
from typing import Any

from jepsen_like.history import FAIL, OK, UNKNOWN, Operation


def history(
    random: Random, count: int, *, clients: int = 5, unknown: float = 0.02, failed: float = 0.02, per_key: int = 100
) -> list[Operation]:
    """`count` adds and reads in order of completion; half of the adds with unknown outcome happened, some of them late."""
    sets: dict[str, tuple[int, ...]] = {}
    events: list[tuple[int, int, str, int, Any]] = [(random.randrange(1000), client, "call", client, None) for client in range(clients)]
    heapq.heapify(events)
    serial = fresh = clients
    made = element = 0
    done: list[Operation] = []
    while events:
        now, _, what, process, call = heapq.heappop(events)
        serial += 1
        if what == "call":
            if made >= count:
                continue
            made += 1
            adds = random.random() < 0.5
            element += adds
            draw = random.random() if adds else 1.0
            outcome = UNKNOWN if draw < unknown else FAIL if draw < unknown + failed else OK
            latency = 1000 + int(random.expovariate(1 / 5000))
            call = [
                process,
                "add" if adds else "members",
                f"s{element // per_key}",
                element if adds else None,
                now,
                now + latency,
                outcome,
                None,
            ]
            if outcome == OK or (outcome == UNKNOWN and random.random() < 0.5):
                late = int(latency * 5 * random.random()) if outcome == UNKNOWN else 0
                heapq.heappush(events, (now + int(latency * random.random()) + late, serial, "effect", process, call))
            heapq.heappush(events, (now + latency, serial + count * 4, "return", process, call))
        elif what == "effect":
            held = sets.get(call[2], ())
            if call[1] == "add":
                sets[call[2]] = (*held, call[3])
            else:
                call[7] = held
        else:
            _, f, key, argument, began, ended, outcome, result = call
            done.append(Operation(process, f, key, argument, result, began, ended, outcome))
            if outcome == UNKNOWN:
                process = fresh
                fresh += 1
            heapq.heappush(events, (now + 1 + random.randrange(500), serial, "call", process, None))
    return done
