"""The direction from one host to another: what is done to its traffic, and what was seen of it.

Hosts are members by name, and `CLIENTS`, which stands for every client of the run. Both back ends that carry traffic (proxies
and the packet switch) take `Conditions` and count in `Counters`; they differ in what the words mean, which each field says.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, fields

CLIENTS = "clients"
"""The host all clients of a run live on."""

Direction = tuple[str, str]
"""(from, to)."""


@dataclass(frozen=True, slots=True)
class Conditions:
    """What happens to traffic in one direction. Packets are meant in namespaces, pieces of a byte stream at proxies."""

    cut: bool = False
    """Packets are dropped; a stream's bytes are held, and delivered when the cut is healed, as TCP would deliver them."""

    delay_ms: float = 0.0
    jitter_ms: float = 0.0
    """Added to or taken from the delay, evenly spread. A stream's pieces keep their order."""

    loss: float = 0.0
    """Share of packets dropped. A stream's piece comes later by a retransmission time, doubled each further time it is lost."""

    duplicate: float = 0.0
    """Share of packets sent twice. Not of streams: TCP would discard the copy."""

    reorder: float = 0.0
    """Share of packets that overtake. Of streams: share of connections that are slower by `REORDER_MS`, so that others overtake."""

    corrupt: float = 0.0
    """Share of packets with a flipped bit, which the receiver's checksum finds. Not of streams: they have no checksum of their own."""

    rate_bytes_s: float = 0.0
    """Bytes a second; 0 for no limit."""

    def to_json(self) -> dict[str, float]:
        """Only what differs from an open link."""
        return {name: value for name, value in asdict(self).items() if value}

    @property
    def plain(self) -> bool:
        """Nothing is done at all."""
        return self == OPEN

    def __str__(self) -> str:
        return ", ".join(f"{name} {value:g}" for name, value in self.to_json().items()) or "open"


OPEN = Conditions()
CUT = Conditions(cut=True)

REORDER_MS = 40.0
RETRANSMIT_MS = 200.0
"""Linux' shortest retransmission time-out."""


@dataclass(slots=True)
class Counters:
    """What was seen of one direction since its network was opened: packets in namespaces, pieces of streams at proxies."""

    passed: int = 0
    passed_bytes: int = 0
    cut: int = 0
    """Dropped or held because of a cut; at proxies also connections that were held before they were made."""

    delayed: int = 0
    delay_ms_total: float = 0.0
    """Over the delayed ones, as measured when they were sent on."""

    lost: int = 0
    duplicated: int = 0
    overtaken: int = 0
    """Sent on after something that came later."""

    corrupted: int = 0
    limited: int = 0
    """Waited for the rate."""

    resets: int = 0
    """Connections ended by a reset."""

    def since(self, before: Counters) -> Counters:
        """What was added."""
        return Counters(*(getattr(self, one.name) - getattr(before, one.name) for one in fields(self)))

    def plus(self, other: Counters) -> Counters:
        """The sum of two directions."""
        return Counters(*(getattr(self, one.name) + getattr(other, one.name) for one in fields(self)))

    @property
    def delay_ms_mean(self) -> float:
        """Of the delayed ones; 0 when there were none."""
        return self.delay_ms_total / self.delayed if self.delayed else 0.0


@dataclass(slots=True)
class Tally:
    """Counters of all directions at one instant."""

    of: dict[Direction, Counters] = field(default_factory=dict)

    @classmethod
    def from_json(cls, rows: Iterable[tuple[str, str, Mapping[str, float]]]) -> Tally:
        """As the traffic's processes send it."""
        return cls({(source, target): Counters(**counts) for source, target, counts in rows})  # type: ignore[arg-type]

    def since(self, before: Tally, directions: Iterable[Direction]) -> Counters:
        """The sum of what was added in the directions."""
        total = Counters()
        for direction in directions:
            total = total.plus(self.of.get(direction, Counters()).since(before.of.get(direction, Counters())))
        return total
