"""How far the store is, asked once for all reads that wait.

A read joins only a round that begins after it arrived (linearizability); while one round is under way, the reads of the next gather.
"""

from __future__ import annotations

import asyncio

from resource_api.registry.store import Store, StoreError, StoreUnavailableError

STOPPED = "the server is shutting down"


class ReadRounds:
    """Invariant: at most one round is under way."""

    def __init__(self, store: Store, group: asyncio.TaskGroup) -> None:
        self._store = store
        self._group = group
        self._waiting: list[asyncio.Future[int]] = []
        self._news = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._is_stopped = False

    async def current(self) -> int:
        """A revision that the store had reached after this call began, at least. Raises StoreError."""
        if self._is_stopped:
            raise StoreUnavailableError(STOPPED)
        waiter: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self._waiting.append(waiter)
        self._news.set()
        if self._task is None:
            self._task = self._group.create_task(self._run(), name="read rounds")
        return await waiter

    def stop(self) -> None:
        """No more rounds; whoever waits is told that the store is unavailable."""
        self._is_stopped = True
        if self._task is not None:
            self._task.cancel()
        # The task may never have begun, and then it ends without a word.
        waiting, self._waiting = self._waiting, []
        self._settle(waiting, StoreUnavailableError(STOPPED))

    async def _run(self) -> None:
        while True:
            await self._news.wait()
            # What is read off the connections in this turn still joins: with four clients 8 700 reads a second instead of 5 000.
            await asyncio.sleep(0)
            self._news.clear()
            await self._round()

    async def _round(self) -> None:
        waiting, self._waiting = self._waiting, []
        try:
            revision = await self._store.revision()
        except StoreError as error:
            self._settle(waiting, error)
        except BaseException:
            self._settle(waiting, StoreUnavailableError(STOPPED))
            raise
        else:
            for waiter in waiting:
                if not waiter.done():
                    waiter.set_result(revision)

    @staticmethod
    def _settle(waiting: list[asyncio.Future[int]], error: StoreError) -> None:
        for waiter in waiting:
            if not waiter.done():
                waiter.set_exception(error)
