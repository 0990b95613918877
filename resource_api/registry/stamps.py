"""What the server sets on objects: names from `generateName` and uids. Every value comes from the clock it is given."""

from __future__ import annotations

import uuid

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
