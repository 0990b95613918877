"""What the server sets on objects: names from `generateName`, uids, times. Every value comes from the clock it is given."""

from __future__ import annotations

import datetime
import uuid
from functools import lru_cache

from raftkv.clock import Clock

SUFFIX_ALPHABET = "bcdfghjklmnpqrstvwxz2456789"
"""No vowels and no look-alikes, upstream's."""

SUFFIX_LENGTH = 5
BASE_LENGTH_MAX = 63 - SUFFIX_LENGTH
"""The base is cut so that the whole is a DNS label."""


def generated_name(base: str, clock: Clock) -> str:
    """`base` and five random characters."""
    choose = clock.random().choice
    return base[:BASE_LENGTH_MAX] + "".join(choose(SUFFIX_ALPHABET) for _ in range(SUFFIX_LENGTH))


def new_uid(clock: Clock) -> str:
    """A random UUID."""
    return str(uuid.UUID(int=clock.random().getrandbits(128), version=4))


def rfc3339(wall_s: float) -> str:
    """Whole seconds in UTC, as `metav1.Time` is written."""
    return _written(int(wall_s))


@lru_cache(16)
def _written(second: int) -> str:
    """Memoised: writing the same second again was 14 of a create's 470 us."""
    return datetime.datetime.fromtimestamp(second, datetime.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def parse_time(text: str) -> float:
    """Seconds since 1970 of an RFC 3339 time; raises ValueError."""
    return datetime.datetime.fromisoformat(text).timestamp()
