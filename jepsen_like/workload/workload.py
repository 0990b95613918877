"""The seam between loads and the places they run in: real endpoints, or a simulated cluster.

A workload opens clients through its `World`, writes every call to the recorder, and afterwards judges the history. It knows
neither faults nor members' processes; a world knows no workload. Both run on one event loop, real or virtual.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Protocol

from jepsen_like.checker.verdict import Verdict
from jepsen_like.history import History
from jepsen_like.recorder import Recorder
from raftkv.client import AsyncClient


class World(Protocol):
    """Where a workload runs."""

    @property
    def members(self) -> Sequence[str]:
        """Names of the members a client can be bound to; the history's `member`."""

    @property
    def recorder(self) -> Recorder:
        """Takes every call; its stamps are the run's only clock."""

    def client(self, member: str | None = None, *, timeout_s: float = 1.0) -> AsyncClient:
        """A new client of one member, or of all; the workload closes it. Its mutating calls are never repeated."""

    def random(self, name: str) -> random.Random:
        """The named stream of the run's seed: the same name gives the same draws, whatever other streams did."""

    def now_s(self) -> float:
        """The loop's time."""

    async def sleep(self, seconds: float) -> None:
        """Wait."""


class Workload(Protocol):
    """One kind of load with its checks. An instance serves one run."""

    @property
    def name(self) -> str:
        """As the command line spells it."""

    async def run(self, world: World, *, until_s: float, rate: float) -> None:
        """Load of about `rate` calls a second, over all clients, until the loop's time is `until_s`; faults go on meanwhile."""

    async def finish(self, world: World) -> None:
        """After every fault is healed: the last reads and whatever else the check needs."""

    def check(self, history: History) -> Verdict:
        """Judge the whole history."""
