"""The links between members: delay with a heavy tail, loss, repetition, disorder, cuts, and old messages that come again.

Every link draws from a stream of its own. A message is a packet of its own, as on a transport that loses none and keeps
order unless the scenario says otherwise. Hot path: two draws and one heap entry a message.

Proposals are never repeated: the product sends one once on one connection, and its loss is its client's timeout.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from random import Random

from jepsen_like.sim.core.scenario import Scenario
from jepsen_like.sim.core.store import Checkpoint
from jepsen_like.sim.streams import stream
from raftkv.raft.messages import Message, MessageKind

_SNAPSHOT = int(MessageKind.SNAPSHOT)
_PROPOSE = int(MessageKind.PROPOSE)
_KEPT_MAX = 64
"""Old messages that may still come again."""
_HELD_MAX = 2_000
"""Messages that wait at cut links."""
WAY_US_MAX = 2_000_000
"""No message is longer on its way, however slow the network: what comes after it on a link that keeps order waits for it."""


class Transfer:
    """A snapshot's state on its way. Its fate is told to its sender once, unless that one has restarted."""

    __slots__ = ("checkpoint", "epoch", "told")

    def __init__(self, checkpoint: Checkpoint, epoch: int) -> None:
        self.checkpoint = checkpoint
        self.epoch = epoch
        self.told = False


class Link:
    """One direction between two members."""

    __slots__ = ("at_us", "draw")

    def __init__(self, random: Random) -> None:
        self.draw = random.random
        self.at_us = 0
        """When the last message arrives: where order is kept, no later one comes before."""


class Network:
    """All links.

    Invariants: 1. a message arrives only over a link that is not cut; 2. the fate of every snapshot message is told to
    the member that sent it, once.
    """

    def __init__(self, scenario: Scenario, post: Callable[[int, int, Message, Transfer | None], None]) -> None:
        self.loss = scenario.loss
        self.duplicate = scenario.duplicate
        self.tail = scenario.tail
        self.replay = scenario.replay
        self.slow_us = 0
        """Added to every way while the network is slow."""
        self.cuts: dict[int, frozenset[tuple[int, int]]] = {}
        """The links each fault in force cuts."""
        self.cut: frozenset[tuple[int, int]] = frozenset()
        self.hits = 0
        """Messages lost, repeated, replayed or much delayed."""
        self._scenario = scenario
        self._random = stream(scenario.seed, "network")
        self._post = post
        self._links: dict[tuple[int, int], Link] = {}
        self._kept: list[tuple[Message, Transfer | None]] = []
        self._waiting: list[tuple[Message, Transfer | None]] = []

    def set_cut(self, fault: int, links: Iterable[tuple[int, int]]) -> list[tuple[Message, Transfer | None]]:
        """A fault cuts these links, or none any more; returns the messages that waited and may go on."""
        self.cuts[fault] = frozenset(links)
        self.cut = frozenset().union(*self.cuts.values())
        waiting, self._waiting = self._waiting, []
        free = [one for one in waiting if (one[0].sender, one[0].to) not in self.cut]
        self._waiting = [one for one in waiting if (one[0].sender, one[0].to) in self.cut]
        return free

    def send(self, message: Message, transfer: Transfer | None, now_us: int) -> bool:
        """Put a message on its way; False when it is lost."""
        scenario = self._scenario
        link = self._links.get((message.sender, message.to)) or self._open(message.sender, message.to)
        draw = link.draw()
        took_us = scenario.delay_us + self.slow_us + int(link.draw() * scenario.jitter_us)
        if transfer is not None:
            took_us *= 20
        if draw < self.loss:
            self.hits += 1
            return False
        draw -= self.loss
        if draw < self.duplicate:
            if message.kind != _PROPOSE:
                self.hits += 1
                self._post(now_us + min(int(took_us * (1 + 40 * draw)), WAY_US_MAX), message.to, message, transfer)
        elif draw - self.duplicate < self.tail:
            self.hits += 1
            took_us = int(took_us * scenario.tail_factor)
        at_us = now_us + (took_us if took_us < WAY_US_MAX else WAY_US_MAX)
        if not scenario.reorder:
            if at_us <= link.at_us:
                at_us = link.at_us + 1
            link.at_us = at_us
        self._post(at_us, message.to, message, transfer)
        if self.replay and link.draw() < self.replay:
            self._keep(message, transfer)
        return True

    def at_cut(self, message: Message, transfer: Transfer | None) -> bool:
        """A message met a cut link: True when it waits there, False when it is lost."""
        hold = self._scenario.hold
        if hold and len(self._waiting) < _HELD_MAX and message.kind != _PROPOSE and self._random.random() < hold:
            self._waiting.append((message, transfer))
            return True
        return False

    def take_old(self) -> tuple[Message, Transfer | None] | None:
        """One of the messages that were kept, to come again."""
        return self._kept.pop(self._random.randrange(len(self._kept))) if self._kept else None

    def calm(self) -> None:
        """From now on every link works as it should."""
        self.loss = self.duplicate = self.tail = self.replay = 0.0
        self.slow_us = 0
        self._kept.clear()
        self._waiting.clear()

    def _keep(self, message: Message, transfer: Transfer | None) -> None:
        if message.kind == _PROPOSE:
            return
        if len(self._kept) >= _KEPT_MAX:
            self._kept.pop(self._random.randrange(_KEPT_MAX))
        self._kept.append((message, transfer))

    def _open(self, sender: int, to: int) -> Link:
        link = self._links[sender, to] = Link(stream(self._scenario.seed, "link", sender, to))
        return link
