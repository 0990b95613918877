"""The work queue: a key with one worker at a time, once for any number of reasons, again after a failure (client-go's workqueue)."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable

from jepsen_like.sim.loop import VirtualLoop
from resource_api.controllers.queue import BACKOFF_MAX_S, BACKOFF_MIN_S, WorkQueue
from resource_api.errors import StatusError
from resource_api.registry.store import StoreUnavailableError


class Worked:
    """A queue whose work is written down: when it began and ended, by key."""

    def __init__(self, loop: VirtualLoop, *, takes_s: float = 0.0, fails: int = 0, error: Exception | None = None) -> None:
        self.queue = WorkQueue("test")
        self.began: list[tuple[float, str]] = []
        self.running: set[str] = set()
        self.most_running = 0
        self._loop = loop
        self._takes_s = takes_s
        self._fails = fails
        self._error = error or StatusError(500, "", "no")

    async def reconcile(self, key: str) -> None:
        assert key not in self.running
        self.running.add(key)
        self.most_running = max(self.most_running, len(self.running))
        self.began.append((round(self._loop.time(), 6), key))
        try:
            await asyncio.sleep(self._takes_s)
            if self._fails:
                self._fails -= 1
                raise self._error
        finally:
            self.running.discard(key)


def run(scenario: Callable[[Worked], Awaitable[None]], *, workers: int = 2, **options: object) -> Worked:
    """Plays it with so many workers; times count from the start."""
    loop = VirtualLoop(0)
    loop.now_s = 0.0
    worked = Worked(loop, **options)  # type: ignore[arg-type]

    async def body() -> None:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(worked.queue.work(worked.reconcile)) for _ in range(workers)]
            await scenario(worked)
            for task in tasks:
                task.cancel()

    loop.run_until_complete(body())
    assert not loop.callback_errors
    return worked


def test_key_added_often_is_worked_on_once():
    """Reasons that come together are one."""

    async def scenario(worked: Worked) -> None:
        for _ in range(5):
            worked.queue.add("a")
            worked.queue.add("b")
        await asyncio.sleep(10)
        assert worked.queue.idle

    assert run(scenario).began == [(0, "a"), (0, "b")]


def test_key_added_in_its_work_is_worked_on_once_more():
    """By nobody else meanwhile; what is seen after the work began is not missed."""

    async def scenario(worked: Worked) -> None:
        worked.queue.add("a")
        await asyncio.sleep(0.5)
        worked.queue.add("a")
        worked.queue.add("a")
        assert not worked.queue.idle
        await asyncio.sleep(10)

    worked = run(scenario, takes_s=1.0, workers=4)
    assert worked.began == [(0, "a"), (1, "a")]


def test_keys_are_worked_on_by_as_many_as_there_are():
    """Different keys do not wait for each other while a worker is free."""

    async def scenario(worked: Worked) -> None:
        for key in "abc":
            worked.queue.add(key)
        await asyncio.sleep(10)

    worked = run(scenario, takes_s=1.0, workers=2)
    assert worked.began == [(0, "a"), (0, "b"), (1, "c")]
    assert worked.most_running == 2


def test_failed_key_comes_back_later_and_later():
    """Twice the time after each failure in a row; a success forgets them."""

    async def scenario(worked: Worked) -> None:
        worked.queue.add("a")
        await asyncio.sleep(10)
        worked._fails = 1
        worked.queue.add("a")
        await asyncio.sleep(10)

    times = [when for when, _ in run(scenario, fails=3).began]
    waits = [round(after - before, 6) for before, after in zip(times[:3], times[1:4], strict=True)]
    assert waits == [BACKOFF_MIN_S, 2 * BACKOFF_MIN_S, 4 * BACKOFF_MIN_S]
    assert times[4:] == [10.0, 10.0 + BACKOFF_MIN_S]


def test_wait_after_failures_is_bounded():
    """However long something stays broken."""

    async def scenario(worked: Worked) -> None:
        worked.queue.add("a")
        await asyncio.sleep(2000)

    times = [when for when, _ in run(scenario, fails=10_000, error=StoreUnavailableError("down")).began]
    assert round(times[-1] - times[-2], 6) == BACKOFF_MAX_S


def test_reason_that_comes_before_the_retry_is_not_kept_waiting():
    """Something changed: perhaps it goes now."""

    async def scenario(worked: Worked) -> None:
        worked.queue.add_after("a", 50)
        await asyncio.sleep(1)
        worked.queue.add("a")
        await asyncio.sleep(100)

    assert run(scenario).began == [(1, "a")]


def test_first_of_several_times_counts():
    """A later wish does not put off an earlier one, and an earlier one is not put off by a later."""

    async def scenario(worked: Worked) -> None:
        worked.queue.add_after("a", 5)
        worked.queue.add_after("a", 50)
        worked.queue.add_after("b", 50)
        worked.queue.add_after("b", 5)
        await asyncio.sleep(100)

    assert run(scenario).began == [(5, "a"), (5, "b")]


def test_time_for_a_key_that_waits_already_adds_nothing():
    """It is worked on now."""

    async def scenario(worked: Worked) -> None:
        worked.queue.add("a")
        worked.queue.add_after("a", 5)
        await asyncio.sleep(100)

    assert run(scenario).began == [(0, "a")]


def test_stopped_worker_leaves_no_timer():
    """Nothing is left to do when the server stops."""

    async def scenario(worked: Worked) -> None:
        worked.queue.add_after("a", 5)
        await asyncio.sleep(1)
        assert worked.queue.describe() == "0 waiting, 0 in work, 1 later, 0 failing"

    worked = run(scenario)
    assert worked.queue.describe() == "0 waiting, 0 in work, 0 later, 0 failing"


def test_fault_in_a_reconcile_is_told_and_tried_again(reconcile_faults: list[logging.LogRecord]):
    """It ends neither the worker nor anybody else's work; who looks at the log or the metrics sees whose it was, and where."""

    async def scenario(worked: Worked) -> None:
        worked.queue.add("a")
        worked.queue.add("b")
        await asyncio.sleep(10)
        assert worked.queue.idle

    worked = run(scenario, fails=1, error=KeyError("spec"), workers=1)
    assert [key for _, key in worked.began] == ["a", "b", "a"]
    assert (worked.queue.faults, worked.queue.retries, worked.queue.adds) == (1, 1, 3)
    (record,) = reconcile_faults
    assert record.levelno == logging.ERROR
    assert record.exc_info
    assert record.fields == {"controller": "test", "key": "a", "error": "'spec'"}  # type: ignore[attr-defined]
    reconcile_faults.clear()


def test_failure_that_is_no_fault_is_not_counted_as_one():
    """A store that is away is nobody's programming error."""

    async def scenario(worked: Worked) -> None:
        worked.queue.add("a")
        await asyncio.sleep(10)

    worked = run(scenario, fails=3, error=StoreUnavailableError("down"))
    assert (worked.queue.faults, worked.queue.retries) == (0, 3)
