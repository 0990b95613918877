"""Does faults to a cluster one after the other, by a seed, and writes each into the history as it was seen to work.

The order is `schedule`'s. Every fault is healed before the next begins, and all are before `run` returns, so that whatever is broken
then was broken by the servers.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections import Counter
from collections.abc import Iterable

from jepsen_like import ledger
from jepsen_like.cluster.cluster import Cluster, ClusterError
from jepsen_like.ledger import NOT_DRAWN, FaultRecord
from jepsen_like.nemesis.fault import RECOVER_WITHIN_S, Fault
from jepsen_like.nemesis.registry import chosen
from jepsen_like.nemesis.schedule import Schedule
from jepsen_like.recorder import Recorder
from raftkv.errors import RaftKVError

log = logging.getLogger("jepsen_like.nemesis")


class Nemesis:
    """A seeded schedule of faults. An instance serves one run."""

    def __init__(self, cluster: Cluster, names: Iterable[str], rng: random.Random, recorder: Recorder, *, calm_s: float = 0.0) -> None:
        """`calm_s`: how long no fault is to be done, now and then."""
        self._cluster = cluster
        self._rng = rng
        self._recorder = recorder
        self.records: list[FaultRecord] = []
        available = []
        for fault in chosen(list(names)):
            why = fault.impossible_because(cluster)
            if why:
                self._write(fault.skipped(why, recorder.now_ns()))
            else:
                available.append(fault)
        self._schedule = Schedule(available, rng, calm_s=calm_s)

    @property
    def count(self) -> dict[str, int]:
        """Faults so far by status: `verified`, `unverified`, `skipped`."""
        return dict(Counter(record.status for record in self.records))

    async def run(self, until_s: float) -> None:
        """Faults until the loop's time is `until_s`; everything is healed and every member serves when
        it returns; everything is healed also when it is cancelled.

        Raises:
            ClusterError: the cluster did not recover.
        """
        loop = asyncio.get_running_loop()
        began_s = loop.time()
        try:
            while (turn := self._schedule.next(until_s - loop.time())) is not None:
                await asyncio.sleep(turn.gap_s)
                await self.inject(turn.fault, turn.hold_s)
            await asyncio.sleep(max(0.0, until_s - loop.time()))
        finally:
            self.note_undrawn(loop.time() - began_s)
            await self._heal_everything()
        await self._cluster.wait_healthy(within_s=RECOVER_WITHIN_S)

    def note_undrawn(self, after_s: float) -> None:
        """Writes down the faults that were asked for and never had their turn."""
        for fault in self._schedule.undrawn:
            self._write(fault.skipped(f"{NOT_DRAWN} in {after_s:.0f} s", self._recorder.now_ns()))

    async def inject(self, kind: type[Fault], hold_s: float) -> FaultRecord:
        """One fault, from beginning to end."""
        fault = kind(self._cluster, random.Random(self._rng.getrandbits(64)), self._recorder)
        start_ns = self._recorder.now_ns()
        try:
            try:
                await fault.apply()
                start_ns = self._recorder.now_ns()
                await fault.hold(hold_s)
                await fault.verify()
            except (OSError, ClusterError, RaftKVError) as error:
                fault.missed(f"{type(error).__name__}: {error}")
            finally:
                end_ns = self._recorder.now_ns()
                await fault.heal()
        finally:
            record = fault.record(start_ns, max(start_ns, end_ns))
            self._write(record)
            for name in fault.targets if fault.state else ():
                self._recorder.write(ledger.member_state(name, fault.state, record.start_ns, record.end_ns))
        return record

    async def _heal_everything(self) -> None:
        """Whatever a fault left behind."""
        cluster = self._cluster
        await cluster.heal_network()
        for member in cluster.members:
            cluster.resume(member)
        stopped = [member for member in cluster.members if not member.running]
        if stopped:
            cluster.start(*stopped)

    def _write(self, record: FaultRecord) -> None:
        self.records.append(record)
        self._recorder.write(record.to_mark())
        log.info("fault %s: %s, %s", record.name, record.status, record.skipped or record.effect)
