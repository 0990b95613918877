"""Where a workload's keys lie, and what the store held before it came.

A run may share its store with others: everything is written below a prefix of its own. A store that stood at revision 1 when
the run began is the run's alone, and then every revision must be explained by some operation (`order`'s rule of phantom
revisions).
"""

from __future__ import annotations

from jepsen_like.history import History
from jepsen_like.ledger import NOTE, note
from jepsen_like.workload.pacing import answered
from jepsen_like.workload.workload import World

BASE = "base revision"


async def begin(world: World, prefix: str) -> int:
    """Waits for the first answer and notes the revision the store stood at; to be called before the first write."""
    began_ns = world.recorder.now_ns()
    answer = await answered(world, lambda session: session.get(f"{prefix}base"))
    world.recorder.write(note({BASE: answer.revision}, began_ns))
    return answer.revision


def base_of(history: History) -> int:
    """The revision noted by `begin`; 0 when there is none."""
    for mark in history.marks:
        if mark.kind == NOTE and isinstance(mark.detail, dict) and BASE in mark.detail:
            return int(mark.detail[BASE])
    return 0


def is_alone(history: History) -> bool:
    """Whether the store was empty when the run began."""
    return base_of(history) == 1
