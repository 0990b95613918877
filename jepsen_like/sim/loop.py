"""A seeded event loop on virtual time.

The same member code that runs on asyncio and uvloop runs here: nothing waits, nothing depends on the machine, and one
seed gives one order of events. Unlike asyncio's, its tasks and futures are hashed by a counter of the loop, because sets of
them are iterated (`asyncio.wait`, TaskGroup) and an address-based hash would give each run another order. Callbacks of one
process keep the order asyncio promises; which process goes first at one instant is the schedule's choice. Source:
spec/faults.md §3c. Hot path: `_run_once` costs what a simulated second costs.
"""

from __future__ import annotations

import asyncio
import heapq
import traceback
from asyncio import base_events, events
from collections.abc import Callable, Sequence
from typing import Any

from jepsen_like.sim.network import Network
from jepsen_like.sim.process import LIFE, NOWHERE, Life
from jepsen_like.sim.streams import Streams

FIFO = "fifo"
"""As asyncio runs them."""

SHUFFLE = "shuffle"
"""Processes that have something to do at one instant go in a new random order each time."""

PCT = "pct"
"""Each process has a priority, and at a few random points of the run all are dealt anew (Burckhardt et al., 2010)."""

SCHEDULES = (FIFO, SHUFFLE, PCT)

START_S = 1000.0
"""The loop's time when a run begins: not zero, so that a forgotten start value shows."""

ROUNDS_PER_INSTANT_MAX = 20_000
"""Rounds of the loop at one instant; the busiest scenarios need some hundred."""

EVENTS_PER_DEAL = 20_000
"""Events between two deals of priorities under PCT, on average."""


class Deadlock(RuntimeError):
    """Nothing is runnable and no timer is set."""


class Livelock(RuntimeError):
    """Callbacks go on arming callbacks while time stands still: a real loop would burn a processor."""


class CountedTask(asyncio.Task[Any]):
    """A task whose hash is its number on its loop."""

    def __init__(self, coro: Any, *, loop: VirtualLoop, **kwargs: Any) -> None:
        # Before the base class: it puts the task in a set.
        self._number = loop.next_number()
        self.life = kwargs["context"].get(LIFE) if kwargs.get("context") is not None else LIFE.get()
        super().__init__(coro, loop=loop, **kwargs)

    def __hash__(self) -> int:
        return self._number


class CountedFuture(asyncio.Future[Any]):
    """A future whose hash is its number on its loop."""

    def __init__(self, *, loop: VirtualLoop) -> None:
        self._number = loop.next_number()
        super().__init__(loop=loop)

    def __hash__(self) -> int:
        return self._number


