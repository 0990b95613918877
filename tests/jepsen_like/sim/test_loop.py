"""The virtual loop: order, time, pauses, and the processes that end without their clean-up."""

from __future__ import annotations

import asyncio
import contextvars
from typing import Any

import pytest

from jepsen_like.sim.cluster import virtual_time
from jepsen_like.sim.loop import FIFO, PCT, SHUFFLE, Deadlock, Livelock, VirtualLoop
from jepsen_like.sim.process import HOST, LIFE, Life


def _process(loop: VirtualLoop, name: str, coroutine: Any) -> Life:
    life, context = Life(), contextvars.copy_context()
    context.run(LIFE.set, life)
    context.run(HOST.set, name)
    loop.create_task(coroutine, context=context)
    return life


def _order(seed: int, schedule: str) -> list[str]:
    """Five processes with three callbacks each, all at one instant."""
    ran: list[str] = []

    async def process(name: str) -> None:
        for step in range(3):
            ran.append(f"{name}{step}")
            await asyncio.sleep(0)

    with virtual_time(VirtualLoop(seed, schedule=schedule)) as loop:
        for name in "abcde":
            _process(loop, name, process(name))
        loop.run_until_complete(asyncio.sleep(1))
        loop.close()
    return ran


@pytest.mark.parametrize("schedule", [FIFO, SHUFFLE, PCT])
def test_schedule_keeps_each_process_in_order(schedule: str) -> None:
    """asyncio promises an order inside a process; between processes there is none."""
    for seed in range(5):
        ran = _order(seed, schedule)
        assert [text for text in ran if text[0] == "c"] == ["c0", "c1", "c2"]
        assert ran == _order(seed, schedule)


def test_schedule_differs_by_seed_unless_it_is_fifo() -> None:
    """FIFO is what asyncio does; the others explore."""
    assert len({tuple(_order(seed, FIFO)) for seed in range(5)}) == 1
    assert len({tuple(_order(seed, SHUFFLE)) for seed in range(5)}) > 1
    assert len({tuple(_order(seed, PCT)) for seed in range(5)}) > 1


def test_clock_of_a_process_runs_at_its_rate() -> None:
    """A process with a fast clock sleeps less of true time, and wakes when its own clock says so."""
    woke: list[tuple[float, float]] = []

    async def sleeper(life: list[Life]) -> None:
        loop = asyncio.get_running_loop()
        assert isinstance(loop, VirtualLoop)
        life[0].set_rate(1.25, loop.now_s)
        started_s, true_s = loop.time(), loop.now_s
        await asyncio.sleep(10)
        woke.append((loop.time() - started_s, loop.now_s - true_s))

    with virtual_time(VirtualLoop(1)) as loop:
        box: list[Life] = []
        box.append(_process(loop, "a", sleeper(box)))
        loop.run_until_complete(asyncio.sleep(20))
        loop.close()
    ((own_s, true_s),) = woke
    assert own_s >= 10 and abs(own_s - 10) < 1e-6 and abs(true_s - 8) < 1e-6


def test_buried_process_runs_nothing_more() -> None:
    """kill -9: no `finally`, no timer."""
    ran: list[str] = []

    async def process() -> None:
        try:
            await asyncio.sleep(1)
            ran.append("woke")
        finally:
            ran.append("cleaned up")

    with virtual_time(VirtualLoop(1)) as loop:
        life = _process(loop, "a", process())
        loop.run_until_complete(asyncio.sleep(0.5))
        loop.bury(life)
        loop.run_until_complete(asyncio.sleep(2))
        assert ran == [] and len(loop.graveyard) == 1
        for task in loop.graveyard:
            task._log_destroy_pending = False
        loop.close()


def test_loop_without_anything_to_do_is_a_deadlock() -> None:
    """A run that hangs ends at once, with a name."""

    async def waits() -> None:
        await asyncio.get_running_loop().create_future()

    with virtual_time(VirtualLoop(1)) as loop, pytest.raises(Deadlock):
        loop.run_until_complete(waits())


def test_loop_that_turns_without_time_passing_is_a_livelock() -> None:
    """A real loop would burn a processor."""

    async def spins() -> None:
        while True:  # noqa: ASYNC110 - that is the fault
            await asyncio.sleep(0)

    with virtual_time(VirtualLoop(1)) as loop, pytest.raises(Livelock):
        loop.run_until_complete(spins())


def test_future_that_dies_after_its_run_says_nothing(caplog: pytest.LogCaptureFixture) -> None:
    """What a dropped process left unread is no news, and would stand between the lines of the seeds."""
    loop = VirtualLoop(1)
    read, unread = loop.create_future(), loop.create_future()
    for future in (read, unread):
        future.set_exception(KeyError("left behind"))
    del read
    assert "exception was never retrieved" in caplog.text
    caplog.clear()
    loop.close()
    del future, unread
    assert not caplog.records
