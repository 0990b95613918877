"""What an operator's refused calls are taken for."""

from __future__ import annotations

import asyncio

import pytest

from jepsen_like.checker.membership import Listed
from jepsen_like.history import FAIL, OK, UNKNOWN, History
from jepsen_like.sim.cluster import simulate
from jepsen_like.sim.world import SimulatedWorld
from jepsen_like.workload.operator import add_member, list_members, promote_member, remove_member
from jepsen_like.workload.session import Session
from raftkv.errors import IndeterminateError, TimeoutError

URL = "http://127.7.0.1:1"


def test_operator_is_refused_until_members_were_connected_for_long_enough():
    """Also what a server says with a code that leaves it open is certain here: it was looked at before anything was proposed."""
    history = History()

    async def scenario(cluster):
        cluster.start()
        await cluster.serving()
        session = Session(SimulatedWorld(cluster, history), "m0")
        assert await add_member(session, URL, "learner") is None
        await asyncio.sleep(6.0)
        added = await add_member(session, URL, "learner")
        member = Listed(added.result[0], URL, True)
        assert await promote_member(session, member) is None, "it never started"
        assert member in (await list_members(session)).result
        assert await remove_member(session, member) is not None
        await session.aclose()

    simulate(1, scenario)
    assert [one.outcome for one in history.operations] == [FAIL, OK, FAIL, OK, OK]
    assert history.operations[0].error == "etcdserver: unhealthy cluster"


@pytest.mark.parametrize(
    ("error", "outcome"),
    [(IndeterminateError("etcdserver: unhealthy cluster"), FAIL), (TimeoutError(), UNKNOWN), (IndeterminateError("closed"), UNKNOWN)],
)
def test_refusal_for_health_is_certain_and_a_timeout_is_not(error, outcome, monkeypatch):
    """etcd's answer carries no word of whether anything was proposed; its text is enough."""
    history = History()

    async def scenario(cluster):
        session = Session(SimulatedWorld(cluster, history), "m0")

        async def fails(*_args, **_options):
            raise error

        monkeypatch.setattr(session.client.cluster, "remove", fails)
        assert await remove_member(session, Listed(7, URL, False)) is None
        await session.aclose()

    simulate(1, scenario)
    assert [one.outcome for one in history.operations] == [outcome]
