"""Configuration changes: their values, their bytes in the log, and what each does to a configuration.

Pure functions from one `ConfState` to the next. A change of one voter takes effect at once; anything larger goes
through a joint configuration, which is left by a second entry (thesis §4.3; etcd-io/raft confchange). A change counts
from the moment it is applied, on every member alike; leaders keep at most one unapplied (raft/proposals.py).
"""

from __future__ import annotations

import struct
from enum import IntEnum
from functools import lru_cache
from typing import NamedTuple

from raftkv.errors import CorruptionError, RequestError
from raftkv.raft.messages import ConfState

_HEAD = struct.Struct(">BBH")
_STEP = struct.Struct(">BQ")
_FORMAT = 1

STEPS_MAX = 1_000
"""Steps in one change; far above any cluster, far below what the format can count."""


class ConfChangeInvalidError(RequestError):
    """The change does not fit the configuration it would be applied to."""

    text = "raft: configuration change does not fit the configuration"


class ChangeKind(IntEnum):
    """What one step does. Numbers stand in the log: never reuse one."""

    ADD_VOTER = 0
    """Adds a voter, or makes a learner one."""

    REMOVE = 1
    """Removes a voter or learner; nothing happens when it is neither."""

    ADD_LEARNER = 2
    """Adds a learner, or makes a voter one."""


class Transition(IntEnum):
    """How a joint configuration is entered and left. Numbers stand in the log."""

    AUTO = 0
    """Joint only when more than one voter changes; left by itself."""

    JOINT_IMPLICIT = 1
    """Always joint; left by itself."""

    JOINT_EXPLICIT = 2
    """Always joint; left when an empty change is proposed."""


class ChangeStep(NamedTuple):
    """One member's part of a change."""

    kind: ChangeKind
    member_id: int


class ConfChange(NamedTuple):
    """One configuration change. Without steps it leaves a joint configuration. `context` is the driver's own."""

    steps: tuple[ChangeStep, ...] = ()
    transition: Transition = Transition.AUTO
    context: bytes = b""

    def encode(self) -> bytes:
        """The bytes of a CONF_CHANGE entry. No steps and no context encode to no bytes at all."""
        if not self.steps and not self.context:
            return b""
        head = _HEAD.pack(_FORMAT, self.transition, len(self.steps))
        return b"".join([head, *(_STEP.pack(kind, member_id) for kind, member_id in self.steps), self.context])


def decode_change(data: bytes) -> ConfChange:
    """The change that `encode` wrote. Raises CorruptionError."""
    if not data:
        return ConfChange()
    try:
        version, transition, count = _HEAD.unpack_from(data)
        if version != _FORMAT:
            raise CorruptionError(f"raft: configuration change has format {version}, this binary reads {_FORMAT}")
        offset = _HEAD.size
        steps = []
        for _ in range(count):
            kind, member_id = _STEP.unpack_from(data, offset)
            steps.append(ChangeStep(ChangeKind(kind), member_id))
            offset += _STEP.size
        return ConfChange(tuple(steps), Transition(transition), data[offset:])
    except (struct.error, ValueError) as exc:
        raise CorruptionError("raft: configuration change cannot be read") from exc


def apply_change(conf: ConfState, change: ConfChange) -> ConfState:
    """The configuration after `change`. Raises ConfChangeInvalidError and then nothing has changed."""
    if not change.steps:
        return _leave_joint(conf)
    if conf.voters_outgoing:
        raise ConfChangeInvalidError("raft: configuration is already joint")
    if len(change.steps) > STEPS_MAX:
        raise ConfChangeInvalidError(f"raft: configuration change has more than {STEPS_MAX} steps")
    voters, learners, learners_next = _take_steps(conf, change.steps, joint=_is_joint(conf, change))
    if not voters:
        raise ConfChangeInvalidError("raft: configuration change removes every voter")
    if not _is_joint(conf, change):
        return ConfState(_ids(voters), _ids(learners))
    return ConfState(_ids(voters), _ids(learners), conf.voters, _ids(learners_next), change.transition is not Transition.JOINT_EXPLICIT)


@lru_cache(maxsize=64)
def check_conf_state(conf: ConfState) -> None:
    """Asserts what holds of every configuration: ids sorted and unique, learners vote in no half that counts for them."""
    for ids in (conf.voters, conf.learners, conf.voters_outgoing, conf.learners_next):
        assert list(ids) == sorted(set(ids)), "ids are sorted and unique"
        assert 0 not in ids, "no member has id 0"
    assert not set(conf.learners) & set(conf.voters), "a learner is no voter"
    assert not set(conf.learners) & set(conf.voters_outgoing), "a learner left both halves"
    assert set(conf.learners_next) <= set(conf.voters_outgoing), "a later learner still votes in the old half"
    assert not set(conf.learners_next) & set(conf.voters), "a later learner does not vote in the new half"
    if not conf.voters_outgoing:
        assert not conf.learners_next and not conf.auto_leave, "only a joint configuration is left"


def _is_joint(conf: ConfState, change: ConfChange) -> bool:
    if change.transition is not Transition.AUTO:
        return True
    voters, _, _ = _take_steps(conf, change.steps, joint=False)
    return len(voters ^ set(conf.voters)) > 1


def _take_steps(conf: ConfState, steps: tuple[ChangeStep, ...], *, joint: bool) -> tuple[set[int], set[int], set[int]]:
    voters, learners, learners_next = set(conf.voters), set(conf.learners), set[int]()
    for kind, member_id in steps:
        if member_id <= 0:
            raise ConfChangeInvalidError("raft: configuration change names member 0")
        voters.discard(member_id)
        learners.discard(member_id)
        learners_next.discard(member_id)
        if kind is ChangeKind.ADD_VOTER:
            voters.add(member_id)
        elif kind is ChangeKind.ADD_LEARNER and joint and member_id in conf.voters:
            # It still votes in the outgoing half; it becomes a learner when the joint configuration is left.
            learners_next.add(member_id)
        elif kind is ChangeKind.ADD_LEARNER:
            learners.add(member_id)
    return voters, learners, learners_next


def _leave_joint(conf: ConfState) -> ConfState:
    if not conf.voters_outgoing:
        raise ConfChangeInvalidError("raft: configuration is not joint, there is nothing to leave")
    return ConfState(conf.voters, _ids({*conf.learners, *conf.learners_next}))


def _ids(members: set[int]) -> tuple[int, ...]:
    return tuple(sorted(members))
