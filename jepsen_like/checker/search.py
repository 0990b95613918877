"""Linearizability of each key by search, believing nothing a server says about revisions.

The second opinion beside `order`: a server whose revisions lie consistently passes there and fails here. A register holds a
value and, where the answers show it, the number of writes since it was created; linearizability is local, so each key is
decided alone. Unknown outcomes may take effect at any time after their call, or never.

The search goes along the returns (just in time: an operation is linearized when it returns, or before another that must
come after it) and is depth first, so that a history that did happen costs about one step an operation; configurations
that led nowhere are remembered, so that one that cannot have happened is refuted with as many steps as there are
different configurations. Reads never branch: they are satisfied as soon as the state fits. Source: Wing & Gong 1993;
Lowe 2017 (just-in-time linearization); spec/faults.md §4.

Hot path: `_Search.run`, 2-4 µs an operation on CPython 3.11 (`python -m tests.jepsen_like.speed`).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from jepsen_like.checker import shrinking
from jepsen_like.checker.registers import DONE, PRESENT, SEEN, Register, Step, register_of
from jepsen_like.checker.verdict import Findings, Verdict
from jepsen_like.history import FAIL, UNKNOWN, Operation

WORK_PER_OPERATION = 40
WORK_MIN = 400_000
"""Configurations looked at per key before the verdict is unknown; about a microsecond or two each."""

WORK_TO_EXPLAIN = 400_000
"""Operations and configurations looked at to make one impossible key's history smaller for its reader."""

REGISTER = frozenset({"get", "put", "delete", "cas"})


def check(operations: Iterable[Operation], *, versioned: bool = True, work_max: int = 0) -> Verdict:
    """Whether every key's history is that of one register.

    Args:
        operations: gets at the newest revision, puts, single-key deletes and compare-and-swaps; others are passed over.
        versioned: hold versions against the number of writes, where every answer about the key shows one and the work allows
            it; a key too hard with versions is decided by its values alone.
        work_max: configurations per key; 0: `WORK_MIN`, or `WORK_PER_OPERATION` each if that is more.
    """
    findings = Findings()
    everything = list(operations)
    keys = by_key(everything)
    for key, calls in keys.items():
        budget = work_max or max(WORK_MIN, WORK_PER_OPERATION * len(calls))
        decided = linearizable(calls, versioned=versioned, work_max=budget)
        held = versioned
        if decided is None and versioned:
            # The values alone need not remember every unknown write; `order` holds versions to account anyway.
            held = False
            decided = linearizable(calls, versioned=False, work_max=budget)
        if decided is None:
            findings.undecided(f"key {key!r}: {len(calls)} operations were not decided within {budget} configurations")
        elif not decided:
            began_ns = min(one.invoke_ns for one in everything)
            _explain(key, calls, held, budget, began_ns, findings)
    return findings.verdict(sum(map(len, keys.values())))


def by_key(operations: Iterable[Operation]) -> dict[str, list[Operation]]:
    """The register operations of each key that may have had an effect or saw one, in the order given."""
    keys: dict[str, list[Operation]] = {}
    for operation in operations:
        f = operation[1]
        if f not in REGISTER or operation[7] == FAIL:
            continue
        if f == "get" and (operation[7] == UNKNOWN or operation[3]):
            continue
        if f == "delete" and operation[3]:
            continue
        calls = keys.get(operation[2])
        if calls is None:
            keys[operation[2]] = [operation]
        else:
            calls.append(operation)
    return keys


def linearizable(calls: Sequence[Operation], *, versioned: bool = True, work_max: int = WORK_MIN) -> bool | None:
    """Whether one key's calls can have happened one at a time; None: not decided within `work_max` configurations."""
    return _Search(register_of(calls, versioned=versioned)).run(work_max)


