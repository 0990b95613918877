"""What leaves the simulation raises with the call site, and is whole again afterwards."""

from __future__ import annotations

import _random
import _thread
import contextlib
import datetime
import gc
import io
import linecache
import locale
import os
import pathlib
import platform
import queue
import random
import secrets
import select
import selectors
import signal
import socket
import sqlite3
import ssl
import subprocess
import sys
import tempfile
import threading
import time
import traceback
import uuid
import warnings
from collections.abc import Callable
from datetime import date as stolen_date
from datetime import datetime as stolen_datetime

import pytest

from jepsen_like.sim.escapes import EscapedSimulation, quiet_collection, refused

WAYS: dict[str, Callable[[], object]] = {
    "time": lambda: time.time(),
    "monotonic": lambda: time.monotonic(),
    "perf_counter_ns": lambda: time.perf_counter_ns(),
    "process_time_ns": lambda: time.process_time_ns(),
    "thread_time": lambda: time.thread_time(),
    "thread_time_ns": lambda: time.thread_time_ns(),
    "clock_gettime": lambda: time.clock_gettime(0),
    "clock_gettime_ns": lambda: time.clock_gettime_ns(0),
    "localtime": lambda: time.localtime(),
    "gmtime": lambda: time.gmtime(),
    "ctime": lambda: time.ctime(),
    "asctime": lambda: time.asctime(),
    "strftime": lambda: time.strftime("%s"),
    "sleep": lambda: time.sleep(0),
    "os.times": lambda: os.times(),
    "datetime.now": lambda: datetime.datetime.now(),
    "datetime.now(tz)": lambda: datetime.datetime.now(datetime.UTC),
    "datetime.utcnow": lambda: datetime.datetime.utcnow(),
    "datetime.today": lambda: datetime.datetime.today(),
    "date.today": lambda: datetime.date.today(),
    "random": lambda: random.random(),
    "random.choice": lambda: random.choice([1]),
    "random.randbytes": lambda: random.randbytes(1),
    "Random()": lambda: random.Random(),
    "SystemRandom.random": lambda: random.SystemRandom().random(),
    "SystemRandom.randbytes": lambda: random.SystemRandom().randbytes(1),
    "urandom": lambda: os.urandom(1),
    "getpid": lambda: random.Random(os.getpid()).random(),
    "uuid1": lambda: uuid.uuid1(),
    "uuid4": lambda: uuid.uuid4(),
    "token_bytes": lambda: secrets.token_bytes(1),
    "token_urlsafe": lambda: secrets.token_urlsafe(1),
    "randbits": lambda: secrets.randbits(1),
    "Thread.start": lambda: threading.Thread(target=print).start(),
    "start_new_thread": lambda: _thread.start_new_thread(print, ()),
    "open": lambda: open(__file__),  # noqa: SIM115  it is never opened
    "open w": lambda: open(os.devnull, "w"),  # noqa: SIM115
    "io.open": lambda: io.open(__file__),  # noqa: SIM115, UP020
    "os.open": lambda: os.open(__file__, os.O_RDONLY),
    "pathlib": lambda: pathlib.Path(__file__).read_text(),
    "iterdir": lambda: list(pathlib.Path(__file__).parent.iterdir()),
    "listdir": lambda: os.listdir("."),
    "scandir": lambda: os.scandir("."),
    "stat": lambda: os.stat(__file__).st_atime,
    "mkstemp": lambda: tempfile.mkstemp(),
    "socket": lambda: socket.socket(),
    "getaddrinfo": lambda: socket.getaddrinfo("127.0.0.1", 1),
    "select": lambda: select.select([], [], [], 0),
    "selector": lambda: selectors.DefaultSelector(),
    "Popen": lambda: subprocess.Popen(["true"]),
    "system": lambda: os.system("true"),
    "_random.Random()": lambda: _random.Random().random(),
    "_random.Random(None)": lambda: _random.Random(None).random(),
    "random._inst": lambda: random._inst.random(),
    "RAND_bytes": lambda: ssl.RAND_bytes(1),
    "sqlite3": lambda: sqlite3.connect(":memory:"),
    "pread": lambda: os.pread(0, 1, 0),
    "fstat": lambda: os.fstat(0),
    "access": lambda: os.access(".", os.R_OK),
    "readlink": lambda: os.readlink("/proc/self/exe"),
    "statvfs": lambda: os.statvfs("."),
    "getcwd": lambda: os.getcwd(),
    "chdir": lambda: os.chdir("."),
    "pipe2": lambda: os.pipe2(0),
    "memfd_create": lambda: os.memfd_create("x"),
    "uname": lambda: os.uname(),
    "cpu_count": lambda: os.cpu_count(),
    "platform.node": lambda: platform.node(),
    "Event.wait": lambda: threading.Event().wait(0.001),
    "Queue.get": lambda: queue.Queue().get(timeout=0.001),
    "Semaphore": lambda: threading.Semaphore(0).acquire(timeout=0.001),
    "setlocale": lambda: locale.setlocale(locale.LC_ALL, "C"),
    "setitimer": lambda: signal.setitimer(signal.ITIMER_REAL, 1),
}
SITES = r"test_escapes\.py:\d+ in "
"""Ours, whatever of the standard library lies between."""


