"""Who leads is written down as the members say it: spans that follow one another, in growing terms."""

from __future__ import annotations

import asyncio

from jepsen_like import ledger
from jepsen_like.history import History
from jepsen_like.leaders import Leaders, Leading, watched
from jepsen_like.sim.cluster import simulate
from jepsen_like.sim.world import SimulatedWorld


def test_leaderships_are_seen_while_leaders_come_and_go():
    """Each leader has its span; while there is none there is no span; the last one ends when nobody looks any more."""
    history = History()
    led = []

    async def scenario(cluster):
        cluster.start()
        await cluster.serving()
        async with watched(SimulatedWorld(cluster, history)):
            for _ in range(3):
                leader = cluster.leader()
                led.append(leader.host)
                await asyncio.sleep(1.0)
                leader.crash()
                await cluster.until(lambda: cluster.leader() is not None, what="another leads")
                leader.start()
                await cluster.serving()
            await asyncio.sleep(1.0)
            led.append(cluster.leader().host)

    simulate(5, scenario)
    marks = [mark for mark in history.marks if mark.kind == ledger.LEADER]
    assert [mark.detail["member"] for mark in marks] == led
    terms = [mark.detail["term"] for mark in marks]
    assert terms == sorted(set(terms))
    assert all(before.start_ns < before.end_ns < after.start_ns for before, after in zip(marks, marks[1:], strict=False))


def test_member_that_has_not_heard_of_the_newer_term_is_no_leader():
    """Cut off, it says for a while that it leads."""
    history = History()

    async def scenario(cluster):
        leaders = Leaders(SimulatedWorld(cluster, history))
        for said in ([Leading(2, "m0")], [Leading(2, "m0"), Leading(3, "m1")], [Leading(3, "m1")], []):
            leaders.note(said)
            await asyncio.sleep(1.0)

    simulate(1, scenario)
    assert [(mark.detail["member"], mark.detail["term"]) for mark in history.marks] == [("m0", 2), ("m1", 3)]
    assert history.marks[0].end_ns == history.marks[1].start_ns
