"""The links between members: delay with a heavy tail, loss, repetition, disorder, cuts, and old messages that come again.

Every link draws from a stream of its own. A message is a packet of its own, as on a transport that loses none and keeps
order unless the scenario says otherwise. Hot path: two draws and one event a message.

Proposals are never repeated: the product sends one once on one connection, and its loss is its client's timeout.
"""

from __future__ import annotations

from collections.abc import Iterable
from heapq import heappush
from random import Random

from jepsen_like.sim.core.events import DELIVER, Events
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

    def __init__(self, scenario: Scenario, events: Events) -> None:
        self.loss = scenario.loss
        self.slow_us = 0
        """Added to every way while the network is slow."""
        self.is_calm = False
        self.cuts: dict[int, frozenset[tuple[int, int]]] = {}
        """The links each fault in force cuts."""
        self.cut: frozenset[tuple[int, int]] = frozenset()
        self.hits = 0
        """Messages lost, repeated, replayed or much delayed."""
        self._scenario = scenario
        self._random = stream(scenario.seed, "network")
        self._events = events
        self._links: dict[int, dict[int, Link]] = {}
        """By sender, then by receiver."""
        self._kept: list[tuple[Message, Transfer | None]] = []
        self._waiting: list[tuple[Message, Transfer | None]] = []
        self._reckon()

    def set_cut(self, fault: int, links: Iterable[tuple[int, int]]) -> list[tuple[Message, Transfer | None]]:
        """A fault cuts these links, or none any more; returns the messages that waited and may go on."""
        self.cuts[fault] = frozenset(links)
        self.cut = frozenset().union(*self.cuts.values())
        waiting, self._waiting = self._waiting, []
        free = [one for one in waiting if (one[0].sender, one[0].to) not in self.cut]
        self._waiting = [one for one in waiting if (one[0].sender, one[0].to) in self.cut]
        return free

    def send(self, sender: int, messages: tuple[Message, ...], transfer: Transfer | None, now_us: int) -> bool:
        """Put messages of one member on their way, in this order; False when one of them is lost."""
        odd, loss, duplicate, tail, replay, shortest_us, jitter_us, reorder = self._weather
        links = self._links.get(sender)
        if links is None:
            links = self._links[sender] = {}
        events = self._events
        heap, number = events.heap, events.number
        is_lost = False
        for message in messages:
            to = message.to
            link = links.get(to)
            if link is None:
                link = links[to] = Link(stream(self._scenario.seed, "link", sender, to))
            random = link.draw
            draw = random()
            took_us = shortest_us + int(random() * jitter_us)
            if transfer is not None:
                took_us *= 20
            if draw < odd:
                if draw < loss:
                    self.hits += 1
                    is_lost = True
                    continue
                draw -= loss
                if draw < duplicate:
                    if message.kind != _PROPOSE:
                        self.hits += 1
                        number += 1
                        twice_us = now_us + min(int(took_us * (1 + 40 * draw)), WAY_US_MAX)
                        heappush(heap, (twice_us, number, DELIVER, to, message, transfer))
                elif draw - duplicate < tail:
                    self.hits += 1
                    took_us = int(took_us * self._scenario.tail_factor)
            if took_us > WAY_US_MAX:
                took_us = WAY_US_MAX
            at_us = now_us + took_us
            if not reorder:
                if at_us <= link.at_us:
                    at_us = link.at_us + 1
                link.at_us = at_us
            number += 1
            heappush(heap, (at_us, number, DELIVER, to, message, transfer))
            if replay and random() < replay:
                self._keep(message, transfer)
        events.number = number
        return not is_lost

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

    def worsen(self, *, loss: float = 0.0, slow_us: int = 0) -> None:
        """More messages are lost, or all are longer on their way; below 0 it gets better."""
        self.loss = max(0.0, self.loss + loss)
        self.slow_us = max(0, self.slow_us + slow_us)
        self._reckon()

    def calm(self) -> None:
        """From now on every link works as it should."""
        self.loss = 0.0
        self.slow_us = 0
        self.is_calm = True
        self._reckon()
        self._kept.clear()
        self._waiting.clear()

    def _reckon(self) -> None:
        """What a message needs to know of the weather, in one place."""
        scenario = self._scenario
        duplicate, tail, replay = (0.0, 0.0, 0.0) if self.is_calm else (scenario.duplicate, scenario.tail, scenario.replay)
        # Above what the three rates make together, whatever their sum was rounded to, a message travels like most.
        odd = self.loss + duplicate + tail + 1e-9
        shortest_us = scenario.delay_us + self.slow_us
        self._weather = (odd, self.loss, duplicate, tail, replay, shortest_us, scenario.jitter_us, scenario.reorder)

    def _keep(self, message: Message, transfer: Transfer | None) -> None:
        if message.kind == _PROPOSE:
            return
        if len(self._kept) >= _KEPT_MAX:
            self._kept.pop(self._random.randrange(_KEPT_MAX))
        self._kept.append((message, transfer))
