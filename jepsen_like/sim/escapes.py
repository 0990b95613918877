"""What would leave the simulation raises while a run is on: real time, threads, files, sockets, processes, other randomness.

Owns the list of ways out and puts everything back afterwards. Three means, since none reaches all: functions are replaced where they
stand and in every module of ours that imported them; the classes of `datetime`, which cannot be changed in place, have stand-ins; and what
the interpreter itself tells of (files, threads, sockets, processes) is refused wherever it comes from. What imports a module, shows a
traceback or watches the run as a debugger does may go on. Logging asks for the time of its records and gets virtual time. The collector
runs at the run's end only: when it runs decides when finalizers do. Source: spec/faults.md §3c (6); PEP 578.

Whoever catches the error has escaped all the same: the block's list has every escape, and a run with one is invalid.

Not refused, because the interpreter offers no place to: methods of types written in C, of which locks (`Lock.acquire`, `Thread.join`,
which waits for one, and `SimpleQueue.get`), generators and open files that were made before the run are the ones that matter; what
is called through `ctypes` or by a library in C without telling the interpreter; and the same functions taken from `posix`, by which
modules are imported.
"""

from __future__ import annotations

import _random
import _thread
import asyncio
import gc
import locale
import os
import platform
import random
import secrets
import select
import selectors
import signal
import socket
import ssl
import subprocess
import sys
import threading
import time
import uuid
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

from jepsen_like.sim import dates

OURS = ("raftkv", "jepsen_like", "resource_api", "random", "uuid", "secrets")
"""Packages whose own names for the ways out are replaced as well."""

ONLOOKERS = frozenset(
    ("importlib", "_frozen_importlib", "_frozen_importlib_external", "zipimport", "linecache", "traceback", "warnings", "coverage")
    + ("bdb", "pdb", "pydevd", "_pydevd_bundle", "_pydev_bundle", "debugpy")
)
"""Packages that read files, and what else they like, on behalf of the interpreter or of whoever looks on."""

FUNCTIONS: tuple[tuple[Any, tuple[str, ...]], ...] = (
    (time, ("time", "time_ns", "monotonic", "monotonic_ns", "perf_counter", "perf_counter_ns", "process_time", "process_time_ns")),
    (time, ("thread_time", "thread_time_ns", "clock_gettime", "clock_gettime_ns", "sleep", "pthread_getcpuclockid")),
    (random, ("random", "randint", "randrange", "choice", "choices", "shuffle", "sample", "uniform", "getrandbits", "seed", "expovariate")),
    (random, ("randbytes", "triangular", "betavariate", "gammavariate", "gauss", "lognormvariate", "normalvariate", "vonmisesvariate")),
    (random, ("paretovariate", "weibullvariate", "getstate", "setstate")),
    (os, ("urandom", "getrandom", "fork", "posix_spawn", "system", "popen", "fsync", "fdatasync", "sync", "times", "getpid", "getppid")),
    (os, ("getloadavg", "wait", "waitpid", "kill", "pipe", "pipe2", "eventfd", "memfd_create", "openpty", "mkfifo", "sendfile")),
    (os, ("read", "readv", "pread", "preadv", "write", "writev", "pwrite", "pwritev", "lseek", "ftruncate", "posix_fallocate", "isatty")),
    (os, ("stat", "lstat", "fstat", "statvfs", "fstatvfs", "access", "readlink", "getcwd", "getcwdb", "chdir", "fchdir", "umask")),
    (os, ("uname", "cpu_count", "sched_getaffinity", "sched_yield", "getlogin", "get_terminal_size")),
    (time, ("tzset",)),
    (locale, ("setlocale",)),
    (platform, ("node", "uname", "platform", "version", "release", "processor", "libc_ver")),
    (ssl, ("RAND_bytes", "RAND_add")),
    (_thread, ("start_new_thread", "start_new")),
    (uuid, ("uuid1", "uuid4", "getnode")),
    (secrets, ("token_bytes", "token_hex", "token_urlsafe", "randbelow", "randbits", "choice")),
    (socket, ("socketpair", "create_connection", "create_server", "getaddrinfo", "gethostbyname", "gethostname")),
    (select, ("select", "poll", "epoll")),
    (signal, ("setitimer", "alarm", "pause", "sigwait", "sigwaitinfo", "sigtimedwait", "raise_signal")),
)
DEFAULTS: dict[str, int] = {"localtime": 0, "gmtime": 0, "ctime": 0, "asctime": 0, "strftime": 1}
"""Functions of `time` that only convert, unless they are called with no more arguments than this: then they take the present."""

