"""Python's search for garbage, put off where it finds none and costs much. Knows nothing of who asks."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def uncollected() -> Iterator[None]:
    """For work that keeps what it makes until its end: looking for cycles meanwhile costs it 4 to 14 % and finds none."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()