class VirtualLoop(base_events.BaseEventLoop):
    """Time jumps to the next timer when nothing is due.

    Args:
        seed: of every stream of the run.
        schedule: who goes first when several processes have something to do at one instant.
        grain_s: timers of one grain come due together at its end, as on a machine that was busy until then.
    """

    def __init__(self, seed: int, *, schedule: str = FIFO, grain_s: float = 0.0) -> None:
        super().__init__()
        assert schedule in SCHEDULES
        self.seed = seed
        self.streams = Streams(seed)
        self.random = self.streams.get("loop")
        self.now_s = START_S
        """Virtual time; `time()` is what the running process makes of it."""
        self.life: Life | None = None
        """The process whose callback runs."""
        self.events_total = 0
        self.callback_errors: list[str] = []
        """What callbacks raised: a real loop would log it and nobody would be told."""
        self.graveyard: list[Any] = []
        """Tasks of processes that were killed: kept, because dropping them would run their clean-up."""
        self.journal: list[tuple[float, int, int]] | None = None
        """Set to a list to find where two runs part: (time, callbacks, bytes' checksum) of every round."""
        self.timers: list[tuple[float, int, Any]] = []
        self._sequence = 0
        self._number = 0
        self._trace = 0
        self._rounds = 0
        self._schedule = schedule
        self._order = self.streams.get("schedule")
        self._deal_at = 0
        self._grain_s = grain_s
        self.network = Network(self)
        self.set_task_factory(lambda loop, coro, **kwargs: CountedTask(coro, loop=self, **kwargs))

    def __del__(self) -> None:
        """Nothing to close: it holds no file, socket or thread, and asyncio's warning of one left open means nothing here."""

    def trace_hash(self) -> str:
        """Names everything that happened so far: when callbacks ran and what was sent. Tuples of numbers hash alike everywhere."""
        return f"{hash((self._trace, self.events_total, self.network.checksum)) & (1 << 64) - 1:016x}"

    def next_number(self) -> int:
        """The number of a new task or future."""
        self._number += 1
        return self._number

    def call_exception_handler(self, context: dict[str, Any]) -> None:
        """Remembers errors of callbacks; `simulate` fails with them."""
        if self.is_closed() or self.life is not None and self.life.over:
            # A process that ended inside one of its own callbacks, or a future that dies after its run: nobody is left to be told.
            return
        if context.get("exception") is not None and ("handle" in context or "callback" in context.get("message", "")):
            self.callback_errors.append("".join(traceback.format_exception(context["exception"])))
        super().call_exception_handler(context)

    # Time and callbacks.

    def time(self) -> float:
        """Monotonic time as the running process sees it."""
        life = self.life
        return self.now_s if life is None or not life.skewed else life.local_s(self.now_s)

    def create_future(self) -> asyncio.Future[Any]:
        """A future with a number."""
        return CountedFuture(loop=self)

    def call_soon(  # type: ignore[override]  # typeshed ties the arguments to the callback
        self, callback: Callable[..., Any], *args: Any, context: Any = None
    ) -> asyncio.Handle:
        """In this process's order, at this instant."""
        handle = events.Handle(callback, args, self, context)
        vars(self)["_ready"].append(handle)
        return handle

    def call_at(  # type: ignore[override]  # as call_soon
        self, when: float, callback: Callable[..., Any], *args: Any, context: Any = None
    ) -> asyncio.TimerHandle:
        """At a moment of the running process's clock."""
        handle = asyncio.TimerHandle(when, callback, args, self, context)
        life = self.life
        self._sequence += 1
        # NB: a nanosecond late, so that the process's own clock has certainly reached the moment it asked for.
        real_s = when if life is None or not life.skewed else life.real_s(when) + 1e-9
        heapq.heappush(self.timers, (real_s, self._sequence, handle))
        handle._scheduled = True  # type: ignore[attr-defined]
        return handle

    def push(self, when: float, handle: Any) -> None:
        """Has a handle of the network's own run at a moment of virtual time."""
        self._sequence += 1
        heapq.heappush(self.timers, (when, self._sequence, handle))

    def _timer_handle_cancelled(self, handle: asyncio.TimerHandle) -> None:
        """Cancelled timers are skipped when they come up."""

    def call_soon_threadsafe(  # type: ignore[override]  # as call_soon
        self, callback: Callable[..., Any], *args: Any, context: Any = None
    ) -> asyncio.Handle:
        """Refused."""
        raise AssertionError("a simulated member has no threads")

    def run_in_executor(self, executor: Any, func: Any, *args: Any) -> Any:  # type: ignore[override]  # as call_soon
        """Refused."""
        raise AssertionError("a simulated member has no threads")

    def _process_events(self, event_list: Any) -> None:
        """There is no selector."""

    def _write_to_self(self) -> None:
        """There is no selector."""

    def _run_once(self) -> None:
        ready: Any = vars(self)["_ready"]
        timers = self.timers
        if not ready:
            self._jump()
        self._rounds += 1
        if self._rounds > ROUNDS_PER_INSTANT_MAX:
            raise Livelock(f"{ROUNDS_PER_INSTANT_MAX} rounds at {self.now_s:.6f}: {[str(handle) for handle in ready][:5]}")
        now_s = self.now_s
        while timers and timers[0][0] <= now_s:
            handle = heapq.heappop(timers)[2]
            if not handle._cancelled:
                ready.append(handle)
        batch: Sequence[Any] = list(ready)
        ready.clear()
        if len(batch) > 1 and self._schedule is not FIFO:
            batch = self._arranged(batch)
        self._trace = hash((self._trace, now_s, len(batch)))
        if self.journal is not None:
            self.journal.append((now_s, len(batch), self.network.checksum))
        for handle in batch:
            if handle._cancelled:
                continue
            life = handle._context.get(LIFE)
            if life is not None:
                if life.over:
                    continue
                if life.paused:
                    life.due.append(handle)
                    continue
            self.life = life
            self.events_total += 1
            handle._run()
            if life is not None and life.probe is not None:
                life.probe()
        self.life = None

    def _jump(self) -> None:
        """Nothing is due: on to the next timer."""
        timers = self.timers
        while timers and timers[0][2]._cancelled:
            heapq.heappop(timers)
        if not timers:
            if vars(self)["_stopping"]:
                return
            raise Deadlock("nothing is runnable and no timer is set")
        when = timers[0][0]
        if when > self.now_s:
            grain_s = self._grain_s
            self.now_s = max(when, (when // grain_s + 1) * grain_s) if grain_s else when
            self._rounds = 0

    def _arranged(self, batch: Sequence[Any]) -> Sequence[Any]:
        """The handles by process, each process's in the order they came."""
        queues: dict[Any, list[Any]] = {}
        for handle in batch:
            queues.setdefault(handle._context.get(LIFE), []).append(handle)
        if len(queues) < 2:
            return batch
        lives = list(queues)
        if self._schedule == SHUFFLE:
            order: list[Any] = [life for life, handles in queues.items() for _ in handles]
            self._order.shuffle(order)
            waiting = {life: iter(handles) for life, handles in queues.items()}
            return [next(waiting[life]) for life in order]
        if self.events_total >= self._deal_at:
            self._deal_at = self.events_total + self._order.randint(1, 2 * EVENTS_PER_DEAL)
            for life in lives:
                if life is not None:
                    life.rank = self._order.random()
        lives.sort(key=lambda life: 0.5 if life is None else life.rank)
        return [handle for life in lives for handle in queues[life]]

    def run_forever(self) -> None:
        """Until `stop`."""
        self._check_running()  # type: ignore[attr-defined]
        events._set_running_loop(self)
        self._thread_id = 1
        try:
            while True:
                self._run_once()
                if vars(self)["_stopping"]:
                    break
        finally:
            self.life = None
            self._stopping = False
            vars(self)["_thread_id"] = None
            events._set_running_loop(None)

    def _check_thread(self) -> None:
        """There is one thread."""

    # Processes.

    def bury(self, life: Life) -> None:
        """Nothing of this process runs again, not even its clean-up."""
        life.over = True
        life.due.clear()
        life.arrived.clear()
        self.graveyard += [task for task in asyncio.all_tasks(self) if getattr(task, "life", None) is life]

    def resume(self, life: Life) -> None:
        """Ends a pause: what came due and what arrived meanwhile runs now, one before the other as the seed says."""
        life.paused = False
        due, life.due = life.due, []
        arrived, life.arrived = life.arrived, []
        ready = vars(self)["_ready"]
        timers_first = self.random.random() < 0.5
        if timers_first:
            ready.extend(due)
        life.unread += len(arrived)
        for callback in arrived:
            self.call_soon(_read_late, life, callback, context=NOWHERE)
        if not timers_first:
            ready.extend(due)

    # Sockets.

    async def create_server(self, protocol_factory: Any, host: Any = None, port: Any = None, **kwargs: Any) -> Any:
        """A listener of the running code's machine."""
        return self.network.listen(protocol_factory, str(host), int(port or 0))

    async def create_connection(self, protocol_factory: Any, host: Any = None, port: Any = None, **kwargs: Any) -> Any:
        """A connection from the running code's machine."""
        return await self.network.connect(protocol_factory, str(host), int(port or 0))


def _read_late(life: Life, callback: Callable[[], None]) -> None:
    """What came during a pause is read."""
    life.unread -= 1
    callback()