METHODS: tuple[tuple[type, str], ...] = (
    (threading.Thread, "start"),
    (threading.Condition, "wait"),
    (threading.Event, "wait"),
    (socket.socket, "__init__"),
    (subprocess.Popen, "__init__"),
    (selectors.SelectSelector, "__init__"),
    (selectors.PollSelector, "__init__"),
    (selectors.EpollSelector, "__init__"),
    (random.SystemRandom, "random"),
    (random.SystemRandom, "getrandbits"),
    (random.SystemRandom, "randbytes"),
)

EVENTS = frozenset(
    ("fcntl.flock", "fcntl.lockf", "glob.glob", "mmap.__new__", "open", "os.chmod", "os.exec", "os.fork")
    + ("os.forkpty", "os.kill", "os.killpg", "os.link", "os.listdir", "os.mkdir", "os.posix_spawn", "os.remove", "os.rename", "os.rmdir")
    + ("os.scandir", "os.spawn", "os.symlink", "os.system", "os.truncate", "os.utime", "socket.__new__", "socket.bind", "socket.connect")
    + ("socket.getaddrinfo", "socket.gethostbyaddr", "socket.gethostbyname", "socket.gethostname", "socket.getnameinfo", "socket.sendmsg")
    + ("socket.sendto", "sqlite3.connect", "subprocess.Popen", "tempfile.mkdtemp", "tempfile.mkstemp", "time.sleep")
)
"""What the interpreter tells of, whoever does it: Python, a library in C, a function that was imported before the run."""


class EscapedSimulation(RuntimeError):
    """Simulated code reached for something real; the text names what, and the call site."""


class _Guard:
    """Who is held: one thread, below one frame. None while nothing runs."""

    __slots__ = ("below", "escapes", "thread")

    def __init__(self) -> None:
        self.thread = 0
        self.below: FrameType | None = None
        self.escapes: list[EscapedSimulation] = []

    def check(self, what: str, frame: FrameType | None) -> None:
        """Raises EscapedSimulation, with the nearest call site outside the standard library, unless an onlooker asks."""
        assert frame is not None
        site, found = frame, False
        while frame is not None and frame is not self.below:
            if frame.f_globals.get("__name__", "").partition(".")[0] in ONLOOKERS:
                return
            if not found and not _is_of_python(frame.f_code.co_filename):
                site, found = frame, True
            frame = frame.f_back
        escape = EscapedSimulation(f"{what} called at {site.f_code.co_filename}:{site.f_lineno} in {site.f_code.co_qualname}")
        self.escapes.append(escape)
        raise escape


_LIBRARY = os.path.dirname(os.__file__) + os.sep
_PACKAGES = tuple(f"{_LIBRARY}{name}{os.sep}" for name in ("site-packages", "dist-packages"))


def _is_of_python(file: str) -> bool:
    return file.startswith("<frozen ") or (file.startswith(_LIBRARY) and not file.startswith(_PACKAGES))


_GUARD = _Guard()


def _on_event(event: str, _arguments: tuple[Any, ...]) -> None:
    if event in EVENTS and _GUARD.thread and threading.get_ident() == _GUARD.thread:
        _GUARD.check(event, sys._getframe(1))


def _refusal(name: str, original: Callable[..., Any], converts: int = -1) -> Callable[..., Any]:
    """The function's stand-in; with more arguments than `converts`, if that is not negative, it is the function."""

    def refuse(*args: Any, **kwargs: Any) -> Any:
        if threading.get_ident() != _GUARD.thread or len(args) > converts >= 0:
            return original(*args, **kwargs)
        frame = sys._getframe(1)
        if frame.f_globals.get("__name__", "") == "logging":
            return _virtual_s() if name == "time.time" else original(*args, **kwargs)
        _GUARD.check(name, frame)
        return original(*args, **kwargs)

    return refuse


def _virtual_s() -> float:
    from jepsen_like.sim.loop import VirtualLoop

    loop = asyncio.events._get_running_loop()
    return loop.now_s if isinstance(loop, VirtualLoop) else 0.0


def _present(name: str) -> None:
    if threading.get_ident() == _GUARD.thread:
        _GUARD.check(name, sys._getframe(2))


