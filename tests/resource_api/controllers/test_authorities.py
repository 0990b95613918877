"""The bundle of authorities in every namespace: that writing it comes to an end."""

from __future__ import annotations

from resource_api.controllers.authorities import MEND_AGAIN_MAX_S, MEND_AGAIN_S, Mending
from tests.resource_api.world import World, run


def test_mending_waits_longer_the_more_often_it_does_not_last():
    """What is to be another text does not wait, and what has lasted begins anew."""

    async def scenario(world: World) -> None:
        mending = Mending()
        waits = []
        for _ in range(9):
            waits.append(mending.wait_s("k", "x"))
            await world.settle(waits[-1])
            mending.note("k", "x")
        assert waits == [0, *(MEND_AGAIN_S * 2**power for power in range(6)), MEND_AGAIN_MAX_S, MEND_AGAIN_MAX_S]
        assert mending.wait_s("k", "y") == mending.wait_s("other", "x") == 0
        await world.settle(3 * MEND_AGAIN_MAX_S)
        assert mending.wait_s("k", "x") == 0
        mending.note("k", "x")
        assert mending.wait_s("k", "x") == MEND_AGAIN_S
        mending.forget("k")
        assert mending.wait_s("k", "x") == 0

    run(scenario)
