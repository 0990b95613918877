"""The order of events in the core simulation, the weather its messages travel through, and what is looked at when."""

from __future__ import annotations

import weakref
from heapq import heappop

import pytest

from jepsen_like.collection import uncollected
from jepsen_like.sim.core.events import DELIVER, TICK, Events
from jepsen_like.sim.core.invariants import InvariantError
from jepsen_like.sim.core.network import Network
from jepsen_like.sim.core.points import POINTS
from jepsen_like.sim.core.scenario import Scenario
from jepsen_like.sim.core.simulation import Simulation
from jepsen_like.sim.reached import Points
from raftkv.raft.messages import HardState, Message, MessageKind

WEATHER = Scenario(seed=3, loss=0.2, duplicate=0.1, tail=0.1)


def message(number: int) -> Message:
    return Message(MessageKind.HEARTBEAT, 2, 1, 1, index=number)


def test_events_of_one_time_come_in_the_order_they_were_asked_for():
    """Turns wait in a queue of their own, and still come before whatever was asked for later."""
    simulation = Simulation(Scenario(seed=1))
    events = Events()
    member = simulation.members[1]
    events.push(5, TICK, 1)
    events.turn(5, member)
    events.push(5, TICK, 2)
    events.turn(6, member)
    events.check_invariants()
    order = []
    while events.heap or events.turns:
        if events.turns and (not events.heap or events.turns[0] < events.heap[0]):
            order.append(events.turns.popleft()[1])
        else:
            order.append(heappop(events.heap)[1])
    assert order == [1, 2, 3, 4]


def test_messages_sent_together_travel_as_if_sent_one_by_one():
    """What is drawn for one message does not depend on what left beside it."""
    alone, together = Events(), Events()
    one, many = Network(WEATHER, alone), Network(WEATHER, together)
    messages = tuple(map(message, range(300)))
    for single in messages:
        one.send(1, (single,), None, 1_000)
    many.send(1, messages, None, 1_000)
    assert sorted(alone.heap) == sorted(together.heap) and one.hits == many.hits > 60
    together.check_invariants()


def test_weather_that_got_worse_and_better_is_as_it_was():
    """Losses of a fault end with it, and in calm nothing is odd any more."""
    events = Events()
    network = Network(WEATHER, events)
    before = network._weather
    network.worsen(loss=0.3, slow_us=7_000)
    assert network.loss == 0.5 and network.slow_us == 7_000 and network._weather != before
    network.worsen(loss=-0.3, slow_us=-7_000)
    assert network._weather == before
    network.calm()
    assert all(network.send(1, (message(number),), None, 0) for number in range(300))
    assert len(events.heap) == 300 and network.hits == 0 and {event[2] for event in events.heap} == {DELIVER}


def test_disk_that_ends_below_what_is_applied_is_noticed_when_it_is_written():
    """The applied index is compared with the disk when either moves: this is the disk's half, the turn's is the other."""
    simulation = Simulation(Scenario(seed=1))
    member, invariants = simulation.members[1], simulation.invariants
    invariants.on_durable(member, HardState(), HardState())
    member.log.applied = 1
    with pytest.raises(InvariantError, match="applied within commit and disk"):
        invariants.on_durable(member, HardState(), HardState())
    member.log.commit = member.seen_commit = 1
    with pytest.raises(InvariantError, match="applied within commit and disk"):
        invariants.on_turn(member)


def test_run_that_was_closed_leaves_nothing_to_be_looked_for():
    """Hundreds of seeds in one process need no more memory than one, though nobody looks for garbage during a run."""
    simulation = Simulation(Scenario(seed=1, virtual_s=3.0))
    with Points(POINTS), uncollected():
        simulation.run()
        assert simulation.load.ok > 50
        simulation.close()
        left = weakref.ref(simulation)
        del simulation
        assert left() is None
