"""However a run against somebody else's servers ends, none of them is left stopped."""

from __future__ import annotations

import os
import pathlib
import selectors
import signal
import subprocess
import sys

import pytest

from jepsen_like.ending import in_order

VICTIM = """
import socket, time
with socket.create_server(("127.0.0.1", 0)) as server:
    print(server.getsockname()[1], flush=True)
    while True:
        time.sleep(3600)
"""

RUN = """
import asyncio, os, pathlib, random, sys
from jepsen_like import listeners, main
from jepsen_like.ending import in_order

class World:
    recorder = None
    def now_s(self):
        return 0.0
    async def sleep(self, seconds):
        if pathlib.Path(f"/proc/{sys.argv[1]}/stat").read_text().rpartition(")")[2].split()[0] == "T":
            print("stopped", flush=True)
            await asyncio.sleep(3600)

class Recorder:
    def now_ns(self):
        return 0
    def write(self, record):
        pass

World.recorder = Recorder()
listeners.GAP_S = listeners.HOLD_S = (0.0, 0.0)
pauses = listeners.Pauses(World(), {"n1": int(sys.argv[1])}, random.Random(1))
with in_order() as end:
    sys.exit(main._teaching(lambda: asyncio.run(pauses.run(1.0)), end))
"""


CAUGHT = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def state(pid: int) -> str:
    return pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]


@pytest.mark.parametrize(
    ("number", "status", "ignored"),
    [
        (signal.SIGINT, 130, ()),
        (signal.SIGTERM, 143, ()),
        (signal.SIGHUP, 129, ()),
        (signal.SIGTERM, 143, (signal.SIGINT,)),
        (signal.SIGKILL, -signal.SIGKILL, ()),
    ],
)
def test_run_that_is_ended_while_a_server_is_paused_continues_it(number, status, ignored):
    """In order by what can be caught, by the waker after kill -9; a script's background job ignores SIGINT."""
    with subprocess.Popen([sys.executable, "-ISc", VICTIM], stdout=subprocess.PIPE) as victim:
        try:
            assert victim.stdout is not None and victim.stdout.readline()
            # Whatever this process ignores itself, under nohup or in the background of a script.
            before = {one: signal.signal(one, signal.SIG_IGN if one in ignored else signal.SIG_DFL) for one in CAUGHT}
            try:
                run = subprocess.Popen([sys.executable, "-c", RUN, str(victim.pid)], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
            finally:
                for one, handler in before.items():
                    signal.signal(one, handler)
            with run:
                try:
                    assert run.stdout is not None
                    assert run.stdout.readline() == b"stopped\n", run.communicate()
                    assert state(victim.pid) == "T"
                    run.send_signal(number)
                    assert run.wait(20) == status, run.communicate()
                finally:
                    run.kill()
            _until_continued(victim.pid)
        finally:
            victim.kill()


def _until_continued(pid: int) -> None:
    """The waker is not our child; a pidfd would tell of ends only."""
    with selectors.DefaultSelector() as clock:
        for _ in range(500):
            if state(pid) != "T":
                return
            clock.select(0.02)
    raise AssertionError(f"{pid} is left stopped")


def test_second_signal_does_not_cut_the_cleaning_up_short():
    """`timeout` sends one to the process and one to its group."""
    with in_order() as end:
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGTERM)
        os.kill(os.getpid(), signal.SIGTERM)
        os.kill(os.getpid(), signal.SIGHUP)
        assert end.status == 143
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
