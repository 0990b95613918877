"""The loops that the transport must run on alike."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import pytest
import uvloop

from jepsen_like.sim.loop import VirtualLoop

Run = Callable[[Coroutine[Any, Any, Any]], Any]
LOOPS = {"asyncio": asyncio.new_event_loop, "uvloop": uvloop.new_event_loop, "virtual": lambda: VirtualLoop(1)}


def runner(name: str) -> Run:
    """Run a coroutine on a fresh loop; callbacks that failed fail the test."""

    def run(main: Coroutine[Any, Any, Any]) -> Any:
        loop = LOOPS[name]()
        failures: list[dict[str, Any]] = []
        loop.set_exception_handler(lambda _, context: failures.append(context))
        try:
            asyncio.set_event_loop(loop)
            # An hour of virtual time is nothing; of real time, 20 s is a hang.
            found = loop.run_until_complete(asyncio.wait_for(main, 1e6 if isinstance(loop, VirtualLoop) else 20))
        finally:
            if isinstance(loop, VirtualLoop):
                loop._thread_id = None  # Else it takes itself for running, and will not be closed.
            asyncio.set_event_loop(None)
            loop.close()
        assert not failures
        return found

    return run


@pytest.fixture(params=LOOPS)
def run(request: pytest.FixtureRequest) -> Run:
    """On each loop."""
    return runner(request.param)


@pytest.fixture(params=["asyncio", "uvloop"])
def run_real(request: pytest.FixtureRequest) -> Run:
    """On each loop that has the machine's sockets."""
    return runner(request.param)


@pytest.fixture
def run_virtual() -> Run:
    """Where hours pass at once."""
    return runner("virtual")
