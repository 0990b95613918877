"""What would leave the simulation raises while a run is on: real time, threads, sockets, processes, other randomness.

Owns the list of ways out and puts everything back afterwards. Names that modules imported for themselves (`from time import
monotonic`) are replaced in every module of ours. Logging asks for the time of its records and gets virtual time. The collector
runs at the run's end only: when it runs decides when finalizers do. Source: spec/faults.md §3c (6).
"""

from __future__ import annotations

import asyncio
import datetime
import gc
import os
import random
import secrets
import socket
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

OURS = ("raftkv", "jepsen_like", "resource_api", "random", "uuid", "secrets")
"""Packages whose own names for the ways out are replaced as well."""

FUNCTIONS: tuple[tuple[Any, tuple[str, ...]], ...] = (
    (time, ("time", "time_ns", "monotonic", "monotonic_ns", "perf_counter", "perf_counter_ns", "process_time", "sleep")),
    (random, ("random", "randint", "randrange", "choice", "choices", "shuffle", "sample", "uniform", "getrandbits", "seed", "expovariate")),
    (os, ("urandom", "getrandom", "fork", "posix_spawn", "system", "popen", "fsync", "fdatasync")),
    (uuid, ("uuid1", "uuid4")),
    (secrets, ("token_bytes", "token_hex", "randbelow", "choice")),
    (socket, ("socketpair", "create_connection", "getaddrinfo", "gethostbyname")),
)
METHODS: tuple[tuple[type, str], ...] = (
    (threading.Thread, "start"),
    (socket.socket, "__init__"),
    (subprocess.Popen, "__init__"),
    (random.SystemRandom, "random"),
    (random.SystemRandom, "getrandbits"),
)


class EscapedSimulation(RuntimeError):
    """Simulated code reached for something real; the text names what, and the call site."""


def _refusal(name: str, original: Callable[..., Any], simulated: int) -> Callable[..., Any]:
    def refuse(*args: Any, **kwargs: Any) -> Any:
        if threading.get_ident() != simulated:
            return original(*args, **kwargs)
        frame = sys._getframe(1)
        module = frame.f_globals.get("__name__", "")
        if module == "logging":
            return _virtual_s()
        raise EscapedSimulation(f"{name} called at {frame.f_code.co_filename}:{frame.f_lineno} in {frame.f_code.co_qualname}")

    return refuse


def _virtual_s() -> float:
    from jepsen_like.sim.loop import VirtualLoop

    loop = asyncio.events._get_running_loop()
    return loop.now_s if isinstance(loop, VirtualLoop) else 0.0


class _RefusedDatetime(datetime.datetime):
    @classmethod
    def now(cls, tz: datetime.tzinfo | None = None) -> _RefusedDatetime:
        frame = sys._getframe(1)
        raise EscapedSimulation(f"datetime.now called at {frame.f_code.co_filename}:{frame.f_lineno}")

    @classmethod
    def utcnow(cls) -> _RefusedDatetime:
        return cls.now()

    @classmethod
    def today(cls) -> _RefusedDatetime:
        return cls.now()


def _seed(original: Callable[..., None], simulated: int) -> Callable[..., None]:
    """Generators without a seed take one from the machine."""

    def seed(self: random.Random, a: Any = None, version: int = 2) -> None:
        if a is None and threading.get_ident() == simulated:
            raise EscapedSimulation("random.Random() without a seed")
        original(self, a, version)

    return seed


@contextmanager
def refused() -> Iterator[None]:
    """While the block runs, in this thread, every way out raises EscapedSimulation. The collector rests."""
    thread = threading.get_ident()
    undo: list[tuple[Any, str, Any]] = []
    replaced: dict[int, Any] = {id(datetime.datetime): _RefusedDatetime}

    def put(owner: Any, name: str, value: Any) -> None:
        undo.append((owner, name, getattr(owner, name)))
        setattr(owner, name, value)

    for owner, names in FUNCTIONS:
        for name in names:
            if hasattr(owner, name):
                original = getattr(owner, name)
                replaced[id(original)] = _refusal(f"{owner.__name__}.{name}", original, thread)
                put(owner, name, replaced[id(original)])
    for kind, name in METHODS:
        put(kind, name, _refusal(f"{kind.__name__}.{name}", getattr(kind, name), thread))
    put(random.Random, "seed", _seed(random.Random.seed, thread))
    for text, module in list(sys.modules.items()):
        if module is not None and text.partition(".")[0] in OURS and text != __name__:
            for name, value in list(vars(module).items()):
                if id(value) in replaced and value is not replaced[id(value)]:
                    put(module, name, replaced[id(value)])
    for name in ("collect", "freeze"):
        put(gc, name, lambda *_args: 0)
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        for owner, name, value in reversed(undo):
            setattr(owner, name, value)
        if enabled:
            gc.enable()


@contextmanager
def quiet_collection() -> Iterator[None]:
    """Collects what the block left behind; what the clean-up of dead processes says to that is nobody's business."""
    hook = sys.unraisablehook
    sys.unraisablehook = lambda _unraisable: None
    try:
        yield
        gc.collect()
    finally:
        sys.unraisablehook = hook
