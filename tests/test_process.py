"""Around a server: who asks for its end, and what that does before it serves and after."""

from __future__ import annotations

import asyncio
import logging
import os
import signal

import pytest

from raftkv import process
from raftkv.process import Ending

TURNS = 3
"""Of the loop: enough for it to see what is there already."""

log = logging.getLogger("tests.process")


def ending(*, attended: bool = False) -> Ending:
    def at_once(number: signal.Signals) -> int:
        raise AssertionError(f"ended at once by {number}")

    return Ending(log, at_once=at_once, attended=attended)


def test_signal_to_a_started_server_asks_for_its_end():
    """In order: nothing is cancelled."""

    async def serve() -> signal.Signals | None:
        wish = ending()
        wish.listen()
        wish.started(lambda: "state")
        os.kill(os.getpid(), signal.SIGINT)
        await wish.wait()
        return wish.asked_by

    assert asyncio.run(serve()) is signal.SIGINT


def test_signal_to_a_starting_server_cancels_the_start():
    """What a start waits for may never come."""

    async def serve() -> signal.Signals | None:
        wish = ending()
        wish.listen()
        os.kill(os.getpid(), signal.SIGTERM)
        with pytest.raises(asyncio.CancelledError):
            await asyncio.Event().wait()
        assert not wish.has_started
        return wish.asked_by

    assert asyncio.run(serve()) is signal.SIGTERM


@pytest.mark.parametrize("attended", [True, False])
def test_end_of_standard_input_ends_an_attended_server_alone(monkeypatch, attended):
    """What is written there means nothing; only its end does."""
    inlet, outlet = os.pipe()
    monkeypatch.setattr(process, "STANDARD_INPUT", inlet)

    async def serve() -> signal.Signals | None:
        wish = ending(attended=attended)
        wish.listen()
        wish.started(lambda: "state")
        os.write(outlet, b"words")
        for _ in range(TURNS):
            await asyncio.sleep(0)
        assert wish.asked_by is None
        os.close(outlet)
        if attended:
            await wish.wait()
        for _ in range(TURNS):
            await asyncio.sleep(0)
        return wish.asked_by

    try:
        assert asyncio.run(serve()) is (signal.SIGTERM if attended else None)
    finally:
        os.close(inlet)


def test_dump_signal_tells_the_state(capfd):
    """While the server starts there is none."""

    async def serve() -> None:
        wish, told = ending(), asyncio.Event()

        def describe() -> str:
            told.set()
            return "state\n"

        wish.listen()
        os.kill(os.getpid(), signal.SIGUSR1)
        for _ in range(TURNS):
            await asyncio.sleep(0)
        wish.started(describe)
        os.kill(os.getpid(), signal.SIGUSR1)
        await told.wait()

    asyncio.run(serve())
    assert capfd.readouterr().err == "starting\nstate\n"


def test_first_error_of_nested_groups_is_found():
    """The others followed from it."""
    inner = KeyError("why")
    assert process.first_error(ExceptionGroup("a", [ExceptionGroup("b", [inner]), ValueError()])) is inner
