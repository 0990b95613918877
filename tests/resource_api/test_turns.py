"""Long work gives the loop back."""

from __future__ import annotations

import asyncio
import threading

from resource_api.turns import LARGE_BYTES, Turn, apart


def test_turn_is_over_after_its_time_and_begins_anew(monkeypatch):
    """Others run in between."""

    async def scenario():
        assert not Turn().is_over
        monkeypatch.setattr("resource_api.turns.TURN_S", 0.0)
        turn, others = Turn(), []
        assert turn.is_over
        asyncio.get_running_loop().call_soon(others.append, 1)
        await turn.next()
        assert others == [1]

    asyncio.run(scenario())


def test_small_work_is_done_at_once_and_large_work_in_a_thread():
    """Its result and its failure come back either way."""

    async def scenario():
        here = threading.get_ident()
        assert await apart(LARGE_BYTES - 1, threading.get_ident) == here
        assert await apart(LARGE_BYTES, threading.get_ident) != here
        for size in (0, LARGE_BYTES):
            try:
                await apart(size, lambda: 1 // 0)
            except ZeroDivisionError:
                continue
            raise AssertionError("no failure")

    asyncio.run(scenario())
