"""What leaves the simulation raises with the call site, and is whole again afterwards."""

from __future__ import annotations

import datetime
import gc
import os
import random
import secrets
import socket
import subprocess
import threading
import time
import uuid
from collections.abc import Callable

import pytest

from jepsen_like.sim.escapes import EscapedSimulation, refused

WAYS: list[Callable[[], object]] = [
    lambda: time.time(),
    lambda: time.monotonic(),
    lambda: time.perf_counter_ns(),
    lambda: time.sleep(0),
    lambda: random.random(),
    lambda: random.choice([1]),
    lambda: random.Random(),
    lambda: os.urandom(1),
    lambda: uuid.uuid4(),
    lambda: secrets.token_bytes(1),
    lambda: threading.Thread(target=print).start(),
    lambda: socket.socket(),
    lambda: subprocess.Popen(["true"]),
    lambda: datetime.datetime.now(),
]


@pytest.mark.parametrize("way", WAYS, ids=range(len(WAYS)))
def test_way_out_raises_with_its_call_site(way: Callable[[], object]) -> None:
    """Nobody escapes unnoticed, and after the run everything works again."""
    with refused():
        datetime_class = datetime.datetime
        if way is WAYS[-1]:
            # A class cannot be patched in place; modules of ours get another one under its name.
            from jepsen_like.sim import escapes

            way = escapes._RefusedDatetime.now
        with pytest.raises(EscapedSimulation, match=r"test_escapes\.py|without a seed|threading|uuid|secrets|socket|random"):
            way()
    assert datetime_class is datetime.datetime
    assert time.time() > 0 and random.random() < 1 and len(os.urandom(2)) == 2 and uuid.uuid4() and gc.isenabled()


def test_seeded_generators_are_no_way_out() -> None:
    """Draws from named seeds are what a run lives on."""
    with refused():
        assert random.Random(1).random() == random.Random(1).random()


def test_names_imported_by_our_modules_are_refused_too() -> None:
    """`from time import monotonic` in a module of ours would else slip through."""
    import raftkv.clock as module

    module.__dict__["stolen"] = time.monotonic
    try:
        with refused(), pytest.raises(EscapedSimulation):
            module.__dict__["stolen"]()
        assert module.__dict__["stolen"] is time.monotonic
    finally:
        del module.__dict__["stolen"]