def _seed(original: Callable[..., None]) -> Callable[..., None]:
    """Generators without a seed take one from the machine."""

    def seed(self: random.Random, a: Any = None, version: int = 2) -> None:
        if a is None and threading.get_ident() == _GUARD.thread:
            _GUARD.check("random.Random() without a seed", sys._getframe(1))
        original(self, a, version)

    return seed


def _unseeded(original: Callable[..., Any]) -> Callable[..., Any]:
    """The generator beneath Python's, which without a seed takes one from the machine."""

    def generator(*args: Any) -> Any:
        if (not args or args[0] is None) and threading.get_ident() == _GUARD.thread:
            _GUARD.check("_random.Random() without a seed", sys._getframe(1))
        return original(*args)

    return generator


class _Closed:
    """Stands for an object of which every use is a way out."""

    def __init__(self, name: str, original: Any) -> None:
        self._name, self._original = name, original

    def __getattr__(self, attribute: str) -> Any:
        if threading.get_ident() == _GUARD.thread:
            _GUARD.check(f"{self._name}.{attribute}", sys._getframe(1))
        return getattr(self._original, attribute)


_hooked = False


def _hook() -> None:
    """A hook stays for the life of the process: there is one, and outside a run it does nothing."""
    global _hooked
    if not _hooked:
        _hooked = True
        sys.addaudithook(_on_event)


@contextmanager
def refused() -> Iterator[list[EscapedSimulation]]:
    """While the block runs, in this thread, every way out raises EscapedSimulation. The collector rests.

    The block gets the list of those that were raised, whoever caught them.
    """
    assert not _GUARD.thread, "one simulation at a time"
    _hook()
    undo: list[tuple[Any, str, Any]] = []
    replaced: dict[int, Any] = {}

    def put(owner: Any, name: str, value: Any) -> None:
        undo.append((owner, name, getattr(owner, name)))
        setattr(owner, name, value)

    def replace(owner: Any, name: str, value: Any) -> None:
        replaced[id(getattr(owner, name))] = value
        put(owner, name, value)

    for owner, names in FUNCTIONS:
        for name in names:
            if hasattr(owner, name):
                replace(owner, name, _refusal(f"{owner.__name__}.{name}", getattr(owner, name)))
    for name, converts in DEFAULTS.items():
        replace(time, name, _refusal(f"time.{name}", getattr(time, name), converts))
    for owner, name, kind in dates.stand_ins(_present):
        replace(owner, name, kind)
    for kind, name in METHODS:
        put(kind, name, _refusal(f"{kind.__name__}.{name}", getattr(kind, name)))
    put(random.Random, "seed", _seed(random.Random.seed))
    put(_random, "Random", _unseeded(_random.Random))
    put(random, "_inst", _Closed("random._inst", random._inst))
    for text, module in list(sys.modules.items()):
        if module is not None and text.partition(".")[0] in OURS and text not in (__name__, dates.__name__):
            for name, value in list(vars(module).items()):
                if id(value) in replaced and value is not replaced[id(value)]:
                    put(module, name, replaced[id(value)])
    for name in ("collect", "freeze"):
        put(gc, name, lambda *_args: 0)
    enabled = gc.isenabled()
    gc.disable()
    _GUARD.thread, _GUARD.below, _GUARD.escapes = threading.get_ident(), _caller(), []
    try:
        yield _GUARD.escapes
    finally:
        _GUARD.thread, _GUARD.below = 0, None
        for owner, name, value in reversed(undo):
            setattr(owner, name, value)
        if enabled:
            gc.enable()


def _caller() -> FrameType | None:
    """Of the block: whoever called it, a test runner or a tracer, is no onlooker for that."""
    frame = sys._getframe(1).f_back
    while frame is not None and frame.f_globals.get("__name__") == "contextlib":
        frame = frame.f_back
    return frame.f_back if frame is not None else None


@contextmanager
def quiet_collection() -> Iterator[None]:
    """Collects what the block left behind; what the clean-up of dead processes says to that is nobody's business."""
    hook = sys.unraisablehook
    sys.unraisablehook = lambda _unraisable: None
    try:
        with warnings.catch_warnings():
            # Tasks of processes that were killed before their first step.
            warnings.filterwarnings("ignore", "coroutine .* was never awaited", RuntimeWarning)
            yield
            gc.collect()
    finally:
        sys.unraisablehook = hook
