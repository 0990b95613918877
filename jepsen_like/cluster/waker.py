"""A process of its own that continues others when the one that may have stopped them is gone, by whatever end.

Runs as a file, without the package, so that it is there in a few milliseconds: `python -IS waker.py PID...`, standard input a pipe of
which the run holds the other end. No signal tells of a kill -9; that the pipe ends does.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

END_WITHIN_S = 5.0


def born(pid: int) -> str:
    """When the process began, in the kernel's ticks since boot; empty when there is none. Numbers are used again, pairs are not."""
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as stat:
            return stat.read().rpartition(")")[2].split()[19]
    except OSError:
        return ""


@contextmanager
def waking(pids: Iterable[int]) -> Iterator[None]:
    """However the block ends, kill -9 of this process included, these processes are not left stopped."""
    command = [sys.executable, "-IS", __file__, *map(str, pids)]
    # A session of its own: what is sent to the run's group, as Ctrl-C is, is not for it.
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True) as process:
        assert process.stdin is not None and process.stdout is not None
        try:
            process.stdout.readline()
            yield
        finally:
            process.stdin.close()
            process.wait(END_WITHIN_S)


def main() -> None:
    """Waits for the end of the input, then continues all that still are who they were."""
    members = {int(text): born(int(text)) for text in sys.argv[1:]}
    print("ready", flush=True)
    while os.read(sys.stdin.fileno(), 4096):
        pass
    for pid, birth in members.items():
        if birth and born(pid) == birth:
            try:
                os.kill(pid, signal.SIGCONT)
            except OSError as exc:
                print(f"{pid} cannot be continued: {exc}", file=sys.stderr)


if __name__ == "__main__":
    main()