@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)
def test_way_out_raises_with_its_call_site(way: Callable[[], object]) -> None:
    """Nobody escapes unnoticed, and after the run everything works again."""
    real = datetime.datetime
    with refused(), pytest.raises(EscapedSimulation, match=SITES):
        way()
    assert datetime.datetime is real and isinstance(datetime.datetime.now(), real)
    assert time.time() > 0 and random.random() < 1 and len(os.urandom(2)) == 2 and uuid.uuid4() and gc.isenabled()
    assert os.listdir(".") and open(os.devnull).close() is None


def test_escape_that_is_caught_is_remembered() -> None:
    """`except Exception` makes no run valid."""
    with refused() as escaped, contextlib.suppress(Exception):
        time.time()
    assert [str(one).partition(" called at ")[0] for one in escaped] == ["time.time"]
    with refused() as escaped:
        pass
    assert not escaped


def test_run_in_which_an_escape_was_swallowed_is_invalid(monkeypatch: pytest.MonkeyPatch) -> None:
    from jepsen_like.sim import runs
    from jepsen_like.sim.faults.injector import Injector

    heal = Injector.heal

    def healed(self: Injector) -> None:
        with contextlib.suppress(Exception):
            os.getcwd()
        heal(self)

    monkeypatch.setattr(Injector, "heal", healed)
    result = runs.run(1, virtual_s=2.0)
    assert result.verdict == "invalid" and result.findings.kinds == ("EscapedSimulation",)
    assert "os.getcwd called at" in result.to_json()["reasons"][0] and "test_escapes.py" in result.to_json()["reasons"][0]


def test_what_only_converts_is_no_way_out() -> None:
    """Draws from named seeds, dates of given moments and dates compared are what a run lives on."""
    with refused():
        assert random.Random(1).random() == random.Random(1).random() == _random.Random(1).random()
        assert time.gmtime(0).tm_year == 1970 and time.strftime("%Y", time.gmtime(0)) == "1970"
        moment = datetime.datetime.fromtimestamp(0, datetime.UTC)
        assert moment.isoformat() == "1970-01-01T00:00:00+00:00" and datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC) == moment
        assert isinstance(moment, datetime.datetime) and isinstance(moment, datetime.date) and issubclass(type(moment), datetime.datetime)
    assert type(moment) is datetime.datetime


@pytest.mark.parametrize(
    ("stolen", "call"),
    [
        (time.monotonic, lambda stolen: stolen()),
        (time.clock_gettime, lambda stolen: stolen(0)),
        (time.localtime, lambda stolen: stolen()),
        (os.times, lambda stolen: stolen()),
        (stolen_datetime, lambda stolen: stolen.now()),
        (stolen_date, lambda stolen: stolen.today()),
        (open, lambda stolen: stolen(os.devnull)),
        (_thread.start_new_thread, lambda stolen: stolen(print, ())),
    ],
)
def test_names_imported_by_our_modules_are_refused_too(stolen, call) -> None:
    """`from time import monotonic` in a module of ours would else slip through."""
    import raftkv.clock as module

    module.__dict__["stolen"] = stolen
    try:
        with refused(), pytest.raises(EscapedSimulation, match=SITES):
            call(module.__dict__["stolen"])
        assert module.__dict__["stolen"] is stolen
    finally:
        del module.__dict__["stolen"]


def test_imports_and_tracebacks_read_files_during_a_run(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A module that is imported on its first use, and a finding's way to it, are no escapes; what the module's functions do later is."""
    text = "import os\nSIZE = os.stat(__file__).st_size\ndef later():\n    return open(__file__)\ndef wrong():\n    raise KeyError(1)\n"
    (tmp_path / "lazily_imported.py").write_text(text)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "lazily_imported", raising=False)
    linecache.clearcache()
    with refused():
        import lazily_imported  # type: ignore[import-not-found]

        assert len(text) == lazily_imported.SIZE
        try:
            lazily_imported.wrong()
        except KeyError:
            assert "raise KeyError(1)" in traceback.format_exc()
        with pytest.raises(EscapedSimulation, match=r"open called at .*lazily_imported\.py:4 in later"):
            lazily_imported.later()


def test_other_threads_go_on_meanwhile() -> None:
    """A debugger's or a runner's own thread is not simulated."""
    go, seen = threading.Event(), []
    thread = threading.Thread(target=lambda: (go.wait(10), seen.append((time.time(), datetime.datetime.now(), open(os.devnull).close()))))
    thread.start()
    with refused():
        go.set()
        thread.join()
    assert seen and seen[0][0] > 0


def test_tasks_that_never_began_are_collected_without_a_warning() -> None:
    """A process may be killed before its tasks' first step; the lines of its seed are all there is to say."""

    async def never() -> None: ...

    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        with quiet_collection():
            never()
            ring: list[object] = [never()]
            ring.append(ring)
            del ring
    assert not told
