"""Read rounds of one leader (thesis §6.4): which reads wait, and which round has been confirmed by a quorum.

A read joins only a round that starts after it arrived. A round's number is never used twice in the life of the
process, and its messages carry the leader's term, so a late or repeated reply confirms nothing it should not: numbers
grow, and a reply to round n was sent after every round up to n had started.

Who is asked: everybody in the first rounds between two heartbeats; then, while rounds come thick, only the quorum that
answered the last of those first. The others would be woken for answers nobody waits for, which on a busy cluster is a
third of what a read costs. A quorum that falls silent delays reads until the next heartbeat, which asks everybody.
"""

from __future__ import annotations

import struct
from collections import deque
from typing import NamedTuple

from raftkv.raft.messages import ConfState
from raftkv.raft.quorum import quorum_index

_ROUND = struct.Struct(">Q")

ROUNDS_TO_ALL = 8
"""Rounds between two heartbeats that ask everybody."""


class ReadRequest(NamedTuple):
    """One read, or the many reads its asker joined under one context."""

    asker: int
    context: bytes


class Round(NamedTuple):
    """One round of heartbeats. Its reads may be served from `index` once a quorum has answered it or a later one."""

    number: int
    commit: int
    requests: list[ReadRequest]


class ReadRounds:
    """Invariants: 1. rounds wait in the order of their numbers; 2. their indexes never fall; 3. at most `reads_max` wait."""

    def __init__(self, reads_max: int) -> None:
        self._reads_max = reads_max
        self._number = 0
        self._waiting: list[ReadRequest] = []
        self._rounds: deque[Round] = deque()
        self._answered: dict[int, int] = {}
        self._count = 0
        self._to_all = 0
        self._quick: frozenset[int] = frozenset()
        self._quick_conf: ConfState | None = None

    def clear(self) -> None:
        """Drops everything that waits: the term or the leader changed, and askers try again with a fresh context."""
        self._waiting = []
        self._rounds.clear()
        self._answered.clear()
        self._count = 0
        self.on_heartbeat()

    def on_heartbeat(self) -> None:
        """Everybody is asked by the heartbeat that goes out now, and by the next rounds."""
        self._to_all = 0
        self._quick_conf = None

    @property
    def is_waiting(self) -> bool:
        """True while reads wait for a round to start."""
        return bool(self._waiting)

    def add(self, asker: int, context: bytes) -> bool:
        """Queues a read for the next round; False at the bound."""
        if self._count >= self._reads_max:
            return False
        self._waiting.append(ReadRequest(asker, context))
        self._count += 1
        return True

    def take_waiting(self) -> list[ReadRequest]:
        """The reads no round was started for, for a leader that needs none."""
        waiting, self._waiting = self._waiting, []
        self._count -= len(waiting)
        return waiting

    def start(self, *, member_id: int, commit: int) -> None:
        """Starts a round for all that wait. `commit` is the leader's commit index now; the leader answers at once."""
        self._number += 1
        self._rounds.append(Round(self._number, commit, self._waiting))
        self._waiting = []
        self._answered[member_id] = self._number

    def asked(self, conf: ConfState) -> frozenset[int] | None:
        """Whom the round just started should ask; None for everybody."""
        if self._to_all < ROUNDS_TO_ALL:
            self._to_all += 1
            return None
        return self._quick if self._quick_conf is conf else None

    def newest_context(self) -> bytes:
        """What heartbeats carry: the newest unconfirmed round, or nothing."""
        return _ROUND.pack(self._rounds[-1].number) if self._rounds else b""

    def on_answer(self, member_id: int, context: bytes) -> None:
        """Notes that `member_id` answered the round of `context`; anything that is no round of ours is ignored."""
        if len(context) != _ROUND.size:
            return
        (number,) = _ROUND.unpack(context)
        if self._answered.get(member_id, 0) < number <= self._number:
            self._answered[member_id] = number

    def take_confirmed(self, conf: ConfState) -> list[Round]:
        """Removes and returns the rounds that a quorum of `conf` has confirmed, oldest first."""
        if not self._rounds:
            return []
        confirmed = quorum_index(conf, self._answered)
        done: list[Round] = []
        while self._rounds and self._rounds[0].number <= confirmed:
            done.append(self._rounds.popleft())
            self._count -= len(done[-1].requests)
        if done and self._to_all < ROUNDS_TO_ALL:
            # The first answers of rounds that asked everybody: a quorum, or the round would not be confirmed.
            self._quick = frozenset(member_id for member_id, number in self._answered.items() if number >= confirmed)
            self._quick_conf = conf
        return done

    def check_invariants(self) -> None:
        """Asserts the class's invariants by number."""
        number, commit, count = 0, 0, len(self._waiting)
        for round_ in self._rounds:
            assert number < round_.number, "1"
            assert commit <= round_.commit, "2"
            number, commit, count = round_.number, round_.commit, count + len(round_.requests)
        assert self._count == count, "3"
        assert self._count <= self._reads_max, "3"
