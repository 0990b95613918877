"""One answer of a key-value history changed: what a checker must notice unless another order explains it."""

from __future__ import annotations

from random import Random
from typing import Any

from jepsen_like.history import OK, KeyValue, Operation, RangeResult


def mutated(random: Random, operations: list[Operation], *, revisions: bool = True) -> list[Operation]:
    """The history with one acknowledged answer dropped, altered or swapped; its revision may change too."""
    places = [place for place, one in enumerate(operations) if one.outcome == OK]
    if not places:
        return operations
    place = random.choice(places)
    one = operations[place]
    changed = list(operations)
    if revisions and random.random() < 0.2:
        changed[place] = one._replace(revision=max(1, one.revision + random.choice([-2, -1, 1, 2])))
        return changed
    others = [other for other in places if other != place and operations[other].f == one.f]
    if others and random.random() < 0.4:
        other = random.choice(others)
        changed[place] = one._replace(result=operations[other].result)
        if random.random() < 0.5:
            changed[other] = operations[other]._replace(result=one.result)
        return [call for call in changed if call.f != "txn" or _fits(call)] if one.f == "txn" else changed
    changed[place] = one._replace(result=_altered(random, one, operations))
    return changed


def _fits(call: Operation) -> bool:
    if call.outcome != OK:
        return True
    steps = call.argument[1 if call.result[0] else 2]
    kinds = {"put": (tuple,), "get": (KeyValue, type(None)), "delete": (int,)}
    return len(steps) == len(call.result[1]) and all(
        isinstance(response, kinds[step[0]]) for step, response in zip(steps, call.result[1], strict=True)
    )


def _altered(random: Random, one: Operation, operations: list[Operation]) -> Any:
    result = one.result
    if one.f == "get":
        return _other(random, result, one.key, operations)
    if one.f == "cas":
        if result[0]:
            return (False, _other(random, None, one.key, operations))
        return (True,) if random.random() < 0.5 or len(result) < 2 else (False, _other(random, result[1], one.key, operations))
    if one.f == "delete":
        return max(0, result + random.choice([-1, 1]))
    if one.f == "range":
        kvs, total, more = result
        if kvs and random.random() < 0.6:
            drop = random.randrange(len(kvs))
            return RangeResult(kvs[:drop] + kvs[drop + 1 :], total - (random.random() < 0.5), more)
        return RangeResult(kvs, max(0, total + random.choice([-1, 1])), more)
    if one.f == "txn":
        responses = tuple(
            _other(random, response, step[1], operations) if step[0] == "get" else response
            for step, response in zip(one.argument[1 if result[0] else 2], result[1], strict=True)
        )
        return result._replace(responses=responses)
    return result


def _other(random: Random, kv: KeyValue | None, key: str, operations: list[Operation]) -> KeyValue | None:
    """Another answer about the key: nothing, what another read saw, or the same with one field changed."""
    draw = random.random()
    if kv is not None and draw < 0.25:
        return None
    if kv is None or draw < 0.6:
        seen = [
            one.result for one in operations if one.f == "get" and one.outcome == OK and one.key == key and one.result not in (None, kv)
        ]
        return random.choice(seen) if seen else KeyValue(key, "made up", 2, 2, 1)
    if draw < 0.7:
        return kv._replace(value=f"{kv.value}'")
    if draw < 0.8:
        return kv._replace(version=max(1, kv.version + random.choice([-1, 1])))
    if draw < 0.9:
        return kv._replace(mod_revision=max(1, kv.mod_revision + random.choice([-1, 1])))
    return kv._replace(create_revision=max(1, kv.create_revision + random.choice([-1, 1])))
