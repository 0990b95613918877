"""What every server process of ours does around its server: signals, standard input, the loop, the limit of open files.

Owns signal handlers and process-wide switches. Knows nothing of what is served; says what it does through the logger it is given. For
process entries alone, on the main thread.

SIGTERM and SIGINT ask for an end in order, and so does the end of standard input where the process is attended; a second signal ends at
once. SIGUSR1 has the state written to standard error.
"""

from __future__ import annotations

import asyncio
import logging
import os
import resource
import signal
import sys
from collections.abc import Callable

STANDARD_INPUT = 0
INPUT_BYTES_MAX = 4096

SIGNAL_TEXTS = {signal.SIGTERM: "terminated", signal.SIGINT: "interrupt"}


class Ending:
    """The wish that a process ends: who had it, and whom it reaches.

    1. Before `started()` it cancels the task that called `listen()`: a start holds nothing that a cancellation could lose.
    2. After it, it wakes `wait()`, and cancels nothing.
    3. `asked_by` is set once, by the first signal.
    """

    def __init__(self, log: logging.Logger, *, at_once: Callable[[signal.Signals], int], attended: bool = False) -> None:
        """`at_once` gives the exit status of a process that a second signal ends, or ends it itself."""
        self.asked_by: signal.Signals | None = None
        """None while nothing asked; the end of standard input counts as SIGTERM."""
        self._log = log
        self._at_once = at_once
        self._attended = attended
        self._asked = asyncio.Event()
        self._task: asyncio.Task[object] | None = None
        self._describe: Callable[[], str] | None = None

    def listen(self) -> None:
        """Takes the signals of the process, and its standard input when it is attended. In the task that starts what is served."""
        self._task = asyncio.current_task()
        loop = asyncio.get_running_loop()
        for number in SIGNAL_TEXTS:
            loop.add_signal_handler(number, self._on_signal, number)
        loop.add_signal_handler(signal.SIGUSR1, self._on_dump_signal)
        if self._attended:
            loop.add_reader(STANDARD_INPUT, self._on_input)

    def started(self, describe: Callable[[], str]) -> None:
        """From here on the end is in order. `describe` tells the state for SIGUSR1."""
        self._describe = describe

    @property
    def has_started(self) -> bool:
        """Whether `started()` was called."""
        return self._describe is not None

    async def wait(self) -> None:
        """Returns when somebody has asked for the end."""
        await self._asked.wait()

    def _on_signal(self, number: signal.Signals) -> None:
        fields = {"fields": {"signal": SIGNAL_TEXTS[number]}}
        if self.asked_by is not None:
            self._log.warning("received a second signal; ending without draining", extra=fields)
            logging.shutdown()
            os._exit(self._at_once(number))
        self.asked_by = number
        self._log.info("received signal; shutting down", extra=fields)
        if self.has_started:
            self._asked.set()
        elif self._task is not None:
            self._task.cancel()

    def _on_input(self) -> None:
        """Whoever started this process holds the other end: what it writes means nothing, its end is a wish to stop."""
        try:
            ended = not os.read(STANDARD_INPUT, INPUT_BYTES_MAX)
        except OSError:
            ended = True
        if ended:
            asyncio.get_running_loop().remove_reader(STANDARD_INPUT)
            self._log.info("standard input has ended, and with it who started this server")
            if self.asked_by is None:
                self._on_signal(signal.SIGTERM)

    def _on_dump_signal(self) -> None:
        text = self._describe() if self._describe is not None else "starting"
        sys.stderr.write(text.rstrip("\n") + "\n")
        sys.stderr.flush()


def has_assertions(program: str) -> bool:
    """False, and a line on standard error, under `python -O`: guards of our own reasoning are assertions."""
    if not __debug__:
        print(f"{program}: refuses to run under `python -O`: its guards are assertions", file=sys.stderr)
    return __debug__


def raise_descriptor_limit(log: logging.Logger) -> None:
    """Raises the soft limit of open files to the hard one, as Go does for its programs: each connection is a descriptor."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
        except (OSError, ValueError) as exc:
            log.warning("cannot raise the limit of open files", extra={"fields": {"limit": soft, "error": str(exc)}})


def loop_factory() -> Callable[[], asyncio.AbstractEventLoop]:
    """uvloop's loop where it is installed, asyncio's elsewhere."""
    try:
        import uvloop
    except ImportError:
        return asyncio.new_event_loop
    factory: Callable[[], asyncio.AbstractEventLoop] = uvloop.new_event_loop
    return factory


def first_error(error: BaseException) -> BaseException:
    """The first failure inside a group of them; the others followed from it."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error