def _explain(key: str, calls: list[Operation], versioned: bool, budget: int, began_ns: int, findings: Findings) -> None:
    search = _Search(register_of(calls, versioned=versioned))
    search.run(budget)
    stuck = calls[search.furthest]
    left = WORK_TO_EXPLAIN

    def fails(some: Sequence[Operation], with_versions: bool) -> bool:
        nonlocal left
        left -= len(some)
        if left <= 0:
            return False
        smaller = _Search(register_of(some, versioned=with_versions))
        failed = smaller.run(min(budget, left)) is False
        left -= smaller.work
        return failed

    smallest = shrinking.smallest(calls, stuck, fails, versioned=versioned)
    returned_s = (stuck.complete_ns - began_ns) / 1e9
    text = (
        f"the operations on {key!r} cannot have happened one at a time: no order explains what {stuck.f} of process {stuck.process} "
        f"returned {returned_s:.6f} s after the run's first call; {len(smallest)} of {len(calls)} operations suffice to show it"
    )
    findings.add("not-linearizable", text, smallest, (key,))


class _Search:
    """One depth-first search. A configuration is (step, state, mutators done, unknown writes used) and the observers satisfied."""

    def __init__(self, register: Register) -> None:
        self._register = register
        self.work = 0
        """Configurations looked at."""
        self.furthest = 0
        """Index of the operation whose return no configuration got past, as far as the search came."""

    def run(self, work_max: int) -> bool | None:
        """Whether some order explains everything."""
        steps = self._register.steps
        end = len(steps)
        stack = [(0, 0, 0, 0, 0)]
        seen: dict[tuple[int, int, int, int], tuple[int, ...]] = {}
        work = 0
        furthest = -1
        while stack:
            at, state, done, used, satisfied = stack.pop()
            while at < end:
                step = steps[at]
                returns, bit, target = step[0], step[1], step[2]
                if returns == SEEN:
                    if satisfied & bit:
                        satisfied ^= bit
                        at += 1
                        continue
                elif returns == DONE:
                    if done & bit:
                        done ^= bit
                        at += 1
                        continue
                else:
                    if target == state or (target < 0 and state >> 32 != ~target):
                        satisfied |= bit
                    at += 1
                    continue
                if at > furthest:
                    furthest = at
                work += 1
                if work > work_max:
                    self.work = work
                    self.furthest = steps[furthest][7]
                    return None
                used &= step[6]
                config = (at, state, done, used)
                known = seen.get(config)
                if known is None:
                    seen[config] = (satisfied,)
                elif any(satisfied | one == one for one in known):
                    break
                else:
                    seen[config] = (*(one for one in known if one | satisfied != satisfied), satisfied)
                following = self._following(at, step, state, done, used, satisfied)
                if not following:
                    break
                if len(following) > 1:
                    stack.extend(following[:-1])
                at, state, done, used, satisfied = following[-1]
            else:
                self.work = work
                return True
        self.work = work
        self.furthest = steps[furthest][7]
        return False

    def _following(self, at: int, step: Step, state: int, done: int, used: int, satisfied: int) -> list[tuple[int, int, int, int, int]]:
        """The configurations one linearization further, the most promising last."""
        returns, bit, target, mutators, observers, unknowns, _alive, _index = step
        inc = self._register.increment
        mask = 0xFFFFFFFF if inc else 0
        later: list[tuple[int, int, int, int, int]] = []
        sooner: list[tuple[int, int, int, int, int]] = []
        spare = False
        for own, expected, new, hidden in unknowns:
            if used & own or (hidden and spare):
                continue
            spare = spare or hidden
            if expected >= 0 and state >> 32 != expected:
                continue
            became = (new << 32) | ((state & mask) + inc) if new else 0
            if became == state:
                continue
            now = satisfied
            for other, wanted in observers:
                if wanted == became or (wanted < 0 and became >> 32 != ~wanted):
                    now |= other
            (sooner if returns == SEEN and now & bit else later).append((at, became, done, used | own, now))
        own_turn = None
        for own, expected, new in mutators:
            if done & own:
                continue
            held = state >> 32
            if held != expected if expected >= 0 else (expected == PRESENT and not held):
                continue
            became = (new << 32) | ((state & mask) + inc) if new else 0
            now = satisfied
            for other, wanted in observers:
                if wanted == became or (wanted < 0 and became >> 32 != ~wanted):
                    now |= other
            if returns == DONE and own == bit:
                own_turn = (at + 1, became, done, used, now)
            else:
                (sooner if returns == SEEN and now & bit else later).append((at, became, done | own, used, now))
        later += sooner
        if own_turn is not None:
            later.append(own_turn)
        return later
